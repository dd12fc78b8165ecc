//! `maint proxy`

use anyhow::Result;
use maint::internal::rules::network;
use maint::request::TrustedProxies;
use maint::{Error, State};
use serde_json::json;

use crate::args::Proxy;
use crate::exit::Exit;
use crate::report;
use crate::session::Session;
use crate::text::{Text, say};

pub(crate) fn run(session: &Session, args: &Proxy) -> Result<Exit> {
    match args {
        Proxy::Add(args) => {
            let networks: Vec<_> =
                args.networks.iter().map(|text| network::parse(text)).collect::<Result<_, _>>()?;
            let header = args.header.map(Into::into);
            change(session, |state| {
                state.trust_proxies(&networks, header);
                Ok(())
            })
        }
        Proxy::List => list(session),
        Proxy::Remove(args) => {
            let network = network::parse(&args.network)?;
            change(session, |state| state.distrust_proxy(&network))
        }
        Proxy::Clear => change(session, |state| {
            state.trusted_proxies = None;
            Ok(())
        }),
    }
}

fn change(session: &Session, change: impl Fn(&mut State) -> Result<(), Error>) -> Result<Exit> {
    let site = session.site()?;
    let mut applied = session.apply(&site, false, |state, _| change(state))?;
    if !applied.changes.is_empty() {
        let warnings = session.shadowed(&applied.after, |_| true);
        applied.warnings.extend(warnings);
    }
    let proxies = applied.after.trusted_proxies.as_ref();
    let object =
        report::object(&site, &applied, session.clock.now(), json!({ "trusted_proxies": proxies }));
    let unchanged = if applied.changes.is_empty() { "unchanged: " } else { "" };
    let text = say!("{}{}{}", unchanged, in_words(proxies), report::written(&applied));
    session.output.done(&text, &object)?;
    Ok(Exit::Done)
}

fn list(session: &Session) -> Result<Exit> {
    let state = session.site()?.state()?;
    let proxies = state.trusted_proxies.as_ref();
    session.output.answer(&in_words(proxies), &json!({ "trusted_proxies": proxies }))?;
    Ok(Exit::Done)
}

fn in_words(proxies: Option<&TrustedProxies>) -> Text {
    let Some(proxies) = proxies else {
        return "no proxy is trusted: a client's address is the one that connects\n".into();
    };
    let header = proxies.header.name();
    let networks: Vec<String> = proxies.networks.iter().map(network::normalised).collect();
    say!("`{}` is trusted from {}\n", header, networks.join(", "))
}
