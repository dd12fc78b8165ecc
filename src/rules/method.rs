//! Request methods.

use crate::error::{Error, Result};
use crate::request::field::is_token;

/// The safe methods (RFC 9110, 9.2.1), which a read-only window lets through.
pub(crate) const SAFE: [&str; 4] = ["GET", "HEAD", "OPTIONS", "TRACE"];

/// Methods that completion offers.
pub const COMMON: [&str; 7] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];

/// Reads a method and returns it in upper case.
///
/// # Errors
///
/// [`Error::Invalid`] if it is not a token (RFC 9110, 5.6.2), or if it has more than 64
/// bytes.
pub fn parse(text: &str) -> Result<String> {
    if is_token(text) && text.len() <= 64 {
        Ok(text.to_ascii_uppercase())
    } else {
        Err(Error::invalid_with(
            format!("`{}` is not a request method", text.escape_debug()),
            "write one method, like `POST`",
        ))
    }
}
