//! A disk with a write cache that forgets.
//!
//! When qemu is killed, what its own disks wrote is in the host's cache and stays. A
//! real disk without a battery promises less: what was written before a flush is there,
//! and of the later writes any part may be, in any order. So this disk keeps unflushed
//! writes apart, and throws dice over them at the cut.

use crate::dice::Dice;

/// The unit that is written whole or not at all, as on a disk with sectors of 4 KiB.
/// ext4 needs this much: if a commit of its journal is torn in smaller pieces, it gives
/// up the journal and cannot be mounted any more, whoever wrote.
const BLOCK: usize = 4096;

/// What happens to writes that were never flushed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// All of them are gone.
    Everything,
    /// Each of them is there or not, whatever came before it.
    SomeWrites,
    /// Each block of each of them is there or not.
    SomeBlocks,
}

impl Loss {
    pub(crate) const ALL: [Self; 3] = [Self::Everything, Self::SomeWrites, Self::SomeBlocks];
}

struct Write {
    at: usize,
    bytes: Vec<u8>,
}

pub(crate) struct Disk {
    /// What the machine reads.
    seen: Vec<u8>,
    /// What is sure to survive.
    certain: Vec<u8>,
    /// The writes since the last flush, in their order.
    pending: Vec<Write>,
}

impl Disk {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { seen: bytes.clone(), certain: bytes, pending: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }

    /// The bytes at a place, if there is such a place.
    pub(crate) fn read(&self, at: usize, length: usize) -> Option<&[u8]> {
        self.seen.get(at..at.checked_add(length)?)
    }

    /// Whether there was room for the bytes.
    pub(crate) fn write(&mut self, at: usize, bytes: Vec<u8>) -> bool {
        let there = at.checked_add(bytes.len()).and_then(|end| self.seen.get_mut(at..end));
        let Some(there) = there else { return false };
        there.copy_from_slice(&bytes);
        self.pending.push(Write { at, bytes });
        true
    }

    pub(crate) fn flush(&mut self) {
        for Write { at, bytes } in self.pending.drain(..) {
            self.certain[at..at + bytes.len()].copy_from_slice(&bytes);
        }
    }

    /// Cuts the power. Returns how many writes had not been flushed.
    pub(crate) fn cut(&mut self, loss: Loss, dice: &mut Dice) -> usize {
        let pending = std::mem::take(&mut self.pending);
        for Write { at, bytes } in &pending {
            let piece = if matches!(loss, Loss::SomeBlocks) { BLOCK } else { bytes.len() };
            for (number, piece) in bytes.chunks(piece).enumerate() {
                let stays = !matches!(loss, Loss::Everything) && dice.coin();
                if stays {
                    let at = at + number * BLOCK;
                    self.certain[at..at + piece.len()].copy_from_slice(piece);
                }
            }
        }
        self.seen.clone_from(&self.certain);
        pending.len()
    }
}
