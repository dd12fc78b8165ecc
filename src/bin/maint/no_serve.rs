//! `maint serve`, in a build that has no endpoint.

use anyhow::Result;
use maint::Error;

use crate::args::Serve;
use crate::exit::Exit;
use crate::session::Session;

pub(crate) fn run(_: &Session, _: &Serve) -> Result<Exit> {
    Err(Error::invalid_with(
        "this build answers no proxies: it lacks the feature `serve`",
        "the released `maint` has it; `cargo install maint --features full` builds it in",
    )
    .into())
}
