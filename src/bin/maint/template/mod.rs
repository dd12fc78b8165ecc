//! `maint template`

mod page;
mod preview;

use std::fs;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use maint::internal::page::builtin;
use maint::internal::template::{self, MAX_SIZE};
use maint::internal::word;
use maint::page::Format;
use maint::{Error, Site, store};
use serde_json::json;

use maint::site::PASSWORD;

use crate::args::{
    Template, TemplateAdd, TemplateEdit, TemplateFormat, TemplateRemove, TemplateShow, TemplateUse,
};
use crate::exit::Exit;
use crate::failure::Kept;
use crate::report;
use crate::session::Session;
use crate::signals;
use crate::text::{BOLD, GREEN, Text, lossy, padded, paint, say};

pub(crate) fn run(session: &Session, args: &Template) -> Result<Exit> {
    match args {
        Template::List => list(session),
        Template::Show(args) => show(session, args),
        Template::Add(args) => add(session, args),
        Template::Edit(args) => edit(session, args),
        Template::Remove(args) => remove(session, args),
        Template::Use(args) => choose(session, args),
        Template::Render(args) => page::render(session, args),
        Template::Preview(args) => preview::run(session, args),
    }
}

fn list(session: &Session) -> Result<Exit> {
    let site = session.site()?;
    let state = site.state()?;
    let templates = template::list(&site.templates())?;
    let is_used = |name: &str| state.page.template.as_deref() == Some(name);
    let mark = |used| if used { paint(GREEN, "  the page of this site") } else { Text::default() };
    let mut text = Text::default();
    let mut objects = Vec::new();
    for file in &templates {
        let used = is_used(&file.name);
        let bytes = fs::metadata(&file.path).map_or(0, |metadata| metadata.len());
        text += say!(
            "{}  {}  {} bytes{}\n",
            paint(BOLD, &file.name),
            padded(file.format.extension(), 4),
            bytes,
            mark(used)
        );
        objects.push(json!({
            "name": file.name, "format": file.format.extension(), "path": lossy(&file.path), "bytes": bytes, "used": used,
        }));
    }
    // There always is one.
    text += say!("the built-in page{}\n", mark(state.page.template.is_none()));
    session.output.answer(&text, &json!({ "templates": objects, "page": state.page.template }))?;
    Ok(Exit::Done)
}

fn show(session: &Session, args: &TemplateShow) -> Result<Exit> {
    let (format, text) = if let Some(name) = &args.name {
        existing(&session.site()?, name, args.format)?
    } else {
        let format = args.format.map_or(Format::Html, Format::from);
        (format, builtin(format).to_owned())
    };
    if session.output.is_json() {
        let object = json!({ "name": args.name, "format": format.extension(), "text": text });
        session.output.object(&object)?;
    } else {
        session.output.content(text.as_bytes())?;
    }
    Ok(Exit::Done)
}

/// The one file of a template that is meant.
fn existing(site: &Site, name: &str, format: Option<TemplateFormat>) -> Result<(Format, String)> {
    let files = template::find(&site.templates(), name)?;
    let file = match format.map(Format::from) {
        Some(format) => {
            files.iter().find(|file| file.format == format).ok_or_else(|| Error::Unknown {
                kind: "template",
                name: format!("{name}.{format}"),
                known: files.iter().map(|file| format!("{}.{}", file.name, file.format)).collect(),
            })?
        }
        None => match files.as_slice() {
            [only] => only,
            many => {
                let formats: Vec<String> =
                    many.iter().map(|file| format!("`--format {}`", file.format)).collect();
                let message = format!("the template `{name}` has {} formats", many.len());
                return Err(Error::invalid_with(
                    message,
                    format!("say which: {}", formats.join(" or ")),
                )
                .into());
            }
        },
    };
    Ok((file.format, template::read(&file.path)?))
}

fn add(session: &Session, args: &TemplateAdd) -> Result<Exit> {
    let site = session.site()?;
    maint::internal::state::validate_template_name(&args.name)?;
    let by_name = args
        .file
        .extension()
        .and_then(|extension| extension.to_str())
        .and_then(|text| text.parse().ok());
    let format = args.format.map(Format::from).or(by_name).unwrap_or(Format::Html);
    let is_typed = !args.builtin && args.file == Path::new("-") && io::stdin().is_terminal();
    let text = if args.builtin {
        builtin(format).to_owned()
    } else if args.file == Path::new("-") {
        if is_typed {
            session.output.note("reading standard input; Ctrl-D ends it");
        }
        bounded(&mut io::stdin().lock(), "standard input")?
    } else {
        // A link is fine here, `/dev/stdin` and `<(…)` are links: only the
        // template itself must lie in its directory.
        let name = format!("`{}`", args.file.display());
        let mut file = fs::File::open(&args.file).map_err(|cause| unreadable(&name, &cause))?;
        bounded(&mut file, &name)?
    };
    let put = put(session, &site, &format!("{}.{format}", args.name), &text, args.replace);
    let done = match put {
        // Nobody else has it.
        Err(error) if is_typed => {
            let name = format!("maint-{}-{}.{format}", std::process::id(), args.name);
            let path = std::env::temp_dir().join(name);
            write_copy(&path, &text)?;
            let again = again(&args.name, format, &path, args.replace);
            return Err(error.context(Kept { path, again }));
        }
        other => other?,
    };
    if !args.replace {
        let name = &args.name;
        session.output.progress(say!(
            "look at it: maint template preview {}\nuse it:     maint template use {}",
            name,
            name
        ));
    }
    Ok(done)
}

/// Reads everything, up to one byte more than is allowed.
fn bounded(source: &mut impl io::Read, name: &str) -> maint::Result<String> {
    let mut bytes = Vec::new();
    source
        .take(MAX_SIZE as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|cause| unreadable(name, &cause))?;
    String::from_utf8(bytes).map_err(|_| Error::invalid(format!("{name} is not UTF-8")))
}

fn unreadable(name: &str, cause: &io::Error) -> Error {
    Error::invalid(format!("could not read {name}: {}", maint::internal::describe(cause)))
}

fn put(session: &Session, site: &Site, file_name: &str, text: &str, replace: bool) -> Result<Exit> {
    let mut applied = session.write(|options| {
        let write = if replace { store::put_template } else { store::add_template };
        write(site, options, file_name, text)
    })?;
    if let Some(name) = file_name.strip_suffix(".html") {
        let warnings = session.missing(site, &applied.after, name);
        applied.warnings.extend(warnings);
    }
    let path = site.templates().join(file_name);
    let object =
        report::object(site, &applied, session.clock.now(), json!({ "template": lossy(&path) }));
    let did = if applied.is_written { "written" } else { "unchanged" };
    let text = say!("template `{}` {}\n{}", file_name, did, report::written(&applied));
    session.output.done(&text, &object)?;
    let (name, _) = file_name.rsplit_once('.').unwrap_or((file_name, ""));
    if !applied.after.uses_template(name, session.clock.now()) {
        session.output.note(say!(
            "nothing shows it yet: `maint template use {}`, or `--template {}` of `on`",
            name,
            name
        ));
    }
    Ok(Exit::Done)
}

/// Edits a copy. The template changes only if the result is one; if it is not, or cannot be
/// written, what was typed stays in the copy.
fn edit(session: &Session, args: &TemplateEdit) -> Result<Exit> {
    let site = session.site()?;
    let (format, before) = existing(&site, &args.name, args.format)?;
    let file_name = format!("{}.{format}", args.name);
    let copy = std::env::temp_dir().join(format!("maint-{}-{file_name}", std::process::id()));
    write_copy(&copy, &before)?;
    let mut is_interrupted = false;
    let result = run_editor(&copy, &mut is_interrupted).and_then(|()| {
        let text = template::read(&copy)?;
        put(session, &site, &file_name, &text, true)
    });
    // Bytes are compared: what is not UTF-8, or too large for a template, was typed as well.
    // An editor that a signal cut off from us may still write.
    let is_same = fs::read(&copy).is_ok_and(|now| now == before.as_bytes());
    if result.is_ok() || (is_same && !is_interrupted) {
        let _ = fs::remove_file(&copy);
        return result;
    }
    let again = again(&args.name, format, &copy, true);
    result.map_err(|error| error.context(Kept { path: copy, again }))
}

/// The words after `maint` that add a template from a file.
fn again(name: &str, format: Format, path: &Path, replace: bool) -> String {
    let replace = if replace { " --replace" } else { "" };
    format!("template add {name} {} --format {format}{replace}", word(&path.to_string_lossy()))
}

fn write_copy(path: &Path, text: &str) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    // Others need not read what is not published yet.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file =
        options.open(path).with_context(|| format!("could not create `{}`", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("could not write `{}`", path.display()))
}

fn run_editor(path: &Path, is_interrupted: &mut bool) -> Result<()> {
    let editor = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()))
        .ok_or_else(|| {
            Error::invalid_with(
                "no editor is set",
                "set `EDITOR`, or change the file and use `maint template add --replace`",
            )
        })?;
    // By a shell, since the variable may hold arguments, as in `code --wait`.
    let mut command = if cfg!(unix) {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{editor} \"$1\"")).arg("sh");
        command
    } else {
        Command::new(&editor)
    };
    // From here on a signal ends the editor and not this process, which has to say where the
    // text is. One that comes before the editor runs is passed on then.
    let editing = Arc::new(Mutex::new(Editing::default()));
    let seen = editing.clone();
    signals::watch(move |signal| {
        locked(&seen).signal(signal);
        true
    })
    .context("could not watch signals")?;
    let ran = command.arg(path).env_remove(PASSWORD).spawn().and_then(|mut child| {
        locked(&editing).begin(child.id());
        child.wait()
    });
    locked(&editing).pid = None;
    let status = ran.with_context(|| format!("could not run the editor `{editor}`"))?;
    // By a signal there is no code.
    *is_interrupted = locked(&editing).is_ended || status.code().is_none();
    if status.success() && !*is_interrupted {
        return Ok(());
    }
    Err(Error::invalid(format!("the editor `{editor}` failed, so the template is unchanged"))
        .into())
}

/// An editor, while it runs.
#[derive(Default)]
struct Editing {
    pid: Option<u32>,
    early: Vec<i32>,
    /// Whether it was sent a signal.
    is_ended: bool,
}

impl Editing {
    fn begin(&mut self, pid: u32) {
        self.pid = Some(pid);
        for signal in std::mem::take(&mut self.early) {
            self.signal(signal);
        }
    }

    fn signal(&mut self, signal: i32) {
        match self.pid {
            Some(pid) => self.is_ended |= signals::forward(signal, pid),
            None => self.early.push(signal),
        }
    }
}

fn locked(editing: &Mutex<Editing>) -> MutexGuard<'_, Editing> {
    editing.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remove(session: &Session, args: &TemplateRemove) -> Result<Exit> {
    let site = session.site()?;
    let applied = session.write(|options| store::remove_template(&site, options, &args.name))?;
    let paths: Vec<String> = applied.value.iter().map(|file| lossy(&file.path)).collect();
    let object = report::object(&site, &applied, session.clock.now(), json!({ "removed": paths }));
    let text = say!("template `{}` removed\n{}", args.name, report::written(&applied));
    session.output.done(&text, &object)?;
    Ok(Exit::Done)
}

fn choose(session: &Session, args: &TemplateUse) -> Result<Exit> {
    let site = session.site()?;
    let mut applied = session.apply(&site, false, |state, _| {
        state.page.template.clone_from(&args.name);
        Ok(())
    })?;
    if let Some(name) = &args.name {
        let warnings = session.missing(&site, &applied.after, name);
        applied.warnings.extend(warnings);
    }
    let object = report::object(&site, &applied, session.clock.now(), json!({ "page": args.name }));
    let unchanged = if applied.changes.is_empty() { "unchanged: " } else { "" };
    let page = match &args.name {
        Some(name) => say!("the page of this site is the template `{}`", name),
        None => "the page of this site is the built-in one".into(),
    };
    session.output.done(&say!("{}{}\n{}", unchanged, page, report::written(&applied)), &object)?;
    Ok(Exit::Done)
}
