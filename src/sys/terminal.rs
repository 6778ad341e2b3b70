//! How large the terminal at standard output is, and whether it is ours now. Refuses: to change anything about it.

use super::check;

/// Columns and rows; none: it is no terminal, or does not say.
pub fn size() -> Option<(usize, usize)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request fills in one winsize, which is plain numbers.
    check(unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) }).ok()?;
    Some((usize::from(size.ws_col), usize::from(size.ws_row))).filter(|(columns, rows)| *columns > 0 && *rows > 0)
}

/// Whether we are in the terminal's foreground; where it does not say, we are.
pub fn is_ours() -> bool {
    // SAFETY: numbers only.
    let (theirs, ours) = unsafe { (libc::tcgetpgrp(libc::STDOUT_FILENO), libc::getpgrp()) };
    theirs <= 0 || theirs == ours
}
