//! Seeing when the state of a host is replaced.

use std::collections::HashMap;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use crate::common::Result;

/// How often a look ends although nothing came.
const TICK: Duration = Duration::from_millis(50);

/// Sees the state files of some hosts, at the cost of one read for each batch of changes.
pub(crate) struct Eyes {
    watches: OwnedFd,
    hosts: HashMap<i32, usize>,
    is_open: Arc<AtomicBool>,
}

impl Drop for Eyes {
    fn drop(&mut self) {
        self.is_open.store(false, Ordering::Relaxed);
    }
}

impl Eyes {
    /// Looks at `state.json` in each of these site directories.
    pub(crate) fn on<'a>(sites: impl IntoIterator<Item = &'a Path>) -> Result<Self> {
        let watches = inotify::init(CreateFlags::CLOEXEC)?;
        let mut hosts = HashMap::new();
        for (number, site) in sites.into_iter().enumerate() {
            hosts.insert(inotify::add_watch(&watches, site, WatchFlags::MOVED_TO)?, number);
        }
        let clock = tempfile::NamedTempFile::new()?;
        inotify::add_watch(&watches, clock.path(), WatchFlags::MODIFY)?;
        let is_open = Arc::new(AtomicBool::new(true));
        let goes_on = Arc::clone(&is_open);
        thread::spawn(move || {
            while goes_on.load(Ordering::Relaxed) {
                thread::sleep(TICK);
                let _ = tick(clock.as_file());
            }
        });
        Ok(Self { watches, hosts, is_open })
    }

    /// The hosts whose state was replaced since the last look; none if nothing comes for so long.
    pub(crate) fn look(&self, patience: Duration) -> Result<Vec<usize>> {
        let begun = Instant::now();
        loop {
            let seen = self.batch()?;
            if !seen.is_empty() || begun.elapsed() >= patience {
                return Ok(seen);
            }
        }
    }

    fn batch(&self) -> Result<Vec<usize>> {
        let mut seen = Vec::new();
        let mut buffer = [MaybeUninit::<u8>::uninit(); 16 * 1024];
        let mut reader = inotify::Reader::new(&self.watches, &mut buffer);
        loop {
            let event = reader.next()?;
            if event.file_name().is_some_and(|name| name.to_bytes() == b"state.json") {
                seen.extend(self.hosts.get(&event.wd()));
            }
            if reader.is_buffer_empty() {
                return Ok(seen);
            }
        }
    }
}

/// Ends a look by a change of another file.
fn tick(clock: &File) -> std::io::Result<()> {
    clock.set_modified(SystemTime::now())
}
