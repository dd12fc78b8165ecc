//! Which language a visitor gets (RFC 9110, 12.5.4, by lookup: RFC 4647, 3.4).

use std::collections::BTreeMap;

use super::accept::weight;
use super::texts::{ENGLISH, LANGUAGES, Language};
use crate::request::field::trim;
use crate::state::language::MAX_TAG;

/// What a visitor reads.
pub(crate) const FIELD: &str = "accept-language";

/// How much of `Accept-Language` is looked at, in bytes. A browser sends a tenth of it.
const MAX_FIELD: usize = 1_000;

/// Tags that mean the same as another, or are best served by it.
const ALIASES: [(&str, &str); 6] = [
    ("iw", "he"),
    ("nn", "nb"),
    ("no", "nb"),
    ("zh-hk", "zh-hant"),
    ("zh-mo", "zh-hant"),
    ("zh-tw", "zh-hant"),
];

/// The tags of every language that the page speaks.
#[must_use]
pub fn tags() -> Vec<&'static str> {
    LANGUAGES.iter().map(|language| language.tag).collect()
}

/// The language that the page speaks for a tag, if it speaks it.
pub(crate) fn spoken(tag: &str) -> Option<&'static Language> {
    lookup(tag.as_bytes(), |tag| LANGUAGES.iter().find(|language| language.tag == tag))
}

/// The language of a site for visitors who ask for none of the others.
pub(crate) fn of_site(tag: Option<&str>) -> &'static Language {
    tag.and_then(spoken).unwrap_or(ENGLISH)
}

/// In which language a visitor is told why: `own` is that of the reason without a tag, and `any`
/// goes to those who read every language. `None` if there is nothing in any of theirs. `lines`
/// are those of `Accept-Language`.
pub(crate) fn told<'t>(
    lines: impl FnOnce(&mut dyn FnMut(&[u8])),
    own: Option<&'t str>,
    any: &'t str,
    reasons: &'t BTreeMap<String, String>,
) -> Option<&'t str> {
    if reasons.is_empty() {
        return None;
    }
    preferred(lines, any, |tag| {
        let other = || reasons.get_key_value(tag).map(|(tag, _)| tag.as_str());
        own.filter(|own| *own == tag).or_else(other)
    })
}

/// What `find` has for the most preferred language that it has something for, and `any` where
/// any language is named. `lines` are those of `Accept-Language`.
///
/// The heavier language goes first, then the earlier. What has the weight 0 counts for nothing.
pub(crate) fn preferred<T: Copy>(
    lines: impl FnOnce(&mut dyn FnMut(&[u8])),
    any: T,
    find: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let mut best: Option<(u16, T)> = None;
    let mut left = MAX_FIELD;
    lines(&mut |line| {
        let line = &line[..line.len().min(left)];
        left -= line.len();
        for range in line.split(|&byte| byte == b',') {
            let mut parts = range.split(|&byte| byte == b';').map(trim);
            let tag = parts.next().unwrap_or_default();
            let weight = parts.find_map(weight).unwrap_or(1000);
            if weight <= best.map_or(0, |(heaviest, _)| heaviest) {
                continue;
            }
            let found = if tag == b"*" { Some(any) } else { lookup(tag, &find) };
            best = found.map(|found| (weight, found)).or(best);
        }
    });
    best.map(|(_, found)| found)
}

/// Looks a tag up, and then what remains of it from the front: `de-at`, `de`.
pub(crate) fn lookup<T>(tag: &[u8], find: impl Fn(&str) -> Option<T>) -> Option<T> {
    let mut lower = [0; MAX_TAG];
    let lower = lower.get_mut(..tag.len())?;
    lower.copy_from_slice(tag);
    lower.make_ascii_lowercase();
    let mut tag = str::from_utf8(lower).ok()?;
    while !tag.is_empty() {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == tag).map(|(_, meant)| *meant);
        let found = find(tag).or_else(|| alias.and_then(&find));
        if found.is_some() {
            return found;
        }
        tag = tag.rsplit_once('-')?.0;
        // A letter alone begins what extends a tag, and means nothing without the rest.
        if tag.len() > 2 && tag.as_bytes()[tag.len() - 2] == b'-' {
            tag = &tag[..tag.len() - 2];
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::request::{Request as _, RequestParts};

    fn preferred_by(request: &RequestParts) -> Option<&'static str> {
        preferred(|each| request.header(FIELD, each), "any", spoken_exactly)
    }

    fn of(fields: &[&str]) -> &'static str {
        let mut request = RequestParts::new("GET", "/");
        for line in fields {
            request = request.with("Accept-Language", line);
        }
        preferred_by(&request).unwrap_or("none")
    }

    fn spoken_exactly(tag: &str) -> Option<&'static str> {
        tags().into_iter().find(|known| *known == tag)
    }

    #[test]
    fn the_most_preferred_language_that_is_spoken_is_found() {
        for (field, expected) in [
            ("de", "de"),
            ("de-AT", "de"),
            ("DE-at-1996", "de"),
            ("de-AT,de;q=0.9,en-US;q=0.8,en;q=0.7", "de"),
            ("en;q=0.3, fr;q=0.8, ja;q=0.5", "fr"),
            ("xx, tlh;q=0.9, ja;q=0.1", "ja"),
            ("fr;q=0.5, ar;q=0.5", "fr"),
            ("pt-BR", "pt-br"),
            ("pt-PT", "pt"),
            ("zh-CN", "zh"),
            ("zh-Hans-CN", "zh"),
            ("zh-TW", "zh-hant"),
            ("zh-Hant-HK", "zh-hant"),
            ("nn-NO", "nb"),
            ("no", "nb"),
            ("iw-IL", "he"),
            ("de-u-co-phonebk", "de"),
            ("de;q=0, fr;q=0.1", "fr"),
            ("*", "any"),
            ("xx, *;q=0.5", "any"),
            ("de;q=0.2, *;q=0.5", "any"),
            ("de;q=0.7, *;q=0.5", "de"),
            ("  sv ; q=1.0 ", "sv"),
            ("", "none"),
            ("xx", "none"),
            ("de_AT", "none"),
            ("d", "none"),
            ("-de", "none"),
            (",;,=;q", "none"),
            ("de;q=2", "de"),
        ] {
            assert_eq!(of(&[field]), expected, "{field:?}");
        }
        assert_eq!(of(&["xx", "fr"]), "fr", "the lines are one list");
    }

    #[test]
    fn an_endless_field_is_looked_at_from_the_front_alone() {
        let endless = format!("{}de", "xx,".repeat(100_000));
        assert_eq!(of(&[&endless]), "none");
        assert_eq!(of(&["fr;q=0.1", &endless]), "fr");
        assert_eq!(of(&[&format!("{}, it", "a".repeat(900))]), "it");
    }

    #[test]
    fn no_language_lacks_a_text_or_repeats_a_tag() {
        let mut seen = std::collections::BTreeSet::new();
        for language in &LANGUAGES {
            assert!(seen.insert(language.tag), "{} is there twice", language.tag);
            assert_eq!(spoken(language.tag), Some(language));
            crate::state::language::validate_language(language.tag).unwrap();
            let serde_json::Value::Object(texts) = serde_json::to_value(&language.texts).unwrap()
            else {
                panic!("texts are an object");
            };
            for (name, text) in texts {
                let text = text.as_str().unwrap();
                assert!(!text.trim().is_empty() && text.trim() == text, "{} {name}", language.tag);
                assert!(!text.contains(['<', '&', '"', '{']), "{} {name}: {text}", language.tag);
            }
        }
        assert!(seen.len() >= 12, "{seen:?}");
        assert_eq!(ENGLISH.tag, "en");
        for tag in ["ar", "he"] {
            assert_eq!(spoken(tag).unwrap().dir, "rtl");
        }
    }

    proptest! {
        #[test]
        fn requirement_27_no_language_makes_the_reader_panic(
            odd in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..90), 0..4),
            shaped in r"((de|fr|xx|\*)(-[a-z0-9]{0,9}){0,4}[;, ]{0,2}(q=[0-9.eEinfa+-]{0,6})?[;, ]{0,2}){0,6}",
        ) {
            let mut request = RequestParts::new("GET", "/").with("accept-language", &shaped);
            request.headers.extend(odd.into_iter().map(|line| ("Accept-Language".to_owned(), line)));
            let found = preferred_by(&request);
            prop_assert!(found.is_none_or(|tag| tag == "any" || spoken(tag).is_some()));
        }
    }
}
