//! ○ The bounds of what is told: alarms, the command that hears them, and the answers to `status`. Refuses: a bound without
//! its reason.

use super::lengths::{CURSOR_SLOT_BYTES, LABEL_BYTES, PIPE_ATOM_BYTES, STATE_RECEIVERS, STATE_SLOT_BYTES};
use super::page::PAGE_HISTORY_WORDS;

/// Matters of alarms that are known at once: some for each receiver, and those of the spool; more are only logged.
pub const ALARMS: usize = 128;
/// The words of an alarm, and what it is about, in characters.
pub const ALARM_CHARS: usize = 256;
/// A receiver's name and the sub-directory of an adopted spool.
pub const ALARM_ABOUT_CHARS: usize = 3 * LABEL_BYTES;
// One line of them goes through a pipe whole.
const _: () = assert!(4 * (ALARM_CHARS + ALARM_ABOUT_CHARS) + 64 < PIPE_ATOM_BYTES);
/// What a worker has left behind is over when no worker sees it for so long: twice the time after which a receiver is down.
pub const ALARM_INHERITED_MILLIS: i64 = 2 * RECEIVER_DOWN_SECONDS as i64 * 1000;
/// A receiver that has taken nothing for so long, although it was tried all the time, is an alarm: a restart takes less.
pub const RECEIVER_DOWN_SECONDS: u64 = 300;
/// Nothing is read for so long although something is there: that is no hiccup of a disk.
pub const STANDSTILL_MILLIS: u64 = 2_000;
/// And when reading went on for so long it is over: a spool that is full gets room a segment at a time.
pub const STANDSTILL_OVER_MILLIS: u64 = 5_000;
/// What waits of alarms in the pipe to the keeper at most; more waits in the worker.
pub const ALARM_PIPE_BYTES: usize = 4 * PIPE_ATOM_BYTES;
/// One matter calls `--on-alarm` at most this often: what begins and ends all the time is told once a minute.
pub const ALARM_SECONDS: u64 = 60;
/// Between two starts of `--on-alarm`, whatever they are about.
pub const ALARM_PAUSE_MILLIS: u64 = 250;
/// At the end so long is waited for commands, so that what was said last is told.
pub const ALARM_END_MILLIS: u64 = 2_000;
/// `--alarm-repeat`: the longest, a month.
pub const ALARM_REPEAT_MOST_SECONDS: u64 = 31 * 86_400;
/// An alarm command that runs longer is ended.
pub const ALARM_COMMAND_SECONDS: u64 = 50;
const _: () = assert!(ALARM_COMMAND_SECONDS < ALARM_SECONDS);
/// Options in an answer to `status`: fifty of the program's, twenty of each receiver, some of them repeated.
pub const STATUS_OPTIONS: usize = 1024;
/// What is shown of the value of one: a path or a URL, whole.
pub const STATUS_OPTION_CHARS: usize = 400;
/// What a running helper says of itself at most: the account, the cursors and what is wrong.
pub const STATUS_ANSWER_BYTES: u64 = STATE_SLOT_BYTES
    + STATE_RECEIVERS as u64 * CURSOR_SLOT_BYTES
    + 2 * (ALARMS * PIPE_ATOM_BYTES) as u64
    + (PAGE_HISTORY_WORDS * 21) as u64
    + (STATUS_OPTIONS * (6 * STATUS_OPTION_CHARS + 128)) as u64;
/// How long `status` waits for that, and the helper for whoever asks to take it.
pub const STATUS_MILLIS: u64 = 2_000;
/// How often it asks again where nobody listens, and after how long: a worker is replaced in milliseconds.
pub const STATUS_TRIES: u32 = 3;
/// The pause between two tries.
pub const STATUS_RETRY_MILLIS: u64 = 100;
/// Visitors of that socket who wait at once.
pub const STATUS_QUEUE: i32 = 16;
