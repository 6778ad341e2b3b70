//! One connection to one place, kept from one use to the next as long as it is whole and young.
//!
//! Whoever sends over a stream takes it here and puts it back when all went well; one that is not put back is
//! closed, and the next use opens another. Refuses: to hand out a connection that the other side has ended or spoken on
//! meanwhile.

use crate::limits;
use crate::net::dial::{Dial, Patience};
use crate::net::failure::{Failure, FailureKind};
use crate::net::stream::Stream;
use std::time::{Duration, Instant};

/// A place, and the connection to it.
pub struct Kept {
    dial: Dial,
    place: String,
    connect: Duration,
    have: Option<Conn>,
}

/// A connection in use.
pub struct Conn {
    /// To be read and written.
    pub stream: Stream,
    born: Instant,
    /// How long its opening took, until it has been put back once.
    opening: Option<Duration>,
}

impl Conn {
    /// Nobody has put it back yet: how long its opening took.
    pub fn is_new(&self) -> Option<Duration> {
        self.opening
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.stream.leave();
    }
}

impl Kept {
    /// To there, within this time; `place` is its name for people.
    pub fn new(dial: Dial, place: String, connect: Duration) -> Kept {
        Kept { dial, place, connect, have: None }
    }

    /// Where it goes, for people.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The connection, for one use; opening one may not last longer than until then.
    pub fn take(&mut self, end: Instant) -> Result<Conn, Failure> {
        let young = |c: &Conn| c.born.elapsed() < Duration::from_secs(limits::HTTP_AGE_SECONDS);
        if let Some(mut conn) = self.have.take().filter(young) {
            if conn.stream.is_idle() {
                return Ok(conn);
            }
        }
        let born = Instant::now();
        let stream = self.dial.open(Patience::Until(end.min(born + self.connect))).map_err(|f| self.explained(f))?;
        Ok(Conn { stream, born, opening: Some(born.elapsed()) })
    }

    /// The connection that there is, as it is.
    pub fn have(&mut self) -> Option<Conn> {
        self.have.take()
    }

    /// Keeps it for the next use.
    pub fn put(&mut self, conn: Conn) {
        let mut conn = conn;
        conn.opening = None;
        self.have = Some(conn);
    }

    /// Reads every file without connecting: the first trouble, if any.
    pub fn check(&self) -> Result<(), Failure> {
        self.dial.tls.as_ref().map_or(Ok(()), |tls| tls.config().map(drop))
    }

    /// Certificates are read again, for another connection.
    pub fn reload(&mut self) {
        self.rest();
        if let Some(tls) = &self.dial.tls {
            tls.reload();
        }
    }

    /// Gives the connection up.
    pub fn rest(&mut self) {
        self.have = None;
    }

    /// As it will be when it has been kept for too long.
    #[cfg(test)]
    pub fn grow_old(&mut self) {
        let long = Duration::from_secs(limits::HTTP_AGE_SECONDS + 1);
        self.have.iter_mut().for_each(|conn| conn.born = conn.born.checked_sub(long).expect("a past"));
    }

    fn explained(&self, f: Failure) -> Failure {
        match f.kind {
            FailureKind::Timeout if self.dial.tls.is_some() => {
                Failure::new(f.kind, format!("{}; does it speak TLS on this port?", f.text))
            }
            _ => f,
        }
    }
}
