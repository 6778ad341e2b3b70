//! Real-like events with everything that has broken somebody's log pipeline: quotes, line ends, Cyrillic, emoji, control
//! characters, 16 KB, and records that the database cuts.

use super::events::Events;
use super::picodata::{on_the_pipe, Picodata, RECORD_BYTES};

/// Messages as they stand in JSON.
pub const ODD: [&str; 8] = [
    r#"he said \"don't\", then \\ and \/"#,
    r"first line\nsecond line\r\nthird\tcolumn",
    "роль «аудитор» выдана пользователю «Пётр»",
    "😀 👩‍👩‍👧 \u{202e}reversed\u{202c}",
    r"\u0000\u0001\u001b[31mred\u001b[0m\u007f",
    "raw delete \u{7f}, C1 \u{85}, BOM \u{feff}, line separator \u{2028}",
    r#"<13>1 looks like syslog [x@1 y=\"]\"] 12 {\"and\":\"json\"}"#,
    r"\ud83d\ude00 as escapes, %s %n %%, $msg, #012, @cee:",
];

/// A generator of them.
pub struct Rough {
    events: Events,
    cut: Vec<String>,
}

impl Rough {
    pub fn new() -> Rough {
        Rough { events: Events::new(1, 1), cut: Vec::new() }
    }

    /// Those that the database has cut, as they went through the pipe.
    pub fn cut(&self) -> &[String] {
        &self.cut
    }

    /// Writes the event of this place: every tenth is odd, each five-hundredth is 16 KB, each two-thousandth is cut.
    pub fn write(&mut self, to: &mut Picodata, i: usize) {
        let sent = match i {
            _ if i % 2_000 == 1_999 => return self.write_cut(to),
            _ if i % 500 == 250 => {
                let long = self.events.event_of(RECORD_BYTES - 1);
                to.write(&long)
            }
            _ if i % 10 == 5 => {
                let odd = self.events.event_saying(ODD[i / 10 % ODD.len()]);
                to.write(&odd)
            }
            _ => {
                let event = self.events.event();
                to.write(&event)
            }
        };
        sent.expect("the pipe never breaks");
    }

    fn write_cut(&mut self, to: &mut Picodata) {
        let long = self.events.event_long(20_000);
        to.write_raw(&on_the_pipe(long.as_bytes())).expect("the pipe never breaks");
        self.cut.push(long[..RECORD_BYTES].to_owned());
    }
}
