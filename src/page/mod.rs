//! The page that a blocked request gets: templates, formats and header fields.

mod accept;
pub mod pages;
mod policy;
pub mod render;
pub mod reply;
pub mod template;

pub use pages::Pages;
pub use render::{Context, Templates};
pub use reply::Reply;
