//! The verifier of auditors over what each receiver was given. It has an export, a key and a name, and less than the judge of the
//! simulation: so it may say that it cannot tell, and never that somebody has tampered.
//!
//! Refuses: a verifier of its own; this is `seal verify`, from its options to its exit code.

use super::log::scratch;
use gostech::audit::options::{table, Options};
use gostech::audit::seal::VerifierKey;
use gostech::audit::tools::call::{Call, Stop};
use gostech::audit::tools::evidence;
use gostech::error::Exit;
use gostech::flags::{self, Outcome};
use std::ffi::OsString;
use std::path::PathBuf;

/// Files that go when nobody needs them any more.
struct Files(PathBuf);

impl Drop for Files {
    fn drop(&mut self) {
        // Who looks for the reason of a verdict wants to see what it was about.
        if std::env::var_os("SIM_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// How many of its verdicts were of which kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verdicts {
    pub clean: u64,
    pub unclear: u64,
}

/// Verdicts over what one receiver was given, with the file of checkpoints and without; `surely`: nothing has happened that
/// could make it unclear.
pub fn verify(
    name: &str,
    lines: &[String],
    notes: &[String],
    key: &VerifierKey,
    surely: bool,
) -> Result<Verdicts, String> {
    let files = Files(scratch());
    let at = |name: &str| files.0.join(name);
    let wrong = |e: std::io::Error| format!("the export cannot be written: {e}");
    std::fs::create_dir_all(&files.0).map_err(wrong)?;
    let export: String = lines.iter().flat_map(|l| [l.as_str(), "\n"]).collect();
    std::fs::write(at("export"), export).map_err(wrong)?;
    let signed: String = notes.iter().flat_map(|n| [n.as_str(), "\n"]).collect();
    std::fs::write(at("checkpoints"), signed).map_err(wrong)?;
    let mut args: Vec<OsString> = vec!["seal".into(), "verify".into()];
    for (option, value) in [
        ("--export", at("export").into()),
        ("--key", OsString::from(key.to_string())),
        ("--receiver", name.into()),
        ("--temp", files.0.clone().into()),
    ] {
        args.extend([option.into(), value]);
    }
    let mut verdicts = Verdicts::default();
    for with_notes in [false, true] {
        if with_notes {
            args.extend(["--checkpoints".into(), at("checkpoints").into()]);
        }
        let (exit, said) = run(&args)?;
        match exit {
            Exit::Clean => verdicts.clean += 1,
            Exit::CannotTell if !surely => verdicts.unclear += 1,
            _ => return Err(format!("`seal verify` ends with {}, checkpoints {with_notes}:\n{said}", exit as u8)),
        }
    }
    Ok(verdicts)
}

fn run(args: &[OsString]) -> Result<(Exit, String), String> {
    let parsed = flags::parse(&table::PROGRAM, args, &[], &|path| std::fs::read(path)).map_err(|e| e.to_string())?;
    let Outcome::Run(parsed) = parsed else { return Err("the call prints a text".into()) };
    let options = Options::read(&parsed, &[], false).map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    let exit = evidence::run(&mut Call { parsed: &parsed, options: &options, now_ms: 0, out: &mut out });
    match exit {
        Ok(exit) => Ok((exit, String::from_utf8_lossy(&out).into())),
        Err(Stop::Error(e)) => Err(e.to_string()),
        Err(Stop::Output(e)) => Err(e.to_string()),
    }
}
