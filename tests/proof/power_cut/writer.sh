# shellcheck shell=sh
# Reports what the last power cut left, then changes the state for as long as there is
# power. Each change is printed once it is acknowledged, and not before.
site=/disk/app/.maint
mkdir -p "$site/templates"
cd "$site" || exit
sync

leftovers() {
	for file in .*.tmp templates/.*.tmp; do
		[ ! -e "$file" ] || echo "$1 $file"
	done
}

for file in state.json state.json.bak templates/page.html; do
	[ ! -e "$file" ] || echo "file $file $(xxd -p "$file" | tr -d '\n')"
done
leftovers before
if [ -e state.json ]; then
	said=$(maint --site "$site" status --json)
	echo "status $? $said"
fi
# shellcheck disable=SC2154 # the kernel's command line says it
maint --site "$site" on -m "after boot $boot" >/dev/null
echo "next $?"
leftovers after
# The cut may have left a template whose state was still to come.
revision=$(($(sed -n 's/^  "revision": \([0-9]*\),$/\1/p' state.json) + 1))
echo "<h1>$revision</h1>" | maint --site "$site" template add page --replace >/dev/null
echo "begin $revision"

# A change of every kind in turn, each named after the revision it makes.
change() {
	case $(($1 % 4)) in
	0) $maint --site "$site" on -m "$1" ;;
	1) $maint --site "$site" ignore add path "/$1" ;;
	2) echo "<h1>$1</h1>" | $maint --site "$site" template add page --replace ;;
	3) $maint --site "$site" off ;;
	esac
}

maint=maint
# The planted bug: the same program with an fsync(2) that does nothing.
# shellcheck disable=SC2154 # the kernel's command line says it
[ "$planted" = no ] || maint="strace -f -qq -o /dev/null -e trace=fsync,fdatasync -e inject=fsync,fdatasync:retval=0 maint"
while revision=$((revision + 1)); do
	change $revision >/dev/null || { echo "refused $revision $?"; break; }
	echo "ack $revision"
done
