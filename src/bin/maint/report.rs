//! How windows and changes read, for the verbs that show them.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use maint::flags::{Lack, Report, Standing};
use maint::fleet::following;
use maint::internal::agent::{Duty, duty};
use maint::internal::page::status_of_sending;
use maint::internal::state::next_window;
pub(crate) use maint::internal::state::{overall, window_object};
use maint::internal::time::has_come;
use maint::internal::word;
use maint::site::Found;
use maint::state::{Change, DEFAULT_WINDOW, Gap, Phase, Scope, ScopeList, Window};
use maint::store::Applied;
use maint::{Site, State};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::text::{
    BOLD, DIM, GREEN, RED, Text, YELLOW, duration, lossy, padded, paint, quoted, say,
};

/// The fields that every changing verb prints with `--json`.
pub(crate) fn object<T>(site: &Site, applied: &Applied<T>, now: Timestamp, more: Value) -> Value {
    let mut object = json!({
        "changed": applied.is_written,
        "made": applied.made.is_some(),
        "revision": applied.after.revision,
        "site": file_of(site, site.dir()),
        "file": file_of(site, &applied.file),
        "store": applied.store,
        "state": overall(&applied.after, now),
        "open": names(&applied.after, Phase::Open, now),
        "scheduled": names(&applied.after, Phase::Scheduled, now),
        "changes": applied.changes,
        "warnings": applied.warnings,
        "flags": applied.flags.flags,
    });
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}

/// A file of a site for JSON; null where the site is a copy that goes with this command.
pub(crate) fn file_of(site: &Site, path: &Path) -> Option<String> {
    (site.found() != Found::Store).then(|| lossy(path))
}

/// Where flags stand, in a line for those that follow and one for each that does not.
pub(crate) fn flags_text(report: &Report) -> Text {
    let mut text = Text::default();
    let follow: Vec<String> = report
        .flags
        .iter()
        .filter(|flag| flag.in_step == Some(true))
        .map(|flag| format!("{} {}", flag.id, flag.found.as_str()))
        .collect();
    if !follow.is_empty() {
        text += say!("{} {}\n", paint(BOLD, "flags"), follow.join(", "));
    }
    for flag in report.flags.iter().filter(|flag| flag.in_step != Some(true)) {
        text += say!("{} {}\n", paint(YELLOW, padded(&flag.id, 5)), standing_text(flag));
    }
    if let Some(problem) = &report.problem {
        text += say!("{}\n", paint(YELLOW, problem));
    }
    text
}

/// Whether a flag follows, and why not.
pub(crate) fn standing_text(flag: &Standing) -> Text {
    let wanted = if flag.wanted.is_some() { "set" } else { "clear" };
    let why = flag.problem.as_ref().map_or_else(Text::default, |why| say!(": {}", why));
    match flag.in_step {
        Some(true) => say!("{}, in step", flag.found.as_str()),
        Some(false) => {
            say!("{} where it should be {}{}", flag.found.as_str(), wanted, why)
        }
        None => say!("cannot be told from here{}", why),
    }
}

/// How a site follows the engine of a fleet, if it does: for JSON, and in a line.
pub(crate) fn following_of(site: &Site, state: &State, now: Timestamp) -> Option<(Value, Text)> {
    let engine = following(site).ok()??;
    let store = engine.address.to_string();
    if site.found() == Found::Store {
        return Some((json!({ "url": store }), Text::default()));
    }
    let (has_agent, note) = match duty(site) {
        Ok(Duty::Runs(note)) => (true, note),
        _ => (false, None),
    };
    let note = note.and_then(|note| note.fleet).filter(|note| note.store == store);
    let contact = note.as_ref().and_then(|note| note.contact_at);
    let problem = note.as_ref().and_then(|note| note.problem.clone());
    let object = json!({
        "url": store,
        "seq": state.mirror.as_ref().map(|mirror| mirror.sequence),
        "agent": has_agent,
        "contact_at": contact,
        "problem": problem,
    });
    let rest = match (has_agent, &problem) {
        (false, _) => {
            say!(": {}", paint(YELLOW, "no agent runs here, so changes elsewhere do not come"))
        }
        (true, Some(problem)) => say!(": {}", paint(YELLOW, problem)),
        (true, None) => contact.map_or_else(Text::default, |at| {
            say!(", heard {} ago", duration(now.duration_since(at).abs()))
        }),
    };
    Some((object, say!("{} {}{}\n", paint(BOLD, "follows"), store, rest)))
}

/// Whether an agent acts when the time has come.
pub(crate) fn has_agent(site: &Site) -> bool {
    matches!(duty(site), Ok(Duty::Runs(_)))
}

/// What flags cannot carry of what was just changed, a line each.
pub(crate) fn lacks_text(flags: &[Standing], is_shown: impl Fn(&Lack) -> bool) -> Text {
    let mut text = Text::default();
    for flag in flags {
        for lack in flag.lacks.iter().filter(|lack| is_shown(lack)) {
            text += say!("  flag `{}`: {}\n", flag.id, lack.describe());
        }
    }
    text
}

/// What the flags of a site cannot carry of a window, apart from what an agent does for them.
pub(crate) fn lacks_of_window(site: &Site, flags: &Report, window: &str) -> Text {
    lacks_text(&flags.flags, |lack| {
        let is_of_this = lack.window.as_ref().is_none_or(|of| *of == window);
        is_of_this && !(lack.is_of_the_clock() && has_agent(site))
    })
}

/// What a scope leaves up that somebody may take for covered, a line each.
pub(crate) fn stays_up(scope: &Scope) -> Vec<String> {
    scope.gaps().into_iter().map(|gap| gap.stays_up).collect()
}

fn names(state: &State, phase: Phase, now: Timestamp) -> Vec<&str> {
    state.windows_in(phase, now).map(|(name, _)| name).collect()
}

/// The window that begins next, whatever it covers; null if none is to come.
pub(crate) fn next_object(state: &State, now: Timestamp) -> Option<Value> {
    let (name, window) = next_window(state, now)?;
    Some(window_object(name, window, now))
}

/// A window in two or three lines.
pub(crate) fn window_text(given: &str, window: &Window, clock: &Clock) -> Text {
    let now = clock.now();
    let mut lines = Vec::new();
    let name = paint(BOLD, given);
    let reason =
        window.reason.as_deref().map_or_else(Text::default, |reason| say!("  {}", quoted(reason)));
    lines.push(say!("  {}{}", name, reason));
    for (tag, reason) in &window.reasons {
        lines.push(say!("    in {}  {}", tag, quoted(reason)));
    }
    let by = &window.opened_by;
    let end = match window.end {
        None => "until somebody closes it".into(),
        Some(end) if window.lease.is_some() => {
            say!("while its command runs (lease until {})", clock.time(end))
        }
        Some(end) => say!("until {}", clock.relative(end)),
    };
    lines.push(match window.phase(now) {
        Phase::Open => {
            let age = now.duration_since(window.since());
            let age = if age.as_secs() == 0 {
                Text::default()
            } else {
                say!(" ({})", duration(age.abs()))
            };
            say!("    since {}{} by {}, {}", clock.time(window.since()), age, by, end)
        }
        Phase::Scheduled => {
            let end =
                window.end.map_or_else(|| end.clone(), |end| say!("until {}", clock.time(end)));
            say!("    from {} by {}, {}", clock.relative(window.since()), by, end)
        }
        Phase::Ended => {
            let end = window.end.map_or_else(String::new, |end| clock.relative(end));
            say!("    opened by {}, ended {}", by, end)
        }
    });
    if let Some(text) = estimate_text(given, window, clock) {
        lines.push(say!("    {}", text));
    }
    lines.push(say!("    covers {}", window.scope));
    let page = page_text(window);
    if !page.is_empty() {
        lines.push(say!("    page: {}", page));
    }
    Text::join(&lines, "\n") + "\n"
}

/// When a window is expected to be over, until it has ended.
fn estimate_text(name: &str, window: &Window, clock: &Clock) -> Option<Text> {
    let now = clock.now();
    let estimate = window.estimate.filter(|_| window.phase(now) != Phase::Ended)?;
    let ahead = duration(estimate.duration_since(now).abs());
    let time = clock.time(estimate);
    Some(if window.is_late(now) {
        let late = paint(YELLOW, format!("{ahead} ago"));
        let name = if name == DEFAULT_WINDOW { String::new() } else { format!(" {name}") };
        say!("expected {}, {}; new time: `maint extend{} 30m`", time, late, name)
    } else {
        say!("expected {}, in {}", time, ahead)
    })
}

fn page_text(window: &Window) -> String {
    let page = &window.page;
    let parts = [
        page.status.map(|status| match status_of_sending(status) {
            same if same == status => format!("status {status}"),
            other => format!("status {status} for GET and HEAD, {other} for all else"),
        }),
        page.retry_after.map(|seconds| format!("retry after {seconds} s")),
        page.template.as_ref().map(|name| format!("template {name}")),
        page.redirect.as_ref().map(|url| format!("redirects browsers to {url}")),
        page.format.map(|format| format!("{format} for requests that do not say")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// How many gaps of a scope are shown before the rest is only counted.
const SHOWN_GAPS: usize = 5;

/// What a scope leaves up although it looks as if it were meant, with the way to cover it.
pub(crate) fn gaps_text(scope: &Scope) -> Text {
    let gaps = scope.gaps();
    let line = |gap: &Gap| {
        let option = match gap.list {
            ScopeList::Methods => "--method",
            ScopeList::Hosts => "--host",
            _ => "--path",
        };
        let wider: Vec<String> =
            gap.wider.iter().map(|value| format!("{option} {}", word(value))).collect();
        say!("  {}; to cover that too: {}\n", gap.stays_up, wider.join(" "))
    };
    let more = match gaps.len().saturating_sub(SHOWN_GAPS) {
        0 => Text::default(),
        more => say!("  and {} more like these\n", more),
    };
    gaps.iter().take(SHOWN_GAPS).map(line).collect::<Text>() + more
}

/// The tokens that went when a window opened.
pub(crate) fn revoked_text(ids: &[&str]) -> Text {
    say!("  bypass tokens of the previous maintenance are revoked: {}\n", ids.join(", "))
}

/// Whether the site is up, down or partly down.
pub(crate) fn mark(state: &State, now: Timestamp) -> Text {
    let mut open = state.windows_in(Phase::Open, now).map(|(_, window)| window).peekable();
    if open.peek().is_none() {
        paint(GREEN, "● up")
    } else if open.any(|window| window.scope.is_whole()) {
        paint(RED, "● down")
    } else {
        paint(YELLOW, "● partly down")
    }
}

/// One line: whether the site is down.
pub(crate) fn headline(state: &State, now: Timestamp) -> Text {
    let open: Vec<&str> = names(state, Phase::Open, now);
    let scheduled = names(state, Phase::Scheduled, now);
    let mark = mark(state, now);
    match (open.as_slice(), scheduled.len()) {
        ([], 0) => say!("{} no window is open", mark),
        ([], 1) => say!("{} one window is scheduled", mark),
        ([], more) => say!("{} {} windows are scheduled", mark, more),
        ([only], _) => say!("{} window `{}` is open", mark, only),
        (many, _) => say!("{} {} windows are open", mark, many.len()),
    }
}

/// Whether the site is down, and each window that holds it down or will.
pub(crate) fn holds(state: &State, clock: &Clock) -> Text {
    let now = clock.now();
    let mut text = headline(state, now) + "\n";
    for phase in [Phase::Open, Phase::Scheduled] {
        for (name, window) in state.windows_in(phase, now) {
            text += window_text(name, window, clock);
        }
    }
    text
}

/// Where it was written, and the revision.
pub(crate) fn written<T>(applied: &Applied<T>) -> Text {
    if applied.after.revision == 0 && !applied.file.exists() {
        let text = format!("no state yet: {} does not exist", applied.file.display());
        return say!("  {}\n", paint(DIM, text));
    }
    let place = applied.store.clone().unwrap_or_else(|| applied.file.display().to_string());
    say!("  {}\n", paint(DIM, say!("{} (revision {})", place, applied.after.revision)))
}

/// Fields that say who and when, which the history shows anyway, and what only programs read.
const LEFT_OUT: [&str; 6] = ["run", "opened_at", "opened_by", "added_at", "added_by", "sha256"];

/// The differences, one line each, in words and in local times.
pub(crate) fn changes_text(changes: &[Change], clock: &Clock) -> Text {
    let mut text = Text::default();
    for change in changes {
        let path = change.path();
        // The first template brings the list of them.
        if let ([list], None, Some(Value::Object(names))) =
            (&path[..], &change.before, &change.after)
            && list == "templates"
        {
            for name in names.keys() {
                text += say!("  {} template {}\n", paint(GREEN, "+"), name);
            }
            continue;
        }
        // Of an item itself these differ with each command.
        if path.get(2).is_some_and(|field| LEFT_OUT.contains(&field.as_str())) {
            continue;
        }
        let what = place(&path);
        let field = path.last().map_or("", String::as_str);
        let is_template = path.first().is_some_and(|part| part == "templates");
        let (sign, line) = match (&change.before, &change.after) {
            // Its digest says nothing to anybody.
            (Some(_), Some(_)) if is_template => (paint(YELLOW, "~"), format!("{what}: changed")),
            (None, Some(_)) if is_template => (paint(GREEN, "+"), what),
            (Some(_), None) if is_template => (paint(RED, "-"), what),
            (Some(before), Some(after)) => (
                paint(YELLOW, "~"),
                format!("{what}: {} → {}", brief(field, before, clock), brief(field, after, clock)),
            ),
            (None, Some(after)) => (paint(GREEN, "+"), with_value(&what, field, after, clock)),
            (Some(before), None) => (paint(RED, "-"), with_value(&what, field, before, clock)),
            (None, None) => continue,
        };
        text += say!("  {} {}\n", sign, line);
    }
    text
}

/// A place in the state file in words: `/windows/default/end` is `window default end`.
fn place(parts: &[String]) -> String {
    let noun = match parts.first().map_or("", String::as_str) {
        "windows" => "window",
        "ignore" => "rule",
        "bypass" => "bypass token",
        "templates" => "template",
        other => other,
    };
    // Names that people gave stay as they are.
    let is_named = matches!(noun, "window" | "rule" | "bypass token" | "template");
    let rest = parts
        .iter()
        .skip(1)
        .enumerate()
        .map(|(at, part)| if is_named && at == 0 { part.clone() } else { in_words(part) });
    let noun = if is_named { noun.to_owned() } else { in_words(noun) };
    [noun].into_iter().chain(rest).collect::<Vec<_>>().join(" ")
}

/// The name of a field in words.
fn in_words(field: &str) -> String {
    match field {
        "expires_at" => "expires".to_owned(),
        "web_user" => "user of the web server".to_owned(),
        "read_only" => "read-only".to_owned(),
        other => other.replace('_', " "),
    }
}

fn with_value(what: &str, field: &str, value: &Value, clock: &Clock) -> String {
    match brief(field, value, clock) {
        text if text.is_empty() || text == "{}" => what.to_owned(),
        text => format!("{what}: {text}"),
    }
}

/// A value on one line, without quotes and braces where they add nothing.
fn brief(field: &str, value: &Value, clock: &Clock) -> String {
    // A name that is written like a time is one: what others wrote has fields of its own.
    const TIMES: [&str; 4] = ["start", "end", "expires_at", "estimate"];
    match value {
        Value::String(text) if TIMES.contains(&field) => {
            text.parse().map_or_else(|_| quoted(text), |time| clock.time(time))
        }
        Value::String(text) if text.contains([' ', ',']) || text.is_empty() => quoted(text),
        Value::String(text) => text.clone(),
        Value::Number(seconds) if matches!(field, "lease" | "retry_after") => {
            let span = seconds.as_i64().map(SignedDuration::from_secs);
            span.map_or_else(|| seconds.to_string(), duration)
        }
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(items) => {
            items.iter().map(|item| brief(field, item, clock)).collect::<Vec<_>>().join(" ")
        }
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| !LEFT_OUT.contains(&key.as_str()))
            .map(|(key, value)| match value {
                Value::Bool(true) => in_words(key),
                value => format!("{} {}", in_words(key), brief(key, value, clock)),
            })
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}

/// A note in a listing, or nothing.
pub(crate) fn note_text(note: Option<&str>) -> Text {
    note.map_or_else(Text::default, |note| say!("  {}", quoted(note)))
}

/// Until when something in a listing holds, and who added it.
pub(crate) fn origin_text(
    expires_at: Option<Timestamp>,
    added_by: Option<&str>,
    clock: &Clock,
) -> Text {
    let expiry = match expires_at {
        Some(time) if has_come(expires_at, clock.now()) => {
            say!("  expired {}", clock.time(time))
        }
        Some(time) => say!("  until {}", clock.relative(time)),
        None => Text::default(),
    };
    expiry + added_by.map_or_else(Text::default, |by| say!("  by {}", by))
}

/// What a dry run prints.
pub(crate) fn dry_run_text(changes: &[Change], clock: &Clock) -> Text {
    if changes.is_empty() {
        "nothing would change\n".into()
    } else {
        say!("would change, but nothing was written:\n{}", changes_text(changes, clock))
    }
}
