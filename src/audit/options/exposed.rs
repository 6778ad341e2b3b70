//! Secrets among the arguments: the database publishes its audit setting, with the whole command in it.
//!
//! `.proc_get_config`, which anyone may call over the network without a password, has it word for word, and so have the
//! database's log and `ps`. The helper can overwrite its own arguments, not those. Refuses: to show a value.

use crate::flags::{Item, Parsed, Place};

/// What is added to the name of the option.
const PUBLISHED: &str =
    "the database tells its audit setting, arguments and all, to anyone over the network, without a password; put this";

/// A warning for each secret that stands in the arguments.
pub fn warnings(parsed: &Parsed) -> Vec<String> {
    let exposed = |item: &&Item| matches!(item.place, Place::Flag(_)) && holds_secret(item);
    let warning = |item: &Item| format!("{} holds a secret: {PUBLISHED} {}", item.at(), cure(item));
    parsed.items.iter().filter(exposed).map(warning).collect()
}

/// Where the secret belongs.
fn cure(item: &Item) -> &'static str {
    match item.row {
        "header" => "into the configuration file, or the value into a file of its own (`--header NAME:@FILE`)",
        "url" | "failover" if has_password(&item.value) => {
            "into the configuration file, or the password into a file of its own (`--user NAME --password-file FILE`)"
        }
        _ => "into the configuration file",
    }
}

fn holds_secret(item: &Item) -> bool {
    match item.row {
        // Another header than these may name a tenant or a format, and may hold a key: who knows.
        "header" => item.value.split_once(':').is_some_and(|(_, value)| !value.trim_start().starts_with('@')),
        "url" | "failover" | "proxy" => has_password(&item.value) || has_key(&item.value),
        _ => false,
    }
}

/// `scheme://name:password@host`
fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(userinfo, _)| userinfo.split_once(':').is_some_and(|(_, p)| !p.is_empty()))
}

/// `?token=…` and its like.
fn has_key(url: &str) -> bool {
    const NAMES: [&str; 6] = ["token", "key", "secret", "password", "auth", "sig"];
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter_map(|pair| pair.split_once('=')).any(|(name, value)| {
        let name = name.to_ascii_lowercase();
        !value.is_empty() && NAMES.iter().any(|known| name.contains(known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{parse, Outcome};
    use std::ffi::OsString;

    fn warned(args: &[&str], file: &str) -> Vec<String> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let read = |_: &std::path::Path| Ok(file.as_bytes().to_vec());
        match parse(&crate::audit::options::table::PROGRAM, &args, &[], &read).expect("a call") {
            Outcome::Run(parsed) => warnings(&parsed),
            Outcome::Print(_) => panic!("printed"),
        }
    }

    #[test]
    fn every_secret_in_the_arguments_is_named_and_none_is_shown() {
        let all = warned(
            &[
                "--url",
                "https://u:s3cret@h/",
                "--header",
                "Authorization: Bearer s3cret",
                "--header",
                "X: @/etc/x",
                "--proxy",
                "http://p:s3cret@proxy:3128",
                "--url",
                "https://h/in?api_key=s3cret",
                "--url",
                "https://h/?pipeline=x",
            ],
            "",
        );
        assert_eq!(all.len(), 4, "{all:?}");
        assert!(
            all.iter().all(|w| w.contains("over the network, without a password") && !w.contains("s3cret")),
            "{all:?}"
        );
        assert!(all[1].starts_with("`--header`") && all[0].starts_with("`--url`"), "{all:?}");
        assert!(all[0].contains("--password-file") && all[1].contains("NAME:@FILE"), "{all:?}");
    }

    #[test]
    fn the_configuration_file_is_where_they_belong() {
        assert_eq!(warned(&[], "url https://u:s3cret@h/\nheader X-Key: s3cret\n"), Vec::<String>::new());
        assert_eq!(warned(&["--url", "https://u@h/in?a=b#c:d@e"], ""), Vec::<String>::new());
    }
}
