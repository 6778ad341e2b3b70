//! The ways in and out: mutual TLS, unix sockets, IPv6, socket activation, systemd's word, the configuration file.

use super::helper::{command, free_port, get, program, samples, wait, Helper, Samples, Scratch};
use super::stand::{picodata, recorded_page, Line, Stand};
use gostech::iproto::auth::Method::{ChapSha1, Ldap};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
const PASSWORD: [(&str, &str); 1] = [("GOSTECH_METRICS_PASSWORD", "x")];

fn up(page: &Samples) -> bool {
    page["picodata_up"] == 1.0
}

fn page() -> Option<String> {
    Some(recorded_page("metrics-http.txt"))
}

/// An authority, and certificates from it as PEM: certificate and key.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn issue(&self, name: &str, common: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_string()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        (params.signed_by(&key, &self.0).unwrap(), key)
    }
}

/// A stand-in that speaks mutual TLS.
fn tls_stand(authority: &Authority) -> Stand {
    tls_stand_for(authority, &[("pico_service", ChapSha1, "x"), ("mon", Ldap, "x")])
}

/// The same for these users.
pub fn tls_stand_for(authority: &Authority, users: &[(&str, gostech::iproto::auth::Method, &str)]) -> Stand {
    let (certificate, key) = authority.issue("localhost", "db");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(authority.0.der().to_vec())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::new(config);
    Stand::at(port, users, picodata(page()), move || {
        let (socket, _) = listener.accept().ok()?;
        let connection = rustls::ServerConnection::new(config.clone()).ok()?;
        Some(Box::new(rustls::StreamOwned::new(connection, socket)) as Box<dyn Line>)
    })
}

#[test]
fn mutual_tls_with_the_databases_own_option_names() {
    let (authority, scratch) = (Authority::new(), Scratch::new("tls"));
    let stand = tls_stand(&authority);
    let (certificate, key) = authority.issue("client", "pico_service@localhost");
    let ca = scratch.file("ca.pem", &authority.0.pem());
    let (cert, key) = (scratch.file("cert.pem", &certificate.pem()), scratch.file("key.pem", &key.serialize_pem()));
    let port = stand.port.to_string();
    let args = ["--port", &port, "--min-interval", "0", "--timeout", "2s"];
    let tls = ["--tls-auth", "--tls-ca", &ca, "--tls-cert", &cert, "--tls-key", &key];
    Helper::start_with(&[&args[..], &tls].concat(), &PASSWORD).until("up", LIMIT, up);
    let env = [
        ("PICODATA_IPROTO_TLS_AUTH", "true"),
        ("PICODATA_IPROTO_TLS_CA", &*ca),
        ("PICODATA_IPROTO_TLS_CERT", &cert),
        ("PICODATA_IPROTO_TLS_KEY", &key),
        PASSWORD[0],
    ];
    Helper::start_with(&args, &env).until("up", LIMIT, up);
    // Without a certificate, with a foreign authority, without TLS at all: named, not served.
    let foreign = scratch.file("foreign.pem", &Authority::new().0.pem());
    for (more, reasons, cure) in [
        (vec!["--tls-auth", "--tls-ca", &ca], &["tls", "closed"][..], ""),
        (vec!["--tls-auth", "--tls-ca", &foreign, "--tls-cert", &cert, "--tls-key", &key], &["tls"], "with --tls-ca"),
        (vec!["--tls-auth", "--tls-ca", "/nowhere/ca.pem"], &["tls"], "/nowhere/ca.pem"),
        (vec![], &["timeout", "closed"], "--tls-auth"),
    ] {
        let helper = Helper::start_with(&[&args[..], &more].concat(), &PASSWORD);
        helper.until("down", LIMIT, |p| {
            p["picodata_up"] == 0.0
                && reasons.iter().any(|r| p.contains_key(&format!("gostech_metrics_down{{reason=\"{r}\"}}")))
        });
        // The page may say it a moment before the log does.
        wait(&format!("«{cure}» in the log"), LIMIT, || helper.log().contains(cure));
    }
    // Files that appear later are taken without a restart.
    let late = scratch.0.join("late.pem").display().to_string();
    let more = ["--tls-auth", "--tls-ca", &late, "--tls-cert", &cert, "--tls-key", &key];
    let helper = Helper::start_with(&[&args[..], &more].concat(), &PASSWORD);
    assert_eq!(helper.scrape()["picodata_up"], 0.0);
    std::fs::copy(&ca, &late).unwrap();
    helper.until("up", LIMIT, up);
    // An LDAP password may go through TLS.
    let ldap = ["--username", "mon", "--auth-method", "ldap"];
    Helper::start_with(&[&args[..], &tls, &ldap].concat(), &PASSWORD).until("up", LIMIT, up);
}

#[test]
fn unix_sockets_on_both_sides() {
    let scratch = Scratch::new("unix");
    let (database, street) = (scratch.0.join("db.sock"), scratch.0.join("page.sock"));
    let listener = UnixListener::bind(&database).unwrap();
    let users = [("pico_service", ChapSha1, "x")];
    let _stand = Stand::at(0, &users, picodata(page()), move || {
        listener.accept().ok().map(|(s, _)| Box::new(s) as Box<dyn Line>)
    });
    let addr = format!("unix:{},mode=0600", street.display());
    let helper = Helper::start_with(&["--socket", &database.display().to_string(), "--addr", &addr], &PASSWORD);
    helper.until("up", LIMIT, up);
    let mut socket = UnixStream::connect(&street).unwrap();
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\npicodata_up 1\n"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&street).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(helper.end().success());
    assert!(!street.exists(), "the socket goes with the helper");
}

#[test]
fn ipv6_on_both_sides() {
    // One that is ours in the other family too: nobody else answers at `localhost`.
    let port = free_port();
    let Ok(listener) = TcpListener::bind(("::1", port)) else {
        eprintln!("skipped: no IPv6 here");
        return;
    };
    let users = [("pico_service", ChapSha1, "x")];
    let _stand = Stand::at(port, &users, picodata(page()), move || {
        listener.accept().ok().map(|(s, _)| Box::new(s) as Box<dyn Line>)
    });
    let street = free_port();
    let (port, addr) = (port.to_string(), format!("[::1]:{street}"));
    for host in ["::1", "[::1]", "localhost"] {
        let helper = Helper::start_with(&["--host", host, "--port", &port, "--addr", &addr], &PASSWORD);
        helper.until("up", LIMIT, up);
        let mut socket = std::net::TcpStream::connect(("::1", street)).unwrap();
        socket.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("ready"), "{answer}");
        assert!(helper.end().success());
    }
}

#[test]
fn systemd_hands_a_socket_over_and_hears_that_all_is_well() {
    let scratch = Scratch::new("systemd");
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(page()));
    let word = scratch.0.join("notify.sock");
    let systemd = UnixDatagram::bind(&word).unwrap();
    systemd.set_read_timeout(Some(LIMIT)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let street = listener.local_addr().unwrap().port();
    let credentials = scratch.file("password", "x\n");
    // The shell puts the listener where systemd would: descriptor 3, and LISTEN_PID is that of the program it becomes.
    let raw = std::os::fd::AsRawFd::as_raw_fd(&listener);
    let script =
        format!("exec 3<&0; export LISTEN_PID=$$ LISTEN_FDS=1; exec {} --no-config --port {}", program(), stand.port);
    assert!(raw > 2);
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .env("NOTIFY_SOCKET", &word)
        .env("WATCHDOG_USEC", "400000")
        .env("CREDENTIALS_DIRECTORY", std::path::Path::new(&credentials).parent().unwrap())
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener.try_clone().unwrap())))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let hear = || {
        let mut bytes = [0; 200];
        let got = systemd.recv(&mut bytes).expect("a word");
        String::from_utf8_lossy(&bytes[..got]).into_owned()
    };
    assert!(hear().starts_with("READY=1"));
    assert_eq!((hear().as_str(), hear().as_str()), ("WATCHDOG=1", "WATCHDOG=1"));
    let page = get(street, "/metrics", &[]).expect("an answer on the socket that was handed over");
    assert!(up(&samples(&page.text())), "the password came from the credentials");
    super::helper::signal(child.id(), "TERM");
    wait("the goodbye", LIMIT, || hear() == "STOPPING=1");
    assert!(child.wait().unwrap().success());
}

#[test]
fn flag_before_environment_before_file() {
    let scratch = Scratch::new("config");
    let stand = Stand::start(&[("mon", ChapSha1, "x")], picodata(page()));
    let password = scratch.file("mon.password", "x\n");
    let text = format!(
        "# comment\nport = 1\nusername = mon\npassword-file = {password}\nlabel = from=file\nonly = pico_raft\n"
    );
    let config = scratch.file("gostech-metrics.conf", &text);
    let once = |args: &[&str], env: &[(&str, &str)]| {
        let mut command = command();
        command
            .args(["--config", &config, "--once", "--auth-method", "chap-sha1"])
            .args(args)
            .envs(env.iter().copied());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let port = stand.port.to_string();
    assert!(once(&[], &[]).contains("picodata_up{from=\"file\"} 0\n"));
    let page = once(&[], &[("GOSTECH_METRICS_PORT", &port)]);
    assert!(
        page.contains("picodata_up{from=\"file\"} 1\n") && page.contains("pico_raft_term{") && !page.contains("tnt_"),
        "{page}"
    );
    assert!(once(&["--port", &port], &[("GOSTECH_METRICS_PORT", "1")]).contains("picodata_up{from=\"file\"} 1\n"));
    let missing = command().args(["--config", "/nowhere/x.conf"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn https_and_names_for_the_page() {
    let Some(curl) = super::helper::peer("curl") else { return };
    let (authority, scratch) = (Authority::new(), Scratch::new("https"));
    let (certificate, key) = authority.issue("localhost", "page");
    let (cert, key) = (scratch.file("cert.pem", &certificate.pem()), scratch.file("key.pem", &key.serialize_pem()));
    // A published vector of bcrypt: the password is `abc`.
    let users = scratch.file("users", "prom:$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i\n");
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(page()));
    let port = stand.port.to_string();
    let more = ["--port", &port, "--web-tls-cert", &cert, "--web-tls-key", &key, "--web-users", &users];
    let helper = Helper::start_with(&more, &PASSWORD);
    let ca = scratch.file("ca.pem", &authority.0.pem());
    let visit = |user: &str| {
        let url = format!("https://localhost:{}/metrics", helper.port);
        let said = Command::new(&curl)
            .args(["--silent", "--cacert", &ca, "--user", user, "--write-out", "%{http_code}", &url])
            .output();
        String::from_utf8(said.expect("curl").stdout).unwrap()
    };
    assert!(visit("prom:abc").contains("\npicodata_up 1\n"));
    assert!(visit("prom:wrong").ends_with("401") && visit("nobody:abc").ends_with("401"));
}

#[test]
fn it_confines_itself_and_refuses_forbidden_calls() {
    let version = command().arg("--version").output().expect("a version").stdout;
    let version = String::from_utf8_lossy(&version).into_owned();
    if version.contains("no landlock") || version.contains("no seccomp") {
        eprintln!("skipped: no landlock or no seccomp here: {version}");
        return;
    }
    let port = free_port().to_string();
    let mut helper = Helper::start_with(&["--port", &port], &PASSWORD);
    helper.forbidden = true;
    let page = helper.scrape();
    for kind in ["landlock", "seccomp", "no_new_privs", "not_dumpable"] {
        assert_eq!(page[&format!("gostech_metrics_protection{{kind=\"{kind}\"}}")], 1.0, "{page:#?}");
    }
    assert_eq!((helper.figure("Seccomp"), helper.figure("NoNewPrivs")), (2, 1));
    assert_eq!(page["gostech_metrics_refused_calls_total"], 0.0);
    let free = Helper::start_with(&["--port", &port, "--no-confinement"], &PASSWORD);
    assert_eq!((free.figure("Seccomp"), free.figure("NoNewPrivs")), (0, 1));
    free.tells("--no-confinement");
    // strace exchanges the number of a call before the kernel looks at it.
    let Some(strace) = super::helper::peer("strace") else { return };
    let scratch = Scratch::new("forbidden");
    let trace = scratch.file("trace", "");
    let inject = "inject=poll,ppoll:retval=1:syscall=getppid:when=2..4";
    let pid = helper.child.id().to_string();
    let args = ["-f", "-qq", "-o", &trace, "-e", "trace=poll,ppoll", "-e", inject, "-p", &pid];
    let mut tracer = Command::new(strace).args(args).stderr(Stdio::null()).spawn().expect("strace starts");
    let mut asked = 0;
    wait("calls are refused", LIMIT, || {
        // Visitors whose calls are refused get no answer; the next ones do.
        asked += 1;
        let page = get(helper.port, "/metrics", &[]).filter(|a| a.status == 200).map(|a| samples(&a.text()));
        let gone = tracer.try_wait().expect("a status").is_some();
        if gone {
            eprintln!("skipped: strace may not trace here");
        }
        gone || page.is_some_and(|p| p.get("gostech_metrics_refused_calls_total").is_some_and(|n| *n >= 1.0))
    });
    let _ = Command::new("kill").args(["-INT", &tracer.id().to_string()]).status();
    let _ = tracer.wait();
    assert_eq!(helper.scrape()["picodata_up"], 0.0, "after {asked} visits it still serves");
    assert!(helper.end().success());
}

#[test]
fn files_of_the_page_that_are_wrong_are_told_at_the_start() {
    let scratch = Scratch::new("wrong-files");
    let users = scratch.file("users", "# names\nprom:abc\n");
    let cert = scratch.0.join("none.pem").display().to_string();
    let helper = Helper::start_with(&["--port", "1", "--web-tls-cert", &cert, "--web-users", &users], &PASSWORD);
    // Said before the address is open, and no visitor has come.
    let log = helper.log();
    assert!(log.contains(&format!("certificate file `{cert}`: No such file")), "{log}");
    assert!(log.contains("line 2: not a bcrypt hash"), "{log}");
}

#[test]
fn an_expired_certificate_of_the_page_is_told_and_shown() {
    let scratch = Scratch::new("expired-page");
    let key = KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2021, 2, 3);
    let cert = scratch.file("cert.pem", &params.self_signed(&key).unwrap().pem());
    let key = scratch.file("key.pem", &key.serialize_pem());
    let helper = Helper::start_with(&["--port", "1", "--web-tls-cert", &cert, "--web-tls-key", &key], &PASSWORD);
    let log = helper.log();
    assert!(log.contains(&format!("certificate `{cert}` has ended on 2021-02-03")), "{log}");
    let Some(curl) = super::helper::peer("curl") else { return };
    let url = format!("https://localhost:{}/metrics", helper.port);
    let said = Command::new(&curl).args(["--silent", "--insecure", &url]).output().expect("curl");
    let page = String::from_utf8(said.stdout).unwrap();
    let row = format!("gostech_metrics_certificate_not_after_timestamp_seconds{{file=\"{cert}\"}} 1612310400");
    assert!(page.contains(&row), "{page}");
}

/// A shell that takes its child with it.
struct Shell(Child);

impl Drop for Shell {
    fn drop(&mut self) {
        super::helper::signal(self.0.id(), "TERM");
        let _ = self.0.wait();
    }
}

/// Nothing may be written where others have places for their sockets and records, in a mount table of its own.
const NO_PLACE: &str = r#"
for dir in /tmp /run /dev/shm /var/tmp /var/lib "$TMPDIR"; do
    mount --bind "$dir" "$dir" && mount -o remount,bind,ro "$dir" || exit 77
done
"$0" --no-config --port 1 --addr "127.0.0.1:$1" &
trap "kill $!" TERM
wait"#;

#[test]
fn pages_need_no_place_to_write() {
    let Some(unshare) = super::helper::peer("unshare") else { return };
    let (scratch, port) = (Scratch::new("no-place"), free_port());
    let log = scratch.file("log", "");
    let sink = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
    let mut command = Command::new(unshare);
    command.args(["-m", "/bin/sh", "-c", NO_PLACE, &program(), &port.to_string()]);
    command
        .env("TMPDIR", &scratch.0)
        .env("GOSTECH_METRICS_PASSWORD", "x")
        .env("STATE_DIRECTORY", scratch.0.join("state"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(sink);
    let mut shell = Shell(command.spawn().expect("unshare"));
    let status = |path: &str| get(port, path, &[]).map(|a| a.status);
    let mut over = None;
    wait("pages", LIMIT, || {
        over = shell.0.try_wait().expect("a status");
        over.is_some() || status("/-/healthy") == Some(200)
    });
    if over.is_some() {
        eprintln!("skipped: no mount table of one's own here: {}", std::fs::read_to_string(&log).unwrap());
    }
}
