//! The Pod as its author wrote it: containers, resources, platform.

pub(crate) mod document;
pub(crate) mod evictable;
pub(crate) mod inline_config;
pub(crate) mod reader;
pub(crate) mod resources;
pub(crate) mod typed;
pub(crate) mod windows;
