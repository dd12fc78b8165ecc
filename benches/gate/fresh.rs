//! What it costs to find that nothing has changed.

use std::ffi::{CStr, CString};
use std::hint::black_box;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use maint::Gate;
use maint::internal::load;
use maint::request::RequestParts;
use rustix::time::{ClockId, clock_gettime};

use crate::common::{Budget, Place, Result, Table, race_seconds, span};
use crate::sample::{
    Sample, by_network, by_path, mean, passes, rules, state, stranger, thread_clock,
};

const TURNS: usize = 11;
const CALLS: u32 = 2_000;

type Contender<'a> = (String, Box<dyn FnMut() -> Result<f64> + 'a>);

/// A contender that is the mean of many calls.
fn contender<'a>(name: &str, calls: u32, mut call: impl FnMut(usize) + 'a) -> Contender<'a> {
    (name.to_owned(), Box::new(move || Ok(mean(calls, &mut call))))
}

/// A gate that answers one request, which must pass.
fn passing<'a>(name: &str, calls: u32, gate: &'a Gate, request: &'a RequestParts) -> Contender<'a> {
    assert!(passes(gate, request), "{name}");
    contender(name, calls, move |_| drop(black_box(gate.answer(black_box(request)))))
}

/// With a look at the file before every answer.
pub(crate) fn always(place: &Place, rounds: usize) -> Result<String> {
    let up = Sample::new(place, "up", &state(false, rules(0, 0)))?;
    let with_rules = Sample::new(place, "up with rules", &state(false, rules(10, 10)))?;
    let down = Sample::new(place, "down with rules", &state(true, rules(10, 10)))?;
    let gates = [up.gate(None)?, with_rules.gate(None)?, down.gate(None)?];
    let path = CString::new(with_rules.file().as_os_str().as_bytes())?;
    let (request, by_rule) = (stranger(7), by_path(7));
    let mut contenders = [
        contender("stat(2) of the same path", CALLS, |_| {
            black_box(rustix::fs::stat(black_box(path.as_c_str())).is_ok());
        }),
        contender("the same in functions, which return", CALLS, |_| {
            black_box(exists(black_box(&path)));
        }),
        contender("open, read, parse (10 + 10 rules)", CALLS / 20, |_| {
            black_box(load::read(&with_rules.file()).is_ok());
        }),
        passing("the gate, up, no rules", CALLS, &gates[0], &request),
        passing("the gate, up, 10 + 10 rules", CALLS, &gates[1], &request),
        passing("the gate, down, 10 + 10 rules, one matches", CALLS, &gates[2], &by_rule),
    ];
    let times = race_seconds(rounds, TURNS, &mut contenders)?;
    let budgets = [3, 4].into_iter().flat_map(|gate| {
        [Budget::Ratio(1.15), Budget::RatioTo(1, 1.15), Budget::RatioTo(2, 0.25)]
            .map(|of| (gate, of))
    });
    let budgets: Vec<_> = budgets.collect();
    let title = "A request that passes, a look at the file each time";
    let table = Table { title, baseline: 0, budgets: &budgets }.show(&times);
    Ok(table + &slowest_of_a_million(&gates[1], &request))
}

/// Whether a file exists. Not inlined: where the kernel clears what the processor
/// predicts of returns, the first ones after a system call are expensive, and the
/// caller of a gate pays for them too.
#[inline(never)]
fn exists(path: &CStr) -> bool {
    black_box(look(path))
}

#[inline(never)]
fn look(path: &CStr) -> bool {
    black_box(rustix::fs::stat(path).is_ok())
}

/// What the slowest requests wait, by the clock on the wall (requirement 23).
fn slowest_of_a_million(gate: &Gate, request: &RequestParts) -> String {
    const NUMBER: usize = 1_000_000;
    let mut times: Vec<Duration> = (0..NUMBER)
        .map(|_| {
            let begun = Instant::now();
            let is_passed = passes(gate, black_box(request));
            let time = begun.elapsed();
            assert!(is_passed);
            time
        })
        .collect();
    times.sort_unstable();
    let of = |share: usize| span(times[NUMBER / 1_000 * share].as_secs_f64());
    let is_met = times[NUMBER / 1_000 * 990] < Duration::from_micros(20);
    format!(
        "  of {NUMBER} by the clock on the wall: half within {}, 99 % within {}, 99.9 % within {}  \
         budget 99 % within 20 µs: {}\n",
        of(500),
        of(990),
        of(999),
        if is_met { "met" } else { "MISSED" }
    )
}

/// With a look once a second.
pub(crate) fn recheck(place: &Place, rounds: usize) -> Result<String> {
    const CALLS: u32 = 20_000;
    let interval = Some(Duration::from_secs(1));
    let up = Sample::new(place, "recheck up", &state(false, rules(10, 10)))?;
    let down = Sample::new(place, "recheck down", &state(true, rules(10, 10)))?;
    let gates = [up.gate(interval)?, down.gate(interval)?];
    let path = CString::new(up.file().as_os_str().as_bytes())?;
    let (request, by_path, by_network) = (stranger(7), by_path(7), by_network(7));
    let mut contenders = [
        contender("stat(2) of the same path", CALLS, |_| {
            black_box(rustix::fs::stat(black_box(path.as_c_str())).is_ok());
        }),
        contender("clock_gettime(2), coarse", CALLS, |_| {
            black_box(clock_gettime(ClockId::MonotonicCoarse));
        }),
        contender("clock_gettime(2), real time", CALLS, |_| {
            black_box(clock_gettime(ClockId::Realtime));
        }),
        passing("the gate, up, 10 + 10 rules", CALLS, &gates[0], &request),
        passing("the gate, down, a path matches", CALLS, &gates[1], &by_path),
        passing("the gate, down, a network matches", CALLS, &gates[1], &by_network),
    ];
    let times = race_seconds(rounds, TURNS, &mut contenders)?;
    let budgets =
        [(3, Budget::Seconds(20e-9)), (4, Budget::Seconds(80e-9)), (5, Budget::Seconds(80e-9))];
    let title = "A request that passes, a look at the file once a second";
    Ok(Table { title, baseline: 0, budgets: &budgets }.show(&times))
}

/// What it costs to know what is to come, with a look at the file each time.
pub(crate) fn next(place: &Place, rounds: usize) -> Result<String> {
    let scheduled = |number: i64| {
        let mut state = state(true, rules(10, 10));
        let (name, window) = state.windows.pop_first().expect("one is open");
        for hours in 1..=number {
            let mut window = window.clone();
            window.start = Some(Timestamp::now() + SignedDuration::from_hours(hours));
            // The last one alone covers the request.
            let path = if hours == number { "/**" } else { "/elsewhere/**" };
            window.scope.paths = vec![path.to_owned()];
            state.windows.insert(format!("{name}-{hours}"), window);
        }
        state
    };
    let up = Sample::new(place, "nothing to come", &state(false, rules(10, 10)))?;
    let one = Sample::new(place, "one to come", &scheduled(1))?;
    let ten = Sample::new(place, "ten to come", &scheduled(10))?;
    let gates = [up.gate(None)?, one.gate(None)?, ten.gate(None)?];
    let request = stranger(7);
    let asking = |name: &str, gate: usize, is_found: bool| {
        let (gate, request) = (&gates[gate], &request);
        assert_eq!(gate.next(request, None).is_some(), is_found, "{name}");
        contender(name, CALLS, move |_| {
            black_box(gate.next(black_box(request), None));
        })
    };
    let mut contenders = [
        passing("an answer, nothing to come", CALLS, &gates[0], &request),
        asking("what is to come: nothing", 0, false),
        asking("what is to come: one window", 1, true),
        asking("what is to come: the last of ten windows", 2, true),
        passing("an answer, one window to come", CALLS, &gates[1], &request),
        passing("an answer, ten windows to come", CALLS, &gates[2], &request),
    ];
    let times = race_seconds(rounds, TURNS, &mut contenders)?;
    let budgets = [(1, Budget::Ratio(1.1)), (2, Budget::Ratio(1.5)), (4, Budget::Ratio(1.5))];
    let title = "What is to come, beside an answer while nothing is";
    Ok(Table { title, baseline: 0, budgets: &budgets }.show(&times))
}

/// The work a thread repeats.
type Work<'w> = dyn Fn(u32) + Sync + 'w;

/// What each thread uses, alone and beside another thread.
pub(crate) fn threads(place: &Place, rounds: usize) -> Result<String> {
    let up = Sample::new(place, "threads up", &state(false, rules(10, 10)))?;
    let down = Sample::new(place, "threads down", &state(true, rules(10, 10)))?;
    let path = CString::new(up.file().as_os_str().as_bytes())?;
    let interval = Some(Duration::from_secs(1));
    let (always, seldom) = (up.gate(None)?, up.gate(interval)?);
    let (down_always, down_seldom) = (down.gate(None)?, down.gate(interval)?);
    let (request, by_rule) = (stranger(7), by_path(7));
    let answer =
        |gate: &Gate, request: &RequestParts| drop(black_box(gate.answer(black_box(request))));
    let works: [(&str, Box<Work<'_>>); 6] = [
        (
            "work that shares nothing",
            Box::new(|turn| {
                black_box((0..400).fold(u64::from(turn), |sum, next| {
                    black_box(sum.wrapping_mul(0x9e37_79b9).rotate_left(7) ^ next)
                }));
            }),
        ),
        (
            "stat(2) of the same path",
            Box::new(|_| {
                black_box(rustix::fs::stat(black_box(path.as_c_str())).is_ok());
            }),
        ),
        ("the gate, up", Box::new(|_| answer(&always, &request))),
        ("the gate, down, a rule matches", Box::new(|_| answer(&down_always, &by_rule))),
        ("recheck, up", Box::new(|_| answer(&seldom, &request))),
        ("recheck, down, a rule matches", Box::new(|_| answer(&down_seldom, &by_rule))),
    ];
    let mut contenders = Vec::new();
    let mut budgets = Vec::new();
    for (position, (name, work)) in works.iter().enumerate() {
        for number in [1, 2] {
            let run = move || Ok(processor_time(number, work.as_ref()));
            contenders.push((format!("{name}: {number}"), run));
        }
        // The contenders that are not the gate show what the machine itself adds.
        budgets.push((2 * position + 1, Budget::RatioTo(2 * position, 1.3)));
    }
    let times = race_seconds(rounds, TURNS, &mut contenders)?;
    let title = "Processor time of a thread, alone and beside another";
    Ok(Table { title, baseline: 0, budgets: &budgets }.show(&times))
}

/// What each of this many threads uses for one call, in seconds of processor time.
fn processor_time(threads: usize, work: &(dyn Fn(u32) + Sync)) -> f64 {
    const CALLS: u32 = 10_000;
    let start = Barrier::new(threads);
    let of_thread = || {
        start.wait();
        let begun = thread_clock();
        (0..CALLS).for_each(work);
        (thread_clock() - begun) / f64::from(CALLS)
    };
    let each: Vec<f64> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(of_thread)).collect();
        running.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    });
    #[expect(clippy::cast_precision_loss, reason = "they are one or two")]
    let mean = each.iter().sum::<f64>() / each.len() as f64;
    mean
}
