//! What a call of the audit helper asks for: the options, read and checked before anything is touched.
//!
//! Only what could not be right on any day is an error here. Files of certificates, keys and secrets are not looked at:
//! they may come later, and the events are kept until then.

mod exposed;
pub mod in_force;
pub mod keeping;
mod receivers;
pub mod sealing;
pub mod table;

use crate::audit::delivery::filter::Filter;
use crate::audit::delivery::format::Form;
use crate::audit::delivery::sender::Portion;
use crate::audit::delivery::transport::Route;
use crate::audit::intake::source::{table as sources, Choice, Row};
use crate::audit::spool::Full;
use crate::error::{Error, Result};
use crate::flags::{value, Item, Parsed};
use crate::limits;
use crate::log::Level;
use crate::net::address::Address;
use in_force::Setting;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// When events are on the platter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// An fsync begins at most 100 ms after a record was read.
    Soon,
    /// Nothing more is read before the last chunk is synced.
    Always,
    /// When the system likes.
    Never,
}

/// One receiver with its stand-ins.
#[derive(Clone, Debug)]
pub struct ReceiverOptions {
    /// Its name.
    pub name: String,
    /// It never blocks.
    pub optional: bool,
    /// The receiver, then its stand-ins.
    pub targets: Vec<Route>,
    /// How events become a parcel.
    pub form: Form,
    /// Which events it gets.
    pub filter: Filter,
    /// How much goes into a request.
    pub portion: Portion,
    /// `--quarantine-max`
    pub quarantine_max: u64,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct Options {
    /// `--type`, `--filename`
    pub source: Choice,
    /// The receivers, in order.
    pub receivers: Vec<ReceiverOptions>,
    /// `--spool-dir`
    pub spool_dir: Option<PathBuf>,
    /// `$STATE_DIRECTORY`
    pub state_directory: Option<String>,
    /// `--instance`
    pub instance: Option<String>,
    /// `--cluster`
    pub cluster: String,
    /// `--spool-max`; none: by the file system.
    pub spool_max: Option<u64>,
    /// `--spool-full`
    pub full: Full,
    /// `--spool-pack`: segments that wait are packed.
    pub pack: bool,
    /// `--memory-max`
    pub memory_max: u64,
    /// `--sync`
    pub sync: Sync,
    /// `--retain`
    pub retain: Duration,
    /// `--event-max`
    pub event_max: usize,
    /// `--seal` and what belongs to it; none: nothing is sealed.
    pub seal: Option<sealing::Seal>,
    /// `--drain`
    pub drain: Duration,
    /// `--on-alarm`, split.
    pub on_alarm: Vec<String>,
    /// `--alarm-repeat`; none: never.
    pub alarm_repeat: Option<Duration>,
    /// `--no-confinement`
    pub unconfined: bool,
    /// `--metrics-addr`
    pub metrics_addr: Option<Address>,
    /// `--log-level`, `--debug`
    pub log_level: Level,
    /// All of them as they are shown, and compared with others.
    pub in_force: Vec<Setting>,
    /// To be logged once the log is there.
    pub warnings: Vec<String>,
    /// What must not stand in the arguments of the process.
    pub secrets: Vec<OsString>,
}

fn of_env(env: &[(OsString, OsString)], name: &str) -> Option<String> {
    let found = env.iter().find(|(n, _)| n == name)?;
    found.1.to_str().filter(|v| !v.is_empty()).map(String::from)
}

fn source_of(parsed: &Parsed) -> Result<Choice> {
    let kind = parsed.need("type");
    let row = sources::find(value::listed(&kind)?).map_err(|why| kind.error(why))?;
    fits(parsed, row)?;
    let choice = Choice {
        row,
        filename: parsed.get("filename").map(|i| PathBuf::from(&i.value)),
        old_dir: parsed.get("old-dir").map(old_dir_of).transpose()?,
        from_end: value::listed(&parsed.need("read-from"))? == "end",
        once: parsed.is_on("once"),
        matches: parsed.all("journal-match").into_iter().map(|i| i.value.clone()).collect(),
        stream: value::listed(&parsed.need("socket"))? == "stream",
        mode: mode_of(&parsed.need("socket-mode"))?,
    };
    // Systemd may have opened it.
    if choice.row.is_held && std::env::var_os("LISTEN_FDS").is_none() {
        choice.place()?;
    }
    Ok(choice)
}

/// An option that the source cannot take would be passed over without a word, and something else be read than was meant.
fn fits(parsed: &Parsed, source: &Row) -> Result<()> {
    for option in parsed.rows().map(|row| row.name).filter(|name| !source.options.contains(name)) {
        let takers = sources::takers(option);
        if let Some(item) = parsed.get(option).filter(|item| !takers.is_empty() && item.value != "false") {
            let (name, takers) = (source.name, takers.join(" or "));
            return Err(item.error(format!(
                "--type {name} has no use for it, --type {takers} has: leave out the one or name the other"
            )));
        }
    }
    Ok(())
}

/// All of it is open to the worker.
fn old_dir_of(item: &Item) -> Result<PathBuf> {
    let dir = value::path(item)?;
    if crate::guard::files::is_shallow(&dir) {
        let text = format!("{} holds too much besides a log: name the directory of its older files", item.shown());
        return Err(item.error(format!("{text}, which is no directory at the root, as /srv/log")));
    }
    Ok(dir)
}

/// `660`, `0660`
fn mode_of(item: &Item) -> Result<u32> {
    let mode = u32::from_str_radix(&item.value, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| item.error(format!("{} is no mode: three octal digits, as 660", item.shown())))
}

impl Options {
    /// Reads them. `needs_url`: a call without a receiver is an error.
    pub fn read(parsed: &Parsed, env: &[(OsString, OsString)], needs_url: bool) -> Result<Options> {
        let mut options = Options {
            source: source_of(parsed)?,
            receivers: Vec::new(),
            spool_dir: parsed.get("spool-dir").map(value::path).transpose()?,
            state_directory: of_env(env, "STATE_DIRECTORY"),
            instance: parsed.get("instance").map(named).transpose()?,
            cluster: parsed.get("cluster").map(named).transpose()?.unwrap_or_default(),
            spool_max: parsed
                .get("spool-max")
                .map(|i| value::size_within(i, limits::SPOOL_MIN_BYTES..=1 << 50))
                .transpose()?,
            full: match value::listed(&parsed.need("spool-full"))? {
                "drop-newest" => Full::DropNewest,
                "drop-oldest" => Full::DropOldest,
                _ => Full::Block,
            },
            pack: value::listed(&parsed.need("spool-pack"))? == "auto",
            memory_max: value::size_within(
                &parsed.need("memory-max"),
                limits::MEMORY_BYTES.0..=limits::MEMORY_BYTES.1,
            )?,
            sync: match value::listed(&parsed.need("sync"))? {
                "always" => Sync::Always,
                "never" => Sync::Never,
                _ => Sync::Soon,
            },
            retain: value::duration(&parsed.need("retain"))?,
            event_max: value::size_within(
                &parsed.need("event-max"),
                limits::EVENT_MAX_BYTES.0..=limits::EVENT_MAX_BYTES.1,
            )? as usize,
            seal: sealing::read(parsed)?,
            drain: value::duration(&parsed.need("drain"))?,
            on_alarm: parsed.get("on-alarm").map(value::command).transpose()?.unwrap_or_default(),
            alarm_repeat: alarm_repeat(parsed)?,
            unconfined: parsed.is_on("no-confinement"),
            metrics_addr: match parsed.get("metrics-addr") {
                Some(i) => Some(Address::parse(value::nonempty(i)?).map_err(|e| i.error(e.text()))?),
                None => None,
            },
            log_level: match parsed.is_on("debug") {
                true => Level::Debug,
                false => Level::parse(value::listed(&parsed.need("log-level"))?).unwrap_or(Level::Info),
            },
            in_force: Vec::new(),
            warnings: parsed.warnings.iter().cloned().chain(exposed::warnings(parsed)).collect(),
            secrets: Vec::new(),
        };
        options.check_sizes(parsed)?;
        options.read_receivers(parsed, env)?;
        if needs_url && options.receivers.is_empty() {
            return Err(Error::usage(
                "no receiver: give at least one `--url URL`, as in `--url https://logstash.example.com:8080`",
            ));
        }
        Ok(options)
    }

    /// There is only so much memory: what depends on it gives way.
    pub fn fit_memory(&mut self, bytes: u64) {
        self.memory_max = self.memory_max.min(bytes);
        self.event_max = self.event_max.min(self.memory_max as usize / 2);
    }

    /// Sizes that must go together.
    fn check_sizes(&mut self, parsed: &Parsed) -> Result<()> {
        let event = parsed.need("event-max");
        // A record must fit the cushion to be seen whole, and the spool beside others.
        let most = (self.memory_max / 2).min(self.spool_max.unwrap_or(u64::MAX) / limits::EVENTS_IN_SPOOL as u64);
        if !parsed.has("event-max") {
            // The default gives way; what was asked for does not.
            self.event_max = self.event_max.min(most as usize);
            return Ok(());
        }
        if self.event_max as u64 * 2 > self.memory_max {
            return Err(event.error(format!("{} is too large for --memory-max: at most half of it", event.shown())));
        }
        if let Some(max) = self.spool_max {
            if (self.event_max * limits::EVENTS_IN_SPOOL) as u64 > max {
                return Err(
                    event.error(format!("{} is too large for --spool-max: at most a quarter of it", event.shown()))
                );
            }
        }
        Ok(())
    }
}

fn alarm_repeat(parsed: &Parsed) -> Result<Option<Duration>> {
    let most = Duration::from_secs(limits::ALARM_REPEAT_MOST_SECONDS);
    let time = value::duration_within(&parsed.need("alarm-repeat"), Duration::ZERO..=most)?;
    Ok(Some(time).filter(|t| !t.is_zero()))
}

/// A name for document ids: any text without control characters, not too long.
fn named(item: &Item) -> Result<String> {
    let text = &item.value;
    if text.len() > limits::NAME_BYTES {
        return Err(item.error(format!("{} is longer than {} bytes", item.shown(), limits::NAME_BYTES)));
    }
    if text.chars().any(char::is_control) {
        return Err(item.error("the name has control characters"));
    }
    Ok(text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::delivery::transport;
    use crate::audit::options::table::PROGRAM;
    use crate::flags::{self, Outcome, Scope};

    fn read(args: &[&str]) -> Result<Options> {
        let mut args: Vec<OsString> = args.iter().map(OsString::from).collect();
        args.push("--no-config".into());
        match flags::parse(&PROGRAM, &args, &[], &|_| Err(std::io::ErrorKind::NotFound.into()))? {
            Outcome::Run(parsed) => Options::read(&parsed, &[], true),
            Outcome::Print(text) => panic!("{text}"),
        }
    }

    #[test]
    fn the_documents_command() {
        let o = read(&["--url", "https://example.com"]).unwrap();
        assert_eq!(
            (o.receivers.len(), o.receivers[0].name.as_str(), o.receivers[0].form.format.name),
            (1, "r1", "json")
        );
        assert_eq!((o.memory_max, o.event_max, o.drain), (4 << 20, 1 << 20, Duration::from_secs(10)));
        assert!(o.seal.is_none());
    }

    #[test]
    fn receivers_their_names_and_stand_ins() {
        let o = read(&[
            "--gzip",
            "--url",
            "http://a",
            "--url",
            "http://b",
            "--failover",
            "--url",
            "http://c",
            "--name",
            "siem",
            "--optional",
            "--format",
            "ndjson",
        ])
        .unwrap();
        let names: Vec<(&str, usize, bool, &str)> =
            o.receivers.iter().map(|r| (r.name.as_str(), r.targets.len(), r.optional, r.form.format.name)).collect();
        assert_eq!(names, [("r1", 2, false, "json"), ("siem", 1, true, "ndjson")]);
        assert!(o.receivers.iter().all(|r| r.targets.iter().all(|t| t.to.gzip)));
    }

    /// Over the whole table: what a transport takes is read, everything else of a receiver is refused.
    #[test]
    fn a_transport_takes_its_options_and_no_others() {
        let value = |name: &str| match name {
            "url" => None,
            "header" => Some("X: y"),
            "proxy" => Some("http://p:1"),
            "batch-events" => Some("2"),
            "batch-bytes" | "quarantine-max" => Some("8K"),
            "linger" | "connect-timeout" | "total-timeout" | "send-timeout" | "first-byte-timeout" => Some("2s"),
            "tls-server-name" => Some("example.com"),
            "only" | "skip" => Some("severity>=medium"),
            "facility" => Some("local0"),
            "app-name" | "sd-id" => Some("x"),
            "file-max" => Some("64M,1d"),
            "file-keep" => Some("10"),
            "sasl" => Some("plain"),
            _ => Some("/some/file"),
        };
        for transport in transport::TRANSPORTS {
            let begins = transport.url.starts_with(&format!("{}://", transport.scheme.name));
            assert!(begins || transport.url == transport.scheme.name, "{}", transport.url);
            // What may be left out is left out.
            let parts = transport.url.split('[').map(|part| part.rsplit(']').next().unwrap_or_default());
            let url = parts.collect::<String>().replace("PORT", "1").to_ascii_lowercase();
            for name in transport.options.iter().copied().flatten().chain(transport::OF_EVERY_RECEIVER) {
                assert!(PROGRAM.rows.iter().any(|r| r.name == *name && r.scope == Scope::Receiver), "{name}");
            }
            for name in transport.formats {
                assert!(read(&["--url", &url, "--format", name]).is_ok(), "{url} {name}");
            }
            for row in PROGRAM.rows.iter().filter(|r| r.scope == Scope::Receiver && r.name != "url") {
                let option = format!("--{}", row.name);
                let mut args = vec!["--url", &url, &option];
                args.extend(row.metavar().map(|_| match row.name {
                    "format" => transport.formats[0],
                    "user" | "name" => "somebody",
                    name => value(name).expect("a value"),
                }));
                // Some go together.
                let more: &[&str] = match row.name {
                    "user" => &["--password-file", "/f"],
                    "password-file" => &["--user", "u"],
                    "sasl" => &["--user", "u", "--password-file", "/f"],
                    "private-key" => &["--certificate", "/f"],
                    "failover" => continue,
                    _ => &[],
                };
                args.extend(more);
                let takes = transport.takes(row.name);
                match read(&args) {
                    Ok(_) => assert!(takes, "{args:?}"),
                    Err(e) => assert!(!takes && e.text().contains("has no use for it"), "{args:?}: {e}"),
                }
                // As a default for all it is for those that take it.
                args.rotate_left(2);
                assert!(read(&args).is_ok() || row.own, "{args:?}");
            }
        }
    }

    /// Over the whole table, from the command line and from a file: a source takes its options and no others.
    #[test]
    fn a_source_takes_its_options_and_no_others() {
        let value = |name: &str| match name {
            "filename" => "/l/audit.log",
            "old-dir" => "/l/old",
            "read-from" => "end",
            "journal-match" => "_COMM=picodata",
            "socket" => "stream",
            "socket-mode" => "600",
            "once" => "yes",
            name => panic!("a value for --{name}"),
        };
        let of_sources: Vec<&str> =
            PROGRAM.rows.iter().map(|row| row.name).filter(|name| !sources::takers(name).is_empty()).collect();
        assert!(sources::TABLE.iter().all(|s| s.options.iter().all(|o| of_sources.contains(o))), "{of_sources:?}");
        for source in sources::TABLE {
            for name in &of_sources {
                let place = if source.is_held && *name != "filename" { "filename /l/place\n" } else { "" };
                let text = format!("url http://a\ntype {}\n{place}{name} {}\n", source.name, value(name));
                let args = ["--config", "/c"].map(OsString::from);
                let parsed = flags::parse(&PROGRAM, &args, &[], &|_| Ok(text.clone().into_bytes()));
                let Ok(Outcome::Run(parsed)) = parsed else { panic!("{text}: {parsed:?}") };
                let got = Options::read(&parsed, &[], true).map_err(|e| e.text().to_string());
                if source.options.contains(name) {
                    assert!(got.is_ok(), "{text}: {got:?}");
                    continue;
                }
                let why = got.expect_err(&text);
                let (line, kind) = (format!("`{name}` in `/c` line"), format!("--type {} has no use", source.name));
                assert!(why.contains(&line) && why.contains(&kind), "{text}: {why}");
            }
        }
        let why = read(&["--url", "http://a", "--from", "end"]).unwrap_err().text().to_string();
        assert!(why.starts_with("`--from`: --type pipe has no use for it, --type file or journal has"), "{why}");
    }

    #[test]
    fn what_could_not_be_right_on_any_day() {
        let bad: &[&[&str]] = &[
            &[],
            &["--url", "ftp://x"],
            &["--url", "http://x", "--name", "a/b"],
            &["--url", "http://x", "--failover"],
            &["--url", "http://x", "--url", "http://y", "--failover", "--optional"],
            &["--url", "http://x", "--url", "http://y", "--failover", "--format", "single"],
            &["--url", "http://x", "--name", "r2", "--url", "http://y"],
            &["--url", "http://x", "--user", "u"],
            &["--url", "http://x", "--token-file", "f", "--user", "u", "--password-file", "g"],
            &["--url", "http://x", "--event-max", "3M"],
            &["--url", "http://x", "--spool-max", "1K"],
            &["--url", "http://x", "--type", "book"],
            &["--url", "http://x", "--read-from", "middle"],
            &["--url", "http://x", "--header", "no colon"],
            &["--url", "http://x", "--linger", "5"],
            &["--url", "https://x", "--tls-server-name", "a b"],
            &["--url", "http://x", "--on-alarm", "  "],
            &["--ulr", "http://x"],
            &["--url", "http://x", "--type", "file", "--old-dir", "/"],
            &["--url", "http://x", "--type", "file", "--old-dir", "/srv"],
        ];
        for args in bad {
            let e = read(args).unwrap_err();
            assert_eq!(e.exit(), crate::error::Exit::Usage, "{args:?}");
        }
        let headers = (0..=limits::HTTP_HEADERS).flat_map(|_| ["--header", "X: y"]);
        let args: Vec<&str> = ["--url", "http://x"].into_iter().chain(headers).collect();
        assert_eq!(read(&args).unwrap_err().exit(), crate::error::Exit::Usage);
    }

    #[test]
    fn secrets_of_the_command_line_are_known_and_never_said() {
        let o = read(&["--url", "https://u:s3cr%40t@h/p?key=q", "--header", "X-Key: k3y"]).unwrap();
        assert_eq!(o.secrets, ["u:s3cr%40t", "?key=q", "k3y"]);
        assert_eq!(o.warnings.len(), 2);
        assert!(o.warnings.iter().all(|w| !w.contains("s3cr") && !w.contains("k3y")), "{:?}", o.warnings);
        let e = read(&["--url", "https://u:s3cret@h:99999/"]).unwrap_err();
        assert!(!e.text().contains("s3cret"), "{e}");
    }
}
