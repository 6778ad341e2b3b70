//! `check`: every option, file and address of a call, in words, each wrong one with its cure; `--send` delivers a test
//! event to every receiver and stand-in. Exit code 0: all is well.
//!
//! Refuses: to make a directory or to change a file (the probe of the spool directory is removed at once), and to show a
//! secret.

use super::acting::{self, Acting};
use super::call::{Call, Result};
use super::look;
use crate::audit::delivery::batch::Batch;
use crate::audit::delivery::parcel::{Stop, Why};
use crate::audit::delivery::transport::{self, Route};
use crate::audit::options::sealing::Seal;
use crate::audit::options::{keeping, Options, ReceiverOptions};
use crate::audit::process::cage;
use crate::audit::process::sealer::{copies, other, vault};
use crate::audit::record;
use crate::audit::spool::record::{decode, encode, Head, New};
use crate::audit::spool::survey::{Look, Use};
use crate::error::Exit;
use crate::guard;
use crate::limits;
use crate::net::address::Address;
use crate::net::expiry::{Expiry, Named};
use crate::net::failure::{words as io_words, FailureKind};
use crate::net::http::{Auth, HttpOptions};
use crate::net::resolve;
use crate::net::target::Place;
use crate::net::tls;
use crate::sys::file;
use crate::sys::socket::connect_unix;
use crate::sys::trial::By;
use crate::{stamp, words};
use serde_json::json;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// What was found, in order.
#[derive(Debug, Default)]
struct Report {
    lines: Vec<(Verdict, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    Note,
    Wrong,
}

impl Report {
    fn ok(&mut self, text: impl Into<String>) {
        self.lines.push((Verdict::Ok, text.into()));
    }

    fn note(&mut self, text: impl Into<String>) {
        self.lines.push((Verdict::Note, text.into()));
    }

    fn wrong(&mut self, text: impl Into<String>) {
        self.lines.push((Verdict::Wrong, text.into()));
    }

    fn print(&mut self, call: &mut Call<'_>) -> Result<()> {
        for (verdict, text) in self.lines.drain(..) {
            let mark = match verdict {
                Verdict::Ok => "ok   ",
                Verdict::Note => "note ",
                Verdict::Wrong => "wrong",
            };
            writeln!(call.out, "{mark}  {}", words::line(&text, 1000))?;
        }
        call.out.flush()?;
        Ok(())
    }
}

/// The command.
pub fn run(call: &mut Call<'_>) -> Result<Exit> {
    let mut wrong = 0;
    let mut report = Report::default();
    // Before anything that makes threads: it forks.
    confinement(call.options, &mut report);
    match acting::become_user(call)? {
        Acting::Oneself => {}
        Acting::As(words) => report.ok(format!("what follows is checked with the rights of {words}")),
        Acting::Root => report.note(
            "checked with the rights of root, who may read everything: name the user of the database: `check --as USER`",
        ),
    }
    configuration(call, &mut report);
    finish(call, &mut report, &mut wrong)?;
    let options = call.options;
    match (options.source.row.check)(&options.source) {
        Ok(text) => report.ok(text),
        Err(text) => report.wrong(text),
    }
    for r in &options.receivers {
        for (i, target) in r.targets.iter().enumerate() {
            receiver(&title(r, i), target, call.now_ms, &mut report);
            finish(call, &mut report, &mut wrong)?;
        }
    }
    spool(options, &mut report);
    if let Some(seal) = &options.seal {
        seal_dir(&seal.dir, call.now_ms, &mut report);
        seal_besides(seal, &mut report);
    }
    if let Some(address) = &options.metrics_addr {
        metrics(address, options, &mut report);
    }
    alarm(options, &mut report);
    finish(call, &mut report, &mut wrong)?;
    if call.is_on("send") {
        for r in &options.receivers {
            for i in 0..r.targets.len() {
                send(options, r, i, call.now_ms, &mut report);
                finish(call, &mut report, &mut wrong)?;
            }
        }
    } else if !options.receivers.is_empty() {
        report.note("nothing was sent; `check --send` delivers a test event to every receiver");
        finish(call, &mut report, &mut wrong)?;
    }
    let verdict = if wrong == 0 { "all is well".into() } else { words::count(wrong, "fault") };
    writeln!(call.out, "{verdict}")?;
    Ok(if wrong == 0 { Exit::Clean } else { Exit::Failed })
}

fn finish(call: &mut Call<'_>, report: &mut Report, wrong: &mut u64) -> Result<()> {
    *wrong += report.lines.iter().filter(|(v, _)| *v == Verdict::Wrong).count() as u64;
    report.print(call)
}

/// How a receiver or its stand-in is called in the lines.
fn title(r: &ReceiverOptions, i: usize) -> String {
    let place = r.targets[i].to.target.display();
    match i {
        0 => format!("receiver {} `{place}`", r.name),
        _ => format!("stand-in of {} `{place}`", r.name),
    }
}

fn configuration(call: &Call<'_>, report: &mut Report) {
    match &call.parsed.config {
        Some(path) => {
            // It was read before root became another one.
            match std::fs::File::open(path) {
                Ok(_) => report.ok(format!("configuration `{}` can be read", path.display())),
                Err(e) => report.wrong(format!("configuration `{}` cannot be read: {}", path.display(), io_words(&e))),
            }
            let open = std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o004 != 0);
            if open && !call.options.secrets.is_empty() {
                let text =
                    "everyone may read it, and it may hold a password: chmod o-r it, or move the password to a file";
                report.wrong(format!("configuration `{}`: {text}", path.display()));
            }
        }
        None => report.note("no configuration file is used"),
    }
    for w in &call.options.warnings {
        report.note(w.clone());
    }
    match call.options.receivers.len() as u64 {
        0 => report.wrong("there is no receiver: give at least one --url URL"),
        n => report.ok(format!("the options can be read: {}", words::count(n, "receiver"))),
    }
}

/// Whether the worker's cage bites on this machine: a child in the same cage tries what it must not be able to do.
fn confinement(options: &Options, report: &mut Report) {
    if options.unconfined {
        return report.note("--no-confinement: the worker's files and system calls are not restricted");
    }
    let (files, calls, tried) = match guard::trial(cage::needs(options, false)) {
        Ok(all) => all,
        Err(e) => return report.note(format!("the confinement was not tried: {}", io_words(&e))),
    };
    for (there, by, what, gift) in
        [(files, By::Files, "landlock", "files"), (calls, By::Calls, "seccomp", "system calls")]
    {
        let acts = || tried.iter().filter(|t| t.by == by);
        let names =
            |refused: bool| acts().filter(|t| t.refused == refused).map(|t| t.name).collect::<Vec<_>>().join(", ");
        match (there, acts().all(|t| t.refused)) {
            (false, _) => {
                let text = format!("this machine has no {what} for us: the worker's {gift} are not restricted");
                report.note(format!("{text}; not refused: {}", names(false)));
            }
            (true, true) => report.ok(format!("{what} restricts the worker's {gift}; refused: {}", names(true))),
            (true, false) => report.wrong(format!("{what} is in force and does not refuse: {}", names(false))),
        }
    }
}

fn receiver(title: &str, route: &Route, now_ms: i64, report: &mut Report) {
    let before = report.lines.len();
    secrets(title, &mut route.to.clone(), report);
    let options = &route.to;
    let all = tls_files(title, options, report);
    let faults = report.lines.iter().skip(before).filter(|(v, _)| *v == Verdict::Wrong).count();
    match transport::open(route) {
        Err(e) => report.wrong(format!("{title}: {e}")),
        // Each file that cannot be read was told already.
        Ok(_) if !all => {}
        Ok(mut sink) => match sink.check() {
            Ok(()) => report.ok(format!("{title}: {}", files_words(options))),
            // A secret that cannot be read was told already.
            Err(f) if f.kind == FailureKind::Secret && faults > 0 => {}
            Err(f) => report.wrong(format!("{title}: {f}")),
        },
    }
    unused_tls(title, options, report);
    let (own, trusted) = (options.tls.certificate.as_deref(), options.tls.ca.as_deref());
    dates(title, own.map(Named::certificate).into_iter().chain(trusted.map(Named::authority)), now_ms / 1000, report);
    reach(title, options, report);
}

/// Certificates of a receiver that is spoken to without TLS: of no use now, and wrong the day its URL is.
fn unused_tls(title: &str, options: &HttpOptions, report: &mut Report) {
    let t = &options.tls;
    if options.target.is_tls() || t.ca.is_none() && t.certificate.is_none() {
        return;
    }
    report.note(format!("{title}: its certificates are not used, since its URL is not one for TLS"));
    if let Err(f) = tls::Client::new(t.clone()).config() {
        report.wrong(format!("{title}: {f}"));
    }
}

/// When the certificates end, as the running helper judges that.
fn dates(title: &str, files: impl Iterator<Item = Named>, now: i64, report: &mut Report) {
    for seen in Expiry::new(files).look(now) {
        let day = |at: i64| stamp::rfc3339_text(at.saturating_mul(1000))[..10].to_string();
        match (seen.wrong, seen.ends) {
            (Some(text), _) if seen.invalid => report.wrong(format!("{title}: {text}")),
            (Some(text), _) => report.note(format!("{title}: {text}")),
            (None, Some(end)) => report.ok(format!("{title}: {} is valid until {}", seen.about, day(end))),
            // A file that cannot be read was told already.
            (None, None) => {}
        }
    }
}

fn files_words(options: &HttpOptions) -> &'static str {
    match (options.target.is_tls(), &options.tls.certificate) {
        (true, Some(_)) => "certificates can be read, and the private key fits its certificate",
        (true, None) => "the trusted certificates can be read",
        _ => "its options go together",
    }
}

/// Files with a password, token or header value.
fn secrets(title: &str, options: &mut HttpOptions, report: &mut Report) {
    let auth = match &mut options.auth {
        Auth::None => None,
        Auth::Basic { password, .. } => Some(("password file", password)),
        Auth::Bearer(token) => Some(("token file", token)),
    };
    let headers = options.headers.iter_mut().map(|(_, value)| ("header file", value));
    for (what, secret) in auth.into_iter().chain(headers) {
        let Some(path) = secret.path().map(Path::to_path_buf) else { continue };
        match secret.read() {
            Err(f) => report.wrong(format!("{title}: {f}")),
            Ok([]) => report.wrong(format!("{title}: {what} `{}` is empty: write the secret into it", path.display())),
            Ok(_) => mode(title, &path, what, report),
        }
    }
}

/// Whether each of the files for TLS can be read, and the key by few. All are looked at: one fault hides no other.
fn tls_files(title: &str, options: &HttpOptions, report: &mut Report) -> bool {
    let t = &options.tls;
    let key = t.certificate.as_ref().map(|c| t.key.as_ref().unwrap_or(c));
    let files = [(t.ca.as_ref(), "authority"), (t.certificate.as_ref(), "certificate"), (key, "private key")];
    let mut all = true;
    for (file, what) in files.into_iter().filter_map(|(file, what)| Some((file?, what))) {
        match std::fs::File::open(file) {
            Ok(_) if what == "private key" => mode(title, file, what, report),
            Ok(_) => {}
            // In one file with its certificate: that was told.
            Err(_) if what == "private key" && t.key.is_none() => {}
            Err(e) => {
                all = false;
                report.wrong(format!("{title}: {what} `{}` cannot be read: {}", file.display(), io_words(&e)));
            }
        }
    }
    all
}

/// Whether a file is for its owner and group alone.
fn mode(title: &str, path: &Path, what: &str, report: &mut Report) {
    let Ok(meta) = std::fs::metadata(path) else { return };
    let shown = path.display();
    if meta.permissions().mode() & 0o004 != 0 {
        report.wrong(format!("{title}: everyone may read the {what} `{shown}`: chmod o-r {shown}"));
    } else {
        report.ok(format!("{title}: {what} `{shown}` is for its owner alone"));
    }
}

/// The name of the receiver, or of the proxy before it; the socket.
fn reach(title: &str, options: &HttpOptions, report: &mut Report) {
    let (host, port, what) = match (options.target.place(), &options.proxy) {
        (Place::Unix { path }, _) => return socket(title, path, report),
        // What there is to be seen of it was seen by `Sink::check`.
        (Place::Path { .. } | Place::Nowhere, _) => return,
        (Place::Net { .. }, Some(p)) => (p.host.clone(), p.port, format!("the proxy {}", p.display())),
        (Place::Net { host, port }, None) => (host.clone(), *port, format!("`{host}`")),
    };
    let deadline = Instant::now() + Duration::from_secs(limits::CHECK_LOOKUP_SECONDS);
    match resolve::lookup(&host, port, deadline) {
        Ok(_) if host.parse::<IpAddr>().is_ok() => {}
        Ok(found) => {
            let list: Vec<String> = found.iter().map(|a| a.ip().to_string()).collect();
            report.ok(format!("{title}: {what} is {}", list.join(", ")));
        }
        Err(f) => report.wrong(format!("{title}: {f}; look at the URL, /etc/resolv.conf and /etc/hosts")),
    }
}

fn socket(title: &str, path: &Path, report: &mut Report) {
    // Not std's, which would wait without end for one whose queue is full.
    match connect_unix(path) {
        Ok(_) => report.ok(format!("{title}: somebody listens on the socket")),
        Err(e) if e.raw_os_error() == Some(libc::EPROTOTYPE) => {
            report.ok(format!("{title}: somebody listens for datagrams on the socket"));
        }
        Err(e) if e.kind() == ErrorKind::WouldBlock => {
            report.note(format!("{title}: somebody listens on the socket, and is slow to take visitors"));
        }
        Err(e) => {
            let cure = match e.kind() {
                ErrorKind::NotFound => "start what listens there, or mend the path",
                ErrorKind::PermissionDenied => "this user may not use it: look at its mode",
                _ => "start what listens there",
            };
            report.wrong(format!("{title}: socket `{}`: {}; {cure}", path.display(), io_words(&e)));
        }
    }
}

/// Where the spool will be, without making anything.
fn spool(options: &Options, report: &mut Report) {
    let mut why = Vec::new();
    for dir in keeping::roots(options) {
        match usable(&dir, &options.spool_dir) {
            Ok(at) => return room(&dir, &at, options, report),
            Err(text) => why.push(format!("`{}`: {text}", dir.display())),
        }
    }
    let cure = "give a directory that this user can write to: --spool-dir DIR";
    report.wrong(format!("no spool directory can be used ({}); {cure}", why.join(", ")));
}

/// A directory that is there and can be written to, or can be made; gives what is there of its path.
fn usable(dir: &Path, given: &Option<PathBuf>) -> std::result::Result<PathBuf, String> {
    let mut there = if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir.to_path_buf() };
    // The usual directory is not made by the helper: a package does that, with its owner.
    let made = given.is_some() || dir.is_relative();
    while !there.exists() && made {
        there = match there.parent() {
            Some(p) if !p.as_os_str().is_empty() => p.to_path_buf(),
            _ => PathBuf::from("."),
        };
    }
    let probe = there.join(format!(".probe-{}", std::process::id()));
    let done = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&probe);
    let _ = std::fs::remove_file(&probe);
    done.map(|_| there).map_err(|e| io_words(&e))
}

fn room(dir: &Path, there: &Path, options: &Options, report: &mut Report) {
    let shown = dir.display();
    report.ok(match there == dir {
        true => format!("spool directory `{shown}` can be written to"),
        false => format!("spool directory `{shown}` is not there yet and can be made"),
    });
    let max = keeping::settings(options, Some(there)).max;
    let used: u64 =
        look::below(dir).unwrap_or_default().iter().filter_map(|d| Look::at(d).ok()).map(|l| l.bytes()).sum();
    match file::space(there) {
        Err(e) => report.wrong(format!("the room of `{shown}` cannot be told: {}", io_words(&e))),
        Ok(s) if s.free + used < max.min(limits::CHECK_FREE_BYTES).max(max / 100) => {
            let (free, max) = (words::size(s.free), words::size(max));
            report
                .wrong(format!("`{shown}`: only {free} are free for a spool of {max}: make room or lower --spool-max"));
        }
        Ok(s) if s.free + used < max => {
            let (free, max) = (words::size(s.free), words::size(max));
            report.note(format!("`{shown}`: {free} are free; the disk is full before --spool-max ({max}) is reached"));
        }
        Ok(s) => {
            let (free, max) = (words::size(s.free), words::size(max));
            report.ok(format!("`{shown}`: {free} are free for a spool of {max} at most"));
        }
    }
}

/// The directory of `--seal`: whether a key is there, and whether it can be written to. The key is not printed.
fn seal_dir(dir: &Path, now_ms: i64, report: &mut Report) {
    let shown = dir.display();
    match vault::look(dir) {
        Ok((key, made)) => {
            report
                .ok(format!("seal directory `{shown}`: the key can be read, made {}: {key}", words::ago(now_ms, made)));
        }
        Err(why) => return report.wrong(why),
    }
    if let Err(why) = usable(dir, &None) {
        report
            .wrong(format!("seal directory `{shown}` cannot be written to: {why}; give it to the user of the helper"));
    }
}

/// Where copies of checkpoints go, and whether the other signer signs a trial within its time.
fn seal_besides(seal: &Seal, report: &mut Report) {
    for to in &seal.copies {
        match copies::look(to) {
            Ok(text) => report.ok(text),
            Err(why) => report.wrong(format!("--seal-copy: {why}")),
        }
    }
    let Some(program) = seal.sign.first() else { return };
    match other::attempt(&seal.sign) {
        Ok(name) => report.ok(format!("`{program}` has signed a trial as `{name}`")),
        Err(why) => report.wrong(format!("--seal-sign `{program}`: {why}; checkpoints would go without its signature")),
    }
}

/// Whether a helper works in the spool directory: then what it listens on is taken by it.
fn runs(options: &Options) -> bool {
    let Ok(root) = look::root(options) else { return false };
    let all = look::below(&root).unwrap_or_default();
    all.iter().filter_map(|d| Look::at(d).ok()).any(|l| matches!(l.in_use, Use::By(_)))
}

fn metrics(address: &Address, options: &Options, report: &mut Report) {
    let taken = |place: String, report: &mut Report| {
        if runs(options) {
            report.note(format!("metrics address {place} is taken, perhaps by the helper that runs"));
        } else {
            report.wrong(format!("metrics address {place} is taken: choose another --metrics-addr"));
        }
    };
    match address {
        Address::Tcp { host, port } => {
            let host = if host.is_empty() { "0.0.0.0" } else { host.as_str() };
            let place = format!("`{}:{port}`", crate::net::target::bracketed(host));
            match TcpListener::bind((host, *port)) {
                Ok(_) => report.ok(format!("metrics address {place} is free")),
                Err(e) if e.kind() == ErrorKind::AddrInUse => taken(place, report),
                Err(e) => report.wrong(format!("metrics address {place}: {}", io_words(&e))),
            }
        }
        Address::Unix { path, .. } => {
            let place = format!("`unix:{}`", path.display());
            let dir = path.parent().unwrap_or(Path::new("/"));
            if connect_unix(path).map_or_else(|e| e.kind() == ErrorKind::WouldBlock, |_| true) {
                taken(place, report);
            } else if let Err(e) = usable(dir, &None) {
                report.wrong(format!("metrics address {place}: cannot write to `{}`: {e}", dir.display()));
            } else {
                report.ok(format!("metrics address {place} is free"));
            }
        }
    }
}

fn alarm(options: &Options, report: &mut Report) {
    let Some(command) = options.on_alarm.first() else { return };
    let runs = |p: &Path| std::fs::metadata(p).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = match command.contains('/') {
        true => Some(PathBuf::from(command)).filter(|p| runs(p)),
        false => std::env::split_paths(&path).map(|d| d.join(command)).find(|p| runs(p)),
    };
    match found {
        Some(p) => report.ok(format!("alarm command `{}` can be run", p.display())),
        None => report.wrong(format!("alarm command `{command}` is no program that can be run: mend --on-alarm")),
    }
}

/// Delivers one test event and tells the answer.
fn send(options: &Options, r: &ReceiverOptions, i: usize, now_ms: i64, report: &mut Report) {
    let title = title(r, i);
    let target = &r.targets[i];
    let mut sink = match transport::open(target) {
        Ok(sink) => sink,
        // Told already.
        Err(_) => return,
    };
    let Some(mut batch) = test_event(options, r, i, now_ms) else { return };
    let delivery = sink.deliver(&batch.parcel(0..1, SystemTime::now()));
    let Some(stop) = delivery.stop else {
        let status = delivery.said.status.map_or_else(String::new, |s| format!(" ({s})"));
        return report.ok(format!("{title} took the test event{status}"));
    };
    let words = stop.said.words();
    report.wrong(match stop.why {
        Why::NotNow(_) | Why::TooOften(_) => {
            format!("{title} does not take events now: {words}; the helper would try again")
        }
        Why::NotSent(_) | Why::Unanswered(_) => format!("{title} did not get the test event: {words}"),
        _ => format!("{title} refused the test event: {words}{}", cure(&stop)),
    });
}

fn cure(stop: &Stop) -> &'static str {
    match (stop.said.status, stop.why) {
        (Some(400), _) => "; look whether it wants a client certificate (--certificate), or another --format",
        (Some(401), _) => "; look at --user and --password-file, or --token-file",
        (Some(403), _) => "; it knows us and does not let us: look at its rights, or at the client certificate",
        (Some(404 | 405 | 410), _) => "; look at the path of the URL",
        (Some(407), _) => "; the proxy wants a password: put it into the --proxy URL",
        (_, Why::TooLarge) => "; it takes no body of this size at all",
        (_, Why::Content(_)) | (Some(415), _) => "; it wants another --format",
        (Some(300..=399), _) => "; it sends us elsewhere: give that URL",
        // Our own words about it have a cure in them.
        (None | Some(200..=299), _) => "",
        _ => "; look at its log",
    }
}

/// A batch of one event, made as real ones are. Its id is its own each time, so that none is taken for a repeat.
fn test_event(options: &Options, r: &ReceiverOptions, i: usize, now_ms: i64) -> Option<Batch> {
    let id = format!("test-{now_ms}-{}-{i}", r.name.chars().take(24).collect::<String>());
    let message = "test event of `gostech-audit-log check --send`: nothing has happened";
    let time = stamp::rfc3339_text(now_ms);
    let raw = json!({"id": id, "title": "audit_test", "severity": "low", "time": time, "message": message}).to_string();
    let facts = record::read(raw.as_bytes(), false);
    let identity = keeping::settings(options, None).identity;
    let head = Arc::new(Head { first_seq: 1, created_ms: now_ms, identity, ..Head::default() });
    let (kind, raw, id, time) = (facts.kind, raw.as_bytes(), facts.id, facts.time);
    let mut bytes = Vec::new();
    encode(
        &mut bytes,
        &head,
        1,
        &New { kind, raw, id, time, part: 0, parts: 0, stream: 0, read_ms: now_ms, form: None },
    );
    let stored = decode(&head, &bytes).ok()?;
    let mut batch = Batch::new(r.form.clone());
    batch.push(&stored, &head);
    Some(batch)
}

/// For tests of the lines alone: faults, then notes.
#[cfg(test)]
pub fn faults(options: &Options, now_ms: i64) -> (Vec<String>, Vec<String>) {
    let mut report = Report::default();
    for r in &options.receivers {
        for (i, target) in r.targets.iter().enumerate() {
            receiver(&title(r, i), target, now_ms, &mut report);
        }
    }
    spool(options, &mut report);
    alarm(options, &mut report);
    let of = |v: Verdict| report.lines.iter().filter(|l| l.0 == v).map(|l| l.1.clone()).collect();
    (of(Verdict::Wrong), of(Verdict::Note))
}
