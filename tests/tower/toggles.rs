//! The switch takes effect with the next request, for everyone.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use axum::Router;
use axum::routing::any;

use crate::client::{Client, Response};
use crate::env::{Server, TestSite, eventually};
use crate::meanwhile::Meanwhile;
use crate::say::figure;

/// How often the site goes down and comes back.
const TURNS: u64 = 110;

const SHOP: &str = "the shop\n";

/// The state of the site, as whoever runs the command knows it. Each value is used
/// once: 4n is up, 4n + 1 going down, 4n + 2 down, 4n + 3 coming back.
struct Phase(AtomicU64);

impl Phase {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn advance(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// The statuses allowed for a request that began and ended in these phases.
fn allowed(before: u64, after: u64) -> &'static [u16] {
    match (before == after, before % 4) {
        (true, 0) => &[200],
        (true, 2) => &[503],
        _ => &[200, 503],
    }
}

/// What one client repeats.
#[derive(Clone, Copy, Debug)]
enum Habit {
    Get,
    Head,
    Post,
    /// A new connection for each request.
    Anew,
}

const HABITS: [Habit; 4] = [Habit::Get, Habit::Head, Habit::Post, Habit::Anew];

fn ask(client: &mut Client, habit: Habit) -> io::Result<Response> {
    match habit {
        Habit::Head => {
            client.head("HEAD", "/", &[])?;
            client.receive("HEAD")
        }
        Habit::Post => {
            client.head("POST", "/", &[("Content-Length", "4")])?;
            client.write(b"a=1\n")?;
            client.receive("POST")
        }
        Habit::Get | Habit::Anew => {
            client.head("GET", "/", &[])?;
            client.receive("GET")
        }
    }
}

/// Whether an answer is one whole answer, of the app or of the gate.
fn is_sound(response: &Response, habit: Habit) -> bool {
    let is_head = matches!(habit, Habit::Head);
    match response.status {
        200 if is_head => !response.is_from_the_gate(),
        200 => response.body == SHOP.as_bytes() && !response.is_from_the_gate(),
        _ => response.is_from_the_gate() && response.body.is_empty() == is_head,
    }
}

#[test]
fn no_request_that_starts_after_the_command_returned_meets_what_was_before() {
    let site = TestSite::new();
    let app = Router::new().route("/", any(async |_: String| SHOP)).layer(site.layer());
    let server = Server::start(app);
    let phase = Phase(AtomicU64::new(0));
    let seen = HABITS.map(|_| AtomicU64::new(u64::MAX));
    let requests = AtomicU64::new(0);
    let wrong = Mutex::new(Vec::new());
    let meanwhile = Meanwhile::new();
    let client_loop = |number: usize| {
        let habit = HABITS[number];
        let mut client = server.client();
        while meanwhile.goes_on() {
            if matches!(habit, Habit::Anew) {
                client = server.client();
            }
            let before = phase.now();
            let response = ask(&mut client, habit);
            let after = phase.now();
            let is_right = response.as_ref().is_ok_and(|response| {
                is_sound(response, habit) && allowed(before, after).contains(&response.status)
            });
            if !is_right {
                let what = format!("{habit:?} from {before} to {after}: {response:?}");
                wrong.lock().unwrap().push(what);
                client = server.client();
            }
            requests.fetch_add(1, Ordering::SeqCst);
            if before == after {
                seen[number].store(after, Ordering::SeqCst);
            }
        }
    };
    // Every client must make a whole request in every phase, or the test shows nothing.
    let all_were_here = |phase: u64| {
        eventually("every client made a request", || {
            seen.iter().all(|seen| seen.load(Ordering::SeqCst) == phase)
        });
    };
    thread::scope(|scope| {
        for number in 0..HABITS.len() {
            scope.spawn(move || client_loop(number));
        }
        meanwhile.of(|| {
            all_were_here(0);
            for _ in 0..TURNS {
                for command in ["on", "off"] {
                    phase.advance();
                    site.ok(&[command]);
                    all_were_here(phase.advance());
                }
                assert_eq!(*wrong.lock().unwrap(), Vec::<String>::new());
            }
        });
    });
    assert_eq!(*wrong.lock().unwrap(), Vec::<String>::new());
    let (requests, toggles) = (requests.into_inner(), 2 * TURNS);
    figure(&format!("{requests} requests, {toggles} toggles: 0 stale, 0 broken"));
}
