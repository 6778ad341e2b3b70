//! Looking at a program again and again: a screen that is drawn anew each second, or lines one after the other where standard
//! output is no terminal.
//!
//! The terminal's modes are never changed: a screen of its own, no cursor and rows that end are all that is asked for, and
//! given back at the end, by whatever signal that comes. In the background nothing is drawn. Refuses: colours with `NO_COLOR`,
//! to end for a window that changes its size.

use crate::error::{Error, Exit, Result};
use crate::limits;
use crate::page::{term, Cell, Tone};
use crate::sys::signal::{self, Signals};
use crate::sys::{pipe, terminal, thread};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A screen of our own, without a cursor, and without lines that go on in the next row: whatever a letter's width, nothing
/// scrolls.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Whether it is there. Who holds this writes, to a descriptor of its own: the standard library's is held by the command.
static ENTERED: Mutex<bool> = Mutex::new(false);

fn entered() -> MutexGuard<'static, bool> {
    ENTERED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Given back when it is dropped, whatever the reason.
struct Screen(File);

impl Screen {
    fn draw(&mut self, text: &str, terminal: bool) -> io::Result<()> {
        let mut entered = entered();
        if terminal && !std::mem::replace(&mut *entered, true) {
            self.0.write_all(ENTER.as_bytes())?;
        }
        self.0.write_all(text.as_bytes())
    }

    fn leave(&mut self, entered: &mut bool) {
        if std::mem::take(entered) {
            let _ = self.0.write_all(LEAVE.as_bytes());
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave(&mut entered());
    }
}

fn screen() -> Result<Screen> {
    let out = io::stdout().as_fd().try_clone_to_owned().map_err(failed)?;
    Ok(Screen(File::from(out)))
}

/// A frame as it goes to the terminal: what does not fit is left out, and that is said. A row is emptied before it is written:
/// behind its last letter some terminals would empty that as well.
fn framed(mut lines: Vec<String>, columns: usize, rows: usize) -> String {
    if lines.len() > rows {
        let rest = lines.len() + 1 - rows;
        lines.truncate(rows - 1);
        lines.push(term::fitted(&format!("… {rest} lines more"), columns));
    }
    let below = if lines.len() < rows { "\r\n\x1b[J" } else { "" };
    format!("\x1b[H\x1b[K{}{below}", lines.join("\r\n\x1b[K"))
}

fn failed(e: io::Error) -> Error {
    Error::failed(format!("cannot look: {e}"))
}

/// Before any thread is started: one that does not hold these signals would be ended by them, and the screen never given back.
/// Whatever a frame waits for, who ends it does not.
pub fn prepare() -> Result<Signals> {
    let ends = Signals::take(&signal::ending()).map_err(failed)?;
    let others = Signals::take(&[signal::SIGWINCH, signal::SIGTSTP]).map_err(failed)?;
    let mut screen = screen()?;
    let end = move || {
        while ends.next().is_none() {
            let _ = pipe::wait([ends.as_fd()], None);
        }
        // Held to the end: nobody writes behind it.
        let mut entered = entered();
        screen.leave(&mut entered);
        std::process::exit(0);
    };
    thread::start("end", end).map_err(failed)?;
    Ok(others)
}

/// Draws until a signal ends it or nobody reads any more. `frame`: the lines in so many columns, with colours or without.
pub fn run(signals: &Signals, mut frame: impl FnMut(usize, bool) -> Result<Vec<String>>) -> Result<Exit> {
    let able = std::env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb");
    let terminal = able && io::stdout().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let (mut screen, mut first) = (screen()?, true);
    loop {
        if !terminal || terminal::is_ours() {
            let (columns, rows) = terminal::size().filter(|_| terminal).unwrap_or(limits::WATCH_SIZE);
            let columns = columns.min(limits::WATCH_COLUMNS);
            let lines = match frame(columns, colour) {
                // What was there a moment ago may come again.
                Err(e) if !first => term::lines([Cell::text(e.text()).tone(Tone::Bad)], columns, colour),
                drawn => drawn?,
            };
            first = false;
            let text = if terminal { framed(lines, columns, rows) } else { lines.join("\n") + "\n\n" };
            match screen.draw(&text, terminal) {
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Clean),
                other => other.map_err(failed)?,
            }
        } else {
            // In the background the terminal is the shell's.
            screen.leave(&mut entered());
        }
        let _ = pipe::wait([signals.as_fd()], Some(Duration::from_millis(limits::WATCH_MILLIS)));
        while let Some(came) = signals.next() {
            if came == signal::SIGTSTP {
                // The shell has its screen back while this stands still.
                screen.leave(&mut entered());
                signal::obey(came);
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
        assert!(drawn.ends_with("22\r\n\x1b[K… 7 lines more") && drawn.starts_with("\x1b[H\x1b[K0"), "{drawn:?}");
        assert!(!framed(lines, 40, 30).contains("more"));
        assert_eq!(framed(vec!["a".into(), "b".into()], 3, 1), "\x1b[H\x1b[K… …");
        // Nothing is erased where the cursor may still stand on the last letter of a row that is full.
        assert_eq!(framed(vec!["abc".into(), "def".into()], 3, 3), "\x1b[H\x1b[Kabc\r\n\x1b[Kdef\r\n\x1b[J");
        assert!(ENTER.contains("\x1b[?7l") && LEAVE.contains("\x1b[?7h"));
    }
}
