//! Visitors who come all the while.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::app::OURS;
use crate::site::TestSite;
use crate::wire::{Answer, Kept, try_ask};

/// As many visits have to be seen while the app is down, and as many after that.
const ENOUGH: usize = 20;

/// One request, and who answered it.
struct Visit {
    begun: Instant,
    ended: Instant,
    answer: Result<Answer, String>,
}

/// What visitors saw.
pub(crate) struct Seen(Vec<Visit>);

/// The visitors, for a test that waits for some of them.
pub(crate) struct Coming<'a>(&'a Mutex<Vec<Visit>>);

impl Coming<'_> {
    /// Waits until enough visits have begun and ended from now on.
    pub(crate) fn wait(&self) {
        let begun = Instant::now();
        let enough = || {
            let seen = self.0.lock().unwrap();
            seen.iter().filter(|visit| visit.begun > begun).count() > 2 * ENOUGH
        };
        while !enough() {
            assert!(begun.elapsed() < Duration::from_secs(300), "nobody comes any more");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Runs `test` while visitors ask for `/`, one request after the other. Each second one keeps
/// its connection.
pub(crate) fn while_they_come<R>(port: u16, test: impl FnOnce(&Coming<'_>) -> R) -> (R, Seen) {
    const VISITORS: usize = 2;
    let (goes_on, seen) = (AtomicBool::new(true), Mutex::new(Vec::new()));
    let tested = std::thread::scope(|scope| {
        struct End<'a>(&'a AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::Relaxed);
            }
        }
        let _end = End(&goes_on);
        let (goes_on, seen) = (&goes_on, &seen);
        for number in 0..VISITORS {
            scope.spawn(move || {
                let mut kept = Kept::default();
                while goes_on.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let answer = match number % 2 {
                        0 => try_ask(port, "GET", "/", &[]),
                        _ => kept.get(port, "/"),
                    };
                    let answer = answer.map_err(|cause| cause.to_string());
                    seen.lock().unwrap().push(Visit { begun, ended: Instant::now(), answer });
                }
            });
        }
        test(&Coming(seen))
    });
    (tested, Seen(seen.into_inner().unwrap()))
}

/// Takes a site down and brings it back while visitors come, and checks that they met what
/// they should, see [`Seen::obeyed`]. Returns how many came down and up.
#[track_caller]
pub(crate) fn switched_among_them(
    site: &TestSite,
    port: u16,
    message: &str,
    grace: Duration,
) -> String {
    let ((on, off), seen) = while_they_come(port, |coming| {
        let wait = || {
            // As many as come within a while, and enough of them where they are slow.
            std::thread::sleep(grace + Duration::from_millis(400));
            coming.wait();
        };
        wait();
        site.on(message);
        let on = Instant::now();
        wait();
        let before = Instant::now();
        site.off();
        let off = (before, Instant::now());
        wait();
        (on, off)
    });
    seen.obeyed(on, off, grace)
}

impl Visit {
    fn is_of_the_app(&self) -> bool {
        self.answer.as_ref().is_ok_and(|it| it.status == 200 && it.header(OURS).is_some())
    }

    fn is_refused(&self) -> bool {
        self.answer.as_ref().is_ok_and(|it| it.status == 503 && it.header(OURS).is_none())
    }
}

impl Seen {
    /// Checks that who came after `on` had returned and was answered before `off` was called
    /// was refused, and that who came after `off` had returned met the app, both after
    /// `grace`. Returns how many came down and up.
    #[track_caller]
    pub(crate) fn obeyed(&self, on: Instant, off: (Instant, Instant), grace: Duration) -> String {
        let between =
            |visit: &&Visit, from: Instant, to: Instant| visit.begun > from && visit.ended < to;
        let end = self.0.iter().map(|visit| visit.ended).max().unwrap() + grace;
        let down = self.0.iter().filter(|visit| between(visit, on + grace, off.0));
        let up = self.0.iter().filter(|visit| between(visit, off.1 + grace, end));
        let (mut refused, mut served) = (0, 0);
        for visit in down {
            assert!(visit.is_refused(), "after `on`: {:?}", visit.answer);
            refused += 1;
        }
        for visit in up {
            assert!(visit.is_of_the_app(), "after `off`: {:?}", visit.answer);
            served += 1;
        }
        assert!(refused > ENOUGH && served > ENOUGH, "{refused} refused, {served} served");
        let lost = self.0.iter().find(|visit| !visit.is_of_the_app() && !visit.is_refused());
        assert!(lost.is_none(), "neither the app nor a 503: {:?}", lost.map(|it| &it.answer));
        format!("{refused} refused after `on`, {served} served after `off`")
    }
}
