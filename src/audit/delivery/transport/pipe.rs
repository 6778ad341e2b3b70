//! Events as lines into a FIFO (`fifo:///path`) or into standard output (`-`): for mtail, and for whatever reads lines.
//!
//! A pipe acknowledges nothing: an event counts as taken when the pipe has it. What its reader had read when it died is gone;
//! what it had not read waits in the pipe for the next one, as long as we hold our end. A line that fits the pipe goes in one
//! write, for which the pipe has room, so no death of ours tears it: whoever comes next would glue another one to it.
//! Our end of a FIFO is open also when nobody reads: a reader that looks now and then (mtail) would find an empty one and go.
//! Refuses: to wait without end for a reader or for room, to change the flags of standard output, which others have too.

use super::file::LINES;
use super::route::Route;
use super::row::{Promise, Transport};
use crate::audit::delivery::frame::Frame;
use crate::audit::delivery::parcel::{About, Delivery, Parcel, Said, Sink, Why};
use crate::error::Result;
use crate::flags::text;
use crate::guard::files::Wish;
use crate::limits;
use crate::net::failure::{words, Failure, FailureKind};
use crate::net::target::{Scheme, Shape};
use crate::sys::pipe;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// `fifo:///path`
pub const FIFO: Transport = Transport {
    scheme: &Scheme { name: "fifo", shape: Shape::File, tls: false },
    url: "fifo:///PATH/FIFO",
    about: text(
        "lines into a FIFO, as mtail reads them; taken when the pipe has them",
        "строки в FIFO, как их читает mtail; приняты, когда они в канале",
    ),
    formats: LINES,
    frame: Some(Frame::Lines),
    options: &[],
    promise: Promise::Sent,
    open,
    wishes: |route| route.to.target.path().map(|p| Wish::Device(p.to_path_buf())).into_iter().collect(),
};

const NO_FIFO: &str = "it is no FIFO: remove it and `mkfifo` it, or write file:///…";

/// `-`
pub const STDOUT: Transport = Transport {
    scheme: &Scheme { name: "-", shape: Shape::Word, tls: false },
    url: "-",
    about: text(
        "lines to standard output; taken when it has them",
        "строки в стандартный вывод; приняты, когда они в нём",
    ),
    wishes: |_| Vec::new(),
    ..FIFO
};

fn open(route: &Route) -> Result<Box<dyn Sink>> {
    let path = route.to.target.path().map(PathBuf::from);
    Ok(Box::new(Pipe { path, patience: route.to.timeouts.total, end: None, rest: None }))
}

/// The sink.
#[derive(Debug)]
struct Pipe {
    /// None: standard output.
    path: Option<PathBuf>,
    patience: Duration,
    end: Option<End>,
    /// What is still to be written of a line that did not fit the pipe, and the id of its event.
    rest: Option<(Vec<u8>, String)>,
}

/// Our end.
#[derive(Debug)]
struct End {
    file: File,
    /// Device and number.
    place: (u64, u64),
    /// It is a pipe, and holds so much.
    holds: Option<usize>,
    /// For sentences.
    name: String,
}

impl Sink for Pipe {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        let deadline = Instant::now() + self.patience;
        let mut taken = 0;
        match self.write(parcel, deadline, &mut taken) {
            Ok(()) => Delivery::whole(parcel, Said::default()),
            Err(f) => Delivery::up_to(taken, Why::NotSent(f.kind), About::Rest, f.into()),
        }
    }

    fn check(&mut self) -> Done<()> {
        let Some(path) = &self.path else { return Ok(()) };
        match std::fs::metadata(path) {
            Ok(m) if m.file_type().is_fifo() => Ok(()),
            Ok(_) => Err(self.failed(NO_FIFO)),
            Err(e) => Err(self.failed(&cure(&e))),
        }
    }

    /// Our end is kept, whatever comes: with it goes what nobody has read.
    fn reload(&mut self) {}

    fn rest(&mut self) {}

    fn place(&self) -> String {
        self.path.as_ref().map_or_else(|| "-".into(), |p| format!("fifo://{}", p.display()))
    }
}

type Done<T> = std::result::Result<T, Failure>;

impl Pipe {
    fn write(&mut self, parcel: &Parcel<'_>, deadline: Instant, taken: &mut usize) -> Done<()> {
        let end = match self.end.take().filter(|end| self.has_name(end)) {
            Some(end) => end,
            None => {
                // In another pipe nobody waits for the rest of a line.
                self.rest = None;
                self.opened()?
            }
        };
        let end = self.end.insert(end);
        if let Some((rest, id)) = self.rest.take() {
            if let Err((n, f)) = end.put(&rest, deadline) {
                self.rest = Some((rest[n..].to_vec(), id));
                return Err(f);
            }
            *taken += usize::from(parcel.id(0) == id);
        }
        while *taken < parcel.len() {
            let start = parcel.events[*taken].start;
            let next = end.group(parcel, *taken);
            // Each with its newline, which the frame has put behind it.
            let written = end.put(&parcel.bytes[start..=parcel.events[next - 1].end], deadline);
            let Err((n, f)) = written else {
                *taken = next;
                continue;
            };
            *taken += (*taken..next).take_while(|i| parcel.events[*i].end < start + n).count();
            if *taken < next && parcel.events[*taken].start < start + n {
                let rest = parcel.bytes[start + n..=parcel.events[*taken].end].to_vec();
                self.rest = Some((rest, parcel.id(*taken).to_string()));
            }
            return Err(f);
        }
        Ok(())
    }

    fn opened(&self) -> Done<End> {
        let Some(path) = &self.path else {
            let copy = io::stdout().as_fd().try_clone_to_owned().map_err(|e| self.failed(&words(&e)))?;
            return self.end_of(File::from(copy));
        };
        match pipe::open_writer(path) {
            Ok(file) if is_fifo(&file) => self.end_of(file),
            Ok(_) => Err(self.failed(NO_FIFO)),
            Err(e) => Err(self.failed(&cure(&e))),
        }
    }

    fn end_of(&self, file: File) -> Done<End> {
        let meta = file.metadata().map_err(|e| self.failed(&words(&e)))?;
        // The more it holds, the longer a line may be that no death tears.
        let _ = pipe::widen(file.as_fd(), limits::PIPE_BYTES);
        let holds = pipe::size(file.as_fd()).ok();
        Ok(End { file, place: (meta.dev(), meta.ino()), holds, name: Sink::place(self) })
    }

    fn has_name(&self, end: &End) -> bool {
        let place = |path| std::fs::symlink_metadata(path).map(|m| (m.dev(), m.ino()));
        self.path.as_ref().is_none_or(|path| place(path).is_ok_and(|p| p == end.place))
    }

    fn failed(&self, why: &str) -> Failure {
        Failure::new(FailureKind::File, format!("cannot write to `{}`: {why}", Sink::place(self)))
    }
}

impl End {
    /// Writes what belongs together; the error: how much of it is written, and why no more.
    fn put(&self, bytes: &[u8], deadline: Instant) -> std::result::Result<(), (usize, Failure)> {
        let mut at = 0;
        // So long another reader is waited for.
        let patience = Duration::from_millis(limits::FIFO_WAIT_MILLIS);
        let mut alone = Instant::now() + patience;
        while at < bytes.len() {
            let now = Instant::now();
            if now >= deadline {
                let text = format!("whoever reads `{}` takes nothing: the time was over", self.name);
                return Err((at, Failure::new(FailureKind::Timeout, text)));
            }
            let fits = self.holds.is_some_and(|holds| bytes.len() <= holds);
            if fits && at == 0 && bytes.len() > limits::PIPE_ATOM_BYTES && !self.has_room(bytes.len()) {
                nap();
                continue;
            }
            if !pipe::takes(self.file.as_fd(), deadline - now) {
                continue;
            }
            let most = if fits { bytes.len() } else { bytes.len().min(at + limits::PIPE_ATOM_BYTES) };
            match (&self.file).write(&bytes[at..most]) {
                Ok(n) => {
                    at += n;
                    alone = Instant::now() + patience;
                }
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => nap(),
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe && now < alone => nap(),
                Err(e) => {
                    let gone = e.kind() == io::ErrorKind::BrokenPipe;
                    let why = if gone { "nobody reads it: start its reader".to_string() } else { words(&e) };
                    let kind = if gone { FailureKind::Closed } else { FailureKind::File };
                    return Err((at, Failure::new(kind, format!("cannot write to `{}`: {why}", self.name))));
                }
            }
        }
        Ok(())
    }

    /// The event behind the last one that goes in one write, from this one on: as many as a pipe takes whole or not at all.
    fn group(&self, parcel: &Parcel<'_>, from: usize) -> usize {
        let start = parcel.events[from].start;
        let most =
            if self.has_room(limits::PIPE_GROUP_BYTES) { limits::PIPE_GROUP_BYTES } else { limits::PIPE_ATOM_BYTES };
        let fits = |i: &usize| parcel.events[*i].end + 1 - start <= most;
        (from + 1..parcel.len()).take_while(fits).last().map_or(from + 1, |last| last + 1)
    }

    /// Whether so much goes in one write, beyond doubt. What is in a pipe fills its pages by half at the worst, since what fits
    /// the last one is put there.
    fn has_room(&self, bytes: usize) -> bool {
        let held = pipe::held(self.file.as_fd()).unwrap_or(0);
        held == 0 || self.holds.is_some_and(|holds| 2 * held + bytes + limits::PIPE_SLACK_BYTES <= holds)
    }
}

fn is_fifo(file: &File) -> bool {
    file.metadata().is_ok_and(|m| m.file_type().is_fifo())
}

fn cure(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::NotFound => format!("{}; make it: `mkfifo`", words(e)),
        io::ErrorKind::PermissionDenied => format!("{}; let this user write there", words(e)),
        _ => words(e),
    }
}

fn nap() {
    std::thread::sleep(Duration::from_millis(limits::FIFO_LOOK_MILLIS));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::delivery::transport::testing::Lines;
    use crate::net::testing::Scratch;
    use std::io::Read;
    use std::path::Path;

    fn pipe_to(path: &Path, patience: u64) -> Pipe {
        Pipe { path: Some(path.into()), patience: Duration::from_millis(patience), end: None, rest: None }
    }

    fn fifo(path: &Path) {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    fn stopped(d: Delivery) -> (usize, String) {
        let stop = d.stop.expect("it was not taken");
        assert!(matches!(stop.why, Why::NotSent(_)), "{stop:?}");
        (d.taken, stop.said.text)
    }

    #[test]
    fn what_is_wrong_is_told_with_its_cure() {
        let dir = Scratch::new("fifo-wrong");
        let (path, lines) = (dir.path("x"), Lines::of(0..1, 1));
        let mut pipe = pipe_to(&path, 100);
        assert!(pipe.check().unwrap_err().text.contains("mkfifo"));
        assert!(stopped(pipe.deliver(&lines.parcel())).1.contains("mkfifo"));
        std::fs::write(&path, "").unwrap();
        assert!(pipe.check().is_err());
        assert!(stopped(pipe.deliver(&lines.parcel())).1.contains("no FIFO"));
        std::fs::remove_file(&path).unwrap();
        fifo(&path);
        assert!(pipe.check().is_ok());
        pipe.patience = Duration::from_secs(20);
        assert!(stopped(pipe.deliver(&lines.parcel())).1.contains("nobody reads"));
    }

    #[test]
    fn what_one_reader_leaves_the_next_one_gets_and_no_line_is_broken() {
        let dir = Scratch::new("fifo-next");
        let path = dir.path("x");
        fifo(&path);
        // More than the pipe holds, and lines that are longer than what it takes in one go.
        let lines = Lines::of(0..900, 5_000);
        let mut pipe = pipe_to(&path, 300);
        let mut got = Vec::new();
        let first = File::options().read(true).write(true).open(&path).unwrap();
        let (taken, text) = stopped(pipe.deliver(&lines.parcel()));
        assert!(taken < 900 && text.contains("takes nothing"), "{taken} {text}");
        drop(first);
        let second = std::thread::spawn({
            let path = path.clone();
            move || {
                let mut all = Vec::new();
                File::open(path).unwrap().read_to_end(&mut all).unwrap();
                all
            }
        });
        let mut from = taken;
        while from < 900 {
            let rest = Lines::of(from..900, 5_000);
            pipe.patience = Duration::from_secs(20);
            let d = pipe.deliver(&rest.parcel());
            from += d.taken;
        }
        drop(pipe);
        got.extend(second.join().unwrap());
        assert!(String::from_utf8(got).unwrap() == lines.text(), "each once, in order");
    }

    #[test]
    fn a_line_that_no_pipe_holds_goes_on_where_it_stopped() {
        let dir = Scratch::new("fifo-long");
        let path = dir.path("x");
        fifo(&path);
        let lines = Lines::of(0..2, 3 << 20);
        let reader = File::options().read(true).write(true).open(&path).unwrap();
        let mut pipe = pipe_to(&path, 100);
        assert_eq!(stopped(pipe.deliver(&lines.parcel())).0, 0);
        let text = lines.text();
        let all = std::thread::spawn(move || {
            let mut all = vec![0; text.len()];
            (&reader).read_exact(&mut all).unwrap();
            all == text.as_bytes()
        });
        pipe.patience = Duration::from_secs(20);
        assert!(pipe.deliver(&lines.parcel()).stop.is_none());
        assert!(all.join().unwrap());
    }
}
