//! The decision, and the answer to a blocked visitor.

use std::hint::black_box;
use std::time::Duration;

use jiff::Timestamp;
use maint::gate::{Answer, Decision, Plan};
use maint::request::RequestParts;

use crate::common::{Budget, Place, Result, Table, race_seconds};
use crate::sample::{BROWSER, Sample, by_network, by_path, mean, rules, spread, state, stranger};

const CALLS: u32 = 4 * crate::sample::REQUESTS;

/// With growing numbers of rules. The plan is made in memory, since a state has at most
/// 10 000 rules in all.
pub(crate) fn decide(_: &Place, rounds: usize) -> Result<String> {
    type Kind = (&'static str, fn(u32) -> RequestParts, fn(&Decision<'_>) -> bool);
    let kinds: [Kind; 3] = [
        ("no rule matches", stranger, |decision| !decision.is_pass()),
        ("a path matches", by_path, |decision| decision.is_pass()),
        ("a network matches", by_network, |decision| decision.is_pass()),
    ];
    let now = Timestamp::now();
    let mut plans = Vec::new();
    for (number, budget) in [(0, None), (10, None), (1_000, None), (10_000, Some(150e-9))] {
        plans.push((number, budget, Plan::new(&state(true, rules(number, number)))?));
    }
    let mut contenders = Vec::new();
    let mut budgets = Vec::new();
    for (number, budget, plan) in &plans {
        let kinds = if *number == 0 { &kinds[..1] } else { &kinds };
        for (name, request, is_expected) in kinds {
            let requests = spread(*number, request);
            assert!(requests.iter().all(|request| is_expected(&plan.decide(request, now))));
            budgets.extend(budget.map(|most| (contenders.len(), Budget::Seconds(most))));
            let run = move || {
                Ok(mean(CALLS, |turn| {
                    let request = &requests[turn % requests.len()];
                    black_box(plan.decide(black_box(request), now));
                }))
            };
            contenders.push((format!("{number} paths + {number} networks, {name}"), run));
        }
    }
    let times = race_seconds(rounds, 11, &mut contenders)?;
    let title = "The decision alone, of 1 024 different requests";
    Ok(Table { title, baseline: 0, budgets: &budgets }.show(&times))
}

/// Under a path scope, with paths that servers could read differently.
pub(crate) fn paths(_: &Place, rounds: usize) -> Result<String> {
    const SHAPES: [&str; 4] = ["/a;b/..\\%2e%2e//./%252f;c", "/%252e%252e", "/a;x//..;/%5c", "//"];
    let mut state = state(true, rules(0, 0));
    for window in state.windows.values_mut() {
        window.scope.paths = vec!["/shop/**".to_owned(), "re:/v[0-9]+/.*".to_owned()];
    }
    let (plan, now) = (Plan::new(&state)?, Timestamp::now());
    let mut rows = vec![("a clear path of 1.6 kB".to_owned(), format!("/{}", "x".repeat(1_600)))];
    for length in [200, 400, 800, 1_600, 2_000] {
        let filled = |shape: &&str| format!("/{}{shape}", "x".repeat(length - shape.len() - 1));
        let repeated = |shape: &&str| shape.repeat(length / shape.len());
        let paths: Vec<String> =
            SHAPES.iter().map(filled).chain(SHAPES.iter().map(repeated)).collect();
        let cost = |path: &String| {
            let request = RequestParts::new("GET", path);
            mean(16, |_| {
                black_box(plan.decide(black_box(&request), now));
            })
        };
        let costs = paths.iter().map(|path| (cost(path), path));
        let (_, worst) = costs.max_by(|one, other| one.0.total_cmp(&other.0)).expect("some");
        rows.push((
            format!("the worst of {} ambiguous ones of {length} B", paths.len()),
            worst.clone(),
        ));
    }
    let contenders = rows.into_iter().map(|(name, path)| {
        let request = RequestParts::new("GET", &path);
        let plan = &plan;
        let run = move || {
            Ok(mean(64, |_| {
                black_box(plan.decide(black_box(&request), now));
            }))
        };
        (name, run)
    });
    let times = race_seconds(rounds, 11, &mut contenders.collect::<Vec<_>>())?;
    let budgets = [1, 2, 3, 4, 5].map(|row| (row, Budget::Seconds(200e-6)));
    let title = "The decision under a path scope, for paths made to be costly";
    Ok(Table { title, baseline: 0, budgets: &budgets }.show(&times))
}

/// With negotiation and the finished page, without a look at the file.
pub(crate) fn blocked(place: &Place, rounds: usize) -> Result<String> {
    let interval = Some(Duration::from_secs(1));
    let plain = Sample::new(place, "blocked", &state(true, rules(0, 0)))?;
    let with_rules = Sample::new(place, "blocked with rules", &state(true, rules(10, 10)))?;
    let mut ending = state(true, rules(10, 10));
    for window in ending.windows.values_mut() {
        window.end = Some(Timestamp::now() + jiff::SignedDuration::from_hours(1));
    }
    let ending = Sample::new(place, "blocked until", &ending)?;
    let gates = [plain.gate(interval)?, with_rules.gate(interval)?, ending.gate(interval)?];
    let mut silent = stranger(7);
    silent.headers.clear();
    let of_api = silent.clone().with("accept", "application/json, text/plain, */*");
    let of_browser = silent.clone().with("accept", BROWSER);
    let german = of_browser.clone().with("accept-language", "de-AT,de;q=0.9,en-US;q=0.8,en;q=0.7");
    let rows = [
        ("no rules, no Accept", &gates[0], &silent),
        ("no rules, Accept of a browser", &gates[0], &of_browser),
        ("10 + 10 rules, Accept of a browser", &gates[1], &of_browser),
        ("10 + 10 rules, Accept-Language as well", &gates[1], &german),
        ("10 + 10 rules, Accept of a script", &gates[1], &of_api),
        ("… with an end, and so its own Retry-After", &gates[2], &of_browser),
    ];
    let contenders = rows.map(|(name, gate, request)| {
        let is_blocked = |answer| matches!(answer, Answer::Reply(reply) if reply.status() == 503);
        assert!(is_blocked(gate.answer(request)), "{name}");
        let run = move || Ok(mean(CALLS, |_| drop(black_box(gate.answer(black_box(request))))));
        (name.to_owned(), run)
    });
    let times = race_seconds(rounds, 11, &mut { contenders })?;
    let budgets = [1, 2, 3, 4].map(|row| (row, Budget::Seconds(500e-9)));
    let title = "A request that is blocked, with negotiation";
    Ok(Table { title, baseline: 0, budgets: &budgets }.show(&times))
}
