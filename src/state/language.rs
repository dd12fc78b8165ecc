//! Language tags, as the state has them.

use crate::error::{Error, Result};

/// The longest tag accepted, in bytes (RFC 5646, 4.4.1).
pub(crate) const MAX_TAG: usize = 35;

/// Accepts a well-formed tag of BCP 47 in lower case: `de`, `pt-br`, `zh-hant` (RFC 5646, 2.1,
/// without the irregular ones that it keeps for old texts).
///
/// # Errors
///
/// [`Error::Invalid`] for anything else.
pub(crate) fn validate_language(tag: &str) -> Result<()> {
    let mut subtags = tag.split('-');
    let is_language = |first: &str| {
        (2..=8).contains(&first.len()) && first.bytes().all(|byte| byte.is_ascii_lowercase())
    };
    let is_subtag = |subtag: &str| {
        (1..=8).contains(&subtag.len())
            && subtag.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let fits =
        tag.len() <= MAX_TAG && subtags.next().is_some_and(is_language) && subtags.all(is_subtag);
    if fits {
        return Ok(());
    }
    Err(Error::invalid_with(
        format!("`{}` is not the tag of a language", tag.escape_debug()),
        "write it like `de`, `pt-br` or `zh-hant`",
    ))
}

/// Whether a tag names a language that is known: one of ISO 639-1 and what is written with it.
/// There are more; these are the ones that people type, and few words of a sentence are among
/// them.
#[must_use]
pub fn is_language(tag: &str) -> bool {
    const KNOWN: &str = "\
        aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs \
        cu cv cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv \
        ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl \
        km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt \
        my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru \
        rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn \
        to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu gsw nds fil haw \
        yue";
    let primary = tag.split('-').next().unwrap_or_default();
    KNOWN.split(' ').any(|known| known == primary) && validate_language(tag).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_before_a_sign_is_seldom_a_language() {
        for tag in ["de", "pt-br", "zh-hant", "eo", "gsw", "de-ch-1996"] {
            assert!(is_language(tag), "{tag}");
        }
        for text in
            ["a", "x", "Back", "see https://x/?a", "de ", " de", "DE", "xx", "de-", "1+1", ""]
        {
            assert!(!is_language(text), "{text:?}");
        }
    }

    #[test]
    fn tags_are_those_of_bcp_47_in_lower_case() {
        for tag in ["de", "pt-br", "zh-hant", "gsw", "de-ch-1996", "en-x-shop"] {
            assert!(validate_language(tag).is_ok(), "{tag}");
        }
        let long = format!("de{}", "-abcdefgh".repeat(4));
        for tag in
            ["", "d", "DE", "de_at", "de-", "-de", "de--at", "1de", "de-toolongsubtag", "ä", &long]
        {
            assert!(validate_language(tag).is_err(), "{tag:?}");
        }
    }
}
