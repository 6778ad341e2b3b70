//! ○ Which protocol somebody speaks, by the first bytes that he says: for those who were not to say anything, or something
//! else. Refuses: to guess where nothing is plain; then his own words are shown.

use crate::limits;
use crate::words;

/// Protocols by how their first words begin, and what to do about each.
const KNOWN: &[(&[u8], &str, &str)] = &[
    (b"HTTP/", "HTTP", "this is a web server: deliver with http:// or https://, or give the port of its other input"),
    (b"\x15\x03", "TLS", "deliver with the scheme for TLS (tls://, syslog+tls://, relp+tls://…)"),
    (b"\x16\x03", "TLS", "deliver with the scheme for TLS (tls://, syslog+tls://, relp+tls://…)"),
    (b"SSH-", "SSH", "look at the port"),
    (b"220 ", "SMTP or FTP", "look at the port"),
    (b"220-", "SMTP or FTP", "look at the port"),
    (b"-ERR ", "Redis", "look at the port"),
    (b"0 serverclose", "RELP", "deliver with relp:// or relp+tls://"),
    (b"E\0\0\0", "PostgreSQL", "look at the port"),
];

/// A sentence about these first words, said by whoever is at a place.
pub fn sentence(place: &str, said: &[u8], instead_of: &str) -> String {
    let line = said.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    let shown = words::line(&String::from_utf8_lossy(line), limits::FOREIGN_SHOWN_CHARS);
    match KNOWN.iter().find(|(begin, ..)| said.starts_with(begin)) {
        Some((_, "TLS", cure)) => format!("what answers at `{place}` speaks TLS: {cure}"),
        Some((_, name, cure)) => format!("what answers at `{place}` speaks {name} (`{shown}`): {cure}"),
        None => format!("`{place}` says `{shown}` where {instead_of}: look at the port"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_speaks_is_told_with_what_to_do() {
        let said = |words: &[u8]| sentence("tcp://h:1", words, "a receiver of lines says nothing");
        let http = said(b"HTTP/1.1 400 Bad Request\r\nServer: x");
        assert!(http.contains("speaks HTTP (`HTTP/1.1 400 Bad Request`)") && http.contains("https://"), "{http}");
        assert!(said(b"\x15\x03\x01\0\x02\x02\x50").contains("speaks TLS: deliver with the scheme for TLS"));
        assert!(said(b"220 mail ready\r\n").contains("SMTP"));
        let odd = said(b"what\x1b[1m?\nmore");
        assert!(odd.contains("says `what [1m?` where a receiver of lines says nothing"), "{odd}");
        assert!(said(&[b'x'; 9000]).len() < 300);
    }
}
