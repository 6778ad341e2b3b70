//! What the packaging scripts say and lay out, where no package has to be made for it: that every link of an installed
//! document leads to an installed file, and that what is missing is named before anything is replaced.
//!
//! Whether packages install, upgrade and purge well is shown by packaging/try-install. Refuses: to install anything.

use crate::harness::setup::text;
use crate::harness::{wait, Den, Setup};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn script(name: &str) -> Command {
    let mut command = Command::new("bash");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name));
    command
}

/// The targets of the links of a packed document that are no addresses.
fn links(packed: &Path) -> Vec<String> {
    let out = Command::new("gzip").arg("-dc").arg(packed).output().expect("gzip runs");
    let text = text(&out.stdout);
    let target = |rest: &str| rest.split([')', '#']).next().unwrap_or_default().to_string();
    let all = text.split("](").skip(1).map(target);
    all.filter(|t| !t.is_empty() && !t.contains("://")).collect()
}

#[test]
fn every_link_of_the_installed_documents_leads_to_an_installed_file() {
    let den = Den::new("documents");
    let doc = den.path().join("doc");
    let out = script("documents").arg(&doc).output().expect("bash runs");
    assert!(out.status.success(), "{}", text(&out.stderr));
    for readme in ["README.md.gz", "README.ru.md.gz"] {
        let links = links(&doc.join(readme));
        assert!(links.len() > 10, "{links:?}");
        let lost: Vec<_> = links.iter().filter(|link| !doc.join(link).is_file()).collect();
        assert!(lost.is_empty(), "{readme} leads to {lost:?}");
    }
}

#[test]
fn what_packages_lack_is_named_before_anything_is_replaced() {
    let den = Den::new("packages");
    // All programs of this machine but rpmbuild.
    let bin = den.path().join("bin");
    std::fs::create_dir(&bin).expect("a directory");
    for dir in ["/usr/bin", "/bin"] {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_name() != "rpmbuild" {
                let _ = std::os::unix::fs::symlink(entry.path(), bin.join(entry.file_name()));
            }
        }
    }
    let packages = den.path().join("packages");
    std::fs::create_dir(&packages).expect("a directory");
    let old = packages.join("gostech-metrics_0.0.1-1_amd64.deb");
    std::fs::write(&old, "made before").expect("written");
    let mut command = script("packages");
    command.env("PATH", &bin).env("GOSTECH_PACKAGES", &packages).env("GOSTECH_STATIC_OUT", den.path().join("static"));
    let out = command.output().expect("bash runs");
    let said = text(&out.stderr);
    assert!(!out.status.success());
    assert!(said.contains("missing rpmbuild: apt-get install rpm, or packaging/packages --deb"), "{said}");
    assert!(said.contains("static/x86_64/gostech-metrics: packaging/build x86_64"), "{said}");
    assert!(old.exists(), "a package that cannot be replaced was removed");
}

/// What the scripts of the packages say of the helpers that work: each with its number, of very many the first ones.
#[test]
fn helpers_that_go_on_are_named_and_of_very_many_the_number_is_told() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/scripts/audit-log.sh");
    let says = |helpers: &str, then: &str| {
        let ask = format!("set -e; . \"$0\"; helpers() {{ {helpers}; }}; old_helpers() {{ {helpers}; }}; {then}");
        let out = Command::new("sh").args(["-c", &ask]).arg(&shared).output().expect("sh runs");
        (out.status.success(), text(&out.stderr))
    };
    assert_eq!(says(":", "warn_of_removal; tell_of_upgrade"), (true, String::new()));
    let pid = std::process::id();
    let (well, said) = says(&format!("echo {pid}"), "warn_of_removal");
    assert!(well && said.contains("WARNING") && said.contains(&format!("    process {pid}")), "{said}");
    assert!(said.contains("NO AUDIT TRAIL") && !said.contains("more"), "{said}");
    let (well, said) = says("seq 1 72", "tell_of_upgrade");
    assert!(well && said.matches("    process ").count() == 50 && said.contains("    and 22 more\n"), "{said}");
    assert!(said.contains("next restart of the instance"), "{said}");
}

/// What the scripts of the packages ask before a purge, of the spool of this den.
fn holds_events(den: &Den) -> bool {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/scripts/audit-log.sh");
    let ask = r#". "$0"; SPOOL=$1; if holds_events; then echo yes; else echo no; fi"#;
    let out = Command::new("sh").args(["-c", ask]).arg(shared).arg(den.file("spool")).output().expect("sh runs");
    match text(&out.stdout).trim() {
        "yes" => true,
        "no" => false,
        other => panic!("{other}: {}", text(&out.stderr)),
    }
}

/// A file of the helper that the scripts do not know counts as events, and no spool would ever be purged.
#[test]
fn a_purge_tells_a_spool_with_events_from_one_without() {
    let den = Den::new("purge");
    let setup = Setup::new(&den).args(&["--url", "http://127.0.0.1:9", "--drain", "0s"]);
    assert!(!holds_events(&den), "there is no spool yet");
    let mut picodata = setup.picodata();
    wait("a spool", Duration::from_secs(20), || den.path().join("spool/default/state").exists());
    assert!(!holds_events(&den), "a helper at work that was given nothing");
    assert_eq!(picodata.finish(Duration::from_secs(20)), 0);
    assert!(!holds_events(&den), "what it leaves");
    let event = r#"{"id":"1.1.1","message":"m","severity":"low","time":"2026-01-01T00:00:00.000+0000","title":"x"}"#;
    let out = setup.run(format!("{event}\n").as_bytes());
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(holds_events(&den), "one event that nobody took");
}
