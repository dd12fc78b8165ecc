//! A fleet, with the engine in a file: following, writing through, seeing and leaving.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::env::{Ran, TestEnv, eventually};
use crate::say::skip;

/// Hosts that follow one engine, each in a folder of its own.
struct Fleet {
    env: TestEnv,
    agents: Vec<Child>,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for agent in &mut self.agents {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }
}

impl Fleet {
    fn of(hosts: &[&str]) -> Self {
        let env = TestEnv::ticking_bare();
        for name in hosts.iter().copied().chain(["engine", "ci"]) {
            fs::create_dir(env.dir().join(name)).unwrap();
        }
        let fleet = Self { env, agents: Vec::new() };
        for host in hosts {
            fleet.ok(host, &["init", "--store", &fleet.url()]);
        }
        fleet
    }

    fn url(&self) -> String {
        format!("file://{}", self.engine().display())
    }

    fn engine(&self) -> PathBuf {
        self.env.dir().join("engine/shop")
    }

    fn command(&self, host: &str, args: &[&str]) -> Command {
        let mut command = self.env.command(args);
        command.current_dir(self.env.dir().join(host));
        command
    }

    fn run(&self, host: &str, args: &[&str]) -> Ran {
        Ran::from(self.command(host, args).output().unwrap())
    }

    #[track_caller]
    fn ok(&self, host: &str, args: &[&str]) -> String {
        let ran = self.run(host, args);
        assert_eq!(ran.code, 0, "{host} {args:?}: {ran:?}");
        ran.stdout
    }

    #[track_caller]
    fn fails(&self, host: &str, code: i32, args: &[&str]) -> String {
        let ran = self.run(host, args);
        assert_eq!(ran.code, code, "{host} {args:?}: {ran:?}");
        ran.stderr
    }

    /// A command of CI, which has no site.
    fn ci(&self, args: &[&str]) -> Ran {
        Ran::from(self.command("ci", args).env("MAINT_STORE", self.url()).output().unwrap())
    }

    #[track_caller]
    fn json(&self, host: &str, args: &[&str]) -> Value {
        let args: Vec<&str> = ["--json"].iter().chain(args).copied().collect();
        serde_json::from_str(&self.ok(host, &args)).unwrap()
    }

    fn state(&self, host: &str) -> Value {
        let file = self.env.dir().join(host).join(".maint/state.json");
        serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
    }

    fn windows(&self, host: &str) -> Vec<String> {
        let state = self.state(host);
        state["windows"].as_object().map_or_else(Vec::new, |all| all.keys().cloned().collect())
    }

    fn start_agent(&mut self, host: &str) {
        let log = self.env.dir().join(format!("{host}.log"));
        let file = fs::File::options().create(true).append(true).open(log).unwrap();
        let mut agent = self.command(host, &["agent", "--host", host]);
        self.agents.push(agent.stdin(Stdio::null()).stderr(file).spawn().unwrap());
        let is_there = || self.run(host, &["agent", "status"]).stdout.contains("last contact");
        eventually("the agent has reached the engine", is_there);
    }

    fn said(&self, host: &str) -> String {
        fs::read_to_string(self.env.dir().join(format!("{host}.log"))).unwrap()
    }

    fn end_agents(&mut self) {
        for agent in &mut self.agents {
            let pid = rustix::process::Pid::from_child(agent);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
            assert!(agent.wait().unwrap().success());
        }
        self.agents.clear();
    }
}

#[test]
fn ci_without_a_site_takes_the_whole_fleet_down_and_waits_until_each_host_is() {
    let mut fleet = Fleet::of(&["one", "two"]);
    fleet.start_agent("one");
    fleet.start_agent("two");
    let on = fleet.ci(&["on", "deploy", "-m", "Back at noon"]);
    assert_eq!(on.code, 0, "{on:?}");
    assert!(on.stdout.contains(&fleet.url()) && !on.stdout.contains("maint-store-"), "{on:?}");
    let waited = fleet.ci(&["wait", "on", "--all", "--timeout", "30s"]);
    assert_eq!(waited.code, 0, "{waited:?}");
    assert!(waited.stdout.contains("all 2 live hosts have it"));
    for host in ["one", "two"] {
        assert_eq!(fleet.windows(host), ["deploy"]);
        assert!(fleet.ok(host, &["log"]).contains("on deploy"));
        let record = fleet.json(host, &["log", "-n", "1"]);
        assert!(record.to_string().contains(&fleet.url()), "{record}");
    }
    assert_eq!(fleet.ci(&["wait", "on", "--timeout", "30s"]).code, 0);
    assert_eq!(fleet.ci(&["wait", "off", "--timeout", "1s"]).code, 1);
    let mut waiting = fleet.command("ci", &["wait", "off", "--timeout", "60s"]);
    let waiting = waiting.env("MAINT_STORE", fleet.url()).spawn().unwrap();
    let off = fleet.ci(&["off", "deploy"]);
    assert_eq!(off.code, 0, "{off:?}");
    assert_eq!(crate::env::finish(waiting).code, 0, "it hears of what others change");
    assert_eq!(fleet.ci(&["wait", "off", "--all", "--timeout", "30s"]).code, 0);
    assert_eq!(fleet.ci(&["status", "--expect", "off"]).code, 0);
    // What is made for one command goes with it.
    let left = fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let ours = left.filter(|entry| {
        let text = fs::read_to_string(entry.path().join("site/store")).unwrap_or_default();
        text.contains(&fleet.url())
    });
    assert_eq!(ours.count(), 0);
}

#[test]
fn hosts_are_listed_with_what_they_have_and_leave_when_their_agent_ends() {
    let mut fleet = Fleet::of(&["one", "two"]);
    fleet.start_agent("one");
    fleet.start_agent("two");
    let down = fleet.env.dir().join("two/down");
    fleet.ok("two", &["flag", "add", "file", down.to_str().unwrap(), "--id", "it"]);
    fleet.ok("one", &["on"]);
    fleet.ok("one", &["wait", "on", "--all", "--timeout", "30s"]);
    let seen = fleet.json("one", &["status", "--fleet"]);
    let host = |name: &str, seen: &Value| {
        let hosts = seen["hosts"].as_array().unwrap().clone();
        hosts.into_iter().find(|host| host["host"] == name)
    };
    for name in ["one", "two"] {
        let host = host(name, &seen).unwrap();
        assert_eq!((&host["standing"], &host["revision"]), (&"in-step".into(), &seen["revision"]));
    }
    assert!(down.exists(), "flags follow the fleet");
    // Somebody else's file is in the place of the flag.
    fleet.ok("one", &["off"]);
    fleet.ok("one", &["wait", "off", "--all", "--timeout", "30s"]);
    fleet.env.write(&down, "mine");
    fleet.ok("one", &["on"]);
    let gave_up = fleet.run("one", &["wait", "on", "--all", "--timeout", "2s"]);
    assert_eq!(gave_up.code, 1, "{gave_up:?}");
    assert!(gave_up.stdout.contains("two has flags that do not follow: it"), "{gave_up:?}");
    assert_eq!(fleet.run("one", &["status", "--fleet", "--expect", "on"]).code, 10);
    fleet.end_agents();
    let seen = fleet.json("one", &["status", "--fleet"]);
    assert!(host("one", &seen).is_none() && host("two", &seen).is_none(), "{seen}");
    let nobody = fleet.run("one", &["wait", "on", "--all", "--timeout", "1s"]);
    assert_eq!(nobody.code, 1);
    assert!(nobody.stdout.contains("no host follows the store"), "{nobody:?}");
}

#[test]
fn requirement_93_while_the_engine_is_away_nothing_changes_and_one_host_can_still_close() {
    let mut fleet = Fleet::of(&["one"]);
    fleet.start_agent("one");
    let away = fleet.env.dir().join("away");
    fs::create_dir(&away).unwrap();
    let engine = fleet.env.dir().join("engine");
    rustix::fs::rename(&engine, away.join("engine")).unwrap();
    let before = fleet.state("one");
    let refused = fleet.fails("one", 11, &["--wait", "1s", "on"]);
    assert!(refused.contains("hint:") && refused.contains("`maint on --local`"), "{refused}");
    assert!(refused.contains("waiting for store"), "{refused}");
    assert_eq!(fleet.state("one"), before);
    assert_eq!(fleet.ci(&["--no-wait", "on"]).code, 11);
    let json = fleet.run("one", &["--json", "--no-wait", "on"]);
    let error: Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(error["error"]["code"], "store", "{error}");
    eventually("the agent says so", || fleet.said("one").contains("this host keeps what it has"));
    assert!(fleet.ok("one", &["status"]).contains("engine"), "and the status");
    let on = fleet.ok("one", &["on", "disk", "--local"]);
    assert!(on.contains("on this host alone"), "{on}");
    assert_eq!(fleet.windows("one"), ["disk.local"]);
    rustix::fs::rename(away.join("engine"), &engine).unwrap();
    fleet.ok("one", &["on"]);
    assert_eq!(fleet.windows("one"), ["default", "disk.local"]);
    eventually("it follows again", || fleet.said("one").contains("follows the fleet again"));
    fleet.ok("one", &["off", "--all"]);
    assert_eq!(fleet.windows("one"), ["disk.local"], "this host's own stays");
    for args in [&["off", "disk.local"][..], &["off", "disk"], &["extend", "disk", "30m"]] {
        let error = fleet.fails("one", 2, args);
        assert!(
            error.contains("hint: it is one of this host alone: write `disk --local`"),
            "{error}"
        );
    }
    let error = fleet.fails("one", 2, &["off", "x.local"]);
    assert!(error.contains("no window named `x.local`\nhint: there is none"), "{error}");
    fleet.ok("one", &["off", "disk", "--local"]);
    assert!(fleet.windows("one").is_empty());
}

#[test]
fn requirement_90_a_host_keeps_what_it_has_on_anything_odd_and_goes_on_by_itself() {
    let mut fleet = Fleet::of(&["one"]);
    fleet.ok("one", &["on"]);
    fleet.start_agent("one");
    let good = fs::read(fleet.engine()).unwrap();
    let state = fleet.state("one");
    let content: Value = serde_json::from_slice(&good).unwrap();
    let document: Value = serde_json::from_str(content["document"].as_str().unwrap()).unwrap();
    let put = |number: u64, text: Option<String>| {
        let mut odd = content.clone();
        odd["revision"] = (1_000 + number).into();
        odd["document"] = text.map_or(Value::Null, Value::String);
        // Whole, as an engine shows it, and not while the agent leaves its report there.
        let lock = fs::File::open(fleet.engine().with_file_name("shop.lock")).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        let new = fleet.env.dir().join("new");
        fleet.env.write(&new, &odd.to_string());
        rustix::fs::rename(&new, fleet.engine()).unwrap();
    };
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut changed = document.clone();
        // What is odd would open the site, if it were followed.
        changed["state"]["windows"] = serde_json::json!({});
        change(&mut changed);
        Some(changed.to_string())
    };
    let cases: [(&str, Option<String>, &str); 8] = [
        ("missing", None, "no document"),
        ("garbage", Some("{".to_owned()), "broken"),
        ("empty", Some(String::new()), "broken"),
        ("older", changed(&|it| it["seq"] = 1.into()), "older"),
        ("another site", changed(&|it| it["site"] = "blog".into()), "is of the site `blog`"),
        ("anew", changed(&|it| it["lineage"] = "f".repeat(32).into()), "another one than"),
        ("newer version", changed(&|it| it["min_reader"] = 9.into()), "needs version 9"),
        ("newer state", changed(&|it| it["state"]["min_reader"] = 9.into()), "needs version 9"),
    ];
    for (number, (what, text, said)) in (1_u64..).zip(cases) {
        put(2 * number, text);
        eventually(what, || fleet.ok("one", &["agent", "status"]).contains(said));
        assert!(fleet.ok("one", &["status"]).contains("● down"), "{what}");
        assert_eq!(fleet.state("one"), state, "{what}");
        let refused = fleet.run("one", &["--no-wait", "off"]);
        assert_eq!(refused.code, 11, "{what}: {refused:?}");
        put(2 * number + 1, Some(document.to_string()));
        let is_well = || !fleet.ok("one", &["agent", "status"]).contains("keeps what it has");
        eventually("it goes on by itself", is_well);
    }
    fleet.ok("one", &["off"]);
    assert!(fleet.ok("one", &["status"]).contains("● up"));
}

#[test]
fn a_site_with_a_state_begins_to_follow_only_once_it_is_said_whose_wins() {
    let fleet = Fleet::of(&["one"]);
    fleet.ok("one", &["on", "theirs"]);
    for name in ["two", "three"] {
        fs::create_dir(fleet.env.dir().join(name)).unwrap();
        fleet.ok(name, &["init"]);
        fleet.ok(name, &["on", "mine"]);
    }
    let url = fleet.url();
    let refused = fleet.fails("two", 5, &["init", "--store", &url]);
    assert!(refused.contains("`--wins store` or `--wins site`"), "{refused}");
    assert_eq!(fleet.windows("two"), ["mine"]);
    fleet.ok("two", &["init", "--store", &url, "--wins", "store"]);
    assert_eq!(fleet.windows("two"), ["theirs"]);
    fleet.ok("three", &["init", "--store", &url, "--wins", "site"]);
    assert_eq!(fleet.ci(&["--json", "status"]).stdout.matches("\"mine\"").count(), 1);
    assert!(fleet.ok("three", &["init", "--store", &url]).contains("unchanged"));
    let left = fleet.ok("three", &["store", "leave"]);
    assert!(left.contains("no longer follows") && left.contains("● down"), "{left}");
    fleet.ok("three", &["off", "mine"]);
    assert_eq!(fleet.ci(&["status", "--expect", "on"]).code, 0, "the fleet is as it was");
}

#[test]
fn a_state_is_exported_and_brought_back_with_its_templates() {
    let fleet = Fleet::of(&["one"]);
    fleet.env.write("one/sorry.html", "<p>{{ reason }}</p>");
    fleet.ok("one", &["template", "add", "sorry", "sorry.html"]);
    fleet.ok("one", &["on", "--template", "sorry", "-m", "one"]);
    let exported = fleet.ci(&["store", "export"]);
    assert_eq!(exported.code, 0, "{exported:?}");
    fleet.env.write("ci/shop.json", &exported.stdout);
    fleet.ok("one", &["off"]);
    fleet.ok("one", &["template", "remove", "sorry"]);
    let refused = fleet.ci(&["store", "import", "shop.json"]);
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.stderr.contains("`--yes`"), "{refused:?}");
    assert_eq!(fleet.ci(&["store", "import", "shop.json", "--yes"]).code, 0);
    let shown = fleet.ok("one", &["store", "show"]);
    assert!(shown.contains("window `default` is open"), "{shown}");
    for wrong in ["{", "{}", r#"{"state":{"version":1,"revision":1},"templates":{"x":5}}"#] {
        fleet.env.write("ci/wrong.json", wrong);
        let refused = fleet.ci(&["store", "import", "wrong.json", "--yes"]);
        assert_eq!(refused.code, 2, "{refused:?}");
    }
    // The engine lost it all; a host still has it.
    fs::remove_file(fleet.engine()).unwrap();
    assert_eq!(fleet.ci(&["status"]).code, 11);
    let hint = fleet.fails("one", 11, &["off"]);
    assert!(hint.contains("maint store import"), "{hint}");
    fleet.ok("one", &["store", "import"]);
    fleet.ok("one", &["off"]);
}

#[test]
fn requirement_95_no_secret_is_taken_from_the_command_line_shown_or_handed_on() {
    let fleet = Fleet::of(&["one"]);
    for args in [
        &["--store", "redis://ann:tulip@127.0.0.1:1/shop", "status"][..],
        &["--store", "tulip", "status"],
        &["init", "--store", "etcds://ann:tulip@127.0.0.1:1/shop"],
    ] {
        let ran = fleet.run("ci", args);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(!format!("{ran:?}").contains("tulip"), "{ran:?}");
    }
    let said = fleet.fails("ci", 2, &["--store", "redis://ann:tulip@127.0.0.1:1/shop", "on"]);
    assert!(said.contains("password-file") && said.contains("MAINT_STORE_PASSWORD"), "{said}");
    // A command that is run does not get it.
    let mut run = fleet.command("one", &["run", "--", "env"]);
    let ran = Ran::from(run.env("MAINT_STORE_PASSWORD", "tulip").output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("MAINT_SITE=") && !ran.stdout.contains("tulip"), "{ran:?}");
    let flag = ["flag", "add", "exec", "--on", "env > seen", "--off", "true"];
    fleet.ok("one", &flag);
    let mut on = fleet.command("one", &["on"]);
    assert_eq!(Ran::from(on.env("MAINT_STORE_PASSWORD", "tulip").output().unwrap()).code, 0);
    let seen = find(&fleet.env.dir().join("one"), "seen");
    assert!(!fs::read_to_string(seen).unwrap().contains("tulip"));
}

/// The file of this name, wherever below.
fn find(dir: &Path, name: &str) -> PathBuf {
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            match entry.path() {
                path if path.is_dir() => dirs.push(path),
                path if entry.file_name() == name => return path,
                _ => {}
            }
        }
    }
    panic!("no {name}")
}

#[test]
fn what_says_where_twice_is_refused() {
    let fleet = Fleet::of(&["one"]);
    let url = fleet.url();
    let site = fleet.env.dir().join("one/.maint");
    let site = site.to_str().unwrap();
    let both = fleet.fails("ci", 2, &["--store", &url, "--site", site, "status"]);
    assert!(both.contains("give one of them"), "{both}");
    let run = |variable: &str, args: &[&str]| {
        let mut command = fleet.command("ci", args);
        command.env("MAINT_STORE", &url).env("MAINT_SITE", variable);
        Ran::from(command.output().unwrap())
    };
    assert_eq!(run(site, &["on"]).code, 0, "it follows that very store");
    assert_eq!(fleet.windows("one"), ["default"], "so it has it at once");
    fs::create_dir(fleet.env.dir().join("other")).unwrap();
    fleet.ok("other", &["init"]);
    let other = fleet.env.dir().join("other/.maint");
    let refused = run(other.to_str().unwrap(), &["off"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("unset one of them"), "{refused:?}");
    for args in [&["log"][..], &["agent"], &["flag", "list"], &["store", "leave"]] {
        let refused = fleet.ci(args);
        assert_eq!(refused.code, 2, "{args:?}: {refused:?}");
        assert!(refused.stderr.contains("site on this host"), "{refused:?}");
    }
    let alone = fleet.fails("other", 2, &["on", "--local"]);
    assert!(alone.contains("follows no engine"), "{alone}");
    let none = fleet.fails("other", 2, &["status", "--fleet"]);
    assert!(none.contains("follows no engine"), "{none}");
}

#[test]
fn what_is_of_one_host_is_not_done_in_a_copy() {
    let fleet = Fleet::of(&["one"]);
    for args in [&["on", "--local"][..], &["off", "--local"], &["run", "--local", "--", "true"]] {
        let refused = fleet.ci(args);
        assert_eq!(refused.code, 2, "{args:?}: {refused:?}");
        assert!(refused.stderr.contains("site on this host"), "{refused:?}");
    }
    for name in ["", " ", "a/b", "\u{1b}[2J", &"a".repeat(256)] {
        let refused = fleet.fails("one", 2, &["agent", "--host", name]);
        assert!(refused.contains("a host has a name"), "{name:?}: {refused}");
    }
}

#[test]
fn requirement_95_root_uses_the_engine_of_a_site_as_its_owner() {
    if !rustix::process::geteuid().is_root() {
        return skip("only root can act as others");
    }
    let fleet = Fleet::of(&["one"]);
    let site = fleet.env.dir().join("one/.maint");
    let open = |path: &Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    open(fleet.env.dir());
    open(&fleet.env.dir().join("engine"));
    // An engine where the owner of the site cannot write, and a password they cannot read.
    let roots = fleet.env.dir().join("engine/roots");
    let password = fleet.env.dir().join("engine/password");
    fleet.env.write(&password, "tulip");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let nobody = Some(65_534);
    for path in [fleet.env.dir().join("one"), site.clone(), site.join("state.json")] {
        std::os::unix::fs::chown(path, nobody, nobody).unwrap();
    }
    let follow = |address: &str| {
        let file = site.join("store");
        fs::remove_file(&file).unwrap();
        fleet.env.write(&file, address);
        std::os::unix::fs::chown(&file, nobody, nobody).unwrap();
    };
    follow(&format!("file://{}", roots.display()));
    let refused = fleet.fails("one", 11, &["--no-wait", "store", "import", "--yes"]);
    assert!(refused.contains("permission denied") && !roots.exists(), "{refused}");
    follow(&format!("redis://ann@127.0.0.1:1/shop?password-file={}", password.display()));
    for args in [
        &["store", "show"][..],
        &["store", "export"],
        &["store", "import"],
        &["status", "--fleet"],
        &["wait", "on", "--all"],
    ] {
        let refused = fleet.fails("one", 11, &[&["--no-wait"], args].concat());
        assert!(refused.contains("password` permission denied"), "{args:?}: {refused}");
    }
}

#[test]
fn a_run_holds_the_whole_fleet_down() {
    let fleet = Fleet::of(&["one"]);
    let script = "maint status --expect on && maint --json status";
    let ran = fleet.ci(&["run", "--name", "migrate", "--", "sh", "-c", script]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("\"migrate\""), "{ran:?}");
    assert_eq!(fleet.ci(&["status", "--expect", "off"]).code, 0);
    let failed = fleet.ci(&["run", "--name", "migrate", "--", "false"]);
    assert_eq!(failed.code, 1, "{failed:?}");
    let again = fleet.run("one", &["run", "--name", "migrate", "--take-over", "--", "true"]);
    assert_eq!(again.code, 5, "nobody here can tell whether that run still goes: {again:?}");
    fleet.ok("one", &["off", "migrate"]);
    let local = fleet.ok("one", &["run", "--local", "--name", "disk", "--", "maint", "status"]);
    assert!(local.contains("disk.local"), "{local}");
    assert_eq!(fleet.ci(&["status", "--expect", "off"]).code, 0);
    assert!(fleet.windows("one").is_empty());
}

#[test]
fn doctor_says_what_keeps_a_host_from_following() {
    let mut fleet = Fleet::of(&["one"]);
    let codes = |fleet: &Fleet| {
        let ran = fleet.run("one", &["--json", "doctor"]);
        let object: Value = serde_json::from_str(&ran.stdout).unwrap();
        let findings = object["findings"].as_array().unwrap().clone();
        findings.iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(codes(&fleet).contains(&"store-unattended".to_owned()));
    fleet.start_agent("one");
    assert!(!codes(&fleet).contains(&"store-unattended".to_owned()));
    assert!(codes(&fleet).contains(&"file-engine".to_owned()), "what is risky about the engine");
    let content = fs::read(fleet.engine()).unwrap();
    fs::remove_file(fleet.engine()).unwrap();
    assert!(codes(&fleet).contains(&"store-empty".to_owned()));
    fleet.env.write(fleet.engine(), "{");
    assert!(codes(&fleet).contains(&"store-away".to_owned()));
    fleet.env.write(fleet.engine(), std::str::from_utf8(&content).unwrap());
    let store = fleet.env.dir().join("one/.maint/store");
    fleet.env.write(&store, "nonsense");
    assert!(codes(&fleet).contains(&"store-unusable".to_owned()));
    let refused = fleet.fails("one", 8, &["on"]);
    assert!(refused.contains("store"), "of whom nobody knows whom it follows: {refused}");
    fs::set_permissions(&store, fs::Permissions::from_mode(0o644)).unwrap();
}
