//! The integration tests, one binary: the real programs against real peers.

mod harness;

mod harness_self;
