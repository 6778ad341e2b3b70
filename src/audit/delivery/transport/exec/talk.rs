//! A handler that runs: its pipes, what it has said of a line, and how it ends.
//!
//! Refuses: to block on any of the pipes, to keep more of what it says than a line.

use super::starter::{self, How};
use crate::sys::{crash, pipe, process, signal};
use crate::words::line_escaped;
use crate::{limits, log};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

/// A handler that runs.
pub struct Talk {
    number: u64,
    /// Where we have started it ourselves.
    child: Option<Child>,
    input: File,
    output: File,
    /// None: it has closed it.
    error: Option<File>,
    /// What its input holds, at the most.
    holds: usize,
    /// Half a line of each.
    said: Vec<u8>,
    complained: Vec<u8>,
    /// The last that it said that is no answer.
    pub last: Option<String>,
}

impl Talk {
    /// Starts one, or asks the keeper to.
    pub fn begin(program: &Path) -> io::Result<Talk> {
        let ((in_r, in_w), (out_r, out_w), (err_r, err_w)) = (pipe::pair()?, pipe::pair()?, pipe::pair()?);
        // The more it holds, the longer a line may be that no death tears.
        let _ = pipe::widen(in_w.as_fd(), limits::PIPE_BYTES);
        let holds = pipe::size(in_w.as_fd())?;
        let number = process::chance();
        let ends = [in_r, out_w, err_w];
        let child = match starter::has_keeper() {
            true => starter::ask(number, program, &ends).map(|()| None)?,
            false => starter::start(program, &[], ends).map(Some)?,
        };
        crash::point("exec.begun");
        let [input, output, error] = [in_w, out_r, err_r].map(File::from);
        let (said, complained) = (Vec::new(), Vec::new());
        Ok(Talk { number, child, input, output, error: Some(error), holds, said, complained, last: None })
    }

    /// It has not closed its output meanwhile.
    pub fn lives(&self) -> bool {
        pipe::wait([self.output.as_fd()], Some(Duration::ZERO)).is_ok_and(|[output]| !output.hung_up)
    }

    /// Waits until it takes so many bytes in one go (or those that no pipe holds, in pieces), or says something.
    pub fn wait(&self, bytes: usize, patience: Duration) -> io::Result<pipe::Talk> {
        let one_go = bytes <= limits::PIPE_ATOM_BYTES || bytes > self.holds;
        let room = one_go || pipe::held(self.input.as_fd())? == 0;
        let write = (bytes > 0 && room).then(|| self.input.as_fd());
        // That a pipe is empty wakes nobody up.
        let patience = if room { patience } else { patience.min(Duration::from_millis(limits::EXEC_LOOK_MILLIS)) };
        pipe::talk(write, self.output.as_fd(), self.error.as_ref().map(AsFd::as_fd), patience)
    }

    /// Gives it bytes, for which there is room; how many.
    pub fn give(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = if bytes.len() <= self.holds { bytes.len() } else { limits::PIPE_ATOM_BYTES };
        crash::torn("exec.torn", &bytes[..most], |part| drop(self.input.write(part)));
        match self.input.write(&bytes[..most]) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(0),
            other => other.inspect(|_| crash::point("exec.given")),
        }
    }

    /// The lines that it says. The error: there will be no more, and why.
    pub fn hear(&mut self) -> Result<Vec<Vec<u8>>, String> {
        let mut block = [0; limits::PIPE_ATOM_BYTES];
        let n = self.output.read(&mut block).map_err(|e| format!("cannot be heard: {e}"))?;
        if n == 0 {
            return Err("ended before it had answered".into());
        }
        crash::point("exec.heard");
        self.said.extend_from_slice(&block[..n]);
        let whole: Vec<u8> = match memchr::memrchr(b'\n', &self.said) {
            Some(end) => self.said.drain(..=end).collect(),
            None if self.said.len() > limits::EXEC_LINE_BYTES => {
                return Err(format!("says a line without an end: `{}`", shown(&self.said)));
            }
            None => return Ok(Vec::new()),
        };
        Ok(whole[..whole.len() - 1].split(|b| *b == b'\n').map(<[u8]>::to_vec).collect())
    }

    /// Tells of a line that answers none of the events that it has: of one that was answered, or of none.
    pub fn strange(&mut self, program: &Path, line: &[u8]) {
        let line = shown(line);
        let text = format!("says `{line}`, which answers no event that it has: other words go to standard error");
        log::warn(&format!("handler {}", program.display()), text);
        self.last = Some(line);
    }

    /// Tells what it says on standard error.
    pub fn complaints(&mut self, program: &Path) {
        let Some(error) = &mut self.error else { return };
        let mut block = [0; limits::PIPE_ATOM_BYTES];
        let n = error.read(&mut block).unwrap_or(0);
        self.complained.extend_from_slice(&block[..n]);
        if n == 0 {
            self.error = None;
        }
        let whole = if n == 0 || self.complained.len() > limits::EXEC_LINE_BYTES {
            self.complained.len()
        } else {
            memchr::memrchr(b'\n', &self.complained).map_or(0, |at| at + 1)
        };
        let lines: Vec<u8> = self.complained.drain(..whole).collect();
        for line in lines.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            let line = shown(line);
            log::warn(&format!("handler {}", program.display()), &line);
            self.last = Some(line);
        }
    }

    /// It is not needed any more: it gets the end of its input, and a moment to end by itself.
    pub fn finish(self) {
        drop(self.input);
        let Some(mut child) = self.child else { return starter::ask_to_end(self.number, How::Soon) };
        let end = Instant::now() + Duration::from_millis(limits::EXEC_END_MILLIS);
        while Instant::now() < end && matches!(child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(limits::EXEC_LOOK_MILLIS));
        }
        kill(&mut child);
    }

    /// It is ended: it does not do what it should.
    pub fn end(self) {
        match self.child {
            Some(mut child) => kill(&mut child),
            None => starter::ask_to_end(self.number, How::AtOnce),
        }
    }
}

fn kill(child: &mut Child) {
    signal::send_group(child.id() as i32, signal::SIGKILL);
    let _ = child.wait();
}

/// What a program of others says, for a log.
fn shown(text: &[u8]) -> String {
    line_escaped(&String::from_utf8_lossy(text)).chars().take(limits::EXEC_WHY_CHARS).collect()
}
