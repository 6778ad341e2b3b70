//! What is printed: help, version, man page, completions, README tables; and the table's own checks.

use super::*;

#[test]
fn the_table_is_clean() {
    assert_eq!(check::complaints(&PROGRAM), Vec::<String>::new());
}

const BAD: &[Row] = &[
    Row::value("Spool", "url", "URL", "one", "один"),
    Row::value("Spool", "url", "url", "two.", "два"),
    Row::switch("Nowhere", "Gzip", "", "english"),
    Row::switch("Spool", "open", "an `open tick", "галка").receiver().short('1').default("x"),
    Row::value("Spool", "mode", "a|b", "mode", "режим").default("c").only_in(&["nothing"]),
];
static BAD_PROGRAM: Program = Program { rows: BAD, env_prefix: "x", config: "x", examples: &[], ..PROGRAM_COPY };
const PROGRAM_COPY: Program = Program {
    name: "bad",
    version: "0",
    date: "2025-11-21",
    about: text("bad", "плохая"),
    usage: &[],
    commands: &[],
    groups: &[text("Spool", "Очередь")],
    rows: &[],
    env_prefix: "",
    config: "",
    description: &[],
    environment: &[],
    sections: &[],
    files: &[],
    signals: &[],
    exit_status: &[],
    examples: &[],
    see_also: &[],
    version_lines: Vec::new,
};

#[test]
fn a_bad_table_is_found() {
    let complaints = check::complaints(&BAD_PROGRAM).join("\n");
    for part in [
        "`url` is there twice",
        "the value's name is in capitals",
        "ends with a dot",
        "row `Gzip`: names are small letters",
        "row `Gzip`: the English help has 0 characters",
        "row `Gzip`: the help is not in its language",
        "row `Gzip`: the group is not in `groups`",
        "open backtick",
        "a receiver's row without any opener",
        "the short name is a letter",
        "a switch is no secret",
        "the default is none of the choices",
        "belongs to a command that is not there",
        "the prefix of the environment",
        "the configuration file has a whole path",
        "usage, examples and exit status are wanted",
    ] {
        assert!(complaints.contains(part), "{part} is missing in:\n{complaints}");
    }
}

#[test]
fn help_is_short_grouped_and_narrow() {
    let help = print(&["status", "--debug", "-h"]);
    assert!(
        help.starts_with("gostech-test 1.2.3: a program for tests\n\nUsage:\n  gostech-test [OPTIONS] --url URL…\n")
    );
    assert!(help.contains("\nReceivers:\n  -u, --url URL               deliver to this address\n"), "{help}");
    assert!(help.contains("      --drain DURATION        deliver for so long at the end [10s]\n"), "{help}");
    assert!(help.contains("[/etc/gostech/gostech-test.conf]"), "{help}");
    assert!(help.contains("\n  spool forget NAME           forget a receiver\n"), "{help}");
    assert!(!help.contains("--worker") && !help.contains("--help-man"));
    assert_eq!(help.lines().filter(|line| line.chars().count() > 79 || line.ends_with(' ')).count(), 0, "{help}");
}

#[test]
fn version_has_the_lines_of_the_program() {
    assert_eq!(print(&["-V"]), "gostech-test 1.2.3\nlandlock: no\n");
}

#[test]
fn every_visible_row_is_on_every_page() {
    let markdown = ["en", "ru"].map(|language| print(&["--help-markdown", language]));
    let man = ["en", "ru"].map(|language| print(&["--help-man", language]));
    let complete = ["bash", "zsh", "fish"].map(|shell| print(&[&format!("--help-completion={shell}")]));
    for row in PROGRAM.all_rows() {
        let (plain, roff) = (format!("--{}", row.name), format!("\\-\\-{}", row.name.replace('-', "\\-")));
        for page in &markdown {
            assert_eq!(page.contains(&format!("`{plain}")), !row.hidden, "{plain}");
        }
        for page in &man {
            assert_eq!(page.contains(&format!("\\fB{roff}\\fR")), !row.hidden, "{plain}");
        }
        for (page, form) in complete.iter().zip([plain.clone(), plain, format!("-l {} ", row.name)]) {
            assert_eq!(page.contains(&form), !row.hidden, "{form}");
        }
    }
}

#[test]
fn the_man_page_has_its_sections() {
    let (en, ru) = (print(&["--help-man"]), print(&["--help-man=ru"]));
    let sections = |page: &str| page.lines().filter_map(|line| line.strip_prefix(".SH ")).count();
    assert_eq!((sections(&en), sections(&ru)), (11, 11));
    assert!(en.contains("gostech\\-test \\- a program for tests\n"), "{en}");
    assert!(ru.contains(".SH ИМЯ\ngostech\\-test \\- программа для проверок\n"));
    assert!(en.contains("\n\\&.A paragraph") && en.contains(".TH GOSTECH\\-TEST 1 2025-11-21 \"gostech-test 1.2.3\""));
    assert_eq!(en.lines().filter(|line| line.starts_with('\'')).count(), 0);
}

#[test]
fn readme_tables_have_whole_rows() {
    for language in ["en", "ru"] {
        let block = print(&["--help-markdown", language]);
        let bars = |line: &str| line.replace("\\|", "").matches('|').count();
        assert!(block.lines().all(|line| [0, 3, 4].contains(&bars(line))), "{block}");
        assert!(block.contains("`--format json\\|ndjson\\|single`"), "{block}");
    }
    assert!(print(&["--help-markdown"]).contains("| `--drain DURATION` | deliver for so long at the end | `10s` |\n"));
}
