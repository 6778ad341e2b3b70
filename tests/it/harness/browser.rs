//! Headless Chromium as a reader of our pages, spoken to by its DevTools protocol over a pipe: how wide, how bright, in which
//! language; and what it sees.
//!
//! Refuses: any page but those on loopback, to keep a profile.

use super::den::{peer, Den};
use serde_json::{json, Value};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub width: u32,
    pub dark: bool,
    pub lang: &'static str,
}

/// What was seen.
pub struct Sight {
    /// As a picture.
    pub png: Vec<u8>,
    /// By how many pixels the page is wider than the window.
    pub overflow: i64,
    /// Texts that are not told well from what is behind them, each with its contrast.
    pub faint: Vec<String>,
    /// Texts that were looked at.
    pub texts: u64,
    /// What the console says of errors.
    pub errors: Vec<String>,
}

pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: String,
    number: u64,
    events: Vec<Value>,
}

/// Contrast as WCAG 2 has it, of every text that takes room.
const LOOK: &str = r#"(() => {
  const parts = s => (s.match(/[\d.]+/g) || []).map(Number);
  const light = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 });
    return .2126 * r + .7152 * g + .0722 * b };
  const behind = e => { for (; e; e = e.parentElement) { const c = parts(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c.slice(0, 3) } return [255, 255, 255] };
  const faint = []; let texts = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; n = walk.nextNode();) {
    const e = n.parentElement;
    if (!n.data.trim() || !e.getClientRects().length) continue;
    texts++;
    const a = light(parts(getComputedStyle(e).color).slice(0, 3)), b = light(behind(e));
    const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (contrast < 4.5) faint.push(contrast.toFixed(2) + ' ' + n.data.trim());
  }
  const d = document.documentElement;
  return { texts, faint, overflow: d.scrollWidth - d.clientWidth };
})()"#;

impl Browser {
    /// None: there is no Chromium here.
    pub fn start(den: &Den) -> Option<Browser> {
        let program = peer("chromium")?;
        let mut command = Command::new("sh");
        // The pipe is at 3 and 4.
        let script = "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        command.args(["-c", script]).arg(program);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]);
        command.args(["--no-first-run", "--disable-extensions", "--disable-background-networking"]);
        command.arg(format!("--user-data-dir={}", den.file("profile"))).arg("--remote-debugging-pipe");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("chromium");
        let (to, from) = (child.stdin.take().expect("a pipe"), BufReader::new(child.stdout.take().expect("a pipe")));
        let mut browser = Browser { child, to, from, session: String::new(), number: 0, events: Vec::new() };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.ask("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = attached["sessionId"].as_str().expect("a session").to_string();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    fn read(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).expect("chromium speaks");
        assert_eq!(bytes.pop(), Some(0), "chromium has ended");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let mut request = json!({"id": self.number, "method": method, "params": params});
        if !self.session.is_empty() {
            request["sessionId"] = self.session.clone().into();
        }
        self.to.write_all(format!("{request}\0").as_bytes()).expect("chromium listens");
        loop {
            let said = self.read();
            if said["id"] == self.number {
                assert!(said["error"].is_null(), "{method}: {said}");
                return said["result"].clone();
            }
            self.events.push(said);
        }
    }

    /// Opens a page so, and looks.
    pub fn look(&mut self, url: &str, look: Look) -> Sight {
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        let Look { width, dark, lang } = look;
        let size = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500});
        self.ask("Emulation.setDeviceMetricsOverride", size);
        let scheme = json!({"name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" }});
        self.ask("Emulation.setEmulatedMedia", json!({"features": [scheme]}));
        self.ask("Network.setExtraHTTPHeaders", json!({"headers": {"Accept-Language": lang}}));
        self.events.clear();
        self.ask("Page.navigate", json!({"url": url}));
        while !self.events.iter().any(|e| e["method"] == "Page.loadEventFired") {
            let event = self.read();
            self.events.push(event);
        }
        let seen =
            self.ask("Runtime.evaluate", json!({"expression": LOOK, "returnByValue": true}))["result"]["value"].clone();
        let shot = self.ask("Page.captureScreenshot", json!({"format": "png", "captureBeyondViewport": true}));
        let error = |e: &&Value| match e["method"].as_str() {
            Some("Log.entryAdded") => e["params"]["entry"]["level"] == "error",
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => e["params"]["type"] == "error",
            _ => false,
        };
        let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
        Sight {
            png: gostech::json::from_base64(&text(&shot["data"])).expect("a picture"),
            overflow: seen["overflow"].as_i64().expect("a width"),
            faint: seen["faint"].as_array().expect("texts").iter().map(text).collect(),
            texts: seen["texts"].as_u64().expect("a count"),
            errors: self.events.iter().filter(error).map(Value::to_string).collect(),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.to.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
