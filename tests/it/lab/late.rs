//! What comes when the helper has long begun: a directory with certificates, one for the spool in which others have left theirs.

use crate::harness::tls::Certs;
use crate::harness::{wait, Den, Events, Receiver, Setup};
use std::path::Path;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

/// The cage is looked at every ten seconds; the rest is for a new worker on a machine that has much to do.
#[test]
fn certificates_in_a_directory_that_comes_late_are_used() {
    let den = Den::new("late-tls");
    let certs = Certs::new();
    let receiver = Receiver::start_tls(certs.server_config());
    let [ca, _, _, client, key] = certs.put(&den, "a");
    let made = den.path().join("made");
    std::fs::create_dir(&made).expect("a directory");
    let late = |file: &str| {
        let name = Path::new(file).file_name().expect("a name");
        std::fs::rename(file, made.join(name)).expect("moved");
        den.path().join("late").join(name).display().to_string()
    };
    let [ca, client, key] = [&ca, &client, &key].map(|file| late(file));
    std::fs::write(made.join("token"), "one").expect("a token");
    let token = den.file("late/token");
    let files = ["--ca-certificate", &ca, "--certificate", &client, "--private-key", &key, "--token-file", &token];
    let mut picodata = Setup::new(&den).url(&receiver.url()).args(&files).exec().picodata();
    picodata.write(&Events::new(1, 1).event()).expect("a reader");
    wait("word of it", LIMIT, || picodata.err().contains("late/"));
    let begin = Instant::now();
    std::fs::rename(&made, den.path().join("late")).expect("it comes");
    receiver.wait_count(1, LIMIT);
    assert!(begin.elapsed() < Duration::from_secs(25), "{:?}\n{}", begin.elapsed(), picodata.err());
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{}", picodata.err());
}

/// Who began without a directory adopts like everybody else once there is one, whether a cage keeps it from there or not.
#[test]
fn in_a_directory_that_comes_late_orphans_are_adopted() {
    std::thread::scope(|both| {
        both.spawn(|| a_directory_comes_late("late-orphans", &[]));
        both.spawn(|| a_directory_comes_late("late-uncaged", &["--no-confinement"]));
    });
}

fn a_directory_comes_late(name: &str, more: &[&str]) {
    let den = Den::new(name);
    let receiver = Receiver::start();
    receiver.down();
    let helper = |dir: &str, drain: &str| {
        let options = ["--no-config", "--linger", "20ms", "--drain", drain, "--spool-dir", dir];
        Setup::bare(&den).args(&options).args(more).url(&receiver.url()).picodata()
    };
    let mut gone = helper(&den.file("made/spool"), "200ms");
    gone.events(&mut Events::new(1, 1), 100, 10_000);
    assert_eq!(gone.finish(LIMIT), 0, "{}", gone.err());
    let way = den.put("way", "a file where a directory should be");
    let mut picodata = helper(&format!("{way}/spool"), "60s");
    picodata.events(&mut Events::new(1, 2), 50, 5000);
    wait("word of it", LIMIT, || picodata.err().contains("there is no writable spool directory"));
    std::fs::remove_file(&way).expect("removed");
    std::fs::rename(den.path().join("made"), &way).expect("it comes");
    receiver.up();
    receiver.wait_count(150, LIMIT);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let docs = receiver.docs();
    let missing = [gone.ledger.missing(&docs), picodata.ledger.missing(&docs)].concat();
    assert!(missing.is_empty() && docs.len() == 150, "{missing:?}\n{}", picodata.err());
}
