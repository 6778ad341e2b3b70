//! The status pages of both programs as their readers see them: in Chromium, wide and narrow, light and dark, in both
//! languages; in w3m; and what of them outlives a worker.

use crate::harness::browser::{Browser, Look};
use crate::harness::page::get;
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
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--name", "siem"]).url(&away.url());
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
