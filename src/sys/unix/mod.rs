//! Linux, macOS and the BSDs.

mod files;
mod mounts;
mod people;

pub(crate) use files::*;
pub(crate) use mounts::*;
pub(crate) use people::*;
