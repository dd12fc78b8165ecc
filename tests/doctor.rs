//! What the doctor finds: each test plants one fault.

#![cfg(unix)]

#[path = "common/say.rs"]
mod say;

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use maint::flags::{self, Flag};
use maint::internal::doctor::{self, Finding, Level};
use maint::rules::{Kind, Matcher};
use maint::site::Environment;
use maint::state::PageSettings;
use maint::state::{RuleSettings, WindowSettings};
use maint::{Site, store};
use say::{figure, skip};
use tempfile::TempDir;

/// A sound site that everyone can read, in a directory of its own.
struct Clinic {
    _temp: TempDir,
    root: PathBuf,
    site: Site,
}

impl Clinic {
    fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    fn within(directory: &Path) -> Self {
        let temp = tempfile::tempdir_in(directory).unwrap();
        let root = fs::canonicalize(temp.path()).unwrap();
        set_mode(&root, 0o755);
        let dir = root.join("app/.maint");
        fs::create_dir_all(dir.join("templates")).unwrap();
        for directory in ["app", "app/.maint", "app/.maint/templates"] {
            set_mode(&root.join(directory), 0o755);
        }
        let clinic = Self { _temp: temp, root, site: Site::at(dir) };
        clinic.on("first", &WindowSettings::default());
        clinic.off("first");
        clinic
    }

    fn state(&self) -> PathBuf {
        self.site.state_file()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.site.dir().join(name)
    }

    fn on(&self, name: &str, settings: &WindowSettings) {
        self.on_at(name, settings, Timestamp::now());
    }

    fn on_at(&self, name: &str, settings: &WindowSettings, now: Timestamp) {
        let options = store::Options::new("on").now(now);
        store::update(&self.site, &options, |state, stamp| {
            state.open_window(name, settings, stamp)
        })
        .unwrap();
    }

    fn off(&self, name: &str) {
        let options = store::Options::new("off");
        store::update(&self.site, &options, |state, stamp| state.close_window(name, stamp.now))
            .unwrap();
    }

    fn findings(&self) -> Vec<Finding> {
        self.findings_for(None)
    }

    fn findings_for(&self, web_user: Option<&str>) -> Vec<Finding> {
        examine(&self.site, web_user)
    }
}

fn examine(site: &Site, web_user: Option<&str>) -> Vec<Finding> {
    doctor::examine(site, &Environment::default(), web_user, Timestamp::now())
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn write(path: &Path, text: &str) {
    let mut file = File::options().write(true).create(true).truncate(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[track_caller]
fn only<'f>(findings: &'f [Finding], code: &str) -> &'f Finding {
    let found: Vec<&Finding> = findings.iter().filter(|finding| finding.code == code).collect();
    assert_eq!(found.len(), 1, "{code} in {findings:#?}");
    found[0]
}

#[track_caller]
fn expect(findings: &[Finding], level: Level, code: &str, part: &str) {
    let finding = only(findings, code);
    assert_eq!(finding.level, level, "{finding:?}");
    assert!(finding.message.contains(part), "{part}: {finding:?}");
}

fn has(findings: &[Finding], code: &str) -> bool {
    findings.iter().any(|finding| finding.code == code)
}

/// Every file below a directory, with everything that an examination could change.
fn picture(root: &Path) -> BTreeMap<PathBuf, (u32, u64, std::time::SystemTime)> {
    let mut all = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let entry = (metadata.permissions().mode(), metadata.len(), metadata.modified().unwrap());
        all.insert(path, entry);
    }
    all
}

#[test]
fn a_sound_site_has_no_problem_and_is_left_as_it_is() {
    let clinic = Clinic::new();
    let before = picture(&clinic.root);
    let findings = clinic.findings();
    // The temporary directory itself earns these warnings.
    let others: Vec<&Finding> = findings
        .iter()
        .filter(|finding| {
            let place = ["temporary-directory", "memory-file-system", "container-layer"];
            !place.contains(&finding.code)
        })
        .collect();
    assert!(others.is_empty(), "{others:#?}");
    assert_eq!(picture(&clinic.root), before);
}

#[test]
fn requirement_30_eight_planted_faults_are_found() {
    let mut found = Vec::new();
    let mut plant = |name: &str, code: &str, fault: &dyn Fn(&Clinic)| {
        let clinic = Clinic::new();
        assert!(!has(&clinic.findings(), code), "{name} before it is planted");
        fault(&clinic);
        assert!(has(&clinic.findings(), code), "{name}: {:#?}", clinic.findings());
        found.push(name.to_owned());
    };
    plant("mode 0600", "others-locked-out", &|clinic| set_mode(&clinic.state(), 0o600));
    plant("root-only parent", "others-locked-out", &|clinic| {
        set_mode(&clinic.root.join("app"), 0o700);
    });
    plant("other-writable directory", "directory-writable", &|clinic| {
        set_mode(clinic.site.dir(), 0o757);
    });
    plant("sticky directory", "directory-sticky", &|clinic| {
        set_mode(clinic.site.dir(), 0o1777);
    });
    plant("symlink out", "link-leaves-site", &|clinic| {
        let elsewhere = clinic.root.join("elsewhere.json");
        fs::copy(clinic.state(), &elsewhere).unwrap();
        fs::remove_file(clinic.state()).unwrap();
        symlink(&elsewhere, clinic.state()).unwrap();
    });
    if on_network().is_some() {
        found.push("NFS".to_owned());
    }
    if in_memory().is_some() {
        found.push("tmpfs".to_owned());
    }
    if labelled().is_some() {
        found.push("SELinux label".to_owned());
    }
    figure(&format!("found {} of 8: {found:?}", found.len()));
    assert!(found.len() >= 5, "the others were skipped loudly");
}

/// Makes the kernel report a site as on NFS, which strace(1) can do; `None` after a
/// `SKIPPED` line where that is not possible.
fn on_network() -> Option<()> {
    let clinic = Clinic::new();
    let log = clinic.root.join("strace.log");
    // NFS_SUPER_MAGIC of linux/magic.h, in this machine's byte order.
    let magic = format!("{:016x}", 0x6969_u64.to_be());
    let output = std::process::Command::new("strace")
        .args(["-f", "-o", log.to_str().unwrap(), "-e", "trace=statfs", "-e"])
        .arg(format!("inject=statfs:poke_exit=@arg2={magic}"))
        .args([env!("CARGO_BIN_EXE_maint"), "--json", "--site"])
        .arg(clinic.site.dir())
        .arg("doctor")
        .output();
    let is_poked = fs::read_to_string(&log).is_ok_and(|log| log.contains("INJECTED: args"));
    match output {
        Ok(output) if is_poked => {
            let found = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(found.contains("\"network-file-system\""), "{found}");
            Some(())
        }
        other => {
            skip(&format!("strace cannot change what statfs says here: {other:?}"));
            None
        }
    }
}

/// Plants a site in memory; `None` after a `SKIPPED` line where that cannot be done.
fn in_memory() -> Option<()> {
    let shm = Path::new("/dev/shm");
    if fs::read_to_string("/proc/mounts").is_ok_and(|text| text.contains(" /dev/shm tmpfs ")) {
        let clinic = Clinic::within(shm);
        expect(&clinic.findings(), Level::Warning, "memory-file-system", "tmpfs");
        return Some(());
    }
    let clinic = Clinic::new();
    let found = examined_after("mount -t tmpfs -o mode=755 none $SITE", &clinic.site)?;
    assert!(found.contains("\"memory-file-system\""), "{found}");
    Some(())
}

/// Plants a label; `None` after a `SKIPPED` line where the file system refuses.
fn labelled() -> Option<()> {
    let clinic = Clinic::new();
    let set = |path: &Path, label: &[u8]| {
        rustix::fs::setxattr(path, "security.selinux", label, rustix::fs::XattrFlags::empty())
    };
    let usual = b"system_u:object_r:httpd_sys_content_t:s0\0";
    if let Err(cause) = set(clinic.site.dir(), usual).and_then(|()| set(&clinic.state(), usual)) {
        skip(&format!("SELinux labels cannot be set here: {cause}"));
        return None;
    }
    assert!(!has(&clinic.findings(), "selinux-type"));
    set(&clinic.state(), b"unconfined_u:object_r:user_tmp_t:s0\0").unwrap();
    let findings = clinic.findings();
    expect(&findings, Level::Warning, "selinux-type", "`user_tmp_t`");
    assert!(only(&findings, "selinux-type").fix.as_ref().unwrap().contains("restorecon"));
    Some(())
}

#[test]
fn requirement_30_a_declared_web_user_who_is_shut_out_is_a_problem() {
    let clinic = Clinic::new();
    let Some(user) = stranger() else {
        return;
    };
    assert!(!has(&clinic.findings_for(Some(user)), "web-user-locked-out"));
    set_mode(&clinic.state(), 0o640);
    expect(&clinic.findings_for(Some(user)), Level::Problem, "web-user-locked-out", "cannot read");
    set_mode(&clinic.state(), 0o644);
    set_mode(&clinic.root.join("app"), 0o750);
    let findings = clinic.findings_for(Some(user));
    let door = only(&findings, "web-user-locked-out");
    assert_eq!(door.path.as_deref(), Some(clinic.root.join("app").as_path()));
    assert!(door.fix.as_ref().unwrap().contains("chmod o+x"), "{door:?}");
    assert_eq!(findings[0].level, Level::Problem, "the worst is first");
}

/// A user of this host other than the one running the tests.
fn stranger() -> Option<&'static str> {
    let me = rustix::process::geteuid().as_raw();
    let found = ["nobody", "www-data", "daemon"].into_iter().find(|name| {
        let user = nix::unistd::User::from_name(name).ok().flatten();
        user.is_some_and(|user| user.uid.as_raw() != me)
    });
    if found.is_none() {
        skip("there is no other user on this host");
    }
    found
}

#[test]
fn requirement_30_a_web_user_who_does_not_exist_is_a_problem() {
    let clinic = Clinic::new();
    let findings = clinic.findings_for(Some("no-such-user-here"));
    expect(&findings, Level::Problem, "web-user-unknown", "no-such-user-here");
}

#[test]
fn requirement_30_the_web_user_that_the_state_names_counts() {
    let clinic = Clinic::new();
    store::update(&clinic.site, &store::Options::new("init"), |state, _| {
        state.web_user = Some("no-such-user-here".to_owned());
        Ok(())
    })
    .unwrap();
    assert!(has(&clinic.findings(), "web-user-unknown"));
}

#[test]
fn requirement_31_what_everyone_can_write_is_a_problem() {
    let faults: [(&str, u32, &str); 3] = [
        ("", 0o757, "directory-writable"),
        ("state.json", 0o646, "file-writable"),
        ("", 0o1777, "directory-sticky"),
    ];
    for (name, mode, code) in faults {
        let clinic = Clinic::new();
        set_mode(&clinic.file(name), mode);
        let findings = clinic.findings();
        let finding = only(&findings, code);
        assert_eq!(finding.level, Level::Problem);
        assert!(finding.fix.as_ref().unwrap().contains("chmod"), "{finding:?}");
    }
    let clinic = Clinic::new();
    set_mode(&clinic.root.join("app"), 0o757);
    expect(&clinic.findings(), Level::Problem, "parent-writable", "app");
    set_mode(&clinic.root.join("app"), 0o755);
    set_mode(&clinic.file("templates"), 0o757);
    expect(&clinic.findings(), Level::Problem, "directory-writable", "templates");
    figure("5 of 5 told");
}

#[test]
fn requirement_12_special_targets_are_told_and_never_waited_for() {
    let fifo = |path: &Path| {
        let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    };
    let clinic = Clinic::new();
    fs::remove_file(clinic.state()).unwrap();
    fs::create_dir(clinic.state()).unwrap();
    expect(&clinic.findings(), Level::Problem, "state-not-a-file", "a directory");

    for (name, code) in [
        ("state.json", "state-not-a-file"),
        ("history.jsonl", "history-not-a-file"),
        ("lock", "lock-not-a-file"),
    ] {
        let clinic = Clinic::new();
        fs::remove_file(clinic.file(name)).unwrap();
        fifo(&clinic.file(name));
        assert!(only(&clinic.findings(), code).message.contains("a FIFO"));
    }
    let clinic = Clinic::new();
    fs::remove_file(clinic.file("state.json.bak")).unwrap();
    fifo(&clinic.file("state.json.bak"));
    expect(&clinic.findings(), Level::Warning, "backup-broken", "a FIFO");

    let clinic = Clinic::new();
    set_mode(&clinic.state(), 0o4644);
    expect(&clinic.findings(), Level::Problem, "state-setuid", "setuid");

    let clinic = Clinic::new();
    fs::hard_link(clinic.state(), clinic.root.join("second")).unwrap();
    expect(&clinic.findings(), Level::Warning, "state-hard-linked", "1 more name");
    figure("7 of 7 told, 0 hangs");
}

#[test]
fn a_broken_state_is_a_problem_and_the_mend_is_restore_if_there_is_a_backup() {
    for (text, code) in [
        ("{", "state-corrupt"),
        ("", "state-corrupt"),
        (r#"{"version":99,"revision":1}"#, "state-newer"),
    ] {
        let clinic = Clinic::new();
        write(&clinic.state(), text);
        let findings = clinic.findings();
        let finding = only(&findings, code);
        assert_eq!(finding.level, Level::Problem);
        let fix = finding.fix.as_ref().unwrap();
        assert_eq!(fix.contains(" restore"), code == "state-corrupt", "{fix}");
        fs::remove_file(clinic.file("state.json.bak")).unwrap();
        let findings = clinic.findings();
        assert!(!only(&findings, code).fix.as_ref().unwrap().contains("restore"));
    }
    let clinic = Clinic::new();
    File::options().write(true).open(clinic.state()).unwrap().set_len(9 << 20).unwrap();
    expect(&clinic.findings(), Level::Problem, "state-corrupt", "are allowed");
}

#[test]
fn a_missing_state_is_a_note_and_a_lost_one_a_warning() {
    let clinic = Clinic::new();
    fs::remove_file(clinic.state()).unwrap();
    expect(&clinic.findings(), Level::Warning, "state-lost", "is gone");
    for name in ["state.json.bak", "history.jsonl"] {
        fs::remove_file(clinic.file(name)).unwrap();
    }
    expect(&clinic.findings(), Level::Note, "state-missing", "nothing is down");
    fs::remove_dir_all(clinic.site.dir()).unwrap();
    let findings = clinic.findings();
    expect(&findings, Level::Problem, "directory-missing", "does not exist");
    assert!(!has(&findings, "state-missing"), "said once");
}

#[test]
fn requirement_32_every_kind_of_link_is_told() {
    let linked = |to: &str| {
        let clinic = Clinic::new();
        fs::remove_file(clinic.state()).unwrap();
        symlink(to, clinic.state()).unwrap();
        clinic
    };
    expect(&linked("state.json").findings(), Level::Problem, "link-loop", "loop");
    expect(&linked("gone.json").findings(), Level::Warning, "link-dangling", "nothing is down");
    expect(&linked("no/dir.json").findings(), Level::Problem, "link-dangling", "can be changed");
    let clinic = linked("templates/../real.json");
    write(&clinic.file("real.json"), r#"{"version":1,"revision":0}"#);
    expect(&clinic.findings(), Level::Note, "state-linked", "real.json");

    let clinic = linked("../../open/state.json");
    fs::create_dir(clinic.root.join("open")).unwrap();
    set_mode(&clinic.root.join("open"), 0o777);
    write(&clinic.root.join("open/state.json"), r#"{"version":1,"revision":0}"#);
    let findings = clinic.findings();
    expect(&findings, Level::Warning, "link-leaves-site", "open/state.json");
    expect(&findings, Level::Problem, "directory-writable", "open");
    figure("5 of 5 told");
}

#[test]
fn requirement_35_a_site_in_one_release_is_told_and_a_link_out_of_it_is_fine() {
    let clinic = Clinic::new();
    let dir = clinic.root.join("releases/7/.maint");
    fs::create_dir_all(&dir).unwrap();
    write(&dir.join("state.json"), r#"{"version":1,"revision":0}"#);
    let findings = examine(&Site::at(&dir), None);
    let shared = clinic.root.join("shared/.maint");
    let fix = only(&findings, "release-directory").fix.as_ref().unwrap();
    assert!(fix.contains(shared.to_str().unwrap()), "{fix}");

    fs::create_dir_all(&shared).unwrap();
    write(&shared.join("state.json"), r#"{"version":1,"revision":0}"#);
    fs::remove_file(dir.join("state.json")).unwrap();
    symlink("../../../shared/.maint/state.json", dir.join("state.json")).unwrap();
    let findings = examine(&Site::at(&dir), None);
    assert!(!has(&findings, "release-directory"));
    assert_eq!(only(&findings, "link-leaves-site").level, Level::Note);
    figure("1 of 1 told");
}

#[test]
fn requirement_35_other_places_that_surprise_are_told() {
    let clinic = Clinic::new();
    let around = |variable: Option<&Path>| {
        let mut around = Environment::default();
        around.variable = variable.map(|path| path.as_os_str().to_owned());
        around.directory = Some(clinic.root.join("other"));
        around.user_state = Some(clinic.root.join("home/.local/state"));
        around
    };
    fs::create_dir_all(clinic.root.join("other/.maint")).unwrap();
    let now = Timestamp::now();

    let other = around(Some(clinic.site.dir()));
    let site = Site::discover_in(None, &other).unwrap();
    let findings = doctor::examine(&site, &other, None, now);
    expect(&findings, Level::Warning, "other-site", "other/.maint");
    assert!(!has(&findings, "relative-variable"));

    let relative = around(Some(Path::new("../app/.maint")));
    let site = Site::discover_in(None, &relative).unwrap();
    assert!(has(&doctor::examine(&site, &relative, None, now), "relative-variable"));

    let mut alone = around(None);
    alone.directory = Some("/".into());
    let site = Site::discover_in(None, &alone).unwrap();
    let findings = doctor::examine(&site, &alone, None, now);
    expect(&findings, Level::Warning, "user-directory", "alone");
    expect(&findings, Level::Note, "directory-missing", "first change");

    // A project whose site is not there yet, in a release and below a planted site.
    let mut project = around(None);
    let release = clinic.root.join("releases/7");
    fs::create_dir_all(&release).unwrap();
    write(&release.join("manage.py"), "");
    fs::create_dir(clinic.root.join(".maint")).unwrap();
    set_mode(&clinic.root.join(".maint"), 0o777);
    project.directory = Some(release.clone());
    let site = Site::discover_in(None, &project).unwrap();
    let findings = doctor::examine(&site, &project, None, now);
    expect(&findings, Level::Note, "directory-missing", "first change");
    expect(&findings, Level::Warning, "release-directory", "next one starts without it");
    expect(&findings, Level::Warning, "site-passed-over", "everyone can write to it");

    let public = clinic.root.join("public/.maint");
    fs::create_dir_all(&public).unwrap();
    assert!(has(&examine(&Site::at(public), None), "public-directory"));
    figure("6 of 6 told");
}

#[test]
fn requirement_18_a_lock_that_strangers_can_open_is_a_problem() {
    let clinic = Clinic::new();
    assert!(!has(&clinic.findings(), "lock-open"));
    set_mode(&clinic.file("lock"), 0o644);
    expect(&clinic.findings(), Level::Problem, "lock-open", "lock");
    fs::remove_file(clinic.file("lock")).unwrap();
    symlink("/etc/passwd", clinic.file("lock")).unwrap();
    expect(&clinic.findings(), Level::Problem, "lock-not-a-file", "a symbolic link");
}

#[test]
fn requirement_29_files_that_sudo_left_behind_are_told() {
    if !is_root() {
        skip("only root can give files away");
        return;
    }
    let clinic = Clinic::new();
    std::os::unix::fs::chown(clinic.site.dir(), Some(4_321), Some(4_321)).unwrap();
    let findings = clinic.findings();
    let finding = only(&findings, "owner-locked-out");
    assert_eq!(finding.level, Level::Problem);
    for name in ["lock", "history.jsonl", "templates"] {
        assert!(finding.message.contains(name), "{name}: {}", finding.message);
    }
    let fix = finding.fix.as_ref().unwrap();
    assert!(fix.contains("chown 4321 ") && fix.contains("history.jsonl"), "{fix}");
    figure("3 of 3 files told");
}

#[test]
fn requirement_33_an_access_list_decides_and_a_lost_one_is_told() {
    let clinic = Clinic::new();
    let setfacl = |arguments: &[&str], path: &Path| {
        std::process::Command::new("setfacl")
            .args(arguments)
            .arg(path)
            .status()
            .is_ok_and(|status| status.success())
    };
    let Some(user) = stranger() else {
        return;
    };
    if !setfacl(&["-b"], &clinic.state()) {
        skip("there is no `setfacl` that works here");
        return;
    }
    set_mode(&clinic.state(), 0o640);
    assert!(has(&clinic.findings_for(Some(user)), "web-user-locked-out"));
    assert!(setfacl(&["-m", &format!("u:{user}:r")], &clinic.state()));
    let findings = clinic.findings_for(Some(user));
    assert!(!has(&findings, "web-user-locked-out"), "{findings:#?}");
    assert!(has(&findings, "access-list"));
    clinic.on("again", &WindowSettings::default());
    assert!(setfacl(&["-b"], &clinic.state()));
    expect(&clinic.findings(), Level::Warning, "access-list-lost", "state.json.bak");
}

/// Lets the command examine a site among private mounts, made by a script that gets
/// the site directory as `$SITE`; `None` after a `SKIPPED` line where that is not allowed.
fn examined_after(script: &str, site: &Site) -> Option<String> {
    // A problem makes it exit 1, so its code does not show whether the mounts worked.
    let script = format!("set -e; {script}; \"$0\" --json --site \"$SITE\" doctor || [ $? = 1 ]");
    let output = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .arg(env!("CARGO_BIN_EXE_maint"))
        .env("SITE", site.dir())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        other => {
            skip(&format!("mounting is not possible here: {other:?}"));
            None
        }
    }
}

#[test]
fn requirement_34_a_state_file_that_is_a_mount_point_or_deleted_is_found() {
    let clinic = Clinic::new();
    let mount = "cp $SITE/state.json $SITE/../outside.json; \
        mount --bind $SITE/../outside.json $SITE/state.json";
    if let Some(found) = examined_after(mount, &clinic.site) {
        assert!(found.contains("\"state-mounted\""), "{found}");
        assert!(!found.contains("\"state-deleted\""), "{found}");
    }
    let replaced = format!("{mount}; rm $SITE/../outside.json");
    if let Some(found) = examined_after(&replaced, &clinic.site) {
        assert!(found.contains("\"state-deleted\""), "{found}");
    }
    assert!(!has(&clinic.findings(), "state-mounted"), "the mount is gone with the process");
}

#[test]
fn a_place_that_is_full_in_memory_or_read_only_is_told() {
    let clinic = Clinic::new();
    let mount = "mount -t tmpfs -o size=1m,mode=755 none $SITE";
    if let Some(found) = examined_after(mount, &clinic.site) {
        assert!(found.contains("\"memory-file-system\""), "{found}");
        assert!(!found.contains("\"disk-full\""), "{found}");
    }
    let full = format!("{mount}; cat /dev/zero > $SITE/fill 2>/dev/null || true");
    if let Some(found) = examined_after(&full, &clinic.site) {
        assert!(found.contains("\"disk-full\""), "{found}");
    }
    let read_only = format!("{mount}; mount -o remount,ro $SITE");
    if let Some(found) = examined_after(&read_only, &clinic.site) {
        assert!(found.contains("\"read-only\""), "{found}");
    }
}

#[test]
fn requirement_79_a_flag_that_does_not_follow_is_a_problem_with_its_fix() {
    let clinic = Clinic::new();
    let flag = |name: &str| Flag::new(flags::Kind::File).at(clinic.root.join(name));
    let options = store::Options::new("test");
    for name in ["gone", "theirs", "fine"] {
        store::add_flag(&clinic.site, &options, name, flag(name), false).unwrap();
    }
    clinic.on("w", &WindowSettings::new());
    assert!(!has(&clinic.findings(), "flag-behind"));
    fs::remove_file(clinic.root.join("gone")).unwrap();
    write(&clinic.root.join("theirs"), "mine");
    let findings = clinic.findings();
    let behind: Vec<_> = findings.iter().filter(|finding| finding.code == "flag-behind").collect();
    assert_eq!(behind.len(), 2, "{behind:?}");
    let fixes: Vec<&str> = behind.iter().map(|finding| finding.fix.as_deref().unwrap()).collect();
    assert!(fixes[0].contains("flag sync gone`"), "{fixes:?}");
    assert!(fixes[1].contains("flag sync theirs --take-over`"), "{fixes:?}");
    write(&clinic.site.flags_file(), "{");
    expect(&clinic.findings(), Level::Problem, "flags-unusable", "flags.json");
}

#[test]
fn requirement_80_a_flag_that_nobody_sets_when_the_time_has_come_is_a_warning() {
    let clinic = Clinic::new();
    let flag = Flag::new(flags::Kind::File).at(clinic.root.join("down"));
    store::add_flag(&clinic.site, &store::Options::new("test"), "it", flag, false).unwrap();
    clinic.on("w", &WindowSettings::new());
    assert!(!has(&clinic.findings(), "flags-unattended"), "it has no end");
    clinic.on("w", &WindowSettings::new().end(Timestamp::now() + SignedDuration::from_hours(1)));
    expect(&clinic.findings(), Level::Warning, "flags-unattended", "`it`");
    let agent = maint::internal::agent::Agent::start(&clinic.site, store::Options::new("agent"));
    let agent = agent.unwrap();
    assert!(!has(&clinic.findings(), "flags-unattended"));
    drop(agent);
    expect(&clinic.findings(), Level::Warning, "flags-unattended", "`it`");
}

#[test]
fn a_flag_in_a_folder_that_the_web_server_may_not_enter_is_a_problem() {
    let Some(user) = stranger() else { return };
    let clinic = Clinic::new();
    let folder = clinic.root.join("folder");
    fs::create_dir(&folder).unwrap();
    set_mode(&folder, 0o755);
    let flag = Flag::new(flags::Kind::File).at(folder.join("down"));
    store::add_flag(&clinic.site, &store::Options::new("test"), "it", flag, false).unwrap();
    assert!(!has(&clinic.findings_for(Some(user)), "flag-unseen"));
    set_mode(&folder, 0o700);
    expect(&clinic.findings_for(Some(user)), Level::Problem, "flag-unseen", "`it`");
}

#[test]
fn requirement_38_a_clock_behind_the_last_change_is_told() {
    let clinic = Clinic::new();
    let at = |seconds| Timestamp::now() - SignedDuration::from_secs(seconds);
    let findings = |now| doctor::examine(&clinic.site, &Environment::default(), None, now);
    assert!(!has(&findings(at(30)), "clock-behind"), "small differences are normal");
    expect(&findings(at(3_600)), Level::Warning, "clock-behind", "in the future of this clock");
    figure("an hour behind: yes; half a minute behind: no");
}

#[test]
fn windows_rules_and_pages_that_are_not_what_they_seem_are_told() {
    let clinic = Clinic::new();
    let ago = |hours| Timestamp::now() - SignedDuration::from_hours(hours);
    clinic.on_at("old", &WindowSettings::default(), ago(30));
    let short = WindowSettings::new().end(ago(2));
    clinic.on_at("short", &short, ago(3));
    let page = PageSettings::new().status(200).redirect("/sorry?x=1").template("missing");
    let options = store::Options::new("ignore add");
    // As if the template had gone later: the store refuses one that is missing.
    let planted = options.clone().purpose(store::Purpose::Restore);
    store::update(&clinic.site, &planted, |state, stamp| {
        state.open_window("page", &WindowSettings::new().page(page.clone()), stamp)
    })
    .unwrap();
    let rules = [
        (Kind::Ip, "127.0.0.1", None, false),
        (Kind::Path, "/gone", Some(ago(1)), false),
        (Kind::Host, "*", None, true),
    ];
    for (kind, value, expiry, everything) in rules {
        let matcher = Matcher::parse(&kind, value).unwrap();
        store::update(&clinic.site, &options, |state, _| {
            let settings = RuleSettings::new().expires_at(expiry).everything(everything);
            state.add_rule(&matcher, &settings, store::Stamp::new(ago(5), &options.actor))
        })
        .unwrap();
    }
    let findings = clinic.findings();
    expect(&findings, Level::Warning, "window-forgotten", "`old`");
    assert!(only(&findings, "window-forgotten").message.contains("30 hours"));
    expect(&findings, Level::Note, "window-ended", "`short`");
    expect(&findings, Level::Warning, "status-200", "`page`");
    expect(&findings, Level::Problem, "template-missing", "`missing`");
    expect(&findings, Level::Note, "rule-expired", "`r");
    expect(&findings, Level::Warning, "rule-for-proxy", "127.0.0.1");
    expect(&findings, Level::Warning, "rule-for-everyone", "host `*`");
    // The rule for every host lets the redirect's target through.
    assert!(!has(&findings, "redirect-loop"));
    store::update(&clinic.site, &options, |state, _| {
        state.ignore.clear();
        Ok(())
    })
    .unwrap();
    expect(&clinic.findings(), Level::Warning, "redirect-loop", "`/sorry`");
}

#[test]
fn requirement_63_a_template_made_to_do_harm_is_named_and_the_others_are_looked_at() {
    let clinic = Clinic::new();
    write(&clinic.file("templates/a.html"), &format!("\n{{{{ {}1 }}}}", "not ".repeat(50_000)));
    write(&clinic.file("templates/b.html"), &"{% set x = x + x %}".repeat(60));
    write(&clinic.file("templates/c.html"), "{% if %}");
    let findings = clinic.findings();
    for what in ["a.html` is refused for line 2", "b.html` is refused for line 1", "c.html"] {
        let is_meant = |finding: &&Finding| {
            finding.code == "template-broken" && finding.message.contains(what)
        };
        assert_eq!(findings.iter().filter(is_meant).count(), 1, "{what}: {findings:?}");
    }
}

#[test]
fn templates_with_mistakes_or_edited_by_hand_are_told() {
    let clinic = Clinic::new();
    let options = store::Options::new("template add");
    store::add_template(&clinic.site, &options, "sorry.html", "<p>{{ reason }}</p>").unwrap();
    assert!(!has(&clinic.findings(), "template-edited"));
    let path = clinic.file("templates/sorry.html");
    write(&path, "<p>{{ reason }}!</p>");
    let findings = clinic.findings();
    expect(&findings, Level::Warning, "template-edited", "was edited");
    assert!(only(&findings, "template-edited").fix.as_ref().unwrap().contains("--replace"));

    write(&path, "{% if %}");
    expect(&clinic.findings(), Level::Warning, "template-broken", "line 1");
    let planted = options.clone().purpose(store::Purpose::Restore);
    store::update(&clinic.site, &planted, |state, _| {
        state.page.template = Some("sorry".to_owned());
        Ok(())
    })
    .unwrap();
    expect(&clinic.findings(), Level::Problem, "template-broken", "the site uses it");
    fs::remove_file(&path).unwrap();
    symlink("/etc/passwd", &path).unwrap();
    expect(&clinic.findings(), Level::Problem, "template-broken", "symbolic link");
    fs::remove_file(&path).unwrap();
    let findings = clinic.findings();
    expect(&findings, Level::Note, "template-deleted", "sorry.html");
    expect(&findings, Level::Problem, "template-missing", "`sorry`");
    write(&clinic.file("templates/über uns.html"), "x");
    expect(&clinic.findings(), Level::Note, "template-passed-over", "über uns.html");
}

#[test]
fn histories_backups_and_leftovers_are_looked_at() {
    let clinic = Clinic::new();
    fs::remove_file(clinic.file("state.json.bak")).unwrap();
    expect(&clinic.findings(), Level::Note, "backup-missing", "restore");
    write(&clinic.file("state.json.bak"), "{");
    expect(&clinic.findings(), Level::Warning, "backup-broken", "is broken");

    let history = fs::read_to_string(clinic.file("history.jsonl")).unwrap();
    let first = history.lines().next().unwrap();
    write(&clinic.file("history.jsonl"), &format!("{first}\n"));
    expect(&clinic.findings(), Level::Note, "history-behind", "lacks revision 2");
    write(&clinic.file("history.jsonl"), &format!("{history}junk\n"));
    expect(&clinic.findings(), Level::Warning, "history-broken", "1 line");

    write(&clinic.file(".state.json.0123456789abcdef.tmp"), "x");
    write(&clinic.file(".state.json.mine.tmp"), "x");
    expect(&clinic.findings(), Level::Note, "leftovers", "1 file");
    write(&clinic.file("state.json.broken"), "x");
    expect(&clinic.findings(), Level::Note, "broken-state-kept", "kept");
}

#[test]
fn what_a_later_version_wrote_or_somebody_misspelt_is_told() {
    let clinic = Clinic::new();
    write(
        &clinic.state(),
        r#"{"version":2,"min_reader":1,"revision":2,"windows":{"w":{
            "opened_at":"2026-11-22T03:00:00Z","reson":"typo"}},
            "ignore":{"r1":{"kind":"asn","value":"64496"}}}"#,
    );
    let findings = clinic.findings();
    expect(&findings, Level::Note, "unknown-fields", "/windows/w/reson");
    expect(&findings, Level::Warning, "unknown-rules", "`r1`");
    expect(&findings, Level::Warning, "state-newer", "version 2");
}

#[test]
fn messages_are_in_the_style_of_this_project() {
    let clinic = Clinic::new();
    set_mode(clinic.site.dir(), 0o1777);
    set_mode(&clinic.state(), 0o646);
    write(&clinic.file("state.json.bak"), "{");
    let findings = clinic.findings();
    assert!(findings.len() >= 4, "{findings:#?}");
    assert!(findings.is_sorted_by_key(|finding| finding.level), "the worst is first");
    for finding in findings {
        let first = finding.message.chars().next().unwrap();
        assert!(!first.is_uppercase() && !finding.message.ends_with('.'), "{}", finding.message);
        let json = serde_json::to_value(&finding).unwrap();
        assert!(json["code"].is_string() && json["level"].is_string());
    }
}

/// Runs git in a directory; `None` if it fails.
fn git(directory: &Path, args: &[&str]) -> Option<String> {
    let output = std::process::Command::new("git")
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.com"])
        .args(args)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", directory)
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_site_that_git_tracks_is_found_in_every_kind_of_index() {
    let mut seen = 0;
    for (format, version) in
        [("sha1", "2"), ("sha1", "3"), ("sha1", "4"), ("sha256", "2"), ("sha256", "4")]
    {
        let clinic = Clinic::new();
        let app = clinic.root.join("app");
        let object_format = format!("--object-format={format}");
        if git(&app, &["init", "-q", &object_format]).is_none() {
            skip(&format!("no git, or none that knows {format}"));
            continue;
        }
        let long = "long/".repeat(60) + "x";
        for name in ["a/b/c.py", ".mainta", "manage.py", &long] {
            let path = app.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            File::create_new(path).unwrap();
        }
        git(&app, &["config", "index.version", version]).unwrap();
        git(&app, &["add", "a", ".mainta", "manage.py", "long"]).unwrap();
        assert!(!has(&clinic.findings(), "tracked"), "{format} {version}");
        git(&app, &["add", "--force", ".maint"]).unwrap();
        if version == "3" {
            git(&app, &["add", "--intent-to-add", "--force", "."]).unwrap();
            git(&app, &["update-index", "--skip-worktree", "manage.py"]).unwrap();
        }
        let findings = clinic.findings();
        expect(&findings, Level::Warning, "tracked", "git tracks `history.jsonl`, `lock`");
        let fix = only(&findings, "tracked").fix.clone().unwrap();
        let command = format!("git -C {} rm -r --cached .maint", app.display());
        assert!(fix.contains(&command), "{fix}");
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        git(&app, &words).unwrap();
        assert!(!has(&clinic.findings(), "tracked"), "the fix fixes it: {format} {version}");
        seen += 1;
    }
    figure(&format!("{seen} kinds of index"));
}

#[test]
fn templates_may_be_in_git_and_a_worktree_has_an_index_of_its_own() {
    let clinic = Clinic::new();
    let app = clinic.root.join("app");
    if git(&app, &["init", "-q"]).is_none() {
        return skip("no git");
    }
    File::create_new(clinic.file("templates/sorry.html")).unwrap();
    File::create_new(clinic.file(".gitignore")).unwrap();
    git(&app, &["add", "--force", ".maint/templates", ".maint/.gitignore"]).unwrap();
    assert!(!has(&clinic.findings(), "tracked"), "they belong to the project");
    git(&app, &["add", "--force", ".maint/state.json"]).unwrap();
    let fix = only(&clinic.findings(), "tracked").fix.clone().unwrap();
    assert!(fix.ends_with("rm -r --cached .maint/state.json`"), "the templates stay: {fix}");

    git(&app, &["commit", "-q", "-m", "x"]).unwrap();
    git(&app, &["worktree", "add", "-q", "../tree"]).unwrap();
    let tree = Site::at(clinic.root.join("tree/.maint"));
    expect(&examine(&tree, None), Level::Warning, "tracked", "git tracks `state.json` in");
}

#[test]
fn a_repository_of_a_stranger_starts_no_program() {
    let clinic = Clinic::new();
    let app = clinic.root.join("app");
    if git(&app, &["init", "-q"]).is_none() {
        return skip("no git");
    }
    git(&app, &["add", "--force", ".maint"]).unwrap();
    let trace = clinic.root.join("started");
    let program = format!("touch {} #", trace.display());
    git(&app, &["config", "core.fsmonitor", &program]).unwrap();
    git(&app, &["status"]).unwrap();
    assert!(fs::remove_file(&trace).is_ok(), "git itself starts it");
    assert!(has(&clinic.findings(), "tracked"));
    assert!(!trace.exists());

    // What is no index, or has no end, is passed over.
    let index = app.join(".git/index");
    for target in ["/dev/zero", "/dev/full", "/etc/passwd", "."] {
        fs::remove_file(&index).unwrap();
        symlink(target, &index).unwrap();
        assert!(!has(&clinic.findings(), "tracked"), "{target}");
    }
}
