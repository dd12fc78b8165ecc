//! How pages are answered: the settings of a window, of the site or of an app.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::format::Format;
use crate::state::contact;
use crate::state::language::validate_language;
use crate::state::link::{check_url, refuse_odd, validate_url};
use crate::state::text::validate_text;

/// The longest `Retry-After` accepted, in seconds: one week.
pub const MAX_RETRY_AFTER: u32 = 7 * 24 * 3600;

/// The status of the page, unless it is set.
pub const DEFAULT_STATUS: u16 = 503;

/// The longest title of the page, in bytes.
const MAX_TITLE: usize = 200;

/// `Retry-After` in seconds, unless it is set or an end is known.
pub const DEFAULT_RETRY_AFTER: u32 = 120;

/// How the page is answered. The settings of a window go before those of the site, and
/// these before the defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PageSettings {
    /// The status code (RFC 9110, 15): 200, or 400 to 599. Default 503. With 200,
    /// requests other than GET and HEAD get 503.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(range(min = 200, max = 599)))]
    pub status: Option<u16>,
    /// `Retry-After` (RFC 9110, 10.2.3) in seconds while no end is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(range(min = 1, max = 604_800)))]
    pub retry_after: Option<u32>,
    /// The template that becomes the page, by its name without extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Where browsers are sent instead: an `http` or `https` URL, or a path of this site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
    /// What is answered where the request does not say. Default HTML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The title of the page, in place of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// How visitors reach the operator: a mail address, a telephone number, or an `http` or
    /// `https` URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Where visitors read how it goes: an `http` or `https` URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_url: Option<String>,
    /// The language for visitors who ask for none that the page speaks, and that of the
    /// reason without a tag: a BCP 47 tag in lower case. Default English.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Fields of later versions, kept as they are.
    #[serde(flatten)]
    #[cfg_attr(test, schemars(skip))]
    pub extra: Map<String, Value>,
}

impl PageSettings {
    /// Starts from the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the status code.
    #[must_use]
    pub fn status(mut self, status: impl Into<Option<u16>>) -> Self {
        self.status = status.into();
        self
    }

    /// Sets `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_after(mut self, retry_after: impl Into<Option<u32>>) -> Self {
        self.retry_after = retry_after.into();
        self
    }

    /// Sets the template that becomes the page.
    #[must_use]
    pub fn template(mut self, template: impl Into<String>) -> Self {
        self.template = Some(template.into());
        self
    }

    /// Sets where browsers are sent instead.
    #[must_use]
    pub fn redirect(mut self, redirect: impl Into<String>) -> Self {
        self.redirect = Some(redirect.into());
        self
    }

    /// Sets what is answered where the request does not say.
    #[must_use]
    pub fn format(mut self, format: impl Into<Option<Format>>) -> Self {
        self.format = format.into();
        self
    }

    /// Sets the title of the page.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Sets how visitors reach the operator.
    #[must_use]
    pub fn contact(mut self, contact: impl Into<String>) -> Self {
        self.contact = Some(contact.into());
        self
    }

    /// Sets where visitors read how it goes.
    #[must_use]
    pub fn status_url(mut self, status_url: impl Into<String>) -> Self {
        self.status_url = Some(status_url.into());
        self
    }

    /// Sets the language for visitors who ask for none that the page speaks: a BCP 47 tag in
    /// lower case.
    #[must_use]
    pub fn language(mut self, language: impl Into<String>) -> Self {
        self.language = Some(language.into());
        self
    }

    /// Whether everything is left at its default.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Returns these settings, with those of the site for what is left out. `extra` is
    /// empty.
    #[must_use]
    pub fn over(&self, site: &Self) -> Self {
        Self {
            status: self.status.or(site.status),
            retry_after: self.retry_after.or(site.retry_after),
            template: self.template.clone().or_else(|| site.template.clone()),
            redirect: self.redirect.clone().or_else(|| site.redirect.clone()),
            format: self.format.or(site.format),
            title: self.title.clone().or_else(|| site.title.clone()),
            contact: self.contact.clone().or_else(|| site.contact.clone()),
            status_url: self.status_url.clone().or_else(|| site.status_url.clone()),
            language: self.language.clone().or_else(|| site.language.clone()),
            extra: Map::new(),
        }
    }

    /// Checks each setting on its own.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] names the first that is not acceptable.
    pub fn validate(&self) -> Result<()> {
        if let Some(status) = self.status {
            validate_status(status)?;
        }
        if let Some(seconds) = self.retry_after {
            validate_retry_after(seconds)?;
        }
        if let Some(name) = &self.template {
            validate_template_name(name)?;
        }
        if let Some(url) = &self.redirect {
            validate_redirect(url)?;
        }
        if let Some(title) = &self.title {
            validate_title(title)?;
        }
        if let Some(contact) = &self.contact {
            contact::link(contact)?;
        }
        if let Some(url) = &self.status_url {
            validate_url(url)?;
        }
        if let Some(language) = &self.language {
            validate_language(language)?;
        }
        Ok(())
    }
}

/// Accepts 200, and 400 to 599. Other statuses have no body, or redirect, which is what
/// `redirect` is for.
pub fn validate_status(status: u16) -> Result<()> {
    if status == 200 || (400..=599).contains(&status) {
        Ok(())
    } else {
        Err(Error::invalid_with(
            format!("`{status}` cannot be the status of the page"),
            "use 503 or another from 400 to 599; with 200, caches keep the page",
        ))
    }
}

/// Accepts one second to one week.
pub fn validate_retry_after(seconds: u32) -> Result<()> {
    if (1..=MAX_RETRY_AFTER).contains(&seconds) {
        Ok(())
    } else {
        Err(Error::invalid("the retry-after must be from one second to one week"))
    }
}

/// Accepts `https://host/…`, `http://host/…` and `/path`, in printable ASCII.
///
/// # Errors
///
/// [`Error::Invalid`] for everything a browser might read as another host
/// (`//evil`, `/\evil`, `https:evil`, user names) and for other schemes.
pub fn validate_redirect(url: &str) -> Result<()> {
    if let Some(path) = url.strip_prefix('/') {
        refuse_odd(url).and(if path.starts_with('/') {
            Err("`//` names another host")
        } else {
            Ok(())
        })
    } else {
        check_url(url)
    }
    .map_err(|why| {
        Error::invalid_with(
            format!("`{}` cannot be redirected to: {why}", url.escape_debug()),
            "write `https://status.example.com/` or a path like `/sorry`",
        )
    })
}

/// Accepts one line of text.
pub(crate) fn validate_title(title: &str) -> Result<()> {
    validate_text("the title", title, MAX_TITLE)?;
    if title.trim().is_empty() || title.contains(['\n', '\t']) {
        return Err(Error::invalid("the title must be one line, and not empty"));
    }
    Ok(())
}

/// Accepts `[A-Za-z0-9_-]{1,64}`.
pub fn validate_template_name(name: &str) -> Result<()> {
    let fits = (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if fits {
        return Ok(());
    }
    Err(Error::invalid_with(
        format!("`{}` cannot be the name of a template", name.escape_debug()),
        "use up to 64 letters, digits, `_` and `-`, without the extension",
    ))
}

/// Splits the file name of a template: `503.html` is `503` as HTML.
pub(crate) fn parse_file_name(file_name: &str) -> Option<(&str, Format)> {
    let (name, extension) = file_name.rsplit_once('.')?;
    validate_template_name(name).ok()?;
    Some((name, extension.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_where_they_say() {
        for url in [
            "/sorry",
            "/",
            "https://status.example.com/",
            "http://h:8080/a?b#c",
            "https://[::1]:1/",
        ] {
            assert!(validate_redirect(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https:evil",
            "https:///x",
            "javascript:alert(1)",
            "https://good@evil.example/",
            "/a b",
            "/a\r\nSet-Cookie:x",
            "https://evil.example\\@good",
            "ftp://x/",
            "https://",
            "https://h:99999/",
            "https://h:+80/",
            "sorry",
        ] {
            assert!(validate_redirect(url).is_err(), "{url:?}");
        }
    }

    #[test]
    fn statuses_without_a_page_are_refused() {
        for status in [200, 404, 429, 503, 599] {
            assert!(validate_status(status).is_ok(), "{status}");
        }
        for status in [0, 100, 201, 204, 301, 302, 304, 399, 600] {
            assert!(validate_status(status).is_err(), "{status}");
        }
    }

    #[test]
    fn names_cannot_leave_the_directory() {
        for name in ["../x", "a/b", "/etc/passwd", "a\0b", "", "503.html", &"x".repeat(65)] {
            assert!(validate_template_name(name).is_err(), "{name:?}");
        }
        assert!(validate_template_name("503").is_ok());
    }
}
