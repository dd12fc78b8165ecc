//! `maint bypass`

use anyhow::Result;
use jiff::Timestamp;
use maint::internal::request::{COOKIE, PARAMETER, UrlParts, is_loopback};
use maint::internal::state::{by_number, check_url};
use maint::state::BypassToken;
use maint::{Error, State};
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
    let page = args.url.as_deref().map(page_of_site).transpose()?;
    let (secret, token) = BypassToken::generate()?;
    let token = token.note(args.note.clone()).expires_at(expires_at).keep(args.keep);
    let applied =
        session.apply(&site, false, |state, stamp| state.add_token(token.clone(), stamp))?;
    let id = &applied.value;
    let more = json!({
        "id": id, "token": secret, "link": format!("/?{PARAMETER}={secret}"),
        "expires_at": expires_at, "keep": args.keep,
        "url": page.as_ref().map(|page| whole_link(page, &secret)),
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
        let open = if page.is_some() {
            "people open this link".into()
        } else {
            say!("people open https://YOUR-SITE/?{}=TOKEN", PARAMETER)
        };
        session.output.note(say!(
            "bypass token `{}`, shown only once\n{}\n\
             {} once, and a cookie carries it\n\
             programs send the cookie {}=TOKEN",
            id,
            ends,
            open,
            COOKIE
        ));
    }
    // Alone on standard output, so that a script can take it.
    if page.as_ref().is_some_and(|page| !page.is_encrypted()) {
        let warning = "anybody on the way can read a link with http://, and use it".to_owned();
        session.output.warn(&[warning]);
    }
    let printed = page.as_ref().map_or_else(|| secret.clone(), |page| whole_link(page, &secret));
    session.output.answer(&say!("{}\n", printed), &object)?;
    Ok(Exit::Done)
}

/// The page of the site that a link leads to.
struct PageOfSite<'u> {
    /// With the scheme, the host and the path.
    before_query: String,
    query: Option<&'u str>,
    fragment: Option<&'u str>,
}

impl PageOfSite<'_> {
    /// Whether nobody on the way sees the token.
    fn is_encrypted(&self) -> bool {
        self.before_query.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
            || is_loopback(UrlParts::of(&self.before_query).authority)
    }
}

fn page_of_site(url: &str) -> maint::Result<PageOfSite<'_>> {
    check_url(url).map_err(|why| {
        Error::invalid_with(
            format!("`{}` is no page of a site: {why}", url.escape_debug()),
            "write it as in a browser: https://shop.example.com/cart",
        )
    })?;
    let (rest, fragment) = url.split_once('#').map_or((url, None), |(r, f)| (r, Some(f)));
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(r, q)| (r, Some(q)));
    let has_path = rest.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    let before_query = if has_path { rest.to_owned() } else { format!("{rest}/") };
    Ok(PageOfSite { before_query, query, fragment })
}

/// The link that lets people through and shows them the page.
fn whole_link(page: &PageOfSite<'_>, secret: &str) -> String {
    // One from before is not passed on.
    let is_token = |parameter: &&str| {
        parameter.strip_prefix(PARAMETER).is_some_and(|rest| rest.starts_with('='))
    };
    let kept = page.query.into_iter().flat_map(|query| query.split('&'));
    let kept = kept.filter(|parameter| !parameter.is_empty() && !is_token(parameter));
    let token = format!("{PARAMETER}={secret}");
    let query: Vec<&str> = kept.chain([&*token]).collect();
    let fragment = page.fragment.map_or_else(String::new, |fragment| format!("#{fragment}"));
    format!("{}?{}{fragment}", page.before_query, query.join("&"))
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
