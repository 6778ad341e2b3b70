//! The other signer of checkpoints (`--seal-sign`): a command that is given the body and prints a line with its signature.
//!
//! The keeper starts it, since a caged worker starts nothing. It has a few seconds; a checkpoint that it does not sign goes
//! without its signature, and the next one says so. Refuses: to add what is no signature, to be called more often than once a
//! second under a flood, to wait again soon for one that has failed.

use crate::audit::alarm::AlarmKind;
use crate::audit::delivery::transport::exec::starter::{self, Ends, How};
use crate::audit::seal::checkpoint::Why;
use crate::audit::seal::note::{with_signature, Note, NAME};
use crate::audit::spool::Spool;
use crate::limits;
use crate::net::failure::words as io_words;
use crate::sys::{file, pipe, process, signal};
use crate::words::line;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What its troubles are called.
const MATTER: &str = "seal-sign";

/// That.
#[derive(Debug)]
pub struct Other {
    /// Empty: there is none.
    command: Vec<String>,
    spool: Arc<Spool>,
    /// When it was asked last.
    at: Option<Instant>,
    failed: Option<String>,
}

impl Other {
    /// By this command, if there is one.
    pub fn new(command: &[String], spool: &Arc<Spool>) -> Other {
        Other { command: command.into(), spool: spool.clone(), at: None, failed: None }
    }

    /// Why it has not signed when it was asked last.
    pub fn failed(&self) -> Option<String> {
        self.failed.clone()
    }

    /// The note of this body with its signature as well, where it is time for that and it comes.
    pub fn add(&mut self, note: String, body: &str, why: Why) -> String {
        if self.command.is_empty() || !self.is_due(why) {
            return note;
        }
        let number = process::chance();
        // No name: the keeper has it from its own options.
        let answer = ask(body, &|| self.spool.closing(), |ends| starter::ask(number, Path::new(""), &ends));
        starter::ask_to_end(number, if answer.is_ok() { How::Soon } else { How::AtOnce });
        self.take(note, answer)
    }

    fn is_due(&self, why: Why) -> bool {
        let pause = if self.failed.is_some() { limits::SEAL_SIGN_RETRY_MILLIS } else { limits::SEAL_SIGN_EVERY_MILLIS };
        // At the end several may come at once: one that hangs is not waited for again.
        let at_the_end = self.failed.is_some() && self.spool.closing();
        let may_go_without = at_the_end || matches!(why, Why::Records | Why::Rotation);
        !may_go_without || self.at.is_none_or(|at| at.elapsed() >= Duration::from_millis(pause))
    }

    fn take(&mut self, note: String, answer: Result<String, Failed>) -> String {
        self.at = Some(Instant::now());
        let no_line = |said: &str| Failed { why: "it prints no line with a signature".into(), said: said.into() };
        match answer.and_then(|said| with_signature(&note, &said).ok_or_else(|| no_line(&said))) {
            Ok(both) => {
                self.failed = None;
                self.spool.troubles.over(AlarmKind::SealFailing, MATTER);
                both
            }
            Err(Failed { why, said }) => {
                let said = line(&said, limits::EXEC_WHY_CHARS);
                let said = if said.is_empty() { said } else { format!("; it said `{said}`") };
                let name = self.command.first().map_or("", String::as_str);
                let text = format!("checkpoints go without the signature of `{name}`: {why}{said}");
                self.spool.alarm(AlarmKind::SealFailing, MATTER, text);
                self.failed = Some(why);
                note
            }
        }
    }
}

/// What a command is to sign to show that it can: nobody takes it for a checkpoint.
const TRIAL: &str = "gostech-audit-log check\nthis is a trial and no checkpoint\n";

/// Has this command sign a trial, here and without a keeper. Gives the name that it signs by.
pub fn attempt(command: &[String]) -> Result<String, String> {
    let said = run(command, TRIAL).map_err(|f| match line(&f.said, limits::EXEC_WHY_CHARS) {
        said if said.is_empty() => f.why,
        said => format!("{}; it said `{said}`", f.why),
    })?;
    let signed = Note::parse(&format!("{TRIAL}\n{said}\n")).and_then(|mut note| note.signatures.pop());
    let name = signed.map(|s| s.name).filter(|name| name != NAME);
    name.ok_or_else(|| format!("it prints no line with a signature, but `{}`", line(&said, limits::EXEC_WHY_CHARS)))
}

/// Its first line, when it is given this.
fn run(command: &[String], body: &str) -> Result<String, Failed> {
    let (program, args) = command.split_first().map_or(("", &[][..]), |(program, args)| (program, args));
    let mut child = None;
    let answer = ask(body, &|| false, |ends| {
        child = Some(starter::start(Path::new(program), args, ends)?);
        Ok(())
    });
    if let Some(mut child) = child {
        signal::send_group(child.id() as i32, signal::SIGKILL);
        let _ = child.wait();
    }
    answer
}

/// Why there is no signature, in our words, which go into the next checkpoint, and in its own, which do not.
#[derive(Debug)]
struct Failed {
    why: String,
    said: String,
}

/// How long a command is waited for: at the end of everything less.
struct Patience<'a> {
    begun: Instant,
    ending: Option<Instant>,
    is_ending: &'a dyn Fn() -> bool,
}

impl Patience<'_> {
    /// What is left of it, in slices, since the end may come meanwhile.
    fn left(&mut self) -> Result<Duration, String> {
        if self.ending.is_none() && (self.is_ending)() {
            self.ending = Some(Instant::now());
        }
        let last = self.ending.map(|since| (since, limits::SEAL_SIGN_END_MILLIS));
        for (since, millis) in [(self.begun, limits::SEAL_SIGN_MILLIS)].into_iter().chain(last) {
            if since.elapsed() >= Duration::from_millis(millis) {
                return Err(format!("it has not answered within {millis} ms"));
            }
        }
        Ok(Duration::from_millis(limits::TEND_MILLIS))
    }
}

/// Has it started with this body as its input; the first line that it prints.
fn ask(body: &str, is_ending: &dyn Fn() -> bool, start: impl FnOnce(Ends) -> io::Result<()>) -> Result<String, Failed> {
    let patience = Patience { begun: Instant::now(), ending: None, is_ending };
    let begin = || {
        // A file that nobody can change: it need not be fed.
        let mut input = file::sealed("gostech-checkpoint", body.as_bytes())?;
        input.rewind()?;
        let ((output, out), (error, err)) = (pipe::pair()?, pipe::pair()?);
        start([input.into(), out, err])?;
        Ok((File::from(output), File::from(error)))
    };
    let begun = begin()
        .map_err(|e: io::Error| Failed { why: format!("it cannot be run: {}", io_words(&e)), said: String::new() });
    let (output, error) = begun?;
    let mut complaint = Vec::new();
    listen(output, error, &mut complaint, patience)
        .map_err(|why| Failed { why, said: String::from_utf8_lossy(&complaint).trim().into() })
}

/// The first line of the output; what stands on standard error is kept as far as it is of use.
fn listen(
    mut output: File,
    error: File,
    complaint: &mut Vec<u8>,
    mut patience: Patience<'_>,
) -> Result<String, String> {
    let (mut said, mut error) = (Vec::new(), Some(error));
    let mut block = [0; limits::PIPE_ATOM_BYTES];
    loop {
        let left = patience.left()?;
        let broken = |e: io::Error| format!("it cannot be heard: {}", io_words(&e));
        let ready = pipe::talk(None, output.as_fd(), error.as_ref().map(AsFd::as_fd), left).map_err(broken)?;
        if let Some(file) = error.as_mut().filter(|_| ready.complains) {
            let n = file.read(&mut block).unwrap_or(0);
            if n == 0 {
                error = None;
            } else if complaint.len() < limits::PIPE_ATOM_BYTES {
                complaint.extend_from_slice(&block[..n]);
            }
        }
        if ready.says {
            let n = output.read(&mut block).map_err(broken)?;
            said.extend_from_slice(&block[..n]);
            if let Some(end) = memchr::memchr(b'\n', &said) {
                return Ok(String::from_utf8_lossy(&said[..end]).into());
            }
            if n == 0 {
                return Err("it has ended without a line".into());
            }
            if said.len() > limits::SEAL_SIGN_BYTES {
                return Err("it prints a line without an end".into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::seal::SigningKey;

    fn shell(script: &str, body: &str) -> Result<String, Failed> {
        run(&["/bin/sh".into(), "-c".into(), script.into()], body)
    }

    #[test]
    fn a_trial_tells_whether_it_signs() {
        let attempt = |script: &str| attempt(&["/bin/sh".into(), "-c".into(), script.into()]);
        let good = "grep -q 'no checkpoint' && echo '— gost.example AAAAAAAA'";
        assert_eq!(attempt(good).as_deref(), Ok("gost.example"));
        for (script, why) in [
            ("echo no token >&2", "it has ended without a line; it said `no token`"),
            ("echo nothing", "it prints no line with a signature, but `nothing`"),
            ("echo '— gostech-audit-log AAAAAAAA'", "it prints no line"),
        ] {
            let told = attempt(script).unwrap_err();
            assert!(told.starts_with(why), "{told}");
        }
        let told = super::attempt(&["/nowhere/gost".into()]).unwrap_err();
        assert!(told.contains("cannot be run"), "{told}");
    }

    #[test]
    fn a_command_is_given_the_body_and_its_first_line_is_taken() {
        let body = "line\n".repeat(40_000);
        assert_eq!(shell("wc -c; echo more; sleep 60", &body).unwrap().trim(), "200000");
        assert_eq!(shell("cat", "a\nb\n").unwrap(), "a");
        let begun = Instant::now();
        for (script, why, said) in [
            ("echo no token >&2; exit 3", "ended without a line", "no token"),
            ("printf '— a AAAAAAAA'", "ended without a line", ""),
            ("exec cat /dev/zero", "without an end", ""),
        ] {
            let f = shell(script, "a\n").unwrap_err();
            assert!(f.why.contains(why) && f.said == said, "{script}: {f:?}");
        }
        assert!(begun.elapsed() < Duration::from_millis(limits::SEAL_SIGN_MILLIS));
        let f = shell("sleep 60", "a\n").unwrap_err();
        assert!(f.why.contains("5000 ms") && begun.elapsed() < Duration::from_secs(20), "{f:?}");
    }

    #[test]
    fn at_the_end_it_holds_nobody_up() {
        let begun = Instant::now();
        let ends = || begun.elapsed() > Duration::from_millis(300);
        let (output, _out) = pipe::pair().unwrap();
        let (error, _err) = pipe::pair().unwrap();
        let patience = Patience { begun, ending: None, is_ending: &ends };
        let why = listen(output.into(), error.into(), &mut Vec::new(), patience).unwrap_err();
        assert!(why.ends_with(&format!("{} ms", limits::SEAL_SIGN_END_MILLIS)), "{why}");
        let least = Duration::from_millis(300 + limits::SEAL_SIGN_END_MILLIS);
        assert!(begun.elapsed() >= least && begun.elapsed() < Duration::from_millis(limits::SEAL_SIGN_MILLIS));
    }

    #[test]
    fn what_it_prints_is_added_or_told() {
        crate::log::mute();
        let spool = super::super::tests::spool();
        let mut other = Other::new(&["gost".into()], &spool);
        let note = Note::sign("a\n", &SigningKey::of_seed(&[1; 32]).unwrap());
        let fires = || spool.troubles.standing().iter().any(|a| a.about == MATTER);
        assert!(other.is_due(Why::Records));
        assert_eq!(other.take(note.clone(), Ok("no line".into())), note);
        assert_eq!(other.failed().as_deref(), Some("it prints no line with a signature"));
        assert!(fires() && !other.is_due(Why::Records) && other.is_due(Why::Time) && other.is_due(Why::Stop));
        spool.close();
        assert!(!other.is_due(Why::Stop), "nor is it waited for again at the end");
        other.at = Some(Instant::now() - Duration::from_millis(limits::SEAL_SIGN_EVERY_MILLIS));
        assert!(!other.is_due(Why::Records), "one that has failed is left alone for longer");
        let line = "— gost.example AAAAAAAA";
        assert_eq!(other.take(note.clone(), Ok(line.into())), format!("{note}{line}\n"));
        assert!(!fires() && other.failed().is_none() && !other.is_due(Why::Records) && other.is_due(Why::Stop));
        other.at = Some(Instant::now() - Duration::from_millis(limits::SEAL_SIGN_EVERY_MILLIS));
        assert!(other.is_due(Why::Records));
        let mut none = Other::new(&[], &spool);
        assert_eq!(none.add(note.clone(), "a\n", Why::Stop), note);
    }
}
