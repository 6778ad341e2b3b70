//! ○ Draws the status page in HTML: no script, nothing from elsewhere, one style; text is escaped in one place (`put`).
//!
//! Every figure stands as text, so a browser of text shows it too; bars and curves only repeat it. Refuses: a style in an
//! attribute, which the page's policy forbids.

use super::{Body, Cell, Chart, Fact, Sheet, Station, Tone};
use crate::{limits, stamp, words};
use std::fmt::Write;

/// The style of both pages.
pub const STYLE: &str = include_str!("style.css");

/// Width and height of a curve, in units of its own.
const CURVE: (f64, f64) = (300.0, 50.0);

/// The page; `refresh`: it comes anew after so many seconds.
pub fn draw(sheet: &Sheet, refresh: Option<u32>) -> String {
    let mut o = String::with_capacity(STYLE.len() + 8192);
    let lang = sheet.lang;
    let _ = write!(
        o,
        "<!DOCTYPE html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">",
        lang.tag()
    );
    if let Some(seconds) = refresh {
        let _ = write!(o, "<meta http-equiv=\"refresh\" content=\"{seconds}\">");
    }
    let _ = write!(
        o,
        "<link rel=\"icon\" href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'%3E%3Ccircle cx='4.5' cy='4.5' r='4' fill='{}'/%3E%3C/svg%3E\">",
        match sheet.verdict.tone {
            Tone::Bad => "%23d33",
            Tone::Warn => "%23d90",
            _ => "%232a5",
        }
    );
    tag(&mut o, "title", "", |o| {
        put(o, &format!("{}: {}", sheet.program, sheet.verdict.text), limits::PAGE_TEXT_CHARS)
    });
    let _ = write!(o, "<style>{STYLE}</style></head>\n<body><header>");
    tag(&mut o, "h1", "", |o| o.push_str(sheet.program));
    text(&mut o, "p", "about", &sheet.about);
    text(&mut o, "p", &format!("verdict{}", of(sheet.verdict.tone)), &sheet.verdict.text);
    o.push_str("</header>\n<main>");
    for section in &sheet.sections {
        o.push_str("<section>");
        text(&mut o, "h2", "", section.title);
        body(&mut o, &section.body);
        o.push_str("</section>\n");
    }
    o.push_str("</main><footer>");
    let time: String = stamp::rfc3339_text(sheet.now_ms).chars().take(19).collect();
    let _ = write!(o, "{} UTC", time.replace('T', " "));
    for link in sheet.links {
        let _ = write!(o, " · <a href=\"{link}\">/{link}</a>");
    }
    let _ = write!(o, " · <a href=\"?refresh=5\">{}</a>", lang.of("renew every 5 s", "обновлять каждые 5 с"));
    o.push_str("</footer></body></html>\n");
    o
}

/// Foreign text: no markup, nothing that a reader's program would obey, and so much of it.
fn put(o: &mut String, text: &str, most: usize) {
    for c in words::line_escaped(&words::cut(text, most)).chars() {
        match c {
            '&' => o.push_str("&amp;"),
            '<' => o.push_str("&lt;"),
            '>' => o.push_str("&gt;"),
            '"' => o.push_str("&quot;"),
            '\'' => o.push_str("&#39;"),
            c => o.push(c),
        }
    }
}

fn of(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "",
        Tone::Good => " good",
        Tone::Warn => " warn",
        Tone::Bad => " bad",
    }
}

fn tag(o: &mut String, name: &str, class: &str, inner: impl FnOnce(&mut String)) {
    let class = class.trim();
    let _ = match class {
        "" => write!(o, "<{name}>"),
        _ => write!(o, "<{name} class=\"{class}\">"),
    };
    inner(o);
    let _ = write!(o, "</{name}>");
}

fn text(o: &mut String, name: &str, class: &str, text: &str) {
    tag(o, name, class, |o| put(o, text, limits::PAGE_TEXT_CHARS));
}

fn body(o: &mut String, body: &Body) {
    match body {
        Body::Way(stages) => tag(o, "ol", "way", |o| {
            for stage in stages {
                tag(o, "li", "", |o| stage.iter().for_each(|s| station(o, s)));
            }
        }),
        Body::Facts(facts) => pairs(o, "facts", facts),
        Body::Table(head, rows) => table(o, head, rows),
        Body::Charts(charts) => tag(o, "div", "charts", |o| charts.iter().for_each(|c| chart(o, c))),
        Body::Lines(lines) => {
            let short = lines.iter().all(|l| l.text.chars().count() < 40);
            tag(o, "ul", if short { "chips" } else { "" }, |o| {
                lines.iter().for_each(|l| text(o, "li", of(l.tone), &l.text));
            });
        }
    }
}

fn station(o: &mut String, s: &Station) {
    tag(o, "div", &format!("box{}", of(s.tone)), |o| {
        tag(o, "h3", "", |o| put(o, &s.name, limits::PAGE_NAME_CHARS));
        pairs(o, "", &s.facts);
        if !s.said.is_empty() {
            text(o, "p", "said", &s.said);
        }
    });
}

fn pairs(o: &mut String, class: &str, facts: &[Fact]) {
    tag(o, "dl", class, |o| {
        for (name, cell) in facts {
            tag(o, "div", "", |o| {
                text(o, "dt", "", name);
                tag(o, "dd", of(cell.tone), |o| inner(o, cell));
            });
        }
    });
}

fn inner(o: &mut String, cell: &Cell) {
    put(o, &cell.text, limits::PAGE_TEXT_CHARS);
    if let Some(percent) = cell.percent {
        let percent = percent.min(100);
        let _ = write!(
            o,
            "<svg class=\"bar\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect width=\"{percent}\" height=\"4\"/></svg>"
        );
    }
}

fn table(o: &mut String, head: &[&str], rows: &[Vec<Cell>]) {
    let right = |i: usize| rows.first().and_then(|r| r.get(i)).is_some_and(|c| c.right);
    let side = |right| if right { " r" } else { "" };
    o.push_str("<div class=\"wide\"><table><tr>");
    head.iter().enumerate().for_each(|(i, name)| text(o, "th", side(right(i)), name));
    o.push_str("</tr>");
    for row in rows {
        tag(o, "tr", "", |o| {
            row.iter().for_each(|c| tag(o, "td", &format!("{}{}", side(c.right), of(c.tone)), |o| inner(o, c)));
        });
    }
    o.push_str("</table></div>");
}

fn chart(o: &mut String, c: &Chart) {
    tag(o, "figure", "", |o| {
        tag(o, "figcaption", "", |o| {
            put(o, &c.title, limits::PAGE_TEXT_CHARS);
            o.push(' ');
            text(o, "b", "", &c.words);
        });
        let _ = write!(
            o,
            "<svg viewBox=\"0 -2 {} {}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
            CURVE.0,
            CURVE.1 + 2.0
        );
        curve(o, &c.points);
        o.push_str("</svg>");
    });
}

/// A line for each stretch without a hole, over a plain.
fn curve(o: &mut String, points: &[Option<f64>]) {
    let most = points.iter().flatten().fold(0.0f64, |a, b| a.max(*b));
    let step = CURVE.0 / (points.len().max(2) - 1) as f64;
    let mut at = 0;
    while at < points.len() {
        let run = points[at..].iter().take_while(|p| p.is_some()).count();
        if run > 0 {
            let mut line = String::new();
            // Alone it would be no line.
            let from = step * at as f64 - if run == 1 { 3.0 } else { 0.0 };
            for (i, value) in points[at..at + run].iter().flatten().enumerate() {
                let height = if most > 0.0 { CURVE.1 * (1.0 - value / most) } else { CURVE.1 };
                if run == 1 {
                    let _ = write!(line, "{from:.0},{height:.0} ");
                }
                let _ = write!(line, "{:.0},{height:.0} ", step * (at + i) as f64);
            }
            let (line, to) = (line.trim(), step * (at + run - 1) as f64);
            let _ = write!(
                o,
                "<polygon points=\"{from:.0},{bottom} {line} {to:.0},{bottom}\"/><polyline points=\"{line}\"/>",
                bottom = CURVE.1
            );
        }
        at += run + 1;
    }
}

#[cfg(test)]
mod tests;
