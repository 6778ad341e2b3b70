//! What the programs do on a signal, as far as both do the same: rows for the SIGNALS of both man pages.
//!
//! Refuses to do: anything with a signal. What a program takes, its own table says.

use super::table::{text, Text};

/// One row: the names, and what happens.
pub type Row = (&'static str, Text);

/// Writing where nobody reads, or beyond a limit, is an error to the programs, never their end.
pub const BROKEN_WRITES: Row = (
    "SIGPIPE, SIGXFSZ",
    text(
        "ignored: writing where nobody reads any more, or beyond a limit of the size of files, is an error like others",
        "игнорируются: запись туда, откуда больше никто не читает, или сверх ограничения на размер файла считается \
         обычной ошибкой",
    ),
);
