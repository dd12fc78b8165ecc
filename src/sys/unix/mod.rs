//! Linux, macOS and the BSDs.

mod files;
mod identity;
mod mounts;
mod people;
mod process;
#[cfg(feature = "serve")]
mod sockets;

pub(crate) use files::*;
pub(crate) use identity::*;
pub(crate) use mounts::*;
pub(crate) use people::*;
pub(crate) use process::*;
#[cfg(feature = "serve")]
pub(crate) use sockets::*;
