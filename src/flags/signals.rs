//! ○ What the programs do on a signal, as far as both do the same: rows for the SIGNALS of both man pages.
//!
//! Refuses to do: anything with a signal. What a program takes, its own table says.

use super::row::{text, Text};

/// One row: the names, and what happens.
pub type Row = (&'static str, Text);

/// Who signals a whole unit (`systemctl kill -s USR1`, for a snapshot) means the database.
pub const ALL_OTHERS: Row = (
    "SIGUSR1, SIGUSR2, SIGQUIT, SIGPIPE and all others",
    text(
        "ignored, so that a signal to all processes of a unit reaches the database alone; SIGKILL and SIGSTOP nobody can \
         ignore",
        "игнорируются, чтобы сигнал всем процессам юнита действовал только на СУБД; SIGKILL и SIGSTOP игнорировать нельзя",
    ),
);
