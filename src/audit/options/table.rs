//! The table of options of `gostech-audit-log`: parser, `--help`, man pages, completions and README blocks are made of it.

use crate::audit::delivery::{format, transport};
use crate::audit::intake::source::table as sources;
use crate::flags::{signals, text, Command, Program, Row, Section, Text};

const DELIVERY: &str = "Delivery";
const TLS: &str = "TLS and identity";
const SPOOL: &str = "Spool";
const RECORDS: &str = "Records";
const EVIDENCE: &str = "Evidence";
const RUNNING: &str = "Running";
const SEEING: &str = "Seeing into it";
const TOOLS: &str = "Tools";

const GROUPS: &[Text] = &[
    text(DELIVERY, "Доставка"),
    text(TLS, "TLS и подлинность"),
    text(SPOOL, "Очередь на диске"),
    text(RECORDS, "Записи"),
    text(EVIDENCE, "Неизменность журнала"),
    text(RUNNING, "Работа"),
    text(SEEING, "Наблюдение"),
    text(TOOLS, "Инструменты"),
];

static ROWS: &[Row] = &[
    Row::value(
        DELIVERY,
        "url",
        "URL",
        "where to deliver: one of the receivers listed below; several times: every receiver gets everything",
        "куда доставлять: один из приёмников, перечисленных ниже; несколько раз: каждый приёмник получает всё",
    )
    .short('u')
    .opens()
    .secret(),
    Row::value(DELIVERY, "name", "NAME", "name of the receiver before it (default r1, r2… by position)", "имя приёмника, указанного перед этим (по умолчанию r1, r2… по порядку)").own(),
    Row::switch(DELIVERY, "optional", "the receiver before it never blocks: when the spool is full its oldest events are dropped and counted", "указанный перед этим приёмник никогда не блокирует: при заполненной очереди его самые старые события отбрасываются с подсчётом").own(),
    Row::switch(DELIVERY, "failover", "the URL before it is a stand-in for the URL before that", "URL перед этим параметром — резервный для предыдущего URL").own(),
    Row::value(DELIVERY, "format", format::CHOICES, "JSON (array, lines, one a request), ECS, CEF, LEEF, GELF, syslog, or the withdrawn program's; a receiver takes some of them, by default its usual one", "JSON (массив, строки, по одному), ECS, CEF, LEEF, GELF, syslog, как у прежней программы; приёмник принимает некоторые, по умолчанию свой обычный").receiver().default("json"),
    Row::value(DELIVERY, "only", "COND", "only events for which one of these holds: severity>=medium, severity=high, title=TITLE; audit_gap and what does not say pass", "только события, для которых верно одно из условий: severity>=medium, severity=high, title=ИМЯ; audit_gap и неизвестное проходят").receiver().repeat(),
    Row::value(DELIVERY, "skip", "COND", "no events for which one of these holds, written as for --only; they count as filtered", "без событий, для которых верно одно из условий, записанных как для --only; они считаются отфильтрованными").receiver().repeat(),
    Row::value(DELIVERY, "batch-events", "N", "events in a request at most", "событий в запросе, не более").receiver().default("1000"),
    Row::value(DELIVERY, "batch-bytes", "SIZE", "bytes in a request at most, about", "байтов в запросе, примерно не более").receiver().default("1M"),
    Row::value(DELIVERY, "linger", "TIME", "how long an event may wait for others", "сколько событие может ждать других").receiver().default("200ms"),
    Row::value(DELIVERY, "file-max", "SIZE|TIME", "file:// puts its file aside when it is so large or so old: 64M, 1d, or 64M,1d (default: never)", "file:// откладывает файл такого размера или возраста и начинает новый: 64M, 1d или 64M,1d (по умолчанию никогда)").receiver(),
    Row::value(DELIVERY, "file-keep", "N|TIME", "how many of these files are kept, or for how long: 10 or 90d (default: all)", "сколько таких файлов хранить или как долго: 10 или 90d (по умолчанию все)").receiver(),
    Row::switch(DELIVERY, "gzip", "pack request bodies", "сжимать тела запросов").receiver(),
    Row::value(DELIVERY, "header", "HEADER", "send this header too, 'Name: value'; a value @FILE is read from the file", "отправлять также этот заголовок, 'Имя: значение'; значение @ФАЙЛ читается из файла").receiver().repeat().secret(),
    Row::value(DELIVERY, "proxy", "URL", "go through this HTTP proxy (default: HTTPS_PROXY, HTTP_PROXY, NO_PROXY)", "идти через этот HTTP-прокси (по умолчанию HTTPS_PROXY, HTTP_PROXY, NO_PROXY)").receiver().secret(),
    Row::value(DELIVERY, "facility", "NAME", "syslog: the facility, by name or number", "syslog: категория (facility), именем или числом").receiver().default("audit"),
    Row::value(DELIVERY, "app-name", "NAME", "syslog: the name of the application", "syslog: имя приложения").receiver().default("picodata"),
    Row::value(DELIVERY, "sd-id", "ID", "syslog: the id of the structured data (RFC 5424)", "syslog: идентификатор структурированных данных (RFC 5424)").receiver().default("picodata@32473"),
    Row::value(DELIVERY, "connect-timeout", "TIME", "for name, connection and TLS together", "на имя, соединение и TLS вместе").receiver().default("10s"),
    Row::value(DELIVERY, "send-timeout", "TIME", "for sending the request", "на отправку запроса").receiver().default("30s"),
    Row::value(DELIVERY, "first-byte-timeout", "TIME", "from there to the beginning of the answer", "от отправки запроса до начала ответа").receiver().default("60s"),
    Row::value(DELIVERY, "total-timeout", "TIME", "for everything together", "на всё вместе").receiver().default("120s"),
    Row::value(TLS, "ca-certificate", "FILE", "trust these certificates instead of the system's", "доверять этим сертификатам вместо системных").receiver(),
    Row::switch(TLS, "system-ca", "trust the system's certificates as well", "доверять также системным сертификатам").receiver(),
    Row::value(TLS, "certificate", "FILE", "client certificate (PEM)", "сертификат клиента (PEM)").receiver(),
    Row::value(TLS, "private-key", "FILE", "its key (default: in the same file)", "его ключ (по умолчанию в том же файле)").receiver(),
    Row::value(TLS, "tls-server-name", "NAME", "the name that the receiver's certificate must have", "имя, которое должно быть в сертификате приёмника").receiver(),
    Row::value(TLS, "user", "NAME", "basic authentication: the user", "базовая аутентификация: пользователь").receiver(),
    Row::value(TLS, "password-file", "FILE", "basic authentication: the file with the password", "базовая аутентификация: файл с паролем").receiver(),
    Row::value(TLS, "sasl", "scram-sha-512|scram-sha-256|plain", "how --user logs in to Kafka", "как --user входит в Kafka").receiver().default("scram-sha-512"),
    Row::value(TLS, "token-file", "FILE", "bearer authentication: the file with the token", "аутентификация bearer: файл с токеном").receiver(),
    Row::value(SPOOL, "spool-dir", "DIR", "where events are kept until delivered (default $STATE_DIRECTORY, /var/lib/gostech-audit-log, ./gostech-audit-log.spool)", "где события хранятся до доставки (по умолчанию $STATE_DIRECTORY, /var/lib/gostech-audit-log, ./gostech-audit-log.spool)"),
    Row::value(SPOOL, "instance", "NAME", "name of the database instance: in document ids and as the sub-directory (default: host name, first free sub-directory)", "имя инстанса СУБД: в идентификаторах документов и как подкаталог (по умолчанию имя хоста и первый свободный подкаталог)"),
    Row::value(SPOOL, "spool-max", "SIZE", "how large the spool may become (default 4G or a tenth of the file system, whichever is less)", "до какого размера может вырасти очередь (по умолчанию 4G или десятая часть файловой системы, что меньше)"),
    Row::value(SPOOL, "spool-full", "block|drop-newest|drop-oldest", "when it is full: let the database wait, or drop with count and audit_gap", "когда она заполнена: заставить СУБД ждать или отбрасывать с подсчётом и audit_gap").default("block"),
    Row::value(SPOOL, "spool-pack", "auto|never", "pack what waits: when a receiver has been behind for a minute, or the spool is over a quarter full", "сжимать ожидающее: когда приёмник отстаёт больше минуты или очередь заполнена больше чем на четверть").default("auto"),
    Row::value(SPOOL, "memory-max", "SIZE", "cushion between reading and the disk; as much again when the disk fails", "буфер в памяти между чтением и диском; ещё столько же при отказе диска").default("4M"),
    Row::value(SPOOL, "sync", "100ms|always|never", "when events are on the platter: soon, before more is read, or when the system likes", "когда события на диске наверняка: вскоре, до дальнейшего чтения или по усмотрению системы").default("100ms"),
    Row::value(SPOOL, "retain", "TIME", "keep delivered events so long for replay", "сколько хранить доставленные события для повтора").default("1h"),
    Row::value(SPOOL, "quarantine-max", "SIZE", "how large the file of refused events of a receiver may become", "до какого размера может вырасти файл отвергнутых событий приёмника").receiver().default("64M"),
    Row::value(RECORDS, "cluster", "NAME", "name of the cluster: in document ids and in every event", "имя кластера: в идентификаторах документов и в каждом событии"),
    Row::value(RECORDS, "event-max", "SIZE", "longer records are delivered in pieces", "более длинные записи доставляются по частям").default("1M"),
    Row::value(EVIDENCE, "seal", "DIR", "hash and sign the trail, so that the public key tells what was altered or removed on its way; keys and checkpoints are here (`seal init` makes it)", "хешировать и подписывать журнал, чтобы по открытому ключу видеть изменённое и удалённое; здесь ключи и контрольные точки (создаёт `seal init`)"),
    Row::value(EVIDENCE, "seal-hash", "sha256|streebog256", "what is hashed with; streebog256 (GOST R 34.11-2012) takes ten times the work", "чем хешировать; streebog256 (ГОСТ Р 34.11-2012) требует в десять раз больше вычислений").default("sha256"),
    Row::value(EVIDENCE, "seal-key-life", "TIME", "how long a key signs; the next one is named in its last checkpoint, then it is erased", "сколько служит ключ подписи; следующий указывается в его последней контрольной точке, после чего ключ стирается").default("1d"),
    Row::value(EVIDENCE, "seal-copy", "FILE|journald:", "append each signed checkpoint to this file as well, or send it to the journal: a copy out of reach of who takes the directory of --seal", "дописывать каждую подписанную контрольную точку и в этот файл или в журнал systemd: копия вне досягаемости того, кто захватит каталог --seal").repeat(),
    Row::value(EVIDENCE, "seal-sign", "CMD", "a second signature by this command (split at blanks, no shell): the body of a checkpoint is its input, a signature line of a note its output", "вторая подпись этой командой (делится по пробелам, без оболочки): на входе тело контрольной точки, на выходе строка подписи"),
    Row::value(RUNNING, "drain", "TIME", "how long to go on delivering after the end of input", "сколько продолжать доставку после конца ввода").default("10s"),
    Row::value(RUNNING, "on-alarm", "CMD", "run this on an alarm and at its end (split at blanks, no shell; what is the matter is in GOSTECH_ALARM and the variables beside it)", "запускать при тревоге и при её окончании (делится по пробелам, без оболочки; что случилось — в GOSTECH_ALARM и соседних переменных)"),
    Row::value(RUNNING, "alarm-repeat", "TIME", "what lasts is told again after this; 0s: once", "через сколько сообщать о продолжающемся снова; 0s: один раз").default("1h"),
    Row::switch(RUNNING, "no-confinement", "do not restrict the files and system calls of the worker; for kernels and containers that mishandle it", "не ограничивать файлы и системные вызовы рабочего процесса; для ядер и контейнеров, где это мешает работе"),
    Row::value(RUNNING, "type", sources::NAMES, sources::HELP.en, sources::HELP.ru).default("pipe"),
    Row::value(RUNNING, "filename", "FILE", "the log that --type file follows (default audit.log), or the FIFO or socket that others write to", "журнал, который читает --type file (по умолчанию audit.log), либо именованный канал или сокет, в который пишут другие"),
    Row::value(RUNNING, "old-dir", "DIR", "where rotations put older files of that log, when it is not beside it (`olddir` of logrotate)", "куда ротация складывает старые файлы этого журнала, если не рядом с ним (`olddir` в logrotate)"),
    Row::value(RUNNING, "read-from", "start|end", "where reading of a log begins that was never read before; on the command line also --from", "откуда начинать чтение журнала, который ещё не читался; в командной строке также --from").default("start"),
    Row::value(RUNNING, "journal-match", "MATCH", "--type journal: only entries that match, as journalctl takes it: _COMM=picodata, --unit=picodata@i1", "--type journal: только подходящие записи, в виде, который понимает journalctl: _COMM=picodata, --unit=picodata@i1").repeat(),
    Row::value(RUNNING, "socket", "dgram|stream", "--type unix: messages, as the database and syslog send them, or lines over connections", "--type unix: сообщения, как их шлют СУБД и syslog, или строки по соединениям").default("dgram"),
    Row::value(RUNNING, "socket-mode", "MODE", "mode of the FIFO or socket that is made for others to write to", "права создаваемого канала или сокета, в который пишут другие").default("660"),
    Row::switch(RUNNING, "once", "read a log to its end, older files of it first, deliver as long as receivers take, and end", "прочитать журнал до конца, сначала более старые его файлы, доставлять, пока приёмники берут, и завершиться"),
    Row::value(SEEING, "metrics-addr", "ADDR", "serve /metrics and a status page here: host:port or unix:/path (default: nowhere)", "отдавать /metrics и страницу состояния здесь: хост:порт или unix:/путь (по умолчанию нигде)"),
    Row::value(SEEING, "log-level", "error|warn|info|debug", "what to write to stderr", "что писать в stderr").default("info"),
    Row::switch(SEEING, "debug", "the same as --log-level debug", "то же, что --log-level debug"),
    Row::switch(TOOLS, "json", "print JSON", "печатать JSON").only_in(&["status", "spool verify", "quarantine list", "seal verify"]).only_flag(),
    Row::switch(TOOLS, "watch", "show the status page in the terminal, drawn anew each second", "показывать страницу состояния в терминале, обновляя каждую секунду").only_in(&["status"]).only_flag(),
    Row::switch(TOOLS, "send", "deliver a test event to every receiver", "доставить каждому приёмнику проверочное событие").only_in(&["check"]).only_flag(),
    Row::value(TOOLS, "as", "USER", "root checks with the rights of this user (default: the owner of the spool)", "root проверяет с правами этого пользователя (по умолчанию — владельца очереди)").only_in(&["check"]).only_flag(),
    Row::switch(TOOLS, "apply", "do it, after a backup; without it, only say what would be done", "сделать это, после резервной копии; без него только сказать, что было бы сделано").only_in(&["spool repair"]).only_flag(),
    Row::value(TOOLS, "from", "ID", "the first event: its id (1.0.26) or whole document id", "первое событие: его id (1.0.26) или полный идентификатор документа").only_in(&["spool replay", "spool export"]).only_flag().elsewhere("read-from"),
    Row::value(TOOLS, "to", "ID", "the last event, included", "последнее событие, включительно").only_in(&["spool replay", "spool export"]).only_flag(),
    Row::value(TOOLS, "by", "NAME", "the helper that delivers them, by the name of its sub-directory (default: that from which they come); without --from and --to: all that waits", "модуль, который их доставит, по имени его подкаталога (по умолчанию тот, откуда события); без --from и --to — все ожидающие").only_in(&["spool replay"]).only_flag(),
    Row::value(TOOLS, "key", "FILE|KEY", "the public key that `seal init` has printed, or a file with such keys, one a line", "открытый ключ, который напечатал `seal init`, или файл с такими ключами, по одному в строке").only_in(&["seal verify"]).only_flag().repeat(),
    Row::value(TOOLS, "export", "FILE", "what is to be verified: JSON lines as they were delivered, or hits of Elasticsearch, in any order; `-`: standard input", "что проверять: строки JSON, как они доставлены, или записи Elasticsearch, в любом порядке; `-` — стандартный ввод").only_in(&["seal verify"]).only_flag().repeat(),
    Row::value(TOOLS, "checkpoints", "FILE", "checkpoints that were kept elsewhere: a copy of `checkpoints` in the directory of --seal", "контрольные точки, сохранённые отдельно: копия файла `checkpoints` из каталога --seal").only_in(&["seal verify"]).only_flag().repeat(),
    Row::value(TOOLS, "receiver", "NAME", "whose export it is: what its filter kept back and what it refused is not missing", "чей это экспорт: отсеянное его фильтром и отвергнутое им не считается пропавшим").only_in(&["seal verify"]).only_flag(),
    Row::value(TOOLS, "ignore", "FIELD", "a field that a pipeline adds to events; known ones (host, tags, @version…) are ignored already", "поле, которое добавляет конвейер; известные (host, tags, @version…) не учитываются и так").only_in(&["seal verify"]).only_flag().repeat(),
    Row::value(TOOLS, "temp", "DIR", "where what does not fit memory is put in order (default $TMPDIR, /tmp)", "где упорядочивать то, что не помещается в памяти (по умолчанию $TMPDIR, /tmp)").only_in(&["seal verify"]).only_flag(),
];

static COMMANDS: &[Command] = &[
    Command {
        name: &["status"],
        operands: "",
        help: "show backlog, receivers and their last answers",
        help_ru: "показать очередь, приёмники и их последние ответы",
    },
    Command {
        name: &["top"],
        operands: "",
        help: "the same as status --watch",
        help_ru: "то же, что status --watch",
    },
    Command {
        name: &["check"],
        operands: "",
        help: "check options, files and receivers",
        help_ru: "проверить параметры, файлы и приёмники",
    },
    Command {
        name: &["spool", "verify"],
        operands: "[DIR]",
        help: "check every record, cursor and state of the spool (the helper may run)",
        help_ru: "проверить каждую запись, курсор и состояние очереди (программа может работать)",
    },
    Command {
        name: &["spool", "export"],
        operands: "[DIR]",
        help: "print the events of the spool as JSON lines, as they are delivered",
        help_ru: "напечатать события очереди строками JSON, как они доставляются",
    },
    Command {
        name: &["spool", "repair"],
        operands: "[DIR]",
        help: "say how to make a damaged spool clean; with --apply do it (only while no helper runs)",
        help_ru:
            "сказать, как исправить повреждённую очередь; с --apply — исправить (только когда программа остановлена)",
    },
    Command {
        name: &["spool", "replay"],
        operands: "[DIR]",
        help: "deliver the events from --from to --to again, with the same document ids (the helper may run); with --by those of a helper that is gone",
        help_ru: "доставить события от --from до --to ещё раз, с теми же идентификаторами (программа может работать); с --by — события модуля, которого больше нет",
    },
    Command {
        name: &["spool", "forget"],
        operands: "NAME",
        help: "forget a receiver that is no longer configured, and what is kept for it (the helper may run)",
        help_ru: "забыть приёмник, которого больше нет в настройках, и хранимое для него (программа может работать)",
    },
    Command {
        name: &["seal", "init"],
        operands: "",
        help: "make the directory of --seal with its first key, and print the public key, which the auditor keeps",
        help_ru: "создать каталог --seal с первым ключом и напечатать открытый ключ, который хранит аудитор",
    },
    Command {
        name: &["seal", "verify"],
        operands: "",
        help: "say which events of an export are authentic, altered, inserted or removed",
        help_ru: "сказать, какие события экспорта подлинны, изменены, вставлены или удалены",
    },
    Command {
        name: &["quarantine", "list"],
        operands: "[NAME]",
        help: "show refused events and the answers",
        help_ru: "показать отвергнутые события и ответы",
    },
    Command {
        name: &["quarantine", "retry"],
        operands: "[NAME]",
        help: "deliver refused events once more, each to the receiver that refused it",
        help_ru: "доставить отвергнутые события ещё раз, каждое отвергнувшему его приёмнику",
    },
];

/// The program.
pub static PROGRAM: Program = Program {
    name: "gostech-audit-log",
    version: env!("CARGO_PKG_VERSION"),
    date: "2026-11-21",
    about: text(
        "delivers the audit log of Picodata, losing nothing and not making the database wait",
        "доставляет журнал аудита Picodata, ничего не теряя и не заставляя СУБД ждать",
    ),
    usage: &["--url URL [OPTION]...", "COMMAND [OPTION]..."],
    commands: COMMANDS,
    groups: GROUPS,
    rows: ROWS,
    env_prefix: "GOSTECH_AUDIT_",
    config: "/etc/gostech/gostech-audit-log.conf",
    description: &[
        text(
            "Reads security events from standard input, one JSON object a line, as Picodata writes them to a program started with --audit='| COMMAND'. Each event is put on disk (the spool) and delivered from there to every receiver, at least once and in order, with a document id that never changes, so that a repeat can be told.",
            "Читает события безопасности со стандартного ввода, по объекту JSON в строке, как их пишет Picodata программе, запущенной через --audit='| КОМАНДА'. Каждое событие кладётся на диск (в очередь) и оттуда доставляется каждому приёмнику, хотя бы раз и по порядку, с неизменным идентификатором документа, по которому виден повтор.",
        ),
        text(
            "Three processes work: a keeper, which holds the input open; a worker, which does the rest, confined to the files and system calls it needs, and is started again at once when it dies; and a stand-in, which waits to take the keeper's place. What is wrong with the world (receiver, name service, certificates, disk) never ends the program. Options of delivery and TLS that stand before the first --url are defaults for all receivers; behind a --url they speak of that receiver.",
            "Работают три процесса: хранитель (keeper) держит ввод открытым; рабочий процесс (worker) делает остальное, ограничен нужными ему файлами и системными вызовами и, если умирает, тут же запускается снова; запасной (stand-in) ждёт, чтобы занять место хранителя. Внешние неполадки (приёмник, DNS, сертификаты, диск) программу не завершают. Параметры доставки и TLS перед первым --url действуют для всех приёмников; после --url они относятся к этому приёмнику.",
        ),
    ],
    environment: &[
        ("STATE_DIRECTORY", text("where the spool is when --spool-dir is not given (set by systemd)", "где находится очередь, если не указан --spool-dir (задаёт systemd)")),
        ("JOURNAL_STREAM", text("when it names stderr, as systemd sets it, lines begin with the priority that journald reads", "если она указывает на stderr, как её задаёт systemd, строки начинаются с приоритета, который читает journald")),
        ("HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY", text("the proxy, unless --proxy is given", "прокси, если не указан --proxy")),
        ("GOSTECH_ALARM", text("for the command of --on-alarm: what is the matter, in words", "для команды --on-alarm: что случилось, словами")),
        ("GOSTECH_ALARM_ID", text("the kind, as listed under ALARMS", "вид, как в разделе «ТРЕВОГИ»")),
        ("GOSTECH_ALARM_STATE", text("`firing`, or `resolved` when what was told is over", "`firing` или `resolved`, когда то, о чём сообщалось, кончилось")),
        ("GOSTECH_ALARM_GRAVITY", text("`critical` or `warning`", "`critical` или `warning`")),
        ("GOSTECH_ALARM_ABOUT", text("what it is about: `spool`, `receiver r1`", "о чём речь: `spool`, `receiver r1`")),
        ("GOSTECH_ALARM_SINCE", text("since when (RFC 3339)", "с какого времени (RFC 3339)")),
    ],
    sections: &[
        Section {
            title: text("RECEIVERS", "ПРИЁМНИКИ"),
            intro: text(
                "What --url takes. A receiver is asked for an acknowledgement, and events are kept until it has come; where its protocol has none it is marked *, and what such a receiver had not worked off when it died is lost.",
                "Что принимает --url. От приёмника ждут подтверждения, и до него события хранятся; протоколы без подтверждения помечены *: что такой приёмник не успел обработать до своей гибели, потеряно.",
            ),
            rows: &transport::FOR_DOCUMENTS,
        },
        Section {
        title: text("ALARMS", "ТРЕВОГИ"),
        intro: text(
            "The command of --on-alarm is called for these, the gravest first and one at a time. One that is over before anybody was told is not told; of those marked * the end is told as well, and they are told again after --alarm-repeat. One matter calls it once a minute at most. A command that fails is logged, one that takes longer than 50 s is ended.",
            "Команда --on-alarm вызывается для этих тревог, сначала самые тяжёлые, по одной. Если тревога кончилась раньше, чем о ней сообщено, о ней не сообщается; об окончании отмеченных * сообщается тоже, и пока они длятся, сообщение повторяется через --alarm-repeat. Об одном и том же — не чаще раза в минуту. Неудача команды пишется в журнал, команда дольше 50 с завершается.",
        ),
        rows: &crate::audit::alarm::FOR_DOCUMENTS,
    },
    ],
    files: &[("/var/lib/gostech-audit-log", text("the spool, by default", "очередь, по умолчанию"))],
    signals: &[
        ("SIGTERM, SIGINT", text("reading goes on to the end of input, because the database writes its last events after the signal; then what is left is delivered for --drain, and the rest stays in the spool", "чтение продолжается до конца ввода, так как последние события СУБД пишет после сигнала; затем оставшееся доставляется в течение --drain, а недоставленное остаётся в очереди")),
        ("SIGHUP", text("to any of the three processes: the whole configuration is read again (file, arguments, environment) and put in force by a new worker, without a loss; one with a fault is refused whole, and the old one stays in force. Certificates and secrets are read again, receivers are tried at once. --spool-dir, --instance, --cluster, --memory-max and --no-confinement need a restart of the instance", "любому из трёх процессов: вся конфигурация читается заново (файл, аргументы, окружение) и вводится в действие новым рабочим процессом без потерь; конфигурация с ошибкой отвергается целиком, действует прежняя. Сертификаты и секреты читаются заново, приёмники пробуются сразу. Для --spool-dir, --instance, --cluster, --memory-max и --no-confinement нужен перезапуск инстанса")),
        ("SIGKILL", text("one of the three processes that is killed is replaced, and nothing is lost; when all three are killed at once, the audit trail ends until the database is restarted", "если убит один из трёх процессов, он заменяется и ничего не теряется; если все три убиты одновременно, журнал аудита прерывается до перезапуска СУБД")),
        signals::ALL_OTHERS,
    ],
    exit_status: &[
        ("0", text("nothing was lost; what is not delivered yet is in the spool", "ничего не потеряно; недоставленное лежит в очереди")),
        ("1", text("something was lost, and it was counted and said; or a command found something wrong", "что-то потеряно, это сосчитано и сказано; или команда нашла неладное")),
        ("2", text("usage: an unknown option, a value that cannot be read; standard input was not touched", "ошибка вызова: неизвестный параметр, нечитаемое значение; стандартный ввод не тронут")),
        ("3", text("`seal verify` cannot tell from what it was given", "`seal verify` не может судить по тому, что дано")),
    ],
    examples: &[
        ("picodata run --audit='| exec gostech-audit-log --url https://example.com'", text("deliver the audit log to Logstash", "доставлять журнал аудита в Logstash")),
        ("gostech-audit-log check --send --url https://example.com", text("see whether a receiver takes events", "проверить, принимает ли приёмник события")),
        ("gostech-audit-log status", text("see what is waiting and why", "увидеть, что ждёт и почему")),
    ],
    see_also: &["gostech-metrics(1)", "logger(1)", "systemd.exec(5)"],
    version_lines: crate::guard::version_lines,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert_eq!(crate::flags::check::complaints(&PROGRAM), Vec::<String>::new());
    }
}
