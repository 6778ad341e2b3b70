//! The processes of the helper and their threads: keeper, stand-in, worker; who starts, replaces, confines and watches whom.
//!
//! Refuses: to know how an event is read, stored or sent.

pub mod adopt;
pub mod cage;
pub mod certificates;
pub mod claim;
pub mod crew;
mod feeder;
mod handlers;
pub mod heirlooms;
pub mod history;
pub mod keeper;
pub mod opening;
pub mod overview;
pub mod pace;
pub mod packer;
pub mod page;
pub mod reload;
pub mod run_state;
pub mod sealer;
pub mod speaker;
pub mod standstill;
pub mod start;
pub mod stopped;
pub mod stranded;
pub mod succession;
pub mod tender;
pub mod whereabouts;
pub mod worker;
