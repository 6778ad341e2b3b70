//! Foreign answers by RELP: a frame is read as it was written, whatever stands behind it, and no bytes ask for more memory
//! than an answer may have.
//!
//! Refuses: to know sessions.

use gostech::audit::delivery::transport::relp::frame::{after, between, offer, push, read, Read};
use gostech::limits;

/// Seeds: the answers of a session, and what others say.
pub fn seeds() -> Vec<Vec<u8>> {
    [
        &b"1 rsp 62 200 OK\nrelp_version=0\nrelp_software=librelp\ncommands=syslog\n\n2 rsp 6 200 OK\n"[..],
        b"999999999 rsp 6 200 OK\n1 rsp 9 500 later\n",
        b"0 serverclose 0\n",
        b"0 serverclose 0 \n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x50",
    ]
    .map(<[u8]>::to_vec)
    .to_vec()
}

/// The target.
pub fn check(input: &[u8]) {
    match read(input) {
        Read::Whole(frame, n) => {
            assert!(n <= input.len() && frame.data.len() <= limits::RELP_ANSWER_BYTES);
            assert_eq!(read(&input[..n]), Read::Whole(frame.clone(), n), "what stands behind it changes nothing");
            assert_eq!(read(&input[..n - 1]), Read::Part);
            let mut again = Vec::new();
            push(&mut again, frame.number, &frame.command, &frame.data);
            assert_eq!(read(&again), Read::Whole(frame.clone(), again.len()));
            if let Some((code, said)) = frame.answer() {
                assert!(code < 1_000 && said.len() <= 3 * frame.data.len());
            }
            let _ = offer(&frame.data, "commands");
            let number = frame.number.clamp(1, 999_999_999);
            assert_eq!(between(number, after(number)), 1);
        }
        Read::Part => assert!(input.len() <= limits::RELP_HEAD_BYTES + limits::RELP_ANSWER_BYTES),
        Read::Not => assert_eq!(read(&[input, b"1 rsp 0\n"].concat()), Read::Not, "no bytes behind it mend it"),
    }
}
