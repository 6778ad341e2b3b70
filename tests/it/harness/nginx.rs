//! A real nginx in the foreground, with a configuration of the test's own in a temporary directory.
//!
//! Only loopback and unix sockets; stopped by its pid. Bodies are seen by proxying to a recording receiver.

use super::den::{free_port, peer, wait, Den};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running nginx.
pub struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    /// Starts it with `server` as the content of one `server` block; `$PORT` stands for the port. None without nginx.
    pub fn start(den: &Den, server: &str) -> Option<Nginx> {
        Nginx::http(den, &format!("server {{ {server} }}"))
    }

    /// The same with the whole content of the `http` block.
    pub fn http(den: &Den, content: &str) -> Option<Nginx> {
        let program = peer("nginx")?;
        let port = free_port();
        let home = den.path().display();
        let conf = format!(
            "daemon off; master_process off; worker_processes 1; error_log {home}/nginx-error.log; pid {home}/nginx.pid;\n\
             events {{ worker_connections 64; }}\n\
             http {{\n\
             access_log {home}/nginx-access.log; client_body_temp_path {home}/nginx-body; proxy_temp_path {home}/nginx-proxy;\n\
             fastcgi_temp_path {home}/nginx-f; uwsgi_temp_path {home}/nginx-u; scgi_temp_path {home}/nginx-s;\n\
             {}\n}}\n",
            content.replace("$PORT", &port.to_string())
        );
        let path = den.put("nginx.conf", conf);
        let log = std::fs::File::create(den.file("nginx.out")).expect("a file for nginx");
        let child = Command::new(program)
            .args(["-p", &den.file(""), "-c", &path])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a copy"))
            .stderr(log)
            .spawn()
            .expect("nginx starts");
        let nginx = Nginx { child, port };
        if content.contains("$PORT") {
            wait("nginx answers", Duration::from_secs(20), || TcpStream::connect(("127.0.0.1", port)).is_ok());
        }
        Some(nginx)
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
