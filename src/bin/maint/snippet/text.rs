//! The text of a snippet: one file for each software, with the names of one flag in it.
//!
//! A line that begins with `#?` names the kinds of flags that the lines below it are for, up to
//! the next such line; without a kind, they are for all. `@NAME@` is replaced.

use std::path::{Path, PathBuf};

use maint::Error;

use super::quote::{quoted, word};
use crate::args::Software;

/// What the software looks at.
pub(super) struct Target<'a> {
    pub(super) kind: FlagKind,
    pub(super) path: &'a Path,
    /// In seconds, for software that cannot read it from a file.
    pub(super) retry_after: u32,
    /// The key in a map.
    pub(super) key: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlagKind {
    Web,
    File,
    Page,
    /// An entry of a map of `HAProxy`, whose file is the path.
    Map,
}

impl Target<'_> {
    /// The file that is there while the site is down.
    fn down(&self) -> PathBuf {
        match self.kind {
            FlagKind::Web => self.path.join("down"),
            FlagKind::File | FlagKind::Page | FlagKind::Map => self.path.to_owned(),
        }
    }
}

impl FlagKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::File => "file",
            Self::Page => "page",
            Self::Map => "haproxy",
        }
    }
}

fn source(software: Software) -> Result<&'static str, Error> {
    Ok(match software {
        Software::Nginx => include_str!("nginx.conf"),
        Software::Apache => include_str!("apache.conf"),
        Software::Caddy => include_str!("Caddyfile"),
        Software::Haproxy => include_str!("haproxy.lua"),
        Software::Varnish => include_str!("varnish.vcl"),
        Software::Lighttpd => include_str!("lighttpd.lua"),
        Software::Traefik => include_str!("traefik.yml"),
        Software::Systemd => include_str!("systemd.conf"),
        Software::Kubernetes => include_str!("kubernetes.yml"),
        Software::Envoy => {
            return Err(Error::invalid_with(
                "Envoy looks at no flag",
                "it asks an endpoint: `maint snippet envoy --endpoint ADDRESS`",
            ));
        }
    })
}

/// Where a snippet that brings an nginx of its own mounts the folder of the flag.
const MOUNTED: &str = "/maint";

/// The configuration that obeys.
pub(super) fn of(software: Software, target: &Target<'_>) -> Result<String, Error> {
    let kind = target.kind.name();
    if target.kind == FlagKind::Map {
        let names = [
            ("@KEY@", word(target.key.unwrap_or_default())?),
            ("@PATH@", word(&target.path.to_string_lossy())?),
            ("@KIND@", kind.to_owned()),
        ];
        let lines = include_str!("haproxy.cfg").lines();
        return Ok(lines.map(|line| replaced(line, &names) + "\n").collect());
    }
    let quoted = |path: &Path| quoted(software, path);
    let down = target.down();
    let folder = down.parent().unwrap_or(target.path);
    let down_name = Path::new(down.file_name().unwrap_or_default());
    // `maint` makes the directory of a flag, and no other.
    let above = if target.kind == FlagKind::Web { target.path.parent() } else { Some(folder) };
    let page_name = if target.kind == FlagKind::Web { Path::new("page.html") } else { down_name };
    let names = [
        ("@DOWN@", quoted(&down)?),
        ("@FOLDER@", quoted(folder)?),
        ("@ABOVE@", quoted(above.unwrap_or(folder))?),
        ("@DOWN_NAME@", quoted(down_name)?),
        ("@PAGE_NAME@", quoted(page_name)?),
        ("@RETRY_AFTER@", target.retry_after.to_string()),
        ("@KIND@", kind.to_owned()),
        ("@PATH@", target.path.display().to_string()),
    ];
    let mut text = String::new();
    let mut is_meant = true;
    for line in source(software)?.lines() {
        if let Some(kinds) = line.strip_prefix("#?") {
            is_meant = kinds.trim().is_empty() || kinds.split_whitespace().any(|it| it == kind);
        } else if let Some(before) = line.strip_suffix("@NGINX@") {
            for line in nginx(software, target)?.lines() {
                text += &format!("{before}{line}\n");
            }
        } else if is_meant {
            text += &replaced(line, &names);
            text.push('\n');
        }
    }
    Ok(text)
}

/// The directives of nginx within another snippet, without what they say of themselves.
fn nginx(software: Software, target: &Target<'_>) -> Result<String, Error> {
    let mounted = match (software, target.kind) {
        (Software::Kubernetes, FlagKind::Web) => PathBuf::from(MOUNTED),
        (Software::Kubernetes, _) => {
            Path::new(MOUNTED).join(target.path.file_name().unwrap_or_default())
        }
        _ => target.path.to_owned(),
    };
    let text = of(Software::Nginx, &Target { path: &mounted, ..*target })?;
    let directives = text.split_inclusive('\n').skip_while(|line| line.starts_with('#'));
    Ok(directives.collect())
}

/// Replaces every name once, from left to right, so that a path with `@` in it stays as it is.
pub(super) fn replaced(line: &str, names: &[(&str, String)]) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((at, name, value)) = names
        .iter()
        .filter_map(|(name, value)| rest.find(name).map(|at| (at, name, value)))
        .min_by_key(|(at, ..)| *at)
    {
        text += &rest[..at];
        text += value;
        rest = &rest[at + name.len()..];
    }
    text + rest
}
