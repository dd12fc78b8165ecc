//! Requirement 58: sixteen readers and a writer; each answer is from one whole state.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use maint::gate::Answer;
use serde_json::{Value, json};

use crate::env::{OPENED, TestSite, accepting, at, get, reply};
use crate::say::figure;

const READERS: usize = 16;

/// Long enough for some thousand changes on a busy host.
const LASTS: Duration = Duration::from_secs(5);

/// A state all of whose parts tell its revision.
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

/// The revision that a page tells, in all of its parts alike.
fn told(answer: Answer) -> u64 {
    let reply = reply(answer);
    let page: Value = serde_json::from_slice(reply.body()).unwrap();
    let reason = page["detail"].as_str().unwrap();
    let revision: u64 = reason.strip_prefix("revision ").unwrap().parse().unwrap();
    let whole = page.to_string();
    assert_eq!(page["end"], end(revision).to_string(), "{whole}");
    assert_eq!(u64::from(reply.status()), 500 + revision % 100, "{whole}");
    let wait = (1 + revision % 600_000).to_string();
    assert_eq!(reply.header("retry-after"), Some(wait), "{whole}");
    revision
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
                        let revision = told(gate.answer_at(&accepting("application/json"), now));
                        assert!(revision >= before, "{before} was in force before the request");
                        assert!(revision >= last, "{revision} after {last}");
                        last = revision;
                        // The rule of a revision lets through under that one alone.
                        let path = format!("/{revision}");
                        match gate.answer_at(&get(&path).with("accept", "application/json"), now) {
                            Answer::Pass(pass) => assert_eq!(pass.by.as_deref(), Some("r1")),
                            blocked @ Answer::Reply(_) => assert!(told(blocked) > revision),
                        }
                        answers += 2;
                    }
                    answers
                })
            })
            .collect();
        let begun = Instant::now();
        let mut revision = 1;
        while begun.elapsed() < LASTS && readers.iter().all(|reader| !reader.is_finished()) {
            revision += 1;
            site.put(revision, &parts(revision));
            written.store(revision, Ordering::SeqCst);
            // Let them ask about one state more than once, now and then.
            if revision % 8 == 0 {
                std::thread::sleep(Duration::from_micros(300));
            }
        }
        is_over.store(true, Ordering::Relaxed);
        readers.into_iter().map(|reader| reader.join().unwrap()).sum()
    });
    figure(&format!("{READERS} readers, {} changes, {read} answers", written.into_inner()));
    assert_eq!(site.told(), [""; 0]);
}
