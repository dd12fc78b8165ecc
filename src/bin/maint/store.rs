//! `maint store`

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use anyhow::Result;
use maint::fleet::{Concern, following};
use maint::store::{self, Peek};
use maint::{Error, Site, State};
use serde_json::{Value, json};

use crate::args::{Store, StoreImport};
use crate::exit::Exit;
use crate::report;
use crate::session::Session;
use crate::text::{BOLD, DIM, Text, YELLOW, lossy, paint, say};

/// The most that is read of what is imported: a state and its templates.
const MAX_BUNDLE: u64 = 64 * 1024 * 1024;

pub(crate) fn run(session: &Session, args: &Store) -> Result<Exit> {
    match args {
        Store::Show => show(session),
        Store::Leave => leave(session),
        Store::Export => export(session),
        Store::Import(args) => import(session, args),
    }
}

fn show(session: &Session) -> Result<Exit> {
    let engine = session.engine()?;
    let Peek { document, concerns } = session.ask(|options| store::peek(options, &engine))?;
    let now = session.clock.now();
    let object = json!({
        "store": engine.address.to_string(),
        "document": document.as_ref().map(|document| json!({
            "site": document.site,
            "lineage": document.lineage,
            "seq": document.sequence,
            "revision": document.state.revision,
            "state": report::overall(&document.state, now),
            "last_change": document.state.last_change,
            "templates": document.state.templates.keys().collect::<Vec<_>>(),
        })),
        "concerns": concerns.iter().map(concern_object).collect::<Vec<_>>(),
    });
    let mut text = say!("{} {}\n", paint(BOLD, "store"), engine.address);
    text += match &document {
        None => say!("it holds nothing of the site `{}`\n", engine.address.site),
        Some(document) => {
            let changed =
                document.state.last_change.as_ref().map_or_else(Text::default, |change| {
                    say!(", changed {} by {}", session.clock.relative(change.at), change.by)
                });
            let line = say!("revision {}{}", document.state.revision, changed);
            report::holds(&document.state, &session.clock) + say!("  {}\n", paint(DIM, line))
        }
    };
    text += concerns_text(&concerns);
    session.output.answer(&text, &object)?;
    Ok(Exit::Done)
}

/// What is risky about an engine, for JSON.
pub(crate) fn concern_object(concern: &Concern) -> Value {
    json!({ "code": concern.code, "message": concern.message, "fix": concern.fix })
}

/// What is risky about an engine, two lines each.
pub(crate) fn concerns_text(concerns: &[Concern]) -> Text {
    concerns
        .iter()
        .map(|concern| {
            let warning = paint(YELLOW, "warning");
            say!("{}: {}\n  fix: {}\n", warning, concern.message, concern.fix)
        })
        .collect()
}

fn leave(session: &Session) -> Result<Exit> {
    let site = session.site_here()?;
    let left = session.ask(|options| store::leave(&site, options))?;
    let object = json!({ "changed": left.is_some(), "left": left, "site": lossy(site.dir()) });
    let text = match &left {
        None => say!("unchanged: {} follows no engine\n", site.dir().display()),
        Some(store) => {
            let now = session.clock.now();
            let mark = report::headline(&site.state()?, now);
            say!("{} no longer follows {}\n{}\n", site.dir().display(), store, mark)
        }
    };
    session.output.done(&text, &object)?;
    Ok(Exit::Done)
}

/// A state with its templates, as it is exported.
struct Bundle {
    state: State,
    templates: BTreeMap<String, String>,
}

impl Bundle {
    fn of(site: &Site) -> Result<Self> {
        Ok(Self { state: site.state()?, templates: store::texts(site)? })
    }

    fn read(path: &Path) -> Result<Self> {
        let failed = |cause: &std::io::Error| {
            let why = maint::internal::describe(cause);
            Error::invalid(format!("could not read `{}`: {why}", path.display()))
        };
        let mut bytes = Vec::new();
        if path == Path::new("-") {
            let mut input = std::io::stdin().lock().take(MAX_BUNDLE);
            input.read_to_end(&mut bytes).map_err(|cause| failed(&cause))?;
        } else {
            let file = std::fs::File::open(path).map_err(|cause| failed(&cause))?;
            file.take(MAX_BUNDLE).read_to_end(&mut bytes).map_err(|cause| failed(&cause))?;
        }
        let wrong = |why: String| {
            Error::invalid_with(
                format!("`{}` is not what was exported: {why}", path.display()),
                "`maint store export` writes it",
            )
        };
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|cause| wrong(cause.to_string()))?;
        let field = |name: &str| value.get(name).cloned().unwrap_or(Value::Null);
        let state = maint::internal::state::read(field("state").to_string().as_bytes());
        let templates = serde_json::from_value(field("templates"));
        Ok(Self {
            state: state.map_err(wrong)?,
            templates: templates.map_err(|cause| wrong(cause.to_string()))?,
        })
    }
}

fn export(session: &Session) -> Result<Exit> {
    // From the engine if there is one, since it has the truth.
    let site = match (session.given_store()?, session.engine()) {
        (None, Ok(engine)) => session.visit(&engine)?,
        _ => session.site()?,
    };
    let Bundle { state, templates } = Bundle::of(&site)?;
    let object = json!({ "version": 1, "state": state, "templates": templates });
    session.output.object(&object)?;
    Ok(Exit::Done)
}

fn import(session: &Session, args: &StoreImport) -> Result<Exit> {
    let bundle = match &args.file {
        Some(path) => Bundle::read(path)?,
        None => Bundle::of(&session.site_here()?)?,
    };
    let engine = session.engine()?;
    let document = session.ask(|options| {
        let options = options.clone().confirmed(args.yes);
        store::import(&options, &engine, &bundle.state, &bundle.templates)
    });
    let document = document.map_err(|error| match error {
        Error::Conflict { message, hint: Some(_) } => Error::conflict_with(
            message,
            "if that is meant, add `--yes`; `maint store show` shows it",
        ),
        other => other,
    })?;
    let revision = document.state.revision;
    let mut behind = None;
    // A host that follows has it at once, as after any other change.
    if let Ok(site) = session.site_here()
        && following(&site)?.is_some_and(|found| found.address == engine.address)
    {
        behind = session.ask(|options| store::refresh(&site, options)).err();
    }
    let object = json!({ "store": engine.address.to_string(), "revision": revision });
    let text = say!("{} has revision {} now\n", engine.address, revision);
    session.output.done(&text, &object)?;
    if let Some(error) = behind {
        session.output.warn(&[format!("this host does not have it: {error}")]);
        return Ok(Exit::Behind);
    }
    Ok(Exit::Done)
}
