//! What the doctor reports.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something does not work, or somebody can do what they should not.
    Problem,
    /// Something may go wrong, depending on what cannot be seen from here.
    Warning,
    /// Worth knowing.
    Note,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What it is, as a stable word.
    pub code: &'static str,
    /// What it is and where, in words.
    pub message: String,
    /// One thing to run or do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The file or directory concerned.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "lossy")]
    pub path: Option<PathBuf>,
}

/// serde refuses paths that are not UTF-8, and a report must not fail on one.
#[expect(clippy::ref_option, reason = "serde's signature")]
fn lossy<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}

impl Finding {
    pub(super) fn new(level: Level, code: &'static str, message: impl Into<String>) -> Self {
        Self { level, code, message: message.into(), fix: None, path: None }
    }

    pub(super) fn problem(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Level::Problem, code, message)
    }

    pub(super) fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Level::Warning, code, message)
    }

    pub(super) fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Level::Note, code, message)
    }

    pub(super) fn at(self, path: &Path) -> Self {
        Self { path: Some(path.to_owned()), ..self }
    }

    pub(super) fn fixed_by(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_not_utf_8_is_reported_all_the_same() {
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt as _;
            let path = Path::new(std::ffi::OsStr::from_bytes(b"/a\xff"));
            let finding = Finding::note("x", "y").at(path);
            let json = serde_json::to_value(finding).unwrap();
            assert_eq!(json["path"], "/a\u{fffd}");
            assert_eq!(json["level"], "note");
        }
    }
}
