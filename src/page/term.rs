//! ○ Draws the status page for a terminal: so many columns, so many rows, with colours or without.
//!
//! Letters count as wide as a terminal shows them. Refuses: any escape that is not of this file, a line that is wider than
//! the terminal.

use super::{Body, Cell, Chart, Fact, Sheet, Station, Tone};
use crate::{stamp, words};

/// Columns that a letter takes: none (it joins the one before), one, two.
pub fn width(c: char) -> usize {
    match c as u32 {
        0x231a..=0x231b | 0x2329..=0x232a | 0x23e9..=0x23ec | 0x23f0 | 0x23f3 | 0x25fd..=0x25fe | 0x2614..=0x2615 => 2,
        0x2648..=0x2653 | 0x267f | 0x2693 | 0x26a1 | 0x26aa..=0x26ab | 0x26bd..=0x26be | 0x26c4..=0x26c5 | 0x26ce => 2,
        0x26d4 | 0x26ea | 0x26f2..=0x26f3 | 0x26f5 | 0x26fa | 0x26fd | 0x2705 | 0x270a..=0x270b | 0x2728 | 0x274c => 2,
        0x274e | 0x2753..=0x2755 | 0x2757 | 0x2795..=0x2797 | 0x27b0 | 0x27bf | 0x2b1b..=0x2b1c | 0x2b50 | 0x2b55 => 2,
        0x300..=0x36f | 0x483..=0x489 | 0x200b..=0x200d | 0x20d0..=0x20ff | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 => 2,
        0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

fn width_of(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// As much of a text as fits so many columns.
pub fn fitted(text: &str, columns: usize) -> String {
    if width_of(text) <= columns {
        return text.to_string();
    }
    let (mut out, mut used) = (String::new(), 1);
    for c in text.chars() {
        used += width(c);
        if used > columns {
            break;
        }
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// Lines as they are collected, each without what a terminal would obey but for its colour.
struct Paper {
    columns: usize,
    colour: bool,
    lines: Vec<String>,
}

impl Paper {
    fn line(&mut self, tone: Tone, text: &str) {
        self.paint(
            match tone {
                Tone::Plain => "",
                Tone::Good => "32",
                Tone::Warn => "33",
                Tone::Bad => "1;31",
            },
            text,
        );
    }

    fn paint(&mut self, code: &str, text: &str) {
        let text = fitted(words::line_escaped(text).trim_end(), self.columns);
        self.lines.push(match self.colour && !code.is_empty() && !text.is_empty() {
            true => format!("\x1b[{code}m{text}\x1b[m"),
            false => text,
        });
    }

    /// A text over as many lines as it needs, each with so many blanks before it.
    fn wrapped(&mut self, tone: Tone, indent: usize, text: &str) {
        let room = self.columns.saturating_sub(indent).max(8);
        let (mut line, safe) = (String::new(), words::line_escaped(text));
        for word in safe.split(' ') {
            if !line.is_empty() && width_of(&line) + 1 + width_of(word) > room {
                let full = std::mem::take(&mut line);
                self.line(tone, &(" ".repeat(indent) + &full));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(tone, &(" ".repeat(indent) + &line));
    }
}

/// Lines alone, each over as many rows as it needs.
pub fn lines(cells: impl IntoIterator<Item = Cell>, columns: usize, colour: bool) -> Vec<String> {
    let mut p = Paper { columns, colour, lines: Vec::new() };
    for cell in cells {
        let text = cell.text.trim_start_matches(' ');
        p.wrapped(cell.tone, cell.text.len() - text.len(), text);
    }
    p.lines
}

/// The page in so many columns; colours where they are wanted.
pub fn draw(sheet: &Sheet, columns: usize, colour: bool) -> Vec<String> {
    let mut p = Paper { columns, colour, lines: Vec::new() };
    let time: String = stamp::rfc3339_text(sheet.now_ms).chars().skip(11).take(8).collect();
    p.paint("1", &format!("{} {} · {time} UTC", sheet.program, sheet.about));
    p.wrapped(sheet.verdict.tone, 0, &sheet.verdict.text);
    for section in &sheet.sections {
        p.lines.push(String::new());
        p.paint("1;36", section.title);
        match &section.body {
            Body::Way(stages) => stages.iter().flatten().for_each(|s| station(&mut p, s)),
            Body::Facts(facts) => pairs(&mut p, facts),
            Body::Table(head, rows) => table(&mut p, head, rows),
            Body::Charts(charts) => charts.iter().for_each(|c| chart(&mut p, c)),
            Body::Lines(lines) => lines.iter().for_each(|l| p.wrapped(l.tone, 1, &l.text)),
        }
    }
    p.lines
}

fn station(p: &mut Paper, s: &Station) {
    p.line(s.tone, &format!(" {}", s.name));
    pairs(p, &s.facts);
    if !s.said.is_empty() {
        p.line(Tone::Plain, &format!("   {}", s.said));
    }
}

/// As many beside each other as fit. What is bad has a line of its own, in its colour.
fn pairs(p: &mut Paper, facts: &[Fact]) {
    let mut line = String::new();
    for (name, cell) in facts {
        let text = format!("   {name} {}", words::line_escaped(&cell.text));
        if cell.tone > Tone::Good {
            p.line(cell.tone, &text);
            continue;
        }
        if !line.is_empty() && width_of(&line) + width_of(&text) > p.columns {
            let full = std::mem::take(&mut line);
            p.line(Tone::Plain, &full);
        }
        line.push_str(&text);
    }
    if !line.is_empty() {
        p.line(Tone::Plain, &line);
    }
}

fn table(p: &mut Paper, head: &[&str], rows: &[Vec<Cell>]) {
    let safe: Vec<Vec<String>> =
        rows.iter().map(|r| r.iter().map(|c| words::line_escaped(&c.text)).collect()).collect();
    let widest = |i: usize| safe.iter().filter_map(|r| r.get(i)).map(|t| width_of(t)).max().unwrap_or(0);
    let widths: Vec<usize> = head.iter().enumerate().map(|(i, h)| widest(i).max(width_of(h)).min(40)).collect();
    let right = |i: usize| rows.first().and_then(|r| r.get(i)).is_some_and(|c| c.right);
    let join = |texts: &mut dyn Iterator<Item = &str>| {
        let mut line = String::from(" ");
        for (i, text) in texts.enumerate() {
            let wide = widths.get(i).copied().unwrap_or(0);
            let text = fitted(text, wide);
            let pad = " ".repeat(wide.saturating_sub(width_of(&text)));
            line += &if right(i) { format!("  {pad}{text}") } else { format!("  {text}{pad}") };
        }
        line
    };
    p.paint("2", &join(&mut head.iter().copied()));
    for (row, texts) in rows.iter().zip(&safe) {
        let tone = row.iter().map(|c| c.tone).max().unwrap_or_default();
        p.line(tone.max(Tone::Good).min(tone), &join(&mut texts.iter().map(String::as_str)));
    }
}

fn chart(p: &mut Paper, c: &Chart) {
    let room = p.columns.saturating_sub(4).min(c.points.len());
    let most = c.points.iter().flatten().fold(0.0f64, |a, b| a.max(*b));
    let bar = |chunk: &[Option<f64>]| match chunk
        .iter()
        .flatten()
        .fold(None, |a: Option<f64>, b| Some(a.map_or(*b, |a| a.max(*b))))
    {
        None => ' ',
        Some(v) if v <= 0.0 || most <= 0.0 => '▁',
        Some(v) => ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][((v / most * 7.0).round() as usize).min(7)],
    };
    let each = c.points.len().div_ceil(room.max(1)).max(1);
    let curve: String = c.points.chunks(each).map(bar).collect();
    p.line(Tone::Plain, &format!("   {} {}", c.title, c.words));
    p.paint("34", &format!("   {curve}"));
}

#[cfg(test)]
mod tests {
    use super::super::{Lang, Section};
    use super::*;

    fn sheet() -> Sheet {
        let cells = |name: &str| vec![Cell::text(name), Cell::number("1\u{a0}000")];
        let station = Station {
            name: "r1".into(),
            tone: Tone::Bad,
            facts: vec![("ждёт", Cell::text("7").tone(Tone::Warn)), ("взято", Cell::text("9"))],
            said: "HTTP 500\x1b[2J\u{202e}gnp".into(),
        };
        let chart =
            Chart { title: "events".into(), points: vec![None, Some(0.0), Some(1.0), Some(4.0)], words: "4/s".into() };
        let section = |title, body| Section { title, body };
        Sheet {
            lang: Lang::Ru,
            program: "gostech-audit-log",
            about: "1.0".into(),
            verdict: Cell::text("всё хорошо ".repeat(20)).tone(Tone::Good),
            now_ms: 0,
            sections: vec![
                section("Путь", Body::Way(vec![vec![station]])),
                section(
                    "События",
                    Body::Table(
                        vec!["название", "всего"],
                        vec![cells("создана таблица"), cells("表を作る"), cells("a\x1b]0;x\x07")],
                    ),
                ),
                section("Графики", Body::Charts(vec![chart])),
            ],
            links: &[],
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_nothing_foreign_is_obeyed() {
        for columns in [1, 10, 40, 80, 200] {
            for colour in [false, true] {
                for line in draw(&sheet(), columns, colour) {
                    let plain = line.split("\x1b[").enumerate().map(|(i, part)| match i {
                        0 => part,
                        _ => part.split_once('m').expect("a colour").1,
                    });
                    let plain: String = plain.collect();
                    assert!(plain.chars().map(width).sum::<usize>() <= columns, "{columns}: {line:?}");
                    assert!(!plain.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
                    assert!(colour || !line.contains('\x1b'), "{line:?}");
                }
            }
        }
        let drawn = draw(&sheet(), 80, false);
        assert!(drawn.iter().any(|l| l.contains("HTTP 500\\u{1b}[2J\\u{202e}gnp")), "{drawn:#?}");
        assert!(drawn.iter().any(|l| l == "    ▁▃█"), "{drawn:#?}");
    }

    #[test]
    fn signs_are_as_wide_as_terminals_draw_them() {
        let widths = ['a', 'я', '→', '▇', '…', '✓', '✅', '⌚', '⭐', '😀', '表', '\u{301}', '\u{200d}'].map(width);
        assert_eq!(widths, [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 0, 0]);
        assert_eq!(fitted("✅✅✅", 5), "✅✅…");
    }

    #[test]
    fn columns_stand_under_each_other_whatever_the_letters() {
        let drawn = draw(&sheet(), 80, false);
        let ends: Vec<usize> = drawn.iter().filter(|l| l.ends_with("000")).map(|l| width_of(l)).collect();
        assert_eq!(ends.len(), 3);
        assert!(ends.iter().all(|e| *e == ends[0]), "{drawn:#?}");
    }
}
