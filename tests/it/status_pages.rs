//! The status pages of both programs as their readers see them: in Chromium, wide and narrow, light and dark, in both
//! languages; in w3m; and what of them outlives a worker.

use crate::harness::browser::{Browser, Look};
use crate::harness::page::get;
use crate::harness::setup::wait_spooled;
use crate::harness::{free_port, peer, procs, wait, Den, Events, Receiver, Setup};
use crate::metrics::helper::{self, Helper};
use crate::metrics::stand::{picodata, Stand};
use gostech::iproto::auth::Method::ChapSha1;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// Where the pictures stay.
fn pictures() -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("status-pages");
    std::fs::create_dir_all(&dir).expect("a directory");
    dir
}

/// Looks at the page in each way, and leaves pictures.
fn assert_looks_well(den: &Den, name: &str, url: &str) {
    let Some(mut browser) = Browser::start(den) else { return };
    for width in [1280, 390] {
        for dark in [false, true] {
            for lang in ["en", "ru"] {
                let look = Look { width, dark, lang };
                let sight = browser.look(url, look);
                let colour = if dark { "dark" } else { "light" };
                std::fs::write(pictures().join(format!("{name}-{width}-{colour}-{lang}.png")), &sight.png)
                    .expect("a file");
                assert!(sight.overflow <= 0, "{name}, {look:?}: {} pixels too wide", sight.overflow);
                assert!(sight.texts > 40, "{name}, {look:?}: only {} texts", sight.texts);
                assert!(sight.faint.is_empty(), "{name}, {look:?}: {:?}", sight.faint);
                assert!(sight.errors.is_empty(), "{name}, {look:?}: {:?}", sight.errors);
            }
        }
    }
}

/// What w3m makes of it; none: there is no w3m here.
fn in_w3m(url: &str, lang: &str) -> Option<String> {
    let out = Command::new(peer("w3m")?)
        .args(["-dump", "-cols", "100", "-O", "UTF-8", "-o", &format!("accept_language={lang}"), url])
        .output()
        .expect("w3m");
    assert!(out.status.success(), "{out:?}");
    Some(String::from_utf8(out.stdout).expect("text"))
}

#[test]
fn the_page_of_the_audit_helper_is_seen_by_all_its_readers() {
    let (den, receiver, port) = (Den::new("page-audit"), Receiver::start(), free_port());
    let away = Receiver::start();
    away.down();
    let url = format!("http://127.0.0.1:{port}/");
    let secret = format!("{}/webhook/TOKEN", away.url().trim_end_matches('/'));
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--name", "siem"]).url(&secret);
    let setup = setup.args(&["--name", "archive", "--cluster", "prod", "--instance", "i1"]);
    let mut picodata = setup.args(&["--metrics-addr", &format!("127.0.0.1:{port}")]).picodata();
    picodata.events(&mut Events::new(1, 1), 300, 100_000);
    picodata.write("{\"title\":\"<b>\u{202e}\",\"severity\":\"high\",\"id\":\"1.0.900\"}").expect("written");
    wait("the page shows the dead receiver", LIMIT, || {
        get(port, "/").is_some_and(|(_, p)| p.contains("archive: a receiver takes nothing while events wait"))
    });
    let (head, page) = get(port, "/?refresh=5").expect("a page");
    assert!(head.contains("default-src 'none'") && page.contains("http-equiv=\"refresh\" content=\"5\""), "{head}");
    assert!(page.len() < 30_000 && !page.contains("<b>\u{202e}") && page.contains("&lt;b&gt;\\u{202e}"), "{page}");
    assert!(page.contains("1.0.900") || page.contains("gaps</dt><dd class=\"bad\">1"), "a gap is told: {page}");
    // Whoever reaches the port reads it, and the path may be the secret.
    let pages = ["/", "/metrics", "/-/ready"].map(|path| get(port, path).expect("a page").1).concat();
    assert!(pages.contains("cannot connect") && !pages.contains("TOKEN"), "{pages}");
    let asked = helper::ask(port, "HEAD", "/", &[]).expect("an answer");
    assert!(asked.status == 200 && asked.text().is_empty());
    assert_eq!(helper::ask(port, "GET", "/favicon.ico", &[]).expect("an answer").status, 404);
    if let Some(text) = in_w3m(&url, "ru") {
        for want in ["Путь события", "стандартный ввод", "siem", "archive", "неудачные входы", "прочитано"]
        {
            assert!(text.contains(want), "{want}: {text}");
        }
    }
    // What is noted every few seconds: the curves, and by them the rates.
    wait("a curve", LIMIT, || get(port, "/").is_some_and(|(_, p)| p.contains("<polyline")));
    assert_looks_well(&den, "audit", &url);
    let worker = picodata.wait_worker(None);
    procs::kill9(worker);
    picodata.wait_worker(Some(worker));
    wait("the curves and the death of the worker are on the page of the next one", LIMIT, || {
        get(port, "/").is_some_and(|(_, p)| {
            p.contains("<polyline")
                && p.contains("the worker was ended")
                && p.contains("restarts</dt><dd class=\"warn\">1")
        })
    });
    away.up();
    picodata.close();
}

#[test]
fn the_page_of_the_metrics_helper_is_seen_by_all_its_readers() {
    let den = Den::new("page-metrics");
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(None));
    let nobody = format!("graphite://127.0.0.1:{}", free_port());
    let args = ["--port", &stand.port.to_string(), "--poll-interval", "1s", "--push-interval", "1s", "--push", &nobody];
    let helper = Helper::start_with(&args, &[("GOSTECH_METRICS_PASSWORD", "x")]);
    helper.until("up", LIMIT, |p| p["picodata_up"] == 1.0);
    let url = format!("http://127.0.0.1:{}/", helper.port);
    helper::wait("a page of two readings and a try of the outlet", LIMIT, || {
        let page = helper.get("/").text();
        page.contains("failed tries") && page.contains("requests</dt><dd>0/s")
    });
    let page = helper.get("/?refresh=5").text();
    assert!(page.len() < 30_000 && page.contains("http-equiv=\"refresh\" content=\"5\""), "{page}");
    assert!(page.contains("An instance is not online: default_1_2: Offline"), "{page}");
    let russian = helper::get(helper.port, "/", &[("Accept-Language", "de,ru;q=0.8,en;q=0.3")]).expect("a page");
    assert!(russian.text().contains("Инстанс не в работе: default_1_2: Offline"), "{}", russian.text());
    let head = helper::ask(helper.port, "HEAD", "/", &[]).expect("an answer");
    assert!(head.status == 200 && head.text().is_empty());
    if let Some(text) = in_w3m(&url, "en") {
        for want in ["The way of a number", "default_1_2", "raft leader", "graphite", "memory in use"] {
            assert!(text.contains(want), "{want}: {text}");
        }
    }
    assert_looks_well(&den, "metrics", &url);
}

/// A run in a terminal of this size, ended by this signal: what it has written there.
fn in_a_terminal(den: &Den, command: &str, columns: u32, signal: &str) -> String {
    // A terminal of no columns is one that does not say.
    typed(den, &format!("stty cols {columns} rows 24; timeout --foreground -s {signal} 2 {command}; stty -a | head -1"))
}

/// A line of the shell in a terminal of its own.
fn typed(den: &Den, line: &str) -> String {
    let typescript = den.file("typescript");
    let done = Command::new("script")
        .args(["-qec", line, &typescript])
        .env("TERM", "xterm")
        .stdin(std::process::Stdio::null())
        .output();
    done.expect("script of util-linux");
    String::from_utf8_lossy(&std::fs::read(typescript).expect("what was written")).into_owned()
}

#[test]
fn the_same_is_seen_in_a_terminal_which_is_left_as_it_was() {
    let (den, receiver) = (Den::new("page-watch"), Receiver::start());
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--name", "siem"]);
    let mut picodata = setup.picodata();
    picodata.write("{\"title\":\"a\\u001b[2Jb\u{202e}\",\"severity\":\"high\",\"id\":\"1.0.1\"}").expect("written");
    receiver.wait_count(1, LIMIT);
    let program = setup.program.display();
    let watch = format!("{program} --no-config --spool-dir {} top", den.file("spool"));
    for (columns, signal) in [(80, "INT"), (40, "TERM"), (80, "HUP"), (0, "ALRM"), (80, "40")] {
        let seen = in_a_terminal(&den, &watch, columns, signal);
        let frames = seen.matches("\x1b[H").count();
        assert!(frames >= 2 && seen.contains("siem"), "{frames}: {seen:?}");
        let (enter, leave) = (seen.find("\x1b[?1049h\x1b[?25l"), seen.rfind("\x1b[?7h\x1b[?25h\x1b[?1049l"));
        assert!(enter.is_some() && enter < leave, "{signal}: {seen:?}");
        assert!(!seen.contains("\x1b[2J") && !seen.contains('\u{202e}') && seen.contains("\x1b[1;36m"), "{seen:?}");
    }
    let plain = in_a_terminal(&den, &format!("env NO_COLOR=1 {watch}"), 80, "INT");
    assert!(!plain.contains("\x1b[1;36m") && plain.contains("The way of an event"), "{plain:?}");
    // One that knows nothing but letters.
    let dumb = in_a_terminal(&den, &format!("env TERM=dumb {watch}"), 80, "INT");
    assert!(!dumb.contains('\x1b') && dumb.contains("The way of an event"), "{dumb:?}");
    // In the background the terminal is the shell's. (`bash -i` minds jobs.)
    let background = typed(&den, &format!("bash --norc -ic '{watch} & sleep 2; kill %1; wait'"));
    assert!(!background.contains("\x1b[?1049h"), "{background:?}");
    // Where no shell would wake it, Ctrl-Z does not stop it.
    let alone = typed(
        &den,
        &format!("(sleep 1.5; kill -TSTP $$; sleep 0.5; kill -INT $$; sleep 9; kill -9 $$) & exec {watch}"),
    );
    assert!(alone.contains("\x1b[?1049l") && alone.contains("COMMAND_EXIT_CODE=\"0\""), "{alone:?}");
    let both = setup.tool(&["--no-config", "--spool-dir", &den.file("spool"), "status", "--watch", "--json"]);
    assert!(both.status.code() == Some(2) && both.stdout.is_empty(), "{both:?}");
    // No terminal: lines, and the end when nobody reads.
    let line = format!("timeout 20 {watch} | head -3; exit ${{PIPESTATUS[0]}}");
    let piped = Command::new("bash").args(["-c", &line]).output().expect("bash");
    let text = String::from_utf8_lossy(&piped.stdout).into_owned();
    assert!(piped.status.success() && text.starts_with("gostech-audit-log ") && !text.contains('\x1b'), "{piped:?}");
    picodata.close();
}

/// A helper that stands still, and events that wait where none runs, come before one that is well.
#[test]
fn what_does_not_answer_is_seen_first() {
    let (den, receiver, away) = (Den::new("page-silent"), Receiver::start(), Receiver::start());
    away.down();
    let start = |name: &str, url: &str| {
        let setup = Setup::new(&den).url(url).args(&["--name", name, "--instance", name, "--cluster", "prod"]);
        let mut picodata = setup.picodata();
        picodata.write("{\"title\":\"a\",\"severity\":\"high\",\"id\":\"1.0.1\"}").expect("written");
        picodata
    };
    let dead = start("dead", &away.url());
    wait_spooled(&PathBuf::from(den.file("spool")).join("dead"), "1.0.1");
    dead.signal_group("KILL");
    let (still, well) = (start("still", &receiver.url()), start("well", &receiver.url()));
    receiver.wait_count(2, LIMIT);
    still.signal_group("STOP");
    let line = format!(
        "timeout -s INT 60 {} --no-config --spool-dir {} top 2>&1 | head -60",
        well.program.display(),
        den.file("spool")
    );
    let seen = Command::new("bash").args(["-c", &line]).output().expect("bash");
    still.signal_group("CONT");
    let text = String::from_utf8_lossy(&seen.stdout).into_owned();
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
    let picture = at("The way of an event");
    assert!(at("still: THE HELPER DOES NOT ANSWER") < picture && at("dead: events wait, and no helper runs") < picture);
    assert!(text.contains("prod/well") && !text.contains("prod/still"), "{text}");
}

/// Root looks as the owner of the spool: what that one may not read is a line of each frame, and nothing is written over it.
#[test]
fn what_may_not_be_read_is_a_line_of_the_frame() {
    if !gostech::sys::user::is_root() {
        eprintln!("left out: a directory of another user needs root");
        return;
    }
    let (den, away) = (Den::new("page-closed"), Receiver::start());
    away.down();
    let setup = Setup::new(&den).url(&away.url()).args(&["--instance", "x", "--drain", "0s"]);
    setup.run(b"{\"title\":\"a\",\"severity\":\"high\",\"id\":\"1.0.1\"}\n");
    let (spool, program) = (den.file("spool"), setup.program.display());
    let line = format!(
        "chown -R 65534:65534 {}; mkdir -m 700 {spool}/other; timeout -s INT 3 {program} --no-config --spool-dir {spool} top",
        den.path().display()
    );
    let seen = Command::new("bash").args(["-c", &line]).output().expect("bash");
    let text = String::from_utf8_lossy(&seen.stdout).into_owned();
    assert!(
        text.matches("/other` may not be read by the user").count() >= 2 && text.contains("1 event waiting"),
        "{seen:?}"
    );
    assert!(seen.stderr.is_empty(), "{seen:?}");
}

#[test]
fn the_metrics_are_seen_in_a_terminal() {
    let den = Den::new("page-watch-metrics");
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(None));
    let state = helper::state();
    let watch = format!(
        "env GOSTECH_METRICS_PASSWORD=x STATE_DIRECTORY={} {} --no-config --port {} --watch",
        state.display(),
        helper::program(),
        stand.port
    );
    let seen = in_a_terminal(&den, &watch, 80, "INT");
    assert!(
        seen.contains("An instance is not online: default_1_2: Offline") && seen.contains("lines more"),
        "{seen:?}"
    );
    // Of the service that may run beside it nothing is known.
    let all = Command::new("bash").args(["-c", &format!("timeout 20 {watch} | head -60")]).output().expect("bash");
    let all = String::from_utf8_lossy(&all.stdout).into_owned();
    assert!(all.contains("instances that answer, 24 h") && !all.contains("not in force"), "{all}");
    let plain = in_a_terminal(&den, &watch.replacen("env ", "env NO_COLOR=1 ", 1), 80, "INT");
    assert!(!plain.contains("\x1b[1;36m") && plain.contains("The way of a number"), "{plain:?}");
    assert!(!seen.contains("info:"), "nothing is written over the screen: {seen:?}");
    assert!(seen.contains("\x1b[?25h\x1b[?1049l"), "{seen:?}");
}
