//! What a scope leaves up although people often mean to cover it.

use std::net::Ipv4Addr;

use super::window::Scope;
use crate::rules::host::HostPattern;
use crate::rules::path::PathPattern;

/// The methods that change something, of those that apps use.
const WRITES: [&str; 4] = ["POST", "PUT", "PATCH", "DELETE"];

/// Something close to a scope that it leaves up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// Which list of the scope is concerned.
    pub list: ScopeList,
    /// What stays up, as a sentence.
    pub stays_up: String,
    /// What the list needs in addition to cover that, too.
    pub wider: Vec<String>,
}

/// A list of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScopeList {
    /// [`Scope::paths`].
    Paths,
    /// [`Scope::methods`].
    Methods,
    /// [`Scope::hosts`].
    Hosts,
}

impl Scope {
    /// What the scope leaves up although people often mean to cover it: `/shop/1` beside
    /// `/shop`, `www.example.com` beside `example.com`, PUT beside POST.
    #[must_use]
    pub fn gaps(&self) -> Vec<Gap> {
        let paths: Vec<PathPattern> =
            self.paths.iter().filter_map(|path| path.parse().ok()).collect();
        let hosts: Vec<HostPattern> =
            self.hosts.iter().filter_map(|host| host.parse().ok()).collect();
        let gap = |list| move |(stays_up, wider)| Gap { list, stays_up, wider };
        let in_paths = paths.iter().filter_map(|path| beside_path(path, &paths));
        let in_hosts = hosts.iter().filter_map(|host| beside_host(host, &hosts));
        let in_methods = beside_methods(&self.methods).into_iter();
        (in_paths.map(gap(ScopeList::Paths)))
            .chain(in_methods.map(gap(ScopeList::Methods)))
            .chain(in_hosts.map(gap(ScopeList::Hosts)))
            .collect()
    }

    /// Whether every request is covered, however that is written.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let any_path = |path: &String| path == "/**";
        let any_host = |host: &String| host == "*";
        (self.paths.is_empty() || self.paths.iter().any(any_path))
            && (self.hosts.is_empty() || self.hosts.iter().any(any_host))
            && self.methods.is_empty()
            && !self.read_only
    }
}

type Beside = (String, Vec<String>);

fn beside_path(path: &PathPattern, all: &[PathPattern]) -> Option<Beside> {
    let is_below = |path: &str, above: &str| {
        path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let is_covered = |path: &str| {
        let covers = |other: &PathPattern| match other {
            PathPattern::Subtree(above) => is_below(path, above),
            PathPattern::Glob(glob) => glob.strip_suffix("/**") == Some(path),
            _ => false,
        };
        all.iter().any(covers)
    };
    match path {
        PathPattern::Exact(path) => {
            let bare = path.trim_end_matches('/');
            let stays_up = match path.as_str() {
                "/" => "everything below `/` stays up".to_owned(),
                path if path.ends_with('/') => {
                    format!("`{bare}` and everything below `{path}` stay up")
                }
                _ => format!("`{path}/` and everything below it stay up"),
            };
            (!is_covered(bare)).then(|| (stays_up, vec![format!("{bare}/**")]))
        }
        PathPattern::Glob(glob) if !glob.ends_with("/**") && !is_covered(glob) => {
            Some((format!("everything below `{glob}` stays up"), vec![format!("{glob}/**")]))
        }
        PathPattern::Regex(regex) if !regex.trim_end_matches([')', '?']).ends_with(".*") => Some((
            format!("paths that only begin like `{regex}` stay up"),
            vec![format!("re:(?:{regex})(?:/.*)?")],
        )),
        _ => None,
    }
}

fn beside_host(host: &HostPattern, all: &[HostPattern]) -> Option<Beside> {
    let is_covered = |name: &str| {
        let covers = |other: &HostPattern| match other {
            HostPattern::Any => true,
            HostPattern::Exact(other) => other == name,
            HostPattern::Below(above) => {
                name.strip_suffix(above.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
        };
        all.iter().any(covers)
    };
    match host {
        HostPattern::Exact(name) => {
            if let Some(bare) = name.strip_prefix("www.") {
                let beside = || (format!("`{bare}` stays up"), vec![bare.to_owned()]);
                return (!is_covered(bare)).then(beside);
            }
            let is_name = name.contains('.') && name.parse::<Ipv4Addr>().is_err();
            let www = format!("www.{name}");
            (is_name && !is_covered(&www)).then(|| {
                (
                    format!("hosts below `{name}`, such as `{www}`, stay up"),
                    vec![format!("*.{name}")],
                )
            })
        }
        HostPattern::Below(name) => {
            (!is_covered(name)).then(|| (format!("`{name}` itself stays up"), vec![name.clone()]))
        }
        HostPattern::Any => None,
    }
}

fn beside_methods(methods: &[String]) -> Option<Beside> {
    let is_given = |method: &&str| methods.iter().any(|given| given == method);
    let mut missing: Vec<&str> = Vec::new();
    if WRITES.iter().any(is_given) {
        missing.extend(WRITES.iter().filter(|method| !is_given(method)));
    }
    if is_given(&"GET") && !is_given(&"HEAD") {
        missing.push("HEAD");
    }
    let verb = if missing.len() == 1 { "stays" } else { "stay" };
    let wider = missing.iter().map(|&method| method.to_owned()).collect();
    (!missing.is_empty()).then(|| (format!("{} {verb} up", missing.join(", ")), wider))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(paths: &[&str], methods: &[&str], hosts: &[&str]) -> Vec<(String, String)> {
        let scope = Scope::new().paths(paths).unwrap().methods(methods).unwrap();
        let scope = scope.hosts(hosts).unwrap();
        scope.gaps().into_iter().map(|gap| (gap.stays_up, gap.wider.join(" "))).collect()
    }

    #[test]
    fn what_is_close_to_a_scope_and_stays_up_is_named() {
        for (paths, methods, hosts, stays_up, wider) in [
            (
                &["/shop"][..],
                &[][..],
                &[][..],
                "`/shop/` and everything below it stay up",
                "/shop/**",
            ),
            (&["/shop/"], &[], &[], "`/shop` and everything below `/shop/` stay up", "/shop/**"),
            (&["/"], &[], &[], "everything below `/` stays up", "/**"),
            (&["/a/*/b"], &[], &[], "everything below `/a/*/b` stays up", "/a/*/b/**"),
            (
                &["re:/a|/b"],
                &[],
                &[],
                "paths that only begin like `/a|/b` stay up",
                "re:(?:/a|/b)(?:/.*)?",
            ),
            (&[], &["POST"], &[], "PUT, PATCH, DELETE stay up", "PUT PATCH DELETE"),
            (&[], &["GET"], &[], "HEAD stays up", "HEAD"),
            (&[], &[], &["a.com"], "hosts below `a.com`, such as `www.a.com`, stay up", "*.a.com"),
            (&[], &[], &["www.a.com"], "`a.com` stays up", "a.com"),
            (&[], &[], &["*.a.com"], "`a.com` itself stays up", "a.com"),
        ] {
            let expected = vec![(stays_up.to_owned(), wider.to_owned())];
            assert_eq!(gaps(paths, methods, hosts), expected);
        }
    }

    #[test]
    fn what_is_covered_is_not_named_and_what_is_added_covers() {
        for (paths, methods, hosts) in [
            (&[][..], &[][..], &[][..]),
            (&["/shop", "/shop/**"], &[], &[]),
            (&["/shop/cart", "/shop/**"], &[], &[]),
            (&["/shop/", "/**"], &[], &[]),
            (&["/a/*", "/a/*/**"], &[], &[]),
            (&["re:/v[0-9]+(?:/.*)?"], &[], &[]),
            (&[], &["POST", "PUT", "PATCH", "DELETE", "GET", "HEAD"], &[]),
            (&[], &["OPTIONS"], &[]),
            (&[], &[], &["a.com", "www.a.com"]),
            (&[], &[], &["a.com", "*.a.com"]),
            (&[], &[], &["localhost", "192.0.2.1", "[::1]"]),
            (&[], &[], &["a.com", "*"]),
        ] {
            assert_eq!(gaps(paths, methods, hosts), [], "{paths:?} {methods:?} {hosts:?}");
        }
    }

    #[test]
    fn a_scope_is_whole_however_it_is_written() {
        let scope = |paths: &[&str], hosts: &[&str], read_only| {
            Scope::new().paths(paths).unwrap().hosts(hosts).unwrap().read_only(read_only)
        };
        assert!(
            scope(&[], &[], false).is_whole() && scope(&["/a", "/**"], &["*"], false).is_whole()
        );
        assert!(!scope(&["/a/**"], &[], false).is_whole() && !scope(&[], &["a"], false).is_whole());
        assert!(!scope(&[], &[], true).is_whole());
    }
}
