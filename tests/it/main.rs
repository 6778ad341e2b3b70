//! The integration tests, one binary: the real programs against real peers.

mod metrics;
mod pages;
