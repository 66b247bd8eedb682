//! The pull-through cache, with real git servers and real git as the follower.

mod access;
mod crashes;
mod faults;
mod followers;
mod full_disk;
mod origins;
mod peers;
mod pushes;
mod sharing;
mod waiting;
pub(crate) mod world;
