//! `maint status`

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use maint::flags::{self, Report};
use maint::internal::state::by_number;
use maint::internal::time::parse_duration;
use maint::rules::Kind;
use maint::site::Found;
use maint::state::{Phase, Window};
use maint::{Site, State};
use serde_json::json;

use crate::args::{Expected, Status};
use crate::exit::Exit;
use crate::fleet;
use crate::report;
use crate::session::Session;
use crate::text::{BOLD, DIM, RED, Text, YELLOW, duration, paint, say};
use crate::{bypass, ignore};

/// How many rules are shown before the rest is only counted.
const SHOWN_RULES: usize = 8;

pub(crate) fn run(session: &Session, args: &Status) -> Result<Exit> {
    if args.fleet {
        return fleet::status(session, args);
    }
    let site = session.site()?;
    let max_age = args.max_age.as_deref().map(parse_duration).transpose()?;
    let state = site.state()?;
    let now = session.clock.now();
    let too_old: Vec<(&str, &Window)> = match max_age {
        Some(max_age) => state
            .windows_in(Phase::Open, now)
            .filter(|(_, window)| now.duration_since(window.since()) > max_age)
            .collect(),
        None => Vec::new(),
    };
    let is_met = args.expect.is_none_or(|expected| is_met(&state, expected, now));
    let flags = match flags::look(&site, &state, now) {
        Ok(flags) => Report::new(flags),
        Err(error) => Report::unknown(&error),
    };

    let text = || text(session, &site, &state, &too_old, max_age, &flags);
    let object = || {
        json!({
            "site": report::file_of(&site, site.dir()),
            "file": report::file_of(&site, &site.state_file()),
            "exists": site.state_file().exists(),
            "store": report::following_of(&site, &state, now).map(|(object, _)| object),
            "name": state.name,
            "revision": state.revision,
            "state": report::overall(&state, now),
            "windows": state.windows.iter().map(|(name, window)| report::window_object(name, window, now)).collect::<Vec<_>>(),
            "next": report::next_object(&state, now),
            "ignore": ignore::objects(&state, now),
            "bypass": bypass::objects(&state, now),
            "page": state.page,
            "last_change": state.last_change,
            "flags": flags.flags,
            "flags_problem": flags.problem,
            "expected": args.expect.map(|_| is_met),
            "too_old": too_old.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        })
    };
    // A question that is only asked for its exit code is quiet with `--quiet`.
    let is_question = args.expect.is_some() || max_age.is_some();
    if !(is_question && session.output.is_quiet()) {
        session.output.answer_with(text, object)?;
    }
    // cron(8) mails what is printed, and nobody looks at an exit code.
    if !session.output.is_json() {
        if let Some(expected) = args.expect.filter(|_| !is_met) {
            session.output.error_line(say!(
                "{} expected {}, found {}",
                paint(RED, "maint:"),
                said(expected),
                report::overall(&state, now)
            ));
        }
        if session.output.is_quiet() {
            for (name, window) in &too_old {
                session.output.error_line(too_old_text(name, window, max_age, now));
            }
        }
    }
    Ok(if !is_met || !too_old.is_empty() {
        Exit::No
    } else if args.expect.is_some() && flags.flags.iter().any(|flag| flag.in_step == Some(false)) {
        Exit::Behind
    } else {
        Exit::Done
    })
}

fn said(expected: Expected) -> &'static str {
    match expected {
        Expected::On => "on",
        Expected::Off => "off",
        Expected::Scheduled => "scheduled",
    }
}

fn too_old_text(
    name: &str,
    window: &Window,
    max_age: Option<SignedDuration>,
    now: Timestamp,
) -> Text {
    let age = duration(now.duration_since(window.since()));
    let most = max_age.map_or_else(String::new, duration);
    let too_old = paint(YELLOW, "too old");
    say!("{}: window `{}` has been open for {}, longer than {}", too_old, name, age, most)
}

fn is_met(state: &State, expected: Expected, now: Timestamp) -> bool {
    match expected {
        Expected::On => state.is_down(now),
        Expected::Off => !state.is_down(now),
        Expected::Scheduled => state.windows_in(Phase::Scheduled, now).next().is_some(),
    }
}

fn text(
    session: &Session,
    site: &Site,
    state: &State,
    too_old: &[(&str, &Window)],
    max_age: Option<SignedDuration>,
    flags: &Report,
) -> Text {
    let clock = &session.clock;
    let now = clock.now();
    let mut text = report::holds(state, clock);
    for (name, window) in too_old {
        text += too_old_text(name, window, max_age, now) + "\n";
    }
    let ended: Vec<&str> = state.windows_in(Phase::Ended, now).map(|(name, _)| name).collect();
    if !ended.is_empty() {
        text += say!("{} {}\n", paint(DIM, "ended"), ended.join(", "));
    }
    text += let_through(state, now);
    text += report::flags_text(flags);
    if let Some(name) = &state.page.template {
        text += say!("{} template {}\n", paint(BOLD, "page"), name);
    }
    if site.is_awaited() {
        let place = format!("no site yet; `maint on` makes {}", site.dir().display());
        return text + say!("{}\n", paint(DIM, place));
    }
    let changed = state.last_change.as_ref().map_or_else(
        || "never changed".to_owned(),
        |change| {
            let time = clock.relative(change.at);
            format!("revision {}, changed {time} by {}", state.revision, change.by)
        },
    );
    let follows = report::following_of(site, state, now);
    text += follows.as_ref().map_or_else(Text::default, |(_, line)| line.clone());
    let place = match follows.filter(|_| site.found() == Found::Store) {
        Some((object, _)) => format!("{} ({changed})", object["url"].as_str().unwrap_or_default()),
        None => format!("{} ({changed})", site.state_file().display()),
    };
    text + say!("{}\n", paint(DIM, place))
}

/// Who gets through, at a glance.
fn let_through(state: &State, now: Timestamp) -> Text {
    let rules: Vec<_> = by_number(&state.ignore)
        .into_iter()
        .filter(|(_, rule)| !rule.has_expired(now) && !matches!(rule.kind, Kind::Unknown(_)))
        .collect();
    let tokens = state.bypass.values().filter(|token| !token.has_expired(now)).count();
    if rules.is_empty() && tokens == 0 {
        return Text::default();
    }
    let mut parts: Vec<String> = rules
        .iter()
        .take(SHOWN_RULES)
        .map(|(id, rule)| format!("{} {} ({id})", rule.kind, rule.value))
        .collect();
    if rules.len() > SHOWN_RULES {
        parts.push(format!("{} more rules", rules.len() - SHOWN_RULES));
    }
    match tokens {
        0 => {}
        1 => parts.push("1 bypass token".to_owned()),
        many => parts.push(format!("{many} bypass tokens")),
    }
    say!("{} {}\n", paint(BOLD, "gets through"), parts.join(", "))
}
