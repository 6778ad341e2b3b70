//! A word to systemd: `sd_notify` by its socket, and the watchdog's period. Without systemd every word is lost, by intent.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Where to send words.
pub struct Notify {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// By `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    pub fn from_environment() -> Notify {
        let text = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let mine = text("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let period = text("WATCHDOG_USEC").filter(|_| mine).and_then(|us| us.parse().ok()).filter(|us| *us > 0);
        Notify { to: text("NOTIFY_SOCKET").and_then(|path| open(&path)), watchdog: period.map(Duration::from_micros) }
    }

    /// Sends a word, without waiting.
    pub fn say(&self, word: &str) {
        if let Some((socket, to)) = &self.to {
            // systemd's queue may be full, or systemd gone: neither is a reason to stop.
            let _ = socket.send_to_addr(word.as_bytes(), to);
        }
    }

    /// How often at least the watchdog wants to hear.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog.filter(|_| self.to.is_some())
    }
}

fn open(path: &str) -> Option<(UnixDatagram, SocketAddr)> {
    let to = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).ok()?,
        None => SocketAddr::from_pathname(path).ok()?,
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some((socket, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_arrives_by_path_and_by_abstract_name() {
        let path = std::env::temp_dir().join(format!("gostech-notify-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let abstract_name = format!("gostech-notify-{}", std::process::id());
        let by_name = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        for (heard, name) in [
            (UnixDatagram::bind(&path).unwrap(), path.display().to_string()),
            (UnixDatagram::bind_addr(&by_name).unwrap(), format!("@{abstract_name}")),
        ] {
            let notify = Notify { to: open(&name), watchdog: Some(Duration::from_secs(1)) };
            assert!(notify.watchdog().is_some());
            notify.say("READY=1");
            let mut word = [0; 16];
            let got = heard.recv(&mut word).unwrap();
            assert_eq!(&word[..got], b"READY=1");
        }
        std::fs::remove_file(&path).unwrap();
        let nobody = Notify { to: None, watchdog: Some(Duration::from_secs(1)) };
        nobody.say("READY=1");
        assert_eq!(nobody.watchdog(), None);
    }
}
