//! `maint template preview`

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use maint::internal::page::Templates;
use maint::internal::page::sample_window;
use maint::page::Format;
use maint::request::{Request as _, RequestParts};
use maint::state::Window;
use maint::{Error, Site, State};
use serde_json::json;

use super::page::{self, Question};
use crate::args::{TemplatePreview, WhichTemplate};
use crate::exit::Exit;
use crate::http::{self, Answer, escape};
use crate::session::Session;
use crate::signals;
use crate::text::say;

/// The look of the pages of this server itself.
const STYLE: &str = "\
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin-block: 1.5rem }
th, td { text-align: left; padding: .4rem 1.5rem .4rem 0; border-bottom: 1px solid #8886; font-weight: normal }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: .75rem 1rem; border-left: .25rem solid #c33; background: #c331 }
code { font-size: .9em }
";

/// A window that a visitor may meet, and how they ask.
struct Scene {
    path: &'static str,
    label: &'static str,
    method: &'static str,
    change: fn(&mut Window, Timestamp),
}

const SCENES: [Scene; 9] = [
    Scene { path: "open", label: "with an end", method: "GET", change: |_, _| {} },
    Scene {
        path: "ending-soon",
        label: "ending in ten seconds",
        method: "GET",
        change: |window, now| {
            window.opened_at = now.checked_sub(SignedDuration::from_mins(30)).unwrap_or(now);
            window.end = now.checked_add(SignedDuration::from_secs(10)).ok();
        },
    },
    Scene {
        path: "no-end",
        label: "without an end",
        method: "GET",
        change: |window, _| window.end = None,
    },
    Scene {
        path: "bare",
        label: "without an end or a reason",
        method: "GET",
        change: |window, _| (window.end, window.reason) = (None, None),
    },
    Scene {
        path: "estimate",
        label: "with an estimate",
        method: "GET",
        change: |window, now| {
            window.end = None;
            window.estimate = now.checked_add(SignedDuration::from_mins(20)).ok();
        },
    },
    Scene {
        path: "late",
        label: "with an estimate that has passed",
        method: "GET",
        change: |window, now| {
            window.opened_at = now.checked_sub(SignedDuration::from_mins(30)).unwrap_or(now);
            window.end = None;
            window.estimate = now.checked_sub(SignedDuration::from_mins(5)).ok();
        },
    },
    Scene { path: "post", label: "after a POST", method: "POST", change: |_, _| {} },
    Scene {
        path: "read-only",
        label: "read-only, after a POST",
        method: "POST",
        change: |window, _| window.scope.read_only = true,
    },
    Scene {
        path: "long-reason",
        label: "with a long reason",
        method: "GET",
        change: |window, _| window.reason = Some(long_reason()),
    },
];

/// With all that can break a layout: length, lines, a long word, another direction.
fn long_reason() -> String {
    let sentence = "We are moving to a bigger database, which takes longer than we thought. ";
    format!(
        "{}\n\nhttps://status.example.com/{}\n\nأعمال الصيانة جارية <b>&amp;</b> \"quoted\"",
        sentence.repeat(12).trim_end(),
        "very-long-".repeat(12)
    )
}

/// What every request is answered from.
struct Preview {
    site: Site,
    which: WhichTemplate,
    /// What every visitor asks for; else what the browser asks for.
    language: Option<String>,
    /// The time in tests.
    fixed: Option<Timestamp>,
}

pub(crate) fn run(session: &Session, args: &TemplatePreview) -> Result<Exit> {
    let site = session.site()?;
    let (which, language) = (args.which.clone(), args.language.language.clone());
    let preview = Preview { site, which, language, fixed: session.clock.fixed() };
    // An unknown name is wrong usage; an error in the template is shown in the browser.
    let (what, _) = preview.title()?;
    let ending = signals::ending().context("could not watch signals")?;
    let (listener, url) = http::listen(args.port)?;
    session.output.answer(&say!("{}\n", url), &json!({ "url": url }))?;
    session
        .output
        .note(say!("shows {} to this machine alone; edit, save and reload. Ctrl-C ends it", what));
    http::serve(listener, move |request| preview.answer(request))?;
    ending();
    Ok(Exit::Done)
}

impl Preview {
    fn now(&self) -> Timestamp {
        self.fixed.unwrap_or_else(maint::internal::time::now)
    }

    fn state(&self) -> maint::Result<State> {
        self.site.state()
    }

    /// What is shown, in words, and the formats that the template has.
    fn title(&self) -> maint::Result<(String, Vec<Format>)> {
        let window = sample_window(self.now());
        let (name, files) = page::chosen(&self.site, &self.state()?, &self.which, &window)?;
        let title = match name {
            Some(name) if files.is_empty() => {
                format!("the built-in page, since there is no template `{name}`")
            }
            Some(name) => format!("the template `{name}`"),
            None => "the built-in page".to_owned(),
        };
        Ok((title, files.iter().map(|file| file.format).collect()))
    }

    fn answer(&self, request: &RequestParts) -> Answer {
        if !http::is_look(request) {
            return Answer::not_allowed();
        }
        let path = str::from_utf8(request.path()).unwrap_or_default();
        if path == "/" {
            return self.index().unwrap_or_else(|error| mistake(&error));
        }
        let scene = path.trim_start_matches('/').split_once('.').and_then(|(scene, format)| {
            let scene = SCENES.iter().find(|known| known.path == scene)?;
            Some((scene, format.parse().ok()?))
        });
        match scene {
            Some((scene, format)) => {
                let is_asked = |name: &String| name.eq_ignore_ascii_case("accept-language");
                let field = request.headers.iter().find(|(name, _)| is_asked(name));
                let asked = field.and_then(|(_, value)| str::from_utf8(value).ok());
                let languages = self.language.as_deref().or(asked);
                self.page(scene, format, languages).unwrap_or_else(|error| mistake(&error))
            }
            None => Answer::not_found(),
        }
    }

    /// The answer that visitors get.
    fn page(
        &self,
        scene: &Scene,
        format: Format,
        languages: Option<&str>,
    ) -> maint::Result<Answer> {
        let now = self.now();
        let mut window = sample_window(now);
        (scene.change)(&mut window, now);
        let method = scene.method;
        let question = Question { window: &window, format, method, languages, now };
        Ok(page::make(&self.site, &self.state()?, &self.which, &question)?.reply.into())
    }

    fn index(&self) -> maint::Result<Answer> {
        let (title, own) = self.title()?;
        let mut body = format!("<h1>Preview of {}</h1>\n", escape(&title));
        for error in self.mistakes()? {
            body += &format!("<pre>{}</pre>\n", escape(&text(&error)));
        }
        body += "<p>The page that visitors get, with the header fields they get, in a window</p>\n<table>\n";
        for scene in &SCENES {
            body += &format!("<tr><th scope=\"row\">{}</th>", scene.label);
            for format in Format::ALL {
                let mark = if own.is_empty() || own.contains(&format) { "" } else { " (built-in)" };
                let path = scene.path;
                body += &format!("<td><a href=\"/{path}.{format}\">{format}</a>{mark}</td>");
            }
            body += "</tr>\n";
        }
        body += "</table>\n";
        if let Some(url) = self.state()?.page.redirect {
            body += &format!(
                "<p>This site sends browsers to <code>{}</code> instead.</p>\n",
                escape(&url)
            );
        }
        body += &format!(
            "<p>The templates in <code>{}</code> are read again at each request: edit, save and reload. \
             <code>curl -i</code> shows the header fields.</p>\n",
            escape(&self.site.templates().to_string_lossy())
        );
        Ok(own_page(200, "Preview", "", &body))
    }

    /// What is wrong with the template, in whichever format.
    fn mistakes(&self) -> maint::Result<Vec<Error>> {
        let window = sample_window(self.now());
        let (_, files) = page::chosen(&self.site, &self.state()?, &self.which, &window)?;
        let (templates, _) = Templates::read(&self.site.templates());
        Ok(files.iter().filter_map(|file| templates.try_file(file).err()).collect())
    }
}

/// An error in place of the page. It reloads itself, so that the page is back as
/// soon as the error is fixed.
fn mistake(error: &Error) -> Answer {
    let body = format!("<h1>There is a mistake</h1>\n<pre>{}</pre>\n", escape(&text(error)));
    own_page(500, "Mistake", "<meta http-equiv=\"refresh\" content=\"2\">\n", &body)
}

/// An error, with its hint if it has one.
fn text(error: &Error) -> String {
    match error {
        Error::Invalid { message, hint: Some(hint) } => format!("{message}\n\n{hint}"),
        other => other.to_string(),
    }
}

fn own_page(status: u16, title: &str, head: &str, body: &str) -> Answer {
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n{head}\
         <link rel=\"icon\" href=\"data:,\">\n<title>{title} · maint</title>\n<style>\n{STYLE}</style>\n{body}"
    );
    Answer::html(status, page, "")
}
