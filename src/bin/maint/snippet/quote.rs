//! Paths as each software can express them.

use std::path::Path;

use maint::Error;

use crate::args::Software;

/// The path for the place that the text of this software has for it.
///
/// # Errors
///
/// It has a character that cannot stand there as itself, or is not UTF-8.
pub(super) fn quoted(software: Software, path: &Path) -> Result<String, Error> {
    let shown = path.display();
    let text =
        path.to_str().ok_or_else(|| refused(software, &format!("`{shown}` is not UTF-8")))?;
    let is_refused = |c: char| c.is_control() || is_special(software, c);
    if let Some(c) = text.chars().find(|c| is_refused(*c)) {
        let name = if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
        return Err(refused(software, &format!("`{shown}` has a `{name}`")));
    }
    if software == Software::Systemd && text.ends_with(' ') {
        return Err(refused(software, &format!("`{shown}` ends with a space")));
    }
    Ok(text.chars().map(|c| escaped(software, c)).collect())
}

/// A word of a sample expression of `HAProxy`, where commas and brackets have a meaning.
///
/// # Errors
///
/// It has a character that cannot stand there.
pub(super) fn word(text: &str) -> Result<String, Error> {
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "/._-:".contains(*c))) {
        None => Ok(text.to_owned()),
        Some(c) => Err(refused(Software::Haproxy, &format!("`{text}` has a `{c}`"))),
    }
}

/// The path of a socket, which has to begin at the root.
///
/// # Errors
///
/// It has a character that means something to one of those who ask.
pub(super) fn socket(software: Software, path: &str) -> Result<&str, Error> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if path.starts_with('/') && path.chars().all(is_plain) {
        return Ok(path);
    }
    Err(Error::invalid_with(
        format!("`{path}` is no place for a socket that {} asks", software.name()),
        "take a path that begins with `/`, of letters, digits, `.`, `-` and `_`",
    ))
}

fn refused(software: Software, what: &str) -> Error {
    Error::invalid_with(
        format!("{what}, which the configuration of {} cannot express", software.name()),
        "declare a flag at a path of letters, digits, `.`, `-` and `_`",
    )
}

/// Whether a character means something else there, and nothing takes that from it.
fn is_special(software: Software, c: char) -> bool {
    match software {
        // `$` begins a variable.
        Software::Nginx | Software::Traefik => c == '$',
        // In `<If>`, in the pattern of `<Directory>` and in the result of a `RewriteRule`.
        Software::Apache => !(c.is_alphanumeric() || "/._-+,=@~: ".contains(c)),
        // `{` begins a placeholder, and the `file` matcher expands patterns.
        Software::Caddy => "{}*?[]\\\"`".contains(c),
        // A string ends at the quote and knows no escape.
        Software::Varnish => c == '"',
        Software::Systemd => c == '\\',
        Software::Haproxy | Software::Lighttpd | Software::Kubernetes | Software::Envoy => false,
    }
}

fn escaped(software: Software, c: char) -> String {
    let is_escaped = match software {
        Software::Nginx
        | Software::Traefik
        | Software::Haproxy
        | Software::Lighttpd
        | Software::Kubernetes => matches!(c, '"' | '\\'),
        Software::Systemd if c == '%' => return "%%".to_owned(),
        Software::Apache
        | Software::Caddy
        | Software::Varnish
        | Software::Systemd
        | Software::Envoy => false,
    };
    if is_escaped { format!("\\{c}") } else { c.to_string() }
}
