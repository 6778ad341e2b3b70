//! From the spool to one receiver: events, put into parcels, sent, answered for, moved past or set aside.
//!
//! Refuses: to read a file of the spool by itself, to hold up another receiver, to know the options of the program.

pub mod batch;
pub mod event;
pub mod filter;
pub mod format;
pub mod frame;
pub mod parcel;
pub mod quarantine;
pub mod sender;
pub mod transport;
