//! The site's own templates: plain files `templates/NAME.html|json|txt` in Jinja.

use std::fmt;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::digest::sha256;
use crate::error::{Error, Result};
use crate::sys;

/// The largest template accepted, in bytes.
pub const LARGEST: usize = 256 * 1024;

/// What a template becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// A page for browsers.
    Html,
    /// An `application/problem+json` answer (RFC 9457) for API clients.
    Json,
    /// Plain text.
    Txt,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Html, Self::Json, Self::Txt];

    /// The file name extension, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Json => "json",
            Self::Txt => "txt",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.extension())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|format| format.extension() == text).ok_or_else(|| {
            Error::invalid(format!(
                "`{}` is not a format: write html, json or txt",
                text.escape_debug()
            ))
        })
    }
}

/// One template file of a site.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Template {
    /// The name that `--template` takes.
    pub name: String,
    /// What it becomes.
    pub format: Format,
    /// Where it is.
    pub path: PathBuf,
}

impl Template {
    /// Its name with the extension.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.{}", self.name, self.format)
    }
}

/// Accepts `[A-Za-z0-9_-]{1,64}`.
pub fn validate_name(name: &str) -> Result<()> {
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

/// The templates in a directory, sorted by name. Other files are passed over;
/// a missing directory has none.
pub fn list(directory: &Path) -> Result<Vec<Template>> {
    let names = match sys::names(directory) {
        Ok(names) => names,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::Unreadable { path: directory.to_owned(), source }),
    };
    let mut templates: Vec<Template> = names
        .into_iter()
        .filter_map(|file_name| {
            let (name, format) = parse_file_name(file_name.to_str()?)?;
            Some(Template { name: name.to_owned(), format, path: directory.join(&file_name) })
        })
        .collect();
    templates.sort();
    Ok(templates)
}

/// What the file of a template says by its name: `503.html` is `503` as HTML.
pub(crate) fn parse_file_name(file_name: &str) -> Option<(&str, Format)> {
    let (name, extension) = file_name.rsplit_once('.')?;
    validate_name(name).ok()?;
    Some((name, extension.parse().ok()?))
}

/// The files of one template, at least one.
///
/// # Errors
///
/// [`Error::Unknown`] if there is none of that name.
pub fn find(directory: &Path, name: &str) -> Result<Vec<Template>> {
    validate_name(name)?;
    let all = list(directory)?;
    let mut known: Vec<String> = all.iter().map(|template| template.name.clone()).collect();
    known.dedup();
    let found: Vec<Template> = all.into_iter().filter(|template| template.name == name).collect();
    if found.is_empty() {
        return Err(Error::Unknown { kind: "template", name: name.to_owned(), known });
    }
    Ok(found)
}

/// Reads a template, refusing links, special files and too much text.
pub fn read(path: &Path) -> Result<String> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    let corrupt = |reason: String| Error::Corrupt { path: path.to_owned(), reason };
    if fs::symlink_metadata(path).map_err(unreadable)?.is_symlink() {
        return Err(corrupt(
            "it is a symbolic link, and a template must lie in its directory".to_owned(),
        ));
    }
    let file = sys::open_read(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if let Some(kind) = sys::special_kind(&metadata) {
        return Err(corrupt(format!("it is {kind}")));
    }
    let mut text = Vec::new();
    file.take(LARGEST as u64 + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() > LARGEST {
        return Err(corrupt(format!("it is larger than {LARGEST} bytes")));
    }
    String::from_utf8(text).map_err(|_| corrupt("it is not UTF-8".to_owned()))
}

/// The digest under which the state remembers a template, so that readers
/// notice a change with the one file they watch.
#[must_use]
pub fn digest(text: &str) -> String {
    sha256(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_directory() {
        for name in ["../x", "a/b", "/etc/passwd", "a\0b", "", "503.html", &"x".repeat(65)] {
            assert!(validate_name(name).is_err(), "{name:?}");
        }
        assert!(validate_name("503").is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_the_directory_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("x.html");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(matches!(read(&link), Err(Error::Corrupt { .. })));
    }
}
