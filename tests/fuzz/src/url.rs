//! URLs of receivers: nothing that is shown of one holds its secret or moves the cursor; what is shown of a URL without
//! secrets is a URL of the same target.
//!
//! Refuses: to connect to anything.

use super::{is_one_line, stretch, Dice};
use gostech::net::address::Address;
use gostech::net::target::{Target, OF_HTTP};

const SECRET: &str = "hunter2hunter2";

/// Seeds: each scheme, ports, IPv6, userinfo, escapes, sockets.
pub fn seeds() -> Vec<Vec<u8>> {
    let urls = [
        "https://example.com/a/b?c=d",
        "HTTP://Example.COM:8080/",
        "http://[2001:DB8::1]:5044?q",
        "https://u:p@h/@x",
        "https://user%40x:pass%2fword@log_stash.example.:1/a%20b?x=%00",
        "http+unix:///run/tls.sock:/uri?x",
        "http+unix:///run/a%0ab%3a%3f%25.sock",
        "https://h#fragment",
        "example.com:8080",
        "unix:/run/x.sock,mode=0660",
        "[::]:4401",
        "127.0.0.1:4401",
    ];
    let mut seeds: Vec<Vec<u8>> = urls.iter().map(|u| [stretch(u.as_bytes()), Vec::new()].concat()).collect();
    seeds.push([stretch(b"https://user:"), b"@example.com:8080/x?y=1".to_vec()].concat());
    seeds.push([stretch(b"https://h/x?token="), b"&a=b".to_vec()].concat());
    seeds
}

/// Everything that may be shown of a URL.
fn shown(url: &str) -> Vec<String> {
    match Target::parse(url, OF_HTTP) {
        Ok(t) => vec![t.to_string(), format!("{t:?}"), t.display(), format!("{:?}", t.user()), t.authority()],
        Err(e) => vec![e.text().to_string(), format!("{e:?}")],
    }
}

/// What stands where passwords and tokens stand, is not shown.
fn hides(before: &str, after: &str) {
    let (scheme, rest) = before.split_once("://").unwrap_or(("https", before));
    // Behind a slash it is a path, which is no secret.
    let rest = rest.split('/').next().unwrap_or_default();
    // The fuzzer learns the word and writes it elsewhere too, with marks in it that are not shown.
    let elsewhere = |text: &str| text.to_lowercase().replace('`', "").contains(SECRET);
    if elsewhere(before) || elsewhere(after) {
        return;
    }
    // In the userinfo, and in the query.
    for url in [format!("{scheme}://{rest}:{SECRET}@{after}"), format!("{scheme}://{rest}?{SECRET}{after}")] {
        for text in shown(&url) {
            assert!(!text.to_lowercase().contains(SECRET), "{url:?} is shown as {text:?}");
        }
    }
}

/// Without its secrets, a target is what it is shown as.
fn comes_back(url: &str) {
    for text in shown(url) {
        assert!(is_one_line(&text), "{url:?} is shown as {text:?}");
    }
    let Ok(target) = Target::parse(url, OF_HTTP) else { return };
    assert!(target.uri().starts_with('/') && is_one_line(target.uri()) && !target.uri().contains(' '));
    let display = target.display();
    if !display.contains("?…") {
        let again = Target::parse(&display, OF_HTTP).unwrap_or_else(|e| panic!("{url:?} is shown as {display:?}: {e}"));
        assert!(again.place() == target.place() && again.uri() == target.uri(), "{url:?} is shown as {display:?}");
        assert_eq!(again.display(), display);
    }
}

/// The target.
pub fn check(input: &[u8]) {
    let mut dice = Dice(input);
    let (before, after) = (dice.text(), String::from_utf8_lossy(dice.0).into_owned());
    hides(&before, &after);
    comes_back(&before);
    comes_back(&format!("{before}{after}"));
    match Address::parse(&before) {
        Ok(a) => assert!(is_one_line(&a.to_string())),
        Err(e) => assert!(is_one_line(e.text()), "{:?}", e.text()),
    }
}
