//! `maint bypass`

use anyhow::Result;
use jiff::Timestamp;
use maint::State;
use maint::internal::request::{COOKIE, PARAMETER};
use maint::internal::state::by_number;
use maint::state::BypassToken;
use serde_json::{Value, json};

use crate::args::{Bypass, BypassNew, BypassRevoke};
use crate::exit::Exit;
use crate::report;
use crate::session::Session;
use crate::text::{BOLD, Text, padded, paint, say};

pub(crate) fn run(session: &Session, args: &Bypass) -> Result<Exit> {
    match args {
        Bypass::New(args) => new(session, args),
        Bypass::List => list(session),
        Bypass::Revoke(args) => revoke(session, args),
    }
}

fn new(session: &Session, args: &BypassNew) -> Result<Exit> {
    let site = session.site()?;
    let expires_at = session.expiry(&args.expiry)?;
    let (secret, token) = BypassToken::generate()?;
    let token = token.note(args.note.clone()).expires_at(expires_at).keep(args.keep);
    let applied =
        session.apply(&site, false, |state, stamp| state.add_token(token.clone(), stamp))?;
    let id = &applied.value;
    let more = json!({
        "id": id, "token": secret, "link": format!("/?{PARAMETER}={secret}"),
        "expires_at": expires_at, "keep": args.keep,
    });
    let object = report::object(&site, &applied, session.clock.now(), more);
    if !session.output.is_json() {
        let ends: Text = match (args.keep, expires_at) {
            (true, None) => "it lasts until you revoke it".into(),
            (true, Some(time)) => say!("it lasts until {}", session.clock.relative(time)),
            (false, None) => "it is revoked when the last window closes".into(),
            (false, Some(time)) => {
                say!(
                    "it is revoked when the last window closes, or at {}",
                    session.clock.relative(time)
                )
            }
        };
        // Without the secret itself: standard error ends up in logs.
        session.output.note(say!(
            "bypass token `{}`, shown only once\n{}\n\
             people open https://YOUR-SITE/?{}=TOKEN once, and a cookie carries it\n\
             programs send the cookie {}=TOKEN",
            id,
            ends,
            PARAMETER,
            COOKIE
        ));
    }
    // Alone on standard output, so that a script can take it.
    session.output.answer(&say!("{}\n", secret), &object)?;
    Ok(Exit::Done)
}

fn list(session: &Session) -> Result<Exit> {
    let state = session.site()?.state()?;
    let mut text = Text::default();
    for (id, token) in by_number(&state.bypass) {
        let note = report::note_text(token.note.as_deref());
        let origin =
            report::origin_text(token.expires_at, token.added_by.as_deref(), &session.clock);
        let keep = if token.keep { "  kept" } else { "" };
        text += say!("{}{}{}{}\n", paint(BOLD, padded(id, 4)), note, keep, origin);
    }
    if text.is_empty() {
        session.output.progress("there is no bypass token");
    }
    session.output.answer(&text, &json!({ "bypass": objects(&state, session.clock.now()) }))?;
    Ok(Exit::Done)
}

fn revoke(session: &Session, args: &BypassRevoke) -> Result<Exit> {
    let site = session.site()?;
    let applied = session.apply(&site, false, |state, _| state.revoke_token(&args.id))?;
    let object = report::object(&site, &applied, session.clock.now(), json!({ "id": args.id }));
    let text = say!("bypass token `{}` revoked\n{}", args.id, report::written(&applied));
    session.output.done(&text, &object)?;
    Ok(Exit::Done)
}

/// The tokens as `--json` shows them, without their digests.
pub(crate) fn objects(state: &State, now: Timestamp) -> Vec<Value> {
    by_number(&state.bypass)
        .into_iter()
        .map(|(id, token)| {
            json!({
                "id": id, "note": token.note, "keep": token.keep,
                "expires_at": token.expires_at, "expired": token.has_expired(now),
                "added_at": token.added_at, "added_by": token.added_by,
            })
        })
        .collect()
}
