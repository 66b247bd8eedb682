//! Container images and their bills of materials.

pub mod image;
pub mod images;
pub(crate) mod libraries;
pub mod licenses;
mod product;
pub mod root;
