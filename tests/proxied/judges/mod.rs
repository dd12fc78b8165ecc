//! Whatever shape a target has, a visitor reaches only what a rule names while the
//! site is down, and nothing in a window's scope. The server that answered is the
//! judge of what was reached.

mod legitimate;
mod python;
mod servers;
mod shapes;

use std::collections::BTreeMap;

use jiff::Timestamp;
use maint::gate::Plan;
use maint::request::RequestParts;

use crate::say::figure;
use crate::site::TestSite;
use servers::{Judge, Served, served};
use shapes::{SHAPES, target};

/// One pattern of each form, and what it means.
struct Pattern {
    text: &'static str,
    /// A path that it names.
    example: &'static str,
    names: fn(&Served) -> bool,
}

const RULES: [Pattern; 5] = [
    Pattern { text: "/health", example: "/health", names: |it| it.route == "health" },
    Pattern { text: "/static/**", example: "/static", names: |it| it.route == "static" },
    Pattern { text: "/api/*/status", example: "/api/7/status", names: |it| it.route == "status" },
    Pattern {
        text: "re:/v[0-9]+/.*",
        example: "/v1/x",
        names: |it| it.route == "version" || it.route == "other" && it.path.starts_with("/v1/"),
    },
    // The form that a name with the right ending slips through most easily.
    Pattern {
        text: r"re:/.*\.css",
        example: "/theme/x.css",
        names: |it| it.path.as_bytes().ends_with(b".css"),
    },
];

const SCOPES: [Pattern; 4] = [
    Pattern { text: "/admin", example: "/admin", names: |it| it.path == "/admin" },
    Pattern { text: "/admin/**", example: "/admin/users", names: |it| it.route == "admin" },
    Pattern {
        text: "/admin/*/edit",
        example: "/admin/7/edit",
        names: |it| {
            it.path.starts_with("/admin/")
                && it.path.ends_with("/edit")
                && it.path.matches('/').count() == 3
        },
    },
    Pattern {
        text: "re:/admin/.*",
        example: "/admin/7/edit",
        names: |it| it.route == "admin" && it.path.starts_with("/admin/"),
    },
];

/// The outcome of the requests to one judge.
#[derive(Default)]
struct Tally {
    asked: usize,
    /// Answered by a route.
    passed: usize,
    /// What a plain prefix comparison would have got wrong.
    naive: usize,
}

/// Asks every judge for a target, and notes in `wrong` the answers that are not
/// `is_allowed`.
fn ask_all(
    judges: &[Judge],
    plan: &Plan,
    target: &[u8],
    is_naively_passed: bool,
    is_allowed: &dyn Fn(&Served) -> bool,
    tallies: &mut BTreeMap<&'static str, Tally>,
    wrong: &mut Vec<String>,
) {
    let now = Timestamp::now();
    let is_passed = plan.decide(&facts(target), now).is_pass();
    for judge in judges {
        let tally = tallies.entry(judge.name).or_default();
        tally.asked += 1;
        let Some(served) = served(judge.port, target) else { continue };
        let is_wrong = !is_allowed(&served);
        tally.naive += usize::from(!judge.has_gate && is_naively_passed && is_wrong);
        if judge.has_gate || is_passed {
            tally.passed += 1;
            if is_wrong {
                let target = target.escape_ascii();
                wrong.push(format!("{}: {target} as {served:?}", judge.name));
            }
        }
    }
}

/// A target as a reader sees it who has the bytes that were sent.
fn facts(target: &[u8]) -> RequestParts {
    let mut parts = target.splitn(2, |&byte| byte == b'?');
    let path = parts.next().unwrap_or_default().to_vec();
    let mut request = RequestParts::new("GET", "/");
    (request.path, request.query) = (path, parts.next().map(<[u8]>::to_vec));
    request
}

fn plan(site: &TestSite) -> Plan {
    Plan::new(&site.site().state().unwrap()).unwrap()
}

fn tell(claim: &str, tallies: &BTreeMap<&'static str, Tally>, wrong: &[String]) {
    for (name, Tally { asked, passed, naive }) in tallies {
        let of_naive = if *naive > 0 {
            format!("; a comparison of the beginnings lets {naive} slip")
        } else {
            String::new()
        };
        figure(&format!("{name}: {asked} requests, {passed} answered by a route{of_naive}"));
    }
    let asked: usize = tallies.values().map(|tally| tally.asked).sum();
    figure(&format!("{claim}: {} of {asked} requests, {} shapes", wrong.len(), SHAPES.len()));
    assert!(wrong.is_empty(), "{claim}:\n{}", wrong.join("\n"));
    assert!(SHAPES.len() >= 80);
    assert!(tallies.values().any(|tally| tally.naive > 0), "these shapes cannot show the fault");
}

#[test]
fn requirement_41_no_shape_reaches_what_no_rule_names() {
    let site = TestSite::new();
    let judges = servers::start(&site);
    site.maint(&["on"]);
    let (mut tallies, mut wrong) = (BTreeMap::new(), Vec::new());
    for rule in &RULES {
        site.ignore_only("path", rule.text);
        let plan = plan(&site);
        for secret in ["/admin", "/admin/users"] {
            for shape in SHAPES {
                let target = target(shape, rule.example, secret);
                let naive = target.starts_with(rule.example.as_bytes());
                ask_all(&judges, &plan, &target, naive, &rule.names, &mut tallies, &mut wrong);
            }
        }
        for judge in &judges {
            let served = served(judge.port, rule.example.as_bytes()).map(|it| (rule.names)(&it));
            assert_eq!(served, Some(true), "{}: {}", judge.name, rule.text);
        }
    }
    tell("a path was reached that no rule names", &tallies, &wrong);
}

#[test]
fn requirement_41_no_shape_reaches_into_the_scope_of_a_window() {
    let site = TestSite::new();
    let judges = servers::start(&site);
    let (mut tallies, mut wrong) = (BTreeMap::new(), Vec::new());
    for scope in &SCOPES {
        site.maint(&["on", "--yes", "--path", scope.text]);
        let plan = plan(&site);
        for allowed in ["/static", "/v1/x"] {
            for shape in SHAPES {
                let target = target(shape, allowed, scope.example);
                let naive = !target.starts_with(b"/admin");
                let is_allowed = |it: &Served| !(scope.names)(it);
                ask_all(&judges, &plan, &target, naive, &is_allowed, &mut tallies, &mut wrong);
            }
        }
    }
    tell("the scope of a window was reached", &tallies, &wrong);
}
