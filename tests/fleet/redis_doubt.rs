//! Answers that never come, and answers that make no sense.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use maint::fleet::{Cas, Engine, FailureKind, Revision};

use crate::cutting::Cutter;
use crate::redis_server::{Server, engine, put, text};
use crate::say::{amount, figure};

const LONG: Duration = Duration::from_secs(30);

/// Adds one with a cut somewhere, and looks afterwards, as a writer must, whether it is in force.
/// Otherwise it is added again.
fn add(
    engine: &mut dyn Engine,
    cutter: &Cutter,
    cut: impl Fn(&Cutter),
) -> (Result<Cas, FailureKind>, bool) {
    let now = engine.load(LONG).unwrap().unwrap();
    let next = (text(&now).parse::<u32>().unwrap() + 1).to_string();
    cut(cutter);
    let outcome = put(engine, Some(&now.revision), &next);
    let passed = cutter.passed();
    cutter.let_pass();
    let found = engine.load(LONG).unwrap().unwrap();
    let is_applied = text(&found) == next;
    assert!(is_applied || found == now, "something else is there");
    match &outcome {
        Ok(cas) => assert!(matches!(cas, Cas::Committed(_)) && is_applied, "{passed:?}"),
        Err(failure) => {
            let kinds = [FailureKind::Ambiguous, FailureKind::Unavailable];
            assert!(kinds.contains(&failure.kind), "{failure:?} after {passed:?}");
            assert!(
                failure.kind == FailureKind::Ambiguous || !is_applied,
                "{failure:?} {passed:?}"
            );
            assert!(!failure.reason.contains('\n'), "{failure:?}");
        }
    }
    if !is_applied {
        let retried = put(engine, Some(&now.revision), &next).unwrap();
        assert!(matches!(retried, Cas::Committed(_)), "{retried:?}");
    }
    (outcome.map_err(|failure| failure.kind), is_applied)
}

#[test]
fn requirement_91_a_change_is_applied_once_wherever_its_connection_is_cut() {
    let Some(server) = Server::with_aof() else { return };
    put(&mut *server.engine(), None, "0").unwrap();
    let cutter = Cutter::start(server.port);
    let mut engine = engine(&format!("redis://127.0.0.1:{}/shop", cutter.port));
    let (mut count, mut answers, mut requests) = (0_u32, [0; 3], [0; 3]);
    // The server has the script, and then it does not, so that its answer is an error first.
    for has_script in [true, false] {
        let prepare = || {
            if !has_script {
                server.must(&["script", "flush"]);
            }
        };
        let (outcome, _) = add(&mut *engine, &cutter, Cutter::let_pass);
        assert!(outcome.is_ok());
        prepare();
        let now = engine.load(LONG).unwrap().unwrap();
        cutter.let_pass();
        count += 2;
        assert!(matches!(
            put(&mut *engine, Some(&now.revision), &count.to_string()),
            Ok(Cas::Committed(_))
        ));
        let (request, answer) = cutter.passed();
        assert!(request > 100 && answer > 40, "{request} {answer}");
        for at in 0..answer {
            prepare();
            let (outcome, is_applied) = add(&mut *engine, &cutter, |cutter| cutter.cut_answer(at));
            count += 1;
            assert!(outcome.is_err(), "cut at {at} of {answer}");
            let is_ambiguous = outcome == Err(FailureKind::Ambiguous);
            answers[0] += 1;
            answers[1] += u32::from(is_ambiguous);
            answers[2] += u32::from(is_applied);
        }
        // A script takes a thousand bytes.
        for at in (0..request).step_by(if has_script { 1 } else { amount(29, 1) }) {
            prepare();
            let (outcome, is_applied) = add(&mut *engine, &cutter, |cutter| cutter.cut_request(at));
            count += 1;
            assert!(outcome.is_err() && !is_applied, "cut at {at} of {request}");
            requests[0] += 1;
            requests[1] += u32::from(outcome == Err(FailureKind::Ambiguous));
        }
    }
    let found = server.engine().load(LONG).unwrap().unwrap();
    assert_eq!(text(&found), count.to_string());
    let [cut, ambiguous, applied] = answers;
    // The answers to the change itself, 22 bytes each, with the script and without: once in force.
    assert!(applied > 15 && ambiguous > applied && cut > ambiguous, "{answers:?}");
    assert!(requests[0] > requests[1] && requests[1] > 50, "{requests:?}");
    figure(&format!(
        "{count} changes, 0 doubled, 0 lost; {cut} cuts in the answer ({ambiguous} in doubt, {applied} \
         in force), {} in the request ({} in doubt, 0 in force)",
        requests[0], requests[1]
    ));
}

#[test]
fn requirement_91_what_was_certainly_not_sent_is_not_in_doubt() {
    let Some(mut server) = Server::with_aof() else { return };
    let mut writer = server.engine();
    put(&mut *writer, None, "0").unwrap();
    let known = writer.load(LONG).unwrap().unwrap().revision;
    // The connection of before is dead, and the server is away.
    server.kill();
    let failure = put(&mut *writer, Some(&known), "1").unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}");
    server.restart();
    // The connection of before is dead, and the server is back.
    let Cas::Committed(first) = put(&mut *writer, Some(&known), "1").unwrap() else { panic!() };
    server.kill();
    server.restart();
    let second = put(&mut *writer, Some(&first), "2").unwrap();
    assert!(matches!(second, Cas::Committed(Revision(_))));
}

#[test]
fn an_answer_that_makes_no_sense_is_an_error_of_the_protocol() {
    // Each line is all that this server ever says.
    for (answer, part) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak Redis's protocol"),
        ("+PONG\r\n", "does not say whether it is a primary"),
        ("*0\r\n", "does not say whether it is a primary"),
        ("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n:7\r\n", "is not a site"),
        ("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n*1\r\n$1\r\nx\r\n", "is not a site"),
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer.as_bytes());
                // It stays open until the other side has had enough.
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.read(&mut [0; 4096]);
            }
        });
        let mut engine = engine(&format!("redis://127.0.0.1:{port}/shop"));
        let failure = engine.load(LONG).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Protocol, "{answer:?}: {failure:?}");
        assert!(failure.reason.contains(part), "{answer:?}: {failure:?}");
        assert!(!failure.reason.contains('\n'));
    }
}
