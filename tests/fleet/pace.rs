//! Calls that must end, and writers that go on until they are sure.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use maint::fleet::{Cas, Engine, FailureKind, Outcome, Revision, Seen, Snapshot, Write};

use crate::etcd::PATIENCE;

/// How long a call of an engine may take here.
pub(crate) const WITHIN: Duration = Duration::from_secs(10);

/// Does something that might hang, and panics if it does.
pub(crate) fn ends<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let _ = sender.send(what());
    });
    receiver.recv_timeout(PATIENCE / 2).expect("it ends within half a minute")
}

/// Waits until this is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Replaces the document by this one, with nothing beside it.
pub(crate) fn put(
    engine: &mut dyn Engine,
    expected: Option<&Revision>,
    document: &[u8],
) -> Outcome<Cas> {
    engine.cas(expected, &Write { document, put: &[], remove: &[] }, WITHIN)
}

/// Replaces whatever is there.
pub(crate) fn replace(engine: &mut dyn Engine, document: &[u8]) -> Revision {
    let there = engine.load(WITHIN).unwrap().map(|snapshot| snapshot.revision);
    match put(engine, there.as_ref(), document).unwrap() {
        Cas::Committed(revision) => revision,
        Cas::Conflict => panic!("somebody else writes `{}`", String::from_utf8_lossy(document)),
    }
}

/// The document that is not the known one, once it comes.
pub(crate) fn next(engine: &mut dyn Engine, known: Option<&Revision>) -> Snapshot {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "no document came");
        match engine.wait(known, Duration::from_secs(1)) {
            Ok(Seen::Document(snapshot)) => return snapshot,
            Ok(Seen::Missing | Seen::Nothing) => {}
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// What a writer met.
#[derive(Debug, Default)]
pub(crate) struct Met {
    pub(crate) conflicts: usize,
    pub(crate) unreachable: usize,
    pub(crate) ambiguous: usize,
    /// How many of those had been applied.
    pub(crate) applied: usize,
}

/// Adds a line to the document, exactly once, whatever becomes of the engine meanwhile. The line
/// is its own id.
pub(crate) fn append(engine: &mut dyn Engine, line: &str, met: &mut Met) {
    let deadline = Instant::now() + PATIENCE;
    let mut is_unsure = false;
    loop {
        assert!(Instant::now() < deadline, "`{line}` could not be written");
        let Ok(there) = engine.load(Duration::from_secs(2)) else {
            met.unreachable += 1;
            thread::sleep(Duration::from_millis(20));
            continue;
        };
        let mut text =
            there.as_ref().map_or_else(String::new, |there| text(&there.document).to_owned());
        if text.lines().any(|there| there == line) {
            assert!(is_unsure, "`{line}` was written before it was");
            met.applied += 1;
            return;
        }
        text.push_str(line);
        text.push('\n');
        let expected = there.map(|there| there.revision);
        let write = Write { document: text.as_bytes(), put: &[], remove: &[] };
        match engine.cas(expected.as_ref(), &write, Duration::from_secs(2)) {
            Ok(Cas::Committed(_)) => return,
            Ok(Cas::Conflict) => met.conflicts += 1,
            Err(failure) if failure.kind == FailureKind::Ambiguous => {
                is_unsure = true;
                met.ambiguous += 1;
            }
            Err(_) => {
                met.unreachable += 1;
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// A document of a test is text.
pub(crate) fn text(document: &[u8]) -> &str {
    std::str::from_utf8(document).unwrap()
}
