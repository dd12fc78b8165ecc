//! `maint flag`

use anyhow::Result;
use maint::flags::{self, Definition, Fact, Flag as Declared, Found, Kind, Standing};
use maint::store::{self, Applied};
use maint::{Error, Site};
use serde_json::{Value, json};

use crate::args::{Flag, FlagAdd, FlagRemove, FlagShow, FlagSync};
use crate::exit::Exit;
use crate::report;
use crate::session::Session;
use crate::text::{BOLD, DIM, Text, YELLOW, lossy, paint, say, wrapped};

pub(crate) fn run(session: &Session, args: &Flag) -> Result<Exit> {
    match args {
        Flag::Add(args) => add(session, args),
        Flag::List => list(session),
        Flag::Show(args) => show(session, args),
        Flag::Sync(args) => sync(session, args),
        Flag::Remove(args) => remove(session, args),
        Flag::Kinds => kinds(session),
    }
}

fn add(session: &Session, args: &FlagAdd) -> Result<Exit> {
    let site = session.site_here()?;
    let kind: Kind = args.kind.parse()?;
    let mut flag = Declared::new(kind).options(args.options.options()?);
    flag.path.clone_from(&args.place);
    let flag = flag.stops(&args.host, &args.path)?;
    let id = match &args.id {
        Some(id) => id.clone(),
        None => free_id(&site, &flag)?,
    };
    let applied = session
        .write(|options| store::add_flag(&site, options, &id, flag.clone(), args.take_over))?;
    let object = object(&site, &applied, json!({ "id": id }));
    let Some(standing) = applied.flags.flags.first() else {
        return Err(Error::invalid(format!("flag `{id}` is gone already")).into());
    };
    let text = say!("flag `{}` follows the site\n{}", id, one(&site, standing));
    session.output.done(&text, &object)?;
    Ok(Exit::Done)
}

/// The kind as an id, with a number if it is taken.
fn free_id(site: &Site, flag: &Declared) -> Result<String> {
    let known = flags::read(&site.current()?)?;
    let kind = flag.kind.as_str();
    let numbered = (2..).map(|number| format!("{kind}-{number}"));
    let mut ids = std::iter::once(kind.to_owned()).chain(numbered);
    Ok(ids.find(|id| !known.flags.contains_key(id)).unwrap_or_default())
}

fn list(session: &Session) -> Result<Exit> {
    let site = session.site_here()?;
    let standings = flags::look(&site, &site.state()?, session.clock.now())?;
    if standings.is_empty() {
        session.output.progress("no other software follows this site; `maint flag add` makes it");
    }
    let text: Text = standings.iter().map(|standing| one(&site, standing)).collect();
    session.output.answer(&text, &json!({ "flags": standings }))?;
    Ok(Exit::Done)
}

/// A flag in two lines or more.
fn one(site: &Site, standing: &Standing) -> Text {
    let place = standing.path.as_ref().map_or_else(String::new, |path| path.display().to_string());
    let state = match standing.in_step {
        Some(true) => report::standing_text(standing),
        _ => paint(YELLOW, report::standing_text(standing)),
    };
    let mut text =
        say!("{}  {}  {}\n  {}\n", paint(BOLD, &standing.id), standing.kind, place, state);
    if standing.found == Found::SomebodyElses {
        text +=
            say!("  hint: look at it; `maint flag sync {} --take-over` replaces it\n", standing.id);
    } else if let Some(hint) = standing.hint.as_ref().filter(|_| standing.in_step != Some(true)) {
        text += say!("  hint: {}\n", hint);
    }
    for lack in &standing.lacks {
        if !(lack.is_of_the_clock() && report::has_agent(site)) {
            text += wrapped("  ", &lack.describe(), 80);
        }
    }
    text
}

fn show(session: &Session, args: &FlagShow) -> Result<Exit> {
    let site = session.site_here()?;
    let declared = flags::read(&site.current()?)?;
    let flag = declared.get(&args.id)?;
    let standings = flags::look(&site, &site.state()?, session.clock.now())?;
    let standing = standings.iter().find(|standing| standing.id == args.id);
    let mut text = standing.map_or_else(Text::default, |standing| one(&site, standing));
    let stops = match (flag.hosts.is_empty(), flag.paths.is_empty()) {
        (true, true) => "every request".to_owned(),
        _ => [flag.hosts.join(", "), flag.paths.join(", ")].join(" "),
    };
    text += say!("  stops {}\n", stops.trim());
    if let Some(definition) = flags::definition(&flag.kind) {
        text += wrapped("  carries ", &carried(definition), 80);
    }
    for path in flag.written.keys() {
        text += say!("  {}\n", paint(DIM, format!("wrote {}", path.display())));
    }
    text += report::origin_text(None, flag.added_by.as_deref(), &session.clock);
    let object = json!({ "id": args.id, "flag": flag, "standing": standing });
    session.output.answer(&(text.trim_end() + "\n"), &object)?;
    Ok(Exit::Done)
}

fn sync(session: &Session, args: &FlagSync) -> Result<Exit> {
    let site = session.site_here()?;
    let report = session.sync_flags(&site, &args.ids, args.take_over)?;
    let object = json!({
        "site": lossy(site.dir()),
        "in_step": report.is_in_step(),
        "flags": report.flags,
    });
    if session.output.is_quiet() {
        session.output.warn(&report.complaints());
    }
    let text: Text = report.flags.iter().map(|standing| one(&site, standing)).collect();
    let text = if text.is_empty() { "unchanged: there is no flag\n".into() } else { text };
    session.output.done(&text, &object)?;
    Ok(Exit::Done)
}

fn remove(session: &Session, args: &FlagRemove) -> Result<Exit> {
    let site = session.site_here()?;
    let applied =
        session.write(|options| store::remove_flag(&site, options, &args.id, args.forget))?;
    let text = if args.forget {
        say!("flag `{}` is forgotten; what could not be removed is still there\n", args.id)
    } else {
        say!("flag `{}` is removed, and what was written for it\n", args.id)
    };
    session.output.done(&text, &object(&site, &applied, json!({ "id": args.id })))?;
    Ok(Exit::Done)
}

fn object(site: &Site, applied: &Applied<()>, more: Value) -> Value {
    let mut object = json!({
        "site": lossy(site.dir()),
        "changed": applied.is_written,
        "flags": applied.flags.flags,
        "warnings": applied.warnings,
    });
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}

fn kinds(session: &Session) -> Result<Exit> {
    let mut text = Text::default();
    let mut objects = Vec::new();
    for definition in flags::definitions() {
        let path = if definition.path.is_empty() { "no path" } else { definition.path };
        text += say!("{}  {}\n", paint(BOLD, &definition.kind), path);
        text += wrapped("  on       ", &definition.on.replace('`', ""), 80);
        text += wrapped("  carries  ", &carried(definition), 80);
        objects.push(json!({
            "kind": definition.kind, "path": definition.path, "on": definition.on,
            "carries": definition.carries,
        }));
    }
    session.output.answer(&text, &json!({ "kinds": objects }))?;
    Ok(Exit::Done)
}

fn carried(definition: &Definition) -> String {
    if definition.carries.is_empty() {
        return "nothing".to_owned();
    }
    let words: Vec<&str> = definition.carries.iter().copied().map(Fact::as_str).collect();
    words.join(", ")
}
