//! Path patterns, anchored by construction.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::request::path::is_plain;

/// The longest pattern accepted, in bytes.
const MAX_LENGTH: usize = 2048;

/// The largest regular expression accepted, compiled, in bytes.
const REGEX_SIZE: usize = 256 * 1024;

/// A pattern of at most 2048 bytes over the percent-decoded path of a request. Case
/// matters.
///
/// ```
/// use maint::rules::PathPattern;
///
/// let pattern: PathPattern = "/static/**".parse()?;
/// assert_eq!(pattern, PathPattern::Subtree("/static".into()));
/// # Ok::<(), maint::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathPattern {
    /// `/health`: that path and no other.
    Exact(String),
    /// `/static/**`: the path before the stars and everything below it.
    Subtree(String),
    /// `/api/*/status`: each `*` stands for one segment. A final `**` stands for
    /// the path before it and everything below.
    Glob(String),
    /// `re:/v[0-9]+/.*`: a regular expression over bytes, without Unicode
    /// classes, that has to match the whole path.
    Regex(String),
}

impl PathPattern {
    /// Whether every path, or every path but the root, matches.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        match self {
            Self::Exact(_) => false,
            Self::Subtree(below) => below.is_empty(),
            Self::Glob(glob) => {
                glob.ends_with("/**")
                    && glob[1..].split('/').all(|segment| segment.starts_with('*'))
            }
            // What a regular expression matches cannot be listed, but one that matches
            // all of these was not written to pick out a path.
            Self::Regex(pattern) => compile(pattern).is_ok_and(|regex| {
                ["/a", "/x9/q", "/Admin/7/edit.php", "/~-_/\u{e9}/0"]
                    .iter()
                    .all(|probe| regex.is_match(probe.as_bytes()))
            }),
        }
    }

    /// What is odd about a pattern: a placeholder of a router, `{id}` or `:id`, stands for
    /// itself. A path can hold it, so it is no error.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        let (Self::Exact(text) | Self::Subtree(text) | Self::Glob(text)) = self else {
            return None;
        };
        let is_placeholder = |segment: &&str| {
            let is_braced = segment.contains('{') && segment.contains('}');
            is_braced || segment.starts_with(':') && segment.len() > 1
        };
        let segment = text.split('/').find(is_placeholder)?;
        Some(format!("`{segment}` stands for itself in `{self}`; write `*` for any one segment"))
    }

    /// Whether every path that the other matches is matched by this as well. False where
    /// that cannot be told.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        // The segments that each path of a pattern begins with.
        let begins = |pattern: &Self| match pattern {
            Self::Exact(path) | Self::Subtree(path) => path.clone(),
            Self::Glob(glob) => glob.split("/*").next().unwrap_or_default().to_owned(),
            Self::Regex(_) => String::new(),
        };
        match (self, other) {
            _ if self == other || matches!(self, Self::Subtree(below) if below.is_empty()) => true,
            (Self::Subtree(_), Self::Regex(_)) => false,
            (Self::Subtree(below), _) => begins(other)
                .strip_prefix(below.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            (Self::Regex(pattern), Self::Exact(path)) => {
                compile(pattern).is_ok_and(|regex| regex.is_match(path.as_bytes()))
            }
            _ => false,
        }
    }

    /// Describes what matches, with a near miss where people expect a match.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Exact(path) if path == "/" => {
                "the path `/` alone, and nothing below it".to_owned()
            }
            Self::Exact(path) => {
                format!("the path `{path}` alone: neither `{path}/` nor `{path}x`")
            }
            Self::Subtree(below) if below.is_empty() => "every path".to_owned(),
            Self::Subtree(below) => {
                format!("`{below}` and everything below it, but not `{below}x`")
            }
            Self::Glob(glob) => {
                let example = glob.replace("/**", "/a/b").replace('*', "any");
                format!("paths like `{example}`, where each `*` is one segment")
            }
            Self::Regex(pattern) => {
                format!("paths that match `{pattern}` from the first character to the last")
            }
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) | Self::Glob(path) => f.write_str(path),
            Self::Subtree(below) => write!(f, "{below}/**"),
            Self::Regex(pattern) => write!(f, "re:{pattern}"),
        }
    }
}

impl FromStr for PathPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |why: &str, hint: &str| {
            let message = format!("`{}` is not a path pattern: {why}", text.escape_debug());
            if hint.is_empty() {
                Error::invalid(message)
            } else {
                Error::invalid_with(message, hint)
            }
        };
        if text.len() > MAX_LENGTH {
            return Err(Error::invalid(format!(
                "a path pattern has at most {MAX_LENGTH} bytes; this one has {}",
                text.len()
            )));
        }
        // Most patterns need no closer look.
        let above = text.strip_suffix("/**").filter(|above| !above.ends_with('/'));
        let path = above.unwrap_or(text);
        if is_plain(path.as_bytes()) && !path.contains(['*', '#']) {
            let path = path.to_owned();
            return Ok(if above.is_some() { Self::Subtree(path) } else { Self::Exact(path) });
        }
        if text.chars().any(char::is_control) {
            return Err(bad("it contains a control character", ""));
        }
        if let Some(pattern) = text.strip_prefix("re:") {
            compile(pattern).map_err(|why| bad(&why, ""))?;
            return Ok(Self::Regex(pattern.to_owned()));
        }
        if text == "*" || text == "**" {
            return Err(bad("it does not start with `/`", "write `/**` for every path"));
        }
        if !text.starts_with('/') {
            return Err(bad(
                "it does not start with `/`",
                "regular expressions take the prefix `re:`",
            ));
        }
        if text.contains(['?', '#']) {
            return Err(bad("patterns see the path only, not the query", ""));
        }
        if text.contains('%') {
            return Err(bad(
                "patterns see the decoded path",
                "write the character itself, not its percent-encoding",
            ));
        }
        if text.contains(['\\', ';']) {
            return Err(bad("paths with `\\` or `;` are ambiguous and never match", ""));
        }
        if text == "/" {
            return Ok(Self::Exact(text.to_owned()));
        }
        let segments: Vec<&str> = text[1..].split('/').collect();
        let last = segments.len() - 1;
        for (position, segment) in segments.iter().enumerate() {
            match *segment {
                "" if position < last => return Err(bad("it contains `//`", "")),
                "." | ".." => return Err(bad("dot segments never match", "")),
                "**" if position < last => {
                    return Err(bad(
                        "`**` can only be the last segment",
                        "`*` stands for one segment",
                    ));
                }
                "*" | "**" => {}
                other if other.contains('*') => {
                    return Err(bad(
                        "`*` stands for one whole segment",
                        "for part of a segment write a regular expression: `re:/v[0-9]+`",
                    ));
                }
                _ => {}
            }
        }
        if let Some(below) = text.strip_suffix("/**")
            && !below.contains('*')
        {
            return Ok(Self::Subtree(below.to_owned()));
        }
        Ok(if text.contains('*') {
            Self::Glob(text.to_owned())
        } else {
            Self::Exact(text.to_owned())
        })
    }
}

/// Compiles a regular expression anchored at both ends, or says why it cannot.
fn compile(pattern: &str) -> std::result::Result<regex::bytes::Regex, String> {
    if pattern.is_empty() {
        return Err("the regular expression is empty".to_owned());
    }
    let build = |text: &str| {
        regex::bytes::RegexBuilder::new(text)
            .unicode(false)
            .size_limit(REGEX_SIZE)
            .dfa_size_limit(REGEX_SIZE)
            .build()
            .map_err(|cause| match cause {
                regex::Error::CompiledTooBig(_) => "the regular expression is too large".to_owned(),
                other => {
                    let text = other.to_string();
                    let last = text.lines().last().unwrap_or_default();
                    last.trim_start_matches("error: ").to_owned()
                }
            })
    };
    // Compile it alone first: `a)|(?:b` is valid only within the anchors, and escapes them.
    build(pattern)?;
    build(&format!(r"\A(?:{pattern})\z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_told_apart() {
        let parse = |text: &str| text.parse::<PathPattern>().unwrap();
        assert_eq!(parse("/"), PathPattern::Exact("/".into()));
        assert_eq!(parse("/health"), PathPattern::Exact("/health".into()));
        assert_eq!(parse("/health/"), PathPattern::Exact("/health/".into()));
        assert_eq!(parse("/static/**"), PathPattern::Subtree("/static".into()));
        assert_eq!(parse("/**"), PathPattern::Subtree(String::new()));
        assert_eq!(parse("/api/*/status"), PathPattern::Glob("/api/*/status".into()));
        assert_eq!(parse("/api/*/**"), PathPattern::Glob("/api/*/**".into()));
        assert_eq!(parse("/caf\u{e9}"), PathPattern::Exact("/caf\u{e9}".into()));
        assert_eq!(parse("re:/v[0-9]+"), PathPattern::Regex("/v[0-9]+".into()));
    }

    #[test]
    fn a_regular_expression_cannot_escape_its_anchors() {
        for text in ["re:/a)|(?:.*", "re:/a)|(.*", "re:(?x)/a # "] {
            assert!(text.parse::<PathPattern>().is_err(), "{text}");
        }
        assert!(compile("/a|/b").unwrap().is_match(b"/b"));
        assert!(!compile("/a|/b").unwrap().is_match(b"/bc"));
    }

    #[test]
    fn a_regular_expression_is_bounded_in_size() {
        let error = "re:(?:a{1000}){1000}".parse::<PathPattern>().unwrap_err();
        assert!(error.to_string().contains("too large"), "{error}");
    }
}
