//! Flags: files that software obeys which knows nothing of maint.
//!
//! A site declares the flags of its host in `flags.json`, beside the state and not in it: what
//! is down is the same everywhere, which files must follow is the affair of one host. Each
//! change of the state brings them in step, under the same lock, after the state itself.
//!
//! A flag is derived from the state. It can be thrown away and made anew, and is never read
//! back as truth. It never stops more than the windows that are open.

mod carries;
mod declared;
mod definition;
mod fact;
mod flag;
mod kinds;
mod lack;
mod notice;
mod piece;
mod plan;
mod reach;
mod standing;
mod sync;
#[cfg(all(test, unix))]
mod tests;

pub use carries::lacks;
pub(crate) use declared::validate_id;
pub use declared::{Flags, read};
pub use definition::Definition;
pub use fact::Fact;
pub use flag::{Did, Flag, Kind, Options};
pub(crate) use kinds::check;
pub use kinds::{definition, definitions};
pub use lack::{Lack, Missing};
pub(crate) use plan::Effort;
pub use standing::{Found, Report, Standing};
pub use sync::look;
pub(crate) use sync::{
    clear, footprint, is_costly, look_at, looking, refuse_taken, sync, take_over,
};
