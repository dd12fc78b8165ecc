//! `wordpress`: `.maintenance`, which WordPress runs as PHP with each request.
//!
//! WordPress' own bytes, `<?php $upgrading = 1795000000;`, expire after ten minutes, and with
//! PHP's opcache the bytes of the first time count. So the bytes here never change, and read
//! what is to be said from a file beside the state.

use std::fs;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use jiff::Timestamp;
use serde::Serialize;

use super::php::{self, Answer};
use crate::error::{Error, Result};
use crate::flags::definition::{Definition, Drive, Order};
use crate::flags::fact::Fact;
use crate::flags::flag::Kind;
use crate::flags::notice::Notice;
use crate::flags::piece::Piece;
use crate::request::path::is_plain;
use crate::rules::{Matcher, PathPattern};
use crate::site::Site;
use crate::state::BypassToken;

pub(crate) static DEFINITION: Definition = Definition {
    kind: Kind::Wordpress,
    path: "the folder of WordPress, with `wp-load.php`",
    on: "`.maintenance`, whose bytes never change, and its data beside the state",
    carries: &[
        Fact::End,
        Fact::Page,
        Fact::RetryAfter,
        Fact::Status,
        Fact::Format,
        Fact::Addresses,
        Fact::Networks,
        Fact::Paths,
        Fact::Tokens,
    ],
    drive: Drive::Files { check, pieces, is_blank: |_| false },
};

/// The program without the path of its data.
const PROGRAM: &str = include_str!("php/wordpress.php");

/// What stands in the program for the path of the data, quotes and all.
const PLACE: &str = "'@DATA@'";

/// What the program reads.
#[derive(Debug, Serialize)]
struct Data {
    version: u32,
    /// When the site opens by itself, in microseconds since 1970.
    end: Option<i64>,
    networks: Vec<Network>,
    /// Whoever connects from there speaks for somebody else.
    proxies: Vec<Network>,
    paths: Vec<PathRule>,
    tokens: Vec<Token>,
    #[serde(flatten)]
    answer: Answer,
}

#[derive(Debug, Serialize)]
struct Network {
    address: String,
    prefix: u8,
    expires_at: Option<i64>,
}

#[derive(Debug, Serialize)]
struct PathRule {
    #[serde(flatten)]
    form: PathForm,
    expires_at: Option<i64>,
}

/// How the program compares a path.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum PathForm {
    /// With the whole path.
    Exact(String),
    /// With the path or one above it.
    Below(String),
    /// By a regular expression of PCRE, which has to match the whole path.
    Pcre(String),
}

#[derive(Debug, Serialize)]
struct Token {
    sha256: String,
    expires_at: Option<i64>,
}

impl Network {
    fn new(network: IpNet, expires_at: Option<Timestamp>) -> Self {
        Self {
            address: network.addr().to_string(),
            prefix: network.prefix_len(),
            expires_at: expires_at.map(php::time),
        }
    }
}

/// Refuses a folder that is not that of WordPress.
fn check(path: &Path) -> Result<()> {
    if path.join("wp-load.php").is_file() {
        return Ok(());
    }
    Err(Error::Refused {
        path: path.to_owned(),
        reason: "there is no `wp-load.php` in it".to_owned(),
        hint: Some("name the folder that WordPress itself is in".to_owned()),
    })
}

/// The data comes first and goes last: a program that finds none takes the site for down.
fn pieces(order: &Order<'_>) -> Result<Vec<Piece>> {
    let flag = order.flag.place()?.join(".maintenance");
    let data = data_file(order.site, order.id)?;
    let mut bytes = None;
    if let Some(notice) = order.notice {
        let json = serde_json::to_vec(&Data::of(notice));
        bytes = Some(json.map_err(|cause| Error::invalid(cause.to_string()))?);
    }
    let program = order.notice.map(|_| program(&data));
    Ok(vec![Piece::there(data, bytes).with_directory(), Piece::there(flag, program)])
}

/// Where the data of a flag is, behind all links, so that the program is the same however the
/// site was named.
fn data_file(site: &Site, id: &str) -> Result<PathBuf> {
    let real = fs::canonicalize(site.dir());
    let real = real.map_err(|source| Error::io("find", site.dir(), source))?;
    Ok(Site::at(real).flags().join(format!("{id}.json")))
}

impl Data {
    fn of(notice: &Notice<'_>) -> Self {
        let mut networks = Vec::new();
        let mut paths = Vec::new();
        for (matcher, expires_at) in notice.rules() {
            match matcher {
                Matcher::Ip(network) => networks.push(Network::new(network, expires_at)),
                Matcher::Path(pattern) => paths.extend(
                    form(&pattern)
                        .map(|form| PathRule { form, expires_at: expires_at.map(php::time) }),
                ),
                _ => {}
            }
        }
        let token = |token: &BypassToken| Token {
            sha256: token.sha256.clone(),
            expires_at: token.expires_at.map(php::time),
        };
        Self {
            version: php::VERSION,
            end: notice.end().map(php::time),
            networks,
            proxies: notice.proxies().iter().map(|proxy| Network::new(*proxy, None)).collect(),
            paths,
            tokens: notice.tokens().map(token).collect(),
            answer: Answer::of(notice),
        }
    }
}

/// The bytes of `.maintenance`.
fn program(data: &Path) -> Vec<u8> {
    let program = php::program(PROGRAM);
    let (before, after) = program.split_once(PLACE).unwrap_or((&program, ""));
    [before.as_bytes(), &php::quoted(data), after.as_bytes()].concat()
}

/// Whether the program can compare paths with a pattern.
pub(super) fn carries(pattern: &PathPattern) -> bool {
    form(pattern).is_some()
}

/// How the program compares paths with a pattern; `None` if it cannot, so that the pattern
/// lets nobody through. It matches plain paths alone.
fn form(pattern: &PathPattern) -> Option<PathForm> {
    match pattern {
        PathPattern::Exact(path) => {
            is_plain(path.as_bytes()).then(|| PathForm::Exact(path.clone()))
        }
        PathPattern::Subtree(below) => {
            (below.is_empty() || is_plain(below.as_bytes())).then(|| PathForm::Below(below.clone()))
        }
        PathPattern::Glob(glob) => {
            is_plain(glob.as_bytes()).then(|| PathForm::Pcre(glob_as_pcre(glob)))
        }
        PathPattern::Regex(pattern) => {
            is_common(pattern.as_bytes()).then(|| PathForm::Pcre(pattern.clone()))
        }
    }
}

fn glob_as_pcre(glob: &str) -> String {
    let mut text = String::new();
    for segment in glob[1..].split('/') {
        text.push_str(match segment {
            "*" => "/[^/]+",
            "**" => "(?:/.*)?",
            _ => "/",
        });
        if segment.starts_with('*') {
            continue;
        }
        for c in segment.chars() {
            if !c.is_ascii_alphanumeric() {
                text.push('\\');
            }
            text.push(c);
        }
    }
    text
}

/// Whether a regular expression means the same to PCRE as to the crate `regex`, and takes no
/// longer than it is long: literals, dots, classes of single characters and ranges, groups and
/// alternatives, with a repetition behind anything but a group.
fn is_common(pattern: &[u8]) -> bool {
    let is_literal = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-,:=@!&'\" ".contains(&byte);
    let mut rest = pattern;
    // What a repetition would repeat: nothing, one character, or a group.
    let mut before = b' ';
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        before = match byte {
            b'\\' => {
                let Some((escaped, tail)) = rest.split_first() else { return false };
                if !b".+*?()[]{}|^$-/".contains(escaped) {
                    return false;
                }
                rest = tail;
                b'c'
            }
            b'[' => {
                let Some(end) = rest.iter().position(|&byte| byte == b']') else { return false };
                let inside = rest[..end].strip_prefix(b"^").unwrap_or(&rest[..end]);
                let is_simple =
                    |&byte: &u8| byte.is_ascii_alphanumeric() || b"/_-.".contains(&byte);
                // `--` takes one class from another in `regex`.
                if inside.is_empty()
                    || !inside.iter().all(is_simple)
                    || inside.windows(2).any(|pair| pair == b"--")
                {
                    return false;
                }
                rest = &rest[end + 1..];
                b'c'
            }
            b'(' => {
                if rest.starts_with(b"?") {
                    let Some(inside) = rest.strip_prefix(b"?:") else { return false };
                    rest = inside;
                }
                b' '
            }
            b'|' => b' ',
            b')' => b'g',
            b'.' => b'c',
            b'?' if before != b' ' => b' ',
            b'*' | b'+' if before == b'c' => b' ',
            b'{' if before == b'c' => {
                let Some(end) = rest.iter().position(|&byte| byte == b'}') else { return false };
                let counts: Vec<&[u8]> = rest[..end].split(|&byte| byte == b',').collect();
                let is_count =
                    |text: &&[u8]| text.len() <= 3 && text.iter().all(u8::is_ascii_digit);
                if counts.len() > 2 || counts[0].is_empty() || !counts.iter().all(is_count) {
                    return false;
                }
                rest = &rest[end + 1..];
                b' '
            }
            byte if is_literal(byte) => b'c',
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pattern: &str) -> Option<PathForm> {
        form(&pattern.parse().unwrap())
    }

    #[test]
    fn patterns_of_plain_paths_are_carried() {
        let exact = |path: &str| Some(PathForm::Exact(path.to_owned()));
        let below = |path: &str| Some(PathForm::Below(path.to_owned()));
        let pcre = |text: &str| Some(PathForm::Pcre(text.to_owned()));
        for (pattern, expected) in [
            ("/", exact("/")),
            ("/health", exact("/health")),
            ("/a{b}(c)", exact("/a{b}(c)")),
            ("/caf\u{e9}", None),
            ("/a b", None),
            ("/static/**", below("/static")),
            ("/**", below("")),
            ("/api/*/status", pcre("/api/[^/]+/status")),
            ("/a.b/*/**", pcre(r"/a\.b/[^/]+(?:/.*)?")),
            ("/*/", pcre("/[^/]+/")),
            ("/a~b/*", pcre(r"/a\~b/[^/]+")),
        ] {
            assert_eq!(of(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn a_regular_expression_is_carried_if_it_means_the_same_to_pcre() {
        for pattern in [
            "/v[0-9]+(?:/.*)?",
            r"/index\.php/(en|de)/.*",
            "/[a-z0-9_-]{2,8}",
            "/[^/]+/status",
            "/a{2}b{1,}c?",
            "/((a|b)c)?",
        ] {
            let carried = of(&format!("re:{pattern}"));
            assert_eq!(carried, Some(PathForm::Pcre(pattern.to_owned())), "{pattern}");
        }
        // Some mean something else to PCRE, some could take it a very long time.
        for pattern in [
            "(?i)/a",
            "/a*?",
            "/a{2}{3}",
            "/(a+)+",
            "/(?:a|b)*",
            "/(a){2}",
            r"/\d+",
            r"/\x41",
            r"/a\b",
            "/[[:alpha:]]",
            "/[a&&b]",
            "/[a--b]",
            "/[a~~b]",
            r"/[\d]",
            "^/a$",
            "/a~b",
            "/a#b",
            "/(?P<n>a)",
            "/\u{e9}",
        ] {
            assert_eq!(of(&format!("re:{pattern}")), None, "{pattern}");
        }
    }

    #[test]
    fn the_program_names_its_data_and_nothing_else_changes() {
        let text = |data: &str| String::from_utf8(program(Path::new(data))).unwrap();
        let (one, other) = (text("/srv/shop/flags/a.json"), text("/srv/o'b/flags/a.json"));
        assert_eq!(one.matches("'/srv/shop/flags/a.json'").count(), 1);
        assert_eq!(one.replace("/srv/shop/", r"/srv/o\'b/"), other);
        assert!(!one.contains(PLACE));
    }

    #[cfg(unix)]
    #[test]
    fn the_data_is_in_one_place_however_the_site_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let (real, link) = (temp.path().join("real"), temp.path().join("current"));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        let of = |dir: &Path| data_file(&Site::at(dir), "shop").unwrap();
        assert_eq!(of(&real), of(&link));
        assert_eq!(of(&real), of(&real.join("../real")));
        assert!(of(&real).ends_with("real/flags/shop.json"));
    }

    #[test]
    fn a_folder_without_wordpress_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let refused = check(temp.path()).unwrap_err();
        assert!(refused.to_string().contains("wp-load.php"), "{refused}");
    }
}
