//! The page that a blocked request gets: templates, formats and header fields.

mod accept;
mod bounds;
mod escape;
pub(crate) mod language;
mod links;
pub(crate) mod loads;
pub(crate) mod pages;
mod policy;
pub(crate) mod render;
pub(crate) mod reply;
pub(crate) mod scripts;
pub(crate) mod template;
mod texts;

pub use crate::format::Format;
pub use render::Context;
pub(crate) use render::Templates;
pub use reply::Reply;
pub use texts::Texts;
