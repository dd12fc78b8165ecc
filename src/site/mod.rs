//! The site directory: which one is meant, and where its files are.

mod directory;
mod discover;
mod environment;
mod files;
mod project;
mod trust;

pub use directory::{Found, PassedOver, Site};
pub use environment::{DIRECTORY, Environment, PASSWORD, VARIABLE};
pub use files::Files;
