//! The pages made from a table, judged by those who read them: man, mandoc, bash, zsh, fish. A reader that is not
//! installed is named and left out; with `CI=true` it is a failure.

use gostech::flags::{parse, text, Command, Outcome, Program, Row};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};

/// Every kind of row, and every character that means something to roff, to a shell or to zsh's `_arguments`.
static SAMPLE: Program = Program {
    name: "gostech-sample",
    version: "0.1.0",
    date: "2025-11-21",
    about: text("shows every kind of option", "показывает все виды параметров"),
    usage: &["[OPTIONS] --url URL [--name NAME]", "COMMAND [OPTIONS]"],
    commands: &[
        Command { name: &["status"], operands: "", help: "it's the state", help_ru: "состояние" },
        Command { name: &["spool", "verify"], operands: "", help: "check it", help_ru: "проверить" },
        Command { name: &["spool", "forget"], operands: "NAME", help: "forget it", help_ru: "забыть" },
    ],
    groups: &[text("Receivers", "Получатели"), text("Odd: [ones] \\ 'all'", "Странные: [все] \\ 'они'")],
    rows: &[
        Row::value(
            "Receivers",
            "url",
            "URL",
            "deliver `K: V` here: [a] \\b 'c' \"d\" $e (f)",
            "доставлять `K: V` сюда: [a]",
        )
        .short('u')
        .opens(),
        Row::value("Receivers", "ca-certificate", "FILE", ".trust 'these'", "'доверять' этим").receiver(),
        Row::switch("Receivers", "gzip", "compress 50% ~ ^ #1", "сжимать").receiver(),
        Row::value("Odd: [ones] \\ 'all'", "spool-dir", "DIR", "keep here", "хранить здесь")
            .short('d')
            .aliases(&["filename"]),
        Row::value("Odd: [ones] \\ 'all'", "sync", "100ms|always|never", "when to sync", "когда сбрасывать")
            .default("100ms")
            .env_also(&["PICODATA_SYNC"]),
    ],
    env_prefix: "GOSTECH_SAMPLE_",
    config: "/etc/gostech/gostech-sample.conf",
    description: &[text("Reads stdin — all of it.", "Читает ввод — весь."), text(".TH not a request", "'br не запрос")],
    environment: &[("STATE_DIRECTORY", text("Where the spool is.", "Где очередь."))],
    sections: &[],
    files: &[("/var/lib/gostech-sample", text("The spool.", "Очередь."))],
    signals: &[("SIGHUP", text("'reads' again", "перечитывает"))],
    exit_status: &[("0", text("Nothing was lost.", "Ничего не потеряно."))],
    examples: &[("picodata run --audit='| gostech-sample \\ \"x\"'", text("From Picodata", "Из Picodata"))],
    see_also: &["gostech-metrics(1)", "picodata(1)"],
    version_lines: Vec::new,
};

/// All tables whose pages are judged.
static PROGRAMS: &[&Program] =
    &[&SAMPLE, &gostech::audit::options::table::PROGRAM, &gostech::metrics::options::PROGRAM];

fn page(program: &'static Program, option: &str) -> String {
    match parse(program, &[OsString::from(option)], &[], &|_| Err(io::ErrorKind::NotFound.into())) {
        Ok(Outcome::Print(text)) => text,
        other => panic!("{option}: {other:?}"),
    }
}

/// A file that goes with the test.
struct Scrap(PathBuf);

impl Scrap {
    fn new(name: &str, text: &str) -> Scrap {
        let path = std::env::temp_dir().join(format!("gostech-pages-{}-{name}", std::process::id()));
        std::fs::write(&path, text).expect("a temporary file can be written");
        Scrap(path)
    }
}

impl Drop for Scrap {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Runs a reader; its exit, what it printed and what it complained about. `None`: it is not installed.
fn read_by(reader: &[&str], input: &str) -> Option<(bool, String, String)> {
    let mut process = Process::new(reader[0]);
    process.args(&reader[1..]).env("LC_ALL", "C.UTF-8").env("MANWIDTH", "80").env("MANROFFSEQ", "");
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match process.spawn() {
        Ok(child) => child,
        Err(error) => {
            assert!(std::env::var("CI").is_err(), "{} is not installed: {error}", reader[0]);
            eprintln!("left out: {} is not installed", reader[0]);
            return None;
        }
    };
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("the reader reads");
    let output = child.wait_with_output().expect("the reader ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Some((output.status.success(), text(output.stdout), text(output.stderr)))
}

#[test]
fn man_sets_the_pages_without_a_warning() {
    for program in PROGRAMS {
        for language in ["en", "ru"] {
            let roff = page(program, &format!("--help-man={language}"));
            let scrap = Scrap::new(&format!("{}.{language}.1", program.name), &roff);
            let path = scrap.0.to_str().expect("a plain path");
            if let Some((well, set, warnings)) =
                read_by(&["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", path], "")
            {
                assert!(well && warnings.is_empty(), "{} {language}: {warnings}", program.name);
                let plain = strip_overstrike(&set);
                for row in program.rows.iter().filter(|row| !row.hidden) {
                    assert!(plain.contains(&format!("--{}", row.name)), "--{} is not in:\n{plain}", row.name);
                }
                assert!(plain.contains(program.see_also[0]), "{plain}");
            }
            if let Some((_, complaints, _)) = read_by(&["mandoc", "-T", "lint", "-W", "warning", path], "") {
                assert!(complaints.is_empty(), "{} {language}: {complaints}", program.name);
            }
        }
    }
}

/// Bold and underline without the terminal's sequences.
fn strip_overstrike(set: &str) -> String {
    let mut plain = String::new();
    let mut chars = set.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => while chars.next().is_some_and(|c| !c.is_ascii_alphabetic()) {},
            '\u{8}' => drop(plain.pop()),
            _ => plain.push(c),
        }
    }
    plain
}

#[test]
fn whatis_finds_the_name() {
    for program in PROGRAMS {
        for (language, about) in [("en", program.about.en), ("ru", program.about.ru)] {
            let roff = page(program, &format!("--help-man={language}"));
            let scrap = Scrap::new(&format!("{}.whatis.{language}.1", program.name), &roff);
            let path = scrap.0.to_str().expect("a plain path");
            if let Some((well, found, _)) = read_by(&["lexgrog", "-E", "UTF-8", path], "") {
                assert!(well && found.contains(&format!("{} - {about}", program.name)), "{language}: {found}");
            }
        }
    }
}

#[test]
fn shells_take_the_completions() {
    for program in PROGRAMS {
        for shell in ["bash", "zsh", "fish"] {
            let script = page(program, &format!("--help-completion={shell}"));
            let scrap = Scrap::new(&format!("{}.{shell}", program.name), &script);
            if let Some((well, _, errors)) = read_by(&[shell, "-n", scrap.0.to_str().expect("a plain path")], "") {
                assert!(well && errors.is_empty(), "{shell}: {errors}");
            }
        }
    }
}

/// What bash would offer for a line; the last word is being written.
fn offered(script: &str, words: &[&str]) -> Option<Vec<String>> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let ask = format!(
        "compopt() {{ :; }}\n{script}\nCOMP_WORDS=({}); COMP_CWORD={}\n_gostech_sample\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        quoted.join(" "),
        words.len() - 1
    );
    read_by(&["bash", "--norc", "-s"], &ask).map(|(well, offers, errors)| {
        assert!(well && errors.is_empty(), "{errors}");
        offers.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    })
}

#[test]
fn bash_offers_the_right_words() {
    let script = page(&SAMPLE, "--help-completion=bash");
    for (words, offers) in [
        (&["x", "--ur"][..], &["--url"][..]),
        (&["x", "--sync", "a"], &["always"]),
        (&["x", "--sync", "=", "n"], &["never"]),
        (&["x", "--sync", "="], &["100ms", "always", "never"]),
        (&["x", "sp"], &["spool"]),
        (&["x", "spool", ""], &["verify", "forget"]),
        (&["x", "--url", ""], &[]),
        (&["x", "-d", "/et"], &["/etc"]),
        (&["x", "--filename", "/et"], &["/etc"]),
    ] {
        if let Some(found) = offered(&script, words) {
            assert_eq!(found, offers, "{words:?}");
        }
    }
}

/// What fish would offer for a line.
#[test]
fn fish_offers_the_right_words() {
    let script = page(&SAMPLE, "--help-completion=fish");
    for (line, offer) in [
        ("gostech-sample --ur", "--url"),
        ("gostech-sample --sync al", "always"),
        ("gostech-sample sp", "spool"),
        ("gostech-sample spool ver", "verify"),
    ] {
        if let Some((_, offers, errors)) =
            read_by(&["fish", "--no-config"], &format!("{script}\ncomplete -C '{line}'\n"))
        {
            let words: Vec<&str> = offers.lines().filter_map(|line| line.split('\t').next()).collect();
            assert_eq!(words, [offer], "{line}: {errors}");
        }
    }
}
