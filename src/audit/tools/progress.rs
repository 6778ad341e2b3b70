//! A bar on the terminal for long work; nothing where stderr is no terminal.

use crate::limits;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// The bar.
#[derive(Debug)]
pub struct Progress {
    total: u64,
    done: u64,
    drawn: Option<Instant>,
    shown: bool,
    begun: Instant,
}

impl Progress {
    /// For work of so many bytes.
    pub fn new(total: u64) -> Progress {
        let shown = std::io::stderr().is_terminal();
        Progress { total: total.max(1), done: 0, drawn: None, shown, begun: Instant::now() }
    }

    /// So many bytes more are done.
    pub fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        let pause = Duration::from_millis(limits::PROGRESS_MILLIS);
        // Work that is done before the first pause is over shows no bar.
        if !self.shown || self.drawn.unwrap_or(self.begun).elapsed() < pause {
            return;
        }
        self.drawn = Some(Instant::now());
        let _ = write!(std::io::stderr(), "\r{}", bar(self.done, self.total));
    }

    /// Makes room for a line on the terminal.
    pub fn clear(&mut self) {
        if self.drawn.take().is_some() {
            let _ = write!(std::io::stderr(), "\r{:60}\r", "");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn bar(done: u64, total: u64) -> String {
    const WIDTH: u64 = 40;
    let done = done.min(total);
    let full = (u128::from(done) * u128::from(WIDTH) / u128::from(total)) as usize;
    let percent = u128::from(done) * 100 / u128::from(total);
    format!("[{}{}] {percent:3} %", "#".repeat(full), ".".repeat(WIDTH as usize - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_never_longer_than_it_is() {
        assert!(bar(0, 1).starts_with("[....") && bar(7, 5).contains("####] 100 %"));
        assert_eq!(bar(1, 2).len(), bar(u64::MAX, u64::MAX).len());
    }
}
