//! `maint check --live`

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use maint::gate::{Decision, Plan};
use maint::internal::live::{
    ACCEPT, Answer, Asker, Outcome, Settings, Target, Verdict, Wanted, What, judge, needs_second,
};
use maint::internal::request::UrlParts;
use maint::internal::time::parse_duration;
use maint::request::RequestParts;
use maint::{Error, Site, State};
use serde_json::{Value, json};

use super::answered::status;
use crate::args::{Check, LiveExpected};
use crate::exit::Exit;
use crate::session::Session;
use crate::text::{DIM, GREEN, RED, Text, YELLOW, lossy, padded, paint, say, wrapped};

/// How many requests go at the same time.
const AT_ONCE: usize = 16;

/// The columns of a terminal that nobody has widened.
const WIDTH: usize = 80;

/// What was asked, and what came.
struct Row {
    target: Target,
    wanted: Wanted,
    first: Outcome,
    verdict: Verdict,
}

pub(super) fn run(session: &Session, args: &Check) -> Result<Exit> {
    if args.paths.is_empty() {
        return Err(Error::invalid_with(
            "no URL to ask: the state of a site does not say where visitors find it",
            "name it: `maint check --live https://shop.example.com/`",
        )
        .into());
    }
    let mut settings = Settings::new();
    settings.timeout = parse_duration(&args.live.timeout)?.unsigned_abs();
    settings.ca.clone_from(&args.live.ca);
    settings.is_insecure = args.live.insecure;
    let targets = targets(args)?;
    let known = known(session)?;
    let plan = known.as_ref().map(|(_, state)| Plan::new(state)).transpose()?;
    let rules = known.as_ref().map(|(_, state)| state).zip(plan.as_ref());
    let now = session.clock.now();
    let asker = Asker::new(&settings, &targets)?;
    let rows = ask_all(&asker, &targets, &|url| wanted_at(url, rules, args.live.expect, now));

    let is_met = rows.iter().all(|row| row.verdict.is_met);
    let by = match (args.live.expect, &known) {
        (Some(LiveExpected::On), _) => Some("on"),
        (Some(LiveExpected::Off), _) => Some("off"),
        (None, Some(_)) => Some("state"),
        (None, None) => None,
    };
    let object = || {
        json!({
            "live": rows.iter().map(Row::object).collect::<Vec<_>>(),
            "met": is_met,
            "expected_by": by,
            "revision": known.as_ref().map(|(_, state)| state.revision),
            "file": known.as_ref().map(|(site, _)| lossy(&site.state_file())),
        })
    };
    // A question that is only asked for its exit code is quiet with `--quiet`.
    if !session.output.is_quiet() {
        session.output.answer_with(|| table(&rows), object)?;
    }
    if !session.output.is_json() && rows.iter().all(|row| row.first.is_err()) {
        session.output.error_line("maint: nothing could be reached");
    }
    Ok(if is_met { Exit::Done } else { Exit::No })
}

/// Each URL at each address.
fn targets(args: &Check) -> maint::Result<Vec<Target>> {
    let mut targets = Vec::new();
    for url in &args.paths {
        if args.live.via.is_empty() {
            targets.push(Target::new(url, None)?);
        }
        for via in &args.live.via {
            targets.push(Target::new(url, Some(via))?);
        }
    }
    Ok(targets)
}

/// The site, if one is found here, and its state.
fn known(session: &Session) -> Result<Option<(Site, State)>> {
    if Site::discover(session.given_site())?.is_awaited() {
        return Ok(None);
    }
    let site = session.site()?;
    let state = site.state()?;
    Ok(Some((site, state)))
}

/// What a visitor should get of whom nothing is known.
fn wanted_at(
    url: &str,
    rules: Option<(&State, &Plan)>,
    expect: Option<LiveExpected>,
    now: Timestamp,
) -> Wanted {
    let page = expect.map(|expect| expect == LiveExpected::On);
    let mut wanted = Wanted { page, ..Wanted::default() };
    let Some((state, plan)) = rules else { return wanted };
    let parts = UrlParts::of(url);
    let request = RequestParts::new("GET", &parts.target.to_string())
        .with_host(parts.authority)
        .with_https(url.starts_with("https:"))
        .with("accept", ACCEPT);
    let decision = plan.decide(&request, now);
    wanted.page = wanted.page.or(Some(matches!(decision, Decision::Blocked(_))));
    wanted.status = status(state, decision, &request, now);
    wanted.revision = Some(state.revision);
    wanted
}

/// Asks them all, some at the same time, and keeps their order.
fn ask_all(
    asker: &Asker,
    targets: &[Target],
    wanted_at: &(dyn Fn(&str) -> Wanted + Sync),
) -> Vec<Row> {
    let next = AtomicUsize::new(0);
    let rows: Vec<Mutex<Option<Row>>> = targets.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        while let number = next.fetch_add(1, Ordering::Relaxed)
            && let Some(target) = targets.get(number)
        {
            let row = ask(asker, target, wanted_at);
            let place: &Mutex<Option<Row>> = &rows[number];
            if let Ok(mut place) = place.lock() {
                *place = Some(row);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..targets.len().min(AT_ONCE) {
            scope.spawn(work);
        }
    });
    rows.into_iter().filter_map(|place| place.into_inner().ok().flatten()).collect()
}

fn ask(asker: &Asker, target: &Target, wanted_at: &(dyn Fn(&str) -> Wanted + Sync)) -> Row {
    let first = asker.ask(target);
    // A redirect may lead to what another window covers.
    let wanted = wanted_at(first.as_ref().map_or(target.url(), |answer| &answer.url));
    let is_open = needs_second(&first, &wanted, Timestamp::now());
    let fresh = is_open.then(|| asker.ask_past_caches(target));
    let verdict = judge(&first, fresh.as_ref(), &wanted);
    Row { target: target.clone(), wanted, first, verdict }
}

fn expected(wanted: Wanted) -> Option<&'static str> {
    wanted.page.map(|page| if page { "page" } else { "app" })
}

impl Row {
    /// The word for people.
    fn word(&self) -> &'static str {
        match (self.verdict.what, &self.first) {
            (What::Stale, _) => "stale copy",
            (What::Other, Ok(Answer { status: 503, .. })) => "other 503",
            (What::Other, _) => "other error",
            (what, _) => what.word(),
        }
    }

    fn object(&self) -> Value {
        let verdict = &self.verdict;
        let answer = self.first.as_ref().ok();
        let problem = self.first.as_ref().err();
        json!({
            "url": self.target.url(),
            "via": self.target.via(),
            "answer": verdict.what.word(),
            "met": verdict.is_met,
            "expected": expected(self.wanted),
            "status": answer.map(|answer| answer.status),
            "revision": verdict.revision,
            "cached": verdict.cached,
            "reached": answer.map(|answer| &answer.url),
            "ms": answer.map(|answer| millis(answer.took)),
            "problem": problem.map(|problem| problem.kind),
            "notes": verdict.notes,
        })
    }

    fn line(&self, width: usize) -> Text {
        let verdict = &self.verdict;
        let mark = match (verdict.is_met, verdict.what) {
            (true, _) => GREEN,
            (false, What::Stale | What::Behind) => YELLOW,
            (false, _) => RED,
        };
        let answer = self.first.as_ref().ok();
        let none = || "–".to_owned();
        let status = answer.map_or_else(none, |answer| answer.status.to_string());
        let revision = verdict.revision.map_or_else(none, |revision| revision.to_string());
        let time = answer.map_or_else(none, |answer| format!("{} ms", millis(answer.took)));
        let via = self.target.via().map_or_else(Text::default, |via| say!(" via {}", via));
        let mut text = say!(
            "{} {}  {}  {}  {}  {}  {}{}\n",
            paint(mark, "●"),
            padded(self.word(), 11),
            padded(status, 6),
            padded(revision, width),
            padded(expected(self.wanted).unwrap_or("–"), 8),
            padded(time, 8),
            self.target.url(),
            via
        );
        let answer_url = answer.map(|answer| answer.url.as_str());
        let led = answer_url.filter(|url| *url != self.target.url());
        let led = led.map(|url| format!("the site leads on to {url}"));
        let cached = verdict.cached.as_ref().map(|said| format!("a cache answers: {said}"));
        for note in led.iter().chain(&cached).chain(&verdict.notes) {
            text += wrapped("   ", note, WIDTH);
        }
        text
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn table(rows: &[Row]) -> Text {
    let revisions = rows.iter().filter_map(|row| row.verdict.revision);
    let width = revisions.map(|revision| revision.to_string().len()).max().unwrap_or(0).max(8);
    let head = say!(
        "  {}  {}  {}  {}  {}  {}",
        padded("answer", 11),
        padded("status", 6),
        padded("revision", width),
        padded("expected", 8),
        padded("time", 8),
        "url"
    );
    let head = paint(DIM, head) + "\n";
    rows.iter().fold(head, |text, row| text + row.line(width))
}
