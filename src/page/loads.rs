//! What a page loads besides itself.

use std::sync::LazyLock;

use regex::Regex;

/// Something that a page loads, as the source names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) url: String,
    pub(crate) kind: Kind,
}

/// What it is loaded as; the policy of the page tells these apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Image,
    /// A font, a style, a script, a film or a sound.
    Other,
    /// A page inside the page.
    Frame,
}

impl Load {
    /// Why the policy of a template blocks it; `None` if it does not. See [`super::policy`].
    pub(crate) fn blocked(&self) -> Option<&'static str> {
        let lower = self.url.to_ascii_lowercase();
        match self.kind {
            Kind::Frame => Some("a page inside the page is blocked"),
            Kind::Image if lower.starts_with("data:") => None,
            _ if lower.starts_with("data:") => Some("`data:` is for images alone"),
            _ if self.own_path().is_none() => Some("other hosts are blocked"),
            _ => None,
        }
    }

    /// The path, if the site itself serves it.
    pub(crate) fn own_path(&self) -> Option<&str> {
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        let has_scheme = path.split_once(':').is_some_and(|(before, _)| !before.contains('/'));
        (!has_scheme && !path.starts_with("//")).then_some(path)
    }
}

/// Everything that a template loads, where the source says it in full: what Jinja makes up
/// is left out.
pub(crate) fn loads(source: &str) -> Vec<Load> {
    static TAG: LazyLock<Regex> = LazyLock::new(|| pattern(r"<([a-z][a-z0-9-]*)([^>]*)>"));
    static ATTRIBUTE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r#"([a-z-]+)[ \t\r\n]*=[ \t\r\n]*(?:"([^"]*)"|'([^']*)'|([^ \t\r\n"'>]+))"#)
    });
    static STYLE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r#"url\([ \t\r\n]*["']?([^"')]+)["']?[ \t\r\n]*\)|@import[ \t\r\n]+["']([^"']+)"#)
    });
    // The places are the same in both.
    let lower = source.to_ascii_lowercase();
    let mut found = Vec::new();
    let mut add = |url: &str, kind| {
        let url = url.trim();
        if !url.is_empty() && !url.starts_with('#') && !url.contains("{{") && !url.contains("{%") {
            let load = Load { url: url.to_owned(), kind };
            if !found.contains(&load) {
                found.push(load);
            }
        }
    };
    for tag in TAG.captures_iter(&lower) {
        let Some(inside) = tag.get(2) else { continue };
        let attributes: Vec<(&str, &str)> = ATTRIBUTE
            .captures_iter(inside.as_str())
            .filter_map(|attribute| {
                let value = (2..=4).find_map(|group| attribute.get(group))?;
                let range = inside.start() + value.start()..inside.start() + value.end();
                Some((attribute.get(1)?.as_str(), &source[range]))
            })
            .collect();
        let get = |name: &str| attributes.iter().find(|(key, _)| *key == name).map(|(_, v)| *v);
        let kind = match &tag[1] {
            "img" | "image" | "input" => Kind::Image,
            "iframe" | "frame" | "embed" | "object" => Kind::Frame,
            _ => Kind::Other,
        };
        for name in ["src", "poster", "data"] {
            if name != "data" || &tag[1] == "object" {
                add(
                    get(name).unwrap_or_default(),
                    if name == "poster" { Kind::Image } else { kind },
                );
            }
        }
        for candidate in get("srcset").unwrap_or_default().split(", ") {
            add(candidate.split_whitespace().next().unwrap_or_default(), Kind::Image);
        }
        if &tag[1] == "link" {
            let rel = get("rel").unwrap_or_default().to_ascii_lowercase();
            let is_icon = rel.contains("icon");
            if is_icon || rel.contains("stylesheet") || rel.contains("preload") {
                let kind = if is_icon { Kind::Image } else { Kind::Other };
                add(get("href").unwrap_or_default(), kind);
            }
        }
    }
    for place in STYLE.captures_iter(&lower) {
        let Some(url) = place.get(1).or_else(|| place.get(2)) else { continue };
        let is_font =
            ["font", ".woff", ".ttf", ".otf", ".eot"].iter().any(|w| url.as_str().contains(w));
        let is_style = place.get(2).is_some();
        let kind = if is_font || is_style { Kind::Other } else { Kind::Image };
        add(&source[url.range()], kind);
    }
    found
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern of ours compiles")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_loads_is_found_and_what_it_links_to_is_not() {
        let source = r#"<LINK rel="stylesheet" href=/static/Site.css><link rel=icon href="/i.png">
            <link rel="canonical" href="/x"><a href="/else">x</a><img SRC='logo.png' srcset="/a.png 1x, /b.png 2x">
            <script src="https://cdn.example/x.js"></script><img src="{{ reason }}"><img src="data:image/png;base64,AA">
            <style>@import "/m.css"; body { background: url('/bg.png') } @font-face { src: url(data:font/woff2;base64,AA) }
            .a { fill: url(#gradient) }</style><iframe src="/frame"></iframe>"#;
        let found = loads(source);
        let urls: Vec<&str> = found.iter().map(|load| load.url.as_str()).collect();
        assert_eq!(
            urls,
            [
                "/static/Site.css",
                "/i.png",
                "logo.png",
                "/a.png",
                "/b.png",
                "https://cdn.example/x.js",
                "data:image/png;base64,AA",
                "/frame",
                "/m.css",
                "/bg.png",
                "data:font/woff2;base64,AA",
            ]
        );
        let blocked: Vec<&str> =
            found.iter().filter(|load| load.blocked().is_some()).map(|l| l.url.as_str()).collect();
        assert_eq!(blocked, ["https://cdn.example/x.js", "/frame", "data:font/woff2;base64,AA"]);
    }
}
