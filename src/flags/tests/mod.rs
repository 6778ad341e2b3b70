//! The rules of the parser, each with its test, on a small table that has every kind of row.

mod line;
mod pages;
mod soup;
mod sources;

use super::*;
use std::io;

const RECEIVERS: &str = "Receivers";
const SPOOL: &str = "Spool";

static ROWS: &[Row] = &[
    Row::value(RECEIVERS, "url", "URL", "deliver to this address", "доставлять по этому адресу").short('u').opens(),
    Row::value(RECEIVERS, "name", "NAME", "name of the receiver", "имя получателя").own(),
    Row::value(
        RECEIVERS,
        "header",
        "TEXT",
        "add a header, `K: V` or `K: @file`",
        "добавить заголовок `K: V` или `K: @file`",
    )
    .receiver()
    .repeat(),
    Row::value(RECEIVERS, "format", "json|ndjson|single", "how events are written", "как записываются события")
        .receiver()
        .default("json"),
    Row::switch(RECEIVERS, "gzip", "compress the body", "сжимать тело").receiver(),
    Row::value(RECEIVERS, "password", "PASSWORD", "password; don't: a file is safer", "пароль; лучше файл")
        .receiver()
        .secret()
        .aliases(&["service-password"])
        .env_also(&["PICODATA_PASSWORD"]),
    Row::value(SPOOL, "spool-dir", "DIR", "keep events in this directory", "хранить события в этом каталоге")
        .short('d'),
    Row::value(SPOOL, "drain", "DURATION", "deliver for so long at the end", "сколько доставлять в конце")
        .default("10s"),
    Row::value(SPOOL, "tag", "TEXT", "a tag [any]", "метка [любая]").repeat(),
    Row::switch(SPOOL, "debug", "log more", "подробный журнал").short('v'),
    Row::value(SPOOL, "from", "ID", "first event", "первое событие").only_in(&["spool replay"]),
    Row::switch(SPOOL, "apply", "really do it", "действительно выполнить").only_in(&["spool"]),
    Row::switch(SPOOL, "worker", "run as the worker", "работать исполнителем").only_flag().hidden(),
];

static COMMANDS: &[Command] = &[
    Command { name: &["status"], operands: "", help: "show the state", help_ru: "показать состояние" },
    Command {
        name: &["spool", "replay"], operands: "", help: "deliver again", help_ru: "доставить повторно"
    },
    Command {
        name: &["spool", "forget"], operands: "NAME", help: "forget a receiver", help_ru: "забыть получателя"
    },
    Command { name: &["export"], operands: "[FILE]", help: "write to a file", help_ru: "записать в файл" },
];

pub(super) static PROGRAM: Program = Program {
    name: "gostech-test",
    version: "1.2.3",
    date: "2025-11-21",
    about: text("a program for tests", "программа для проверок"),
    usage: &["[OPTIONS] --url URL…", "COMMAND [OPTIONS]"],
    commands: COMMANDS,
    groups: &[text(RECEIVERS, "Получатели"), text(SPOOL, "Очередь")],
    rows: ROWS,
    env_prefix: "GOSTECH_TEST_",
    config: "/etc/gostech/gostech-test.conf",
    description: &[
        text("Reads `stdin` and delivers it.", "Читает `stdin` и доставляет."),
        text(".A paragraph that begins with a dot, 50\\% \"quoted\".", ".Абзац с точки, 50\\% «в кавычках»."),
    ],
    environment: &[("GOSTECH_TEST_SLOT", text("Set by the program itself.", "Задаётся самой программой."))],
    sections: &[],
    files: &[("/var/lib/gostech-test", text("The spool.", "Очередь."))],
    signals: &[("SIGHUP", text("Reads again.", "Перечитывает."))],
    exit_status: &[("0", text("Nothing was lost.", "Ничего не потеряно."))],
    examples: &[
        ("picodata run --audit='| gostech-test --url https://example.com'", text("From Picodata", "Из Picodata")),
        (".\\run ~ 'a' `b`", text("A hard one", "Трудный")),
    ],
    see_also: &["gostech-other(1)", "picodata(1)"],
    version_lines: || vec!["landlock: no".to_owned()],
};

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// A call with arguments, variables and the default configuration file (`None`: it is not there).
fn call(args: &[&str], env: &[(&str, &str)], file: Option<&str>) -> Result<Outcome> {
    let env: Vec<_> = env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
    let read = |path: &Path| match file {
        Some(text) if path == Path::new(PROGRAM.config) => Ok(text.as_bytes().to_vec()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    parse(&PROGRAM, &words(args), &env, &read)
}

fn run(args: &[&str], env: &[(&str, &str)], file: Option<&str>) -> Parsed {
    match call(args, env, file) {
        Ok(Outcome::Run(parsed)) => parsed,
        other => panic!("{args:?} {env:?} {file:?}: {other:?}"),
    }
}

fn print(args: &[&str]) -> String {
    match call(args, &[("GOSTECH_TEST_DEBUG", "nonsense")], Some("nonsense")) {
        Ok(Outcome::Print(text)) => text,
        other => panic!("{args:?}: {other:?}"),
    }
}

/// The sentence of a usage error.
fn refused(args: &[&str], env: &[(&str, &str)], file: Option<&str>) -> String {
    let error = match call(args, env, file) {
        Ok(outcome) => panic!("{args:?} {env:?} {file:?} was taken: {outcome:?}"),
        Err(error) => error,
    };
    assert_eq!(error.exit(), crate::error::Exit::Usage);
    assert!(!error.text().ends_with('.') && !error.text().contains(char::is_control), "{error}");
    error.text().to_owned()
}

/// The values of an option as a receiver sees them.
fn seen(parsed: &Parsed, name: &str, receiver: usize) -> Vec<String> {
    parsed.all_of(name, receiver).iter().map(|item| item.value.clone()).collect()
}

fn values(parsed: &Parsed, name: &str) -> Vec<String> {
    parsed.all(name).iter().map(|item| item.value.clone()).collect()
}
