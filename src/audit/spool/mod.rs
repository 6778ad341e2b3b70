//! (room)

pub mod ark;
pub mod disk;
pub mod record;
pub mod slots;
pub mod walk;
