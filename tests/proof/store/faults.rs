//! Requirements 5 and 6: every system call of a change fails once, and from some
//! moment on, and each time it is plain whether the change is in force.

use std::collections::BTreeMap;
use std::fs;

use maint::page::template::digest;

use crate::can::can_trace;
use crate::env::{Run, TestSite, on_two_threads, run, run_with, wrapped, write};
use crate::say::figure;
use crate::trace::traced;

/// The calls that a change makes on the site, and its answer.
const CALLS: [&str; 18] = [
    "open",
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

const OLD_PAGE: &str = "<h1>old</h1>";
const NEW_PAGE: &str = "<h1>new</h1>";

/// A kind of change, on a site of its own each time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scene {
    /// On a site with a state, a backup, a history and a lock.
    InUse,
    /// On an empty directory.
    Fresh,
    /// A template, which is a file of its own beside the state.
    Added,
    /// Another text for it.
    Replaced,
    /// The end of it.
    Removed,
}

impl Scene {
    pub(crate) const ALL: [Self; 5] =
        [Self::InUse, Self::Fresh, Self::Added, Self::Replaced, Self::Removed];

    pub(crate) fn args(self) -> &'static [&'static str] {
        match self {
            Self::InUse | Self::Fresh => &["on", "-m", "new"],
            Self::Added => &["template", "add", "new"],
            Self::Replaced => &["template", "add", "page", "--replace"],
            Self::Removed => &["template", "remove", "page"],
        }
    }

    /// A site as this change finds it.
    pub(crate) fn site(self, model: &TestSite) -> TestSite {
        let site = TestSite::new();
        if self != Self::Fresh {
            fs::create_dir(site.file("templates")).unwrap();
            for (name, bytes) in model.snapshot() {
                write(&site.file(&name), bytes);
            }
            fs::copy(model.file("lock"), site.file("lock")).unwrap();
        }
        site
    }

    /// Whether the change is in force, if the state is the old one or the new one.
    pub(crate) fn is_done(self, site: &TestSite, before: u64) -> Result<bool, String> {
        let state = maint::load::read(&site.state_file()).map_err(|torn| torn.to_string())?;
        let is_done = match self {
            Self::InUse | Self::Fresh => site.reason().as_deref() == Some("new"),
            Self::Added => state.templates.contains_key("new.html"),
            Self::Replaced => state.templates.get("page.html") == Some(&digest(NEW_PAGE)),
            Self::Removed => !state.templates.contains_key("page.html"),
        };
        if state.revision == before + u64::from(is_done) {
            Ok(is_done)
        } else {
            Err(format!("revision {} after {before}, done: {is_done}", state.revision))
        }
    }
}

/// The site that every case starts with a copy of.
pub(crate) fn model() -> TestSite {
    let site = TestSite::in_use();
    let done = run_with(&mut site.command(&["template", "add", "page"]), OLD_PAGE);
    assert_eq!(done.code, 0, "{done:?}");
    site
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
    let done = run_with(&mut wrapped(&strace, &site.dir, scene.args()), NEW_PAGE);
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
    run_with(&mut wrapped(&strace, &site.dir, scene.args()), NEW_PAGE)
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
    let model = model();
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

/// That the file of a template says what the state says of it.
fn templates_agree(site: &TestSite) -> bool {
    let files = crate::env::names(&site.file("templates"));
    let said = site.state().templates;
    files.len() == said.len()
        && files.iter().all(|name| {
            let text = fs::read_to_string(site.file("templates").join(name)).unwrap();
            said.get(name) == Some(&digest(&text))
        })
}

/// The exit code of a case, if everything is as that code says.
fn judged(case: &Case, model: &TestSite) -> Result<i32, String> {
    let site = case.scene.site(model);
    let (before, revision) = (site.snapshot(), site.state().revision);
    let done = interfered(&site, case.scene, &case.point, &case.inject());
    let name = format!("{:?} {} {}", case.scene, case.point.call, case.inject());
    let wrong = |what: &str| Err(format!("{name}: {what}: {done:?}"));
    if done.stderr.contains("panicked") || done.code >= 128 {
        return wrong("a panic or a hang");
    }
    if case.point.call != "unlink" && !site.leftovers().is_empty() {
        return wrong("left a temporary file");
    }
    let is_done = match case.scene.is_done(&site, revision) {
        Ok(is_done) => is_done,
        Err(why) => return wrong(&format!("neither the old state nor the new one: {why}")),
    };
    // What cannot be removed stays, and the next command sees to it.
    let cannot_remove = case.point.call == "unlink";
    if !cannot_remove && !templates_agree(&site) {
        return wrong("the template is not the one that the state tells of");
    }
    match done.code {
        0 if !is_done => return wrong("says done, and the state is the old one"),
        6 if !is_done || !done.stderr.contains("durability unknown") => {
            return wrong("says that durability is unknown, and means something else");
        }
        // The answer could not be printed; the change was made before.
        9 if case.point.call != "write" => return wrong("says that the answer was lost"),
        2 | 3 | 4 | 7 if is_done => return wrong("says nothing changed, and it did"),
        2 | 3 | 4 | 7 if !cannot_remove && site.snapshot() != before => {
            return wrong("says nothing changed, and a file did");
        }
        0 | 2 | 3 | 4 | 6 | 7 | 9 => {}
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
