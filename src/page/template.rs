//! The site's own templates: plain files `templates/NAME.html|json|txt` in Jinja.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::digest::sha256;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::state::page::{parse_file_name, validate_template_name};
use crate::sys;

/// The largest template accepted, in bytes.
pub const MAX_SIZE: usize = 256 * 1024;

/// One template file of a site.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Template {
    /// The name, without the extension.
    pub name: String,
    /// The format of the page that it makes.
    pub format: Format,
    /// Where the file is.
    pub path: PathBuf,
}

impl Template {
    /// The name with the extension.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.{}", self.name, self.format)
    }
}

/// Lists the templates in a directory, sorted by name. Other files are skipped; a
/// missing directory has none.
///
/// # Errors
///
/// [`Error::Unreadable`] if the directory cannot be read.
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

/// Finds the files of one template, one for each format that it has.
///
/// # Errors
///
/// [`Error::Unknown`] if there is none of that name.
pub fn find(directory: &Path, name: &str) -> Result<Vec<Template>> {
    validate_template_name(name)?;
    let all = list(directory)?;
    let mut known: Vec<String> = all.iter().map(|template| template.name.clone()).collect();
    known.dedup();
    let found: Vec<Template> = all.into_iter().filter(|template| template.name == name).collect();
    if found.is_empty() {
        return Err(Error::Unknown { kind: "template", name: name.to_owned(), known });
    }
    Ok(found)
}

/// Reads a template.
///
/// # Errors
///
/// [`Error::Corrupt`] for a symbolic link, a special file, more than [`MAX_SIZE`] bytes
/// and text that is not UTF-8; [`Error::Unreadable`] if it cannot be read.
pub fn read(path: &Path) -> Result<String> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    let corrupt = |reason: String| Error::Corrupt { path: path.to_owned(), reason };
    if fs::symlink_metadata(path).map_err(unreadable)?.is_symlink() {
        return Err(corrupt(
            "it is a symbolic link; a template must be a file in its directory".to_owned(),
        ));
    }
    let file = sys::open_read(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if let Some(kind) = sys::special_kind(&metadata) {
        return Err(corrupt(format!("it is {kind}")));
    }
    let mut text = Vec::new();
    file.take(MAX_SIZE as u64 + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() > MAX_SIZE {
        return Err(corrupt(format!("it is larger than {MAX_SIZE} bytes")));
    }
    String::from_utf8(text).map_err(|_| corrupt("it is not UTF-8".to_owned()))
}

/// The digest of a template in the state, so that readers notice a change by watching
/// the state file alone.
#[must_use]
pub fn digest(text: &str) -> String {
    sha256(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_the_directory_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("x.html");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(matches!(read(&link), Err(Error::Corrupt { .. })));
    }
}
