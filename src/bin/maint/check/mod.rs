//! `maint check`

mod answered;
#[cfg_attr(not(feature = "fleet"), path = "no_live.rs")]
mod live;

use std::io::Read as _;
use std::net::IpAddr;

use anyhow::Result;
use jiff::Timestamp;
use maint::gate::{Decision, Plan};
use maint::internal::request::{PARAMETER, PathForms, UrlParts, is_host};
use maint::request::{Request as _, RequestParts, User};
use maint::rules::{HeaderMatch, Kind, Matcher};
use maint::{Error, State};
use serde_json::json;

use answered::status;

use crate::args::{Check, CheckUser};
use crate::exit::Exit;
use crate::report;
use crate::session::Session;
use crate::text::{GREEN, RED, Text, lossy, paint, say};

/// The longest token that is read from standard input.
const MAX_TOKEN: u64 = 4_096;

pub(crate) fn run(session: &Session, args: &Check) -> Result<Exit> {
    if args.live.live {
        return live::run(session, args);
    }
    let [path] = &*args.paths else {
        let message = format!("one path at a time, and not {}", args.paths.len());
        return Err(Error::invalid(message).into());
    };
    let site = session.site()?;
    let request = described(args, path)?;
    if !linked(&request).is_empty() {
        session.output.note(
            "every user of this host can see a token on the command line; use `--token-stdin`",
        );
    }
    session.doubt_rules(Matcher::parse(&Kind::Method, &args.method));
    let now = args.at.as_deref().map(|text| session.time(text)).transpose()?;
    let now = now.unwrap_or_else(|| session.clock.now());
    let state = site.state()?;
    let plan = Plan::new(&state)?;
    let decision = plan.decide(&request, now);
    let address = plan.client_address(&request);
    let is_ambiguous = PathForms::new(request.path()).is_ambiguous();

    let (word, kind) = match decision {
        Decision::Up => ("pass", "up"),
        Decision::Ignored { .. } => ("pass", "rule"),
        Decision::Bypassed(_) => ("pass", "token"),
        Decision::Blocked(_) => ("block", "window"),
    };
    let status = status(&state, decision, &request, now);
    let object = json!({
        "decision": word,
        "why": kind,
        "by": decision.by(),
        "status": status,
        "at": now,
        "method": request.method,
        "path": String::from_utf8_lossy(&request.path),
        "ambiguous": is_ambiguous,
        "host": request.host,
        "address": address,
        "file": lossy(&site.state_file()),
    });
    let mut text = explain(session, &state, decision, args.at.is_some().then_some(now));
    if let Some(status) = status {
        text += say!("  it is answered with status {}\n", status);
    }
    if is_ambiguous {
        text +=
            "  servers could disagree on what this path means, so no path rule lets it through\n";
    }
    if request.host.as_deref().is_some_and(|host| !is_host(host)) {
        text += "  what it names is no host, so windows by host cover it, and no host rule lets it through\n";
    }
    if request.peer.is_some() && address.is_none() {
        text += "  the client's address is unknown: a trusted proxy sent no valid one\n";
    }
    session.output.done(&text, &object)?;
    Ok(if decision.is_pass() { Exit::Done } else { Exit::No })
}

fn explain(
    session: &Session,
    state: &State,
    decision: Decision<'_>,
    at: Option<Timestamp>,
) -> Text {
    let at = at.map_or_else(Text::default, |at| say!(" at {}", session.clock.time(at)));
    let (passes, blocked) = (paint(GREEN, "● passes"), paint(RED, "● blocked"));
    match decision {
        Decision::Up => say!("{}{}: no open window covers it\n", passes, at),
        Decision::Ignored { id, .. } => {
            let rule = state
                .ignore
                .get(&**id)
                .map_or_else(Text::default, |rule| say!(" ({} {})", rule.kind, rule.value));
            say!("{}{}: rule `{}`{} lets it through\n", passes, at, id, rule)
        }
        Decision::Bypassed(id) => say!("{}{}: bypass token `{}` lets it through\n", passes, at, id),
        Decision::Blocked(window) => {
            let name = window.map_or("", |name| &**name);
            let window = state.windows.get(name).map_or_else(Text::default, |window| {
                report::window_text(name, window, &session.clock)
            });
            say!(
                "{}{}: window `{}` covers it, and nothing lets it through\n{}",
                blocked,
                at,
                name,
                window
            )
        }
    }
}

fn described(args: &Check, path: &str) -> Result<RequestParts> {
    let (host, target) = target(path)?;
    let peer = args.ip.as_deref().map(|text| {
        text.parse::<IpAddr>()
            .map_err(|_| Error::invalid(format!("`{}` is not an address", text.escape_debug())))
    });
    let mut facts =
        RequestParts::new(&maint::internal::rules::method::parse(&args.method)?, &target)
            .with_peer(peer.transpose()?)
            .with_user(args.user.map(user));
    facts.host = args.host.clone().or(host);
    for text in &args.header {
        let header = HeaderMatch::parse(text)?;
        facts = facts.with(&header.name, &header.value);
    }
    if args.token_stdin {
        facts = facts.with_token(&read_token()?);
    }
    for token in linked(&facts) {
        facts = facts.with_token(&token);
    }
    Ok(facts)
}

/// The tokens of a bypass link, which the gate turns into a cookie.
fn linked(facts: &RequestParts) -> Vec<String> {
    if !matches!(facts.method.as_str(), "GET" | "HEAD") {
        return Vec::new();
    }
    let query = String::from_utf8_lossy(facts.query.as_deref().unwrap_or_default());
    let values = query.split('&').filter_map(|parameter| {
        parameter.strip_prefix(PARAMETER).and_then(|rest| rest.strip_prefix('='))
    });
    values.map(str::to_owned).collect()
}

/// The host, if `text` is a whole URL, and the target of the request.
fn target(text: &str) -> Result<(Option<String>, String)> {
    let parts = UrlParts::of(text);
    if parts.is_http() {
        // A client keeps the user name for itself (RFC 9110, 4.2.4).
        let host = parts.authority.rsplit('@').next().unwrap_or_default();
        return Ok((Some(host.to_owned()), parts.target.to_string()));
    }
    if text.starts_with('/') {
        return Ok((None, text.to_owned()));
    }
    let message = format!("`{}` is not the path of a request", text.escape_debug());
    Err(Error::invalid_with(message, "write it as it is sent, like `/shop?id=7`, or as a URL")
        .into())
}

fn user(user: CheckUser) -> User {
    match user {
        CheckUser::Anonymous => User::anonymous(),
        CheckUser::Authenticated => User::authenticated(),
        CheckUser::Staff => User::authenticated().staff(true),
        CheckUser::Superuser => User::authenticated().staff(true).superuser(true),
    }
}

/// Never from the command line, where every user of the host could read it.
fn read_token() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().lock().take(MAX_TOKEN).read_to_string(&mut text).map_err(|cause| {
        Error::invalid(format!("could not read the token: {}", maint::internal::describe(&cause)))
    })?;
    Ok(text.trim().to_owned())
}
