//! The integration tests, one binary: the real programs against real peers.

mod harness;

mod audit_answers;
mod audit_kill;
mod audit_nginx;
mod audit_outage;
mod audit_receivers;
mod audit_records;
mod audit_secrets;
mod audit_seeing;
mod audit_spec;
mod audit_spool;
mod audit_tools;
mod harness_self;
mod pages;
mod tidy;
