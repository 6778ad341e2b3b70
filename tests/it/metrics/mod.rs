//! The metrics helper: against a stand-in fed with recorded answers, against Debian's tarantool, promtool and Prometheus.

mod checks;
mod cluster;
mod collectd;
pub mod helper;
pub mod hostile;
mod judges;
mod local;
mod locks;
mod logins;
mod picodata;
mod picodata_26;
mod proxies;
mod push;
mod queries;
mod reload;
mod requests;
mod sink;
mod sizes;
pub mod stand;
mod statsd;
mod street;
pub mod tarantool;
pub mod villain;
mod ways;
