//! Requirement 76: the files of flags, after the state and whole, whatever kills the writer.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use maint::flags::{Found, Kind, definition};

use crate::can::{can_be_others, can_trace};
use crate::env::{DEPLOY, TestSite, chmod, is_temporary, names, on_two_threads, write};
use crate::faults::{interfered_by, points_of};
use crate::say::{amount, figure};
use crate::trace::{Call, traced};

/// A kind that works by files.
struct Case {
    kind: Kind,
    /// What the software has, as directories and files.
    software: &'static [&'static str],
    /// The path that is declared, in the folder of the software.
    path: &'static str,
    /// The flag itself, in that folder.
    flag: &'static str,
}

const fn case(
    kind: Kind,
    software: &'static [&'static str],
    path: &'static str,
    flag: &'static str,
) -> Case {
    Case { kind, software, path, flag }
}

static CASES: [Case; 9] = [
    case(Kind::File, &[], "down", "down"),
    case(Kind::Page, &[], "down.html", "down.html"),
    case(Kind::Web, &[], "web", "web/down"),
    case(Kind::Wordpress, &["wp-load.php"], "", ".maintenance"),
    case(Kind::Laravel, &["artisan", "storage/framework/"], "", "storage/framework/down"),
    case(Kind::DjangoMaintenanceMode, &[], "state.txt", "state.txt"),
    case(Kind::Magento, &["app/etc/", "var/"], "", "var/.maintenance.flag"),
    case(Kind::Turnout, &["config.ru", "tmp/"], "", "tmp/maintenance.yml"),
    case(Kind::Mediawiki, &[], "lock", "lock"),
];

#[test]
fn every_kind_that_works_by_files_is_tried() {
    let tried: Vec<&Kind> = CASES.iter().map(|case| &case.kind).collect();
    let others = [Kind::Haproxy, Kind::Exec];
    for kind in Kind::KNOWN.iter().filter(|kind| definition(kind).is_some()) {
        assert!(tried.contains(&kind) || others.contains(kind), "{kind} is not tried");
    }
}

/// A site with one flag, and an address that gets through.
struct Scene {
    site: TestSite,
    folder: PathBuf,
}

impl Case {
    fn scene(&self) -> Scene {
        let site = TestSite::new();
        let folder = site.project.join("software");
        fs::create_dir(&folder).unwrap();
        chmod(&folder, 0o755);
        for name in self.software {
            let path = folder.join(name.trim_end_matches('/'));
            if name.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                write(&path, "");
            }
        }
        site.ok(&["ignore", "add", "ip", "203.0.113.7"]);
        let path = folder.join(self.path);
        site.ok(&["flag", "add", self.kind.as_str(), path.to_str().unwrap(), "--id", "it"]);
        Scene { site, folder }
    }
}

/// The commands, and what the flag is afterwards.
const CHANGES: [(&[&str], bool); 2] = [
    (&["on", "-m", "Back at noon", "--at", "2026-01-01T00:00:00Z", "--yes"], true),
    (&["off"], false),
];

/// All files below a directory but the software's own, with their bytes.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for name in names(directory) {
        let path = directory.join(&name);
        if path.is_dir() {
            found.extend(files(&path));
        } else if !is_temporary(&name) {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// The names that a file got or lost, in order.
fn namings<'c>(calls: &'c [Call], below: &Path) -> Vec<(&'c str, String)> {
    let below = below.to_str().unwrap();
    let is_temporary_path = |path: &str| is_temporary(path.rsplit('/').next().unwrap());
    calls
        .iter()
        .filter(|call| call.succeeded())
        .filter(|call| call.is(&["rename", "renameat", "renameat2", "unlink", "unlinkat"]))
        .filter_map(|call| {
            let path = call.paths().last()?.to_string();
            (path.starts_with(below) && !is_temporary_path(&path)).then_some((&*call.name, path))
        })
        .collect()
}

#[test]
fn requirement_76_the_state_comes_first_then_pages_and_the_flag_last() {
    if !can_trace() {
        return;
    }
    for case in &CASES {
        let scene = case.scene();
        let flag = scene.folder.join(case.flag);
        for (args, is_set) in CHANGES {
            let (done, calls) = traced(&scene.site.dir, args, |_| ());
            assert_eq!(done.code, 0, "{done:?}");
            let all = namings(&calls, &scene.site.project);
            let position = |path: &Path| all.iter().position(|(_, named)| Path::new(named) == path);
            let state = position(&scene.site.state_file()).unwrap();
            let of_software = namings(&calls, &scene.folder);
            let first = position(Path::new(&of_software[0].1)).unwrap();
            assert!(state < first, "{} {args:?}: {all:?}", case.kind);
            let expected = if is_set { of_software.last() } else { of_software.first() };
            assert_eq!(
                Path::new(&expected.unwrap().1),
                flag,
                "{} {args:?}: {of_software:?}",
                case.kind
            );
            whole(case, &calls, &scene.folder);
        }
    }
    figure(&format!("{} kinds, on and off, in order", CASES.len()));
}

/// Nothing is written in place: each file of a flag gets its name once its bytes are synced.
fn whole(case: &Case, calls: &[Call], folder: &Path) {
    let folder = folder.to_str().unwrap();
    let mut synced: Vec<&str> = Vec::new();
    for call in calls.iter().filter(|call| call.succeeded()) {
        if call.is(&["fsync", "fdatasync"]) {
            synced.extend(call.descriptor());
        }
        let path = call.descriptor().unwrap_or_default();
        let is_written = call.is(&["write", "writev", "pwrite64", "ftruncate"]);
        if is_written && path.starts_with(folder) {
            let name = path.rsplit('/').next().unwrap();
            assert!(is_temporary(name), "{}: in place: {call:?}", case.kind);
        }
        if call.is(&["rename", "renameat", "renameat2"]) && call.arguments.contains(folder) {
            let from = call.paths()[0];
            assert!(synced.contains(&from), "{}: not synced: {call:?}", case.kind);
        }
    }
}

/// Brings about what a change finds: for `on` other pages, which were written before and are
/// replaced; for `off` a site that is down. Returns the files as they were while it was down.
fn prepare(scene: &Scene, change: usize) -> BTreeMap<PathBuf, Vec<u8>> {
    if change > 0 {
        scene.site.ok(CHANGES[0].0);
        return files(&scene.folder);
    }
    scene.site.ok(&["on", "-m", "earlier", "--at", "2025-01-01T00:00:00Z", "--yes"]);
    let earlier = files(&scene.folder);
    scene.site.ok(&["off"]);
    earlier
}

#[test]
fn requirement_76_a_kill_before_any_system_call_leaves_whole_files_and_one_sync_mends_them() {
    if !can_trace() {
        return;
    }
    // The whole of it is for the long run: a kill is two processes and their tracer.
    let stride = amount(17, 1);
    let mut work = Vec::new();
    for case in &CASES {
        for (number, (args, _)) in CHANGES.iter().enumerate() {
            let scene = case.scene();
            prepare(&scene, number);
            let points = points_of(&scene.site, args, &scene.site.project);
            let killing = points.into_iter().filter(|point| !point.only_looks());
            work.extend(killing.step_by(stride).map(|point| (case, number, point)));
        }
    }
    let verdicts = on_two_threads(&work, |(case, number, point)| {
        let scene = case.scene();
        let up = files(&scene.folder);
        let earlier = prepare(&scene, *number);
        let inject = format!("signal=SIGKILL:when={}", point.nth);
        let done = interfered_by(&scene.site, CHANGES[*number].0, point, &inject);
        let wrong = |what: &str| Err(format!("{} {number} {point:?}: {what}: {done:?}", case.kind));
        if done.code != 128 + 9 {
            return wrong("was not killed");
        }
        // What visitors are shown meanwhile.
        let left = files(&scene.folder);
        let is_down = !scene.site.state().windows.is_empty();
        let synced = scene.site.run(&["flag", "sync"]);
        let looked = scene.site.run(&["--json", "flag", "list"]).stdout;
        let found: serde_json::Value = serde_json::from_str(&looked).unwrap();
        let expected = if is_down { Found::Set } else { Found::Clear };
        if synced.code != 0 || found["flags"][0]["found"] != serde_json::json!(expected) {
            return wrong(&format!("not in step: {synced:?} {looked}"));
        }
        let after = files(&scene.folder);
        scene.site.ok(&["off"]);
        scene.site.ok(CHANGES[0].0);
        let down = files(&scene.folder);
        let whole = [&up, &earlier, &down];
        for (path, bytes) in &left {
            if !whole.iter().any(|files| files.get(path) == Some(bytes)) {
                return wrong(&format!("{} is half written", path.display()));
            }
        }
        let is_right = if is_down {
            after == down
        } else {
            after.get(&scene.folder.join(case.flag)) == up.get(&scene.folder.join(case.flag))
        };
        if is_right { Ok(()) } else { wrong("other files than without the kill") }
    });
    let faults: Vec<String> = verdicts.into_iter().filter_map(Result::err).collect();
    figure(&format!(
        "{} kills over {} kinds, 0 half files, in step after one sync",
        work.len(),
        CASES.len()
    ));
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), work.len(), faults.join("\n"));
    assert!(work.len() > CASES.len() * 4, "too few points: {}", work.len());
}

#[test]
fn requirement_61_the_owner_of_a_site_leads_root_nowhere_by_a_flag() {
    if !can_be_others() {
        return;
    }
    let site = TestSite::new();
    // A directory of root's that the owner of the site may not write to.
    let secret = site.project.join("root");
    fs::create_dir(&secret).unwrap();
    chmod(&secret, 0o755);
    let down = secret.join("down");
    site.ok(&["flag", "add", "file", down.to_str().unwrap()]);
    site.give_to(DEPLOY);
    let done = site.run(&["on"]);
    assert_eq!(done.code, 10, "root acts as the owner: {done:?}");
    assert!(!down.exists() && names(&secret).is_empty(), "{done:?}");
    figure("1 flag of a stranger's site in a directory of root's: refused");
}

#[test]
fn requirement_61_a_group_that_may_write_to_roots_site_leads_root_nowhere_by_a_flag() {
    if !can_be_others() {
        return;
    }
    let site = TestSite::new();
    let secret = site.project.join("root");
    fs::create_dir(&secret).unwrap();
    chmod(&secret, 0o755);
    std::os::unix::fs::chown(&site.dir, None, Some(DEPLOY)).unwrap();
    chmod(&site.dir, 0o2775);
    site.ok(&["off"]);
    let down = secret.join("down");
    let text = format!(
        r#"{{"version":1,"flags":{{"it":{{"kind":"page","path":"{}"}}}}}}"#,
        down.display()
    );
    let file = site.file("flags.json");
    // As a member of the group puts it there.
    write(&file, &text);
    std::os::unix::fs::chown(&file, Some(DEPLOY), Some(DEPLOY)).unwrap();
    assert_eq!(site.run(&["on"]).code, 10);
    assert!(names(&secret).is_empty(), "root acts as who wrote it");
    // As they write into root's own file, where its mode lets them.
    std::os::unix::fs::chown(&file, Some(0), Some(DEPLOY)).unwrap();
    chmod(&file, 0o660);
    let done = site.run(&["flag", "sync"]);
    assert_eq!(done.code, 3, "{done:?}");
    assert!(done.stderr.contains("others can write to it"), "{done:?}");
    assert!(names(&secret).is_empty());
    chmod(&file, 0o640);
    assert_eq!(site.run(&["flag", "sync"]).code, 0, "now it is root's word alone");
    assert!(down.exists());
}
