//! Linux, macOS and the BSDs.

mod files;
mod identity;
mod mounts;
mod people;

pub(crate) use files::*;
pub(crate) use identity::*;
pub(crate) use mounts::*;
pub(crate) use people::*;
