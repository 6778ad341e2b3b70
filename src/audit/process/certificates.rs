//! The certificates of the receivers: told at the start, when a file changes and once a day, in time and when they have
//! ended. Refuses: to say more than once a day what has not changed.

use crate::audit::alarm::AlarmKind;
use crate::audit::options::Options;
use crate::audit::spool::Spool;
use crate::net::expiry::{Expiry, Named};
use crate::{limits, log};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The files that the receivers' options name.
#[derive(Debug)]
pub struct Certificates {
    expiry: Expiry,
    next: Mutex<Instant>,
}

impl Certificates {
    /// Those of these options.
    pub fn of(options: &Options) -> Certificates {
        let targets = options.receivers.iter().flat_map(|r| &r.targets);
        let named = targets.flat_map(|t| {
            let (own, trusted) = (t.to.tls.certificate.as_deref(), t.to.tls.ca.as_deref());
            own.map(Named::certificate).into_iter().chain(trusted.map(Named::authority))
        });
        Certificates { expiry: Expiry::new(named), next: Mutex::new(Instant::now()) }
    }

    /// What a worker before has left about files that are not named any more is over.
    pub fn end_others(&self, spool: &Spool) {
        spool.troubles.over_where(|kind, about| kind == AlarmKind::CertificateEnds && !self.expiry.is_about(about));
    }

    /// Looks whether anything is to be told, when it is time for that; `now` in milliseconds since 1970.
    pub fn look(&self, spool: &Spool, now: i64) {
        {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            if Instant::now() < *next {
                return;
            }
            *next = Instant::now() + Duration::from_secs(limits::CERTIFICATE_LOOK_SECONDS);
        }
        for seen in self.expiry.look(now / 1000) {
            let Some(text) = seen.wrong else {
                if spool.troubles.over(AlarmKind::CertificateEnds, &seen.about).is_some() {
                    log::info(&seen.about, "is valid again");
                }
                continue;
            };
            if seen.news {
                // The next day is news again.
                log::calm(&seen.about);
                // The line names it already.
                let line = text.strip_prefix(&seen.about).map_or(text.as_str(), str::trim_start);
                match seen.invalid {
                    true => log::error(&seen.about, line),
                    false => log::warn(&seen.about, line),
                }
            }
            spool.troubles.fires(AlarmKind::CertificateEnds, &seen.about, &text);
        }
    }

    /// The files, and when the certificates in them end, in seconds since 1970.
    pub fn ends(&self) -> Vec<(String, i64)> {
        self.expiry.ends()
    }
}
