//! Builders and tests that need more than one room.
