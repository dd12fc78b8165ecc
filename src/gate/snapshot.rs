//! What is in force: a content, and what the state file looked like when it was read.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::content::{self, Content, Fresh, Source};
use super::trouble::{Consequence, Failing};
use crate::error::{Error, Result};
use crate::load;
use crate::state::State;
use crate::sys::{Look, Lookout};

/// How long, in nanoseconds, the clock of a file system may still show the same
/// time after a change in place; more than any clock tick of a kernel.
const SETTLES_AFTER: i128 = 1_000_000_000;

/// The same where times have no fractions of a second: FAT counts in steps of two.
const SETTLES_AFTER_COARSE: i128 = 2_000_000_000;

/// How often a site that is not there yet is looked for: it may be made in a directory above
/// the one that is watched.
pub(super) const SOUGHT_EVERY: Duration = Duration::from_secs(1);

/// The files of a site, and the one that is looked at.
pub(crate) struct Post {
    pub(crate) lookout: Lookout,
    pub(super) source: Source,
}

impl Post {
    pub(super) fn new(source: Source) -> io::Result<Self> {
        Ok(Self { lookout: Lookout::new(&source.state)?, source })
    }
}

/// A state that is in force.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) post: Arc<Post>,
    /// When to look again for a site that is not there yet.
    pub(crate) seek_at: Option<Instant>,
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
        if let Some(seek_at) = self.seek_at {
            let has_appeared = matches!(look, Look::File(_)) && look != self.look;
            return has_appeared || seek_at <= Instant::now();
        }
        look != self.look || look == Look::Failed || self.is_unfinished()
    }

    /// Whether the file has to be read again although it looks the same.
    fn is_unfinished(&self) -> bool {
        self.is_unsettled && !is_unsettled(self.look, Timestamp::now())
            || self.failing.is_some_and(|failing| failing.again_at <= Instant::now())
    }
}

/// Which file was read, what it looked like, and what came of it.
pub(super) struct Reading {
    pub(super) post: Arc<Post>,
    pub(super) look: Look,
    pub(super) read: Result<Fresh>,
}

impl Reading {
    /// When to look again for a site that is still not there.
    pub(super) fn seek_at(&self) -> Option<Instant> {
        self.post.source.is_awaited().then(|| Instant::now() + SOUGHT_EVERY)
    }
}

/// Reads the state. A malformed file is read again when it changes or a report
/// is due; an unreadable one on every request.
pub(super) fn read(post: &Arc<Post>, before: Option<&Snapshot>) -> Reading {
    match seek(post) {
        Ok(Some(post)) => {
            let (look, read) = read_file(&post.source, before);
            Reading { post, look, read }
        }
        Ok(None) => {
            let read = match before {
                Some(before) => Ok(Fresh { content: before.content.clone(), errors: Vec::new() }),
                None => nothing(&post.source),
            };
            Reading { post: post.clone(), look: Look::Missing, read }
        }
        // What has appeared may be planted. It is judged anew when it is sought again.
        Err(error) => Reading { post: post.clone(), look: post.lookout.look(), read: Err(error) },
    }
}

/// Returns where to read; `None` if the site is not there yet.
fn seek(post: &Arc<Post>) -> Result<Option<Arc<Post>>> {
    if !post.source.is_awaited() {
        return Ok(Some(post.clone()));
    }
    let Some(source) = post.source.appeared()? else { return Ok(None) };
    let path = source.state.clone();
    let post = Post::new(source).map_err(|source| Error::Unreadable { path, source })?;
    Ok(Some(Arc::new(post)))
}

/// What is in force where there is no state: nothing is down.
fn nothing(source: &Source) -> Result<Fresh> {
    let content = Arc::new(Content::of(source, State::default())?);
    Ok(Fresh { content, errors: Vec::new() })
}

fn read_file(source: &Source, before: Option<&Snapshot>) -> (Look, Result<Fresh>) {
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
            // It is now awaited in another place.
            Some(error) if !source.is_awaited() => (Look::Failed, Err(error)),
            _ => (Look::Missing, nothing(source)),
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
