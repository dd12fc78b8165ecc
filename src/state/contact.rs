//! How visitors reach the operator: a mail address, a telephone number, or a page.

use crate::error::{Error, Result};
use crate::state::link::{names_one_host, validate_url};

/// The longest contact accepted, in bytes.
const MAX_CONTACT: usize = 320;

/// Where a contact leads: a `mailto:` (RFC 6068) or `tel:` URI (RFC 3966), or the URL that
/// it is.
///
/// # Errors
///
/// [`Error::Invalid`] for what is none of these.
pub(crate) fn link(contact: &str) -> Result<String> {
    if contact.contains("://") {
        return validate_url(contact).map(|()| contact.to_owned());
    }
    if contact.len() <= MAX_CONTACT {
        if is_address(contact) {
            return Ok(format!("mailto:{contact}"));
        }
        if let Some(number) = number(contact) {
            return Ok(format!("tel:{number}"));
        }
    }
    Err(Error::invalid_with(
        format!("`{}` cannot be the contact", contact.escape_debug()),
        "write a mail address, a telephone number like `+49 30 123456`, or an `https` URL",
    ))
}

/// Whether it is a mail address that needs no quoting, neither in a header nor in a URI.
pub(crate) fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_local = |byte: u8| byte.is_ascii_alphanumeric() || b"!$'*+-._~".contains(&byte);
    (1..=64).contains(&local.len()) && local.bytes().all(is_local) && names_one_host(domain)
}

/// The digits of a telephone number, with its `+`.
fn number(text: &str) -> Option<String> {
    let (plus, rest) = text.strip_prefix('+').map_or(("", text), |rest| ("+", rest));
    let is_between = |byte: u8| b" -.()/".contains(&byte);
    let fits = rest.bytes().all(|byte| byte.is_ascii_digit() || is_between(byte));
    let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
    // Local numbers are short, and none is longer than 15 (ITU-T E.164).
    (fits && (3..=15).contains(&digits.len())).then(|| format!("{plus}{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_leads_where_it_says() {
        for (contact, leads) in [
            ("help@example.com", "mailto:help@example.com"),
            ("shop+help@example.com", "mailto:shop+help@example.com"),
            ("+49 (30) 123-456", "tel:+4930123456"),
            ("112", "tel:112"),
            ("https://example.com/help?a=b", "https://example.com/help?a=b"),
        ] {
            assert_eq!(link(contact).unwrap(), leads);
        }
        for contact in [
            "",
            "help",
            "a@b@c",
            "@example.com",
            "a b@example.com",
            "a?subject=x@example.com",
            "a@*.example.com",
            "12",
            "+",
            "1234567890123456",
            "javascript:alert(1)",
            "javascript://example.com/%0aalert(1)",
            "https://user@example.com/",
            "/help",
            "\"@example.com",
        ] {
            assert!(link(contact).is_err(), "{contact:?}");
        }
    }
}
