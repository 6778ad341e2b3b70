//! ○ What an alarm is: its kind, whom it is about, since when, and the line in which a worker hands it to the keeper.
//!
//! The table is the one place where kinds are named: `status`, the page, the metrics, the command of `--on-alarm`, the man
//! page and both READMEs take their words from it. The gravest stands first. Refuses: to decide when there is one.

pub mod command;
pub mod diary;
pub mod troubles;

use crate::flags::{text, Entry, Text};
use crate::{limits, stamp};

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    /// Evidence is lost or will be, or the database stands still.
    Critical,
    /// Somebody has to look, in time.
    Warning,
}

impl Gravity {
    /// As the command of `--on-alarm` is told.
    pub fn name(self) -> &'static str {
        match self {
            Gravity::Critical => "critical",
            Gravity::Warning => "warning",
        }
    }
}

/// What may be the matter, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlarmKind {
    /// Nothing is read, and the pipe is full.
    DatabaseWaits,
    /// Events are dropped now.
    EventsDropped,
    /// The helper has ended with a loss.
    LostAtEnd,
    /// Numbers are missing in what the database wrote.
    EventLost,
    /// There is no directory for the spool.
    SpoolGone,
    /// The disk refuses or stands still.
    DiskFailing,
    /// The disk has no room.
    DiskFull,
    /// The spool has no room, and reading has stopped.
    SpoolFull,
    /// What the spool had is damaged.
    Damage,
    /// What the spool has cannot be read.
    SpoolUnreadable,
    /// The log that is followed cannot be read.
    SourceUnreadable,
    /// A keeper was ended.
    KeeperDied,
    /// A worker was ended.
    WorkerDied,
    /// What was read again on SIGHUP has a fault.
    ConfigurationRefused,
    /// No checkpoint can be signed.
    SealFailing,
    /// Soon the spool has no room.
    SpoolNearlyFull,
    /// A receiver refuses everything.
    ReceiverRefuses,
    /// A receiver takes nothing for minutes.
    ReceiverDown,
    /// A token, password or header cannot be read.
    SecretUnreadable,
    /// An event that was refused can be put nowhere.
    QuarantineFailing,
    /// An event is set aside that was refused in words that do not blame it.
    EventSetAside,
    /// A certificate has ended, or ends soon.
    CertificateEnds,
    /// Workers die of delivering.
    DeliveryFault,
    /// A forbidden call.
    Confinement,
    /// The spool fills.
    SpoolFilling,
}

/// What the keeper alone sees begin and end: no worker could end it.
pub const OF_KEEPER: [AlarmKind; 1] = [AlarmKind::ConfigurationRefused];

/// What is over when a receiver takes events.
pub const OF_RECEIVERS: [AlarmKind; 5] = [
    AlarmKind::SpoolUnreadable,
    AlarmKind::ReceiverRefuses,
    AlarmKind::ReceiverDown,
    AlarmKind::SecretUnreadable,
    AlarmKind::QuarantineFailing,
];

/// What is known of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The kind.
    pub kind: AlarmKind,
    /// Its name for programs; it never changes.
    pub id: &'static str,
    /// How much it matters.
    pub gravity: Gravity,
    /// It lasts and has an end; else it is one thing that has happened.
    pub lasts: bool,
    /// How `status` and the page begin with it; for a receiver its name stands before it.
    pub headline: &'static str,
    /// For the documents.
    pub meaning: Text,
}

const fn lasting(kind: AlarmKind, id: &'static str, gravity: Gravity, headline: &'static str, meaning: Text) -> Row {
    Row { kind, id, gravity, lasts: true, headline, meaning }
}

const fn sudden(kind: AlarmKind, id: &'static str, gravity: Gravity, headline: &'static str, meaning: Text) -> Row {
    Row { kind, id, gravity, lasts: false, headline, meaning }
}

use Gravity::{Critical, Warning};

/// All kinds, the gravest first.
pub static ROWS: [Row; 25] = ROWS_CONST;
const ROWS_CONST: [Row; 25] = [
    lasting(
        AlarmKind::DatabaseWaits,
        "database-waits",
        Critical,
        "THE DATABASE WAITS",
        text(
            "nothing is read any more and the pipe is full: the database stands still",
            "чтение остановлено и канал заполнен: СУБД стоит",
        ),
    ),
    lasting(
        AlarmKind::EventsDropped,
        "events-dropped",
        Critical,
        "EVENTS ARE DROPPED",
        text("there is no room and events are dropped, counted", "места нет, события отбрасываются с подсчётом"),
    ),
    sudden(
        AlarmKind::LostAtEnd,
        "lost-at-end",
        Critical,
        "EVENTS WERE LOST",
        text("the helper has ended, and events were lost", "программа завершилась, часть событий потеряна"),
    ),
    sudden(
        AlarmKind::EventLost,
        "event-lost",
        Critical,
        "EVENTS ARE MISSING",
        text(
            "events of the database never reached the helper (audit_gap)",
            "события СУБД не дошли до программы (audit_gap)",
        ),
    ),
    lasting(
        AlarmKind::SpoolGone,
        "spool-gone",
        Critical,
        "THE SPOOL IS GONE",
        text(
            "the spool's directory is not there or cannot be used: events are in memory alone",
            "каталога очереди нет или он непригоден: события только в памяти",
        ),
    ),
    lasting(
        AlarmKind::DiskFailing,
        "disk-failing",
        Critical,
        "DISK FAILING",
        text(
            "the spool's disk refuses to write: new events are in memory alone",
            "диск очереди не пишет: новые события только в памяти",
        ),
    ),
    lasting(
        AlarmKind::DiskFull,
        "disk-full",
        Critical,
        "DISK FULL",
        text(
            "the spool's disk has no room: new events are in memory alone",
            "на диске очереди нет места: новые события только в памяти",
        ),
    ),
    lasting(
        AlarmKind::SpoolFull,
        "spool-full",
        Critical,
        "THE SPOOL IS FULL, READING HAS STOPPED",
        text(
            "the spool has no room and a receiver does not take events: the database waits as soon as its pipe is full",
            "в очереди нет места, приёмник не берёт события: СУБД встанет, как только заполнится канал",
        ),
    ),
    sudden(
        AlarmKind::Damage,
        "damage",
        Critical,
        "DAMAGE IN THE SPOOL",
        text(
            "a file of the spool is damaged; what was there is set aside",
            "файл очереди повреждён; повреждённое отложено",
        ),
    ),
    lasting(
        AlarmKind::SpoolUnreadable,
        "spool-unreadable",
        Critical,
        "WAITS FOR A SPOOL THAT CANNOT BE READ",
        text("the disk does not give back what waits for a receiver", "диск не отдаёт то, что ждёт приёмник"),
    ),
    lasting(
        AlarmKind::SourceUnreadable,
        "source-unreadable",
        Critical,
        "THE SOURCE CANNOT BE READ",
        text(
            "the log cannot be read: its rights, its disk, or what stands in its place",
            "журнал не читается: права, диск или не тот файл на его месте",
        ),
    ),
    sudden(
        AlarmKind::KeeperDied,
        "keeper-died",
        Warning,
        "A KEEPER HAS DIED",
        text("the keeper was ended; its stand-in has taken its place", "хранитель завершён; его место занял запасной"),
    ),
    sudden(
        AlarmKind::WorkerDied,
        "worker-died",
        Warning,
        "A WORKER HAS DIED",
        text("the worker was ended; a new one goes on", "рабочий процесс завершён; новый продолжает"),
    ),
    lasting(
        AlarmKind::ConfigurationRefused,
        "configuration-refused",
        Warning,
        "THE NEW CONFIGURATION IS REFUSED",
        text(
            "the configuration that was read again on SIGHUP has a fault: the old one stays in force",
            "в конфигурации, перечитанной по SIGHUP, ошибка: действует прежняя",
        ),
    ),
    lasting(
        AlarmKind::SealFailing,
        "seal-failing",
        Warning,
        "SEALING FAILS",
        text(
            "the directory of --seal cannot be used, so no checkpoint is signed, or what --seal-copy or --seal-sign asks for fails; events are delivered",
            "каталог --seal недоступен, и контрольные точки не подписываются, либо не удаётся то, что просят --seal-copy и --seal-sign; события доставляются",
        ),
    ),
    lasting(
        AlarmKind::SpoolNearlyFull,
        "spool-nearly-full",
        Warning,
        "THE SPOOL IS NEARLY FULL",
        text("the spool is at 95 % or more", "очередь заполнена на 95 % или больше"),
    ),
    lasting(
        AlarmKind::ReceiverRefuses,
        "receiver-refuses",
        Warning,
        "REFUSES EVENTS",
        text(
            "a receiver refuses everything: its configuration or ours is wrong",
            "приёмник отвергает всё: неверна его или наша настройка",
        ),
    ),
    lasting(
        AlarmKind::ReceiverDown,
        "receiver-down",
        Warning,
        "HAS NOT TAKEN EVENTS",
        text(
            "a receiver takes nothing while events wait; told after 5 minutes of it",
            "приёмник ничего не берёт, а события ждут; сообщается через 5 минут",
        ),
    ),
    lasting(
        AlarmKind::SecretUnreadable,
        "secret-unreadable",
        Warning,
        "CANNOT BE LOGGED IN TO",
        text(
            "a password, token or header cannot be read from its file",
            "пароль, токен или заголовок не читается из файла",
        ),
    ),
    lasting(
        AlarmKind::QuarantineFailing,
        "quarantine-failing",
        Warning,
        "IS HELD UP BY A REFUSED EVENT",
        text(
            "a refused event cannot be put into the quarantine, and all behind it waits",
            "отвергнутое событие нельзя отложить, и всё за ним ждёт",
        ),
    ),
    sudden(
        AlarmKind::EventSetAside,
        "event-set-aside",
        Warning,
        "REFUSES THE TEXT OF AN EVENT",
        text(
            "something before a receiver refuses one event again and again and takes its neighbours: it is in the quarantine",
            "что-то перед приёмником раз за разом отвергает одно событие, а соседние берёт: оно отложено в карантин",
        ),
    ),
    lasting(
        AlarmKind::CertificateEnds,
        "certificate-ends",
        Warning,
        "A CERTIFICATE ENDS",
        text(
            "a certificate of ours or a trusted one has ended or ends within 14 days",
            "наш или доверенный сертификат истёк или истекает в ближайшие 14 дней",
        ),
    ),
    sudden(
        AlarmKind::DeliveryFault,
        "delivery-fault",
        Warning,
        "WORKERS DIE OF DELIVERING",
        text("workers have died in the delivery to a receiver", "рабочие процессы завершались при доставке приёмнику"),
    ),
    sudden(
        AlarmKind::Confinement,
        "confinement",
        Warning,
        "A FORBIDDEN CALL",
        text(
            "the worker tried a system call that it does not need; it was refused",
            "рабочий процесс сделал ненужный ему системный вызов; он отклонён",
        ),
    ),
    lasting(
        AlarmKind::SpoolFilling,
        "spool-filling",
        Warning,
        "THE SPOOL FILLS",
        text("the spool is at 80 % or more", "очередь заполнена на 80 % или больше"),
    ),
];

/// The table for the documents.
pub static FOR_DOCUMENTS: [Entry; 25] = for_documents();

const fn for_documents() -> [Entry; 25] {
    let mut all = [Entry { term: "", marked: false, meaning: text("", "") }; 25];
    let mut i = 0;
    while i < all.len() {
        all[i] = Entry { term: ROWS_CONST[i].id, marked: ROWS_CONST[i].lasts, meaning: ROWS_CONST[i].meaning };
        i += 1;
    }
    all
}

impl AlarmKind {
    /// What is known of it.
    pub fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// The kind of an id.
    pub fn of(id: &str) -> Option<AlarmKind> {
        ROWS.iter().find(|r| r.id == id).map(|r| r.kind)
    }
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It lasts, or has happened.
    Firing,
    /// It is over.
    Resolved,
}

impl State {
    /// As the command of `--on-alarm` is told.
    pub fn name(self) -> &'static str {
        match self {
            State::Firing => "firing",
            State::Resolved => "resolved",
        }
    }
}

/// One alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What kind of thing.
    pub kind: AlarmKind,
    /// What it is about: `spool`, `receiver r1`.
    pub about: String,
    /// How it stands.
    pub state: State,
    /// Since when, milliseconds since the epoch.
    pub since_ms: i64,
    /// In words, without secrets.
    pub text: String,
}

/// Text that stays in one field of one line.
fn field(text: &str, most: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect()
}

impl Alarm {
    /// The line for the keeper, with its end; shorter than what a pipe takes at once.
    pub fn line(&self) -> String {
        let (about, text) = (field(&self.about, limits::ALARM_ABOUT_CHARS), field(&self.text, limits::ALARM_CHARS));
        format!("{}\t{}\t{}\t{about}\t{text}\n", self.state.name(), self.kind.row().id, self.since_ms)
    }

    /// From such a line.
    pub fn parse(line: &str) -> Option<Alarm> {
        let mut parts = line.splitn(5, '\t');
        let state = match parts.next()? {
            "firing" => State::Firing,
            "resolved" => State::Resolved,
            _ => return None,
        };
        let kind = AlarmKind::of(parts.next()?)?;
        let since_ms = parts.next()?.parse().ok()?;
        Some(Alarm { kind, state, since_ms, about: parts.next()?.into(), text: parts.next()?.into() })
    }

    /// What is wrong, as `status` and the page begin: `THE DATABASE WAITS`, `r1 HAS NOT TAKEN EVENTS`.
    pub fn headline(&self) -> String {
        let headline = self.kind.row().headline;
        match self.about.strip_prefix("receiver ") {
            Some(name) => format!("{name} {headline}"),
            None => headline.to_string(),
        }
    }
}

impl Alarm {
    /// Headline, since when, and what is known: how it stands in `status`, on the page and in the log alike.
    pub fn sentence(&self, now_ms: i64) -> String {
        let since: String = stamp::rfc3339_text(self.since_ms).chars().take(19).collect();
        let lasts = stamp::for_people((now_ms - self.since_ms).max(0) as f64 / 1000.0);
        format!("{} since {since} UTC ({lasts}): {}", self.headline(), self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_row_and_an_id_of_its_own() {
        for (i, row) in ROWS.iter().enumerate() {
            assert_eq!(row.kind as usize, i, "{}: the rows stand in the order of the kinds", row.id);
            assert_eq!(AlarmKind::of(row.id), Some(row.kind));
            assert!(row.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", row.id);
            assert_eq!(FOR_DOCUMENTS[i].term, row.id);
        }
        let critical = ROWS.iter().take_while(|r| r.gravity == Critical).count();
        assert!(ROWS[critical..].iter().all(|r| r.gravity == Warning), "the gravest first");
    }

    #[test]
    fn a_line_is_read_back_whatever_the_text_holds() {
        let alarm = |text: &str| Alarm {
            kind: AlarmKind::ReceiverDown,
            about: "receiver r1".into(),
            state: State::Resolved,
            since_ms: 1_795_224_477_349,
            text: text.into(),
        };
        assert_eq!(Alarm::parse(alarm("no answer").line().trim_end()), Some(alarm("no answer")));
        let hostile = alarm(&format!("a\tb\nfiring\tdamage\t0\tx\ty{}", "щ".repeat(9999))).line();
        assert!(hostile.len() < 4096 && hostile.matches('\n').count() == 1, "{}", hostile.len());
        assert_eq!(Alarm::parse(hostile.trim_end()).map(|a| a.kind), Some(AlarmKind::ReceiverDown));
        for bad in ["", "firing", "firing\tno-such\t1\ta\tb", "firing\tdamage\tx\ta\tb", "on\tdamage\t1\ta\tb"] {
            assert_eq!(Alarm::parse(bad), None, "{bad:?}");
        }
        assert_eq!(alarm("x").headline(), "r1 HAS NOT TAKEN EVENTS");
    }
}
