//! What is asked: `/auth`, `/shop/auth`, `/ext-authz/cart?id=7`.

use super::told::Manner;

/// A question, by the first part of the path after the name of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether a request passes; the answer has no body.
    Auth,
    /// Whether a request passes, and otherwise what its client gets.
    ForwardAuth,
    /// The same for Envoy, which takes nothing but 200 for a yes, and a 5xx for a failure of the
    /// endpoint.
    ExtAuthz(Manner),
    /// The page for a request that was blocked.
    Page,
    Status,
    Metrics,
    Live,
    Ready,
}

/// The words that questions begin with, which are no names of sites.
pub(super) const WORDS: [&str; 8] =
    ["auth", "forward-auth", "ext-authz", "page", "status", "metrics", "livez", "readyz"];

impl Question {
    /// Reads a path: the name of the site, if it begins with one, the question, and the
    /// target behind it; `None` if nothing is asked there.
    pub(super) fn read(target: &str) -> Option<(Option<&str>, Self, &str)> {
        let rest = target.strip_prefix('/')?;
        let word_of = |text: &str| text.find(['/', '?']).unwrap_or(text.len());
        let first = &rest[..word_of(rest)];
        if WORDS.contains(&first) {
            let (question, behind) = Self::of(first, &rest[first.len()..])?;
            return Some((None, question, behind));
        }
        let rest = rest[first.len()..].strip_prefix('/')?;
        let word = &rest[..word_of(rest)];
        let (question, behind) = Self::of(word, &rest[word.len()..])?;
        Some((Some(first), question, behind))
    }

    fn of<'t>(word: &str, behind: &'t str) -> Option<(Self, &'t str)> {
        // A query of the question's own means nothing.
        let question = match (word, behind.starts_with('/')) {
            ("auth", false) => Self::Auth,
            ("forward-auth", false) => Self::ForwardAuth,
            ("ext-authz", false) => Self::ExtAuthz(Manner::Forwarded),
            ("ext-authz", true) => Self::ExtAuthz(Manner::Itself),
            ("page", false) => Self::Page,
            ("status", false) => Self::Status,
            ("metrics", false) => Self::Metrics,
            ("livez", false) => Self::Live,
            ("readyz", false) => Self::Ready,
            _ => return None,
        };
        Some((question, behind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_told_from_the_name_of_a_site_and_from_what_is_behind_it() {
        let itself = Question::ExtAuthz(Manner::Itself);
        for (target, read) in [
            ("/auth", Some((None, Question::Auth, ""))),
            ("/auth?x", Some((None, Question::Auth, "?x"))),
            ("/shop/page", Some((Some("shop"), Question::Page, ""))),
            ("/forward-auth", Some((None, Question::ForwardAuth, ""))),
            ("/forward-auth/", None),
            ("/ext-authz", Some((None, Question::ExtAuthz(Manner::Forwarded), ""))),
            ("/ext-authz/", Some((None, itself, "/"))),
            ("/ext-authz/auth?a=/b", Some((None, itself, "/auth?a=/b"))),
            ("/ext-authz//auth", Some((None, itself, "//auth"))),
            ("/shop/ext-authz/x", Some((Some("shop"), itself, "/x"))),
            ("/auth/", None),
            ("/shop", None),
            ("/shop/", None),
            ("/", None),
            ("/AUTH", None),
            ("/a/b/auth", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(Question::read(target), read, "{target}");
        }
    }
}
