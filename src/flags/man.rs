//! ○ The man page, in man(7) macros, which groff and mandoc both set; in English or Russian.
//!
//! Every text is escaped here, so a table needs to know nothing of roff: `` `code` `` becomes bold, a dash in code a
//! real minus, a dot or apostrophe at the start of a line harmless. Refuses to do: state the day it was made on.

use super::placeholder::shown;
use super::row::{text, Language, Row, Text};
use super::table::Program;

/// The whole page.
pub(super) fn page(program: &Program, language: Language) -> String {
    let mut out = head(program, language);
    section(&mut out, language, text("DESCRIPTION", "ОПИСАНИЕ"));
    paragraphs(&mut out, program.description, program.about, language);
    if !program.commands.is_empty() {
        section(&mut out, language, text("COMMANDS", "КОМАНДЫ"));
        commands(&mut out, program, language);
    }
    section(&mut out, language, text("OPTIONS", "ПАРАМЕТРЫ"));
    options(&mut out, program, language);
    section(&mut out, language, text("ENVIRONMENT", "ПЕРЕМЕННЫЕ ОКРУЖЕНИЯ"));
    environment(&mut out, program, language);
    section(&mut out, language, text("FILES", "ФАЙЛЫ"));
    files(&mut out, program, language);
    if !program.signals.is_empty() {
        section(&mut out, language, text("SIGNALS", "СИГНАЛЫ"));
        pairs(&mut out, program.signals, language);
    }
    section(&mut out, language, text("EXIT STATUS", "КОД ЗАВЕРШЕНИЯ"));
    pairs(&mut out, program.exit_status, language);
    for own in program.sections {
        section(&mut out, language, own.title);
        out.push_str(&format!("{}\n", prose(language.of(own.intro))));
        for row in own.rows {
            let mark = if row.marked { " *" } else { "" };
            let meaning = capital(language.of(row.meaning));
            out.push_str(&format!(".TP\n\\fB{}\\fR{mark}\n{}.\n", code(row.term), prose(&meaning)));
        }
    }
    section(&mut out, language, text("EXAMPLES", "ПРИМЕРЫ"));
    examples(&mut out, program, language);
    if !program.see_also.is_empty() {
        section(&mut out, language, text("SEE ALSO", "СМОТРИТЕ ТАКЖЕ"));
        out.push_str(&see_also(program));
    }
    out
}

fn head(program: &Program, language: Language) -> String {
    let name = program.name;
    let mut out = String::from(".\\\" Made from the table of options; changes belong there.\n");
    out.push_str(&format!(
        ".TH {} 1 {} \"{name} {}\" \"{}\"\n",
        name.to_uppercase().replace('-', "\\-"),
        program.date,
        program.version,
        language.of(text("User commands", "Команды пользователя"))
    ));
    section(&mut out, language, text("NAME", "ИМЯ"));
    out.push_str(&format!("{} \\- {}\n", code(name), prose(language.of(program.about))));
    section(&mut out, language, text("SYNOPSIS", "ОБЗОР"));
    for (at, usage) in program.usage.iter().enumerate() {
        let between = if at == 0 { "" } else { ".br\n" };
        out.push_str(&format!("{between}\\fB{}\\fR {}\n", code(name), code(&shown(usage, language))));
    }
    out
}

fn section(out: &mut String, language: Language, title: Text) {
    out.push_str(&format!(".SH {}\n", language.of(title)));
}

fn paragraphs(out: &mut String, texts: &[Text], instead: Text, language: Language) {
    let texts = if texts.is_empty() { std::slice::from_ref(&instead) } else { texts };
    for (at, both) in texts.iter().enumerate() {
        let between = if at == 0 { "" } else { ".PP\n" };
        out.push_str(&format!("{between}{}\n", prose(language.of(*both))));
    }
}

fn pairs(out: &mut String, pairs: &[(&str, Text)], language: Language) {
    for (term, both) in pairs {
        out.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", code(term), prose(language.of(*both))));
    }
}

fn commands(out: &mut String, program: &Program, language: Language) {
    for command in program.commands {
        let help = language.of(text(command.help, command.help_ru));
        let operands = if command.operands.is_empty() {
            String::new()
        } else {
            format!(" {}", code(&shown(command.operands, language)))
        };
        out.push_str(&format!(".TP\n\\fB{}\\fR{operands}\n{}\n", code(&command.full_name()), prose(help)));
    }
}

fn options(out: &mut String, program: &Program, language: Language) {
    let receivers = text(
        "Options marked * speak of the receiver opened before them; before the first one they are defaults for all.",
        "Параметры со знаком * относятся к приёмнику, указанному перед ними; до первого приёмника они задают значения \
         по умолчанию для всех.",
    );
    if program.rows.iter().any(|row| row.opens) {
        out.push_str(&format!("{}\n", prose(language.of(receivers))));
    }
    for (group, rows) in program.grouped() {
        out.push_str(&format!(".SS {}\n", prose(language.of(group))));
        for row in rows {
            out.push_str(&format!(".TP\n{}\n{}\n", term(row, language), prose(&about(program, row, language))));
        }
    }
}

/// `\fB\-h\fR, \fB\-\-help\fR`, with the other names, the value, and the mark of a receiver's row.
fn term(row: &Row, language: Language) -> String {
    let short = row.short.map(|letter| format!("-{letter}"));
    let names = short.into_iter().chain(row.names().map(|name| format!("--{name}")));
    let names: Vec<String> = names.map(|name| format!("\\fB{}\\fR", code(&name))).collect();
    let value =
        row.metavar().map(|metavar| format!(" \\fI{}\\fR", code(&shown(metavar, language)))).unwrap_or_default();
    let mark = if row.scope == super::row::Scope::Receiver && !row.opens { " *" } else { "" };
    format!("{}{value}{mark}", names.join(", "))
}

/// The help as a sentence, with what the table knows beside it.
fn about(program: &Program, row: &Row, language: Language) -> String {
    let mut out = format!("{}.", capital(language.of(row.about())));
    if row.repeat {
        out.push_str(language.of(text(" May be given several times.", " Можно указать несколько раз.")));
    }
    let default = program.default_of(row);
    if !default.is_empty() {
        out.push_str(&format!(" {}: `{default}`.", language.of(text("Default", "По умолчанию"))));
    }
    if !row.commands.is_empty() {
        let own: Vec<String> = row.commands.iter().map(|own| format!("`{own}`")).collect();
        out.push_str(&format!(" {}: {}.", language.of(text("Only with", "Только с командами")), own.join(", ")));
    }
    out
}

fn environment(out: &mut String, program: &Program, language: Language) {
    let example = program.rows.iter().find(|row| !row.only_flag).map_or("name", |row| row.name);
    let (option, variable) = (format!("--{example}"), program.variable(example));
    out.push_str(&prose(&match language {
        Language::En => format!(
            "Every option but those of the last group is also read from a variable: `{}` and \
             its name in capitals, dashes as underscores (`{option}`: `{variable}`). A flag goes before the variable, \
             the variable before the file. Lists hold one value a line; switches take `yes` or `no`; an empty variable \
             is not set.",
            program.env_prefix
        ),
        Language::Ru => format!(
            "Каждый параметр, кроме последней группы, читается и из переменной: `{}` и имя параметра прописными \
             буквами, дефисы заменены подчёркиваниями (`{option}`: `{variable}`). Параметр командной строки важнее \
             переменной, переменная важнее файла. Списки пишутся по одному значению в строке; переключатели принимают \
             `yes` или `no`; пустая переменная считается незаданной.",
            program.env_prefix
        ),
    }));
    out.push('\n');
    let also = program.rows.iter().flat_map(|row| row.env_also.iter().map(move |name| (*name, row)));
    for (name, row) in also {
        let help = format!(
            "{} `--{}`.",
            language.of(text("When ours is not set, the same as", "Если наша не задана, то же, что")),
            row.name
        );
        out.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", code(name), prose(&help)));
    }
    pairs(out, program.environment, language);
}

fn files(out: &mut String, program: &Program, language: Language) {
    let file = text(
        "The configuration: one option a line, `name value` or `name = value`; `#` begins a comment; a value may stand in \
         double quotes. Options of a receiver follow the one that opens it.",
        "Конфигурация: по одному параметру в строке, `имя значение` или `имя = значение`; `#` начинает комментарий; \
         значение можно заключить в двойные кавычки. Параметры приёмника следуют за тем, который его задаёт.",
    );
    let sections = text(
        " One receiver in a section: below `[receiver NAME]` its options stand in any order.",
        " По приёмнику на раздел: под `[receiver ИМЯ]` его параметры стоят в любом порядке.",
    );
    let has = program.row("name").is_some_and(|row| row.own);
    let file = format!("{}{}", language.of(file), if has { language.of(sections) } else { "" });
    out.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", code(program.config), prose(&file)));
    pairs(out, program.files, language);
}

fn examples(out: &mut String, program: &Program, language: Language) {
    for (at, (example, both)) in program.examples.iter().enumerate() {
        let between = if at == 0 { "" } else { ".PP\n" };
        out.push_str(&format!("{between}{}:\n.PP\n.EX\n", prose(language.of(*both))));
        for line in example.lines() {
            out.push_str(&format!("    {}\n", code(line)));
        }
        out.push_str(".EE\n");
    }
}

/// `name(1)` in bold with its section plain.
fn see_also(program: &Program) -> String {
    let mut lines = Vec::new();
    for page in program.see_also {
        let (name, section) = page.split_once('(').unwrap_or((page, ""));
        let section = if section.is_empty() { String::new() } else { format!("({section}") };
        lines.push(format!("\\fB{}\\fR{section}", code(name)));
    }
    format!("{}\n", lines.join(",\n"))
}

fn capital(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Text with `` `code` ``.
fn prose(words: &str) -> String {
    let mut out = String::new();
    for (at, part) in words.split('`').enumerate() {
        if at % 2 == 1 {
            out.push_str(&format!("\\fB{}\\fR", code(part)));
        } else {
            out.push_str(&part.replace('\\', "\\e"));
        }
    }
    guarded(out)
}

/// Text that is typed as it stands. Behind a bar a line may end: a long list of choices has no blank.
fn code(words: &str) -> String {
    let escaped = words.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq").replace('|', "|\\:");
    guarded(escaped.replace('`', "\\(ga").replace('^', "\\(ha").replace('~', "\\(ti"))
}

/// A dot or an apostrophe at the start of a line would be a request.
fn guarded(line: String) -> String {
    if line.starts_with(['.', '\'']) {
        format!("\\&{line}")
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_become_requests() {
        assert_eq!(prose(".TH x"), "\\&.TH x");
        assert_eq!(prose("say `--url` or \\x"), "say \\fB\\-\\-url\\fR or \\ex");
        assert_eq!(code("a|b|c"), "a|\\:b|\\:c");
        assert_eq!(code("'{print}' a-b ~ ^ `"), "\\(aq{print}\\(aq a\\-b \\(ti \\(ha \\(ga");
    }

    #[test]
    fn capitals_of_two_alphabets() {
        assert_eq!((capital("give"), capital("дать"), capital("")), ("Give".into(), "Дать".into(), String::new()));
    }
}
