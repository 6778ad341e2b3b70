//! How the trail is to be sealed, and where what is signed goes besides. Refuses: to look at a file.

use crate::audit::delivery::transport::journald;
use crate::audit::seal::Algorithm;
use crate::error::Result;
use crate::flags::{value, Item, Parsed};
use crate::limits;
use std::path::{absolute, Path, PathBuf};
use std::time::Duration;

/// That.
#[derive(Clone, Debug)]
pub struct Seal {
    /// `--seal`
    pub dir: PathBuf,
    /// `--seal-hash`
    pub algorithm: Algorithm,
    /// `--seal-key-life`
    pub key_life: Duration,
    /// `--seal-copy`
    pub copies: Vec<CopyTo>,
    /// `--seal-sign`, split; empty: nobody else signs.
    pub sign: Vec<String>,
}

/// Where a copy of each checkpoint goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyTo {
    /// Behind those that are in this file.
    File(PathBuf),
    /// Into the journal, whose socket this is.
    Journal(PathBuf),
}

/// Reads them; none: nothing is to be sealed.
pub fn read(parsed: &Parsed) -> Result<Option<Seal>> {
    let (least, most) = limits::SEAL_KEY_LIFE_SECONDS;
    let life = Duration::from_secs(least)..=Duration::from_secs(most);
    let algorithm = Algorithm::parse(value::listed(&parsed.need("seal-hash"))?).unwrap_or(Algorithm::Sha256);
    let key_life = value::duration_within(&parsed.need("seal-key-life"), life)?;
    let Some(dir) = parsed.get("seal").map(value::path).transpose()? else {
        return match parsed.get("seal-copy").or(parsed.get("seal-sign")) {
            Some(item) => Err(item.error("nothing is signed without --seal: give `--seal DIR` as well")),
            None => Ok(None),
        };
    };
    let mut copies: Vec<CopyTo> = Vec::new();
    for item in parsed.all("seal-copy") {
        let copy = copy_of(item, &dir)?;
        if copies.contains(&copy) {
            return Err(item.error(format!("{} is named twice: once is enough", item.shown())));
        }
        if copies.len() >= limits::SEAL_COPIES {
            return Err(item.error(format!("there are more than {}: leave some out", limits::SEAL_COPIES)));
        }
        copies.push(copy);
    }
    let sign = parsed.get("seal-sign").map(value::command).transpose()?.unwrap_or_default();
    Ok(Some(Seal { dir, algorithm, key_life, copies, sign }))
}

/// `/path/file`, `journald:`, and with the path of its socket `journald:///run/journal.sock`.
fn copy_of(item: &Item, dir: &Path) -> Result<CopyTo> {
    let path = value::path(item)?;
    if let Some(rest) = item.value.strip_prefix("journald:") {
        return match rest.strip_prefix("//").unwrap_or(rest) {
            "" => Ok(CopyTo::Journal(journald::SOCKET.into())),
            socket if socket.starts_with('/') => Ok(CopyTo::Journal(socket.into())),
            _ => Err(item.error(format!("{} is no journal: write `journald:`", item.shown()))),
        };
    }
    if item.value.contains("://") {
        return Err(item.error(format!("{} is no file: give its path alone, or `journald:`", item.shown())));
    }
    if item.value.ends_with('/') {
        return Err(item.error(format!("{} is a directory: name a file in it", item.shown())));
    }
    let place = |path: &Path| absolute(path).unwrap_or_else(|_| path.into());
    if place(&path).starts_with(place(dir)) {
        let text = format!("{} is in the directory of --seal, where all of them are", item.shown());
        return Err(item.error(format!("{text}: name a file that is out of its reach, as on another disk")));
    }
    Ok(CopyTo::File(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::options::table::PROGRAM;
    use crate::audit::options::Options;
    use crate::error::Exit;
    use crate::flags::{self, Outcome};
    use std::ffi::OsString;

    fn seal(args: &[&str]) -> Result<Option<Seal>> {
        let args: Vec<OsString> = ["--url", "http://a", "--no-config"].iter().chain(args).map(OsString::from).collect();
        match flags::parse(&PROGRAM, &args, &[], &|_| Err(std::io::ErrorKind::NotFound.into()))? {
            Outcome::Run(parsed) => Options::read(&parsed, &[], true).map(|o| o.seal),
            Outcome::Print(text) => panic!("{text}"),
        }
    }

    #[test]
    fn sealing_is_asked_for_by_its_directory() {
        assert!(seal(&["--seal-hash", "streebog256"]).unwrap().is_none());
        let usual = seal(&["--seal", "/v/seal"]).unwrap().unwrap();
        assert_eq!((usual.algorithm, usual.key_life), (Algorithm::Sha256, Duration::from_secs(86_400)));
        let other = seal(&["--seal", "/v", "--seal-hash", "streebog256", "--seal-key-life", "2h"]).unwrap().unwrap();
        assert_eq!((other.algorithm, other.key_life), (Algorithm::Streebog256, Duration::from_secs(7_200)));
        for bad in [["--seal-hash", "md5"], ["--seal-key-life", "0s"], ["--seal", ""]] {
            assert!(seal(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn copies_go_to_files_and_to_the_journal_and_nowhere_else() {
        let with = |copies: &[&str]| {
            let args: Vec<&str> = copies.iter().flat_map(|c| ["--seal-copy", c]).chain(["--seal", "/v/seal"]).collect();
            seal(&args).map(|seal| seal.unwrap().copies)
        };
        let journal = |path: &str| CopyTo::Journal(path.into());
        assert_eq!(
            with(&["/l/a", "journald:", "journald:///run/j", "/v/seals"]).unwrap(),
            [
                CopyTo::File("/l/a".into()),
                journal(journald::SOCKET),
                journal("/run/j"),
                CopyTo::File("/v/seals".into())
            ]
        );
        for (bad, cure) in [
            (&["", "/a"][..], "empty"),
            (&["journald:x"], "write `journald:`"),
            (&["file:///l/a"], "its path alone"),
            (&["/l/"], "name a file in it"),
            (&["/v/seal/checkpoints"], "another disk"),
            (&["/a", "/a"], "once is enough"),
            (&["/a", "/b", "/c", "/d", "/e"], "leave some out"),
        ] {
            let e = with(bad).unwrap_err();
            assert!(e.exit() == Exit::Usage && e.text().contains(cure), "{bad:?}: {e}");
        }
    }

    #[test]
    fn nothing_is_copied_or_signed_by_others_without_a_seal() {
        for args in [["--seal-copy", "/a"], ["--seal-sign", "/a"]] {
            let e = seal(&args).unwrap_err();
            assert!(e.exit() == Exit::Usage && e.text().contains("`--seal DIR`"), "{e}");
        }
        let sign = seal(&["--seal", "/v", "--seal-sign", "/usr/bin/gost sign  -k 1"]).unwrap().unwrap().sign;
        assert_eq!(sign, ["/usr/bin/gost", "sign", "-k", "1"]);
        assert!(seal(&["--seal", "/v"]).unwrap().unwrap().sign.is_empty());
        assert_eq!(seal(&["--seal", "/v", "--seal-sign", "  "]).unwrap_err().exit(), Exit::Usage);
    }
}
