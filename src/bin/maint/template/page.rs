//! `maint template render`, and the page that it and `preview` show.

use std::sync::Arc;

use anyhow::Result;
use jiff::Timestamp;
use maint::internal::page::Templates;
use maint::internal::page::sample_window;
use maint::internal::page::{Pages, SiteDefaults};
use maint::internal::template;
use maint::page::Context;
use maint::page::Format;
use maint::page::Reply;
use maint::request::RequestParts;
use maint::state::{Phase, Scope, Window};
use maint::{Error, Site, State};
use serde_json::json;

use crate::args::{TemplateRender, WhichTemplate};
use crate::exit::Exit;
use crate::session::Session;
use crate::text::say;

/// The answer that visitors get.
pub(crate) struct Page {
    pub(crate) reply: Reply,
    /// The template that is meant; absent for the built-in page.
    pub(crate) template: Option<String>,
    /// Whether it is there in this format. If not, the page is the built-in one.
    pub(crate) is_own: bool,
}

/// What a page is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) window: &'a Window,
    pub(crate) format: Format,
    pub(crate) method: &'a str,
    /// The languages that the visitor asks for, as the field has them.
    pub(crate) languages: Option<&'a str>,
    pub(crate) now: Timestamp,
}

/// The template that is meant, and its files.
pub(crate) fn chosen(
    site: &Site,
    state: &State,
    which: &WhichTemplate,
    window: &Window,
) -> maint::Result<(Option<String>, Vec<template::Template>)> {
    let directory = site.templates();
    if which.builtin {
        return Ok((None, Vec::new()));
    }
    if let Some(name) = &which.name {
        return Ok((Some(name.clone()), template::find(&directory, name)?));
    }
    match window.page.over(&state.page).template {
        // Where the one in use is gone, visitors get the built-in page.
        Some(name) => {
            let files = template::list(&directory)?.into_iter().filter(|file| file.name == name);
            let files = files.collect();
            Ok((Some(name), files))
        }
        None => Ok((None, Vec::new())),
    }
}

/// Builds the answer that visitors get, except for redirects.
///
/// # Errors
///
/// [`Error::Invalid`] if the template has a mistake.
pub(crate) fn make(
    site: &Site,
    state: &State,
    which: &WhichTemplate,
    question: &Question<'_>,
) -> maint::Result<Page> {
    let (name, files) = chosen(site, state, which, question.window)?;
    let (mut window, mut settings) = (question.window.clone(), state.page.clone());
    for page in [&mut window.page, &mut settings] {
        page.template.clone_from(&name);
        page.redirect = None;
    }
    let (templates, _) = Templates::read(&site.templates());
    let own = files.iter().find(|file| file.format == question.format);
    if let Some(file) = own {
        templates.try_file_in_one_language(file)?;
        // The facts of this window may break a template that passes the trial.
        let page = window.page.over(&settings);
        let mut context = Context::of(&window, state.name.as_deref(), &page);
        context.comes_back = matches!(question.method, "GET" | "HEAD");
        templates.render(Some(&file.name), file.format, &context)?;
    }
    let templates = Arc::new(templates);
    let around = SiteDefaults::new(state.name.as_deref(), &settings, &templates);
    // Errors in other formats are reported when those are asked for.
    let mut errors = Vec::new();
    let pages = Pages::new("sample", &window, &around, &mut errors);
    let mut request =
        RequestParts::new(question.method, "/").with("accept", question.format.media_type());
    if let Some(languages) = question.languages {
        request = request.with("accept-language", languages);
    }
    let reply = pages.reply(&request, question.now);
    if let Some(file) = own
        && reply.template().is_none()
        && let Some(tag) = reply.header("content-language")
    {
        // It fails in the language of this visitor alone, who gets the built-in page.
        let page = window.page.over(&settings).language(tag);
        let context = Context::of(&window, state.name.as_deref(), &page);
        templates.render(Some(&file.name), file.format, &context)?;
    }
    Ok(Page { reply, template: name, is_own: own.is_some() })
}

/// A method by which a request meets the window.
fn method(scope: &Scope) -> &str {
    if scope.read_only {
        return "POST";
    }
    let is_covered =
        |name: &str| scope.methods.is_empty() || scope.methods.iter().any(|m| m == name);
    let other = scope.methods.iter().find(|name| *name != "HEAD");
    if is_covered("GET") { "GET" } else { other.map_or("GET", String::as_str) }
}

pub(crate) fn render(session: &Session, args: &TemplateRender) -> Result<Exit> {
    let site = session.site()?;
    let state = site.state()?;
    let now = session.clock.now();
    let shown = to_show(&state, args.window.as_deref(), now)?;
    let sample = sample_window(now);
    let window = shown.map_or(&sample, |(_, window)| window);
    let format = Format::from(args.format);
    let languages = args.language.language.as_deref();
    let question = Question { window, format, method: method(&window.scope), languages, now };
    let page = make(&site, &state, &args.which, &question)?;

    let made_from = match &page.template {
        Some(name) if page.is_own => say!("template `{}.{}`", name, format),
        Some(name) => say!("the built-in page, since there is no template `{}.{}`", name, format),
        None => "the built-in page".into(),
    };
    let facts = shown.map_or_else(
        || "with a made-up window, since none is open".into(),
        |(name, _)| say!("with the facts of window `{}`", name),
    );
    session.output.note(say!("{}, {}", made_from, facts));
    if format == Format::Html
        && let Some(url) = window.page.over(&state.page).redirect
    {
        session.output.note(say!("browsers are sent to {} instead", url));
    }
    let text = String::from_utf8_lossy(page.reply.body());
    let object = json!({
        "template": page.template.filter(|_| page.is_own),
        "format": format.extension(),
        "language": page.reply.header("content-language"),
        "window": shown.map(|(name, _)| name),
        "status": page.reply.status(),
        "text": text,
    });
    if session.output.is_json() {
        session.output.object(&object)?;
    } else {
        session.output.content(page.reply.body())?;
    }
    Ok(Exit::Done)
}

/// The window to show: the one that was named, or else the one that is
/// expected to end last, as the gate chooses.
fn to_show<'s>(
    state: &'s State,
    named: Option<&str>,
    now: Timestamp,
) -> maint::Result<Option<(&'s str, &'s Window)>> {
    let Some(name) = named else {
        let open = state.windows_in(Phase::Open, now);
        return Ok(
            open.max_by_key(|(_, window)| window.expected_end(now).unwrap_or(Timestamp::MAX))
        );
    };
    let found = state.windows.get_key_value(name);
    found.map(|(name, window)| Some((name.as_str(), window))).ok_or_else(|| Error::Unknown {
        kind: "window",
        name: name.to_owned(),
        known: state.windows.keys().cloned().collect(),
    })
}
