//! URLs and the authority in them, split but not validated (RFC 3986, 3).

/// The parts of a URL, or of a path on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UrlParts<'u> {
    /// What stands before `://`; absent for a path.
    pub scheme: Option<&'u str>,
    /// The host, with the port and the user name if any; empty for a path.
    pub authority: &'u str,
    /// The path and the query as a client sends them: without the fragment, and never
    /// empty.
    pub target: Target<'u>,
}

/// The path and the query of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'u>(&'u str);

impl<'u> UrlParts<'u> {
    /// Splits `scheme://authority/path?query#fragment`, or what begins with the path.
    #[must_use]
    pub fn of(url: &'u str) -> Self {
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) if !scheme.contains(['/', '?', '#']) => (Some(scheme), rest),
            _ => (None, url),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = if scheme.is_some() { rest.split_at(end) } else { ("", rest) };
        let target = rest.split('#').next().unwrap_or_default();
        Self { scheme, authority, target: Target(target) }
    }

    /// Whether the scheme is `http` or `https`, in any case.
    #[must_use]
    pub fn is_http(&self) -> bool {
        let is = |name: &str| self.scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(name));
        is("http") || is("https")
    }
}

impl<'u> Target<'u> {
    /// The path; `/` if the URL has none.
    #[must_use]
    pub fn path(self) -> &'u str {
        match self.0.split('?').next() {
            None | Some("") => "/",
            Some(path) => path,
        }
    }
}

impl std::fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.0.starts_with('/') {
            f.write_str("/")?;
        }
        f.write_str(self.0)
    }
}

/// Splits `host:port`. The host of an IPv6 address keeps its brackets.
pub(crate) fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_split_into_what_a_client_sends() {
        for (url, scheme, authority, path, target) in [
            ("https://h:8080/a?b#c", Some("https"), "h:8080", "/a", "/a?b"),
            ("https://h", Some("https"), "h", "/", "/"),
            ("http://h?b", Some("http"), "h", "/", "/?b"),
            ("http://h#c", Some("http"), "h", "/", "/"),
            ("https:///x", Some("https"), "", "/x", "/x"),
            ("/a?u=http://x/", None, "", "/a", "/a?u=http://x/"),
            ("", None, "", "/", "/"),
        ] {
            let parts = UrlParts::of(url);
            assert_eq!((parts.scheme, parts.authority), (scheme, authority), "{url}");
            assert_eq!((parts.target.path(), &*parts.target.to_string()), (path, target), "{url}");
        }
        assert!(UrlParts::of("HTTPS://h").is_http() && !UrlParts::of("ftp://h").is_http());
    }

    #[test]
    fn a_port_is_told_from_the_end_of_an_ipv6_address() {
        assert_eq!(host_and_port("[::1]:80"), ("[::1]", Some("80")));
        assert_eq!(host_and_port("[::1]"), ("[::1]", None));
        assert_eq!(host_and_port("h"), ("h", None));
    }
}
