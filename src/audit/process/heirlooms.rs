//! What outlives every worker: the cushion, the pipe before it, the memory for when the disk fails, the lock of the home.
//!
//! All are descriptors that the keeper holds. Refuses: to be made twice.

use crate::audit::process::succession;
use crate::audit::record::mark::Mark;
use crate::audit::spool::lock;
use crate::audit::spool::memory_disk::MemoryDisk;
use crate::error::{Error, Result};
use crate::sys::ring::Ring;
use crate::sys::{crash, pipe, process};
use crate::{limits, log};
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// As large as was asked for, or as the system lets it be: a file of memory counts for the limit of file sizes as well.
fn cushion(wanted: u64) -> std::io::Result<Ring> {
    let mut size = wanted;
    loop {
        match Ring::create(size as usize, Mark::stream_once(process::chance())) {
            Err(e) if matches!(e.raw_os_error(), Some(libc::EFBIG | libc::ENOMEM)) && size > limits::MEMORY_BYTES.0 => {
                size = (size / 2).max(limits::MEMORY_BYTES.0);
            }
            Ok(ring) if size < wanted => {
                let cure = "raise the limit of file sizes or of memory (`LimitFSIZE=`, `LimitAS=`, `ulimit -f -v`)";
                let text = format!(
                    "--memory-max: {wanted} bytes cannot be had here, only {size}; going on with these; {cure}"
                );
                log::warn("start", text);
                return Ok(ring);
            }
            other => return other,
        }
    }
}

/// What outlives every worker.
#[derive(Debug)]
pub struct Heirlooms {
    /// The cushion.
    pub ring: Arc<Ring>,
    /// The pipe between stdin and the ring.
    pub relay: Arc<(OwnedFd, OwnedFd)>,
    /// The memory for when the disk fails.
    pub memory_disk: File,
}

impl Heirlooms {
    /// New ones, for the first keeper.
    pub fn make(memory: u64, env: &[(OsString, OsString)]) -> Result<Heirlooms> {
        let made = succession::insist("make the memory between the database and the worker", false, || {
            let ring = cushion(memory)?;
            let relay = pipe::pair()?;
            let memory_disk = MemoryDisk::create()?;
            lock::keep_locks()?;
            Ok((ring, relay, memory_disk))
        });
        let (ring, relay, memory_disk) = made.map_err(|e| Error::failed(format!("cannot make the cushion: {e}")))?;
        let _ = pipe::widen(relay.0.as_fd(), limits::PIPE_BYTES);
        let ring = Arc::new(ring);
        crash::arm(env, Some(ring.clone()));
        Ok(Heirlooms { ring, relay: Arc::new(relay), memory_disk })
    }
}
