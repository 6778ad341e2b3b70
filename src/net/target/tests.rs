//! What a URL is read as, and with which sentence it is refused.

use super::*;

fn parse(url: &str) -> Result<Target> {
    Target::parse(url, OF_HTTP)
}

fn place(url: &str) -> (String, u16, String) {
    let t = parse(url).unwrap();
    let Place::Net { host, port } = t.place().clone() else { panic!("{url} is no host") };
    (host, port, t.uri().to_string())
}

#[test]
fn the_forms_of_a_host() {
    let is = |url: &str, host: &str, port: u16, uri: &str| {
        assert_eq!(place(url), (host.to_string(), port, uri.to_string()), "{url}");
    };
    is("https://example.com", "example.com", 443, "/");
    is("http://example.com", "example.com", 80, "/");
    is("HTTP://Example.COM:8080/a/b?c=d", "example.com", 8080, "/a/b?c=d");
    is("https://10.0.0.1:9200/_bulk", "10.0.0.1", 9200, "/_bulk");
    is("https://[2001:DB8::1]/", "2001:db8::1", 443, "/");
    is("http://[::1]:5044?q", "::1", 5044, "/?q");
    is("https://log_stash.example.", "log_stash.example.", 443, "/");
    is("https://u:p@h/@x", "h", 443, "/@x");
}

#[test]
fn the_forms_of_a_socket() {
    let t = parse("http+unix:///run/tls.sock:/audit?x=1").unwrap();
    assert_eq!((t.socket(), t.uri()), (Some(Path::new("/run/tls.sock")), "/audit?x=1"));
    let t = parse("http+unix:///run/tls.sock").unwrap();
    assert_eq!((t.socket(), t.uri(), t.place().host()), (Some(Path::new("/run/tls.sock")), "/", "localhost"));
    let t = parse("http+unix:///run/a%3Ab.sock:").unwrap();
    assert_eq!((t.socket(), t.uri()), (Some(Path::new("/run/a:b.sock")), "/"));
    // What is shown is a URL again, and moves nothing in a log.
    assert_eq!(t.display(), "http+unix:///run/a%3Ab.sock:/");
    let t = parse("http+unix:///run/a%0a%1b%25%d1%8f.sock:/u").unwrap();
    assert_eq!(t.display(), "http+unix:///run/a%0A%1B%25%D1%8F.sock:/u");
    assert!(parse(&t.display()).unwrap() == t);
}

#[test]
fn userinfo_is_decoded_and_never_shown() {
    let t = parse("https://us%65r:p%40s%3As@example.com:444/x?token=abc").unwrap();
    let user = t.user().unwrap();
    assert_eq!((user.name.as_str(), user.password.as_deref()), ("user", Some("p@s:s")));
    for text in [t.display(), format!("{t}"), format!("{t:?}"), format!("{user:?}")] {
        assert!(!text.contains("user") && !text.contains("p@s") && !text.contains("abc"), "{text}");
    }
    assert_eq!(t.display(), "https://example.com:444/x?…");
    let t = parse("https://only@example.com").unwrap();
    assert_eq!(t.user().unwrap().password, None);
}

#[test]
fn errors_say_what_is_wrong_and_keep_secrets() {
    let said = |url: &str, word: &str| {
        let e = parse(url).unwrap_err();
        assert!(e.text().contains(word), "{url}: {e}");
        assert_eq!(e.exit(), crate::error::Exit::Usage);
        assert!(!e.text().contains("s3cret") && !e.text().ends_with('.'), "{url}: {e}");
    };
    said("", "empty");
    said("example.com", "did you mean https://example.com");
    said("localhost:8080/x", "did you mean https://localhost:8080/x");
    said("https:/example.com", "did you mean https://example.com");
    said("user:s3cret@example.com", "did you mean https://…@example.com");
    said("ftp://u:s3cret@example.com", "http://, https://, http+unix://");
    said("https://", "no host");
    said("https://:443", "no host");
    said("https://h:0", "port");
    said("https://h:65536", "port");
    said("https://h:+80", "port");
    said("https://u:s3cret/x@h", "port");
    said("https://u:s3cret?x@h", "port");
    said("https://u:%s3cret@h", "%-escape");
    said("https://:s3cret@h", "user name");
    said("https://[::1", "`]`");
    said("https://[nonsense]/", "IPv6");
    said("https://::1/", "brackets");
    said("https://1.2.3/", "IPv4");
    said("https://ex ample.com", "blank");
    said("https://пример.рф", "non-ASCII");
    said("https://a..b", "label");
    said("https://h/a|b?k=s3cret", "percent-encoded");
    said("https://h/%zz", "hexadecimal");
    said("https://h/#s3cret", "fragment");
    said("http+unix://run/x.sock", "absolute");
    said("http+unix:///run/x.sock:uri", "URI");
    said("http+unix:///run/", "directory");
    said(&format!("http+unix:///{}", "x".repeat(108)), "107");
    said(&format!("https://h/{}", "x".repeat(5000)), "longer");
}

#[test]
fn this_machine_by_its_spelling() {
    assert!(is_loopback("127.9.9.9") && is_loopback("::1") && is_loopback("LOCALHOST."));
    assert!(!is_loopback("10.0.0.1") && !is_loopback("localhost.example.com"));
}

#[test]
fn no_bytes_make_it_panic() {
    let seeds: &[&str] =
        &["https://u:p@h:1/x?y", "http+unix:///a.sock:/b", "http://[::1]:2/", "ftp://x", "h:1", "%41://@:[]#"];
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut parsed = 0;
    for _ in 0..40_000 {
        let mut bytes = seeds[next() as usize % seeds.len()].as_bytes().to_vec();
        for _ in 0..next() % 4 {
            let at = next() as usize % bytes.len().max(1);
            match next() % 3 {
                0 if !bytes.is_empty() => drop(bytes.remove(at)),
                1 => bytes.insert(at.min(bytes.len()), b":/@[]%?#.1x"[next() as usize % 11]),
                _ if !bytes.is_empty() => bytes[at] = next() as u8,
                _ => {}
            }
        }
        match parse(&String::from_utf8_lossy(&bytes)) {
            Ok(t) => {
                parsed += 1;
                assert!(t.uri().starts_with('/'), "{t}");
            }
            Err(e) => assert!(e.text().len() < 600, "{e}"),
        }
    }
    assert!(parsed > 1000, "only {parsed} of the mutations parsed: the test has lost its teeth");
}

#[test]
fn streams_have_a_port_and_no_path_and_local_sockets_a_path_alone() {
    const TCP: Scheme = Scheme { name: "tcp", shape: Shape::Port { port: 0 }, tls: false };
    const TLS: Scheme = Scheme { name: "syslog+tls", shape: Shape::Port { port: 6514 }, tls: true };
    const UNIX: Scheme = Scheme { name: "unix", shape: Shape::Path, tls: false };
    let parse = |url: &str| Target::parse(url, &[&TCP, &TLS, &UNIX]);
    let t = parse("tcp://[::1]:5170").unwrap();
    assert_eq!((t.display(), t.place().to_string()), ("tcp://[::1]:5170".into(), "[::1]:5170".into()));
    let t = parse("syslog+tls://h?framing=lf").unwrap();
    assert_eq!((t.display(), t.query("framing"), t.query("x")), ("syslog+tls://h?…".into(), Some("lf"), None));
    assert_eq!(t.place().to_string(), "h:6514");
    assert!(t.only_queries(&[("framing", &["lf"])]).is_ok());
    assert!(t.only_queries(&[("framing", &["octets"])]).unwrap_err().text().contains("?framing=octets"));
    assert!(t.only_queries(&[]).unwrap_err().text().contains("nothing"));
    let t = parse("unix:///run/a:b.sock").unwrap();
    assert_eq!((t.display(), t.socket()), ("unix:///run/a%3Ab.sock".into(), Some(Path::new("/run/a:b.sock"))));
    for (url, word) in [
        ("tcp://h", "no port"),
        ("tcp://h:1/", "/"),
        ("tcp://h:1/x", "no use"),
        ("tcp://u:s3cret@h:1", "a user"),
        ("unix://run/x", "unix:///run"),
        ("unix:///run/", "directory"),
    ] {
        match parse(url) {
            // A lone slash says nothing.
            Ok(t) => assert!(url.ends_with("1/") && t.display() == "tcp://h:1"),
            Err(e) => assert!(e.text().contains(word) && !e.text().contains("s3cret"), "{url}: {e}"),
        }
    }
}

/// A proxy goes by the name in the request, and a server of many names too.
#[test]
fn asked_by_http_a_place_has_its_port_in_its_name() {
    let scheme = |name, tls| Box::leak(Box::new(Scheme { name, shape: Shape::Host { port: 9200 }, tls }));
    let (plain, tls) = (scheme("es+http", false), scheme("es+https", true));
    let asked = |url: &str| Target::parse(url, &[&*plain, &*tls]).unwrap().over_http("/x".into());
    assert_eq!(asked("es+http://h/i").display(), "http://h:9200/x");
    assert_eq!(asked("es+https://u:p@h/i").display(), "https://h:9200/x");
    assert_eq!(asked("es+http://h:80/i").display(), "http://h/x");
    assert_eq!(parse("http+unix:///run/x.sock:/i").unwrap().over_http("/y".into()).uri(), "/y");
}
