//! The page with what strangers may write into it, and with much of everything.

use super::super::{answer, Lang, Section};
use super::*;
use crate::net::page::PageRequest;

const HOSTILE: &str = "<script>alert('1')</script>\" onload='x' &amp; \x1b[31m\u{202e}gpj.exe\u{2028}\0\r\n";

fn sheet(stations: usize, rows: usize, text: &str) -> Sheet {
    let station = Station {
        name: text.into(),
        tone: Tone::Warn,
        facts: vec![
            ("waiting", Cell::number(Lang::En.count(123_456_789_012_345_678))),
            ("oldest", Cell::text("3 h 20 min")),
            ("taken", Cell::number(Lang::En.count(123_456_789_012_345_678))),
            ("rate", Cell::text("12.3/s")),
        ],
        said: text.into(),
    };
    let row = vec![Cell::text(text), Cell::number("1"), Cell { percent: Some(250), ..Cell::text(text) }];
    let points = (0..96).map(|i| (i % 7 > 0).then_some(f64::from(i))).collect();
    let chart = Chart { title: text.into(), points, words: text.into() };
    let sections = vec![
        Section {
            title: "way",
            body: Body::Way(vec![vec![station.clone()], vec![station.clone()], vec![station; stations]]),
        },
        Section { title: "rows", body: Body::Table(vec!["a", "b", "c"], vec![row; rows]) },
        Section { title: "curves", body: Body::Charts(vec![chart; 4]) },
        Section { title: "lines", body: Body::Lines(vec![Cell::text(text).tone(Tone::Bad); 10]) },
    ];
    Sheet {
        lang: Lang::En,
        program: "gostech-audit-log",
        about: text.into(),
        verdict: Cell::text(text).tone(Tone::Good),
        now_ms: 1_795_224_477_349,
        sections,
        links: &["metrics", "-/ready"],
    }
}

#[test]
fn what_strangers_wrote_is_text_and_moves_nothing() {
    let page = draw(&sheet(2, 3, HOSTILE), None);
    assert!(!page.contains("<script") && !page.contains("onload='"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot; onload=&#39;x&#39; &amp;amp; \\u{1b}[31m\\u{202e}gpj.exe\\u{2028}"));
    let odd = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202e}' | '\u{2028}');
    assert!(!page.contains(odd), "{:?}", page.find(odd));
    assert!(
        !page.contains(" style=") && !page.contains("javascript:") && !page.contains("//")
            || page.matches("//").count() == page.matches("http://www.w3.org/2000/svg").count()
    );
}

#[test]
fn it_is_bounded_whatever_it_shows() {
    let usual = draw(&sheet(3, 20, "HTTP 200: taken, 100 events"), None);
    assert!(usual.len() < 20_000, "{}", usual.len());
    let many = draw(&sheet(20, limits::PAGE_ROWS, "connection refused by siem.example.com:9200"), None);
    assert!(many.len() < 30_000, "{}", many.len());
    // Each quote takes six bytes.
    let worst = draw(&sheet(limits::PAGE_ROWS, limits::PAGE_ROWS, &"\"".repeat(100_000)), None);
    assert!(worst.len() < 300_000, "{}", worst.len());
    let empty = Sheet { sections: Vec::new(), ..sheet(0, 0, "") };
    assert!(draw(&empty, None).len() < 8_000);
}

#[test]
fn the_policy_names_the_one_style_and_the_refresh_is_bounded() {
    let get = |query: &str| {
        let request = PageRequest { query: query.into(), ..PageRequest::default() };
        answer::page(&request, &sheet(1, 1, "x"))
    };
    let page = get("");
    let (_, policy) = page.headers.iter().find(|(n, _)| n == "Content-Security-Policy").expect("a policy");
    let hash = crate::net::crypto::sha256(STYLE.as_bytes());
    let named = policy.split("'sha256-").nth(1).and_then(|p| p.split('\'').next()).expect("a hash");
    let mut base64 = Vec::new();
    crate::json::push_base64(&mut base64, &hash);
    let base64 = String::from_utf8(base64).expect("text");
    assert_eq!(named, base64, "STYLE_HASH of `answer.rs` is to be {base64}");
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    let has = |query: &str| String::from_utf8(get(query).body).expect("text").contains("http-equiv=\"refresh\"");
    assert!(
        has("refresh=5")
            && !has("")
            && !has("refresh=0")
            && !has("refresh=-1")
            && !has("refresh=x")
            && !has("refresh=5;url=//x")
    );
    let most = String::from_utf8(get("refresh=999999").body).expect("text");
    assert!(most.contains("content=\"3600\""), "{most}");
}

#[test]
fn a_curve_has_a_line_for_each_stretch_without_a_hole() {
    let mut o = String::new();
    curve(&mut o, &[None, Some(0.0), Some(4.0), None, Some(2.0)]);
    assert_eq!(o.matches("<polyline").count(), 2, "{o}");
    assert!(o.contains("<polyline points=\"75,50 150,0\"/>"), "{o}");
    for points in [&[][..], &[None], &[Some(1.0)]] {
        curve(&mut String::new(), points);
    }
}
