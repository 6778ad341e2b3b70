//! The documents against the programs: option tables, commands of the users' own documents, messages, links.
//!
//! The tables between the markers of `docs/options.md` and its Russian sister are made from the option tables. After a change of options:
//! `GOSTECH_WRITE_DOCUMENTS=1 cargo test --test it documents`. Refuses: to judge prose.

use gostech::flags::{self, Outcome, Program};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

const READMES: [(&str, &str); 2] = [("README.md", "en"), ("README.ru.md", "ru")];
const OPTIONS: [(&str, &str); 2] = [("docs/options.md", "en"), ("docs/options.ru.md", "ru")];
/// What has moved out of the READMEs, and still is a part of what they say.
const MANUALS: [[&str; 2]; 3] = [
    ["docs/options.md", "docs/options.ru.md"],
    ["docs/troubleshooting.md", "docs/troubleshooting.ru.md"],
    ["docs/runbook.md", "docs/runbook.ru.md"],
];
const END: &str = "<!-- end of options -->";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The README of a language with the manuals that belong to it.
fn whole(readme: &str) -> String {
    let at = READMES.iter().position(|(name, _)| *name == readme).expect("a README");
    let manuals = MANUALS.iter().map(|pair| read(pair[at]));
    std::iter::once(read(readme)).chain(manuals).collect()
}

fn programs() -> [&'static Program; 2] {
    [&gostech::audit::options::table::PROGRAM, &gostech::metrics::options::PROGRAM]
}

/// What `PROGRAM --help-markdown LANGUAGE` prints.
fn table(program: &'static Program, language: &str) -> String {
    printed(program, "--help-markdown", language)
}

fn printed(program: &'static Program, option: &str, language: &str) -> String {
    let args = [OsString::from(option), OsString::from(language)];
    match flags::parse(program, &args, &[], &|_| Err(std::io::ErrorKind::NotFound.into())) {
        Ok(Outcome::Print(text)) => text,
        _ => panic!("{}: nothing printed by {option}", program.name),
    }
}

/// The document with every table made anew.
fn made_anew(text: &str, language: &str) -> String {
    let mut text = text.to_string();
    for program in programs() {
        let marker = format!("<!-- options: {} {language} -->\n", program.name);
        let begin = text.find(&marker).unwrap_or_else(|| panic!("no marker `{}`", marker.trim())) + marker.len();
        let end = begin + text[begin..].find(END).expect("an end of options");
        text.replace_range(begin..end, &format!("\n{}\n", table(program, language)));
    }
    text
}

#[test]
fn the_tables_of_options_are_those_of_the_programs() {
    let write = std::env::var_os("GOSTECH_WRITE_DOCUMENTS").is_some_and(|v| v == "1");
    for (name, language) in OPTIONS {
        let (is, should) = (read(name), made_anew(&read(name), language));
        if write {
            std::fs::write(root().join(name), &should).expect("written");
        } else {
            let differs = is.lines().zip(should.lines()).find(|(a, b)| a != b);
            assert!(
                is == should,
                "{name} is not up to date: GOSTECH_WRITE_DOCUMENTS=1 cargo test --test it documents\n{differs:?}"
            );
        }
    }
}

/// What a program does on each signal that asks for something; those are a list in the source, SIGCHLD is between its own
/// processes.
#[test]
fn the_man_pages_say_what_every_signal_does() {
    let source = read("src/sys/signal.rs");
    let list = source.split("const ASKING").nth(1).and_then(|rest| rest.split(';').next()).expect("the list");
    let asking: Vec<&str> = list.split("libc::").filter_map(|piece| piece.split([',', ']']).next()).collect();
    let asking: Vec<&str> = asking.into_iter().filter(|s| s.starts_with("SIG") && *s != "SIGCHLD").collect();
    assert!(asking.len() >= 3, "{asking:?}");
    for (program, (language, title)) in
        programs().into_iter().flat_map(|p| [("en", "SIGNALS"), ("ru", "СИГНАЛЫ")].map(|l| (p, l)))
    {
        let page = printed(program, "--help-man", language);
        let section = page.split(&format!(".SH {title}\n")).nth(1).and_then(|rest| rest.split(".SH ").next());
        let section = section.unwrap_or_else(|| panic!("{} has no {title}", program.name));
        for signal in asking.iter().chain(&["SIGUSR1", "SIGKILL"]) {
            assert!(section.contains(signal), "{} ({language}) does not say what {signal} does", program.name);
        }
    }
}

/// Every `--option` in a text.
fn options(text: &str) -> BTreeSet<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    text.match_indices("--")
        .filter(|(at, _)| !text[..*at].ends_with(|c| plain(c) || c == '!'))
        .map(|(at, _)| text[at..].split(|c| !plain(c)).next().unwrap_or_default().to_string())
        .filter(|name| name.len() > 3 && name.as_bytes()[2].is_ascii_lowercase())
        .collect()
}

#[test]
fn both_readmes_name_the_same_options_and_only_real_ones() {
    let [english, russian] = READMES.map(|(name, _)| options(&whole(name)));
    assert!(english.len() > 60, "{english:?}");
    let difference: Vec<_> = english.symmetric_difference(&russian).collect();
    assert!(difference.is_empty(), "only one of the READMEs names {difference:?}");
    // Those of other programs: cargo, Picodata, curl, systemctl, our own example.
    let foreign = ["--release", "--example", "--seconds", "--audit", "--location", "--now"];
    let names = programs().into_iter().flat_map(|p| p.rows.iter().flat_map(|row| row.names()));
    let mut ours: BTreeSet<String> = programs().iter().flat_map(|p| options(&table(p, "en"))).collect();
    ours.extend(names.map(|name| format!("--{name}")));
    let unknown: Vec<_> = english.iter().filter(|o| !ours.contains(*o) && !foreign.contains(&o.as_str())).collect();
    assert!(unknown.is_empty(), "the READMEs name options that no program has: {unknown:?}");
}

#[test]
fn the_users_commands_stand_in_both_readmes_word_for_word() {
    let prometheus =
        "  - job_name: 'picodata'\n    scrape_interval: 5s\n    metrics_path: /metrics\n    static_configs:\n      \
                      - targets: ['localhost:4401']\n";
    let words = [
        "picodata run --audit='| gostech-audit-log --url https://example.com'\n",
        "gostech-metrics --host localhost --port 3301 --username pico_service --password 'T0psecret' --addr localhost:4401\n",
        "curl --location 'http://localhost:4401/metrics'\n",
        prometheus,
        "cargo run --release --example demo\n",
        "\ntests/run\n",
        "\npackaging/build\n",
    ];
    for (name, _) in READMES {
        let text = read(name);
        words.iter().for_each(|w| assert!(text.contains(w), "{name} lacks:\n{w}"));
        assert!(text.contains(concat!("Rust ", env!("CARGO_PKG_RUST_VERSION"))), "{name} names another oldest Rust");
    }
}

/// The shape of a document: the levels of its headings, and what stands in its blocks but for comments.
fn shape(text: &str) -> Vec<String> {
    let (mut shape, mut inside, mut block) = (Vec::new(), false, 0);
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
            block += usize::from(inside);
            shape.push(line.into());
        } else if !inside && line.starts_with('#') {
            shape.push(line.chars().take_while(|c| *c == '#').collect());
        } else if !inside && line.starts_with("| ") {
            shape.push(format!("a row of {}", line.replace("\\|", "").matches('|').count()));
        // The first block is a picture with words in it.
        } else if inside && block > 1 {
            shape.push(line.split(" #").next().unwrap_or_default().trim_end().into());
        }
    }
    shape
}

#[test]
fn both_readmes_say_the_same_in_the_same_order() {
    let mut lines = 0;
    for [english, russian] in [[READMES[0].0, READMES[1].0]].iter().chain(&MANUALS) {
        let [one, other] = [english, russian].map(|name| shape(&read(name)));
        let differs = one.iter().zip(&other).find(|(a, b)| a != b);
        assert!(one == other, "{english}: {differs:?}, {} and {} lines", one.len(), other.len());
        lines += one.len();
    }
    assert!(lines > 400, "{lines}");
}

/// Every Rust file below a directory, its text in one line where the source breaks a string.
fn sources(dir: &Path, out: &mut String) {
    for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).expect("text");
            let mut lines = text.split("\\\n");
            out.push_str(lines.next().unwrap_or_default());
            lines.for_each(|l| out.push_str(l.trim_start()));
        }
    }
}

/// The first cells of the table of messages: what stands in back quotes, in the pieces between `…`.
fn messages(text: &str) -> Vec<&str> {
    assert!(text.contains("`the keeper is gone"), "no table of messages");
    let cells = text.lines().filter_map(|l| l.strip_prefix("| `")?.split_once("` |").map(|(cell, _)| cell));
    cells.flat_map(|cell| cell.split('…')).map(str::trim).filter(|piece| !piece.is_empty()).collect()
}

#[test]
fn every_message_of_the_troubleshooting_is_one_of_the_programs() {
    let mut source = String::new();
    sources(&root().join("src"), &mut source);
    let [english, russian] = MANUALS[1].map(read);
    let all = messages(&english);
    assert!(all.len() > 30, "{all:?}");
    let invented: Vec<_> = all.iter().filter(|m| !source.contains(**m)).collect();
    assert!(invented.is_empty(), "no program says {invented:?}");
    assert_eq!(all, messages(&russian), "the READMEs explain different messages");
}

/// What a link to a heading is called: its words in small letters, joined by `-`.
fn anchor(heading: &str) -> String {
    let kept = heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .collect::<String>();
    kept.replace(' ', "-")
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    let names = ["README.md", "README.ru.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    for name in names.into_iter().chain(["docs/reliability.md"]).chain(MANUALS.into_iter().flatten()) {
        let text = read(name);
        let from = root().join(name);
        for (at, _) in text.match_indices("](") {
            let link = text[at + 2..].split(')').next().unwrap_or_default();
            let (target, heading) = link.split_once('#').unwrap_or((link, ""));
            if link.contains("://") {
                continue;
            }
            let path: PathBuf = if target.is_empty() { from.clone() } else { from.with_file_name(target) };
            assert!(path.exists(), "{name} leads to {target}, which is not there");
            if !heading.is_empty() {
                let there = std::fs::read_to_string(&path).expect("text");
                let mut headings =
                    there.lines().filter(|l| l.starts_with('#')).map(|l| anchor(l.trim_start_matches('#').trim()));
                assert!(headings.any(|h| h == heading), "{name} leads to {link}, and there is no such heading");
            }
        }
    }
}

/// The first screen leads to every chapter.
#[test]
fn the_readmes_have_a_table_of_their_contents() {
    for (name, _) in READMES {
        let text = read(name);
        let chapters: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("## ")).collect();
        let first = text.split("\n## ").next().expect("a beginning");
        let missing: Vec<_> = chapters.iter().filter(|c| !first.contains(&format!("](#{})", anchor(c)))).collect();
        assert!(chapters.len() > 10 && missing.is_empty(), "{name}: {missing:?}");
    }
}

/// A promise is proved by a file of `tests/it` (or a folder of it) in which tests are.
#[test]
fn the_tests_that_prove_the_promises_are_there() {
    let text = read("docs/reliability.md");
    let words = text.split('`').skip(1).step_by(2).filter(|w| w.starts_with("audit_") || w.contains("::"));
    let names: BTreeSet<&str> = words.filter(|w| !w.contains([' ', '/']) && *w != "audit_gap").collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let path = root().join("tests/it").join(name.replace("::", "/"));
        let text =
            [path.with_extension("rs"), path.join("mod.rs")].iter().find_map(|p| std::fs::read_to_string(p).ok());
        assert!(text.is_some_and(|t| t.contains("#[test]")), "docs/reliability.md: there are no tests in `{name}`");
    }
}

#[test]
fn every_family_that_an_alert_asks_for_is_served() {
    let mut source = String::new();
    sources(&root().join("src"), &mut source);
    let text = read("packaging/prometheus/gostech-alerts.yml");
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let mut seen = 0;
    for (at, prefix) in text.match_indices("gostech_audit_") {
        let family = text[at + prefix.len()..].split(|c| !plain(c)).next().unwrap_or_default();
        assert!(source.contains(&format!("\"{family}\"")), "no family gostech_audit_{family}");
        seen += 1;
    }
    assert!(seen > 8);
}
