//! `maint template preview`

use std::fs;
use std::path::{Path, PathBuf};

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

/// The look of the frame. Its switches move and colour the frame alone.
const FRAME_STYLE: &str = "\
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0; padding: .5rem }
nav { display: inline; margin-inline-start: 1rem }
a { margin-inline-end: .75rem; white-space: nowrap }
[aria-current] { font-weight: bold }
label { margin-inline-end: .75rem }
iframe { display: block; box-sizing: border-box; inline-size: 100%; block-size: calc(100vh - 6rem); margin: .5rem auto 0; border: 1px solid #8886; color-scheme: light }
#w-phone:checked ~ iframe { inline-size: 322px }
#w-tablet:checked ~ iframe { inline-size: 770px }
#dark:checked ~ iframe { color-scheme: dark }
";

/// The query of a page in the frame.
const FRAMED: &str = "framed";

/// The largest file of the site that is served, in bytes.
const MAX_FILE: u64 = 32 * 1024 * 1024;

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
    /// The directory with the files of the site.
    files: Option<PathBuf>,
    which: WhichTemplate,
    /// What every visitor asks for; else what the browser asks for.
    language: Option<String>,
    /// The time in tests.
    fixed: Option<Timestamp>,
}

pub(crate) fn run(session: &Session, args: &TemplatePreview) -> Result<Exit> {
    let site = session.site()?;
    let files = args.r#static.as_deref().map(directory).transpose()?;
    let (which, language) = (args.which.clone(), args.language.language.clone());
    let preview = Preview { site, files, which, language, fixed: session.clock.fixed() };
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

/// A directory, whatever leads to it.
fn directory(given: &Path) -> maint::Result<PathBuf> {
    let found = given.canonicalize().ok().filter(|found| found.is_dir());
    found.ok_or_else(|| Error::invalid(format!("`{}` is no directory", given.display())))
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
        if let Some(scene) = path.strip_prefix("/frame/") {
            return SCENES
                .iter()
                .find(|known| known.path == scene)
                .map_or_else(Answer::not_found, frame);
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
                let answer = self.page(scene, format, languages);
                let answer = answer.unwrap_or_else(|error| mistake(&error));
                if request.query() == Some(FRAMED.as_bytes()) { in_frame(answer) } else { answer }
            }
            None => self.file(request.path()).unwrap_or_else(Answer::not_found),
        }
    }

    /// A file of the site, as its own server would send it: `/static/logo.png` is that file
    /// below the directory, or `logo.png` in it if it is called `static` itself.
    fn file(&self, path: &[u8]) -> Option<Answer> {
        let root = self.files.as_ref()?;
        let path = decoded(path)?;
        let below: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let is_inside = |part: &&str| !part.starts_with('.') && !part.contains(['\\', '\0']);
        if !below.iter().all(is_inside) {
            return None;
        }
        let name = root.file_name().and_then(|name| name.to_str());
        let own = below.first().filter(|first| Some(**first) == name).map(|_| &below[1..]);
        let found = [Some(&below[..]), own].into_iter().flatten().find_map(|parts| {
            let file = root.join(parts.join("/")).canonicalize().ok()?;
            // A link that leads out of it shows what was not meant.
            (file.starts_with(root) && file.is_file()).then_some(file)
        })?;
        let size = fs::metadata(&found).ok()?.len();
        if size > MAX_FILE {
            return Some(Answer::plain(413, "the file is too large for a preview"));
        }
        let headers = vec![
            ("content-type", media_type(&found).to_owned()),
            ("cache-control", "no-store".to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
        ];
        Some(Answer { status: 200, headers, body: fs::read(&found).ok()? })
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
            body += &format!("<td><a href=\"/frame/{}\">widths, dark</a></td></tr>\n", scene.path);
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

/// The page in a frame, with switches above it for its width and for a dark look. They need no
/// script: a frame tells what is in it how light or dark it is.
fn frame(scene: &Scene) -> Answer {
    let mut links = String::new();
    for other in &SCENES {
        let current = if other.path == scene.path { " aria-current=\"page\"" } else { "" };
        links += &format!("<a href=\"/frame/{}\"{current}>{}</a>\n", other.path, other.label);
    }
    let path = scene.path;
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{} · Preview · maint</title>\n\
         <style>\n{FRAME_STYLE}</style>\n\
         <input type=\"radio\" name=\"width\" id=\"w-phone\"><label for=\"w-phone\">320</label>\n\
         <input type=\"radio\" name=\"width\" id=\"w-tablet\"><label for=\"w-tablet\">768</label>\n\
         <input type=\"radio\" name=\"width\" id=\"w-all\" checked><label for=\"w-all\">all</label>\n\
         <input type=\"checkbox\" id=\"dark\"><label for=\"dark\">dark</label>\n\
         <nav><a href=\"/\">all</a>\n{links}<a href=\"/{path}.html\">without the frame</a></nav>\n\
         <iframe src=\"/{path}.html?{FRAMED}\" title=\"{}\"></iframe>\n",
        scene.label, scene.label
    );
    Answer::html(200, page, "frame-src 'self'; ")
}

/// The same page for the frame: nothing differs but who may frame it.
fn in_frame(mut answer: Answer) -> Answer {
    for (name, value) in &mut answer.headers {
        if *name == "content-security-policy" {
            *value = value.replace("frame-ancestors 'none'", "frame-ancestors 'self'");
        }
    }
    answer
}

/// A path without its escapes (RFC 3986, 2.1).
fn decoded(path: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.iter().copied();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// The media type of a file that a page loads, by its name.
fn media_type(file: &Path) -> &'static str {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "html" | "htm" => "text/html; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => "application/octet-stream",
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
