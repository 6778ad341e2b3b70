//! The configurations of `packaging/proxies`, each loaded by the real proxy in front of our Unix socket, and asked.

use super::helper::{free_port, peer, samples, wait, Helper};
use super::push::{Server, LIMIT};
use super::stand::{picodata, recorded_page, Stand};
use crate::harness::tls::Certs;
use crate::harness::Den;
use gostech::iproto::auth::Method::ChapSha1;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

/// A page behind a Unix socket, and the files of a proxy.
struct Behind {
    den: Den,
    port: u16,
    curl: PathBuf,
    _stand: Stand,
    _helper: Helper,
}

const USER: &str = "prometheus:s3cret";

fn behind(name: &str) -> Option<Behind> {
    let curl = peer("curl")?;
    let (den, certs) = (Den::new(name), Certs::new());
    certs.put(&den, "t");
    den.put("server.pem", format!("{}{}", certs.server, certs.server_key));
    den.put("clients.pem", &certs.ca);
    den.put("users", format!("prometheus:{}\n", hash()));
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(Some(recorded_page("metrics-http.txt"))));
    let (port, socket) = (stand.port.to_string(), format!("unix:{},mode=0666", den.file("page.sock")));
    let helper = Helper::start_with(&["--port", &port, "--addr", &socket], &[("GOSTECH_METRICS_PASSWORD", "x")]);
    wait("the socket is there", LIMIT, || den.path().join("page.sock").exists());
    Some(Behind { den, port: free_port(), curl, _stand: stand, _helper: helper })
}

fn hash() -> String {
    let out = Command::new("openssl").args(["passwd", "-5", "-salt", "abcdefgh", "s3cret"]).output().expect("openssl");
    String::from_utf8(out.stdout).expect("text").trim().to_string()
}

impl Behind {
    /// A configuration as it is shipped, with the places of this test.
    fn configuration(&self, name: &str) -> String {
        let path = format!("{}/packaging/proxies/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let text = text
            .replace("/run/gostech-metrics-i1.sock", &self.den.file("page.sock"))
            .replace("/etc/gostech/proxy", &self.den.path().display().to_string())
            .replace(":::4443", &format!("127.0.0.1:{}", self.port))
            .replace(":4443", &format!("127.0.0.1:{}", self.port))
            .replace("listen 4443", &format!("listen 127.0.0.1:{}", self.port))
            .replace("HASH-OF-THE-PASSWORD", &hash())
            .replace("BASE64-OF-NAME-AND-PASSWORD", "cHJvbWV0aGV1czpzM2NyZXQ=");
        self.den.put(name, text)
    }

    /// Starts a proxy that stays in the foreground.
    fn start(&self, program: PathBuf, args: &[&str]) -> Server {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.den.path());
        let server = Server::start(command);
        wait("the proxy listens", LIMIT, || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
        server
    }

    /// The status and the page for who shows this.
    fn ask(&self, url: &str, more: &[&str]) -> (String, String) {
        let mut command = Command::new(&self.curl);
        let ca = self.den.file("t-ca.pem");
        command
            .args(["--silent", "--max-time", "20", "--cacert", &ca, "--write-out", "\n%{http_code}"])
            .args(more)
            .arg(url);
        let said = String::from_utf8(command.output().expect("curl").stdout).expect("text");
        let (page, status) = said.rsplit_once('\n').expect("a status");
        (status.to_string(), page.to_string())
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// Lets in who has certificate and password, and nobody else.
    fn judge(&self, has_users: bool) {
        let (cert, key) = (self.den.file("t-client.pem"), self.den.file("t-client.key"));
        let certificate = ["--cert", &cert, "--key", &key];
        let with_user = [&certificate[..], &["--user", USER]].concat();
        let mut last = Default::default();
        wait("the page comes through", LIMIT, || {
            last = self.ask(&self.url("/metrics"), &with_user);
            last.0 == "200"
        });
        let (status, page) = last;
        assert_eq!((status.as_str(), samples(&page)["picodata_up"]), ("200", 1.0));
        // A proxy refuses in the handshake, or by a status.
        let (status, page) = self.ask(&self.url("/metrics"), &["--user", USER]);
        assert!(status != "200" && !page.contains("picodata_up"), "without a certificate: {status}");
        if has_users {
            for wrong in [&certificate[..], &[&certificate[..], &["--user", "prometheus:wrong"]].concat()] {
                assert_eq!(self.ask(&self.url("/metrics"), wrong).0, "401");
            }
            assert_eq!(self.ask(&self.url("/"), &with_user).0, "404");
        }
    }
}

#[test]
fn nginx_lets_in_who_has_certificate_and_password() {
    let (Some(program), Some(behind)) = (peer("nginx"), behind("proxy-nginx")) else { return };
    let shipped = behind.configuration("nginx-metrics.conf");
    let at = behind.den.path().display().to_string();
    let own: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
        .collect();
    let conf = behind.den.put(
        "whole.conf",
        format!(
            "daemon off; master_process off; error_log {at}/error.log; pid {at}/pid;\nevents {{}}\nhttp {{\naccess_log \
             off;\n{own}include {shipped};\n}}\n"
        ),
    );
    let _nginx = behind.start(program, &["-p", &at, "-c", &conf]);
    behind.judge(true);
}

#[test]
fn haproxy_lets_in_who_has_certificate_and_password() {
    let (Some(program), Some(behind)) = (peer("haproxy"), behind("proxy-haproxy")) else { return };
    let conf = behind.configuration("haproxy.cfg");
    let _haproxy = behind.start(program, &["-db", "-f", &conf]);
    behind.judge(true);
}

#[test]
fn stunnel_lets_in_who_has_a_certificate() {
    let (Some(program), Some(behind)) = (peer("stunnel-proxy"), behind("proxy-stunnel")) else { return };
    let conf = behind.configuration("stunnel.conf");
    let _stunnel = behind.start(program, &[&conf]);
    behind.judge(false);
}

#[test]
fn varnish_lets_in_who_has_the_password() {
    let (Some(program), Some(behind)) = (peer("varnishd"), behind("proxy-varnish")) else { return };
    let vcl = behind.configuration("varnish.vcl");
    let (at, address) = (behind.den.file("varnish"), format!("127.0.0.1:{}", behind.port));
    let args = ["-F", "-j", "none", "-n", &at, "-s", "malloc,16M", "-a", &address, "-f", &vcl];
    let _varnish = behind.start(program, &args);
    let url = |path: &str| format!("http://{address}{path}");
    let mut last = Default::default();
    wait("the page comes through", LIMIT, || {
        last = behind.ask(&url("/metrics"), &["--user", USER]);
        last.0 == "200"
    });
    assert_eq!(samples(&last.1)["picodata_up"], 1.0);
    assert_eq!(behind.ask(&url("/metrics"), &[]).0, "401");
    assert_eq!(behind.ask(&url("/metrics"), &["--user", "prometheus:wrong"]).0, "401");
    assert_eq!(behind.ask(&url("/"), &["--user", USER]).0, "404");
}
