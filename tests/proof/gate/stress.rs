//! Requirement 58: sixteen readers and a writer; each answer comes from one whole state.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use maint::gate::Answer;
use serde_json::{Value, json};

use crate::env::{OPENED, TestSite, accepting, at, get, reply};
use crate::say::{amount, figure};

const READERS: usize = 16;

/// Long enough for some thousand changes on a busy host.
fn lasts() -> Duration {
    Duration::from_secs(amount(5, 60))
}

/// A state in which every part names the revision.
fn parts(revision: u64) -> Value {
    json!({
        "windows": { "w": {
            "opened_at": OPENED,
            "start": OPENED,
            "end": end(revision).to_string(),
            "reason": format!("revision {revision}"),
        } },
        "ignore": { "r1": { "kind": "path", "value": format!("/{revision}") } },
        "page": { "status": 500 + revision % 100 },
    })
}

fn end(revision: u64) -> jiff::Timestamp {
    let seconds = i64::try_from(1 + revision % 600_000).unwrap();
    at(OPENED).checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap()
}

/// What a reader sees of a state: in the body of a page, its status, a field.
#[derive(Clone, Debug)]
struct Seen {
    reason: String,
    end: String,
    status: u16,
    retry_after: String,
}

impl Seen {
    fn of(answer: Answer) -> Self {
        let reply = reply(answer);
        let page: Value = serde_json::from_slice(reply.body()).unwrap();
        let text = |name: &str| page[name].as_str().unwrap().to_owned();
        let retry_after = reply.header("retry-after").unwrap();
        Self { reason: text("detail"), end: text("end"), status: reply.status(), retry_after }
    }

    /// The revision, if all parts agree on it.
    fn revision(&self) -> Option<u64> {
        let revision: u64 = self.reason.strip_prefix("revision ")?.parse().ok()?;
        let is_whole = self.end == end(revision).to_string()
            && u64::from(self.status) == 500 + revision % 100
            && self.retry_after == (1 + revision % 600_000).to_string();
        is_whole.then_some(revision)
    }
}

/// The revision that a page shows.
fn told(answer: Answer) -> u64 {
    let seen = Seen::of(answer);
    seen.revision().unwrap_or_else(|| panic!("from more than one state: {seen:?}"))
}

#[test]
fn requirement_57_an_answer_from_two_states_is_seen_as_such() {
    let site = TestSite::new();
    let seen = |revision| {
        site.put(revision, &parts(revision));
        Seen::of(site.gate().current().at(at(OPENED)).answer(&accepting("application/json")))
    };
    let (one, other) = (seen(7), seen(8));
    assert_eq!((one.revision(), other.revision()), (Some(7), Some(8)));
    // Each mixture of the two.
    for mixture in 1..15_u8 {
        let of = |part: u8| if mixture >> part & 1 == 0 { &one } else { &other };
        let torn = Seen {
            reason: of(0).reason.clone(),
            end: of(1).end.clone(),
            status: of(2).status,
            retry_after: of(3).retry_after.clone(),
        };
        assert_eq!(torn.revision(), None, "{torn:?}");
    }
    figure("14 of 14 mixtures of two states are seen");
}

#[test]
fn requirement_58_each_answer_comes_from_one_whole_state() {
    let site = TestSite::new();
    site.put(1, &parts(1));
    let gate = site.gate();
    let written = AtomicU64::new(1);
    let is_over = AtomicBool::new(false);
    let now = at(OPENED);
    let read: u64 = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                scope.spawn(|| {
                    let (mut answers, mut last) = (0, 0);
                    while !is_over.load(Ordering::Relaxed) {
                        let before = written.load(Ordering::SeqCst);
                        let revision =
                            told(gate.current().at(now).answer(&accepting("application/json")));
                        assert!(revision >= before, "{before} was in force before the request");
                        assert!(revision >= last, "{revision} after {last}");
                        last = revision;
                        // The rule for this path exists in this revision alone.
                        let path = format!("/{revision}");
                        match gate
                            .current()
                            .at(now)
                            .answer(&get(&path).with("accept", "application/json"))
                        {
                            Answer::Pass(pass) => assert_eq!(pass.by.as_deref(), Some("r1")),
                            blocked @ Answer::Reply(_) => assert!(told(blocked) > revision),
                        }
                        answers += 2;
                    }
                    answers
                })
            })
            .collect();
        let (begun, lasts) = (Instant::now(), lasts());
        let mut revision = 1;
        while begun.elapsed() < lasts && readers.iter().all(|reader| !reader.is_finished()) {
            revision += 1;
            site.put(revision, &parts(revision));
            written.store(revision, Ordering::SeqCst);
            // Now and then, let the readers ask about one state more than once.
            if revision % 8 == 0 {
                std::thread::sleep(Duration::from_micros(300));
            }
        }
        is_over.store(true, Ordering::Relaxed);
        readers.into_iter().map(|reader| reader.join().unwrap()).sum()
    });
    figure(&format!(
        "{READERS} readers for {} s, {} changes: {read} answers, each from one whole state",
        lasts().as_secs(),
        written.into_inner()
    ));
    assert_eq!(site.told(), [""; 0]);
}
