//! Changes under interference: the site that each finds, the system calls it makes, and
//! whether it is in force. Requirement 6: the answer of fsync(2) counts, once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use maint::internal::template::digest;

use crate::can::can_trace;
use crate::env::{DEPLOY, Run, TestSite, is_root, names, run, run_with, wrapped, write};
use crate::say::figure;
use crate::trace::{parse, traced};

/// The calls by which a change opens, writes and names files of the site, and answers.
/// strace(1) knows each by the name this build happens to use.
const CALLS: [&str; 22] = [
    "open",
    "openat",
    "mkdir",
    "mkdirat",
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
    "unlinkat",
    "lseek",
    "flock",
    "close",
];

/// The calls that only look.
const LOOKS: [&str; 6] = ["statx", "fstat", "newfstatat", "readlink", "getdents64", "getxattr"];

const OLD_PAGE: &str = "<h1>old</h1>";
const NEW_PAGE: &str = "<h1>new</h1>";

/// A kind of change, on a site of its own each time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scene {
    /// On a site with a state, a backup, a history and a lock.
    InUse,
    /// On an empty directory.
    Fresh,
    /// Back to the previous generation.
    Restored,
    /// A template, a separate file beside the state.
    Added,
    /// The first template, on an empty directory.
    First,
    /// A new text for the template.
    Replaced,
    /// Removal of the template.
    Removed,
}

impl Scene {
    pub(crate) const ALL: [Self; 7] = [
        Self::InUse,
        Self::Fresh,
        Self::Restored,
        Self::Added,
        Self::First,
        Self::Replaced,
        Self::Removed,
    ];

    pub(crate) fn args(self) -> &'static [&'static str] {
        match self {
            Self::InUse | Self::Fresh => &["on", "-m", "new"],
            Self::Restored => &["restore"],
            Self::Added | Self::First => &["template", "add", "new"],
            Self::Replaced => &["template", "add", "page", "--replace"],
            Self::Removed => &["template", "remove", "page"],
        }
    }

    /// A site as this change finds it. If the tests run as root, who can give files
    /// away, some sites belong to another user.
    pub(crate) fn site(self, model: &TestSite) -> TestSite {
        let site = TestSite::new();
        if !matches!(self, Self::Fresh | Self::First) {
            fs::create_dir(site.file("templates")).unwrap();
            for (name, bytes) in model.snapshot() {
                write(&site.file(&name), bytes);
            }
            fs::copy(model.file("lock"), site.file("lock")).unwrap();
        }
        if matches!(self, Self::Fresh | Self::First | Self::Restored) && is_root() {
            site.give_to(DEPLOY);
        } else if is_root() {
            // A group of its own, which root has to carry over.
            std::os::unix::fs::chown(site.state_file(), None, Some(DEPLOY)).unwrap();
        }
        site
    }

    /// Makes the change without interference.
    pub(crate) fn change(self, site: &TestSite) -> Run {
        run_with(&mut site.command(self.args()), NEW_PAGE)
    }

    /// Whether the change is in force; an error if the state is neither the old one nor
    /// the new one.
    pub(crate) fn is_done(self, site: &TestSite, before: u64) -> Result<bool, String> {
        let state =
            maint::internal::load::read(&site.state_file()).map_err(|torn| torn.to_string())?;
        let reason = state.windows.get("default").and_then(|window| window.reason.as_deref());
        let is_done = match self {
            Self::InUse | Self::Fresh => reason == Some("new"),
            Self::Restored => reason == Some("one"),
            Self::Added | Self::First => state.templates.contains_key("new.html"),
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

/// The site that every case copies first.
pub(crate) fn model() -> TestSite {
    let site = TestSite::new();
    site.ok(&["on", "-m", "one"]);
    let done = run_with(&mut site.command(&["template", "add", "page"]), OLD_PAGE);
    assert_eq!(done.code, 0, "{done:?}");
    site.ok(&["on", "-m", "two"]);
    site
}

/// Whether the template files are those that the state records.
pub(crate) fn templates_agree(site: &TestSite) -> bool {
    let files = names(&site.file("templates"));
    let said = site.state().templates;
    files.len() == said.len()
        && files.iter().all(|name| {
            let text = fs::read_to_string(site.file("templates").join(name)).unwrap();
            said.get(name) == Some(&digest(&text))
        })
}

/// The call that fails: its name, and its number among those of that name.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) call: &'static str,
    pub(crate) nth: usize,
}

impl Point {
    pub(crate) fn only_looks(&self) -> bool {
        LOOKS.contains(&self.call)
    }
}

/// The calls of a change that touch the site or print the answer.
pub(crate) fn points(scene: Scene, model: &TestSite) -> Vec<Point> {
    let site = scene.site(model);
    points_of(&site, scene.args(), &site.dir)
}

/// The calls of a command that touch a directory or print the answer.
pub(crate) fn points_of(site: &TestSite, args: &[&str], dir: &Path) -> Vec<Point> {
    let log = site.project.join("trace");
    let calls = || CALLS.into_iter().chain(LOOKS);
    let trace = format!("trace={}", calls().collect::<Vec<_>>().join(","));
    let strace = ["strace", "-f", "-y", "-o", log.to_str().unwrap(), "-e", &trace, "--"];
    let done = run_with(&mut wrapped(&strace, &site.dir, args), NEW_PAGE);
    assert_eq!(done.code, 0, "{done:?}");
    let dir = dir.to_str().unwrap();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut points = Vec::new();
    for call in parse(&fs::read_to_string(&log).unwrap()) {
        let nth = seen.entry(call.name.clone()).or_default();
        *nth += 1;
        let is_answer = call.name == "write" && call.arguments.starts_with("1<");
        if (call.arguments.contains(dir) || is_answer)
            && let Some(name) = calls().find(|name| *name == call.name)
        {
            points.push(Point { call: name, nth: *nth });
        }
    }
    points
}

/// Runs a change under strace with one kind of interference.
pub(crate) fn interfered(site: &TestSite, scene: Scene, point: &Point, inject: &str) -> Run {
    interfered_by(site, scene.args(), point, inject)
}

/// The same with any command.
pub(crate) fn interfered_by(site: &TestSite, args: &[&str], point: &Point, inject: &str) -> Run {
    let trace = format!("trace={}", point.call);
    let whole = format!("inject={}:{inject}", point.call);
    // With it, the kernel stops the command at calls of this name alone, which is quicker; but
    // then strace 6.1 sends no signals.
    let quicker = if inject.starts_with("signal=") { &[][..] } else { &["--seccomp-bpf"] };
    let words = ["-f", "-o", "/dev/null", "-e", &trace, "-e", &whole, "--"];
    let strace = [&["strace"], quicker, &words].concat();
    run_with(&mut wrapped(&strace, &site.dir, args), NEW_PAGE)
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
    let calls = parse(&format!("1 {}", fs::read_to_string(&log).unwrap().replace('\n', "\n1 ")));
    assert_eq!(calls.len(), 1, "{calls:?}");
    figure("1 fsync of a file that failed: not applied, exit 3");
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
    assert!(done.stderr.contains(site.dir.to_str().unwrap()), "with the path: {done:?}");
    assert_eq!(site.reason().as_deref(), Some("new"));
    assert_eq!(site.recorded(), [1, 2, 3, 4], "it is in force, so it is in the history");
    figure("1 fsync of the directory that failed: applied, exit 6");
}
