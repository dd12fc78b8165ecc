//! Linux, macOS and the BSDs.

mod files;
mod identity;
mod mounts;
mod people;
mod process;

pub(crate) use files::*;
pub(crate) use identity::*;
pub(crate) use mounts::*;
pub(crate) use people::*;
pub(crate) use process::*;
