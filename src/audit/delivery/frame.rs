//! ○ How events are put together in what is sent: a value, so that formats and transports can be combined freely.
//!
//! Refuses: to look into an event.

/// How events are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A JSON array.
    Array,
    /// Each on a line of its own.
    Lines,
    /// Each with a zero byte behind it.
    Nul,
    /// Each with its length in decimal digits and a space before it (RFC 6587).
    Octets,
    /// As they are: the transport knows where each stands.
    Bare,
    /// One at a time.
    Alone,
    /// Between these: before the first, between two, after the last.
    Within([&'static str; 3]),
}

impl Frame {
    /// What stands before the first event, between two, and after the last.
    const fn marks(self) -> [&'static [u8]; 3] {
        match self {
            Frame::Array => [b"[", b",\n", b"]\n"],
            Frame::Lines => [b"", b"\n", b"\n"],
            Frame::Nul => [b"", b"\0", b"\0"],
            Frame::Octets | Frame::Bare | Frame::Alone => [b"", b"", b""],
            Frame::Within([open, between, close]) => [open.as_bytes(), between.as_bytes(), close.as_bytes()],
        }
    }

    /// Before the first event.
    pub fn open(self) -> &'static [u8] {
        self.marks()[0]
    }

    /// Between two.
    pub fn between(self) -> &'static [u8] {
        self.marks()[1]
    }

    /// After the last.
    pub fn close(self) -> &'static [u8] {
        self.marks()[2]
    }

    /// An event stands from `from` on to the end of `out`: what has to be known of it before it can be framed is added.
    pub fn settle(self, out: &mut Vec<u8>, from: usize) {
        if self == Frame::Octets {
            let length = format!("{} ", out.len() - from);
            out.splice(from..from, length.into_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(frame: Frame, events: &[&str]) -> String {
        let mut out = Vec::new();
        for (i, event) in events.iter().enumerate() {
            out.extend_from_slice(if i == 0 { frame.open() } else { frame.between() });
            let from = out.len();
            out.extend_from_slice(event.as_bytes());
            frame.settle(&mut out, from);
        }
        out.extend_from_slice(frame.close());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn events_are_told_from_each_other() {
        let events = ["{}", "\u{44f}"];
        let all = [Frame::Array, Frame::Lines, Frame::Nul, Frame::Octets, Frame::Bare].map(|f| framed(f, &events));
        assert_eq!(all, ["[{},\n\u{44f}]\n", "{}\n\u{44f}\n", "{}\0\u{44f}\0", "2 {}2 \u{44f}", "{}\u{44f}"]);
        assert_eq!(framed(Frame::Alone, &events[..1]), "{}");
        assert_eq!(framed(Frame::Within(["<", "|", ">"]), &events), "<{}|\u{44f}>");
    }
}
