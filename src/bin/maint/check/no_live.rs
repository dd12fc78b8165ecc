//! `maint check --live`, in a build that asks nobody.

use anyhow::Result;
use maint::Error;

use crate::args::Check;
use crate::exit::Exit;
use crate::session::Session;

pub(super) fn run(_: &Session, _: &Check) -> Result<Exit> {
    Err(Error::invalid_with(
        "this build cannot ask a site: it lacks the feature `fleet`",
        "the released `maint` has it; `cargo install maint --features full` builds it in",
    )
    .into())
}
