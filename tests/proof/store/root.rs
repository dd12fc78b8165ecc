//! Requirement 61: root is no more than the owner of a site there.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use tempfile::TempDir;

use crate::can::can_be_others;
use crate::env::{DEPLOY, NOBODY, Run, TestSite, as_user, chmod, maint, names, owner, run};
use crate::say::figure;

/// How often root is raced. In each try the owner exchanges the directory all the time.
const TRIES: usize = 50;

/// A directory that is root's alone, with a state of root's in it.
struct Vault {
    _temp: TempDir,
    dir: PathBuf,
}

impl Vault {
    fn new() -> Self {
        let temp = tempfile::Builder::new().prefix("maint-vault-").tempdir().unwrap();
        // Others may come by but not write.
        chmod(temp.path(), 0o755);
        let dir = temp.path().join("vault");
        fs::create_dir(&dir).unwrap();
        chmod(&dir, 0o755);
        Self { _temp: temp, dir }
    }

    /// Everything in it: name, owner and bytes.
    fn content(&self) -> Vec<(String, u32, Vec<u8>)> {
        let read = |name: String| {
            let path = self.dir.join(&name);
            let bytes = fs::read(&path).unwrap_or_default();
            (name, owner(&path), bytes)
        };
        let mut all: Vec<_> = names(&self.dir).into_iter().map(read).collect();
        all.sort();
        all
    }
}

/// Plants a link, and returns the site that root then works in.
type Plant = fn(&TestSite, &Vault) -> PathBuf;

/// A site of a user who means no good.
fn site_of(uid: u32) -> TestSite {
    let site = TestSite::new();
    site.give_to(uid);
    site
}

fn link_of(uid: u32, target: &Path, link: &Path) {
    symlink(target, link).unwrap();
    std::os::unix::fs::lchown(link, Some(uid), Some(uid)).unwrap();
}

#[test]
fn requirement_61_an_exchange_of_directories_leads_root_nowhere() {
    if !can_be_others() {
        return;
    }
    let vault = Vault::new();
    let site = site_of(DEPLOY);
    // `state.json -> d/x.sh`, and `d` is a directory now and a link into the vault then.
    let (dir, other) = (site.file("d"), site.file("e"));
    fs::create_dir(&dir).unwrap();
    chown(&dir, Some(DEPLOY), Some(DEPLOY)).unwrap();
    link_of(DEPLOY, &vault.dir, &other);
    link_of(DEPLOY, Path::new("d/x.sh"), &site.state_file());
    let is_over = AtomicBool::new(false);
    let exchanges = AtomicUsize::new(0);
    let mut done: Vec<Run> = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                renameat_with(CWD, &dir, CWD, &other, RenameFlags::EXCHANGE).unwrap();
                exchanges.fetch_add(1, Ordering::Relaxed);
            }
        });
        for number in 0..TRIES {
            done.push(site.run(&["on", "-m", &number.to_string(), "--wait", "2s"]));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(vault.content(), [], "root was led into the vault: {done:?}");
    let applied = done.iter().filter(|run| run.code == 0).count();
    figure(&format!(
        "0 of {TRIES} tries, {} exchanges meanwhile, {applied} changes applied in the owner's own directory",
        exchanges.into_inner()
    ));
}

#[test]
fn requirement_61_planted_links_lead_root_nowhere() {
    if !can_be_others() {
        return;
    }
    let plants: [(&str, Plant); 4] = [
        ("the state", |site, vault| {
            link_of(DEPLOY, &vault.dir.join("state.json"), &site.state_file());
            site.dir.clone()
        }),
        ("the templates", |site, vault| {
            let _ = fs::remove_dir(site.file("templates"));
            link_of(DEPLOY, &vault.dir, &site.file("templates"));
            site.dir.clone()
        }),
        ("the site", |site, vault| {
            fs::remove_dir(&site.dir).unwrap();
            link_of(DEPLOY, &vault.dir, &site.dir);
            site.dir.clone()
        }),
        ("a parent", |site, vault| {
            let link = site.project.join("current");
            link_of(DEPLOY, vault.dir.parent().unwrap(), &link);
            link.join("vault")
        }),
    ];

    for (what, plant) in &plants {
        for of_root in [false, true] {
            let vault = Vault::new();
            if of_root {
                crate::env::write(&vault.dir.join("state.json"), r#"{"version":1,"revision":1}"#);
            }
            let before = vault.content();
            let site = site_of(DEPLOY);
            let dir = plant(&site, &vault);
            let page = site.project.join("page.txt");
            crate::env::write(&page, "hello");
            for args in [
                &["on", "-m", "x"][..],
                &["template", "add", "one", page.to_str().unwrap()],
                &["init", "--name", "x"],
                &["restore"],
                &["off", "--all"],
            ] {
                let run = run(&mut maint(&dir, args));
                assert!(!run.stderr.contains("Usage:"), "{args:?}: {run:?}");
                assert_eq!(vault.content(), before, "{what}, {args:?}: {run:?}");
            }
        }
    }
    figure(&format!("{0} of {0} planted links lead nowhere", plants.len()));
}

#[test]
fn requirement_61_a_link_of_one_user_to_a_site_of_another_is_refused() {
    if !can_be_others() {
        return;
    }
    let (victim, planter) = (site_of(DEPLOY), site_of(NOBODY));
    let link = planter.project.join("here");
    link_of(NOBODY, &victim.dir, &link);
    let run = run(&mut maint(&link, &["on", "-m", "x"]));
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("a link of `nobody` leads to a directory of"), "{run:?}");
    assert!(!victim.state_file().exists());
}

#[test]
fn requirement_61_a_way_that_everyone_can_write_to_is_refused() {
    if !can_be_others() {
        return;
    }
    let site = TestSite::new();
    chmod(&site.project, 0o777);
    let run = site.run(&["on", "-m", "x"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("everyone can write"), "{run:?}");
    chmod(&site.project, 0o1777);
    site.ok(&["on", "-m", "x"]);
}

#[test]
fn requirement_61_root_gets_its_own_identity_back() {
    if !can_be_others() {
        return;
    }
    let site = site_of(DEPLOY);
    // The command of a run is the caller's, whoever the site belongs to.
    let run = site.ok(&["run", "--", "id", "-u"]);
    assert_eq!(run.stdout.trim(), "0", "{run:?}");
    for name in ["state.json", "lock", "history.jsonl"] {
        assert_eq!(owner(&site.file(name)), DEPLOY, "{name}");
    }
}

/// The flag of somebody who would like to see as whom its commands are run.
fn with_commands(site: &TestSite, uid: u32) -> PathBuf {
    let trace = site.project.join("trace");
    let say = format!("id -u >> {0}; grep Uid /proc/self/status >> {0}", trace.display());
    let check = format!("{say}; test -e {}", site.project.join("down").display());
    let args = ["flag", "add", "exec", "--on", &say, "--off", &say, "--check", &check];
    let added = run(&mut as_user(uid, &site.dir, &args));
    assert_eq!(added.code, 0, "{added:?}");
    let _ = fs::remove_file(&trace);
    trace
}

#[test]
fn requirement_61_root_runs_no_command_of_somebody_else() {
    if !can_be_others() {
        return;
    }
    let site = site_of(DEPLOY);
    let trace = with_commands(&site, DEPLOY);
    for args in [
        &["on", "-m", "x"][..],
        &["flag", "list"],
        &["flag", "sync"],
        &["status"],
        &["doctor"],
        &["off"],
        &["flag", "remove", "exec"],
    ] {
        let run = site.run(args);
        assert!(!trace.exists(), "{args:?}: {:?}", fs::read_to_string(&trace));
        if matches!(args[0], "on" | "off") || args.get(1) == Some(&"sync") {
            assert_eq!(run.code, 10, "{args:?}: {run:?}");
            let said = format!("{}{}", run.stdout, run.stderr);
            assert!(said.contains("root runs no commands of"), "{args:?}: {run:?}");
        }
    }
    assert!(site.state().windows.is_empty(), "the state itself was changed");
    let added = site.run(&["flag", "add", "exec", "--id", "b", "--on", "true", "--off", "true"]);
    assert_eq!(added.code, 10, "{added:?}");

    // Who may look at the site of somebody else lends them nothing either.
    for args in [&["flag", "list"][..], &["status"]] {
        let seen = run(&mut as_user(NOBODY, &site.dir, args));
        assert!(!trace.exists(), "{seen:?}");
    }
    let own = run(&mut as_user(DEPLOY, &site.dir, &["flag", "list"]));
    assert!(own.code == 0 && trace.exists(), "{own:?}");
    let seen = fs::read_to_string(&trace).unwrap();
    assert!(seen.lines().all(|line| line.contains(&DEPLOY.to_string())), "{seen}");
}

#[test]
fn requirement_61_root_runs_its_own_commands_unless_others_can_write_them() {
    if !can_be_others() {
        return;
    }
    let site = TestSite::new();
    let trace = site.project.join("trace");
    let say = format!("id -u >> {}", trace.display());
    site.ok(&["flag", "add", "exec", "--on", &say, "--off", &say]);
    assert_eq!(fs::read_to_string(&trace).unwrap(), "0\n");
    for (path, mode) in [(site.dir.clone(), 0o775), (site.file("flags.json"), 0o660)] {
        let before = fs::metadata(&path).unwrap().permissions();
        chmod(&path, mode);
        let on = site.run(&["on"]);
        assert_eq!(on.code, 10, "{}: {on:?}", path.display());
        assert!(on.stderr.contains("others can write"), "{on:?}");
        fs::set_permissions(&path, before).unwrap();
        site.run(&["off"]);
    }
    chown(site.file("flags.json"), Some(DEPLOY), None).unwrap();
    assert_eq!(site.run(&["on"]).code, 10);
    let seen = fs::read_to_string(&trace).unwrap();
    assert_eq!(seen.lines().filter(|line| *line == "0").count(), 2, "add, and one off: {seen}");
}

/// A site of root's with flags in a folder of somebody else, and that folder.
fn with_flags_of_others() -> (TestSite, PathBuf) {
    let site = TestSite::new();
    let theirs = site.project.join("theirs");
    for folder in [theirs.clone(), theirs.join("a"), theirs.join("web")] {
        fs::create_dir(&folder).unwrap();
        chown(&folder, Some(DEPLOY), Some(DEPLOY)).unwrap();
        chmod(&folder, 0o755);
    }
    let path = |name: &str| theirs.join(name).to_str().unwrap().to_owned();
    site.ok(&["flag", "add", "file", &path("a/flag")]);
    site.ok(&["flag", "add", "page", &path("a/page.html")]);
    site.ok(&["flag", "add", "web", &path("web")]);
    site.ok(&["ignore", "add", "ip", "192.0.2.7"]);
    (site, theirs)
}

#[test]
fn requirement_61_a_link_in_the_folder_of_a_flag_leads_root_nowhere() {
    if !can_be_others() {
        return;
    }
    let vault = Vault::new();
    for name in ["a", "web", "web/allow"] {
        let (site, theirs) = with_flags_of_others();
        let _ = fs::remove_dir(theirs.join(name));
        link_of(DEPLOY, &vault.dir, &theirs.join(name));
        for args in [&["on"][..], &["flag", "sync"], &["status"], &["off"]] {
            let run = site.run(args);
            assert_eq!(vault.content(), [], "{name}, {args:?}: {run:?}");
            let expected = if matches!(args[0], "on" | "flag") { 10 } else { 0 };
            assert_eq!(run.code, expected, "{name}, {args:?}: {run:?}");
        }
        site.ok(&["flag", "remove", "web"]);
        assert_eq!(vault.content(), [], "{name}");
    }
}

#[test]
fn requirement_61_an_exchange_of_the_folder_of_a_flag_leads_root_nowhere() {
    if !can_be_others() {
        return;
    }
    let vault = Vault::new();
    let (site, theirs) = with_flags_of_others();
    let (dir, other) = (theirs.join("a"), theirs.join("b"));
    link_of(DEPLOY, &vault.dir, &other);
    let is_over = AtomicBool::new(false);
    let mut done: Vec<Run> = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                renameat_with(CWD, &dir, CWD, &other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for _ in 0..TRIES / 2 {
            done.extend([site.run(&["on", "-m", "x"]), site.run(&["off"])]);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(vault.content(), [], "root was led into the vault: {done:?}");
    let followed = done.iter().filter(|run| run.code == 0).count();
    figure(&format!("0 of {TRIES} changes, of which {followed} were followed"));
}
