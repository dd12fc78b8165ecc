//! What is in force: a content, and what the state file looked like when it was read.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::content::{self, Content, Fresh, Source};
use super::trouble::{Consequence, Failing};
use crate::error::Result;
use crate::load;
use crate::state::State;
use crate::sys::Look;

/// How long, in nanoseconds, the clock of a file system may still show the same
/// time after a change in place; more than any clock tick of a kernel.
const SETTLES_AFTER: i128 = 1_000_000_000;

/// The same where times have no fractions of a second: FAT counts in steps of two.
const SETTLES_AFTER_COARSE: i128 = 2_000_000_000;

/// A state that is in force.
#[derive(Clone)]
pub(crate) struct Snapshot {
    /// What the state file looked like before it was read. `Failed` never
    /// equals what is seen later, so that the next request tries again.
    pub(crate) look: Look,
    /// The file was changed so recently that another change could look the same.
    pub(crate) is_unsettled: bool,
    pub(crate) content: Arc<Content>,
    /// The content is a stand-in, since there never was a good state.
    pub(crate) makeshift: Option<Consequence>,
    /// The file cannot be used, so the content is older than the file.
    pub(crate) failing: Option<Failing>,
}

impl Snapshot {
    /// What requests get if the state can no longer be read.
    pub(super) fn consequence(&self) -> Consequence {
        self.makeshift.unwrap_or_else(|| Consequence::Revision(self.content.revision()))
    }

    /// Whether the state has to be read again, now that its file looks like this.
    pub(super) fn is_outdated(&self, look: Look) -> bool {
        look != self.look || look == Look::Failed || self.is_unfinished()
    }

    /// Whether the file has to be read again although it looks the same.
    fn is_unfinished(&self) -> bool {
        self.is_unsettled && !is_unsettled(self.look, Timestamp::now())
            || self.failing.is_some_and(|failing| failing.again_at <= Instant::now())
    }
}

/// What the file looked like, and what came of reading it.
pub(super) type Reading = (Look, Result<Fresh>);

/// Reads the state. A malformed file is read again when it changes or a report
/// is due; an unreadable one on every request.
pub(super) fn read(source: &Source, before: Option<&Snapshot>) -> Reading {
    match load::bytes(&source.state) {
        Ok(Some((key, bytes))) => {
            let look = Look::File(key);
            // An unsettled file was read once more, only to be sure. If it looks
            // different, somebody touched it, perhaps for the sake of a template.
            let same = before.filter(|before| before.look == look && before.content.is_of(&bytes));
            let read = match same {
                Some(same) => Ok(Fresh { content: same.content.clone(), errors: Vec::new() }),
                None => content::read(source, &bytes, before.map(|before| &*before.content)),
            };
            (look, read)
        }
        Ok(None) => match source.missing_directory() {
            None => {
                let nothing = Content::of(source, State::default());
                let fresh = |nothing| Fresh { content: Arc::new(nothing), errors: Vec::new() };
                (Look::Missing, nothing.map(fresh))
            }
            Some(error) => (Look::Failed, Err(error)),
        },
        Err(error) => (Look::Failed, Err(error)),
    }
}

/// Whether a file that looked like this at a moment could change after it and
/// still look the same.
pub(crate) fn is_unsettled(look: Look, at: Timestamp) -> bool {
    let Look::File(key) = look else { return false };
    let at = at.as_nanosecond();
    // Each time counts alone: `touch` may have set one of them into the future.
    [key.mtime_ns, key.ctime_ns].into_iter().any(|time| {
        let is_coarse = time % 1_000_000_000 == 0;
        let settles_after = if is_coarse { SETTLES_AFTER_COARSE } else { SETTLES_AFTER };
        (at - time).abs() < settles_after
    })
}
