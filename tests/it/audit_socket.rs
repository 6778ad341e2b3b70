//! Sources that others write to: a FIFO and a Unix socket, of datagrams and of streams, with the database's own syslog frame,
//! rsyslog and syslog-ng in front, whoever dies: every record once.

use crate::harness::den::{peer, wait_for};
use crate::harness::ledger::Ledger;
use crate::harness::peer::{Peer, Plan};
use crate::harness::{events::Chance, procs, wait, Den, Events, Picodata, Receiver, Setup};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// The helper, listening.
struct Helper<'a> {
    den: &'a Den,
    program: Picodata,
    events: Events,
    written: Ledger,
}

impl Helper<'_> {
    fn start<'a>(den: &'a Den, receiver: &Receiver, kind: &str, more: &[&str]) -> Helper<'a> {
        let place = den.file("input");
        let args = [&["--type", kind, "--filename", &place], more].concat();
        let program = Setup::new(den).url(&receiver.url()).args(&args).exec().picodata();
        wait("the place", LIMIT, || Path::new(&place).exists());
        program.wait_worker(None);
        Helper { den, program, events: Events::new(1, 1), written: Ledger::default() }
    }

    fn place(&self) -> String {
        self.den.file("input")
    }

    fn event(&mut self) -> String {
        let record = self.events.event();
        self.written.note(&record);
        record
    }

    /// How many records the helper has read, and how many of them were there before.
    fn counted(&self) -> (u64, u64) {
        let args = ["status", "--json", "--no-config", "--spool-dir", &self.den.file("spool")];
        let out = Setup::new(self.den).tool(&args);
        let page: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
        let counters = &page["spools"][0]["counters"];
        (counters["read"].as_u64().unwrap(), counters["repeats"].as_u64().unwrap())
    }

    /// All that was written has arrived, and none of it was read twice.
    fn finish(self, receiver: &Receiver) {
        let missing = || self.written.missing(&receiver.docs());
        assert!(wait_for(LIMIT, || missing().is_empty()), "{:?}\nstderr:\n{}", missing(), self.program.err());
        let all = self.written.len();
        assert_eq!((self.counted(), receiver.count()), ((all as u64, 0), all), "stderr:\n{}", self.program.err());
        self.stop();
    }

    /// SIGTERM ends it.
    fn stop(mut self) {
        assert!(procs::signal("TERM", i64::from(self.program.family().keeper.expect("a keeper"))));
        assert_eq!(self.program.wait_end(LIMIT).code(), Some(0), "stderr:\n{}", self.program.err());
    }
}

/// As the database sends it.
fn framed(record: &str) -> String {
    format!("<14>Nov 29 08:47:45 picodata[6171]: {record}\n")
}

#[test]
fn datagrams_of_the_database_come_once_whoever_dies() {
    let (den, receiver) = (Den::new("socket-dgram"), Receiver::start());
    let mut helper = Helper::start(&den, &receiver, "unix", &[]);
    let mode = fs::metadata(helper.place()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect(helper.place()).unwrap();
    let mut chance = Chance::new(5);
    for _ in 0..8 {
        for _ in 0..chance.within(1_250, 1_350) {
            let record = helper.event();
            socket.send(framed(&record).as_bytes()).unwrap();
        }
        assert!(procs::kill9(helper.program.wait_worker(None)));
    }
    // Cut by the database, with its head counted, and followed by another one.
    wait("everything", LIMIT, || helper.written.missing(&receiver.docs()).is_empty());
    assert_eq!(helper.written.compare(&receiver.docs()), Ok(()), "{}", helper.program.err());
    assert_eq!(helper.counted(), (helper.written.len() as u64, 0));
    let cut = framed(&helper.events.event_long(20_000));
    socket.send(&cut.as_bytes()[..16_383]).unwrap();
    let record = helper.event();
    socket.send(framed(&record).as_bytes()).unwrap();
    wait("both", LIMIT, || helper.written.missing(&receiver.docs()).is_empty());
    let docs = receiver.docs();
    let cut = &docs[docs.len() - 2];
    assert!(cut.raw.contains(r#""truncated":true"#) && cut.raw.contains(r#""message":"#), "{}", cut.raw);
    helper.stop();
}

#[test]
fn a_socket_that_is_left_over_gives_way_and_one_in_use_does_not() {
    let (den, receiver) = (Den::new("socket-left"), Receiver::start());
    drop(UnixDatagram::bind(den.file("input")).unwrap());
    let helper = Helper::start(&den, &receiver, "unix", &["--socket-mode", "600"]);
    let place = helper.place();
    let meta = || fs::metadata(&place).unwrap();
    wait("our socket", LIMIT, || meta().file_type().is_socket() && meta().permissions().mode() & 0o777 == 0o600);
    let again = |args: &[&str]| {
        let other = Den::new("socket-other");
        let setup = Setup::new(&other).url(&receiver.url()).args(&["--type", "unix"]).args(args);
        let out = setup.run(b"");
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let (code, err) = again(&["--filename", &place]);
    assert!(code == Some(1) && err.contains("somebody listens there already"), "{code:?} {err}");
    let (code, err) = again(&["--filename", &den.put("plain", "")]);
    assert!(code == Some(1) && err.contains("something else stands there"), "{code:?} {err}");
    let (code, err) = again(&[]);
    assert!(code == Some(2) && err.contains("--filename PATH"), "{code:?} {err}");
    let (code, err) = again(&["--filename", "x", "--socket-mode", "rw"]);
    assert!(code == Some(2) && err.contains("660"), "{code:?} {err}");
    helper.finish(&receiver);
}

#[test]
fn lines_of_many_connections_come_once_whoever_dies() {
    let (den, receiver) = (Den::new("socket-stream"), Receiver::start());
    let mut helper = Helper::start(&den, &receiver, "unix", &["--socket", "stream"]);
    let mut writers: Vec<UnixStream> = (0..3).map(|_| UnixStream::connect(helper.place()).unwrap()).collect();
    let mut chance = Chance::new(6);
    // Each is a database of its own: between two connections there is no order.
    let mut events: Vec<Events> = (1..=3).map(|raft| Events::new(raft, 1)).collect();
    for round in 0..6 {
        for n in 0..chance.within(1_670, 1_750) {
            let record = events[n as usize % 3].event();
            helper.written.note(&record);
            let message = framed(&record);
            let text = match n % 3 {
                0 => format!("{record}\n"),
                1 => message,
                _ => format!("{} {message}", message.len()),
            };
            // In two halves, as it comes over a stream.
            let (begin, rest) = text.as_bytes().split_at(text.len() / 2);
            let writer = &mut writers[n as usize % 3];
            writer.write_all(begin).unwrap();
            writer.write_all(rest).unwrap();
        }
        assert!(procs::kill9(helper.program.wait_worker(None)));
        if round == 3 {
            // One goes with half a line, and another one comes.
            let record = events[0].event();
            helper.written.note(&record);
            writers[0].write_all(record.as_bytes()).unwrap();
            writers[0] = UnixStream::connect(helper.place()).unwrap();
        }
    }
    helper.finish(&receiver);
}

/// Nobody is left to find out by himself why he waits.
#[test]
fn that_more_writers_than_are_taken_at_once_wait_is_told() {
    let (den, receiver) = (Den::new("socket-crowd"), Receiver::start());
    let mut helper = Helper::start(&den, &receiver, "unix", &["--socket", "stream"]);
    let mut writers: Vec<UnixStream> = (0..17).map(|_| UnixStream::connect(helper.place()).unwrap()).collect();
    wait("the word", LIMIT, || helper.program.err().contains("16 writers are connected, as many as are taken at once"));
    let record = helper.event();
    writers[16].write_all(format!("{record}\n").as_bytes()).unwrap();
    drop(writers);
    helper.finish(&receiver);
}

#[test]
fn writers_of_a_fifo_come_and_go() {
    let (den, receiver) = (Den::new("fifo"), Receiver::start());
    let mut helper = Helper::start(&den, &receiver, "fifo", &[]);
    for _ in 0..7 {
        let mut writer = File::options().write(true).open(helper.place()).unwrap();
        for _ in 0..1_500 {
            let record = helper.event();
            writer.write_all(format!("{record}\n").as_bytes()).unwrap();
        }
        drop(writer);
        assert!(procs::kill9(helper.program.wait_worker(None)));
    }
    helper.finish(&receiver);
}

/// A real syslog daemon in front: it listens at a socket of its own and passes on to ours.
fn daemon(den: &Den, name: &str, conf: &str, args: &[&str]) -> Option<Peer> {
    let program = peer(name)?;
    let front = den.file("front");
    let conf = den.put(
        "daemon.conf",
        conf.replace("$FRONT", &front).replace("$TO", &den.file("input")).replace("$HOME", &den.file("")),
    );
    let args = args.iter().map(|a| a.replace("$CONF", &conf).replace("$HOME/", &den.file(""))).collect();
    let ready = Box::new(move || Path::new(&front).exists());
    Some(Peer::start(den, Plan { program, args, ready, decode: Box::new(Vec::new) }))
}

fn through(name: &str, conf: &str, args: &[&str], more: &[&str]) {
    let (den, receiver) = (Den::new(&format!("socket-{name}")), Receiver::start());
    let mut helper = Helper::start(&den, &receiver, "unix", more);
    let Some(_daemon) = daemon(&den, name, conf, args) else { return };
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect(den.file("front")).unwrap();
    for n in 0..1_000 {
        let record = helper.event();
        socket.send(framed(&record).as_bytes()).unwrap();
        if n % 400 == 399 {
            assert!(procs::kill9(helper.program.wait_worker(None)));
        }
    }
    wait("everything", LIMIT, || helper.written.missing(&receiver.docs()).is_empty());
    let doc = receiver.docs().remove(0).raw;
    assert!(doc.contains(r#""host":""#), "{doc}");
    helper.finish(&receiver);
}

#[test]
fn rsyslog_in_front_passes_events_on() {
    let conf =
        "global(workDirectory=\"$HOME\" maxMessageSize=\"64k\")\nmodule(load=\"imuxsock\" SysSock.Use=\"off\")\n\
                input(type=\"imuxsock\" Socket=\"$FRONT\" RateLimit.Interval=\"0\" ParseHostname=\"off\")\n\
                module(load=\"omuxsock\")\n$OMUxSockSocket $TO\n*.* :omuxsock:\n";
    through("rsyslogd", conf, &["-n", "-f", "$CONF", "-i", "NONE"], &[]);
}

#[test]
fn syslog_ng_in_front_passes_events_on() {
    let conf = "@version: 3.38\noptions { stats-freq(0); log-msg-size(65536); };\n\
                source s { unix-dgram(\"$FRONT\"); };\n\
                destination d { unix-stream(\"$TO\" flags(syslog-protocol)); };\nlog { source(s); destination(d); flags(flow-control); };\n";
    let args = ["-F", "--no-caps", "-f", "$CONF", "-R", "$HOME/persist", "-c", "$HOME/ctl", "-p", "$HOME/pid"];
    through("syslog-ng", conf, &args, &["--socket", "stream"]);
}
