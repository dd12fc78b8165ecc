//! Something that runs beside a test, and no longer than the test.

use std::sync::atomic::{AtomicBool, Ordering};

/// Stops what runs beside a test when the test ends, however it ends.
pub(crate) struct Meanwhile(AtomicBool);

impl Meanwhile {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(true))
    }

    pub(crate) fn goes_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Runs the test itself, and stops everything else afterwards, even after a panic.
    pub(crate) fn of<R>(&self, test: impl FnOnce() -> R) -> R {
        struct End<'a>(&'a AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::Relaxed);
            }
        }
        let _end = End(&self.0);
        test()
    }
}
