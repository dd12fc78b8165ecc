//! Path patterns and paths: first the pattern, then the path of a request.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;

use super::first_line;
use crate::State;
use crate::gate::Plan;
use crate::request::RequestParts;
use crate::request::path::PathForms;
use crate::rules::path::PathPattern;
use crate::rules::{Kind, Rule};
use crate::state::window::{Scope, Window};

/// The longest regular expression to try. The engine has fuzzers of its own, and long
/// ones would leave no time for paths.
const LONGEST_REGEX: usize = 16;

/// Whether a rule of this pattern lets a path through.
pub type Grants = fn(&str, &[u8]) -> bool;

/// A rule lets through what its pattern names, segment by segment, and never an
/// ambiguous path; a scope covers that path and every disguise of it.
///
/// With `MAINT_PLANTED` set, a wrong implementation is tried instead, to show that a
/// fuzzer finds it.
///
/// # Panics
///
/// If that does not hold.
pub fn check(data: &[u8]) {
    static IS_PLANTED: LazyLock<bool> =
        LazyLock::new(|| std::env::var_os("MAINT_PLANTED").is_some());
    check_of(data, if *IS_PLANTED { planted } else { grants });
}

/// The bug of Laravel, nginx users and others: `/admin` matches `/administrator`.
pub(super) fn planted(pattern: &str, path: &[u8]) -> bool {
    let above = pattern.strip_suffix("/**").unwrap_or(pattern);
    PathForms::new(path).clear().is_some_and(|path| path.starts_with(above.as_bytes()))
}

pub(super) fn check_of(data: &[u8], grants: Grants) {
    let (pattern, path) = first_line(data);
    let forms = PathForms::new(path);
    if let Some(clear) = forms.clear() {
        check_clear(path, clear);
    }
    let Ok(pattern) = str::from_utf8(pattern) else { return };
    if pattern.strip_prefix("re:").is_some_and(|regex| regex.len() > LONGEST_REGEX) {
        return;
    }
    let Ok(parsed) = pattern.parse::<PathPattern>() else { return };
    if !matches!(parsed, PathPattern::Regex(_)) {
        assert_eq!(
            parsed.to_string().parse().ok(),
            Some(parsed.clone()),
            "a printed pattern reads back"
        );
    }
    assert!(!parsed.describe().is_empty());

    let is_granted = grants(pattern, path);
    let Some(clear) = forms.clear() else {
        assert!(!is_granted, "an ambiguous path");
        return;
    };
    let expected = match &parsed {
        PathPattern::Exact(one) => clear == one.as_bytes(),
        PathPattern::Subtree(above) => {
            clear == above.as_bytes() || clear.starts_with(format!("{above}/").as_bytes())
        }
        PathPattern::Glob(glob) => is_of_glob(glob, clear),
        // Another model of regular expressions would be another engine.
        PathPattern::Regex(_) => is_granted,
    };
    assert_eq!(is_granted, expected, "{pattern}");
    if is_granted {
        let disguised = disguised(path, data.len());
        assert!(covers(pattern, &disguised), "{} is outside", disguised.escape_ascii());
    }
}

/// A clear path, which everyone reads alike, holds nothing that someone could read
/// differently.
fn check_clear(path: &[u8], clear: &[u8]) {
    let text = str::from_utf8(clear).expect("a clear path is text");
    assert!(text.starts_with('/') && !text.contains("//"));
    assert!(!text.contains(|c: char| c.is_control() || matches!(c, '\\' | ';' | '%')));
    assert!(!text.split('/').any(|segment| segment == "." || segment == ".."));
    if !path.is_empty() && !path.contains(&b'%') && !path.contains(&b'?') {
        assert_eq!(clear, path, "there was nothing to decode");
    }
}

fn is_of_glob(glob: &str, path: &[u8]) -> bool {
    let (glob, is_subtree) = glob.strip_suffix("/**").map_or((glob, false), |glob| (glob, true));
    let mut segments = path.split(|&byte| byte == b'/');
    let begins = glob.split('/').all(|wanted| {
        let segment = segments.next();
        segment.is_some_and(|it| it == wanted.as_bytes() || wanted == "*" && !it.is_empty())
    });
    begins && (is_subtree || segments.next().is_none())
}

/// A spelling that some servers may read as the same path.
fn disguised(path: &[u8], which: usize) -> Vec<u8> {
    let path = path.split(|&byte| byte == b'?').next().unwrap_or_default();
    let path = if path.is_empty() { b"/" } else { path };
    match which % 6 {
        0 => [b"/.", path].concat(),
        1 => [b"/", path].concat(),
        2 => [b"/x/..", path].concat(),
        3 => [b"/%2e", path].concat(),
        4 => [path, b";x"].concat(),
        _ => [path, b"#x"].concat(),
    }
}

fn grants(pattern: &str, path: &[u8]) -> bool {
    let rule = Rule {
        kind: Kind::Path,
        value: pattern.to_owned(),
        note: None,
        expires_at: None,
        added_at: None,
        added_by: None,
        extra: serde_json::Map::new(),
    };
    let ignore = BTreeMap::from([("r1".to_owned(), rule)]);
    passes(Scope::default(), ignore, path)
}

fn covers(pattern: &str, path: &[u8]) -> bool {
    let scope = Scope { paths: vec![pattern.to_owned()], ..Scope::default() };
    !passes(scope, BTreeMap::new(), path)
}

/// Whether a request passes one open window.
fn passes(scope: Scope, ignore: BTreeMap<String, Rule>, path: &[u8]) -> bool {
    let window = Window { scope, ..Window::new(Timestamp::UNIX_EPOCH) };
    let windows = BTreeMap::from([("w".to_owned(), window)]);
    let state = State { windows, ignore, ..State::default() };
    let request = RequestParts { path: path.to_vec(), ..RequestParts::new("GET", "/") };
    Plan::new(&state).unwrap().decide(&request, Timestamp::UNIX_EPOCH).is_pass()
}
