//! Requirement 5: every system call of a change fails once, and from then on, and each time
//! the outcome shows whether the change is in force.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use crate::can::can_trace;
use crate::env::{Run, TestSite, is_root, on_two_threads, write};
use crate::faults::{Point, Scene, interfered, model, points, templates_agree};
use crate::say::{amount, figure};

const ERRORS: [&str; 7] = ["EIO", "ENOSPC", "EDQUOT", "EROFS", "EACCES", "EMFILE", "EINTR"];

/// Prefixes of the calls that must be among those that fail.
const FAMILIES: [&str; 11] = [
    "open", "mkdir", "write", "fchmod", "fchown", "fsync", "rename", "link", "unlink", "flock",
    "close",
];

/// The answers of a write that wrote less than asked for, or nothing.
const SHORT: [u8; 2] = [0, 1];

/// What happens to a call.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It fails.
    Error(&'static str),
    /// It does nothing, and reports this many bytes as written.
    Wrote(u8),
}

/// A fault: which call, what happens to it, and for how long.
#[derive(Debug)]
struct Case {
    scene: Scene,
    point: Point,
    fault: Fault,
    persistent: bool,
}

impl Case {
    fn inject(&self) -> String {
        let nth = self.point.nth;
        let when = match (self.persistent, self.fault) {
            (false, _) => format!("{nth}"),
            // An endless interruption does not occur in practice; even the standard
            // library repeats such calls without end.
            (true, Fault::Error("EINTR")) => format!("{nth}..{}", nth + 5),
            (true, _) => format!("{nth}+"),
        };
        match self.fault {
            Fault::Error(error) => format!("error={error}:when={when}"),
            Fault::Wrote(bytes) => format!("retval={bytes}:when={when}"),
        }
    }

    fn name(&self) -> String {
        format!("{:?} {} {}", self.scene, self.point.call, self.inject())
    }
}

/// Deals out the errors other than EIO, so that each comes at as many calls as it can.
#[derive(Default)]
struct Turns {
    /// How often each was dealt out.
    times: BTreeMap<&'static str, usize>,
    /// Which of them each call had.
    had: BTreeSet<(&'static str, &'static str)>,
}

impl Turns {
    /// The error for this call: one that it has not had, of these the rarest.
    fn next(&mut self, call: &'static str) -> &'static str {
        let times = |error| self.times.get(error).copied().unwrap_or_default();
        let rank = |&error: &&'static str| (self.had.contains(&(call, error)), times(error));
        let error = ERRORS[1..].iter().copied().min_by_key(rank).expect("there are errors");
        *self.times.entry(error).or_default() += 1;
        self.had.insert((call, error));
        error
    }
}

/// The cases of every scene: every error at every call, once and from then on. In the short
/// run the usual case has two errors at each call, and each error at many calls; the other
/// scenes have one that ends and one that stays.
fn cases(model: &TestSite) -> Vec<Case> {
    let is_whole = amount(false, true);
    let mut cases = Vec::new();
    let mut turns = Turns::default();
    for scene in Scene::ALL {
        let is_usual = scene == Scene::InUse;
        // A template is also looked at before it is replaced.
        let looks = is_whole || is_usual || scene == Scene::Replaced;
        let points = points(scene, model).into_iter().filter(|point| looks || !point.only_looks());
        for (number, point) in points.enumerate() {
            let both = |error: &'static str| [(error, false), (error, true)];
            let errors: Vec<(&str, bool)> = if point.only_looks() {
                both("EIO").into()
            } else if is_whole {
                ERRORS.into_iter().flat_map(both).collect()
            } else if is_usual {
                ["EIO", turns.next(point.call)].into_iter().flat_map(both).collect()
            } else if number % 2 == 0 {
                vec![("EIO", false), ("EACCES", true)]
            } else {
                vec![("EACCES", false), ("EIO", true)]
            };
            let errors = errors.into_iter().map(|(error, stays)| (Fault::Error(error), stays));
            let writes = matches!(point.call, "write" | "pwrite64");
            let short = SHORT.iter().filter(|_| writes).map(|&bytes| Fault::Wrote(bytes));
            let short = short.flat_map(|fault| [(fault, false), (fault, true)]);
            for (fault, persistent) in errors.chain(short) {
                cases.push(Case { scene, point: point.clone(), fault, persistent });
            }
        }
    }
    cases
}

#[test]
fn requirement_05_every_fault_leaves_the_old_state_or_the_new_one_and_says_which() {
    if !can_trace() {
        return;
    }
    let model = model();
    let cases = cases(&model);
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    for error in ERRORS {
        let calls =
            cases.iter().filter(|case| matches!(case.fault, Fault::Error(one) if one == error));
        let calls: BTreeSet<&str> = calls.map(|case| case.point.call).collect();
        assert!(calls.len() >= 5, "{error} comes at {calls:?} alone");
    }
    for family in FAMILIES.into_iter().filter(|family| *family != "fchown" || is_root()) {
        let is_swept = cases.iter().any(|case| case.point.call.starts_with(family));
        assert!(is_swept, "no call of {family} fails");
    }
    let short = cases.iter().filter(|case| matches!(case.fault, Fault::Wrote(_))).count();
    let mut classes: BTreeMap<i32, usize> = BTreeMap::new();
    let mut slowest = Duration::ZERO;
    let mut faults = Vec::new();
    for verdict in on_two_threads(&cases, |case| judged(case, &model)) {
        match verdict {
            Ok((code, took)) => {
                *classes.entry(code).or_default() += 1;
                slowest = slowest.max(took);
            }
            Err(fault) => faults.push(fault),
        }
    }
    figure(&format!(
        "{} faults, {short} of them short writes: {} wrong; by exit code {classes:?}; the slowest took {} ms",
        cases.len(),
        faults.len(),
        slowest.as_millis()
    ));
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    let failed: usize = classes.iter().filter(|(code, _)| **code != 0).map(|(_, many)| many).sum();
    assert!(failed > cases.len() / 4, "strace(1) made next to no call fail: {classes:?}");
}

/// The exit code of a case and how long it took, if everything agrees with that code.
fn judged(case: &Case, model: &TestSite) -> Result<(i32, Duration), String> {
    let site = case.scene.site(model);
    let before = Before::of(&site);
    let begun = Instant::now();
    let done = interfered(&site, case.scene, &case.point, &case.inject());
    let took = begun.elapsed();
    if let Some(fault) = before.contradicts(case, &site, &done) {
        return Err(format!("{}: {fault}: {done:?}", case.name()));
    }
    let next = site.run(&["on", "-m", "next"]);
    if next.code != 0 || site.reason().as_deref() != Some("next") || !site.leftovers().is_empty() {
        let left = site.leftovers();
        return Err(format!("{}: the next command: {next:?}, {left:?}", case.name()));
    }
    Ok((done.code, took))
}

/// A site before a change.
struct Before {
    files: BTreeMap<String, Vec<u8>>,
    revision: u64,
}

impl Before {
    fn of(site: &TestSite) -> Self {
        Self { files: site.snapshot(), revision: site.state().revision }
    }

    /// Where the site contradicts the outcome of the command, if anywhere.
    fn contradicts(&self, case: &Case, site: &TestSite, done: &Run) -> Option<String> {
        let wrong = |what: &str| Some(what.to_owned());
        if done.stderr.contains("panicked") || done.code >= 128 {
            return wrong("a panic or a hang");
        }
        // What cannot be removed stays until the next command.
        let cannot_remove = case.point.call.starts_with("unlink");
        if !cannot_remove && !site.leftovers().is_empty() {
            return wrong("left a temporary file");
        }
        let is_done = match case.scene.is_done(site, self.revision) {
            Ok(is_done) => is_done,
            Err(why) => return Some(format!("neither the old state nor the new one: {why}")),
        };
        if !cannot_remove && !templates_agree(site) {
            return wrong("the template is not the one that the state tells of");
        }
        let writes = case.point.call == "write";
        match done.code {
            0 if !is_done => return wrong("says done, and the state is the old one"),
            6 if !is_done || !done.stderr.contains("durability unknown") => {
                return wrong("says that durability is unknown, and means something else");
            }
            // Whether a flag follows is known only where `flags.json` can be read.
            10 if !is_done || !done.stderr.contains("the flags do not follow") => {
                return wrong("says that a flag does not follow, and means something else");
            }
            // The change was made, and then its answer could not be printed.
            9 if !writes => return wrong("says that the answer was lost"),
            2 | 3 | 4 | 7 if is_done => return wrong("says nothing changed, and it did"),
            2 | 3 | 4 | 7 if !cannot_remove && site.snapshot() != self.files => {
                return wrong("says nothing changed, and a file did");
            }
            0 | 2 | 3 | 4 | 6 | 7 | 9 | 10 => {}
            _ => return wrong("an exit code that says nothing"),
        }
        let may_be_silent = matches!(done.code, 0 | 9) || case.persistent && writes;
        (!may_be_silent && done.stderr.trim().is_empty()).then(|| "fails without a word".to_owned())
    }
}

#[test]
fn requirement_57_the_sweep_catches_planted_contradictions() {
    type Plant = fn(&TestSite);
    let model = model();
    let change: Plant = |site| assert_eq!(Scene::InUse.change(site).code, 0);
    let nothing: Plant = |_| ();
    let torn: Plant = |site| {
        let state = fs::read(site.state_file()).unwrap();
        write(&site.state_file(), &state[..state.len() / 2]);
    };
    let emptied: Plant = |site| write(&site.state_file(), r#"{"version":1,"revision":1}"#);
    let removed: Plant = |site| fs::remove_file(site.state_file()).unwrap();
    let left: Plant = |site| write(&site.file(".state.json.0123456789abcdef.tmp"), "x");
    let page: Plant = |site| write(&site.file("templates/page.html"), "other");
    let history: Plant = |site| write(&site.file("history.jsonl"), "{}");
    let case = Case {
        scene: Scene::InUse,
        point: Point { call: "fsync", nth: 1 },
        fault: Fault::Error("EIO"),
        persistent: false,
    };
    let table: [(&str, Plant, i32, &str); 16] = [
        ("a flag does not follow, and means", nothing, 10, "the flags do not follow"),
        ("a flag does not follow, and means", change, 10, "could not"),
        ("says done, and the state is the old one", nothing, 0, ""),
        ("neither the old state nor the new one", torn, 3, "could not"),
        ("neither the old state nor the new one", emptied, 3, "could not"),
        ("neither the old state nor the new one", removed, 3, "could not"),
        ("left a temporary file", left, 3, "could not"),
        ("the template is not the one", page, 3, "could not"),
        ("nothing changed, and it did", change, 3, "could not"),
        ("nothing changed, and a file did", history, 3, "could not"),
        ("durability is unknown, and means", nothing, 6, "durability unknown"),
        ("durability is unknown, and means", change, 6, "could not"),
        ("the answer was lost", change, 9, "could not"),
        ("a panic or a hang", nothing, 101, "thread panicked at"),
        ("a panic or a hang", nothing, 128 + 9, ""),
        ("fails without a word", nothing, 3, ""),
    ];
    for (fault, plant, code, words) in table {
        let site = case.scene.site(&model);
        let before = Before::of(&site);
        plant(&site);
        let done = Run { code, stdout: String::new(), stderr: words.to_owned() };
        let found = before.contradicts(&case, &site, &done).unwrap_or_default();
        assert!(found.contains(fault), "{fault}, exit {code}: {found}");
    }
    let site = case.scene.site(&model);
    let before = Before::of(&site);
    let done = case.scene.change(&site);
    assert_eq!(before.contradicts(&case, &site, &done), None, "a clean change");
    figure(&format!("{} of {} planted contradictions caught", table.len(), table.len()));
}
