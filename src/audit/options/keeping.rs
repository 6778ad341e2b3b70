//! Where a spool is kept and how, by the options: the same for the worker, the adopter and the commands.
//!
//! Refuses: to make or to open anything.

use super::Options;
use crate::audit::spool::place;
use crate::audit::spool::record::Identity;
use crate::audit::spool::Settings;
use crate::limits;
use crate::sys::{file, process};
use std::path::{Path, PathBuf};

/// How a spool is to be kept, by the options.
pub fn settings(options: &Options, dir: Option<&Path>) -> Settings {
    let space = dir.and_then(|d| file::space(d).ok());
    let tenth = space.map_or(limits::SPOOL_DEFAULT_BYTES, |s| s.total / 10);
    let default = limits::SPOOL_DEFAULT_BYTES.min(tenth).max(limits::SPOOL_MIN_BYTES);
    let node = process::host_name();
    Settings {
        max: options.spool_max.unwrap_or(default),
        full: options.full,
        retain_ms: options.retain.as_millis() as u64,
        memory_max: options.memory_max,
        identity: Identity {
            cluster: options.cluster.clone(),
            instance: options.instance.clone().unwrap_or_else(|| node.clone()),
            node,
        },
        receivers: options.receivers.iter().map(|r| (r.name.clone(), r.optional)).collect(),
        owner: None,
        sealing: None,
    }
}

/// The directories that may hold the spool.
pub fn roots(options: &Options) -> Vec<PathBuf> {
    place::candidates(options.spool_dir.as_deref(), options.state_directory.as_deref())
}

/// The name of the sub-directory of this instance.
pub fn base_name(options: &Options) -> String {
    options.instance.as_deref().map_or_else(|| "default".to_string(), place::directory_name)
}
