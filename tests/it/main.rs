//! The integration tests, one binary: the real programs against real peers.
// The oldest Rust is a promise about the programs; tests are built by today's.
#![allow(clippy::incompatible_msrv)]

mod harness;

mod alerts;
mod audit_alarms;
mod audit_answers;
mod audit_apis;
mod audit_belonging;
mod audit_evidence;
mod audit_file;
mod audit_gone;
mod audit_kill;
mod audit_nginx;
mod audit_outage;
mod audit_pack;
mod audit_receivers;
mod audit_records;
mod audit_reload;
mod audit_rights;
mod audit_seal;
mod audit_secrets;
mod audit_seeing;
mod audit_socket;
mod audit_spec;
mod audit_spool;
mod audit_status;
mod audit_syslog;
mod audit_tools;
mod audit_walls;
mod boards;
mod documents;
mod examples;
mod formats;
mod harness_self;
mod lab;
mod metrics;
mod outlets;
mod packages;
mod pages;
mod status_pages;
mod tidy;
mod units;
