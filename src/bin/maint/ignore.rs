//! `maint ignore`

use std::net::IpAddr;

use anyhow::Result;
use jiff::Timestamp;
use maint::internal::state::by_number;
use maint::rules::{Kind, Matcher};
use maint::state::RuleSettings;
use maint::store::Stamp;
use maint::{Error, State};
use serde_json::{Value, json};

use crate::args::{Ignore, IgnoreAdd, IgnoreClear, IgnoreRemove};
use crate::exit::Exit;
use crate::report;
use crate::session::Session;
use crate::text::{BOLD, Text, padded, paint, say, wrapped};

pub(crate) fn run(session: &Session, args: &Ignore) -> Result<Exit> {
    match args {
        Ignore::Add(args) => add(session, args),
        Ignore::List => list(session),
        Ignore::Remove(args) => remove(session, args),
        Ignore::Clear(args) => clear(session, args),
    }
}

fn add(session: &Session, args: &IgnoreAdd) -> Result<Exit> {
    let site = session.site()?;
    let kind = Kind::from(args.kind);
    let (value, warning) = if let Some(value) = &args.value {
        (value.clone(), None)
    } else {
        let (address, doubt) = address_of_session()?;
        session.output.note(say!("this SSH session comes from {}", address));
        (address.to_string(), doubt)
    };
    let matcher = Matcher::parse(&kind, &value)?;
    let expires_at = session.expiry(&args.expiry)?;
    let mut settings = RuleSettings::new().everything(args.yes_everything).expires_at(expires_at);
    settings.note.clone_from(&args.note);
    let change = |state: &mut State, stamp: Stamp<'_>| {
        let is_new = !state
            .ignore
            .values()
            .any(|rule| rule.kind == kind && rule.value == matcher.to_string());
        let id = state.add_rule(&matcher, &settings, stamp)?;
        Ok((id, is_new))
    };
    let mut applied = session.apply(&site, args.dry_run.dry_run, change)?;
    let mut warnings = session.shadowed(&applied.after, |id| id == applied.value.0);
    warnings.extend(session.doubt_rules([matcher.clone()]));
    if let Some(warning) = warning {
        session.output.warn(std::slice::from_ref(&warning));
        warnings.push(warning);
    }
    applied.warnings.extend(warnings);
    let (id, is_new) = &applied.value;
    let lets_in = matcher.describe();
    let object = report::object(
        &site,
        &applied,
        session.clock.now(),
        json!({ "dry_run": args.dry_run.dry_run, "id": id, "new": is_new, "value": matcher.to_string(), "lets_in": lets_in }),
    );
    let lets_in = wrapped("  lets in ", &lets_in, 80);
    if args.dry_run.dry_run {
        let text = report::dry_run_text(&applied.changes, &session.clock) + lets_in;
        session.output.answer(&text, &object)?;
        return Ok(Exit::Done);
    }
    let did = match (is_new, applied.changes.is_empty()) {
        (true, _) => "added",
        (false, false) => "existed; its note and expiry are replaced",
        (false, true) => "unchanged: it has this note and expiry already",
    };
    let replaced = if *is_new {
        Text::default()
    } else {
        report::changes_text(&applied.changes, &session.clock)
    };
    let text = say!("rule `{}` {}\n{}{}{}", id, did, replaced, lets_in, report::written(&applied));
    session.output.done(&text, &object)?;
    Ok(Exit::Done)
}

/// The address that the SSH session of this command comes from, and why it may not be the one
/// that the site sees.
fn address_of_session() -> maint::Result<(IpAddr, Option<String>)> {
    // sshd(8) sets both: the client's address is the first word.
    let said =
        ["SSH_CONNECTION", "SSH_CLIENT"].into_iter().find_map(|name| std::env::var(name).ok());
    let address = said.as_deref().and_then(|said| said.split(' ').next()?.parse().ok());
    let address = address.map(|address: IpAddr| address.to_canonical());
    let Some(address) = address else {
        let hint = if std::env::var_os("SUDO_USER").is_some() {
            "sudo hides the session: name the address, or \
             `sudo --preserve-env=SSH_CONNECTION maint ignore add ip`"
        } else {
            "name the address: `maint ignore add ip 203.0.113.7`"
        };
        return Err(match said {
            Some(said) => Error::invalid_with(
                format!(
                    "the address of this SSH session cannot be read from `{}`",
                    said.escape_debug()
                ),
                "name the address: `maint ignore add ip 203.0.113.7`",
            ),
            None => Error::invalid_with("this is no SSH session, so it has no address", hint),
        });
    };
    let is_inner = match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    };
    let doubt = is_inner.then(|| {
        format!("{address} is a private address: the site sees it only if you come the same way")
    });
    Ok((address, doubt))
}

fn list(session: &Session) -> Result<Exit> {
    let state = session.site()?.state()?;
    let mut text = Text::default();
    for (id, rule) in by_number(&state.ignore) {
        let note = report::note_text(rule.note.as_deref());
        let origin = report::origin_text(rule.expires_at, rule.added_by.as_deref(), &session.clock);
        let unknown = if matches!(rule.kind, Kind::Unknown(_)) {
            "  of a later version: lets nobody through here"
        } else {
            ""
        };
        text += say!(
            "{}  {}  {}{}{}{}\n",
            paint(BOLD, padded(id, 4)),
            padded(rule.kind.as_str(), 6),
            rule.value,
            note,
            origin,
            unknown
        );
    }
    if text.is_empty() {
        session.output.progress("no rule lets anyone through");
    }
    let object = json!({ "ignore": objects(&state, session.clock.now()) });
    session.output.answer(&text, &object)?;
    Ok(Exit::Done)
}

fn remove(session: &Session, args: &IgnoreRemove) -> Result<Exit> {
    let site = session.site()?;
    let applied = session.apply(&site, false, |state, _| {
        let id = match &args.rule[..] {
            [kind, value] => state.find_rule(Some(kind), value)?,
            words => state.find_rule(None, words.first().map_or("", String::as_str))?,
        };
        let rule = state.remove_rule(&id)?;
        Ok((id, rule))
    })?;
    let (id, rule) = &applied.value;
    let object = report::object(&site, &applied, session.clock.now(), json!({ "id": id }));
    let what = say!("{} {}", rule.kind, rule.value);
    let text = say!("rule `{}` ({}) removed\n{}", id, what, report::written(&applied));
    session.output.done(&text, &object)?;
    Ok(Exit::Done)
}

fn clear(session: &Session, args: &IgnoreClear) -> Result<Exit> {
    let site = session.site()?;
    let kind = args.kind.map(Kind::from);
    let change = |state: &mut State, _: Stamp<'_>| {
        let before = state.ignore.len();
        state.ignore.retain(|_, rule| kind.as_ref().is_some_and(|kind| rule.kind != *kind));
        Ok(before - state.ignore.len())
    };
    let applied = session.apply(&site, args.dry_run.dry_run, change)?;
    let removed = applied.value;
    let more = json!({ "dry_run": args.dry_run.dry_run, "removed": removed });
    let object = report::object(&site, &applied, session.clock.now(), more);
    if args.dry_run.dry_run {
        session.output.answer(&report::dry_run_text(&applied.changes, &session.clock), &object)?;
        return Ok(Exit::Done);
    }
    let what = match removed {
        0 => "unchanged: there was no rule to remove".into(),
        1 => "1 rule removed".into(),
        many => say!("{} rules removed", many),
    };
    session.output.done(&say!("{}\n{}", what, report::written(&applied)), &object)?;
    Ok(Exit::Done)
}

/// The rules as `--json` shows them, in the order in which they were added.
pub(crate) fn objects(state: &State, now: Timestamp) -> Vec<Value> {
    by_number(&state.ignore)
        .into_iter()
        .map(|(id, rule)| {
            let lets_in = match rule.matcher() {
                Ok(Some(matcher)) => Some(matcher.describe()),
                _ => None,
            };
            json!({
                "id": id, "kind": rule.kind, "value": rule.value, "note": rule.note,
                "expires_at": rule.expires_at, "expired": rule.has_expired(now),
                "added_at": rule.added_at, "added_by": rule.added_by, "lets_in": lets_in,
            })
        })
        .collect()
}
