//! Requirements 5 and 6: every system call of a change fails once, and from some
//! moment on, and each time it is plain whether the change is in force.

use std::collections::BTreeMap;
use std::fs;

use crate::env::{Run, TestSite, can_trace, figure, on_two_threads, run, wrapped, write};
use crate::trace::traced;

/// The calls that a change makes on the site, and its answer.
const CALLS: [&str; 17] = [
    "openat",
    "read",
    "write",
    "pwrite64",
    "ftruncate",
    "utimensat",
    "fchmod",
    "fchown",
    "fsync",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "flock",
    "close",
];

const ERRORS: [&str; 7] = ["EIO", "ENOSPC", "EDQUOT", "EROFS", "EACCES", "EMFILE", "EINTR"];

/// A kind of change, on a site of its own each time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scene {
    /// On a site with a state, a backup, a history and a lock.
    InUse,
    /// On an empty directory.
    Fresh,
    /// A template, which is a file of its own beside the state.
    Template,
}

impl Scene {
    pub(crate) const ALL: [Self; 3] = [Self::InUse, Self::Fresh, Self::Template];

    pub(crate) fn args(self) -> &'static [&'static str] {
        match self {
            Self::InUse | Self::Fresh => &["on", "-m", "new"],
            Self::Template => &["template", "add", "page", "--format", "html"],
        }
    }

    /// A site as this change finds it.
    pub(crate) fn site(self, model: &TestSite) -> TestSite {
        let site = TestSite::new();
        if self != Self::Fresh {
            for (name, bytes) in model.snapshot() {
                if fs::metadata(model.file(&name)).unwrap().is_file() {
                    write(&site.file(&name), bytes);
                }
            }
            fs::create_dir_all(site.file("templates")).unwrap();
        }
        site
    }

    /// Whether the change is in force.
    pub(crate) fn is_done(self, site: &TestSite) -> bool {
        match self {
            Self::InUse | Self::Fresh => site.reason().as_deref() == Some("new"),
            Self::Template => !site.state().templates.is_empty(),
        }
    }
}

/// Which call fails: the so-manieth of its name.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) call: &'static str,
    pub(crate) nth: usize,
}

/// The calls of a change that touch the site or print the answer.
pub(crate) fn points(scene: Scene, model: &TestSite) -> Vec<Point> {
    let site = scene.site(model);
    let log = site.project.join("trace");
    let trace = format!("trace={}", CALLS.join(","));
    let strace = ["strace", "-f", "-y", "-o", log.to_str().unwrap(), "-e", &trace, "--"];
    let done = with_page(&mut wrapped(&strace, &site.dir, scene.args()));
    assert_eq!(done.code, 0, "{done:?}");
    let dir = site.dir.to_str().unwrap();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut points = Vec::new();
    for call in crate::trace::parse(&fs::read_to_string(&log).unwrap()) {
        let nth = seen.entry(call.name.clone()).or_default();
        *nth += 1;
        let is_answer = call.name == "write" && call.arguments.starts_with("1<");
        if (call.arguments.contains(dir) || is_answer)
            && let Some(name) = CALLS.into_iter().find(|name| *name == call.name)
        {
            points.push(Point { call: name, nth: *nth });
        }
    }
    points
}

/// Runs a change under strace with one kind of interference.
pub(crate) fn interfered(site: &TestSite, scene: Scene, point: &Point, inject: &str) -> Run {
    let trace = format!("trace={}", point.call);
    let inject = format!("inject={}:{inject}", point.call);
    let strace = ["strace", "-f", "-o", "/dev/null", "-e", &trace, "-e", &inject, "--"];
    with_page(&mut wrapped(&strace, &site.dir, scene.args()))
}

/// Gives a page on standard input to whoever reads it.
fn with_page(command: &mut std::process::Command) -> Run {
    let page = tempfile::NamedTempFile::new().unwrap();
    write(page.path(), "<h1>{{ title }}</h1>\n");
    run(command.stdin(page.reopen().unwrap()))
}

/// A fault: which call, which error, and for how long.
struct Case {
    scene: Scene,
    point: Point,
    error: &'static str,
    persistent: bool,
}

impl Case {
    fn inject(&self) -> String {
        let nth = self.point.nth;
        let when = match (self.persistent, self.error) {
            (false, _) => format!("{nth}"),
            // An interruption that never ends would be a kernel that lost its mind;
            // even the standard library repeats such calls without end.
            (true, "EINTR") => format!("{nth}..{}", nth + 5),
            (true, _) => format!("{nth}+"),
        };
        format!("error={}:when={when}", self.error)
    }
}

#[test]
fn requirement_05_every_fault_leaves_the_old_state_or_the_new_one_and_says_which() {
    if !can_trace() {
        return;
    }
    let model = TestSite::in_use();
    let mut cases = Vec::new();
    for scene in Scene::ALL {
        // Every error in the usual case, and in the others two that stand for all.
        let errors = if scene == Scene::InUse { &ERRORS[..] } else { &["EIO", "EACCES"] };
        for point in points(scene, &model) {
            for &error in errors {
                for persistent in [false, true] {
                    cases.push(Case { scene, point: point.clone(), error, persistent });
                }
            }
        }
    }
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let verdicts = on_two_threads(&cases, |case| judged(case, &model));
    let mut classes: BTreeMap<i32, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for verdict in verdicts {
        match verdict {
            Ok(code) => *classes.entry(code).or_default() += 1,
            Err(fault) => faults.push(fault),
        }
    }
    figure(&format!("{} faults, by exit code: {classes:?}", cases.len()));
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// The exit code of a case, if everything is as that code says.
fn judged(case: &Case, model: &TestSite) -> Result<i32, String> {
    let site = case.scene.site(model);
    let before = site.snapshot();
    let done = interfered(&site, case.scene, &case.point, &case.inject());
    let name = format!("{:?} {} {}", case.scene, case.point.call, case.inject());
    let wrong = |what: &str| Err(format!("{name}: {what}: {done:?}"));
    if done.stderr.contains("panicked") || done.code >= 128 {
        return wrong("a panic or a hang");
    }
    if case.point.call != "unlink" && !site.leftovers().is_empty() {
        return wrong("left a temporary file");
    }
    let state = std::panic::catch_unwind(|| case.scene.is_done(&site));
    let Ok(is_done) = state else {
        return wrong("the state is neither the old one nor the new one");
    };
    match done.code {
        0 if !is_done => return wrong("says done, and the state is the old one"),
        0 => {}
        6 if !is_done || !done.stderr.contains("durability unknown") => {
            return wrong("says that durability is unknown, and means something else");
        }
        6 => {}
        // The answer could not be printed; the change was made before.
        9 if case.point.call != "write" => return wrong("says that the answer was lost"),
        9 => {}
        2 | 3 | 4 | 7 if is_done => return wrong("says nothing changed, and it did"),
        2 | 3 | 4 | 7 => {
            same_as(&before, &site).map_err(|what| format!("{name}: {what}: {done:?}"))?
        }
        _ => return wrong("an exit code that says nothing"),
    }
    if !(done.code == 0 || done.code == 9 || case.persistent && case.point.call == "write")
        && done.stderr.trim().is_empty()
    {
        return wrong("fails without a word");
    }
    let next = site.run(&["on", "-m", "next"]);
    if next.code != 0 || site.reason().as_deref() != Some("next") || !site.leftovers().is_empty() {
        return Err(format!("{name}: the next command: {next:?}, {:?}", site.leftovers()));
    }
    Ok(done.code)
}

/// That nothing has changed but the lock, which is no part of the state.
fn same_as(before: &[(String, Vec<u8>)], site: &TestSite) -> Result<(), String> {
    let kept = |files: &[(String, Vec<u8>)]| -> Vec<(String, Vec<u8>)> {
        files.iter().filter(|(name, _)| name != "lock").cloned().collect()
    };
    let (before, after) = (kept(before), kept(&site.snapshot()));
    for (name, bytes) in &after {
        if !before.iter().any(|(other, old)| other == name && old == bytes) {
            return Err(format!("says nothing changed, and `{name}` did"));
        }
    }
    if before.len() != after.len() {
        return Err("says nothing changed, and a file is gone".to_owned());
    }
    match crate::env::names(&site.file("templates")).as_slice() {
        [] => Ok(()),
        names => Err(format!("says nothing changed, and there is a template: {names:?}")),
    }
}

#[test]
fn requirement_06_fsync_is_not_tried_again_on_the_same_file() {
    if !can_trace() {
        return;
    }
    let site = TestSite::in_use();
    let log = site.project.join("trace");
    let strace = ["strace", "-y", "-o", log.to_str().unwrap(), "-e", "trace=fsync,fdatasync"];
    let words = [&strace[..], &["-e", "inject=fsync:error=EIO", "--"]].concat();
    let done = run(&mut wrapped(&words, &site.dir, &["on", "-m", "new"]));
    assert_eq!(done.code, 3, "{done:?}");
    assert_eq!(site.reason().as_deref(), Some("two"));
    let calls = crate::trace::parse(&format!(
        "1 {}",
        fs::read_to_string(&log).unwrap().replace('\n', "\n1 ")
    ));
    assert_eq!(calls.len(), 1, "{calls:?}");
}

#[test]
fn requirement_06_a_directory_that_cannot_be_synced_is_told_apart() {
    if !can_trace() {
        return;
    }
    let site = TestSite::in_use();
    let (_, calls) = traced(&site.dir, &["on", "-m", "three"], |_| ());
    let nth = calls.iter().filter(|call| call.name == "fsync").count();
    let point = Point { call: "fsync", nth };
    let done = interfered(&site, Scene::InUse, &point, &format!("error=EIO:when={nth}"));
    assert_eq!(done.code, 6, "{done:?}");
    assert!(done.stderr.contains("durability unknown"), "{done:?}");
    assert!(done.stderr.contains(site.dir.to_str().unwrap()), "the path: {done:?}");
    assert_eq!(site.reason().as_deref(), Some("new"));
    assert_eq!(site.recorded(), [1, 2, 3, 4], "it is in force, so it is in the history");
}
