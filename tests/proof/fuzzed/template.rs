//! A template of the site: first its format and the reason of the window, then the
//! template. After the line `shape`, bytes choose the pieces that it is put together from.

use std::sync::LazyLock;

use super::{first_line, shapes};
use crate::page::Format;
use crate::page::render::MAX_PAGE_SIZE;
use crate::page::{Context, Templates};

/// The ways for a template to write markup on purpose.
const MARKUP: [&str; 4] = ["<", "\\", "safe", "autoescape"];

/// A template takes bounded time and makes a bounded page, and the operator's words
/// stay text; so do they in the built-in page, when there is no template.
///
/// # Panics
///
/// If that does not hold.
pub fn check(data: &[u8]) {
    let (about, source) = first_line(data);
    if about == b"shape" {
        let mut bytes = source.iter().copied();
        return check_template(
            Format::Html,
            &context("Back soon"),
            &shapes::made(|| u64::from(bytes.next().unwrap_or_default())),
        );
    }
    let (Ok(about), Ok(source)) = (str::from_utf8(about), str::from_utf8(source)) else { return };
    let (format, reason) = about.split_once(' ').unwrap_or(("html", about));
    let format = format.parse().unwrap_or(Format::Html);
    let context = context(reason);
    if source.is_empty() {
        return check_builtin(&context, reason);
    }
    check_template(format, &context, source);
}

fn check_template(format: Format, context: &Context, source: &str) {
    let mut templates = Templates::empty();
    if templates.add(format!("x.{format}"), source.to_owned()).is_err() {
        return;
    }
    let Ok(page) = templates.render(Some("x"), format, context) else { return };
    let _ = templates.try_out("x", format);
    assert!(page.len() <= MAX_PAGE_SIZE);
    if format == Format::Html && !MARKUP.iter().any(|markup| source.contains(markup)) {
        assert!(!page.contains('<'), "{page}");
    }
}

fn check_builtin(context: &Context, reason: &str) {
    static TAGS: LazyLock<usize> = LazyLock::new(|| tags(&self::context("Back soon")));
    if reason.is_empty() {
        return;
    }
    assert_eq!(tags(context), *TAGS, "the reason is markup");
    assert!(builtin(Format::Txt, context).contains(reason));
    let problem: serde_json::Value = serde_json::from_str(&builtin(Format::Json, context)).unwrap();
    assert_eq!(problem["detail"], reason);
}

fn builtin(format: Format, context: &Context) -> String {
    Templates::empty().render(None, format, context).unwrap()
}

/// Without those of links, which no text can write: its quotes are escaped.
fn tags(context: &Context) -> usize {
    let page = builtin(Format::Html, context);
    page.matches('<').count() - 2 * page.matches("\" rel=\"noopener noreferrer\">").count()
}

fn context(reason: &str) -> Context {
    Context {
        reason: Some(reason.to_owned()),
        site: Some("<Shop>".to_owned()),
        start: Some("2026-11-22T03:00:00Z".to_owned()),
        end: Some("2026-11-22T04:00:00Z".to_owned()),
        ..Context::sample()
    }
}
