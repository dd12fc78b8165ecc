//! What would go wrong with a site, and the mend.
//!
//! The examination only looks: it writes nothing, takes no lock, and works on a
//! site that is missing, unreadable or broken. Who may do what is judged from
//! mode bits and access lists rather than by trying, so that root finds the same
//! as everybody else.

mod content;
mod labels;
mod links;
mod permissions;
mod place;
mod records;
mod schedule;
mod templates;

use std::fs;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::load;
use crate::shell;
use crate::site::{Environment, Files, Found, Site};
use crate::state::State;
use crate::sys::{self, Ownership};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something does not work, or somebody can do what they should not.
    Problem,
    /// Something can go wrong, depending on what cannot be seen from here.
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
    pub mend: Option<String>,
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
    fn new(level: Level, code: &'static str, message: impl Into<String>) -> Self {
        Self { level, code, message: message.into(), mend: None, path: None }
    }

    fn problem(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Level::Problem, code, message)
    }

    fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Level::Warning, code, message)
    }

    fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Level::Note, code, message)
    }

    fn at(self, path: &Path) -> Self {
        Self { path: Some(path.to_owned()), ..self }
    }

    fn fixed_by(self, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..self }
    }
}

/// The site under examination, with what several checks need of it.
struct Patient<'a> {
    site: &'a Site,
    around: &'a Environment,
    named_user: Option<&'a str>,
    now: Timestamp,
    /// Absent if the state file is behind a loop of links.
    files: Option<Files>,
    /// Absent if there is none, or `trouble` says why.
    state: Option<State>,
    trouble: Option<Error>,
}

/// A check looks at one trap and adds what it finds.
type Check = fn(&Patient<'_>, &mut Vec<Finding>);

/// Every check.
const CHECKS: &[Check] = &[
    place::directory,
    place::file_system,
    place::room,
    place::temporary_directory,
    place::user_directory,
    place::release_directory,
    place::public_directory,
    place::variable,
    place::other_sites,
    links::target,
    links::planted,
    links::mount_point,
    links::names,
    permissions::writable,
    permissions::replaceable,
    permissions::sticky,
    permissions::special_bits,
    permissions::readers,
    permissions::writers,
    permissions::caller,
    permissions::lock,
    labels::access_lists,
    labels::security_labels,
    content::state,
    content::version,
    content::backup,
    content::clock,
    content::unknown_parts,
    records::history,
    content::leftovers,
    templates::in_use,
    templates::mistakes,
    templates::edited,
    templates::passed_over,
    schedule::ended,
    schedule::endless,
    schedule::expired,
    schedule::status,
    schedule::redirects,
    schedule::open_rules,
];

/// Examines a site: all traps that can be told from here, the worst first.
///
/// `web_user` is the user that the web server runs as; without it the one that
/// the state names counts, and without either everybody.
#[must_use]
pub fn examine(
    site: &Site,
    surroundings: &Environment,
    web_user: Option<&str>,
    now: Timestamp,
) -> Vec<Finding> {
    let (files, loaded) = match site.files() {
        Ok(files) => {
            let loaded = load::load(&files.state);
            (Some(files), loaded)
        }
        Err(error) => (None, Err(error)),
    };
    let (state, trouble) = match loaded {
        Ok(loaded) => (loaded.map(|loaded| loaded.state), None),
        Err(error) => (None, Some(error)),
    };
    let patient =
        Patient { site, around: surroundings, named_user: web_user, now, files, state, trouble };
    let mut findings = Vec::new();
    for check in CHECKS {
        check(&patient, &mut findings);
    }
    findings.sort_by_key(|finding| finding.level);
    findings
}

impl Patient<'_> {
    fn web_user(&self) -> Option<&str> {
        self.named_user.or_else(|| self.state.as_ref()?.web_user.as_deref())
    }

    /// The directories that hold the site: its own, those of links on the way to
    /// the state, and the one the state is really in.
    fn directories(&self) -> Vec<PathBuf> {
        let mut directories = vec![self.site.dir().to_owned()];
        if let Some(files) = &self.files {
            let parents = files.links.iter().filter_map(|link| link.parent());
            for directory in parents.chain([files.directory()]) {
                if !directories.iter().any(|known| same(known, directory)) {
                    directories.push(directory.to_owned());
                }
            }
        }
        directories
    }

    /// A command to run, on this very site.
    fn maint(&self, arguments: &str) -> String {
        match self.site.found() {
            Found::Given => format!("`maint --site {} {arguments}`", word(self.site.dir())),
            _ => format!("`maint {arguments}`"),
        }
    }
}

fn same(one: &Path, other: &Path) -> bool {
    one == other
        || fs::canonicalize(one).is_ok_and(|one| fs::canonicalize(other).is_ok_and(|o| o == one))
}

/// Whose a file is and who may do what with it, behind links.
fn ownership(path: &Path) -> Option<Ownership> {
    fs::metadata(path).ok().map(|metadata| sys::ownership(&metadata))
}

/// A path in a sentence.
fn tick(path: &Path) -> String {
    format!("`{}`", path.display())
}

/// A path in a command, which must not be taken for an option either.
fn word(path: &Path) -> String {
    match shell::word(&path.to_string_lossy()) {
        text if text.starts_with('-') => format!("./{text}"),
        text => text,
    }
}

/// A few names in a sentence, however many there are.
fn names<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    const SHOWN: usize = 3;
    let all: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match all.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] if all.len() <= SHOWN => format!("{} and {last}", first.join(", ")),
        _ => format!("{} and {} more", all[..SHOWN].join(", "), all.len() - SHOWN),
    }
}

/// A time in a sentence, to the second.
fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A length of time in a sentence, as coarse as people would say it.
fn spell(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let (number, unit) = match seconds {
        ..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_no_option() {
        assert_eq!(word(Path::new("-x")), "./-x");
        assert_eq!(word(Path::new("/srv/my app")), "'/srv/my app'");
    }

    #[test]
    fn many_names_become_a_few() {
        assert_eq!(names([]), "");
        assert_eq!(names(["a"]), "`a`");
        assert_eq!(names(["a", "b"]), "`a` and `b`");
        assert_eq!(names(["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(names(["a", "b", "c", "d", "e"]), "`a`, `b`, `c` and 2 more");
    }

    #[test]
    fn lengths_of_time_are_as_coarse_as_people_say_them() {
        for (seconds, text) in
            [(61, "61 seconds"), (120, "2 minutes"), (90_000, "25 hours"), (172_800, "2 days")]
        {
            assert_eq!(spell(SignedDuration::from_secs(seconds)), text);
        }
    }

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
