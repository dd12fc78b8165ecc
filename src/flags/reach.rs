//! Which requests a flag stops, and whether a window covers all of them.

use super::fact::Fact;
use super::flag::Flag;
use crate::rules::{HostPattern, PathPattern};
use crate::state::Scope;

/// Whether a window of this scope covers every request that a flag stops. What cannot be
/// compared counts as not covered: a flag is never wider than its window.
pub(super) fn covers(scope: &Scope, carries: &[Fact], flag: &Flag) -> bool {
    let stops_writes_alone = carries.contains(&Fact::ReadOnly);
    if !scope.methods.is_empty() || scope.read_only && !stops_writes_alone {
        return false;
    }
    let hosts = within(&scope.hosts, &flag.hosts, &HostPattern::Any, HostPattern::contains);
    let every_path = PathPattern::Subtree(String::new());
    hosts && within(&scope.paths, &flag.paths, &every_path, PathPattern::contains)
}

/// Whether one pattern of the window contains each of the flag. An empty list is all there is.
fn within<T: std::str::FromStr>(
    window: &[String],
    flag: &[String],
    all: &T,
    contains: impl Fn(&T, &T) -> bool,
) -> bool {
    if window.is_empty() {
        return true;
    }
    let window: Vec<T> = window.iter().filter_map(|text| text.parse().ok()).collect();
    let is_covered = |part: &T| window.iter().any(|pattern| contains(pattern, part));
    if flag.is_empty() {
        return is_covered(all);
    }
    flag.iter().all(|text| text.parse().is_ok_and(|part| is_covered(&part)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::flag::Kind;

    fn is_covered(window: &Scope, hosts: &[&str], paths: &[&str]) -> bool {
        let flag = Flag::new(Kind::File).stops(hosts, paths).unwrap();
        covers(window, &[], &flag)
    }

    fn of_hosts(hosts: &[&str]) -> Scope {
        Scope::new().hosts(hosts).unwrap()
    }

    fn of_paths(paths: &[&str]) -> Scope {
        Scope::new().paths(paths).unwrap()
    }

    #[test]
    fn requirement_81_a_flag_is_never_wider_than_its_window() {
        assert!(is_covered(&Scope::new(), &[], &[]));
        assert!(is_covered(&Scope::new(), &["a.example"], &["/shop/**"]));
        for part in [of_hosts(&["a.example"]), of_paths(&["/shop/**"])] {
            assert!(!is_covered(&part, &[], &[]), "a part is not the whole");
        }
        assert!(!is_covered(&Scope::new().methods(["POST"]).unwrap(), &[], &[]));
        assert!(!is_covered(&Scope::new().read_only(true), &[], &[]), "reads pass");
        assert!(is_covered(&of_hosts(&["*"]), &[], &[]), "every host is the whole");
        assert!(is_covered(&of_paths(&["/**"]), &[], &[]), "every path is the whole");
    }

    #[test]
    fn requirement_81_what_lies_within_a_window_is_covered_and_nothing_beside_it() {
        let below = || of_hosts(&["*.example.com"]);
        assert!(is_covered(&below(), &["shop.example.com", "*.eu.example.com"], &[]));
        assert!(!is_covered(&below(), &["example.com"], &[]), "not below itself");
        assert!(!is_covered(&below(), &["shop.example.com", "other.test"], &[]), "all of them");
        let shop = || of_paths(&["/shop/**"]);
        for path in ["/shop", "/shop/cart", "/shop/**", "/shop/cart/**", "/shop/*/edit"] {
            assert!(is_covered(&shop(), &[], &[path]), "{path}");
        }
        for path in ["/", "/shopping", "/**", "/*/cart", "re:/shop/.*"] {
            assert!(!is_covered(&shop(), &[], &[path]), "{path}");
        }
        assert!(is_covered(&of_paths(&["re:/v[0-9]+"]), &[], &["/v2"]));
        assert!(!is_covered(&of_paths(&["/cart"]), &[], &["/cart/**"]));
        let both = of_hosts(&["a.example"]).paths(["/shop/**"]).unwrap();
        assert!(is_covered(&both, &["a.example"], &["/shop/**"]));
        assert!(!is_covered(&both, &["a.example"], &[]), "of that host, all paths");
    }
}
