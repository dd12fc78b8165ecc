#!/bin/sh
# Runs the units within a system that `release/try.py units` has booted: what they start, what
# becomes of it when it dies or hangs, and that the clock opens a window. It says each fact that it
# has seen, and ends with the first that is not so.
set -eu

fact() { echo "fact: $1"; }
fail() {
    echo "not so: $1"
    systemctl --no-pager --lines=20 status 'maint-*' || true
    journalctl --no-pager --lines=40 || true
    exit 1
}
# until SECONDS WHAT COMMAND…: waits until it succeeds.
until_so() {
    left=$(($1 * 5)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || fail "$what"
        sleep 0.2
    done
    fact "$what"
}

as_deploy() { (cd /srv/shop && runuser -u deploy -- "$@"); }
socket=/run/maint/serve.sock
# The status that the endpoint answers to a user, or 000.
asked_by() {
    runuser -u "$1" -- curl --silent --max-time 20 --output /dev/null --write-out '%{http_code}' --unix-socket $socket \
        -H 'X-Original-Method: GET' -H 'X-Original-URI: /' http://shop/auth || true
}
answers() { [ "$(asked_by www-data)" = "$1" ]; }
has_lines() { [ "$(wc -l </tmp/asked)" -ge "$1" ]; }
main_pid() { systemctl show --property MainPID --value "$1"; }
restarts_of() { systemctl show --property NRestarts --value "$1"; }
has_restarts() { [ "$(restarts_of maint-serve.service)" -ge "$1" ]; }
has_other_pid() { [ "$(main_pid "$1")" != "$2" ] && [ "$(main_pid "$1")" != 0 ]; }

as_deploy maint init
as_deploy maint flag add file down.flag

mkdir -p /etc/systemd/system/maint-serve.service.d
printf '[Service]\nEnvironment=MAINT_SITE=/srv/shop/.maint\n' >/etc/systemd/system/maint-serve.service.d/site.conf
systemctl daemon-reload
systemctl enable --quiet --now maint-serve.socket
until_so 30 'the socket starts the endpoint' answers 204
[ "$(asked_by nobody)" = 000 ] || fail 'who is not in the group of the proxy is not answered'
fact 'who is not in the group of the proxy is not answered'
as_deploy maint on -m x
answers 403 || fail 'the endpoint obeys'
as_deploy maint off
answers 204 || fail 'the endpoint obeys'
fact 'the endpoint, as a user of its own and with nothing but its hardening, obeys'

: >/tmp/asked
while [ ! -e /tmp/enough ]; do asked_by www-data >>/tmp/asked && echo >>/tmp/asked; done &
for restarts in 1 2 3 4 5; do
    systemctl restart maint-serve.service
    until_so 60 "restart $restarts, and questions go on" has_lines $((restarts * 20))
done
: >/tmp/enough
wait
[ "$(sort -u /tmp/asked)" = 204 ] || fail "each question is answered through five restarts: $(sort /tmp/asked | uniq -c)"
fact "each of $(wc -l </tmp/asked) questions is answered through five restarts"

pid=$(main_pid maint-serve.service)
kill -KILL "$pid"
until_so 30 'an endpoint that is killed is started again' answers 204
has_other_pid maint-serve.service "$pid" || fail 'it is another process'

cp -p /srv/shop/.maint/state.json /tmp/whole
echo broken >/srv/shop/.maint/state.json
restarts=$(restarts_of maint-serve.service)
systemctl restart maint-serve.service && fail 'it starts with a broken state'
until_so 60 'a broken state: it is tried again and again' has_restarts $((restarts + 7))
cp -p /tmp/whole /srv/shop/.maint/state.json
until_so 30 'a state that is repaired: it answers by itself' answers 204

agent=maint-agent@$(systemd-escape --path /srv/shop/.maint).service
systemctl enable --quiet --now "$agent"
[ "$(systemctl show --property ActiveState --value "$agent")" = active ] || fail 'the agent is ready'
as_deploy maint on --at +1m -m x
until_so 120 'the agent sets the flag when the window begins' test -e /srv/shop/down.flag
[ "$(stat -c %U /srv/shop/down.flag)" = deploy ] || fail 'the flag is the owner'\''s'
fact 'the flag is the owner'\''s, though the agent is root'
as_deploy maint off
until_so 30 'the flag goes with the window' test ! -e /srv/shop/down.flag
pid=$(main_pid "$agent")
kill -STOP "$pid"
until_so 120 'an agent that hangs is started again by the watchdog' has_other_pid "$agent" "$pid"
systemctl disable --quiet --now "$agent"

timer=maint-flags@$(systemd-escape --path /srv/shop/.maint).timer
systemctl enable --quiet --now "$timer"
as_deploy maint on --at +1m -m x
until_so 150 'without an agent the timer sets the flag' test -e /srv/shop/down.flag
as_deploy maint off
systemctl disable --quiet --now "$timer"

failed=$(systemctl list-units --failed --plain --no-legend 'maint-*')
[ -z "$failed" ] || fail "no unit has failed: $failed"
fact 'no unit has failed'
