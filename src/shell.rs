//! Words as a POSIX shell reads them, and what of a command line may be recorded.

use std::borrow::Cow;
use std::path::Path;

use serde::{Deserialize as _, Deserializer};

/// Quotes a word for a shell, in single quotes where it needs them.
///
/// ```
/// assert_eq!(maint::internal::word("deploy-42"), "deploy-42");
/// assert_eq!(maint::internal::word("it's"), r"'it'\''s'");
/// ```
#[must_use]
pub fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Stands for what is left out.
const LEFT_OUT: &str = "…";

/// Joins the words of a command line of `maint` for the history, without secrets.
///
/// Of the command that `run` wraps only the program's base name stays: its arguments, and the
/// directories it lies in, are somebody else's. A bypass token, and the user and password in
/// a URL, are cut out of any word.
///
/// ```
/// use maint::internal::recorded;
///
/// let words = ["run", "-m", "Moving", "--", "/srv/app/migrate", "--password", "s3cret"];
/// assert_eq!(recorded(words), "run -m Moving -- migrate …");
/// assert_eq!(recorded(["on", "--redirect", "https://u:p@h/"]), "on --redirect https://…@h/");
/// ```
#[must_use]
pub fn recorded<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> String {
    let mut words = words.into_iter();
    let mut line = Vec::new();
    let mut is_run = false;
    while let Some(text) = words.next() {
        let text = text.as_ref();
        line.push(quoted(text));
        is_run |= text == "run";
        // The command stands behind the first `--` or a later one, never before it.
        if is_run && text == "--" {
            line.extend(words.next().map(|program| quoted(base_name(program.as_ref()))));
            line.extend(words.next().map(|_| LEFT_OUT.to_owned()));
            break;
        }
    }
    line.join(" ")
}

/// The name of a program without the directories it lies in.
#[must_use]
pub fn base_name(program: &str) -> &str {
    Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or(program)
}

/// Reads a command line that was recorded, by this version or by one that recorded the
/// arguments of wrapped commands too.
pub(crate) fn read_recorded<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let line = String::deserialize(from)?;
    // Only `run` wraps a command. Most lines need no closer look.
    if line.contains("run") && line.contains(" -- ") && !line.starts_with("python: ") {
        return Ok(recorded(split(&line)));
    }
    Ok(line)
}

/// The words of a line that [`word`] has quoted. A line that was cut short may end
/// within quotes.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        let last = words.len() - 1;
        match c {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            '\\' if !is_quoted => words[last].extend(characters.next()),
            c => words[last].push(c),
        }
    }
    words
}

/// A word without secrets, quoted where a shell needs it. What is left out needs no quotes.
fn quoted(text: &str) -> String {
    let bare = without_token(&without_user(text)).into_owned();
    if word(&bare.replace(LEFT_OUT, "")).starts_with('\'') { word(&bare) } else { bare }
}

/// `https://user:password@host` without the user and the password.
fn without_user(text: &str) -> Cow<'_, str> {
    let Some(begin) = text.find("://").map(|at| at + 3) else { return Cow::Borrowed(text) };
    let (before, rest) = text.split_at(begin);
    let is_end = |c: char| matches!(c, '/' | '?' | '#') || c.is_whitespace();
    let (authority, after) = rest.split_at(rest.find(is_end).unwrap_or(rest.len()));
    let after = without_user(after);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{before}{LEFT_OUT}@{host}{after}").into(),
        None => format!("{before}{authority}{after}").into(),
    }
}

/// `maint_` and hexadecimal digits, as a bypass token is, without the digits.
fn without_token(text: &str) -> Cow<'_, str> {
    const PREFIX: &str = "maint_";
    const DIGITS: usize = 16;
    let Some(begin) = text.find(PREFIX).map(|at| at + PREFIX.len()) else {
        return Cow::Borrowed(text);
    };
    let (before, rest) = text.split_at(begin);
    let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    let shown = if end < DIGITS { digits } else { LEFT_OUT };
    format!("{before}{shown}{}", without_token(after)).into()
}

#[cfg(test)]
mod tests {
    use super::{read_recorded, recorded, split, word};

    fn read(line: &str) -> String {
        read_recorded(serde_json::Value::from(line)).unwrap()
    }

    #[test]
    fn requirement_62_of_a_wrapped_command_only_the_name_is_recorded() {
        for (words, line) in [
            (&["run", "--", "/opt/s3cret/migrate"][..], "run -- migrate"),
            (&["run", "--", "mysql", "-ps3cret"], "run -- mysql …"),
            (
                &["--json", "--site", "a b", "run", "--", "x", "s3cret"],
                "--json --site 'a b' run -- x …",
            ),
            // Clap takes the second `--` for the separator here.
            (&["run", "-m", "--", "--", "x", "s3cret"], "run -m -- -- …"),
            (&["ignore", "add", "path", "--", "/run/x"], "ignore add path -- /run/x"),
            (&["run", "--"], "run --"),
        ] {
            assert_eq!(recorded(words), line);
            assert_eq!(read(line), line, "read again");
        }
    }

    #[test]
    fn requirement_62_what_an_older_version_recorded_is_not_shown() {
        for (old, line) in [
            ("run -m 'a -- b' -- /x/migrate --password s3cret", "run -m 'a -- b' -- migrate …"),
            (r"run -m 'it'\''s' -- 'a b' 's3", r"run -m 'it'\''s' -- 'a b' …"),
            ("on -m 'run -- s3cret'", "on -m 'run -- s3cret'"),
            ("python: run -- x", "python: run -- x"),
        ] {
            assert_eq!(read(old), line);
        }
    }

    #[test]
    fn requirement_62_tokens_and_passwords_in_urls_are_cut_out_of_any_word() {
        let token = format!("maint_{}", "0a".repeat(20));
        for (words, line) in [
            (["revoke", &*token], "revoke maint_…"),
            (["--note", &*format!("/?maint={token}&x")], "--note '/?maint=maint_…&x'"),
            (["--store=redis://u:p@h/0", "maint_app"], "--store=redis://…@h/0 maint_app"),
            (["-m", "see http://u:p@a and http://v@b"], "-m 'see http://…@a and http://…@b'"),
        ] {
            assert_eq!(recorded(words), line);
        }
    }

    #[test]
    fn words_are_split_as_they_were_quoted() {
        for words in [&["a", "it's", ""][..], &["a b", "'", "\\"], &["--", "…"]] {
            let line: Vec<String> = words.iter().map(|text| word(text)).collect();
            assert_eq!(split(&line.join(" ")), words);
        }
    }

    #[test]
    fn words_are_quoted_only_where_a_shell_needs_it() {
        for (text, quoted) in [
            ("on", "on"),
            ("/srv/app-1/.maint", "/srv/app-1/.maint"),
            ("Back at noon", "'Back at noon'"),
            ("/static/**", "'/static/**'"),
            ("o'clock; rm", r"'o'\''clock; rm'"),
            ("", "''"),
            ("$HOME", "'$HOME'"),
            ("~", "'~'"),
        ] {
            assert_eq!(word(text), quoted);
        }
    }
}
