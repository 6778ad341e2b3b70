//! The worker: draws the threads that read, spool, deliver and tend, and the way they end.
//!
//! ```text
//! reader ─▶ cushion ─▶ writer ─▶ spool ─▶ sender-NAME ─▶ receiver        tender: sync, save, tidy        adopter: orphans
//! ```
//!
//! On SIGTERM and SIGINT it reads on to the end of input: the database's last events come after the signal. Then all is
//! synced, delivered for `--drain`, and the rest left in the spool.

use crate::audit::alarm::{Alarm, AlarmKind};
use crate::audit::delivery::sender::matter_of;
use crate::audit::intake::reader::{Cushion, Reader};
use crate::audit::intake::source::Kept;
use crate::audit::intake::writer::Writer;
use crate::audit::intake::writing::{catch_up, Orders, Writing};
use crate::audit::options::{Options, Sync};
use crate::audit::process::cage::{self, Cage};
use crate::audit::process::certificates::Certificates;
use crate::audit::process::crew::Crew;
use crate::audit::process::heirlooms::Heirlooms;
use crate::audit::process::page::{self, Source};
use crate::audit::process::run_state::RunState;
use crate::audit::process::sealer::{self, signer::VaultSigner, Sealer};
use crate::audit::process::speaker::Speaker;
use crate::audit::process::standstill::Standstill;
use crate::audit::process::succession::Elders;
use crate::audit::process::tender::Tender;
use crate::audit::process::{adopt, opening, reload, start};
use crate::audit::spool::place::Home;
use crate::audit::spool::Spool;
use crate::error::Exit;
use crate::net::porch::Prepared;
use crate::sys::clock::wall_ms;
use crate::sys::filler::Filler;
use crate::sys::ring::{Ring, Taker, Word};
use crate::sys::signal::{self, Signals};
use crate::sys::{crash, marks, pipe, process, thread};
use crate::{limits, log, words};
use std::cell::Cell;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the keeper gives its worker.
#[derive(Debug)]
pub struct Given<'a> {
    /// The options.
    pub options: &'a Options,
    /// What outlives it.
    pub heirlooms: &'a Heirlooms,
    /// It lives in a cage.
    pub caged: bool,
    /// Tells of signals.
    pub signals: &'a Signals,
    /// Hangs up when the keeper dies.
    pub keeper: BorrowedFd<'a>,
    /// Hangs up when its stand-in has died as well.
    pub future: BorrowedFd<'a>,
    /// Takes alarms.
    pub alarms: BorrowedFd<'a>,
    /// What the worker before has left that is wrong.
    pub standing: Vec<Alarm>,
    /// Takes requests to read the configuration again.
    pub knocks: BorrowedFd<'a>,
}

/// One that there must be. That it cannot be started ends the worker: the keeper tries again.
fn begin(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::start(name, run).unwrap_or_else(|e| panic!("cannot start the thread «{name}»: {e}"))
}

/// Lives a worker's life; gives its exit code, or nothing when another worker is to go on.
pub fn run(given: Given<'_>) -> Option<Exit> {
    process::set_name(c"gostech-audit-w");
    let ring = given.heirlooms.ring.clone();
    marks::begin(&ring);
    let speaker = Speaker::prepare();
    let mut ahead = page::ahead(given.options);
    let mut cage = cage::enter(given.options, given.caged, &ring, &mut ahead);
    // First of all: bytes may be between the pipes and the ring since the last worker died.
    let filler = Filler::resume(ring.clone(), given.heirlooms.relay.clone()).expect("the ring can be taken over");
    let cushion = Arc::new(Cushion::new(ring.clone(), given.options.sync == Sync::Always));
    let reader = Reader::new(cushion.clone(), filler, &given.options.source);
    // And reading begins: a spool is opened in seconds when its disk is slow, and the database is not to wait for that.
    // What can be read again waits, and the spool knows how far it was read.
    let mut waiting = None;
    if given.options.source.row.rereads {
        waiting = Some(reader);
    } else {
        start_reader(reader);
    }
    let (spool, home) = opening::open_spool(given.options, given.heirlooms);
    let spool = Arc::new(spool);
    spool.troubles.inherit(given.standing.clone());
    if ring.word(Word::Restarts).load(Ordering::Relaxed) == 0 {
        log::info("spool", start::spool_words(&spool.moment(wall_ms(), 0), &spool.place()));
    }
    if let Some(mut reader) = waiting {
        reader.resume(Kept::of(&spool.account()));
        start_reader(reader);
    }
    let mut taker = Taker::new(ring.clone());
    catch_up(&spool, &ring, &mut taker);
    crash::point("worker.caught-up");
    let lost_before = lost_at_start(&spool, &ring);
    let worker = Worker {
        options: given.options.clone(),
        spool,
        home,
        sought: Cell::new(Instant::now()),
        cushion,
        run_state: Arc::new(RunState::of(Some(ring.clone()))),
        orders: Arc::default(),
        lost_before,
        certificates: Arc::new(Certificates::of(given.options)),
    };
    worker.end_of_the_past();
    ring.word(Word::Working).store(0, Ordering::Relaxed);
    crash::point("worker.ready");
    ring.word(Word::Ready).store(1, Ordering::Release);
    worker.live(&given, &mut cage, taker, (speaker, ahead))
}

struct Worker {
    options: Options,
    spool: Arc<Spool>,
    home: Option<Home>,
    /// When a directory was looked for last, where there is none.
    sought: Cell<Instant>,
    cushion: Arc<Cushion>,
    run_state: Arc<RunState>,
    orders: Arc<Orders>,
    lost_before: u64,
    certificates: Arc<Certificates>,
}

impl Worker {
    fn live(
        self,
        given: &Given<'_>,
        cage: &mut Cage,
        taker: Taker,
        (speaker, ahead): (Speaker, Prepared),
    ) -> Option<Exit> {
        let writer = self.start_writer(taker);
        let tender = self.start_tender();
        let mut crew = Crew::new(self.spool.clone(), self.run_state.clone(), self.options.receivers.iter());
        // Before the page, which can do with fewer threads.
        crew.complete();
        let mut adopter = Some(Instant::now()).filter(|_| self.home.is_some());
        let mut sealer = Some(Instant::now()).filter(|_| self.options.seal.is_some());
        let source = self.source();
        let _porch = page::start(&self.options, ahead, source.clone());
        let _speaker = self.home.as_ref().and_then(|home| speaker.start(&home.dir, source.clone()));
        let mut ended: Option<(Instant, u64)> = None;
        let mut elders = Elders::default();
        let mut still = Standstill::default();
        loop {
            crew.complete();
            source.note();
            begin_when_due(&mut adopter, || self.start_adopter());
            begin_when_due(&mut sealer, || self.start_sealer());
            if !self.look_around(given, &mut elders, cage, &mut still) {
                self.make_room(&writer);
                self.spool.save_cursors();
                crash::point("succession.before");
                return None;
            }
            if writer.is_finished() && !self.run_state.hurry.load(Ordering::Relaxed) {
                self.spool.end();
                crash::point("end.read");
                self.run_state.hurry.store(true, Ordering::Release);
                self.run_state.announce();
            }
            self.note_end(&mut ended);
            if self.is_drained(&mut ended) {
                self.orders.last_call.store(true, Ordering::Release);
                self.spool.wake();
            }
            if writer.is_finished() && (crew.is_done() || self.orders.last_call.load(Ordering::Relaxed)) {
                // What is in memory alone may come into a directory that only the next worker may make.
                self.spool.look_at_home(wall_ms());
                if self.lacks_home() && self.wants_another(&elders, cage, true) {
                    self.spool.save_cursors();
                    return None;
                }
                break;
            }
        }
        self.run_state.end();
        self.spool.wake();
        let _ = tender.join();
        Some(self.finish(given))
    }

    fn note_end(&self, ended: &mut Option<(Instant, u64)>) {
        if self.cushion.ended() && ended.is_none() {
            log::info("input", format!("{} has ended; delivering what is left", self.options.source.row.what.en));
            *ended = Some((Instant::now(), 0));
        }
    }

    /// Whether `--drain` is over. Of what is read once by hand nobody else would deliver the rest: there it begins anew as often
    /// as receivers take something.
    fn is_drained(&self, ended: &mut Option<(Instant, u64)>) -> bool {
        let Some((since, waiting)) = ended else { return false };
        if self.options.source.once {
            let now = self.spool.waiting();
            if now != std::mem::replace(waiting, now) {
                *since = Instant::now();
            }
        }
        since.elapsed() >= self.options.drain
    }

    /// What a worker before has left may be about what these options have no more: nobody would see that it is well.
    fn end_of_the_past(&self) {
        self.certificates.end_others(&self.spool);
        let names: Vec<String> = self.options.receivers.iter().map(|r| matter_of(&r.name)).collect();
        // Those of an orphan, which say of which, go with it.
        let is_ours = |about: &str| about.starts_with("receiver ") && about.split(' ').count() == 2;
        self.spool.troubles.over_where(|_, about| is_ours(about) && !names.iter().any(|n| n == about));
    }

    fn source(&self) -> Arc<Source> {
        Arc::new(Source::new(
            self.spool.clone(),
            self.cushion.clone(),
            self.run_state.orphans.clone(),
            self.certificates.clone(),
            self.options.in_force.clone(),
        ))
    }

    /// Signals, the keeper's death, alarms, the cage; waits a little. False: another worker is to go on.
    fn look_around(&self, given: &Given<'_>, elders: &mut Elders, cage: &mut Cage, still: &mut Standstill) -> bool {
        let patience = Duration::from_millis(if self.cushion.ended() { 5 } else { 200 });
        let ring = &self.cushion.ring;
        let (leave, news) = elders.look([given.signals.as_fd(), given.keeper, given.future], ring, patience);
        if leave {
            // What can still be read of a directory that is gone goes with us.
            self.spool.look_at_home(wall_ms());
            return false;
        }
        if let Some(text) = news {
            self.spool.alarm(AlarmKind::KeeperDied, "keeper", text);
        }
        let mut reload = false;
        while let Some((s, from)) = given.signals.next_from() {
            if s == signal::SIGHUP && from != process::leader().0 && elders.keep() {
                // The keeper has the configuration, and sends it on.
                reload::knock(given.knocks);
            } else if s == signal::SIGHUP {
                log::info("worker", "SIGHUP: certificates and secrets are read again");
                log::calm("worker");
                reload = true;
                self.run_state.reloads.fetch_add(1, Ordering::AcqRel);
                self.run_state.announce();
                self.spool.wake();
            } else if self.options.source.row.term_ends {
                self.cushion.stop.store(true, Ordering::Release);
            } else if !self.cushion.ended() {
                log::info("worker", "asked to stop: reading on until the database closes its end");
            }
        }
        if ring.word(Word::Renew).load(Ordering::Acquire) == 1 && elders.keep() {
            self.spool.look_at_home(wall_ms());
            return false;
        }
        let again = self.wants_another(elders, cage, reload);
        self.certificates.look(&self.spool, wall_ms());
        still.look(&self.cushion.ring, &self.options.source, &self.spool);
        self.look_at_source();
        self.forward_alarms(given.alarms);
        !again
    }

    /// Who reads it has told why it cannot be read.
    fn look_at_source(&self) {
        let (kind, about) = (AlarmKind::SourceUnreadable, "input");
        if let Some(text) = self.cushion.input().and_then(|input| input.wrong) {
            self.spool.troubles.fires(kind, about, &text);
        } else {
            self.spool.troubles.over(kind, about);
        }
    }

    /// Before another worker goes on: no write is left half done. With other options also what was sent is waited for, or it
    /// would be sent twice. Reading goes on to the last.
    fn make_room(&self, writer: &JoinHandle<()>) {
        if self.cushion.ring.word(Word::Renew).load(Ordering::Acquire) == 1 {
            self.run_state.rest.store(true, Ordering::Release);
            self.run_state.announce();
            self.wait_until(Duration::from_secs(limits::RELOAD_SENDERS_SECONDS), || {
                self.run_state.senders.load(Ordering::Acquire) == 0
            });
            log::calm("renewal");
            log::info("renewal", "this worker makes room for one with the new options");
        }
        self.orders.halt.store(true, Ordering::Release);
        self.wait_until(Duration::from_millis(limits::RELOAD_WRITER_MILLIS), || writer.is_finished());
    }

    /// Wakes everybody who may sleep until this is so, but not for long: whatever hangs, the next worker goes on where it was.
    fn wait_until(&self, most: Duration, so: impl Fn() -> bool) {
        let end = Instant::now() + most;
        while !so() && Instant::now() < end {
            self.spool.wake();
            self.cushion.filled.ring();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether another worker is to go on, in a new cage. What can still be read of a directory that is gone is in memory then.
    fn wants_another(&self, elders: &Elders, cage: &mut Cage, at_once: bool) -> bool {
        let ring = &self.cushion.ring;
        let outgrown = cage.look(at_once, self.lacks_home(), &self.spool, ring);
        let again = elders.keep() && (outgrown || self.finds_home(at_once, ring));
        if again {
            self.spool.look_at_home(wall_ms());
        }
        again
    }

    fn lacks_home(&self) -> bool {
        self.home.is_none() || self.spool.is_homeless()
    }

    /// Whether there is a directory by now for a spool that has none; looked for from time to time, and seldom where what was
    /// found let nobody in.
    fn finds_home(&self, at_once: bool, ring: &Ring) -> bool {
        let in_vain = ring.word(Word::HomesFound).load(Ordering::Relaxed).min(limits::HOME_LOOK_DOUBLINGS);
        let due = self.sought.get().elapsed().as_secs() >= limits::HOME_LOOK_SECONDS << in_vain;
        let due = due || at_once && in_vain == 0;
        if self.home.is_some() || !due {
            return false;
        }
        self.sought.set(Instant::now());
        opening::find_home(&self.options, ring)
    }

    /// Everything on the platter; was anything lost?
    fn finish(&self, given: &Given<'_>) -> Exit {
        let now = wall_ms();
        if self.options.sync != Sync::Never {
            self.spool.sync(now);
        }
        crash::point("end.synced");
        self.spool.pass_holes();
        let mut in_memory = 0;
        // A sync that fails says so once; what was saved before it is saved again.
        for _ in 0..limits::END_TRIES {
            in_memory = if self.spool.recover_disk() { 0 } else { self.spool.undelivered_in_memory() };
            self.spool.save_cursors();
            self.spool.save_state(self.options.sync != Sync::Never);
            if self.spool.sizes().disk_bad.is_none() {
                break;
            }
        }
        crash::point("end.saved");
        let left = self.orders.left.load(Ordering::Relaxed);
        let orphans = self.cushion.ring.word(Word::OrphansLost).load(Ordering::Relaxed);
        let dropped = lost_so_far(&self.spool).saturating_sub(self.lost_before) + orphans + self.spool.holes_ahead();
        let waiting = self.spool.waiting();
        let unread = self.cushion.ring.word(Word::SourceDamaged).load(Ordering::Relaxed);
        if in_memory > 0 || left > 0 || dropped > 0 {
            let text = format!(
                "events were lost: {dropped} dropped or damaged, {in_memory} in memory with no disk to put them on, {left} bytes of input"
            );
            self.spool.alarm(AlarmKind::LostAtEnd, "end", text);
        } else if waiting > 0 {
            log::info(
                "end",
                format!("{waiting} events are left in the spool `{}` for the next start", self.spool.place()),
            );
        } else if self.run_state.orphans.waiting() == 0 {
            log::info("end", "everything is delivered");
        }
        if self.run_state.orphans.waiting() > 0 {
            let waiting = self.run_state.orphans.waiting();
            log::info("end", format!("{waiting} events of adopted spools are left for the next start"));
        }
        self.forward_alarms(given.alarms);
        if unread > 0 {
            log::error("end", format!("{} could not be read to the end", words::count(unread, "file")));
        }
        let all = in_memory == 0 && left == 0 && dropped == 0 && unread == 0;
        if !all || self.options.source.once && waiting > 0 {
            Exit::Failed
        } else {
            Exit::Clean
        }
    }

    fn forward_alarms(&self, to: BorrowedFd<'_>) {
        for troubles in [&*self.spool.troubles, &self.run_state.orphans.troubles] {
            troubles.hand_on(|alarm| {
                // A pipe that is full of alarms gets the others later.
                let room = pipe::held(to).is_ok_and(|n| n < limits::ALARM_PIPE_BYTES);
                room && to
                    .try_clone_to_owned()
                    .is_ok_and(|fd| File::from(fd).write_all(alarm.line().as_bytes()).is_ok())
            });
        }
    }

    fn start_writer(&self, taker: Taker) -> JoinHandle<()> {
        let sync_each = self.options.sync == Sync::Always;
        // Where the size of the spool comes from a small file system: a record that never fits would stop all reading.
        let event_max = self.options.event_max.min(self.spool.settings.max as usize / limits::EVENTS_IN_SPOOL);
        let mut writer = Writer::new(self.spool.clone(), event_max, sync_each);
        writer.take_entries(self.options.source.row.feed.is_some());
        let mut careful_until = 0;
        writer.orphans = self.run_state.orphans.clone();
        writer.skips = Some(self.cushion.skips.clone());
        let ring = &self.cushion.ring;
        let fault = ring.word(Word::FaultAt).load(Ordering::Relaxed);
        let at_fault = fault == 1 + taker.position();
        writer.opaque = at_fault && ring.word(Word::Faults).load(Ordering::Relaxed) >= limits::WORKER_FAULTS;
        // The stretch that was being written then, or the one that was being separated: all that is here.
        if fault > 0 && taker.position().saturating_sub(fault - 1) < ring.size() as u64 {
            careful_until = ring.word(Word::Head).load(Ordering::Acquire);
        }
        let writing = Writing {
            writer,
            taker,
            cushion: self.cushion.clone(),
            spool: self.spool.clone(),
            orders: self.orders.clone(),
            careful_until,
            half_waits: self.options.source.row.rereads && !self.options.source.once,
        };
        begin("writer", move || writing.run())
    }

    fn start_tender(&self) -> JoinHandle<()> {
        let (spool, run_state) = (self.spool.clone(), self.run_state.clone());
        let sync = self.options.sync != Sync::Never;
        let mut tender = if self.options.pack { Tender::packing(&spool) } else { Tender::default() };
        begin("tender", move || tender.run(&spool, sync, &run_state.stop, wall_ms))
    }

    fn start_sealer(&self) -> std::io::Result<()> {
        let Some(seal) = &self.options.seal else { return Ok(()) };
        let signer = Box::new(VaultSigner::new(seal, &self.spool)?);
        let filters: Vec<_> = self.options.receivers.iter().map(|r| (r.name.clone(), r.filter.clone())).collect();
        let Some(sealer) = Sealer::new(self.spool.clone(), signer, &filters) else { return Ok(()) };
        let (spool, cushion, run_state) = (self.spool.clone(), self.cushion.clone(), self.run_state.clone());
        thread::start("sealer", move || sealer::run::run(sealer, &spool, &cushion, &run_state)).map(drop)
    }

    fn start_adopter(&self) -> std::io::Result<()> {
        let Some(home) = &self.home else { return Ok(()) };
        let Some(root) = home.dir.parent().map(Path::to_path_buf) else { return Ok(()) };
        let (own, options, run_state) = (home.name.clone(), self.options.clone(), self.run_state.clone());
        thread::start("adopter", move || adopt::run(&root, &own, &options, &run_state)).map(drop)
    }
}

/// Starts a thread that the worker can do without for a while, when it is time to try.
fn begin_when_due(at: &mut Option<Instant>, start: impl FnOnce() -> std::io::Result<()>) {
    if at.is_some_and(|at| at <= Instant::now()) {
        let again = Instant::now() + Duration::from_millis(limits::THREAD_RETRY_MILLIS);
        *at = start().is_err().then_some(again);
    }
}

fn start_reader(reader: Reader) {
    begin("reader", move || reader.run());
}

fn lost_so_far(spool: &Spool) -> u64 {
    let receivers = spool.receivers();
    let dropped: u64 = receivers.iter().filter(|r| r.live && !r.optional).map(|r| r.cursor.dropped).sum();
    dropped + spool.account().counters.dropped
}

/// What was lost before this keeper's first worker began.
fn lost_at_start(spool: &Spool, ring: &Ring) -> u64 {
    let word = ring.word(Word::LostBefore);
    if word.load(Ordering::Relaxed) == 0 {
        word.store(1 + lost_so_far(spool), Ordering::Relaxed);
    }
    word.load(Ordering::Relaxed) - 1
}
