//! ○ A row: what an option is, with its texts in both languages.
//!
//! A row is a constant, so a table is a `static` and rows can be shared between programs by value. The builders are
//! there to keep a table readable: one row, one statement, defaults unsaid. Refuses: to do anything; it holds text.

/// English and Russian of the same sentence.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// English.
    pub en: &'static str,
    /// Russian.
    pub ru: &'static str,
}

/// Both languages of a sentence, short enough for tables.
pub const fn text(en: &'static str, ru: &'static str) -> Text {
    Text { en, ru }
}

/// The language of a man page or of a README block. The programs themselves speak English.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    En,
    /// Russian.
    Ru,
}

impl Language {
    /// The one of two texts that is in this language.
    pub const fn of(self, both: Text) -> &'static str {
        match self {
            Language::En => both.en,
            Language::Ru => both.ru,
        }
    }
}

/// What stands behind the name of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A switch: given or not.
    Nothing,
    /// A value, called so in the help: `URL`, `FILE`, `DIR`, or the choices: `block|drop-newest`.
    Value(&'static str),
}

/// Whom an option speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The program.
    Program,
    /// The receiver opened by the nearest row before it that `opens`; before the first one: a default for all.
    Receiver,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Long name without dashes.
    pub name: &'static str,
    /// One-letter name.
    pub short: Option<char>,
    /// Other long names; known everywhere, shown in the man page.
    pub aliases: &'static [&'static str],
    /// Variables of the environment beside our own, read when ours is not set (`PICODATA_…`).
    pub env_also: &'static [&'static str],
    /// Switch or value.
    pub takes: Takes,
    /// May be given several times; all values count.
    pub repeat: bool,
    /// Whom it speaks of.
    pub scope: Scope,
    /// Opens a receiver.
    pub opens: bool,
    /// A receiver's own: never a default for all (`--name`); in the environment paired with the openers line by line.
    pub own: bool,
    /// The commands it belongs to (`spool replay`; `spool` means all of them); empty: all and none.
    pub commands: &'static [&'static str],
    /// What the name means in the main job: another row's; empty: nothing.
    pub elsewhere: &'static str,
    /// The group it is shown in: a name of `Program::groups`.
    pub group: &'static str,
    /// One sentence without a final dot.
    pub help: &'static str,
    /// The same in Russian.
    pub help_ru: &'static str,
    /// The default as one would write it; empty: none, or one that needs words, which then stand in the help.
    pub default: &'static str,
    /// The value is never shown.
    pub secret: bool,
    /// Not in help, man page, completions and README.
    pub hidden: bool,
    /// Command line only: neither environment nor file.
    pub only_flag: bool,
}

impl Row {
    const BLANK: Row = Row {
        name: "",
        short: None,
        aliases: &[],
        env_also: &[],
        takes: Takes::Nothing,
        repeat: false,
        scope: Scope::Program,
        opens: false,
        own: false,
        commands: &[],
        elsewhere: "",
        group: "",
        help: "",
        help_ru: "",
        default: "",
        secret: false,
        hidden: false,
        only_flag: false,
    };

    /// A switch.
    pub const fn switch(group: &'static str, name: &'static str, help: &'static str, help_ru: &'static str) -> Row {
        Row { group, name, help, help_ru, ..Row::BLANK }
    }

    /// An option with a value.
    pub const fn value(
        group: &'static str,
        name: &'static str,
        metavar: &'static str,
        help: &'static str,
        help_ru: &'static str,
    ) -> Row {
        Row { group, name, takes: Takes::Value(metavar), help, help_ru, ..Row::BLANK }
    }

    /// With a one-letter name.
    pub const fn short(self, letter: char) -> Row {
        Row { short: Some(letter), ..self }
    }

    /// With other long names.
    pub const fn aliases(self, aliases: &'static [&'static str]) -> Row {
        Row { aliases, ..self }
    }

    /// With other variables of the environment.
    pub const fn env_also(self, env_also: &'static [&'static str]) -> Row {
        Row { env_also, ..self }
    }

    /// With a default, written as a value.
    pub const fn default(self, default: &'static str) -> Row {
        Row { default, ..self }
    }

    /// May be given several times.
    pub const fn repeat(self) -> Row {
        Row { repeat: true, ..self }
    }

    /// Opens a receiver; several times.
    pub const fn opens(self) -> Row {
        Row { opens: true, repeat: true, scope: Scope::Receiver, ..self }
    }

    /// Speaks of the receiver before it.
    pub const fn receiver(self) -> Row {
        Row { scope: Scope::Receiver, ..self }
    }

    /// Speaks of the receiver before it, and is never a default for all.
    pub const fn own(self) -> Row {
        Row { scope: Scope::Receiver, own: true, ..self }
    }

    /// Belongs to these commands alone.
    pub const fn only_in(self, commands: &'static [&'static str]) -> Row {
        Row { commands, ..self }
    }

    /// In the main job the name is short for that of another row.
    pub const fn elsewhere(self, name: &'static str) -> Row {
        Row { elsewhere: name, ..self }
    }

    /// Its value is never shown.
    pub const fn secret(self) -> Row {
        Row { secret: true, ..self }
    }

    /// Known, and not shown.
    pub const fn hidden(self) -> Row {
        Row { hidden: true, ..self }
    }

    /// Known on the command line alone.
    pub const fn only_flag(self) -> Row {
        Row { only_flag: true, ..self }
    }

    /// The help in a language.
    pub const fn about(&self) -> Text {
        text(self.help, self.help_ru)
    }

    /// The name of the value, if it takes one.
    pub fn metavar(&self) -> Option<&'static str> {
        match self.takes {
            Takes::Nothing => None,
            Takes::Value(metavar) => Some(metavar),
        }
    }

    /// The values to choose from, when the name of the value lists them.
    pub fn choices(&self) -> Vec<&'static str> {
        let listed = self.metavar().filter(|metavar| metavar.contains('|'));
        listed.map(|metavar| metavar.split('|').collect()).unwrap_or_default()
    }

    /// All long names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// Whether it may be used with a command (empty: none).
    pub fn goes_with(&self, command: &str) -> bool {
        let covers = |own: &str| command == own || command.strip_prefix(own).is_some_and(|rest| rest.starts_with(' '));
        self.commands.is_empty() || self.commands.iter().any(|own| covers(own))
    }
}
