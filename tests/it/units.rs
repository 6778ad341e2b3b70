//! The units against systemd 241, the oldest that our users have (Astra Linux 1.7, Debian 10).
//!
//! An old systemd warns about a directive that it does not know and goes on without it; a *value* that it does not know is
//! worse: the whole line is dropped, or the unit does not load. So every directive stands here with the version that
//! brought it, and enumerated values with theirs, from systemd's NEWS. Refuses: a directive or a value that the table does
//! not know, and a newer one that the unit's own comment does not name.

use std::path::Path;

const OLDEST: u32 = 241;

/// A value and the version that brought it.
type Value = (&'static str, u32);

/// Anything may stand there: paths, numbers, times, names.
const FREE: &[Value] = &[];
const YES: &[Value] = &[("yes", 1)];

/// A single name that an old systemd does not know is left out of the filter with a warning; the others count.
const FILTER: &[Value] = &[
    ("@system-service", 239),
    ("~@privileged", 231),
    ("@resources", 231),
    ("landlock_add_rule", 187),
    ("landlock_create_ruleset", 187),
    ("landlock_restrict_self", 187),
    ("seccomp", 187),
];

/// Directive, the version that brought it, its values and theirs. What is older than systemd 183 has 1.
const KNOWN: &[(&str, u32, &[Value])] = &[
    ("After", 1, FREE),
    ("Also", 1, FREE),
    ("AmbientCapabilities", 229, &[("", 229)]),
    ("Backlog", 1, FREE),
    ("CapabilityBoundingSet", 1, &[("", 1)]),
    ("Description", 1, FREE),
    ("DevicePolicy", 208, &[("closed", 208)]),
    ("Documentation", 183, FREE),
    ("Environment", 1, FREE),
    ("ExecReload", 1, FREE),
    ("ExecStart", 1, FREE),
    ("Group", 1, FREE),
    ("IPAddressAllow", 235, &[("localhost", 235)]),
    ("IPAddressDeny", 235, &[("any", 235)]),
    ("KeyringMode", 235, &[("private", 235)]),
    ("KillMode", 1, &[("control-group", 1), ("mixed", 209)]),
    ("LimitCORE", 1, FREE),
    ("LimitNOFILE", 1, FREE),
    ("ListenDatagram", 1, FREE),
    ("ListenStream", 1, FREE),
    ("LoadCredential", 247, FREE),
    ("LockPersonality", 235, YES),
    ("MemoryDenyWriteExecute", 231, YES),
    ("MemoryMax", 231, FREE),
    ("NoNewPrivileges", 187, YES),
    ("NotifyAccess", 1, &[("main", 1)]),
    ("OOMPolicy", 243, &[("continue", 243)]),
    ("PrivateDevices", 209, YES),
    ("PrivateMounts", 239, YES),
    ("PrivateTmp", 1, YES),
    ("PrivateUsers", 232, YES),
    ("ProcSubset", 247, &[("pid", 247)]),
    ("ProtectClock", 245, YES),
    ("ProtectControlGroups", 232, YES),
    ("ProtectHome", 214, YES),
    ("ProtectHostname", 242, YES),
    ("ProtectKernelLogs", 244, YES),
    ("ProtectKernelModules", 232, YES),
    ("ProtectKernelTunables", 232, YES),
    ("ProtectProc", 247, &[("invisible", 247)]),
    ("ProtectSystem", 214, &[("strict", 232)]),
    ("ReadWritePaths", 231, FREE),
    ("RemoveIPC", 232, YES),
    ("RemoveOnStop", 214, YES),
    ("Requires", 1, FREE),
    ("Restart", 1, &[("always", 1)]),
    ("RestartSec", 1, FREE),
    ("RestrictAddressFamilies", 211, &[("AF_INET", 211), ("AF_INET6", 211), ("AF_UNIX", 211)]),
    ("RestrictNamespaces", 233, YES),
    ("RestrictRealtime", 231, YES),
    ("RestrictSUIDSGID", 242, YES),
    ("SocketGroup", 214, FREE),
    ("SocketMode", 1, FREE),
    ("SocketUser", 214, FREE),
    ("StartLimitIntervalSec", 230, FREE),
    ("SupplementaryGroups", 1, FREE),
    ("StateDirectory", 235, FREE),
    ("StateDirectoryMode", 235, FREE),
    ("SystemCallArchitectures", 209, &[("native", 209)]),
    ("SystemCallErrorNumber", 209, &[("EPERM", 209)]),
    ("SystemCallFilter", 187, FILTER),
    ("TasksMax", 227, FREE),
    ("TimeoutStopSec", 188, FREE),
    ("Type", 1, &[("notify", 1), ("simple", 1)]),
    ("UMask", 1, FREE),
    ("User", 1, FREE),
    ("WantedBy", 1, FREE),
    ("Wants", 1, FREE),
    ("WatchdogSec", 1, FREE),
];

/// What is wrong with a unit for the oldest systemd, and the directives that it will ignore.
fn judge(text: &str) -> (Vec<String>, Vec<&str>) {
    let (mut faults, mut ignored) = (Vec::new(), Vec::new());
    let comments: String = text.lines().filter(|l| l.starts_with('#')).collect();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with(['#', '['])) {
        let Some((name, value)) = line.split_once('=') else {
            faults.push(format!("`{line}` is no directive"));
            continue;
        };
        let Some((name, since, values)) = KNOWN.iter().find(|row| row.0 == name) else {
            faults.push(format!("{name}= is not in the table: since which systemd is it there?"));
            continue;
        };
        if *since > OLDEST {
            ignored.push(*name);
            if !comments.contains(name) {
                faults.push(format!("{name}= is ignored before systemd {since}, and the comments do not say so"));
            }
            continue;
        }
        // An empty value resets a list, for every directive that has one.
        let words = if value.is_empty() { vec![""] } else { value.split_whitespace().collect() };
        for word in words.iter().filter(|_| !values.is_empty()) {
            match values.iter().find(|v| v.0 == *word) {
                None => faults.push(format!("{name}={word} is not in the table: since which systemd is it there?")),
                Some((_, since)) if *since > OLDEST => faults.push(format!("{name}={word} came with systemd {since}")),
                Some(_) => {}
            }
        }
    }
    (faults, ignored)
}

#[test]
fn the_oldest_systemd_reads_the_units() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    let mut seen = 0;
    for entry in std::fs::read_dir(dir).expect("the units").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".sysusers") || name.ends_with(".tmpfiles") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).expect("text");
        let (faults, ignored) = judge(&text);
        assert!(faults.is_empty(), "{name}: {faults:#?}");
        eprintln!(
            "{name}: systemd {OLDEST} ignores {}",
            if ignored.is_empty() { "nothing".into() } else { ignored.join(", ") }
        );
        seen += 1;
    }
    assert!(seen >= 3, "{seen} units");
}

#[test]
fn the_judge_of_the_units_bites() {
    let faults = |text: &str| judge(text).0;
    assert!(faults("# of old\n[Service]\nProtectSystem=strict\nCapabilityBoundingSet=\n").is_empty());
    assert!(faults("ProtectSystem=stricter")[0].contains("not in the table"));
    assert!(faults("Typo=yes")[0].contains("not in the table"));
    assert!(faults("Type=notify-reload")[0].contains("not in the table"));
    assert!(faults("ProtectClock=yes")[0].contains("the comments do not say so"));
    let (faults, ignored) = judge("# ProtectClock is for newer ones\nProtectClock=yes\n");
    assert!(faults.is_empty() && ignored == ["ProtectClock"]);
    assert!(judge("nonsense").0[0].contains("no directive"));
}
