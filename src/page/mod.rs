//! ○ The status page of both programs as a value: what is shown, in which language, how well it is; drawn by `html` and `term`.
//!
//! ```text
//! figures ─▶ Sheet ─▶ html (the page at `/`)
//!                 └─▶ term (`--watch`)
//! ```
//!
//! Whoever fills it gives plain text, and foreign text as it came: the drawing escapes and cuts it, in one place each.
//! Refuses: markup in a text, a figure of its own.

pub mod answer;
pub mod history;
pub mod html;
pub mod lang;
pub mod term;

pub use lang::Lang;

/// How well it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// Neither.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Somebody has to look, in time.
    Warn,
    /// Somebody has to look now.
    Bad,
}

impl Tone {
    /// This one where it is so.
    pub fn when(self, so: bool) -> Tone {
        if so {
            self
        } else {
            Tone::Plain
        }
    }
}

/// A text, how well that is, and how full something is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// In words.
    pub text: String,
    /// How well.
    pub tone: Tone,
    /// A bar, in percent.
    pub percent: Option<u8>,
    /// It stands at the right of its column.
    pub right: bool,
}

impl Cell {
    /// A text.
    pub fn text(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), ..Cell::default() }
    }

    /// A number.
    pub fn number(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), right: true, ..Cell::default() }
    }

    /// What protects the program, each with whether it is in force.
    pub fn protections<N: AsRef<str>>(lang: Lang, all: impl IntoIterator<Item = (N, bool)>) -> Vec<Cell> {
        let off = lang.of(": not in force", ": не действует");
        let part = |(name, on): (N, bool)| match on {
            true => Cell::text(name.as_ref()).tone(Tone::Good),
            false => Cell::text(format!("{}{off}", name.as_ref())).tone(Tone::Warn),
        };
        all.into_iter().map(part).collect()
    }

    /// The same, so well.
    pub fn tone(self, tone: Tone) -> Cell {
        Cell { tone, ..self }
    }
}

/// What something is called, and what it is.
pub type Fact = (&'static str, Cell);

/// A box of the picture.
#[derive(Clone, Debug, Default)]
pub struct Station {
    /// What it is.
    pub name: String,
    /// How well it is.
    pub tone: Tone,
    /// What counts most.
    pub facts: Vec<Fact>,
    /// What it has said, in its own words.
    pub said: String,
}

/// A curve.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    /// What it shows, and over which time.
    pub title: String,
    /// Oldest first; none: nobody looked then.
    pub points: Vec<Option<f64>>,
    /// The last and the largest value in words.
    pub words: String,
}

impl Chart {
    /// Of these points; `shown` puts a value into words.
    pub fn of(lang: Lang, title: String, points: Vec<Option<f64>>, shown: fn(Lang, f64) -> String) -> Chart {
        let most = points.iter().flatten().fold(None, |a: Option<f64>, b| Some(a.map_or(*b, |a| a.max(*b))));
        let words = match most {
            Some(most) => format!("{} {}", lang.of("at most", "до"), shown(lang, most)),
            None => lang.of("not known yet", "пока неизвестно").into(),
        };
        Chart { title, points, words }
    }
}

/// What a section has.
#[derive(Clone, Debug)]
pub enum Body {
    /// The way of something through several stages, boxes in each.
    Way(Vec<Vec<Station>>),
    /// Figures.
    Facts(Vec<Fact>),
    /// Rows.
    Table(Vec<&'static str>, Vec<Vec<Cell>>),
    /// Curves.
    Charts(Vec<Chart>),
    /// Lines.
    Lines(Vec<Cell>),
}

/// A part of the page.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its headline.
    pub title: &'static str,
    /// What it has.
    pub body: Body,
}

/// The whole of it.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// Its language.
    pub lang: Lang,
    /// The program.
    pub program: &'static str,
    /// What it works for.
    pub about: String,
    /// All of it in a sentence.
    pub verdict: Cell,
    /// When, milliseconds since the epoch.
    pub now_ms: i64,
    /// The parts.
    pub sections: Vec<Section>,
    /// The other pages, by their paths.
    pub links: &'static [&'static str],
}

impl Sheet {
    /// Adds a part, if there is anything in it.
    pub fn add(&mut self, title: &'static str, body: Body) {
        let empty = match &body {
            Body::Way(stages) => stages.is_empty(),
            Body::Facts(facts) => facts.is_empty(),
            Body::Table(_, rows) => rows.is_empty(),
            Body::Charts(charts) => charts.is_empty(),
            Body::Lines(lines) => lines.is_empty(),
        };
        if !empty {
            self.sections.push(Section { title, body });
        }
    }
}
