//! Environment and configuration file, and which source counts.

use super::*;

#[test]
fn flag_then_environment_then_file() {
    let (env, file) = (&[("GOSTECH_TEST_DRAIN", "2s"), ("GOSTECH_TEST_TAG", "e1\ne2\n")][..], Some("drain 3s\ntag f1"));
    assert_eq!(values(&run(&["--drain=1s", "--tag=a"], env, file), "drain"), ["1s"]);
    assert_eq!(values(&run(&["--drain=1s", "--tag=a"], env, file), "tag"), ["a"]);
    assert_eq!(values(&run(&[], env, file), "drain"), ["2s"]);
    assert_eq!(values(&run(&[], env, file), "tag"), ["e1", "e2"]);
    assert_eq!(values(&run(&[], &[], file), "tag"), ["f1"]);
    assert_eq!(run(&[], env, file).get("drain").unwrap().place.to_string(), "GOSTECH_TEST_DRAIN");
    assert_eq!(run(&[], &[], file).get("drain").unwrap().place.to_string(), "/etc/gostech/gostech-test.conf line 1");
    assert_eq!(run(&[], &[], file).config.as_deref(), Some(Path::new(PROGRAM.config)));
}

#[test]
fn receivers_come_from_one_source() {
    let file = Some("format single\nurl f1\nname n1\ngzip\nurl f2\ndrain 3s");
    let parsed = run(&["--url", "a"], &[("GOSTECH_TEST_URL", "e"), ("GOSTECH_TEST_NAME", "x")], file);
    assert_eq!(values(&parsed, "url"), ["a"]);
    assert!(!parsed.has("name") && !parsed.has("gzip"));
    // What stood in the file before its first receiver remains a default for all, and so do the program's options.
    assert_eq!(seen(&parsed, "format", 0), ["single"]);
    assert_eq!(values(&parsed, "drain"), ["3s"]);
    let parsed = run(&[], &[("GOSTECH_TEST_URL", "e")], file);
    assert_eq!((values(&parsed, "url"), parsed.has("name")), (vec!["e".to_owned()], false));
    let parsed = run(&[], &[], file);
    assert_eq!((parsed.receivers(), parsed.is_on_of("gzip", 0), parsed.is_on_of("gzip", 1)), (2, true, false));
    assert_eq!(seen(&parsed, "name", 0), ["n1"]);
}

#[test]
fn a_default_of_a_higher_source_beats_what_is_bound_below() {
    let file = Some("url f1\nformat single\nurl f2");
    let parsed = run(&["--format", "ndjson"], &[], file);
    assert_eq!(
        (seen(&parsed, "format", 0), seen(&parsed, "format", 1)),
        (vec!["ndjson".into()], vec!["ndjson".into()])
    );
    let parsed = run(&["--url=a", "--format=json"], &[("GOSTECH_TEST_FORMAT", "single")], None);
    assert_eq!(seen(&parsed, "format", 0), ["json"]);
}

#[test]
fn lists_of_the_environment_pair_by_line() {
    let env = [
        ("GOSTECH_TEST_URL", "a\nb\nc\n"),
        ("GOSTECH_TEST_NAME", "x\n\nz"),
        ("GOSTECH_TEST_FORMAT", "single\nndjson"),
        ("GOSTECH_TEST_GZIP", "yes"),
        ("GOSTECH_TEST_HEADER", "A: 1\nB: 2"),
    ];
    let parsed = run(&[], &env, None);
    assert_eq!(values(&parsed, "url"), ["a", "b", "c"]);
    assert_eq!([0, 1, 2].map(|r| seen(&parsed, "name", r).concat()), ["x", "", "z"]);
    assert_eq!([0, 1, 2].map(|r| seen(&parsed, "format", r).concat()), ["single", "ndjson", ""]);
    assert_eq!([0, 1, 2].map(|r| parsed.is_on_of("gzip", r)), [true; 3]);
    assert_eq!(seen(&parsed, "header", 2), ["A: 1", "B: 2"]);
    let sentence = refused(&[], &[("GOSTECH_TEST_URL", "a"), ("GOSTECH_TEST_NAME", "x\ny")], None);
    assert!(sentence.starts_with("`GOSTECH_TEST_NAME` has 2 lines for 1 receivers"), "{sentence}");
    assert!(run(&["--url", "q"], &[("GOSTECH_TEST_NAME", "x\ny")], None).all("name").is_empty());
}

#[test]
fn switches_of_the_environment() {
    for (word, on) in
        [("1", true), ("true", true), ("YES", true), ("on", true), ("0", false), ("no", false), ("", false)]
    {
        assert_eq!(run(&[], &[("GOSTECH_TEST_DEBUG", word)], None).is_on("debug"), on, "{word}");
    }
    let sentence = refused(&[], &[("GOSTECH_TEST_DEBUG", "maybe")], None);
    assert_eq!(sentence, "`GOSTECH_TEST_DEBUG`: is a switch: write yes or no, not `maybe`");
    assert!(!run(&[], &[("GOSTECH_TEST_DEBUG", "no")], Some("debug")).is_on("debug"));
}

#[test]
fn other_names_of_variables() {
    let also = ("PICODATA_PASSWORD", "p");
    assert_eq!(run(&[], &[also], None).get("password").unwrap().place.to_string(), "PICODATA_PASSWORD");
    let parsed = run(&[], &[also, ("GOSTECH_TEST_SERVICE_PASSWORD", "q")], None);
    assert_eq!(values(&parsed, "password"), ["q"]);
    assert!(parsed.warnings.is_empty());
    let sentence = refused(&[], &[("GOSTECH_TEST_PASSWORD", "r"), ("GOSTECH_TEST_SERVICE_PASSWORD", "q")], None);
    assert!(sentence.contains("given twice, first at `GOSTECH_TEST_PASSWORD` as (not shown)"), "{sentence}");
}

#[test]
fn strange_variables_are_warned_about() {
    let env = [("GOSTECH_TEST_ULR", "x"), ("GOSTECH_TEST_CONFIG", "/x"), ("GOSTECH_TEST_SLOT", "1"), ("HOME", "/")];
    let parsed = run(&[], &env, None);
    assert_eq!(
        parsed.warnings,
        [
            "variable `GOSTECH_TEST_CONFIG` is left out: `--config` goes on the command line only",
            "variable `GOSTECH_TEST_ULR` is no option of gostech-test; did you mean `GOSTECH_TEST_URL`?",
        ]
    );
    let many: Vec<String> = (0..20).map(|at| format!("GOSTECH_TEST_ZZZZ{at:02}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
    let warnings = run(&[], &many, None).warnings;
    assert_eq!((warnings.len(), warnings[8].as_str()), (9, "12 more unknown variables of the environment"));
}

#[test]
fn every_form_of_a_line() {
    for (line, value) in [
        ("drain 5s", "5s"),
        ("  --drain = 5s\r", "5s"),
        ("drain=5s # soon", "5s"),
        ("drain\t5s\t# soon", "5s"),
        ("drain a#b", "a#b"),
        ("drain \"a # b\"  # c", "a # b"),
        ("drain = \"say \\\"x\\\" \\\\ \\n\"", "say \"x\" \\ \\n"),
        ("drain \"\"", ""),
        ("drain sh \"a # b\" # c", "sh \"a # b\""),
        ("drain ==x", "=x"),
        ("\u{feff}drain я", "я"),
    ] {
        assert_eq!(values(&run(&[], &[], Some(line)), "drain"), [value], "{line:?}");
    }
    for (line, on) in
        [("debug", true), ("debug # x", true), ("debug yes", true), ("debug = off", false), ("debug=", true)]
    {
        assert_eq!(run(&[], &[], Some(line)).is_on("debug"), on, "{line}");
    }
    assert!(run(&[], &[], Some("# all\n\n   # is\n  \t\ncomment\n".replace("comment", "").as_str())).items.is_empty());
}

#[test]
fn mistakes_of_the_file() {
    let begin = "configuration `/etc/gostech/gostech-test.conf` line 2: ";
    for (line, what) in [
        ("ulr x", "unknown option `ulr` (did you mean `url`?)"),
        ("spool_dir x", "unknown option `spool_dir` (did you mean `spool-dir`?)"),
        ("config /x", "`config` goes on the command line only"),
        ("drain", "`drain` needs a value: `drain DURATION` (an empty one is written `\"\"`)"),
        ("drain = # later", "`drain` needs a value: `drain DURATION` (an empty one is written `\"\"`)"),
        ("drain \"5s", "`drain`: the double quote is never closed"),
        ("drain \"5s\" x", "`drain`: something stands behind the closing double quote"),
        ("[section]", "a section begins with `[receiver NAME]`"),
    ] {
        assert_eq!(refused(&[], &[], Some(&format!("debug\n{line}"))), format!("{begin}{what}"), "{line}");
    }
    let place = "in `/etc/gostech/gostech-test.conf` line 2: ";
    assert_eq!(refused(&[], &[], Some("\ndebug x")), format!("`debug` {place}is a switch: write yes or no, not `x`"));
    assert!(refused(&[], &[], Some("\ntag a\u{1}b")).starts_with(&format!("`tag` {place}the value holds a control")));
    assert!(refused(&[], &[], Some("name x\nurl a")).contains("line 1: belongs to one receiver"));
    assert!(refused(&[], &[], Some("drain 1s\ndrain 2s")).contains("given twice"));
    assert!(refused(&[], &[], Some(&"\n".repeat(9000))).contains("at most 8192 lines"));
    assert!(refused(&[], &[], Some(&"#".repeat(70_000))).contains("line 1: too long"));
    assert!(refused(&[], &[], Some(&"\n".repeat(300_000))).contains("has more than 262144 bytes"));
}

#[test]
fn which_file_is_read() {
    let read = |path: &Path| match path.to_str() {
        Some("/x") => Ok(b"drain 7s".to_vec()),
        Some("/latin1") => Ok(b"drain 7s\ntag \xff".to_vec()),
        Some("/comment") => Ok(b"  # \xcb\xcf\xc9\ndrain 7s".to_vec()),
        _ => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
    };
    let text = |args: &[&str]| match parse(&PROGRAM, &words(args), &[], &read) {
        Ok(Outcome::Run(parsed)) => values(&parsed, "drain").concat(),
        Ok(Outcome::Print(text)) => text,
        Err(error) => error.to_string(),
    };
    assert_eq!(text(&["--config", "/x"]), "7s");
    assert_eq!(text(&["--no-config"]), "");
    assert_eq!(
        text(&[]),
        "cannot read the configuration `/etc/gostech/gostech-test.conf`: permission denied; \
         make it readable for this user, or say `--no-config`"
    );
    assert!(text(&["--config", "/y"]).starts_with("cannot read the configuration `/y`: permission denied; see"));
    assert_eq!(text(&["--config", "/comment"]), "7s", "a comment may be in any letters");
    assert_eq!(text(&["--config", "/latin1"]), "configuration `/latin1` line 2 is not UTF-8");
    assert!(refused(&["--config", "/not-there"], &[], None).starts_with("cannot read the configuration `/not-there`"));
}

#[test]
fn a_section_holds_one_receiver_in_any_order() {
    let file = "format single\n[receiver siem] # the first\ngzip\nurl f1\nformat ndjson\n  [ receiver  b.2 ]\nurl f2\n";
    let parsed = run(&[], &[], Some(file));
    assert_eq!((values(&parsed, "url"), parsed.receivers()), (vec!["f1".to_owned(), "f2".to_owned()], 2));
    assert_eq!((seen(&parsed, "name", 0), seen(&parsed, "name", 1)), (vec!["siem".into()], vec!["b.2".into()]));
    assert_eq!(
        (seen(&parsed, "format", 0), seen(&parsed, "format", 1)),
        (vec!["ndjson".into()], vec!["single".into()])
    );
    assert_eq!((parsed.is_on_of("gzip", 0), parsed.is_on_of("gzip", 1)), (true, false));
}

#[test]
fn what_is_wrong_with_a_section_is_told_with_its_line() {
    for (file, what) in [
        (
            "[receiver a]\ngzip\n",
            "`name` in `/etc/gostech/gostech-test.conf` line 1: the section `[receiver a]` has no `url`",
        ),
        ("[receiver a]\nurl f\ndrain 3s\n", "line 3: the section `[receiver a]` is of one receiver"),
        ("[receiver a]\nurl f\nurl g\n", "line 3: the section `[receiver a]` has a `url` already"),
        ("[receiver]\nurl f\n", "line 1: a section begins with `[receiver NAME]`"),
        ("\n[outlet a]\nurl f\n", "line 2: a section begins with `[receiver NAME]`"),
        ("[receiver a\nurl f\n", "line 1: a section begins with `[receiver NAME]`"),
        ("[receiver a]\nurl f\nname b\n", "given twice"),
    ] {
        let text = refused(&[], &[], Some(file));
        assert!(text.contains(what), "{file:?}: {text}");
    }
}
