//! Paths, names and times in the sentences of a finding.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use crate::shell;

/// A path in a sentence.
pub(super) fn tick(path: &Path) -> String {
    format!("`{}`", path.display())
}

/// A path in a command, quoted and never taken for an option.
pub(super) fn word(path: &Path) -> String {
    match shell::word(&path.to_string_lossy()) {
        text if text.starts_with('-') => format!("./{text}"),
        text => text,
    }
}

/// Up to three names in a sentence, and how many more there are.
pub(super) fn names<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
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
pub(super) fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A length of time in a sentence, as coarse as people would say it.
pub(super) fn spell(duration: SignedDuration) -> String {
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
}
