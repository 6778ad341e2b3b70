//! Looking at a program again and again: a screen that is drawn anew each second, or lines one after the other where standard
//! output is no terminal.
//!
//! The terminal's modes are never changed: a screen of its own and a hidden cursor are all that is asked for, and given back
//! at the end, by whatever signal that comes. Refuses: colours with `NO_COLOR`, to end for a window that changes its size.

use crate::error::{Error, Exit, Result};
use crate::sys::signal::{self, Signals};
use crate::sys::{pipe, process, terminal};
use crate::{limits, page};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::Duration;

const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Given back when it is dropped, whatever the reason.
struct Screen;

impl Screen {
    fn enter() -> io::Result<Screen> {
        print(ENTER).map(|()| Screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = print(LEAVE);
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// A frame as it goes to the terminal: what does not fit is left out, and that is said.
fn framed(mut lines: Vec<String>, columns: usize, rows: usize) -> String {
    if lines.len() > rows {
        let rest = lines.len() + 1 - rows;
        lines.truncate(rows - 1);
        lines.push(page::term::fitted(&format!("… {rest} lines more"), columns));
    }
    format!("\x1b[H{}\x1b[K\x1b[J", lines.join("\x1b[K\r\n"))
}

const ENDS: [i32; 4] = [signal::SIGINT, signal::SIGTERM, signal::SIGHUP, signal::SIGQUIT];

fn failed(e: io::Error) -> Error {
    Error::failed(format!("cannot look: {e}"))
}

/// Before any thread is started: one that does not hold these signals would be ended by them, and the screen never given back.
pub fn prepare() -> Result<Signals> {
    Signals::take(&[&ENDS[..], &[signal::SIGWINCH, signal::SIGTSTP]].concat()).map_err(failed)
}

/// Draws until a signal ends it or nobody reads any more. `frame`: the lines in so many columns, with colours or without.
pub fn run(signals: &Signals, mut frame: impl FnMut(usize, bool) -> Result<Vec<String>>) -> Result<Exit> {
    let terminal = io::stdout().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let mut screen = None;
    loop {
        let (columns, rows) = terminal::size().filter(|_| terminal).unwrap_or(limits::WATCH_SIZE);
        let columns = columns.min(limits::WATCH_COLUMNS);
        let lines = frame(columns, colour)?;
        if terminal && screen.is_none() {
            screen = Some(Screen::enter().map_err(failed)?);
        }
        let text = if terminal { framed(lines, columns, rows) } else { lines.join("\n") + "\n\n" };
        match print(&text) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Clean),
            other => other.map_err(failed)?,
        }
        let _ = pipe::wait([signals.as_fd()], Some(Duration::from_millis(limits::WATCH_MILLIS)));
        while let Some(came) = signals.next() {
            if ENDS.contains(&came) {
                return Ok(Exit::Clean);
            }
            if came == signal::SIGTSTP {
                // The shell has its screen back while this stands still.
                screen = None;
                signal::send(process::pid(), signal::SIGSTOP);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_no_more_rows_than_the_terminal_and_says_what_it_leaves_out() {
        let lines: Vec<String> = (0..30).map(|i| i.to_string()).collect();
        let drawn = framed(lines.clone(), 40, 24);
        assert_eq!(drawn.matches("\r\n").count(), 23);
        assert!(drawn.contains("22\x1b[K\r\n… 7 lines more\x1b[K\x1b[J") && drawn.starts_with("\x1b[H0"), "{drawn:?}");
        assert!(!framed(lines, 40, 30).contains("more"));
        assert_eq!(framed(vec!["a".into(), "b".into()], 3, 1), "\x1b[H… …\x1b[K\x1b[J");
    }
}
