//! How much of a blocked request is read before it is answered.
//!
//! Most clients send the whole request before they look at the answer. If the server closed
//! the connection meanwhile, they would see it reset and never the page, so the rest is read
//! first. A client may also wait for the answer before it sends any more, so reading ends
//! when it pauses.

use std::time::Duration;

/// The most that is read, in bytes.
pub(crate) const MAX_READ: u64 = 16 * 1024 * 1024;

/// How long a client may pause; it may take twice as long until that is noticed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
