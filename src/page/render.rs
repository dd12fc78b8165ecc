//! Rendering templates: what they can use, and how much they may cost.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};
use serde::Serialize;

use super::bounds::{self, Facts};
use super::template::{self, MAX_SIZE, Template};
use super::texts::{LANGUAGES, Language, Texts};
use super::{language, links};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::state::contact;
use crate::state::page::{DEFAULT_RETRY_AFTER, DEFAULT_STATUS, PageSettings};
use crate::state::window::Window;

/// The largest page that a template may make, in bytes.
pub const MAX_PAGE_SIZE: usize = 1024 * 1024;

/// How many steps a template may take, each worth up to 64 bytes of what it makes.
/// Nested loops must not keep a server busy, and doublings must not fill its memory.
const FUEL: u64 = 50_000;

/// How many of them each page may take, however much those before it took.
const FUEL_OF_EACH: u64 = 5_000;

/// How many more all pages that are made together may take.
const FUEL_OF_ALL: u64 = 200_000;

/// How deep macros, includes and blocks may call each other: a macro counts 4, an
/// include 10.
const MAX_CALLS: usize = 50;

/// How many templates a site may have, in all formats.
const MAX_TEMPLATES: usize = 1_000;

/// How large all templates of a site may be together, in bytes.
const MAX_TOTAL_SIZE: usize = 4 * 1024 * 1024;

/// All that a template can use: nothing of the visitor but the language, and nothing of the
/// operator or the rules.
///
/// Every field is always present; an unknown one is `none`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Context {
    /// What the settings say, else `Down for maintenance` or `Read-only for now` in the
    /// language of the page.
    pub title: String,
    /// The operator's words to visitors: text, not markup.
    pub reason: Option<String>,
    /// The language of the reason, by its BCP 47 tag in lower case, if the operator named it.
    pub reason_language: Option<String>,
    /// The name that visitors know the site by.
    pub site: Option<String>,
    /// When the maintenance began: RFC 3339 in UTC, in whole seconds. `none` where a
    /// view is always down.
    pub start: Option<String>,
    /// When it ends, in the same form; `none` if that is not known.
    pub end: Option<String>,
    /// When it is expected to be over, in the same form. It may have passed.
    pub estimate: Option<String>,
    /// Whether the estimate has passed.
    pub is_late: bool,
    /// The `Retry-After` of the page, in seconds.
    pub retry_after: u32,
    /// The status code.
    pub status: u16,
    /// Whether only writes are blocked.
    pub read_only: bool,
    /// Whether the page may take the visitor back by itself. False for all but GET and
    /// HEAD, since a POST must not be sent twice.
    pub comes_back: bool,
    /// How visitors reach the operator: a mail address, a telephone number, or a URL.
    pub contact: Option<String>,
    /// Where that leads: a `mailto:`, `tel:`, `https:` or `http:` URL.
    pub contact_url: Option<String>,
    /// Where visitors read how it goes: an `http` or `https` URL.
    pub status_url: Option<String>,
    /// The language of the page, by its BCP 47 tag in lower case.
    pub language: &'static str,
    /// The direction of that language: `ltr` or `rtl`.
    pub dir: &'static str,
    /// What the built-in page says in that language.
    pub texts: &'static Texts,
}

impl Context {
    /// The names of the fields.
    pub const FIELDS: [&'static str; 18] = [
        "title",
        "reason",
        "reason_language",
        "site",
        "start",
        "end",
        "estimate",
        "is_late",
        "retry_after",
        "status",
        "read_only",
        "comes_back",
        "contact",
        "contact_url",
        "status_url",
        "language",
        "dir",
        "texts",
    ];

    /// The fields that only a page in several languages needs.
    const OF_LANGUAGE: [&'static str; 3] = ["language", "dir", "texts"];

    /// Makes the context of a window's page in the language of the site, while its estimate is
    /// to come.
    ///
    /// `site` is the name that visitors know the site by. `settings` are those of the
    /// window [over](PageSettings::over) those of the site.
    #[must_use]
    pub fn of(window: &Window, site: Option<&str>, settings: &PageSettings) -> Self {
        let context = Self {
            reason: window.reason.clone(),
            start: Some(utc(window.since())),
            end: window.promised_end().map(utc),
            estimate: window.estimate.map(utc),
            read_only: window.scope.read_only,
            ..Self::without_window(site, settings)
        };
        let spoken = language::of_site(settings.language.as_deref());
        let tag = settings.language.as_deref().unwrap_or(spoken.tag);
        context.told(&window.reasons, tag).in_language(spoken, settings)
    }

    /// Makes the context of a view that is always down.
    pub(crate) fn without_window(site: Option<&str>, settings: &PageSettings) -> Self {
        let spoken = language::of_site(settings.language.as_deref());
        let contact = settings.contact.clone();
        let context = Self {
            title: String::new(),
            reason: None,
            reason_language: settings.language.clone(),
            site: site.map(str::to_owned),
            start: None,
            end: None,
            estimate: None,
            is_late: false,
            retry_after: settings.retry_after.unwrap_or(DEFAULT_RETRY_AFTER),
            status: settings.status.unwrap_or(DEFAULT_STATUS),
            read_only: false,
            comes_back: true,
            contact_url: contact.as_deref().and_then(|contact| contact::link(contact).ok()),
            contact,
            status_url: settings.status_url.clone(),
            language: spoken.tag,
            dir: spoken.dir,
            texts: &spoken.texts,
        };
        context.in_language(spoken, settings)
    }

    /// The same with the reason for a language, if there is one.
    pub(super) fn told(self, reasons: &BTreeMap<String, String>, tag: &str) -> Self {
        match language::lookup(tag.as_bytes(), |tag| reasons.get_key_value(tag)) {
            Some((tag, reason)) => {
                Self { reason: Some(reason.clone()), reason_language: Some(tag.clone()), ..self }
            }
            None => self,
        }
    }

    /// The same in a language that the page speaks.
    pub(super) fn in_language(self, spoken: &'static Language, settings: &PageSettings) -> Self {
        let texts = &spoken.texts;
        let own = if self.read_only { texts.read_only } else { texts.down };
        let title = settings.title.clone().unwrap_or_else(|| own.to_owned());
        Self { title, language: spoken.tag, dir: spoken.dir, texts, ..self }
    }

    /// Makes a context to try a template with: a window that ends in half an hour.
    #[must_use]
    pub fn sample() -> Self {
        let window = sample_window(crate::time::now());
        let settings = PageSettings { retry_after: Some(1800), ..PageSettings::default() };
        Self::of(&window, Some("Example Shop"), &settings)
    }
}

/// Makes a window that begins now and ends in half an hour, to look at a page while the
/// site is up.
#[must_use]
pub fn sample_window(now: Timestamp) -> Window {
    Window {
        reason: Some("We are moving to a bigger database.\nNothing is lost.".to_owned()),
        end: now.checked_add(jiff::SignedDuration::from_mins(30)).ok(),
        ..Window::new(now)
    }
}

/// Formats a time as templates get it.
pub(crate) fn utc(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The templates of a site, with the built-in ones to fall back on.
///
/// It has no lock and makes none: a process that is forked while another thread renders
/// can render as well.
#[derive(Clone)]
pub struct Templates {
    sources: Arc<BTreeMap<String, Source>>,
    /// Why templates were left out, by file name.
    broken: BTreeMap<String, String>,
    /// How many bytes of pages are kept that visitors asked for, of all windows of the site.
    pub(super) kept: Arc<AtomicUsize>,
    /// Why the last page that a visitor asked for is the built-in one.
    pub(super) mishap: Arc<Mishap>,
}

/// A page that could not be made when a visitor asked for it, until somebody is told.
#[derive(Default)]
pub(crate) struct Mishap {
    is_there: AtomicBool,
    error: ArcSwapOption<Error>,
}

impl Mishap {
    pub(super) fn note(&self, error: Error) {
        self.error.store(Some(Arc::new(error)));
        self.is_there.store(true, Ordering::Release);
    }

    /// The last one, for one caller.
    pub(crate) fn take(&self) -> Option<Error> {
        let is_there =
            self.is_there.load(Ordering::Relaxed) && self.is_there.swap(false, Ordering::Acquire);
        if is_there { self.error.swap(None).and_then(Arc::into_inner) } else { None }
    }
}

/// A template whose text may be given to the engine.
#[derive(Clone, PartialEq)]
struct Source {
    text: Arc<str>,
    facts: Facts,
}

/// The name under which the built-in templates are found.
const BUILTIN: &str = "builtin";

/// The source of the built-in page. A new template begins as a copy of it.
#[must_use]
pub fn builtin(format: Format) -> &'static str {
    match format {
        Format::Html => include_str!("builtin.html"),
        Format::Json => include_str!("builtin.json"),
        Format::Txt => include_str!("builtin.txt"),
    }
}

fn file_name(name: &str, format: Format) -> String {
    format!("{name}.{format}")
}

impl PartialEq for Templates {
    fn eq(&self, other: &Self) -> bool {
        self.sources == other.sources
    }
}

impl Templates {
    /// Makes a set without templates.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            sources: Arc::default(),
            broken: BTreeMap::new(),
            kept: Arc::default(),
            mishap: Arc::default(),
        }
    }

    /// Reads the templates of a directory, and reports those that cannot be used.
    #[must_use]
    pub fn read(directory: &Path) -> (Self, Vec<Error>) {
        let mut templates = Self::empty();
        let found = match template::list(directory) {
            Ok(found) => found,
            Err(error) => return (templates, vec![error]),
        };
        let mut errors = Vec::new();
        for file in found {
            let added = template::read(&file.path).and_then(|text| {
                templates.accept(file.file_name(), text).map_err(|error| Error::Corrupt {
                    path: file.path.clone(),
                    reason: error.to_string(),
                })
            });
            if let Err(error) = added {
                templates.broken.insert(file.file_name(), error.to_string());
                errors.push(error);
            }
        }
        (templates, errors)
    }

    /// Tries one template of the directory that these were read from, in each of its
    /// formats.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] if there is none of that name, and as [`Templates::try_file`].
    pub fn try_all(&self, directory: &Path, name: &str) -> Result<()> {
        let files = template::find(directory, name)?;
        files.iter().try_for_each(|file| self.try_file(file))
    }

    /// Tries a file of the directory that these templates were read from.
    ///
    /// # Errors
    ///
    /// As [`template::read`], [`Templates::add`] and [`Templates::try_out`].
    pub fn try_file(&self, file: &Template) -> Result<()> {
        self.with_file(file, Self::try_out)
    }

    /// Tries a file as [`Templates::try_file`] does, in the language of the site alone: for who
    /// looks at a page in one language.
    ///
    /// # Errors
    ///
    /// As [`Templates::try_file`].
    pub fn try_file_in_one_language(&self, file: &Template) -> Result<()> {
        self.with_file(file, |templates, name, format| {
            templates.attempt(name, format).map_err(|error| templates.explain(error))
        })
    }

    fn with_file(
        &self,
        file: &Template,
        attempt: impl Fn(&Self, &str, Format) -> Result<()>,
    ) -> Result<()> {
        if self.has(&file.name, file.format) {
            return attempt(self, &file.name, file.format);
        }
        // It was left out. Adding it again gives the reason.
        let mut templates = self.clone();
        templates.add(file.file_name(), template::read(&file.path)?)?;
        attempt(&templates, &file.name, file.format)
    }

    /// Adds a template, or replaces it.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], with the line of the mistake, if it is not Jinja, or more than
    /// a template may contain.
    pub fn add(&mut self, file_name: String, source: String) -> Result<()> {
        let mut alone = Self::empty();
        alone.accept(file_name.clone(), source.clone())?;
        alone.engine().find(&file_name)?;
        self.accept(file_name, source)
    }

    /// Adds a template, or replaces it, without asking the engine.
    fn accept(&mut self, file_name: String, source: String) -> Result<()> {
        if source.len() > MAX_SIZE {
            return Err(Error::invalid(format!(
                "a template has at most {MAX_SIZE} bytes; this one has {}",
                source.len()
            )));
        }
        let others = self.sources.iter().filter(|(name, _)| **name != file_name);
        let (count, total) =
            others.fold((0, 0), |(count, total), (_, it)| (count + 1, total + it.text.len()));
        if count >= MAX_TEMPLATES || total + source.len() > MAX_TOTAL_SIZE {
            return Err(Error::invalid(format!(
                "the site has more templates than fit: at most {MAX_TEMPLATES}, together \
                 {MAX_TOTAL_SIZE} bytes"
            )));
        }
        let facts = bounds::check(&source, &Context::FIELDS)
            .map_err(|refusal| refused(&file_name, &refusal))?;
        Arc::make_mut(&mut self.sources).insert(file_name, Source { text: source.into(), facts });
        Ok(())
    }

    /// Removes a template.
    #[must_use]
    pub(crate) fn without(mut self, file_name: &str) -> Self {
        Arc::make_mut(&mut self.sources).remove(file_name);
        self
    }

    /// Whether there is a template of that name in a format.
    #[must_use]
    pub fn has(&self, name: &str, format: Format) -> bool {
        self.sources.contains_key(&file_name(name, format))
    }

    /// Whether there is a template of that name in any format.
    #[must_use]
    pub fn has_any(&self, name: &str) -> bool {
        Format::ALL.into_iter().any(|format| self.has(name, format))
    }

    /// The file names of all templates.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.sources.keys().cloned().collect()
    }

    /// Whether the pages change with time, and not just with the state. Any template that
    /// uses `retry_after` makes them do so.
    #[must_use]
    pub(crate) fn are_live(&self) -> bool {
        self.mention("retry_after")
    }

    /// Whether the pages are in several languages: any template that uses `language`, `dir` or
    /// `texts` makes them so. All others were written in one, and their title stays in it.
    #[must_use]
    pub(crate) fn are_multilingual(&self) -> bool {
        Context::OF_LANGUAGE.into_iter().any(|field| self.mention(field))
    }

    /// Whether any of the templates uses a field of the context.
    fn mention(&self, field: &str) -> bool {
        let at = Context::FIELDS.iter().position(|known| *known == field);
        self.sources
            .values()
            .any(|source| at.is_some_and(|at| source.facts.mentioned >> at & 1 == 1))
    }

    /// The sources of all templates of a format.
    pub(crate) fn sources(&self, format: Format) -> impl Iterator<Item = &str> {
        let is_meant = move |name: &str| {
            crate::state::page::parse_file_name(name).is_some_and(|(_, of)| of == format)
        };
        self.sources.iter().filter(move |(name, _)| is_meant(name)).map(|(_, source)| &*source.text)
    }

    /// Renders a template; without a name, the built-in one.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] if there is none of that name in that format, and
    /// [`Error::Invalid`] if it fails or makes more than [`MAX_PAGE_SIZE`].
    pub fn render(&self, name: Option<&str>, format: Format, context: &Context) -> Result<String> {
        self.engine().render(name, format, context)
    }

    /// What renders several pages. It belongs to the thread that makes it.
    pub(crate) fn engine(&self) -> Engine<'_> {
        Engine::new(self)
    }

    /// The last mishap of a page of these templates, if nobody was told yet.
    pub(crate) fn mishap(&self) -> Option<Error> {
        self.mishap.take()
    }

    /// Renders a template with and without every field that may be missing, and in each language
    /// if it is written for several.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if it asks for a field that does not exist, if it
    /// fails, or if it should make JSON and makes something else.
    pub fn try_out(&self, name: &str, format: Format) -> Result<()> {
        let in_all = || {
            self.attempt(name, format)?;
            if self.are_multilingual() {
                for spoken in &LANGUAGES {
                    let context = Context::sample().in_language(spoken, &PageSettings::default());
                    Self::attempt_one(&mut self.engine(), name, format, &context)
                        .map_err(|error| in_words(error, spoken.tag))?;
                }
            }
            Ok(())
        };
        in_all().map_err(|error| self.explain(error))
    }

    /// Adds as a hint why a template that another one needs was left out.
    fn explain(&self, error: Error) -> Error {
        let Error::Invalid { message, hint } = error else { return error };
        let missed = self.broken.iter().find(|(file_name, _)| message.contains(file_name.as_str()));
        let hint = hint.or_else(|| missed.map(|(_, reason)| reason.clone()));
        Error::Invalid { message, hint }
    }

    fn attempt(&self, name: &str, format: Format) -> Result<()> {
        let file_name = file_name(name, format);
        let mut engine = self.engine();
        let mut unknown = engine.unknown_names(&file_name)?;
        unknown.sort();
        if let Some(first) = unknown.first() {
            let source = &self.sources[&file_name].text;
            let place = first_use(source, first)
                .map_or_else(String::new, |at| format!(" on {},", place(source, at)));
            return Err(Error::invalid_with(
                format!("the template `{file_name}` asks for `{first}`{place} which no page has"),
                format!("it may use {}", Context::FIELDS.join(", ")),
            ));
        }
        for context in samples() {
            Self::attempt_one(&mut engine, name, format, &context)?;
        }
        Ok(())
    }

    fn attempt_one(
        engine: &mut Engine<'_>,
        name: &str,
        format: Format,
        context: &Context,
    ) -> Result<()> {
        let page = engine.render(Some(name), format, context)?;
        if format == Format::Json
            && let Err(cause) = serde_json::from_str::<serde_json::Value>(&page)
        {
            let file_name = file_name(name, format);
            return Err(Error::invalid_with(
                format!("the template `{file_name}` does not make JSON: {cause}"),
                "leave out the quotes: in a .json template `{{ reason }}` brings its own",
            ));
        }
        Ok(())
    }
}

/// Adds in which language a page could not be made.
fn in_words(error: Error, tag: &str) -> Error {
    match error {
        Error::Invalid { message, hint } => {
            Error::Invalid { message: format!("{message} (in the language `{tag}`)"), hint }
        }
        other => other,
    }
}

/// Renders templates, one page after the other. Each template is parsed at most once.
///
/// The engine's library keeps what it has parsed behind a lock. Threads that shared it
/// could leave that lock to a child forever, so each thread makes its own.
pub(crate) struct Engine<'t> {
    templates: &'t Templates,
    /// What parses and renders templates of the site.
    environment: Environment<'static>,
    /// The same for the built-in ones, which those of the site cannot include.
    builtins: Environment<'static>,
    /// The steps that are left to all pages.
    spare: u64,
}

/// Why a template cannot be used beside the others: one template can include another, or
/// be included, with what it has set.
fn conflict(
    sources: &BTreeMap<String, Source>,
    file_name: &str,
    source: &Source,
) -> Option<String> {
    let bound = sources.values().fold(0, |all, source| all | source.facts.bound);
    let (facts, line) = source.facts.conflict(bound)?;
    let fact = Context::FIELDS.get(facts.trailing_zeros() as usize)?;
    Some(format!(
        "the template `{file_name}` is refused for line {line}: it needs `{fact}` to be that of \
         the page, and a template of this site gives the name to something else"
    ))
}

/// An engine that looks its templates up with a function.
fn environment(
    find: impl Fn(&str) -> std::result::Result<Option<String>, String> + Send + Sync + 'static,
) -> Environment<'static> {
    let mut environment = Environment::new();
    let globals: Vec<String> = environment.globals().map(|(name, _)| name.to_owned()).collect();
    for global in globals.iter().filter(|name| *name != "range") {
        environment.remove_global(global);
    }
    environment.add_filter("urlize", urlize);
    environment.set_recursion_limit(MAX_CALLS);
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_loader(move |name| {
        find(name).map_err(|why| minijinja::Error::new(ErrorKind::InvalidOperation, why))
    });
    environment
}

/// Makes links of the addresses in a text, in HTML; elsewhere, and what is markup already, it
/// leaves as it is.
fn urlize(
    state: &minijinja::State<'_, '_>,
    value: Value,
) -> std::result::Result<Value, minijinja::Error> {
    let Some(text) = value.as_str().filter(|_| !value.is_safe()) else { return Ok(value) };
    if *state.auto_escape() != AutoEscape::Html {
        return Ok(value);
    }
    // It looks at each byte, and a link makes several of one.
    state.consume_fuel(text.len() as u64 / 16)?;
    Ok(Value::from_safe_string(links::html(text)))
}

impl<'t> Engine<'t> {
    fn new(templates: &'t Templates) -> Self {
        let sources = Arc::clone(&templates.sources);
        let own = move |name: &str| {
            let Some(source) = sources.get(name) else { return Ok(None) };
            match conflict(&sources, name, source) {
                Some(why) => Err(why),
                None => Ok(Some(source.text.to_string())),
            }
        };
        let ours = |name: &str| {
            let format = Format::ALL.into_iter().find(|format| file_name(BUILTIN, *format) == name);
            Ok(format.map(|format| builtin(format).to_owned()))
        };
        Self {
            templates,
            environment: environment(own),
            builtins: environment(ours),
            spare: FUEL_OF_ALL,
        }
    }

    /// Parses a template of the site.
    fn find(&self, file_name: &str) -> Result<minijinja::Template<'_, '_>> {
        let sources = &self.templates.sources;
        let Some(source) = sources.get(file_name) else {
            return Err(Error::Unknown {
                kind: "template",
                name: file_name.to_owned(),
                known: self.templates.names(),
            });
        };
        if let Some(message) = conflict(sources, file_name, source) {
            return Err(Error::invalid_with(message, "give the other one another name"));
        }
        self.environment.get_template(file_name).map_err(|cause| self.mistake(file_name, &cause))
    }

    /// The names that a template asks for and no page has.
    fn unknown_names(&self, file_name: &str) -> Result<Vec<String>> {
        let template = self.find(file_name)?;
        let names = template.undeclared_variables(false).into_iter();
        let is_known = |name: &String| name == "range" || Context::FIELDS.contains(&name.as_str());
        Ok(names.filter(|name| !is_known(name)).collect())
    }

    /// Renders a template; without a name, the built-in one.
    ///
    /// # Errors
    ///
    /// As [`Templates::render`].
    pub(crate) fn render(
        &mut self,
        name: Option<&str>,
        format: Format,
        context: &Context,
    ) -> Result<String> {
        let fuel = match name {
            Some(_) => FUEL.min(FUEL_OF_EACH + self.spare),
            None => FUEL,
        };
        let environment = if name.is_some() { &mut self.environment } else { &mut self.builtins };
        environment.set_fuel(Some(fuel));
        let mut page = Bounded(Vec::new());
        let (rendered, used) = self.render_to(name, format, context, &mut page);
        if name.is_some() {
            let used = used.unwrap_or(fuel);
            self.spare = self.spare.saturating_sub(used.saturating_sub(FUEL_OF_EACH));
        }
        rendered?;
        String::from_utf8(page.0)
            .map_err(|_| Error::invalid("what the template makes is not UTF-8"))
    }

    /// Renders, and says how many steps it took, if that is known.
    fn render_to(
        &self,
        name: Option<&str>,
        format: Format,
        context: &Context,
        page: &mut Bounded,
    ) -> (Result<()>, Option<u64>) {
        let file_name = match name {
            Some(name) => file_name(name, format),
            None => file_name(BUILTIN, format),
        };
        let template = if name.is_some() {
            self.find(&file_name)
        } else {
            let found = self.builtins.get_template(&file_name);
            found.map_err(|cause| self.mistake(&file_name, &cause))
        };
        let template = match template {
            Ok(template) => template,
            Err(error) => return (Err(error), Some(0)),
        };
        match template.render_captured_to(Serde(context), page) {
            Ok(done) => (Ok(()), done.state().fuel_levels().map(|(used, _)| used)),
            Err(cause) => (Err(self.mistake(&file_name, &cause)), None),
        }
    }

    /// What is wrong with a template, with its name and where in it.
    fn mistake(&self, file_name: &str, cause: &minijinja::Error) -> Error {
        // Where one template builds on another, the innermost error is the most precise.
        let mut innermost = cause;
        while let Some(inner) =
            std::error::Error::source(innermost).and_then(<dyn std::error::Error>::downcast_ref)
        {
            innermost = inner;
        }
        let name = innermost.name().unwrap_or(file_name);
        let source = self.templates.sources.get(name);
        let place = match (source, innermost.range(), innermost.line()) {
            (Some(source), Some(range), _) => format!(" on {}", place(&source.text, range.start)),
            (_, _, Some(line)) => format!(" on line {line}"),
            _ => String::new(),
        };
        let detail = match innermost.kind() {
            ErrorKind::OutOfFuel => "it takes too many steps".to_owned(),
            ErrorKind::WriteFailure => format!("it makes more than {MAX_PAGE_SIZE} bytes"),
            kind => innermost.detail().map_or_else(|| kind.to_string(), str::to_owned),
        };
        Error::invalid(format!("the template `{name}` has a mistake{place}: {detail}"))
    }
}

/// Contexts with and without every field that may be missing, with a reason that needs
/// escaping, and in languages of both directions.
fn samples() -> [Context; 3] {
    let sample = Context::sample();
    let settings = PageSettings::new()
        .contact("help@example.com")
        .status_url("https://status.example.com/")
        .language("ar");
    let full = Context {
        reason: Some("\"</script>' & \\ \n\u{e9} https://example.com/".to_owned()),
        estimate: sample.end.clone(),
        ..Context::of(&sample_window(crate::time::now()), sample.site.as_deref(), &settings)
    };
    let bare = Context {
        reason: None,
        reason_language: None,
        site: None,
        start: None,
        end: None,
        read_only: true,
        comes_back: false,
        ..sample
    };
    let late = Context { is_late: true, end: None, ..full.clone() };
    [full, late, bare]
}

/// Where a byte of a text is: `line 3, column 7`, each counted from one.
fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}")
}

/// Where Jinja first meets a name.
fn first_use(source: &str, name: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut from = 0;
    while let Some(start) = source[from..].find('{').map(|at| from + at + 1) {
        from = start;
        let closing = match source[start..].chars().next() {
            Some('{') => "}}",
            Some('%') => "%}",
            _ => continue,
        };
        let end = source[start..].find(closing).map_or(source.len(), |at| start + at);
        let tag = &source[start..end];
        let is_whole = |at: usize| {
            !tag[..at].ends_with(is_part) && !tag[at + name.len()..].starts_with(is_part)
        };
        if let Some((at, _)) = tag.match_indices(name).find(|(at, _)| is_whole(*at)) {
            return Some(start + at);
        }
        from = end;
    }
    None
}

/// What a template contains that none may.
fn refused(file_name: &str, refusal: &bounds::Refusal) -> Error {
    let bounds::Refusal { line, why, hint } = refusal;
    let message = format!("the template `{file_name}` is refused for line {line}: {why}");
    Error::Invalid { message, hint: hint.clone() }
}

/// A buffer that holds no more than [`MAX_PAGE_SIZE`].
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_PAGE_SIZE {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::super::texts::ENGLISH;
    use super::*;

    static NONE: LazyLock<Templates> = LazyLock::new(Templates::empty);

    fn with(file_name: &str, source: &str) -> Templates {
        let mut templates = Templates::empty();
        templates.add(file_name.to_owned(), source.to_owned()).unwrap();
        templates
    }

    /// What is said of a template that is not even added.
    fn refusal(source: &str) -> String {
        let added = Templates::empty().add("x.html".to_owned(), source.to_owned());
        added.map_or_else(|error| error.to_string(), |()| "added".to_owned())
    }

    fn tried(file_name: &str, source: &str) -> String {
        let (name, format) = crate::state::page::parse_file_name(file_name).unwrap();
        with(file_name, source)
            .try_out(name, format)
            .map_or_else(|error| error.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn the_fields_are_those_of_the_context() {
        let serde_json::Value::Object(fields) = serde_json::to_value(Context::sample()).unwrap()
        else {
            panic!("a context is an object");
        };
        let mut expected = Context::FIELDS;
        expected.sort_unstable();
        assert_eq!(fields.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_builtin_pages_are_sound_in_every_format_and_language() {
        let mut largest = (0, "");
        for format in Format::ALL {
            assert_eq!(tried(&format!("x.{format}"), builtin(format)), "fine", "{format}");
            let mut engine = Engine::new(&NONE);
            for spoken in &super::super::texts::LANGUAGES {
                for context in samples() {
                    let context = context.in_language(spoken, &PageSettings::new());
                    let page = engine.render(None, format, &context).unwrap();
                    assert!(page.contains(&context.title), "{page}");
                    largest = largest.max((page.len(), spoken.tag));
                }
            }
        }
        assert!(largest.0 < 14_000, "{largest:?}");
    }

    /// What the body of the built-in page shows of a context.
    fn shown(context: &Context) -> String {
        let page = Templates::empty().render(None, Format::Html, context).unwrap();
        page.split_once("<body>").unwrap().1.split_once("<script>").unwrap().0.to_owned()
    }

    #[test]
    fn an_estimate_is_told_in_other_words_than_an_end_and_kindly_once_it_has_passed() {
        let (three, four) = ("2026-11-22T03:00:00Z", "2026-11-22T04:00:00Z");
        let of = |end: Option<&str>, estimate: Option<&str>, is_late| {
            let time = |time: Option<&str>| time.map(str::to_owned);
            let (end, estimate) = (time(end), time(estimate));
            shown(&Context { end, estimate, is_late, ..Context::sample() })
        };
        let is_said = |page: &str, what: &str| page.contains(&format!(">{what}<"));
        let late = ENGLISH.texts.late;

        let fixed = of(Some(four), None, false);
        assert!(is_said(&fixed, "Back at") && is_said(&fixed, "Until"), "{fixed}");
        assert!(!fixed.contains("xpected") && !fixed.contains(late), "{fixed}");

        let guessed = of(None, Some(three), false);
        assert!(is_said(&guessed, "Expected back") && is_said(&guessed, "Expected until"));
        assert!(!is_said(&guessed, "Until") && !is_said(&guessed, "Back at"), "{guessed}");
        assert!(guessed.contains(&format!("id=\"late\" hidden>{late}")), "{guessed}");

        let both = of(Some(four), Some(three), false);
        assert!(is_said(&both, "Expected until") && is_said(&both, "Until"), "{both}");
        assert!(both.contains(&format!("id=\"end\" dir=\"auto\" datetime=\"{three}\"")));

        let passed = of(None, Some(three), true);
        assert!(passed.contains(&format!("id=\"late\">{late}")), "{passed}");
        assert!(!passed.contains(three) && is_said(&passed, "Back soon"), "{passed}");

        let passed = of(Some(four), Some(three), true);
        assert!(passed.contains(&format!("id=\"late\">{late}")) && is_said(&passed, "Back at"));
    }

    #[test]
    fn a_page_says_what_the_site_says_of_itself() {
        let settings = PageSettings::new()
            .title("Wir <ziehen> um")
            .contact("+49 30 123456")
            .status_url("https://status.example.com/?a=b&c")
            .language("de");
        let context = Context::of(&sample_window(crate::time::now()), None, &settings);
        let page = shown(&context);
        assert!(page.contains("<h1>Wir &lt;ziehen&gt; um</h1>"), "{page}");
        assert!(page.contains("href=\"tel:+4930123456\"") && page.contains(">+49 30 123456<"));
        assert!(page.contains("status.example.com&#x2f;?a=b&amp;c</bdi>"), "{page}");
        let text = Templates::empty().render(None, Format::Txt, &context).unwrap();
        assert!(text.contains("\nAktueller Stand: https://status.example.com/?a=b&c\n"), "{text}");
        assert!(text.ends_with("\nKontakt: +49 30 123456\n"), "{text}");
        let json = Templates::empty().render(None, Format::Json, &context).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["title"], "Wir <ziehen> um");
        assert_eq!(json["contact"], "+49 30 123456");
        assert_eq!(json["status_url"], "https://status.example.com/?a=b&c");
    }

    #[test]
    fn addresses_become_links_in_html_alone() {
        let reason = "See https://example.com/?a=b&c <b>".to_owned();
        let context = Context { reason: Some(reason.clone()), ..Context::sample() };
        let page = shown(&context);
        let link = "<a href=\"https://example.com/?a=b&amp;c\" rel=\"noopener noreferrer\">";
        assert!(page.contains(link) && page.contains("&lt;b&gt;"), "{page}");
        let text = Templates::empty().render(None, Format::Txt, &context).unwrap();
        assert!(text.contains(&reason), "{text}");
        let of = |source: &str| {
            with("x.html", source).render(Some("x"), Format::Html, &context).unwrap()
        };
        assert_eq!(of("{{ 7|urlize }}"), "7");
        assert_eq!(of("{{ reason|e|urlize }}"), of("{{ reason }}"), "markup stays as it is");
        let long = Context { reason: Some("x ".repeat(30_000)), ..context.clone() };
        let loops = "{% for a in range(900) %}{% if reason|urlize == a %}{% endif %}{% endfor %}";
        let error = with("x.html", loops).render(Some("x"), Format::Html, &long).unwrap_err();
        assert!(error.to_string().contains("too many steps"), "{error}");
    }

    #[test]
    fn only_a_template_that_asks_for_the_language_is_in_several() {
        let is_multilingual = |source: &str| with("x.html", source).are_multilingual();
        for source in ["{{ language }}", "<html dir={{ dir }}>", "{{ texts.since }}"] {
            assert!(is_multilingual(source), "{source}");
        }
        assert!(!is_multilingual("{{ title }}{{ reason_language }}{# texts #}{{ a.language }}"));
    }

    #[test]
    fn requirement_51_a_reason_is_text_in_every_format() {
        let reason = "</script><script>alert(1)</script>\"'&{{ 7*7 }}";
        let context = Context { reason: Some(reason.to_owned()), ..Context::sample() };
        let render = |format| Templates::empty().render(None, format, &context).unwrap();
        assert!(!render(Format::Html).contains("alert(1)</script>"));
        assert!(render(Format::Txt).contains(reason));
        let problem: serde_json::Value = serde_json::from_str(&render(Format::Json)).unwrap();
        assert_eq!(problem["detail"], reason);
    }

    #[test]
    fn a_mistake_is_told_with_its_file_line_and_column() {
        let message = |source: &str| {
            let added = Templates::empty().add("x.html".to_owned(), source.to_owned());
            added.map_or_else(|error| error.to_string(), |()| tried("x.html", source))
        };
        assert!(
            message("<p>{{ reason }}</p>\n{% if %}")
                .contains("`x.html` has a mistake on line 2, column 7: ")
        );
        assert!(
            message("\n\n{{ 1 / 0 }}").contains("`x.html` has a mistake on line 3, column 4: ")
        );
        let umlauts = message("\n<p>\u{e4}\u{f6}\u{fc} {{ 1 / 0 }}");
        assert!(
            umlauts.contains("on line 2, column 11: "),
            "characters, as editors count: {umlauts}"
        );
        let prose = "resaon\n{# resaon #}\n{{ my_resaon }}\n{% if title == resaon %}{% endif %}";
        assert!(
            message(prose)
                .contains("`x.html` asks for `my_resaon` on line 3, column 4, which no page has"),
            "{}",
            message(prose)
        );
        let prose = prose.replace("{{ my_resaon }}", "{{ title }} resaon");
        assert!(
            message(&prose).contains("asks for `resaon` on line 4, column 16, which"),
            "{}",
            message(&prose)
        );
        assert!(message(&"x".repeat(MAX_SIZE + 1)).contains("has at most 262144 bytes"));
        let mut templates = with("base.html", "\n{{ 1 / 0 }}");
        templates.add("x.html".to_owned(), "{% include 'base.html' %}".to_owned()).unwrap();
        let error = templates.try_out("x", Format::Html).unwrap_err().to_string();
        assert!(error.contains("`base.html` has a mistake on line 2, column 4: "), "{error}");
    }

    #[test]
    fn a_template_is_tried_before_anybody_meets_it() {
        assert_eq!(tried("x.html", "{{ reason }}{% if end %}{{ end[:10] }}{% endif %}"), "fine");
        assert_eq!(
            tried("x.html", "{% for i in range(3) %}{{ i }}{{ loop.index }}{% endfor %}"),
            "fine"
        );
        assert!(tried("x.html", "{{ resaon }}").contains("asks for `resaon`"));
        let message = refusal("\n{{ reason|nofilter }}");
        assert!(message.contains("line 2: templates have no filter `nofilter`"), "{message}");
        assert!(tried("x.html", "{{ 1 / 0 }}").contains("line 1"));
        assert!(tried("x.html", "{% include 'gone.html' %}").contains("gone.html"));
        assert_eq!(tried("x.json", "{\"detail\": {{ reason }}}"), "fine");
        assert!(tried("x.json", "{\"detail\": \"{{ reason }}\"}").contains("does not make JSON"));
    }

    #[test]
    fn requirement_52_a_template_cannot_keep_a_server_busy() {
        let loops =
            "{% for a in range(10000) %}{% for b in range(10000) %}.{% endfor %}{% endfor %}";
        assert!(tried("x.html", loops).contains("too many steps"));
        let wide = "{% for a in range(10000) %}{{ 'x' * 10000 }}{% endfor %}";
        let message = tried("x.html", wide);
        assert!(message.contains("mistake"), "{message}");
        assert!(tried("x.html", "{% include 'x.html' %}").contains("mistake"));
    }

    #[test]
    fn requirement_52_a_template_cannot_take_all_the_memory() {
        let doubled = format!("{{% set x = 'x' %}}{}", "{% set x = x ~ x %}".repeat(40));
        for source in [
            &*doubled,
            "{% for i in range(10000) %}{{ ('x' * 99999999)|length }}{% endfor %}",
            "{{ 'x\ny'|indent(99999999999) }}",
        ] {
            let message = tried("x.html", source);
            assert!(message.contains("too many steps"), "{source}: {message}");
        }
    }

    #[test]
    fn what_templates_need_goes_on_working() {
        let month = "{% set months = {'01': 'Jan', '11': 'Nov'} %}{{ months[end[5:7]] or end }}";
        let languages = "{% set t = {'en': {'sorry': 'Sorry', 'until': 'Until'},\n\
                         'de': {'sorry': 'Entschuldigung', 'until': 'Bis'}} %}\
                         {% for lang, words in t|items %}<p lang=\"{{ lang }}\">{{ words.sorry }}, \
                         {{ words.until ~ ' ' ~ end[11:16] }}</p>{% endfor %}";
        let images = format!(
            "{{{{ title }}}}\n<img src='data:;base64,{}'>\n{{{{ site }}}}",
            "A".repeat(200_000)
        );
        for source in [
            month,
            languages,
            &images,
            "{% for label, text in [('Since', start), ('Until', end)] %}{% if text %}\
             {{ loop.index + 1 }}. {{ label }}: {{ text|replace('T', ' ') }}{% endif %}{% endfor %}",
            "{% macro row(label, text='') -%}<b>{{ label|upper }}</b>{{ text or '…' }}{%- endmacro %}\
             {{ row('Why', reason) }}{{ row(label=title) }}",
            "{% macro card(title) %}<h2>{{ title }}</h2>{{ caller() }}{% endmacro %}\
             {% call card('Sorry') %}{{ reason|default('We are back soon.', true) }}{% endcall %}",
            "{% set minutes = retry_after // 60 %}{{ 'in ' + minutes|string + ' min' if minutes > 1 else 'soon' }}",
            "{{ (retry_after / 60)|round(0, 'ceil')|int + 1 }} {{ '%02d'|format(status) }}",
            "{{ ['Sorry', site or 'we']|join(', ') }} {{ (reason or '')|lines|first }}",
            "{% if reason is defined and reason is not none %}{{ reason|e|replace('\n', '<br>')|safe }}{% endif %}",
            "{% raw %}{{ [[[ not read ]]] }}{% endraw %}{# nor + this #}{%- set x = 'y' -%}{{ x ~ x }}",
            "{% filter trim %} {{ title }} {% endfilter %}{% with a = 1, b = title %}{{ a }}{{ b }}{% endwith %}",
            "{{ '=' * 20 }}{{ '-' * title|length }}{{ 2 ** 3 - -1 }}{% set a, b = 1, title %}{{ a }}",
        ] {
            assert_eq!(tried("x.html", source), "fine", "{source}");
        }
    }

    #[test]
    fn requirement_63_a_refusal_says_what_and_where_and_what_to_write_instead() {
        for (source, what) in [
            ("\n{% set x = [1] %}\n{{ x + x }}", "line 3: `+` gets `x`, which may be a list"),
            ("{% set x = [x] %}", "line 1: a list or a map holds `x`, which may be a list itself"),
            ("\n{{ [1] * 9 }}", "line 2: `*` makes a list longer"),
            ("{{ title|batch(3) }}", "line 1: templates have no filter `batch`"),
            ("{{ title is sameas(1) }}", "line 1: templates have no test `sameas`"),
            (
                "{% for x in [1] %}{% macro m() %}{% endmacro %}{% endfor %}",
                "`macro` stands inside `for`",
            ),
            ("{{ range(*x) }}", "`*` spreads a list"),
            ("{{ 'a", "a text that begins here does not end"),
            ("\n{# a", "line 2: a comment that begins here does not end"),
            ("{% raw %}", "a `raw` that begins here does not end"),
        ] {
            let message = refusal(source);
            assert!(message.contains(what), "{source}: {message}");
            assert!(message.starts_with("the template `x.html` is refused for line "), "{message}");
        }
        let parts = |n| refusal(&format!("{{{{ 1{} }}}}", "+1".repeat(n)));
        assert_eq!(
            (parts(99), parts(100).contains("more than 200 parts")),
            ("added".to_owned(), true)
        );
        let wide = |n| refusal(&format!("{}{{{{ 1 }}}}", "x".repeat(n)));
        assert_eq!(wide(59_000), "added");
        assert!(wide(60_000).contains("more than 60000 bytes of its line"));
    }

    #[test]
    fn requirement_63_a_fact_that_another_template_replaces_is_not_relied_on() {
        let mut templates = with("a.html", "{% set title = [1] %}{% include 'b.html' %}");
        templates.add("b.html".to_owned(), "\n{{ title + title }}".to_owned()).unwrap();
        let error = templates.try_out("b", Format::Html).unwrap_err().to_string();
        assert!(error.contains("line 2: it needs `title` to be that of the page"), "{error}");
        assert!(templates.try_out("a", Format::Html).is_err());
    }

    #[test]
    fn requirement_63_costly_pages_leave_enough_for_simple_ones() {
        let mut templates = with("costly.html", "{% for a in range(7000) %}{{ a }}{% endfor %}");
        templates.add("plain.html".to_owned(), "{{ title }}".to_owned()).unwrap();
        let mut engine = templates.engine();
        let mut render = |name| engine.render(Some(name), Format::Html, &Context::sample());
        let made = (0..50).filter(|_| render("costly").is_ok()).count();
        assert!((1..=10).contains(&made), "{made} of 50");
        render("plain").unwrap();
    }

    #[test]
    fn only_a_template_that_uses_the_time_changes_with_it() {
        let is_live = |source: &str| with("x.html", source).are_live();
        assert!(is_live("{{ retry_after }}") && is_live("{% if retry_after > 9 %}{% endif %}"));
        assert!(!is_live("retry_after {# retry_after #}{{ 'retry_after' }}{{ a.retry_after }}"));
    }

    #[test]
    fn templates_of_a_site_may_build_on_each_other() {
        let mut templates = with("base.html", "<h1>{% block head %}{% endblock %}</h1>");
        let child = "{% extends 'base.html' %}{% block head %}{{ title }}{% endblock %}";
        templates.add("sorry.html".to_owned(), child.to_owned()).unwrap();
        templates.try_out("sorry", Format::Html).unwrap();
        let page = templates.render(Some("sorry"), Format::Html, &Context::sample()).unwrap();
        assert_eq!(page, "<h1>Down for maintenance</h1>");
    }

    #[test]
    fn requirement_53_a_template_is_told_nothing_else() {
        assert!(tried("x.html", "{{ debug() }}").contains("asks for `debug`"));
        let all: Vec<String> =
            Context::FIELDS.iter().map(|field| format!("{field}: {{{{ {field} }}}}")).collect();
        let page = with("x.html", &all.join("\n"));
        let page = page.render(Some("x"), Format::Html, &Context::sample()).unwrap();
        for private in ["path", "host", "user", "rule", "window", "token"] {
            assert!(
                !page.contains(&format!("{private}&#x27;"))
                    && !page.contains(&format!("\"{private}\"")),
                "{page}"
            );
        }
    }
}
