//! What the real site answers over HTTP, and whether that is the app, our page, a copy that a
//! cache kept, or somebody else's error.
//!
//! `ask` sends a request as a visitor would and follows redirects within the site, `judge` says
//! what an answer is, and knows nothing of connections.

mod ask;
mod judge;
mod proxy;

pub use ask::{ACCEPT, Asker, Settings, Target};
pub use judge::{Answer, Outcome, Unreached, Verdict, Wanted, What, judge, needs_second};
