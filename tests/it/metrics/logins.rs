//! Logins that get no answer: each may have counted as a wrong one, so a password that was never let in is not tried on and on.

use super::helper::{Helper, Scratch};
use super::stand::{picodata, Line, Stand};
use gostech::iproto::auth::Method::ChapSha1;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

/// A connection of a database that takes a login and hangs up, as long as it is told to.
struct Sulking {
    socket: TcpStream,
    sulks: Arc<AtomicBool>,
    logins: Arc<AtomicUsize>,
    seen: usize,
}

impl Read for Sulking {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.seen == 0 {
            // The first thing that comes is the login.
            self.socket.peek(&mut [0])?;
            self.logins.fetch_add(1, Ordering::SeqCst);
        }
        if self.sulks.load(Ordering::SeqCst) {
            return Ok(0);
        }
        self.seen += 1;
        self.socket.read(buf)
    }
}

impl Write for Sulking {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.socket.write(buf)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_login_without_an_answer_is_not_tried_on_and_on_unless_it_was_let_in_before() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sulks, logins) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (sulking, counted) = (sulks.clone(), logins.clone());
    let _stand = Stand::at(port, &[("pico_service", ChapSha1, "x")], picodata(None), move || {
        let (socket, _) = listener.accept().ok()?;
        let line = Sulking { socket, sulks: sulking.clone(), logins: counted.clone(), seen: 0 };
        Some(Box::new(line) as Box<dyn Line>)
    });
    let scratch = Scratch::new("logins");
    let file = scratch.file("password", "wrong\n");
    let port = port.to_string();
    let helper = Helper::start(&["--port", &port, "--password-file", &file, "--min-interval", "0"]);
    let down = |seconds| {
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            let page = helper.scrape();
            assert_eq!(page["picodata_up"], 0.0);
            assert_eq!(page.get("gostech_metrics_down{reason=\"closed\"}"), Some(&1.0), "{page:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    down(4);
    assert_eq!(logins.load(Ordering::SeqCst), 2, "{}", helper.log());
    let ready = helper.get("/-/ready").text();
    assert!(ready.contains("may have counted") && ready.contains("not tried again for 300s"), "{ready}");
    // Another password is another start, and one that was let in may be tried as ever.
    sulks.store(false, Ordering::SeqCst);
    scratch.file("password", "x\n");
    helper.until("up", LIMIT, |p| p["picodata_up"] == 1.0);
    sulks.store(true, Ordering::SeqCst);
    let before = logins.load(Ordering::SeqCst);
    down(6);
    assert!(logins.load(Ordering::SeqCst) >= before + 3, "{}", helper.log());
    sulks.store(false, Ordering::SeqCst);
    helper.until("up again", LIMIT, |p| p["picodata_up"] == 1.0);
}
