//! ○ Numbers as people read them, and words of receivers without what a terminal would obey.

use crate::stamp;
use std::path::Path;

/// Bytes: `512 bytes`, `1.5 KiB`, `12.3 MiB`.
pub fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return count(bytes, "byte");
    }
    let (mut n, mut unit) = (bytes as f64 / 1024.0, 0);
    let units = ["KiB", "MiB", "GiB", "TiB"];
    while n >= 1023.95 && unit + 1 < units.len() {
        n /= 1024.0;
        unit += 1;
    }
    format!("{n:.1} {}", units[unit])
}

/// So many of something: `1 event`, `2 events`.
pub fn count(n: u64, what: &str) -> String {
    let (stem, many) = match what.strip_suffix('y') {
        Some(stem) if what.ends_with("ry") => (stem, "ies"),
        _ => (what, "s"),
    };
    if n == 1 {
        format!("1 {what}")
    } else {
        format!("{n} {stem}{many}")
    }
}

/// How long ago a moment was, both in milliseconds since the epoch.
pub fn ago(now_ms: i64, then_ms: i64) -> String {
    if then_ms > now_ms + 1000 {
        // The clock was turned back.
        return format!("at {}", stamp::rfc3339_text(then_ms));
    }
    format!("{} ago", stamp::for_people((now_ms - then_ms) as f64 / 1000.0))
}

/// A moment as the name of a file: `20261121T012757`.
pub fn file_time(now_ms: i64) -> String {
    stamp::rfc3339_text(now_ms).chars().filter(char::is_ascii_alphanumeric).take(15).collect()
}

/// The name of a file or directory as a terminal and a log may show it: whoever made it chose it.
pub fn shown(path: &Path) -> String {
    line_escaped(&path.to_string_lossy())
}

/// What turns the direction of writing, and what takes no room: a name would be read as another one. The two that join letters
/// or keep them apart are part of words.
fn is_unseen(c: char) -> bool {
    matches!(c as u32, 0xad | 0x61c | 0x115f | 0x1160 | 0x180e | 0x200b | 0x200e | 0x200f | 0x2028..=0x202e | 0x2060..=0x206f)
        || matches!(c as u32, 0x3164 | 0xfeff | 0xffa0 | 0xfff9..=0xfffb | 0xe0000..=0xe007f)
}

/// Text with its control characters as escapes, so that it moves nothing on a terminal and begins no line.
pub fn line_escaped(text: &str) -> String {
    let escape = |c: char| if c.is_control() || is_unseen(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// Text in which each URL ends behind its host: a path may be the secret (`https://HOST/webhook/TOKEN`).
pub fn without_paths(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        let end = url.find(|c: char| c.is_whitespace() || "`'\"<>".contains(c)).unwrap_or(url.len());
        let host = url[..end].find(['/', '?', '#']).unwrap_or(end);
        out.push_str(before);
        // Without a host it is a file of this machine.
        match host > 0 && host + 1 < end {
            true => out.extend([&url[..host], "/…"]),
            false => out.push_str(&url[..end]),
        }
        rest = &url[end..];
    }
    out + rest
}

/// A path as one word of a shell.
pub fn quoted(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-+:@%,=".contains(b);
    if !bytes.is_empty() && bytes.iter().all(plain) {
        return path.to_string_lossy().into_owned();
    }
    match std::str::from_utf8(bytes).ok().filter(|t| line_escaped(t) == *t) {
        Some(text) => format!("'{}'", text.replace('\'', "'\\''")),
        // What a terminal would obey, and bytes that are no text.
        None => {
            let byte = |b: &u8| match b {
                b'\\' | b'\'' => format!("\\{}", char::from(*b)),
                b' '..=b'~' => char::from(*b).to_string(),
                _ => format!("\\x{b:02x}"),
            };
            format!("$'{}'", bytes.iter().map(byte).collect::<String>())
        }
    }
}

/// Foreign text in one line, bounded, without control characters.
pub fn line(text: &str, most: usize) -> String {
    cut(text, most).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// So many characters of it; where there are more, that is shown.
pub fn cut(text: &str, most: usize) -> String {
    let mut out: String = text.chars().take(most).collect();
    if text.chars().nth(most).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_read_them() {
        assert_eq!((size(1), size(1023), size(1536)), ("1 byte".into(), "1023 bytes".into(), "1.5 KiB".into()));
        assert_eq!((size(4 << 30), size((1 << 20) - 1)), ("4.0 GiB".into(), "1.0 MiB".into()));
        assert_eq!((count(1, "event"), count(2, "sub-directory")), ("1 event".into(), "2 sub-directories".into()));
        assert_eq!(count(2, "day"), "2 days");
        assert_eq!(
            (ago(5_000, 2_000), ago(0, 60_000)),
            ("3.0 s ago".into(), "at 1970-01-01T00:01:00.000+00:00".into())
        );
        assert_eq!(file_time(1_795_224_477_349), "20261121T012757");
        assert_eq!((line("a\x1b[1m\nb", 9), line("abc", 2)), ("a [1m b".into(), "ab…".into()));
    }

    #[test]
    fn what_stands_behind_a_host_is_not_for_everybody() {
        for (text, want) in [
            ("`https://h.example:8/a/TOKEN` cannot connect to `h`", "`https://h.example:8/…` cannot connect to `h`"),
            (
                "a http://h/ b http://[::1]:2?t=TOKEN c kafka://h:1,g:2/t",
                "a http://h/ b http://[::1]:2/… c kafka://h:1,g:2/…",
            ),
            ("exec:///usr/bin/x syslog://h :// ://", "exec:///usr/bin/x syslog://h :// ://"),
            ("https://h/я", "https://h/…"),
        ] {
            assert_eq!(without_paths(text), want);
        }
    }

    #[test]
    fn names_that_others_chose_move_nothing() {
        assert_eq!(shown(Path::new("/a/я b\x1b[31m\n")), "/a/я b\\u{1b}[31m\\n");
        assert_eq!(
            line_escaped("a\u{200b}\u{2060}\u{feff}\u{ad}\u{e0041}b"),
            "a\\u{200b}\\u{2060}\\u{feff}\\u{ad}\\u{e0041}b"
        );
        assert_eq!(line_escaped("می\u{200c}خواهم"), "می\u{200c}خواهم");
        for name in ["/a/b-1.x", "/a/b c", "/a/it's", "/a/$(id)\n", "/a/x\x1b'\\", "/a/\u{202e}x"] {
            let word = quoted(Path::new(name));
            assert!(!word.chars().any(char::is_control), "{word:?}");
            let script = format!("printf %s {word}");
            let out = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), name, "{word}");
        }
    }
}
