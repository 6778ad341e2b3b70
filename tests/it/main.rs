//! The integration tests, one binary: the real programs against real peers.

mod pages;
mod tidy;
