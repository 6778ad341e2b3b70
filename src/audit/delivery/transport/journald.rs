//! Events as entries of systemd's journal, by its native protocol: a datagram each, or a sealed memory file where it is long.
//!
//! The journal acknowledges nothing: an event counts as taken when the kernel has queued it for journald. And journald drops
//! without a word what comes faster than its rate limit lets it (10,000 entries in 30 s for each service):
//! `RateLimitIntervalSec=0` in journald.conf, or `LogRateLimitIntervalSec=0` in the unit. Refuses: to wait without end for room,
//! what journald would throw away for its length.

use super::route::Route;
use super::row::{Promise, Transport};
use crate::audit::delivery::frame::Frame;
use crate::audit::delivery::parcel::{About, Blame, Delivery, Parcel, Said, Sink, Why};
use crate::error::Result;
use crate::flags::text;
use crate::limits;
use crate::net::datagram::Datagrams;
use crate::net::failure::{words, Failure, FailureKind};
use crate::net::target::{Place, Scheme, Shape};
use crate::sys::file;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where journald listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// `journald://`
pub const JOURNALD: Transport = Transport {
    scheme: &Scheme { name: "journald", shape: Shape::Usual { path: SOCKET }, tls: false },
    url: "journald://[/PATH/TO.SOCK]",
    about: text(
        "systemd's journal, a field each: `journalctl PICODATA_TITLE=create_user`; taken when the kernel has queued it (mind its rate limit)",
        "журнал systemd, по полю на поле события: `journalctl PICODATA_TITLE=create_user`; принято, когда стоит в очереди ядра (учтите лимит частоты)",
    ),
    formats: &["journal"],
    frame: Some(Frame::Bare),
    options: &[],
    promise: Promise::Sent,
    open,
    wishes: |_| Vec::new(),
};

fn open(route: &Route) -> Result<Box<dyn Sink>> {
    let path = route.to.target.path().unwrap_or(Path::new(SOCKET)).to_path_buf();
    let entries = Entries::new(path.clone());
    Ok(Box::new(Journal { path, entries, place: route.to.target.display(), patience: route.to.timeouts.total }))
}

/// The sink.
struct Journal {
    path: PathBuf,
    entries: Entries,
    place: String,
    patience: Duration,
}

impl Sink for Journal {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        let deadline = Instant::now() + self.patience;
        for i in 0..parcel.len() {
            let entry = parcel.event(i);
            if entry.len() > limits::JOURNAL_ENTRY_BYTES {
                let text = format!("it is {} bytes as an entry, which journald throws away", entry.len());
                return Delivery::up_to(i, Why::Content(Blame::Certain), About::Next, Said { status: None, text });
            }
            if let Err(f) = self.entries.send(entry, deadline) {
                return Delivery::up_to(i, Why::NotSent(f.kind), About::Rest, f.into());
            }
        }
        Delivery::whole(parcel, Said::default())
    }

    fn check(&mut self) -> std::result::Result<(), Failure> {
        look(&self.path)
    }

    fn reload(&mut self) {
        self.entries.0.rest();
    }

    fn rest(&mut self) {
        self.entries.0.rest();
    }

    fn place(&self) -> String {
        self.place.clone()
    }
}

/// Whether somebody listens there.
pub fn look(path: &Path) -> std::result::Result<(), Failure> {
    let connected = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    connected.map_err(|e| {
        let text = format!("cannot reach journald at `{}`: {}; is it running?", path.display(), words(&e));
        Failure::new(FailureKind::Connect, text)
    })
}

/// Sends entries to a journald.
#[derive(Debug)]
pub struct Entries(Datagrams);

impl Entries {
    /// To the one that listens there.
    pub fn new(path: PathBuf) -> Entries {
        Entries(Datagrams::new(Place::Unix { path }))
    }

    /// Sends one, waiting for room until the deadline.
    pub fn send(&mut self, entry: &[u8], deadline: Instant) -> std::result::Result<(), Failure> {
        if entry.len() <= limits::DATAGRAM_BYTES {
            match self.0.send(entry, deadline) {
                // Longer than the socket's buffer.
                Err(f) if f.kind == FailureKind::Protocol => {}
                other => return other,
            }
        }
        let file = file::sealed("gostech-journal-entry", entry).map_err(|e| {
            Failure::new(FailureKind::File, format!("cannot make memory for an entry of the journal: {}", words(&e)))
        })?;
        self.0.pass(&file, deadline)
    }
}
