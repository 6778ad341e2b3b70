//! The text of a file of a log, unpacked where it was packed, from any place on.
//!
//! What a hole stands before begins behind it: a log that was truncated under a writer who goes on at his old place begins
//! with as many zeros as there were bytes. Refuses: to write, to wait.

use crate::limits;
use crate::sys::file;
use flate2::read::MultiGzDecoder;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// What editors put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where bytes come from.
pub enum Text {
    /// As they are.
    Plain(File),
    /// Packed, and how far it is unpacked.
    Packed(Box<MultiGzDecoder<FromStart>>, u64),
}

/// Whether an error is one of what is packed, not of the disk.
pub fn is_damage(e: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(e.kind(), InvalidData | InvalidInput | UnexpectedEof)
}

/// A file from its beginning on, whoever else reads it; under whatever name it is by now.
pub struct FromStart(Arc<File>, u64);

impl Read for FromStart {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(room, self.1).inspect(|n| self.1 += *n as u64)
    }
}

/// What stands in the place of a log and is none; its cure is not a right.
pub fn no_file(meta: &Metadata) -> io::Error {
    io::Error::other(match meta.is_dir() {
        true => "it is a directory: name the file in it",
        false => "it is no regular file: --type fifo reads a FIFO, --type unix a socket",
    })
}

/// Whether the file of this name can be read, begun or not.
pub fn readable(path: &Path) -> io::Result<()> {
    Text::open(path).map(drop)
}

impl Text {
    /// Of the file of this name.
    pub fn open(path: &Path) -> io::Result<(Text, Metadata)> {
        // Whoever opens a FIFO waits for its other end, for ever.
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(no_file(&meta));
        }
        let packed = path.extension().is_some_and(|e| e == "gz");
        let text = if packed {
            Text::Packed(Box::new(MultiGzDecoder::new(FromStart(Arc::new(file), 0))), 0)
        } else {
            Text::Plain(file)
        };
        Ok((text, meta))
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        match self {
            Text::Plain(file) => file,
            Text::Packed(packed, _) => &packed.get_ref().0,
        }
    }

    /// From its beginning on.
    pub fn again(&mut self) {
        if let Text::Packed(packed, passed) = self {
            let file = packed.get_ref().0.clone();
            (**packed, *passed) = (MultiGzDecoder::new(FromStart(file, 0)), 0);
        }
    }

    /// Where the first byte stands that is no zero, nor of a byte order mark; none: there is none.
    pub fn first(&mut self) -> io::Result<Option<u64>> {
        let (mut at, mut some) = (0, [0; 4096]);
        while at < limits::HOLE_BYTES {
            if let (Text::Plain(file), true) = (&*self, at > 0) {
                at = match file::data_from(file, at) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => break,
                    // Not every file system can tell.
                    found => found.unwrap_or(at),
                };
            }
            let got = self.read(at, &mut some)?;
            if let Some(n) = some[..got].iter().position(|b| *b != 0) {
                let mark = if some[n..got].starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
                return Ok(Some(at + (n + mark) as u64));
            }
            if got == 0 {
                break;
            }
            at += got as u64;
        }
        Ok(None)
    }

    /// Where it ends now.
    pub fn end(&mut self) -> io::Result<u64> {
        match self {
            Text::Plain(file) => file.metadata().map(|m| m.len()),
            Text::Packed(packed, passed) => {
                let end = io::copy(packed, &mut io::sink()).map(|n| *passed + n);
                // Whoever unpacks tells of damage once.
                self.again();
                end
            }
        }
    }

    /// Reads from a place on, as much as there is.
    pub fn read(&mut self, at: u64, room: &mut [u8]) -> io::Result<usize> {
        if matches!(self, Text::Packed(_, passed) if *passed > at) {
            self.again();
        }
        let mut done = 0;
        while done < room.len() {
            let got = match self {
                Text::Plain(file) => file.read_at(&mut room[done..], at + done as u64),
                Text::Packed(packed, passed) => {
                    let skip = at - (*passed).min(at);
                    *passed += io::copy(&mut packed.by_ref().take(skip), &mut io::sink())?;
                    if *passed < at {
                        break;
                    }
                    packed.read(&mut room[done..]).inspect(|n| *passed += *n as u64)
                }
            };
            match got {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // What was unpacked before is good; the damage is met again behind it.
                Err(e) if is_damage(&e) && done > 0 => {
                    self.again();
                    break;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }
}
