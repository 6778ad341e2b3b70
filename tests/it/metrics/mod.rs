//! The metrics helper: against a stand-in fed with recorded answers, against Debian's tarantool, promtool and Prometheus.

mod helper;
mod hostile;
mod judges;
mod picodata;
mod stand;
mod street;
mod tarantool;
mod ways;
