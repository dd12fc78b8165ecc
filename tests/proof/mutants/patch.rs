//! A planted fault: what it is in words, the tests that must kill it, and the patch.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A test of cargo: `lib lock::tests::NAME`, `store sequence::NAME`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TestName {
    pub(crate) target: String,
    pub(crate) name: String,
}

impl fmt::Display for TestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of `{}`", self.name, self.target)
    }
}

/// A planted fault.
pub(crate) struct Patch {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// What is planted, in words.
    pub(crate) planted: String,
    /// At least one of them must fail.
    pub(crate) killers: Vec<TestName>,
}

impl Patch {
    /// Every patch of a directory, by name.
    pub(crate) fn all(directory: &Path) -> Result<Vec<Self>, String> {
        let entries = fs::read_dir(directory).map_err(|cause| cause.to_string())?;
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "patch"))
            .collect();
        paths.sort();
        if paths.len() < 12 {
            return Err(format!("{} patches in {}", paths.len(), directory.display()));
        }
        paths.into_iter().map(Self::read).collect()
    }

    fn read(path: PathBuf) -> Result<Self, String> {
        let text = fs::read_to_string(&path).map_err(|cause| cause.to_string())?;
        let head = || text.lines().take_while(|line| !line.starts_with("--- "));
        let planted = head().find_map(|line| line.strip_prefix("Planted: "));
        let killers: Vec<TestName> = head()
            .filter_map(|line| line.strip_prefix("Killed-by: ")?.split_once(' '))
            .map(|(target, name)| TestName { target: target.to_owned(), name: name.to_owned() })
            .collect();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match planted {
            Some(planted) if !killers.is_empty() => {
                Ok(Self { name, planted: planted.to_owned(), killers, path })
            }
            _ => {
                Err(format!("{name}.patch does not say `Planted: …` and `Killed-by: TARGET TEST`"))
            }
        }
    }
}
