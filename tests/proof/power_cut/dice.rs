//! Random numbers, from a seed that the report can name.

use crate::numbers::Numbers;

pub(crate) struct Dice(Numbers);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Numbers(seed))
    }

    /// A seed that differs from run to run.
    pub(crate) fn seed() -> u64 {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("the system has random numbers");
        u64::from_le_bytes(bytes)
    }

    /// A number below a limit.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0.any() % limit
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}
