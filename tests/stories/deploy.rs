//! A deploy engineer, whose scripts run in CI without a terminal.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use maint::Site;
use maint::gate::{Answer, Gate};
use maint::page::Reply;
use maint::request::RequestParts;

use crate::env::{Ran, TestEnv, eventually, finish};
use crate::say::figure;

/// A program of the project.
fn program(env: &TestEnv, name: &str, script: &str) {
    env.write(name, &format!("#!/bin/sh\nset -eu\n{script}\n"));
    set_permissions(env.dir().join(name), Permissions::from_mode(0o755)).unwrap();
}

/// A job of CI that has begun.
fn start(env: &TestEnv, script: &str) -> Child {
    let mut shell = Command::new("sh");
    env.seal(shell.args(["-euc", script]));
    shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A job of CI, which ends with the first command that fails.
fn job(env: &TestEnv, script: &str) -> Ran {
    finish(start(env, script))
}

/// What a visitor gets from the app at a time.
fn visit(env: &TestEnv, request: &RequestParts, now: &str) -> Answer {
    let gate = Gate::open(&Site::at(env.site())).unwrap();
    gate.current().at(now.parse().unwrap()).answer(request)
}

#[track_caller]
fn blocked(env: &TestEnv, path: &str, now: &str) -> Reply {
    match visit(env, &RequestParts::new("GET", path), now) {
        Answer::Reply(reply) => reply,
        Answer::Pass(pass) => panic!("{path} passes at {now}: {pass:?}"),
    }
}

fn passes(env: &TestEnv, path: &str, now: &str) -> bool {
    matches!(visit(env, &RequestParts::new("GET", path), now), Answer::Pass(_))
}

/// Before: the second script took the whole shop down in place of a part of it, dropped message and
/// end, and exited 0. Its log showed three lines with a minus; nobody reads the log of a green job.
#[test]
fn a_script_runs_twice_and_another_one_cannot_widen_its_window() {
    let mut env = TestEnv::new();
    let deploy = "maint on deploy-42 -m 'Moving the shop' --for 30m --path '/shop/**'";
    assert_eq!(job(&env, deploy).code, 0);
    env.set_now("2026-11-22T03:05:00Z");
    assert_eq!(job(&env, deploy).code, 0, "the job is tried again");
    let now = "2026-11-22T03:05:00Z";
    assert!(passes(&env, "/", now) && !passes(&env, "/shop/1", now));

    let before = env.files();
    let ran = job(&env, "maint on deploy-42; touch migrated");
    assert_eq!(ran.code, 2, "{ran:?}");
    for lost in ["paths /shop/**, and then every request", "“Moving the shop”", "its end 03:35"]
    {
        assert!(ran.stderr.contains(lost), "{lost}: {ran:?}");
    }
    assert!(!env.dir().join("migrated").exists(), "the script ends there");
    assert_eq!(before, env.files(), "and nothing changed");
    // The hint can be followed as it is.
    assert!(ran.stderr.contains("hint: `maint set deploy-42` changes only what is given"));
    assert_eq!(job(&env, "maint set deploy-42 -m 'Nearly there'").code, 0);
    assert!(passes(&env, "/", now), "the scope stays");

    assert_eq!(job(&env, "maint on deploy-42 --yes").code, 0, "it can be meant");
    assert!(!passes(&env, "/", now));
    figure("the same script twice exits 0; one that would lose scope, message and end exits 2");
}

/// Before: `maint run ./migrate` was `unexpected argument './migrate' found`, and after a failure
/// the only hint was to close the window, so that visitors met a half-migrated shop on the next try.
#[test]
fn a_migration_that_failed_goes_on_in_its_window() {
    let env = TestEnv::ticking();
    program(&env, "migrate", "echo \"$*\" >> tried\ntest -e repaired");
    let ran = job(&env, "maint run --name migrate ./migrate --noinput -v 2; touch green");
    assert_eq!(ran.code, 1, "the code is that of ./migrate: {ran:?}");
    assert!(!env.dir().join("green").exists());
    let hint = ran.stderr.lines().last().unwrap();
    assert!(hint.contains("`--take-over`") && hint.contains("`maint off migrate`"), "{hint}");
    assert_eq!(env.json(&["status"])["state"], "on", "no visitor comes in between");

    let ran = job(&env, "maint run --name migrate ./migrate --noinput -v 2");
    assert_eq!(ran.code, 5, "not by accident: {ran:?}");
    env.write("repaired", "");
    let ran = job(&env, "maint run --name migrate --take-over ./migrate --noinput -v 2");
    assert_eq!(ran.code, 0, "{ran:?}");
    let tried = std::fs::read_to_string(env.dir().join("tried")).unwrap();
    assert_eq!(tried, "--noinput -v 2\n".repeat(2), "its options are its own");
    assert_eq!(env.json(&["status"])["state"], "off");
}

/// Before: there was no `extend` and no `set`. `maint on` from another job took the window
/// away from the run, which then exited 5 and left the shop down after a migration that had gone well.
#[test]
fn another_job_tells_visitors_more_and_the_run_still_ends_its_window() {
    for policy in ["keep", "release"] {
        let env = TestEnv::ticking();
        program(
            &env,
            "migrate",
            "until test -e rows-are-moved || ! test -e migrate; do sleep 0.02; done",
        );
        let run = start(
            &env,
            &format!(
                "exec maint run --name migrate -m 'Moving' --estimate 10m --on-failure {policy} ./migrate"
            ),
        );
        let window = || env.json(&["status"])["windows"][0].clone();
        eventually("the run has opened its window", || window().is_object());
        let (holder, before) = (window()["run"].clone(), window()["estimate"].clone());

        assert_eq!(job(&env, "maint set migrate -m 'More rows than we thought'").code, 0);
        assert_eq!(job(&env, "maint extend migrate 45m").code, 0);
        let now = window();
        assert_eq!(now["reason"], "More rows than we thought");
        assert!(now["estimate"].as_str() > before.as_str(), "{policy}: {now} and before {before}");
        assert_eq!((&now["run"], now["run"].is_string()), (&holder, true), "{policy}");

        env.write("rows-are-moved", "");
        let ran = finish(run);
        assert_eq!(ran.code, 0, "{policy}: {ran:?}");
        assert_eq!(env.json(&["status"])["state"], "off", "{policy}");
    }
}

/// Before: whoever told visitors a time had to promise it with `--for`, and a deploy that took longer met
/// them in mid-migration when the clock ended the window.
#[test]
fn an_estimate_that_passes_opens_nothing() {
    let mut env = TestEnv::new();
    assert_eq!(job(&env, "maint on deploy-42 -m 'Moving the shop' --estimate 20m").code, 0);
    let wait = |now: &str| blocked(&env, "/", now).header("retry-after").unwrap();
    assert_eq!(wait("2026-11-22T03:00:00Z"), "1200");
    assert_eq!(wait("2026-11-22T03:19:00Z"), "60");
    assert_eq!(wait("2026-11-22T03:20:01Z"), "120", "it falls back");
    let page = blocked(&env, "/", "2026-11-22T03:40:00Z");
    assert_eq!(page.status(), 503);
    let page = String::from_utf8(page.body().to_vec()).unwrap();
    assert!(page.contains("longer than"), "it says so kindly: {page}");
    env.set_now("2026-11-22T03:40:00Z");
    assert_eq!(job(&env, "maint status -q --expect on && ! maint check -q /").code, 0);
    assert_eq!(env.json(&["status"])["windows"][0]["late"], true);
    assert_eq!(job(&env, "maint off deploy-42 && maint check -q /").code, 0);
    figure(
        "an estimate of 20 min: Retry-After 1200, 60, and 120 once it has passed; 503 all the while",
    );
}

/// Before: a script had to put a link for testers together from the output of `bypass new` and the name
/// of a parameter that it had to look up.
#[test]
fn testers_get_a_link_from_the_script() {
    let env = TestEnv::new();
    let ran = job(
        &env,
        "maint on -q deploy-42; link=$(maint bypass new --url 'https://shop.example.com/cart?a=1'); echo \"$link\"",
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    let link = ran.stdout.trim_end();
    let target = link.strip_prefix("https://shop.example.com").unwrap_or_else(|| panic!("{ran:?}"));
    let now = crate::env::NOW;
    let reply = match visit(&env, &RequestParts::new("GET", target).with_https(true), now) {
        Answer::Reply(reply) => reply,
        Answer::Pass(pass) => panic!("{pass:?}"),
    };
    assert_eq!((reply.status(), reply.header("location").as_deref()), (303, Some("/cart?a=1")));
    let cookie = reply.header("set-cookie").unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let tester = RequestParts::new("GET", "/cart?a=1").with("cookie", cookie).with_https(true);
    assert!(matches!(visit(&env, &tester, now), Answer::Pass(_)), "{cookie}");
    assert!(!passes(&env, "/cart?a=1", now), "and nobody else");
    // What CI keeps of the site is no secret.
    let token = target.split("maint_bypass=").nth(1).unwrap();
    for (path, bytes) in env.files() {
        assert!(!String::from_utf8_lossy(&bytes).contains(token), "in {}", path.display());
    }
}

/// Before: `maint off` in a script that had the wrong name said `unchanged`, exited 0, and the job was green
/// while the shop stayed down.
#[test]
fn a_script_decides_by_the_codes_of_the_guide() {
    let env = TestEnv::ticking();
    program(&env, "migrate", "exit 37");
    let guide = std::fs::read_to_string("docs/deploy.md").unwrap();
    let (_, guide) = guide.split_once("## What to do for each exit code").unwrap();
    let mut seen = Vec::new();
    let mut is = |script: &str, code: i32, says: &str| {
        let ran = job(&env, script);
        assert_eq!(ran.code, code, "{script}: {ran:?}");
        let row = guide.lines().find(|line| line.starts_with(&format!("| {code} |")));
        let row = row.unwrap_or_else(|| panic!("no row for {code}"));
        assert!(row.contains(says), "{script}: {row}");
        seen.push(code);
    };
    is("maint on -q deploy-42 --for 1h", 0, "it is done, or was so already");
    is("maint status -q --expect off", 1, "`status --expect`");
    is("maint wait off -q --timeout 100ms", 1, "`wait` gave up");
    is("maint check -q /", 1, "`check` finds the request blocked");
    is("maint off", 2, "a window, rule or template of that name does not exist");
    is("maint off deploy-24", 2, "a window, rule or template of that name does not exist");
    is("maint off deploy-24 --if-open", 0, "it is done, or was so already");
    is("maint run --name deploy-42 ./migrate", 5, "`run --name` found that window open");
    is("maint off --all --if-revision 1", 5, "`--if-revision` did not fit");
    is("maint off -q deploy-42", 0, "it is done, or was so already");
    is("maint wait off -q --timeout 100ms", 0, "it is done, or was so already");
    env.write(".maint/state.json", "{");
    is("maint status", 8, "the state is corrupt");
    seen.dedup();
    figure(&format!("{} answers to scripts have the codes of the guide", seen.len()));
}

/// Before: no page said how a cron job asks. It ran into the migration, or its owner wrote
/// a loop around `maint status`.
#[test]
fn a_cron_job_waits_for_the_end_of_the_deploy_and_a_second_night_for_the_first() {
    let env = TestEnv::ticking();
    program(&env, "send-orders", "echo sent >> did");
    program(
        &env,
        "rebuild-index",
        "until test -e go || ! test -e rebuild-index; do sleep 0.02; done",
    );
    let guide = std::fs::read_to_string("docs/jobs.md").unwrap();
    let (_, crontab) = guide.split_once("<!-- test: crontab -->\n```text\n").unwrap();
    let (crontab, _) = crontab.split_once("```").unwrap();
    let crontab = crontab.replace("/srv/shop", env.dir().to_str().unwrap());
    let (site, jobs) = crontab.split_once('\n').unwrap();
    let mut jobs = jobs.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().skip(5).collect();
        format!("export {site}; {}", words.join(" "))
    });
    let (send, rebuild) = (jobs.next().unwrap(), jobs.next().unwrap());

    env.ok(&["on", "deploy-42"]);
    let mut waits = start(&env, &send);
    eventually("the job asks", || is_child_of(&waits, "maint"));
    assert!(waits.try_wait().unwrap().is_none() && !env.dir().join("did").exists());
    env.ok(&["off", "deploy-42"]);
    assert_eq!(finish(waits).code, 0);
    assert_eq!(std::fs::read_to_string(env.dir().join("did")).unwrap(), "sent\n");

    let first = start(&env, &rebuild);
    eventually("the night has begun", || env.json(&["status"])["state"] == "on");
    assert_eq!(job(&env, &rebuild).code, 5, "the one of the night before still goes");
    env.write("go", "");
    assert_eq!(finish(first).code, 0);
    assert_eq!(env.json(&["status"])["state"], "off");
}

/// Whether a shell waits for a program of this name, or has become it.
fn is_child_of(shell: &Child, name: &str) -> bool {
    let shell = shell.id();
    let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"));
    let children = children.unwrap_or_default();
    let mut all = children.split_whitespace().map(str::to_owned).chain([shell.to_string()]);
    all.any(|id| {
        std::fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|it| it.trim() == name)
    })
}
