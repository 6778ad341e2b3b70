//! `spool repair`: makes a damaged spool clean, offline. Without `--apply` it says what it would do.
//!
//! Damaged bytes are set aside, segments rewritten to hold their whole records under the same numbers, small files that
//! cannot be read made anew so that nothing is skipped: a cursor at the oldest record held. Each step first copies the
//! file as it was into `backup-TIME`. Refuses: a spool that somebody works in or that is of another version.

use super::call::{Call, Result};
use super::look;
use super::progress::Progress;
use super::quarantine;
use super::scan::{scan, Findings};
use crate::audit::delivery::quarantine as held;
use crate::audit::spool::blocks::stretch;
use crate::audit::spool::cursor::{self, Cursor};
use crate::audit::spool::disk::Disk;
use crate::audit::spool::record::{self, New};
use crate::audit::spool::survey::{Heads, Look, Seg};
use crate::audit::spool::walk::{Found, Walk};
use crate::audit::spool::{lock, names, slots};
use crate::error::{Error, Exit};
use crate::limits;
use crate::net::failure::words as io_words;
use crate::sys::{crash, file};
use crate::words;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// One thing to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Task {
    /// Nothing is in this file.
    Remove(String),
    /// Nothing of this file can be used as it is.
    SetAside(String),
    /// This segment shall hold its whole records and a whole head, and nothing else.
    Rewrite(String),
    /// This receiver's cursor shall stand at the oldest record.
    Cursor(String),
    /// The state goes; the next start counts anew from the records held.
    State,
    /// The lines of this file that cannot be read go into one of their own.
    Lines(String),
}

/// The command.
pub fn run(call: &mut Call<'_>) -> Result<Exit> {
    let apply = call.is_on("apply");
    let dirs = look::targets(call.options, call.operand())?;
    let mut exit = Exit::Clean;
    for dir in dirs {
        match one(call, &dir, apply)? {
            true => {}
            false => exit = Exit::Failed,
        }
    }
    Ok(exit)
}

/// One sub-directory. True: nothing is left to be done.
fn one(call: &mut Call<'_>, dir: &Path, apply: bool) -> Result<bool> {
    let shown = words::shown(dir);
    let lock = lock::take(dir).map_err(|e| Error::failed(format!("cannot lock `{shown}`: {}", io_words(&e))))?;
    let Some(_lock) = lock else {
        let who = Look::at(dir)?.in_use.words();
        writeln!(call.out, "{shown}: {who}; a repair needs the helper stopped, nothing was changed")?;
        return Ok(false);
    };
    let look = Look::owned(dir)?;
    if let Some(name) = &look.foreign {
        writeln!(
            call.out,
            "{shown}: `{}` is of another version of this program; nothing was changed",
            words::line_escaped(name)
        )?;
        return Ok(false);
    }
    let findings = scan(&look, &mut Progress::new(look.bytes()))?;
    let tasks = plan(&look, &findings)?;
    if tasks.is_empty() {
        writeln!(call.out, "{shown}: nothing to repair")?;
    } else if apply {
        carry_out_all(call, &look, &tasks)?;
    } else {
        writeln!(call.out, "{shown}: would do the following (--apply does it):")?;
        for t in &tasks {
            writeln!(call.out, "  {}", words::line_escaped(&t.words(&look)))?;
        }
        strangers(call, &look)?;
        return Ok(false);
    }
    remarks(call, &findings)?;
    strangers(call, &look)
}

/// What is no file, and not the helper's: only an administrator knows what it is for. True: there is none.
fn strangers(call: &mut Call<'_>, look: &Look) -> Result<bool> {
    for (name, what) in &look.strange {
        let path = words::quoted(&look.dir.join(name));
        writeln!(
            call.out,
            "  `{}` {what}, where a file should be; to remove it: rm -r {path}",
            words::line_escaped(name)
        )?;
    }
    Ok(look.strange.is_empty())
}

fn carry_out_all(call: &mut Call<'_>, look: &Look, tasks: &[Task]) -> Result<()> {
    let shown = words::shown(&look.dir);
    let backup = look.dir.join(format!("backup-{}", words::file_time(call.now_ms)));
    writeln!(call.out, "{shown}: copies of what is changed are in {}", words::shown(&backup))?;
    let work = Work { look, backup, call_ms: call.now_ms };
    for t in tasks {
        work.carry_out(t).map_err(|e| {
            let (what, why) = (words::line_escaped(&t.words(look)), io_words(&e));
            Error::failed(format!("cannot {what} in `{shown}`: {why}; what was done before is whole"))
        })?;
        crash::point("repair.done");
        writeln!(call.out, "  done: {}", words::line_escaped(&t.words(look)))?;
    }
    Ok(())
}

/// Records that are gone stay gone: said once more, so that nobody takes a repair for a recovery.
fn remarks(call: &mut Call<'_>, findings: &Findings) -> Result<()> {
    if findings.untold > 0 {
        let n = words::count(findings.untold, "record");
        writeln!(call.out, "  {n} missing: the next start tells the receivers in an audit_gap")?;
    }
    Ok(())
}

fn plan(look: &Look, findings: &Findings) -> Result<Vec<Task>> {
    let mut tasks = Vec::new();
    for (name, _) in &look.odd {
        let empty = look.files.iter().any(|f| f.name == *name && f.bytes == 0);
        tasks.push(if empty { Task::Remove(name.clone()) } else { Task::SetAside(name.clone()) });
    }
    for (i, s) in look.segments.iter().enumerate() {
        let doubled = i > 0 && look.segments[i - 1].head.first_seq == s.head.first_seq;
        if doubled {
            tasks.push(Task::SetAside(s.name.clone()));
        } else if s.heads != Heads::Both || findings.damages > 0 && is_damaged(look, s) {
            tasks.push(Task::Rewrite(s.name.clone()));
        }
    }
    for (name, _) in look.cursors.iter().filter(|(_, c)| c.value.is_none()) {
        tasks.push(Task::Cursor(name.clone()));
    }
    if look.state.as_ref().is_some_and(|s| s.value.is_none()) {
        tasks.push(Task::State);
    }
    for f in look.files.iter().filter(|f| quarantine::receiver_of(&f.name).is_some()) {
        if quarantine::damaged_lines(look, &f.name)? > 0 {
            tasks.push(Task::Lines(f.name.clone()));
        }
    }
    Ok(tasks)
}

fn is_damaged(look: &Look, s: &Seg) -> bool {
    let mut walk = Walk::start();
    loop {
        match walk.next(&look.disk, &s.name, &s.head, s.bytes) {
            Ok(Found::Record(_)) => {}
            Ok(Found::Damage(..) | Found::Torn(_)) => return true,
            // What cannot be read now is no damage that a rewriting mends.
            Ok(Found::End) | Err(_) => return false,
        }
    }
}

impl Task {
    fn words(&self, look: &Look) -> String {
        match self {
            Task::Remove(name) => format!("remove `{name}`, which is empty"),
            Task::SetAside(name) => format!("set `{name}` aside as `{name}.bad`"),
            Task::Rewrite(name) => format!("rewrite `{name}` with its whole records, its damaged bytes set aside"),
            Task::Cursor(name) => {
                format!("make `cursor-{name}` anew at record {}, the oldest held: nothing is skipped", look.first())
            }
            Task::State => "put `state` away: the next start counts anew from the records held".into(),
            Task::Lines(name) => format!("move the unreadable lines of `{name}` to `{name}.bad`"),
        }
    }
}

struct Work<'a> {
    look: &'a Look,
    backup: PathBuf,
    call_ms: i64,
}

impl Work<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.look.dir.join(name)
    }

    fn carry_out(&self, task: &Task) -> io::Result<()> {
        match task {
            Task::Remove(name) => {
                self.keep(name)?;
                std::fs::remove_file(self.path(name))?;
            }
            Task::SetAside(name) => {
                self.keep(name)?;
                std::fs::rename(self.path(name), self.path(&free_name(&self.look.dir, name)))?;
            }
            Task::Rewrite(name) => self.rewrite(name)?,
            Task::Cursor(name) => self.new_cursor(name)?,
            Task::State => {
                self.keep(names::STATE)?;
                std::fs::remove_file(self.path(names::STATE))?;
            }
            Task::Lines(name) => self.sort_lines(name)?,
        }
        File::open(&self.look.dir)?.sync_all()
    }

    /// A copy of a file as it is, on the platter.
    fn keep(&self, name: &str) -> io::Result<()> {
        match std::fs::DirBuilder::new().mode(0o700).create(&self.backup) {
            // Made for the file before this one; no link that leads elsewhere.
            Err(e) if e.kind() == ErrorKind::AlreadyExists && is_directory(&self.backup) => {}
            made => made?,
        }
        let mut source = file::read_regular(&self.path(name))?;
        let mut copy = file::create_anew(&self.backup.join(name))?;
        io::copy(&mut source, &mut copy)?;
        copy.sync_all()?;
        File::open(&self.backup)?.sync_all()?;
        crash::point("repair.kept");
        Ok(())
    }

    /// Writes a file anew beside the old one, and puts it in its place when it is on the platter.
    fn replace(&self, name: &str, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let made = self.path(&format!("{name}.new"));
        let mut out = BufWriter::with_capacity(limits::TOOL_WRITE_BYTES, file::create_anew(&made)?);
        let written = write(&mut out).and_then(|()| out.flush());
        let done = written.and_then(|()| out.get_ref().sync_all());
        if let Err(e) = done {
            let _ = std::fs::remove_file(&made);
            return Err(e);
        }
        crash::point("repair.written");
        std::fs::rename(&made, self.path(name))?;
        crash::point("repair.renamed");
        Ok(())
    }

    fn rewrite(&self, name: &str) -> io::Result<()> {
        let Some(s) = self.look.segments.iter().find(|s| s.name == name) else { return Ok(()) };
        self.keep(name)?;
        let mut records = 0u64;
        self.replace(name, |out| {
            // Plain, whatever it was.
            let head = s.head.plain();
            out.write_all(&head.encode())?;
            let (mut walk, mut bytes) = (Walk::start(), Vec::new());
            loop {
                match walk.next(&self.look.disk, name, &s.head, s.bytes)? {
                    Found::Record(m) => {
                        let (kind, id, time, part, parts) = (m.kind, m.id, m.time, m.part, m.parts);
                        let raw = walk.record(m).raw;
                        let new =
                            New { kind, raw, id, time, part, parts, stream: m.stream, read_ms: m.read_ms, form: None };
                        bytes.clear();
                        record::encode(&mut bytes, &head, m.seq, &new);
                        out.write_all(&bytes)?;
                        records += 1;
                    }
                    Found::Damage(from, to) => self.aside(s, from, to)?,
                    Found::Torn(from) => return self.aside(s, from, s.bytes),
                    Found::End => return Ok(()),
                }
            }
        })?;
        if records == 0 {
            // All of it is in the backup and in the `.bad` files; a segment without records says nothing.
            std::fs::remove_file(self.path(name))?;
        }
        Ok(())
    }

    /// Damaged bytes into a file of their own, under the name that the helper would give it.
    fn aside(&self, s: &Seg, from: u64, to: u64) -> io::Result<()> {
        let bad = self.path(&format!("{}.{from}.bad", s.name));
        if std::fs::symlink_metadata(&bad).is_ok_and(|m| m.is_file()) || to <= from {
            return Ok(());
        }
        let unborn = self.path(&format!("{}.{from}.bad{}", s.name, names::UNBORN));
        let (from, to) = match s.head.packed {
            Some(_) => stretch(&self.look.disk, &s.name, from, to, s.size)?,
            None => (from, to),
        };
        let mut out = file::create_anew(&unborn)?;
        let (mut at, mut buf) = (from, vec![0; limits::READ_BYTES]);
        while at < to {
            let most = ((to - at) as usize).min(buf.len());
            let got = self.look.disk.read_at(&s.name, at, &mut buf[..most])?;
            if got == 0 {
                break;
            }
            out.write_all(&buf[..got])?;
            at += got as u64;
        }
        out.sync_all()?;
        // Half of it would be taken for all by the next repair.
        std::fs::rename(&unborn, &bad)?;
        crash::point("repair.aside");
        Ok(())
    }

    fn new_cursor(&self, name: &str) -> io::Result<()> {
        let file = cursor::file_name(name);
        self.keep(&file)?;
        let next = self.look.first().max(1);
        let words = format!("the cursor was made anew by a repair at {}", crate::stamp::rfc3339_text(self.call_ms));
        let c =
            Cursor { next, filtered: next - 1, last_answer: words, last_answer_ms: self.call_ms, ..Cursor::default() };
        let room = limits::CURSOR_SLOT_BYTES;
        let bytes = slots::first(&c.save(), room).ok_or_else(|| io::Error::other("the cursor is too large"))?;
        self.replace(&file, |out| out.write_all(&bytes))
    }

    fn sort_lines(&self, name: &str) -> io::Result<()> {
        self.keep(name)?;
        let mut source = BufReader::new(file::read_regular(&self.path(name))?);
        let bad_path = self.path(&free_name(&self.look.dir, name));
        let mut bad = file::create_anew(&bad_path)?;
        self.replace(name, |out| {
            let mut line = Vec::new();
            loop {
                line.clear();
                if (&mut source).take(limits::QUARANTINE_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
                    return Ok(());
                }
                let end = line.len() - usize::from(line.ends_with(b"\n"));
                if end > 0 && held::parse(&line[..end]).is_none() {
                    bad.write_all(&line)?;
                } else {
                    out.write_all(&line)?;
                }
            }
        })?;
        bad.sync_all()
    }
}

/// `NAME.bad`, or the first such name that is free.
fn free_name(dir: &Path, name: &str) -> String {
    let plain = format!("{name}.bad");
    let mut names = std::iter::once(plain.clone()).chain((2..1000).map(|n| format!("{name}.{n}.bad")));
    names.find(|n| std::fs::symlink_metadata(dir.join(n)).is_err()).unwrap_or(plain)
}

fn is_directory(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|m| m.is_dir())
}
