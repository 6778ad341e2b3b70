//! The table of options ○: what `--help`, the man page, completions, the READMEs and the configuration file are made of.

use crate::flags::{signals, text, Program, Row, Section, Text};
use crate::metrics::push;

/// The database's own variable for the file of the password of `pico_service`.
pub const SERVICE_FILE: &str = "PICODATA_SERVICE_PASSWORD_FILE";

const DATABASE: Text = text("Database", "База данных");
const SOURCE: Text = text("Source", "Источник");
const PAGE: Text = text("Page", "Страница");
const PUSH: Text = text("Push", "Отправка");
const ONCE: Text = text("One-shot", "Разовый запуск");

/// The program.
pub static PROGRAM: Program = Program {
    name: "gostech-metrics",
    version: env!("CARGO_PKG_VERSION"),
    date: "2026-11-21",
    about: text("metrics of Picodata and Tarantool for Prometheus", "метрики Picodata и Tarantool для Prometheus"),
    usage: &["[options]"],
    commands: &[],
    groups: &[DATABASE, SOURCE, PAGE, PUSH, ONCE],
    rows: ROWS,
    env_prefix: "GOSTECH_METRICS_",
    config: "/etc/gostech/gostech-metrics.conf",
    description: &[
        text(
            "Asks an instance over iproto, at most once a `--min-interval` and only when someone asks for the page, and \
             serves what it says on `/metrics`, strictly written; `/` is a status page for people. When the instance cannot be asked, the page says so: \
             `picodata_up 0` and the reason.",
            "Опрашивает инстанс по iproto не чаще `--min-interval` и только когда страницу запрашивают, и отдаёт \
             результат на `/metrics` в строгом виде; `/` — страница состояния для людей. Если инстанс недоступен, страница сообщает об этом: \
             `picodata_up 0` и причину.",
        ),
        text(
            "What can be seen depends on the user: `--check` says what this one sees and what a grant would add.",
            "Набор метрик зависит от прав пользователя: `--check` сообщает, что видно сейчас и что добавят права.",
        ),
    ],
    environment: &[
        (
            "CREDENTIALS_DIRECTORY",
            text(
                "the file `password` in it is read when no other password is given",
                "файл `password` в этом каталоге читается, если пароль не задан иначе",
            ),
        ),
        (
            "STATE_DIRECTORY",
            text(
                "where it is counted how often a password was tried, for all runs together",
                "здесь считаются попытки входа, вместе для всех запусков",
            ),
        ),
        (
            "NOTIFY_SOCKET",
            text("systemd is told when the page is served", "systemd получает уведомление о готовности"),
        ),
    ],
    sections: &[Section {
        title: text("OUTLETS", "ПОЛУЧАТЕЛИ"),
        intro: text(
            "What --push takes. The numbers that waited while one of those marked * was down are sent in order, with their \
             times; the others have no times, and get the newest.",
            "Что принимает --push. Значения, которые ждали, пока один из отмеченных * был недоступен, отправляются по \
             порядку со своим временем; в остальных протоколах времени нет, и отправляются последние.",
        ),
        rows: &push::FOR_DOCUMENTS,
    }],
    files: &[],
    signals: &[
        ("SIGTERM, SIGINT", text("the program ends at once", "программа сразу завершается")),
        (
            "SIGHUP",
            text(
                "the whole configuration is read again; with a fault it is refused whole. What the database refused is tried \
                 again",
                "вся конфигурация перечитывается; с ошибкой отвергается целиком. Отказы базы проверяются снова",
            ),
        ),
        (
            "SIGKILL",
            text("the program is gone; its unit starts it again", "программа завершена; её юнит запускает её снова"),
        ),
        signals::ALL_OTHERS,
    ],
    exit_status: &[
        ("0", text("ended as asked", "штатное завершение")),
        ("1", text("`--once`, `--check`: the database could not be asked; `--check`: a fault", "`--once`, `--check`: база недоступна; `--check`: ошибка")),
        ("2", text("a wrong option", "ошибка в параметрах")),
    ],
    examples: &[
        (
            "gostech-metrics --host localhost --port 3301 --username pico_service --password-file .picodata-cookie \
             --addr localhost:4401",
            text("serve everything the built-in page has", "отдавать всё, что есть на встроенной странице"),
        ),
        (
            "gostech-metrics --username mon --password-file /etc/gostech/mon.password --check",
            text("say what this user can see", "показать, что видно этому пользователю"),
        ),
    ],
    see_also: &["gostech-audit-log(1)", "prometheus(1)"],
    version_lines: crate::guard::version_lines,
};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row::value(DATABASE.en, "host", "HOST", "name or address of the instance", "имя или адрес инстанса").default("localhost"),
    Row::value(DATABASE.en, "port", "PORT", "its iproto port", "порт iproto").default("3301"),
    Row::value(DATABASE.en, "socket", "FILE", "its unix socket, instead of host and port", "unix-сокет инстанса вместо адреса и порта"),
    Row::value(DATABASE.en, "username", "NAME", "log in as this user", "имя пользователя").short('u').default("pico_service"),
    Row::value(DATABASE.en, "password", "TEXT", "the password; `--password-file` keeps it out of `ps`", "пароль; с `--password-file` его не видно в `ps`").secret(),
    Row::value(DATABASE.en, "password-file", "FILE", "file with the password, for example `.picodata-cookie`; read again at each reconnect", "файл с паролем, например `.picodata-cookie`; перечитывается при каждом подключении")
        .aliases(&["service-password-file"]).env_also(&[SERVICE_FILE]),
    Row::value(DATABASE.en, "auth-method", "auto|chap-sha1|md5|ldap", "how to log in; named, a wrong password costs one try of the four that lock an account, with auto two", "метод входа; если назван, неверный пароль стоит одной попытки из четырёх до блокировки, с auto — двух").default("auto"),
    Row::switch(DATABASE.en, "ldap-in-clear", "send an LDAP password also where others can read along", "передавать пароль LDAP и по открытому каналу"),
    Row::switch(DATABASE.en, "tls-auth", "speak mutual TLS with the instance", "взаимный TLS с инстансом").env_also(&["PICODATA_IPROTO_TLS_AUTH"]),
    Row::value(DATABASE.en, "tls-ca", "FILE", "trust this authority alone", "доверять только этому удостоверяющему центру").env_also(&["PICODATA_IPROTO_TLS_CA"]),
    Row::value(DATABASE.en, "tls-cert", "FILE", "our certificate", "наш сертификат").env_also(&["PICODATA_IPROTO_TLS_CERT"]),
    Row::value(DATABASE.en, "tls-key", "FILE", "its private key", "закрытый ключ сертификата").env_also(&["PICODATA_IPROTO_TLS_KEY"]),
    Row::value(DATABASE.en, "tls-server-name", "NAME", "the name in the instance's certificate, if it is not the host", "имя в сертификате инстанса, если оно не совпадает с адресом"),
    Row::value(DATABASE.en, "timeout", "TIME", "for each phase: connection, handshake, login, each answer", "на каждый этап: соединение, TLS, вход, каждый ответ").default("5s"),
    Row::value(SOURCE.en, "source", "auto|full|function|least|tarantool", "where the numbers come from; auto goes by what the user may do", "откуда брать метрики; auto выбирает по правам пользователя").default("auto"),
    Row::value(SOURCE.en, "function", "NAME", "call these setuid functions of the administrator; several, or commas between them", "вызывать эти setuid-функции администратора; несколько или через запятую").repeat(),
    Row::switch(SOURCE.en, "discover", "ask every instance of the cluster, not this one alone; each sample has instance_name, replicaset and tier", "опрашивать все инстансы кластера, а не только этот; у каждого значения есть instance_name, replicaset и tier"),
    Row::value(SOURCE.en, "without", "PART", "do not ask for: instances, addresses, tables, spaces, fibers, luajit", "не запрашивать: instances, addresses, tables, spaces, fibers, luajit").repeat(),
    Row::value(SOURCE.en, "only", "PREFIX", "only families that begin so", "только семейства с таким началом имени").repeat(),
    Row::value(SOURCE.en, "skip", "PREFIX", "no families that begin so", "без семейств с таким началом имени").repeat(),
    Row::value(SOURCE.en, "query-file", "FILE", "own SELECTs as metrics: `[name]`, then `sql = SELECT …`, `labels`, `value`, `help`, `kind`, `interval`, `timeout`, `rows`", "свои SELECT как метрики: `[имя]`, затем `sql = SELECT …`, `labels`, `value`, `help`, `kind`, `interval`, `timeout`, `rows`").repeat(),
    Row::value(SOURCE.en, "label", "NAME=TEXT", "a label for every sample that has none of this name", "метка для всех значений, у которых её ещё нет").repeat(),
    Row::value(PAGE.en, "addr", "ADDRESS", "serve on host:port, [::]:port or unix:/path[,mode=0660]; not read with socket activation", "отдавать на host:port, [::]:port или unix:/path[,mode=0660]; не нужен при активации сокета").repeat().default("127.0.0.1:4401"),
    Row::value(PAGE.en, "unix-socket", "FILE", "as mtail: --addr unix:FILE", "как в mtail: --addr unix:FILE").aliases(&["unix_socket"]).hidden(),
    Row::value(PAGE.en, "probe", "ADDRESS", "let `/probe?target=ADDRESS` ask this one too, or all that --discover finds: `discovered`", "разрешить `/probe?target=ADDRESS` для этого адреса или для всех, кого нашёл --discover: `discovered`").repeat(),
    Row::value(PAGE.en, "min-interval", "TIME", "polls are not closer together than this", "опрашивать не чаще").default("1s"),
    Row::value(PAGE.en, "poll-interval", "TIME", "poll also unasked, this often; 0: only when the page is asked for", "опрашивать и без запросов с этим периодом; 0: только по запросу").default("0"),
    Row::value(PAGE.en, "scrape-timeout-offset", "TIME", "answer this much before the scraper's own timeout", "отвечать на столько раньше, чем истечёт время у сборщика").default("500ms"),
    Row::value(PAGE.en, "web-tls-cert", "FILE", "serve HTTPS with this certificate", "отдавать по HTTPS с этим сертификатом"),
    Row::value(PAGE.en, "web-tls-key", "FILE", "its private key", "закрытый ключ сертификата"),
    Row::value(PAGE.en, "web-client-ca", "FILE", "only visitors with a certificate of this authority", "только клиенты с сертификатом этого центра"),
    Row::value(PAGE.en, "web-users", "FILE", "only these visitors: lines of `name:bcrypt`, as `htpasswd -B` writes them", "только эти клиенты: строки `имя:bcrypt`, как их пишет `htpasswd -B`"),
    Row::switch(PAGE.en, "no-confinement", "do not restrict files and system calls; for kernels and containers that mishandle it", "не ограничивать файлы и системные вызовы; для ядер и контейнеров, где это мешает работе"),
    Row::value(PAGE.en, "log-level", "error|warn|info|debug", "what is logged", "подробность журнала").default("info"),
    Row::value(PUSH.en, "push", "URL", "send the numbers there, besides the page; several times: see OUTLETS", "отправлять значения сюда, помимо страницы; несколько раз: см. «ПОЛУЧАТЕЛИ»").opens().secret(),
    Row::value(PUSH.en, "push-prefix", "TEXT", "what stands before every name there", "что стоит перед каждым именем").receiver(),
    Row::value(PUSH.en, "push-interval", "TIME", "how often", "как часто").default("10s").aliases(&["metric_push_interval"]),
    Row::value(PUSH.en, "push-deadline", "TIME", "how long one push may take", "сколько может длиться одна отправка").default("10s").aliases(&["metric_push_write_deadline"]),
    Row::value(PUSH.en, "graphite-host-port", "HOST:PORT", "as mtail: --push graphite://HOST:PORT", "как в mtail: --push graphite://HOST:PORT").aliases(&["graphite_host_port"]).hidden(),
    Row::value(PUSH.en, "graphite-prefix", "TEXT", "as mtail: its --push-prefix", "как в mtail: его --push-prefix").aliases(&["graphite_prefix"]).hidden(),
    Row::value(PUSH.en, "statsd-hostport", "HOST:PORT", "as mtail: --push statsd://HOST:PORT", "как в mtail: --push statsd://HOST:PORT").aliases(&["statsd_hostport"]).hidden(),
    Row::value(PUSH.en, "statsd-prefix", "TEXT", "as mtail: its --push-prefix", "как в mtail: его --push-prefix").aliases(&["statsd_prefix"]).hidden(),
    Row::value(PUSH.en, "collectd-socketpath", "FILE", "as mtail: --push collectd+unix://FILE", "как в mtail: --push collectd+unix://FILE").aliases(&["collectd_socketpath"]).hidden(),
    Row::value(PUSH.en, "collectd-prefix", "TEXT", "as mtail: its --push-prefix", "как в mtail: его --push-prefix").aliases(&["collectd_prefix"]).hidden(),
    Row::value(PUSH.en, "push-buffer", "N", "so many pages wait for one that is down, then the oldest go; where a protocol has no times only the newest waits", "столько страниц ждёт недоступного получателя, затем отбрасываются самые старые; если в протоколе нет времени, ждёт только последняя").default("64"),
    Row::value(PUSH.en, "push-user", "NAME", "basic authentication there: the user", "базовая аутентификация: пользователь").receiver(),
    Row::value(PUSH.en, "push-password-file", "FILE", "the file with its password", "файл с его паролем").receiver(),
    Row::value(PUSH.en, "push-token-file", "FILE", "the file with the token", "файл с токеном").receiver(),
    Row::value(PUSH.en, "push-tls-ca", "FILE", "trust this authority there instead of the system's", "доверять этому центру вместо системных").receiver(),
    Row::value(PUSH.en, "push-tls-cert", "FILE", "our certificate there", "наш сертификат").receiver(),
    Row::value(PUSH.en, "push-tls-key", "FILE", "its private key (default: in the same file)", "его закрытый ключ (по умолчанию в том же файле)").receiver(),
    Row::switch(ONCE.en, "once", "print the page and end", "напечатать страницу и завершиться"),
    Row::switch(ONCE.en, "watch", "show the status page in the terminal, drawn anew each second", "показывать страницу состояния в терминале, обновляя каждую секунду"),
    Row::switch(ONCE.en, "check", "say what this user can see, what a grant would add, what is wrong with the page, and whether each outlet takes it", "сообщить, что видно этому пользователю, что добавят права, что не так со страницей и принимает ли её каждый получатель"),
    Row::value(ONCE.en, "format", "prometheus|openmetrics|influx|graphite|json|varz", "the format of `--once` and of `stdout:`", "формат для `--once` и `stdout:`").default("prometheus"),
];
