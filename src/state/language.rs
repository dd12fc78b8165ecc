//! Language tags, as the state has them.

use crate::error::{Error, Result};

/// The longest tag accepted, in bytes (RFC 5646, 4.4.1).
const MAX_TAG: usize = 35;

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

#[cfg(test)]
mod tests {
    use super::*;

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
