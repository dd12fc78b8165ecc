//! Bypass tokens: secrets for people who must see the site while it is down.
//!
//! Everyone can read the state file, so it holds only SHA-256 digests.
//! A token has 160 random bits, which makes a slow hash unnecessary.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::digest::{hexadecimal, sha256};
use crate::error::{Error, Result};
use crate::time::has_come;

/// How many tokens a site may have.
pub const MAX_TOKENS: usize = 1_000;

/// Marks a token as one of maint's, so that secret scanners can find a leaked one.
const PREFIX: &str = "maint_";

/// A bypass token as the state file holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct BypassToken {
    /// The SHA-256 digest (FIPS 180-4) of the token, in lower-case hexadecimal.
    #[cfg_attr(test, schemars(regex(pattern = "^[0-9a-f]{64}$")))]
    pub sha256: String,
    /// Whom the token is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// From this moment on the token has no effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::state::schema_test::Time>"))]
    pub expires_at: Option<Timestamp>,
    /// Whether the token outlives the maintenance. Others are revoked when the
    /// last window is closed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
    /// When the token was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::state::schema_test::Time>"))]
    pub added_at: Option<Timestamp>,
    /// Who made it, as `user@host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_by: Option<String>,
    /// Fields of later versions, kept as they are.
    #[serde(flatten)]
    #[cfg_attr(test, schemars(skip))]
    pub extra: Map<String, Value>,
}

impl BypassToken {
    /// Makes what the state holds of a token: its digest, with nothing else set.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self {
            sha256: digest(token),
            note: None,
            expires_at: None,
            keep: false,
            added_at: None,
            added_by: None,
            extra: Map::new(),
        }
    }

    /// Makes a new token, and returns its secret as well: `maint_` and 40 hexadecimal digits,
    /// which are 160 random bits from the operating system. The state does not hold it, so
    /// nobody can look it up later. A visitor presents it as `?maint_bypass=SECRET`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the operating system cannot give random bits.
    pub fn generate() -> Result<(String, Self)> {
        let secret = generate()?;
        let token = Self::of(&secret);
        Ok((secret, token))
    }

    /// Sets whom the token is for.
    #[must_use]
    pub fn note(mut self, note: impl Into<Option<String>>) -> Self {
        self.note = note.into();
        self
    }

    /// Sets the expiry.
    #[must_use]
    pub fn expires_at(mut self, expires_at: impl Into<Option<Timestamp>>) -> Self {
        self.expires_at = expires_at.into();
        self
    }

    /// Sets whether the token outlives the maintenance.
    #[must_use]
    pub fn keep(mut self, keep: bool) -> Self {
        self.keep = keep;
        self
    }

    /// Whether the token has expired; at `expires_at` it has.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        has_come(self.expires_at, now)
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let is_digest = self.sha256.len() == 64
            && self.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_digest {
            Ok(())
        } else {
            Err(Error::invalid("the digest of a bypass token is not 64 hexadecimal digits"))
        }
    }
}

/// Makes a new token: `maint_` and 40 hexadecimal digits, which are 160 random bits
/// from the operating system.
///
/// # Errors
///
/// [`Error::Invalid`] if the operating system cannot give random bits.
pub fn generate() -> Result<String> {
    let mut bytes = [0_u8; 20];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::invalid(format!("cannot get random bits for a token: {cause}")))?;
    Ok(format!("{PREFIX}{}", hexadecimal(&bytes)))
}

/// The digest under which a token is stored: SHA-256 in lower-case hexadecimal.
#[must_use]
pub fn digest(token: &str) -> String {
    sha256(token.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirement_44_a_token_has_at_least_128_bits_and_is_never_the_same() {
        let token = generate().unwrap();
        assert_eq!(token.len(), PREFIX.len() + 40, "160 bits in hexadecimal");
        assert_ne!(token, generate().unwrap());
    }

    fn token(sha256: &str, expires_at: Option<Timestamp>) -> BypassToken {
        BypassToken {
            sha256: sha256.to_owned(),
            note: None,
            expires_at,
            keep: false,
            added_at: None,
            added_by: None,
            extra: Map::new(),
        }
    }

    #[test]
    fn requirement_44_a_token_has_expired_at_its_very_expiry_and_not_before() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let token = token("", Some(at(100)));
        assert!(!token.has_expired(at(99)) && token.has_expired(at(100)));
        assert!(!self::token("", None).has_expired(at(100)), "what has no expiry never does");
    }

    #[test]
    fn requirement_44_a_digest_is_64_digits_and_nothing_else() {
        assert!(token(&digest("abc"), None).validate().is_ok());
        for bad in ["", "ab", &"a".repeat(63), &"A".repeat(64), &"g".repeat(64)] {
            assert!(token(bad, None).validate().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_digest_is_sha256() {
        // FIPS 180-4 example, "abc".
        assert_eq!(
            digest("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
