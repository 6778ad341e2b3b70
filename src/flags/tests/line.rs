//! The command line: forms of options, receivers, commands, mistakes.

use super::*;

#[test]
fn every_form_of_an_option() {
    for args in
        [&["--drain", "5s"][..], &["--drain=5s"], &["status", "--drain", "5s"], &["--drain", "5s", "--", "status"]]
    {
        assert_eq!(values(&run(args, &[], None), "drain"), ["5s"], "{args:?}");
    }
    for args in [&["-d", "/x"][..], &["-d/x"], &["-d=/x"], &["-vd/x"], &["-vd", "/x"]] {
        assert_eq!(values(&run(args, &[], None), "spool-dir"), ["/x"], "{args:?}");
    }
    let parsed = run(&["-vd/x"], &[], None);
    assert!(parsed.is_on("debug"));
    assert_eq!(parsed.get("debug").unwrap().place.to_string(), "-v");
    assert!(!run(&["--debug=no"], &[], None).is_on("debug"));
    assert_eq!(values(&run(&["--drain="], &[], None), "drain"), [""]);
    assert_eq!(values(&run(&["--tag", "-"], &[], None), "tag"), ["-"]);
    assert_eq!(values(&run(&["--tag", "--unknown"], &[], None), "tag"), ["--unknown"]);
}

#[test]
fn the_command_of_the_specification() {
    let parsed = run(&["--url", "https://example.com"], &[], None);
    assert_eq!((parsed.command_name(), parsed.receivers()), (String::new(), 1));
    assert_eq!(parsed.opener(0).unwrap().value, "https://example.com");
    assert!(parsed.opener(1).is_none() && parsed.warnings.is_empty() && parsed.config.is_none());
}

#[test]
fn options_bind_to_the_receiver_before_them() {
    let args =
        ["--format", "single", "--url", "a", "--name", "x", "--gzip", "-u", "b", "--format=json", "--drain", "1s"];
    let parsed = run(&args, &[], None);
    assert_eq!(parsed.receivers(), 2);
    assert_eq!((seen(&parsed, "format", 0), seen(&parsed, "format", 1)), (vec!["single".into()], vec!["json".into()]));
    assert_eq!((parsed.is_on_of("gzip", 0), parsed.is_on_of("gzip", 1)), (true, false));
    assert_eq!((seen(&parsed, "name", 0), seen(&parsed, "name", 1)), (vec!["x".into()], vec![]));
    assert_eq!(parsed.get("drain").unwrap().receiver, None);
}

#[test]
fn own_values_replace_defaults_for_all() {
    let parsed = run(&["--header", "A: 1", "--url=a", "--header", "B: 2", "--header", "C: 3", "--url=b"], &[], None);
    assert_eq!(seen(&parsed, "header", 0), ["B: 2", "C: 3"]);
    assert_eq!(seen(&parsed, "header", 1), ["A: 1"]);
}

#[test]
fn defaults_of_the_table() {
    let parsed = run(&["--url", "a"], &[], None);
    assert_eq!(value::duration(&parsed.need("drain")).unwrap().as_secs(), 10);
    assert_eq!(value::listed(&parsed.need_of("format", 0)).unwrap(), "json");
    assert_eq!(parsed.need("drain").place.to_string(), "the default of --drain");
}

#[test]
fn commands_and_operands() {
    assert_eq!(run(&["spool", "--apply", "replay", "--from", "7"], &[], None).command_name(), "spool replay");
    let parsed = run(&["spool", "forget", "--apply", "r1"], &[], None);
    assert_eq!((parsed.command_name().as_str(), parsed.operands), ("spool forget", vec!["r1".to_owned()]));
    assert_eq!(run(&["export"], &[], None).operands.len(), 0);
    assert_eq!(run(&["export", "--", "--debug"], &[], None).operands, ["--debug"]);
}

#[test]
fn mistakes_are_named() {
    for (args, sentence) in [
        (&["--ulr", "x"][..], "unknown option `--ulr` (did you mean `--url`?); see `--help`"),
        (&["--zzzzzz"], "unknown option `--zzzzzz`; see `--help`"),
        (&["-z"], "unknown option `-z`; see `--help`"),
        (&["--url"], "`--url` needs a value: `--url URL`"),
        (&["-u"], "`-u` needs a value: `-u URL`"),
        (&["--debug=maybe"], "`--debug` is a switch: write `--debug` or `--debug=no`, no other value"),
        (&["--no-config=no"], "`--no-config` is a switch and takes no value"),
        (&["-v=x"], "`-v` is a switch and takes no value"),
        (&["statsu"], "unknown command `statsu` (did you mean `status`?); see `--help`"),
        (&["spool"], "`spool` needs one of `replay`, `forget`"),
        (&["spool", "repaly"], "unknown command `repaly` of `spool` (did you mean `spool replay`?); see `--help`"),
        (&["spool", "forget"], "`spool forget` needs NAME: `spool forget NAME`"),
        (&["spool", "forget", "a", "b"], "stray word `b` after `spool forget`; see `--help`"),
        (&["http://u:s3cr@et@h/p"], "unknown command `http://…@h/p`; see `--help`"),
        (&["export", "a", "https://u:s3cret@h"], "stray word `https://…@h` after `export`; see `--help`"),
        (&["export", "a", "b"], "stray word `b` after `export`; see `--help`"),
        (&["--from", "7"], "`--from`: goes with `spool replay` alone"),
        (&["status", "--apply"], "`--apply`: goes with `spool` alone"),
        (&["--name", "x", "--url", "a"], "`--name`: belongs to one receiver; write it after the option that opens it"),
        (&["--tag", "a\nb"], "`--tag`: the value holds a control character; leave it out"),
        (&["--drain=1s", "--drain=2s"], "`--drain`: given twice, first at `--drain` as `1s`, now as `2s`; keep one"),
        (&["--debug", "-v=no"], "`-v` is a switch and takes no value"),
        (&["--config", "/x", "--no-config"], "`--config`: contradicts `--no-config`; keep one"),
        (&["--help-man", "de"], "`--help-man` takes one of en|ru"),
        (&["--help-completion", "tcsh"], "`--help-completion` takes one of bash|zsh|fish"),
        (&["--help-completion"], "`--help-completion` needs a value: `--help-completion bash|zsh|fish`"),
    ] {
        assert_eq!(refused(args, &[], None), sentence, "{args:?}");
    }
    let forgotten = refused(&["--url", "--gzip"], &[], None);
    assert!(forgotten.starts_with("`--url` needs a value: `--url URL`; found the option `--gzip`"), "{forgotten}");
    assert!(refused(&["--tag", &"x".repeat(40_000)], &[], None).contains("at most 32768"));
    assert!(refused(&vec!["-v"; 9000], &[], None).contains("at most 8192"));
}

#[test]
fn the_same_twice_is_no_mistake() {
    assert_eq!(run(&["--drain=1s", "--drain", "1s", "-v", "--debug"], &[], None).get("drain").unwrap().value, "1s");
    let parsed = run(&["--url=a", "--name=x", "--url=b", "--name=y"], &[], None);
    assert_eq!((seen(&parsed, "name", 0), seen(&parsed, "name", 1)), (vec!["x".into()], vec!["y".into()]));
    assert!(refused(&["--url=a", "--name=x", "--name=y"], &[], None).contains("given twice"));
}

#[test]
fn secrets_are_never_shown() {
    let parsed = run(&["--url=a", "--password", "T0psecret", "--url=b", "--service-password=T0psecret2"], &[], None);
    assert_eq!(seen(&parsed, "password", 1), ["T0psecret2"]);
    assert!(!format!("{parsed:?}").contains("T0ps"));
    for args in [
        &["--passwrod=T0psecret"][..],
        &["--url=a", "--password", "T0psecret", "--password", "T0psecret2"],
        &["--password", "T0p\u{7}secret"],
        &["--password", "x", "T0psecret"],
        &["status", "--password", "x", "T0psecret"],
        &["--password=x", "--debug=T0psecret"],
        &["--password=x", "-v=T0psecret"],
    ] {
        let sentence = refused(args, &[], None);
        assert!(!sentence.contains("T0p"), "{sentence}");
    }
    assert!(!refused(&[], &[("GOSTECH_TEST_PASSWORD", "T0p\u{7}secret")], None).contains("T0p"));
    assert!(!refused(&[], &[], Some("password T0psecret\npassword \"T0psecret2\"")).contains("T0p"));
    assert!(!refused(&[], &[], Some("password \"T0psecret")).contains("T0p"));
    assert!(!refused(&[], &[], Some("T0p$ecret!")).contains("T0p"));
}

#[test]
fn foreign_bytes_are_refused() {
    use std::os::unix::ffi::OsStringExt;
    let args = [OsString::from("--tag"), OsString::from_vec(vec![0xff, b'a'])];
    let error = parse(&PROGRAM, &args, &[], &|_| Err(io::ErrorKind::NotFound.into())).expect_err("an error");
    assert_eq!(error.text(), "argument 2 is not UTF-8; write it in UTF-8");
}
