//! The options of `gostech-metrics`: the table, and what a call comes to.
//!
//! Refuses: two passwords, a source that needs what was not given; reads no file but through `Secret` later on.

use super::asker;
use super::login::Login;
use super::render::{self, Render};
use super::rules::Rules;
use super::source::{Grade, Wishes, PARTS};
use crate::error::Result;
use crate::flags::{self, signals, text, value, Item, Outcome, Parsed, Place as Where, Program, Row, Text};
use crate::iproto::auth::Method;
use crate::limits;
use crate::log::Level;
use crate::net::address::Address;
use crate::net::dial::Dial;
use crate::net::secret::Secret;
use crate::net::target::Place;
use crate::net::tls;
use crate::net::verdict::Names;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const DATABASE: Text = text("Database", "База данных");
const SOURCE: Text = text("Source", "Источник");
const PAGE: Text = text("Page", "Страница");
const ONCE: Text = text("One-shot", "Разовый запуск");

/// The program.
pub static PROGRAM: Program = Program {
    name: "gostech-metrics",
    version: env!("CARGO_PKG_VERSION"),
    date: "2026-11-21",
    about: text("metrics of Picodata and Tarantool for Prometheus", "метрики Picodata и Tarantool для Prometheus"),
    usage: &["[options]"],
    commands: &[],
    groups: &[DATABASE, SOURCE, PAGE, ONCE],
    rows: ROWS,
    env_prefix: "GOSTECH_METRICS_",
    config: "/etc/gostech/gostech-metrics.conf",
    description: &[
        text(
            "Asks an instance over iproto, at most once a `--min-interval` and only when someone asks for the page, and \
             serves what it says on `/metrics`, strictly written. When the instance cannot be asked, the page says so: \
             `picodata_up 0` and the reason.",
            "Опрашивает инстанс по iproto не чаще `--min-interval` и только когда страницу запрашивают, и отдаёт \
             результат на `/metrics` в строгом виде. Если инстанс недоступен, страница сообщает об этом: \
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
    sections: &[],
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
    Row::value(SOURCE.en, "without", "PART", "do not ask for: instances, addresses, tables, spaces, fibers, luajit", "не запрашивать: instances, addresses, tables, spaces, fibers, luajit").repeat(),
    Row::value(SOURCE.en, "only", "PREFIX", "only families that begin so", "только семейства с таким началом имени").repeat(),
    Row::value(SOURCE.en, "skip", "PREFIX", "no families that begin so", "без семейств с таким началом имени").repeat(),
    Row::value(SOURCE.en, "label", "NAME=TEXT", "a label for every sample that has none of this name", "метка для всех значений, у которых её ещё нет").repeat(),
    Row::value(PAGE.en, "addr", "ADDRESS", "serve on host:port, [::]:port or unix:/path[,mode=0660]; not read with socket activation", "отдавать на host:port, [::]:port или unix:/path[,mode=0660]; не нужен при активации сокета").repeat().default("127.0.0.1:4401"),
    Row::value(PAGE.en, "min-interval", "TIME", "polls are not closer together than this", "опрашивать не чаще").default("1s"),
    Row::value(PAGE.en, "poll-interval", "TIME", "poll also unasked, this often; 0: only when the page is asked for", "опрашивать и без запросов с этим периодом; 0: только по запросу").default("0"),
    Row::value(PAGE.en, "scrape-timeout-offset", "TIME", "answer this much before the scraper's own timeout", "отвечать на столько раньше, чем истечёт время у сборщика").default("500ms"),
    Row::value(PAGE.en, "web-tls-cert", "FILE", "serve HTTPS with this certificate", "отдавать по HTTPS с этим сертификатом"),
    Row::value(PAGE.en, "web-tls-key", "FILE", "its private key", "закрытый ключ сертификата"),
    Row::value(PAGE.en, "web-client-ca", "FILE", "only visitors with a certificate of this authority", "только клиенты с сертификатом этого центра"),
    Row::value(PAGE.en, "web-users", "FILE", "only these visitors: lines of `name:bcrypt`, as `htpasswd -B` writes them", "только эти клиенты: строки `имя:bcrypt`, как их пишет `htpasswd -B`"),
    Row::switch(PAGE.en, "no-confinement", "do not restrict files and system calls; for kernels and containers that mishandle it", "не ограничивать файлы и системные вызовы; для ядер и контейнеров, где это мешает работе"),
    Row::value(PAGE.en, "log-level", "error|warn|info|debug", "what is logged", "подробность журнала").default("info"),
    Row::switch(ONCE.en, "once", "print the page and end", "напечатать страницу и завершиться"),
    Row::switch(ONCE.en, "check", "say what this user can see, what a grant would add, and what is wrong with the page", "сообщить, что видно этому пользователю, что добавят права и что не так со страницей"),
    Row::value(ONCE.en, "format", "prometheus|openmetrics", "the format of `--once`", "формат для `--once`").default("prometheus"),
];

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub enum Job {
    /// Serve the page.
    Serve,
    /// Print the page.
    Once(&'static Render),
    /// Say what can be seen.
    Check,
}

/// What a call comes to.
pub struct Options {
    /// What is to be done.
    pub job: Job,
    /// The database.
    pub database: asker::Address,
    /// As whom.
    pub login: Login,
    /// What is asked for.
    pub wishes: Wishes,
    /// Where the page is served.
    pub addresses: Vec<Address>,
    /// How old a reading may be.
    pub floor: Duration,
    /// Polls unasked.
    pub interval: Option<Duration>,
    /// Kept of the scraper's patience.
    pub offset: Duration,
    /// HTTPS.
    pub web_tls: Option<tls::ServerOptions>,
    /// Basic auth.
    pub web_users: Option<PathBuf>,
    /// `--no-confinement`
    pub unconfined: bool,
    /// What is logged.
    pub level: Level,
    /// To be logged.
    pub warnings: Vec<String>,
}

/// The database's own variable for the file of the password of `pico_service`.
const SERVICE_FILE: &str = "PICODATA_SERVICE_PASSWORD_FILE";

/// Reads a call. `PICODATA_SERVICE_PASSWORD_FILE` may be inherited from the database's surroundings: it does not stand in the
/// way of a password that was meant for this program, nor is it tried for another user, whose account that could lock.
pub fn read(
    args: &[OsString],
    env: &mut Vec<(OsString, OsString)>,
    read_file: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<Outcome> {
    match flags::parse(&PROGRAM, args, env, read_file)? {
        Outcome::Run(parsed) if inherited_for_another(&parsed) => {
            flags::call::blank(parsed.items.into_iter().map(|item| item.value.into_bytes()));
            env.retain(|(name, _)| name != SERVICE_FILE);
            flags::parse(&PROGRAM, args, env, read_file)
        }
        outcome => Ok(outcome),
    }
}

fn inherited_for_another(parsed: &Parsed) -> bool {
    let inherited = parsed.get("password-file").is_some_and(|i| matches!(&i.place, Where::Env(n) if n == SERVICE_FILE));
    let own = parsed.get("password").is_some_and(|i| rank(i) >= 2);
    inherited && (own || parsed.need("username").value != "pico_service")
}

/// Makes sense of what was found. `credentials` is the file `password` of `$CREDENTIALS_DIRECTORY`, if it is there.
pub fn understand(parsed: &Parsed, credentials: Option<&Path>) -> Result<Options> {
    let mut warnings = parsed.warnings.clone();
    let named = Method::parse(value::listed(&parsed.need("auth-method"))?);
    let user = parsed.need("username");
    let user = value::nonempty(&user)?;
    let mut login = Login::new(user, password(parsed, credentials, &mut warnings)?, named);
    login.insist = parsed.is_on("ldap-in-clear");
    let second = Duration::from_secs(1);
    Ok(Options {
        job: job(parsed)?,
        database: database(parsed, &mut warnings)?,
        login,
        wishes: wishes(parsed, user)?,
        addresses: addresses(parsed)?,
        floor: floor(parsed)?,
        interval: interval(parsed)?,
        offset: value::duration_within(&parsed.need("scrape-timeout-offset"), Duration::ZERO..=60 * second)?,
        web_tls: web_tls(parsed)?,
        web_users: path(parsed, "web-users")?,
        unconfined: parsed.is_on("no-confinement"),
        level: Level::parse(value::listed(&parsed.need("log-level"))?).unwrap_or(Level::Info),
        warnings,
    })
}

fn floor(parsed: &Parsed) -> Result<Duration> {
    value::duration_within(&parsed.need("min-interval"), Duration::ZERO..=Duration::from_secs(3600))
}

/// How often to poll unasked, if at all: never more often than polls may be.
fn interval(parsed: &Parsed) -> Result<Option<Duration>> {
    let item = parsed.need("poll-interval");
    let interval = value::duration_within(&item, Duration::ZERO..=Duration::from_secs(86_400))?;
    if !interval.is_zero() && interval < floor(parsed)? {
        let floor = parsed.need("min-interval");
        return Err(item.error(format!("shorter than {} (`{}`)", floor.at(), floor.value)));
    }
    Ok(Some(interval).filter(|i| !i.is_zero()))
}

fn path(parsed: &Parsed, name: &str) -> Result<Option<PathBuf>> {
    parsed.get(name).map(value::path).transpose()
}

fn job(parsed: &Parsed) -> Result<Job> {
    let format = render::find(value::listed(&parsed.need("format"))?).unwrap_or(&render::PROMETHEUS);
    match (parsed.is_on("once"), parsed.is_on("check")) {
        (true, true) => Err(parsed.need("check").error("`--once` and `--check` are two jobs: name one")),
        (true, false) => Ok(Job::Once(format)),
        (false, true) => Ok(Job::Check),
        (false, false) => Ok(Job::Serve),
    }
}

/// How near to the call a value stands: flag, environment, file.
fn rank(item: &Item) -> u8 {
    match item.place {
        Where::Flag(_) => 3,
        Where::Env(_) => 2,
        Where::File(..) => 1,
        Where::Default(_) => 0,
    }
}

/// The nearest of `--password-file` and `--password`; systemd's credential goes before the configuration file.
fn password(parsed: &Parsed, credentials: Option<&Path>, warnings: &mut Vec<String>) -> Result<Secret> {
    let (file, literal) = (parsed.get("password-file"), parsed.get("password"));
    let near = |item: Option<&Item>| item.map_or(0, rank);
    if let (Some(file), Some(literal)) = (file, literal.filter(|_| near(file) == near(literal))) {
        return Err(file.error(format!("{} is given as well: leave one out", literal.at())));
    }
    let nearest = if near(file) > near(literal) { file } else { literal };
    if let Some(path) = credentials.filter(|_| near(nearest) < 2) {
        return Ok(Secret::file(path));
    }
    // A client certificate may let its user in with any password; whether it does is seen at the login.
    let certified = parsed.is_on("tls-auth") && parsed.get("tls-cert").is_some();
    let Some(item) = nearest else {
        if certified {
            return Ok(Secret::literal(""));
        }
        warnings.push("no password is given: trying an empty one; name it with --password-file".into());
        return Ok(Secret::literal(""));
    };
    if item.row == "password-file" {
        return Ok(Secret::file(value::path(item)?));
    }
    if item.value.is_empty() && !certified {
        warnings
            .push("the password is empty: without a password file pico_service is open to the whole network".into());
    }
    if near(Some(item)) == 3 {
        warnings.push("a password in the arguments can be seen by everyone for a moment: use --password-file".into());
    }
    Ok(Secret::literal(item.value.as_str()))
}

fn database(parsed: &Parsed, warnings: &mut Vec<String>) -> Result<asker::Address> {
    let place = match parsed.get("socket") {
        Some(item) => Place::Unix { path: value::path(item)? },
        None => tcp(parsed)?,
    };
    let options = tls::ClientOptions {
        names: Names::Database,
        ca: path(parsed, "tls-ca")?,
        system_too: false,
        certificate: path(parsed, "tls-cert")?,
        key: path(parsed, "tls-key")?,
        server_name: parsed.get("tls-server-name").map(value::nonempty).transpose()?.map(str::to_string),
    };
    if let (None, Some(key)) = (&options.certificate, parsed.get("tls-key")) {
        return Err(key.error("a private key needs its certificate: name it with --tls-cert"));
    }
    let on = parsed.is_on("tls-auth");
    if !on && (options.ca.is_some() || options.certificate.is_some() || options.key.is_some()) {
        warnings.push(
            "--tls-ca, --tls-cert and --tls-key are of no use without --tls-auth: the connection is in clear".into(),
        );
    }
    let second = Duration::from_secs(1);
    let patience = value::duration_within(&parsed.need("timeout"), second / 10..=60 * second)?;
    let tls = on.then(|| Arc::new(tls::Client::new(options)));
    Ok(asker::Address { dial: Dial { place, proxy: None, tls }, patience })
}

fn tcp(parsed: &Parsed) -> Result<Place> {
    let (host, port) = (parsed.need("host"), parsed.need("port"));
    let name = value::nonempty(&host)?;
    let name = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.:%".contains(c);
    if !name.chars().all(known) || name.len() > limits::HOST_BYTES {
        return Err(host.error("this is no host name and no address; the port goes into --port"));
    }
    Ok(Place::Net { host: name.to_string(), port: value::count(&port, 1..=65535)? as u16 })
}

/// The values of a list, also those with commas between them.
fn list(parsed: &Parsed, name: &str, most: usize) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for item in parsed.all(name) {
        for word in value::nonempty(item)?.split(',') {
            if word.is_empty() {
                return Err(item.error("an empty word between commas"));
            }
            all.push(word.to_string());
        }
        if all.len() > most {
            return Err(item.error(format!("more than {most} values")));
        }
    }
    Ok(all)
}

fn wishes(parsed: &Parsed, user: &str) -> Result<Wishes> {
    let source = parsed.need("source");
    let grade = Grade::parse(value::listed(&source)?);
    let functions = list(parsed, "function", limits::METRICS_FUNCTIONS)?;
    if grade == Some(Grade::Function) && functions.is_empty() {
        return Err(source.error("`function` needs the name of one: --function mon.metrics"));
    }
    let without = list(parsed, "without", PARTS.len())?;
    if let (Some(bad), Some(item)) = (without.iter().find(|p| !PARTS.contains(&p.as_str())), parsed.get("without")) {
        return Err(item.error(format!("`{}` is none of {}", bad.escape_debug(), PARTS.join(", "))));
    }
    let rules = Rules {
        only: list(parsed, "only", limits::METRICS_RULES)?,
        skip: list(parsed, "skip", limits::METRICS_RULES)?,
        constants: labels(parsed)?,
    };
    Ok(Wishes { user: user.into(), grade, functions, without, rules })
}

fn labels(parsed: &Parsed) -> Result<Vec<(String, String)>> {
    let mut labels: Vec<(String, String)> = Vec::new();
    for item in parsed.all("label") {
        let (name, text) = item.value.split_once('=').ok_or_else(|| item.error("write it as name=text"))?;
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && !name.starts_with("__");
        if !begins || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(item.error("a label's name is letters, digits and `_`, not first a digit or `__`"));
        }
        if labels.iter().any(|(n, _)| n == name) || ["le", "quantile"].contains(&name) {
            return Err(item.error(format!("the label `{name}` is there twice, or has a meaning of its own")));
        }
        labels.push((name.to_string(), text.to_string()));
    }
    match parsed.all("label").get(limits::METRICS_RULES) {
        Some(item) => Err(item.error(format!("more than {} labels", limits::METRICS_RULES))),
        None => Ok(labels),
    }
}

fn addresses(parsed: &Parsed) -> Result<Vec<Address>> {
    let mut all: Vec<Item> = parsed.all("addr").into_iter().cloned().collect();
    if all.is_empty() {
        all.push(parsed.need("addr"));
    }
    if let Some(item) = all.get(limits::METRICS_ADDRESSES) {
        return Err(item.error(format!("more than {} addresses", limits::METRICS_ADDRESSES)));
    }
    all.iter().map(|item| Address::parse(&item.value).map_err(|e| item.error(e))).collect()
}

fn web_tls(parsed: &Parsed) -> Result<Option<tls::ServerOptions>> {
    let (key, client_ca) = (path(parsed, "web-tls-key")?, path(parsed, "web-client-ca")?);
    match path(parsed, "web-tls-cert")? {
        Some(certificate) => Ok(Some(tls::ServerOptions { certificate, key, client_ca })),
        None => match parsed.get("web-tls-key").or(parsed.get("web-client-ca")) {
            Some(alone) => Err(alone.error("needs `--web-tls-cert`: pages without TLS have no use for it")),
            None => Ok(None),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::check;

    fn parsed(args: &[&str], env: &[(&str, &str)], file: &str) -> Result<Parsed> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let mut env: Vec<_> = env.iter().map(|(n, v)| (OsString::from(n), OsString::from(v))).collect();
        let read = |_: &Path| {
            let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
            if file.is_empty() {
                Err(missing)
            } else {
                Ok(file.as_bytes().to_vec())
            }
        };
        match super::read(&args, &mut env, &read)? {
            Outcome::Run(parsed) => Ok(parsed),
            Outcome::Print(_) => panic!("printed"),
        }
    }

    fn options(args: &[&str]) -> Result<Options> {
        understand(&parsed(args, &[], "")?, None)
    }

    #[test]
    fn the_table_is_sound() {
        assert_eq!(check::complaints(&PROGRAM), Vec::<String>::new());
    }

    #[test]
    fn the_documented_command_and_the_defaults() {
        let o = options(&[
            "--host",
            "localhost",
            "--port",
            "3301",
            "--username",
            "pico_service",
            "--password",
            "T0psecret",
            "--addr",
            "localhost:4401",
        ])
        .unwrap();
        assert_eq!(o.database.dial.place, Place::Net { host: "localhost".into(), port: 3301 });
        assert_eq!((o.login.user.as_str(), o.addresses[0].to_string().as_str()), ("pico_service", "localhost:4401"));
        assert!(o.warnings.iter().any(|w| w.contains("--password-file")) && matches!(o.job, Job::Serve));
        let o = options(&[]).unwrap();
        assert_eq!(
            (o.database.dial.place, o.addresses[0].to_string().as_str()),
            (Place::Net { host: "localhost".into(), port: 3301 }, "127.0.0.1:4401")
        );
        assert_eq!((o.floor, o.interval, o.wishes.grade), (Duration::from_secs(1), None, None));
        assert!(o.warnings.iter().any(|w| w.contains("empty")));
    }

    #[test]
    fn passwords_by_nearness() {
        let secret = |args: &[&str], env: &[(&str, &str)], file: &str, cred: Option<&str>| {
            let mut warnings = Vec::new();
            password(&parsed(args, env, file).unwrap(), cred.map(Path::new), &mut warnings)
        };
        let file = |s: Result<Secret>| s.unwrap().path().map(|p| p.display().to_string());
        let pico = [("PICODATA_SERVICE_PASSWORD_FILE", "/pico")];
        assert_eq!(
            file(secret(&["--password-file", "/a"], &pico, "password = x", Some("/cred"))).as_deref(),
            Some("/a")
        );
        assert_eq!(file(secret(&["--service-password-file", "/b"], &[], "", None)).as_deref(), Some("/b"));
        assert_eq!(file(secret(&[], &pico, "", Some("/cred"))).as_deref(), Some("/pico"));
        assert_eq!(file(secret(&[], &[], "password-file = /conf", Some("/cred"))).as_deref(), Some("/cred"));
        assert_eq!(file(secret(&[], &[], "password-file = /conf", None)).as_deref(), Some("/conf"));
        assert_eq!(secret(&[], &[("GOSTECH_METRICS_PASSWORD", "x")], "", None).unwrap().read().unwrap(), b"x");
        assert!(secret(&["--password", "x", "--password-file", "/a"], &[], "", None).is_err());
        // What the database's surroundings hand on is for `pico_service`, and only when nothing else was meant.
        let mon = ["--username", "mon"];
        assert_eq!(file(secret(&mon, &pico, "password-file = /conf", None)).as_deref(), Some("/conf"));
        assert_eq!(secret(&mon, &pico, "", None).unwrap().read().unwrap(), b"");
        let both = [pico[0], ("GOSTECH_METRICS_PASSWORD", "x")];
        assert_eq!(secret(&[], &both, "", None).unwrap().read().unwrap(), b"x");
        let named = ["--username", "mon", "--service-password-file", "/b"];
        assert_eq!(file(secret(&named, &pico, "", None)).as_deref(), Some("/b"));
    }

    #[test]
    fn what_could_not_be_right_on_any_day() {
        for args in [
            &["--port", "0"][..],
            &["--port", "x"],
            &["--host", "localhost:3301/x"],
            &["--host", ""],
            &["--username", ""],
            &["--source", "all"],
            &["--source", "function"],
            &["--without", "everything"],
            &["--label", "x"],
            &["--label", "1x=y"],
            &["--label", "le=1"],
            &["--label", "a=1", "--label", "a=2"],
            &["--only", "a,,b"],
            &["--once", "--check"],
            &["--timeout", "0"],
            &["--poll-interval", "500ms"],
            &["--poll-interval", "5s", "--min-interval", "10s"],
            &["--web-tls-key", "k"],
            &["--web-client-ca", "k"],
            &["--tls-auth", "--tls-key", "k"],
            &["--auth-method", "scram-sha256"],
            &["--function", "a,b,c,d,e,f,g,h,i"],
            &["--addr", "localhost"],
            &["--addr", "unix:x"],
            &["extra"],
        ] {
            let code = options(args).err().map(|e| e.exit());
            assert_eq!(code, Some(crate::error::Exit::Usage), "{args:?}");
        }
    }

    #[test]
    fn what_two_lines_say_together_is_told_by_its_place() {
        for (file, words) in [
            ("password = x\npassword-file /a", "`password-file` in `/etc/gostech/gostech-metrics.conf` line 2"),
            ("\nweb-client-ca /a", "`web-client-ca` in `/etc/gostech/gostech-metrics.conf` line 2"),
            ("tls-key /a", "`tls-key` in `/etc/gostech/gostech-metrics.conf` line 1"),
            ("once yes\ncheck yes", "`check` in `/etc/gostech/gostech-metrics.conf` line 2"),
        ] {
            let error = understand(&parsed(&[], &[], file).unwrap(), None).err().expect("an error");
            assert!(error.text().contains(words), "{}", error.text());
        }
    }

    #[test]
    fn lists_and_places() {
        let o = options(&[
            "--host",
            "[::1]",
            "--only",
            "a,b",
            "--only",
            "c",
            "--function",
            "mon.metrics,mon.pico",
            "--label",
            "dc=x=y",
        ])
        .unwrap();
        assert_eq!(o.database.dial.place.to_string(), "[::1]:3301");
        assert_eq!(o.wishes.rules.only, ["a", "b", "c"]);
        assert_eq!(o.wishes.functions, ["mon.metrics", "mon.pico"]);
        assert_eq!(o.wishes.rules.constants, [("dc".to_string(), "x=y".to_string())]);
        let o = options(&["--socket", "/run/db.sock", "--tls-ca", "/ca"]).unwrap();
        assert_eq!(o.database.dial.place, Place::Unix { path: "/run/db.sock".into() });
        assert!(o.warnings.iter().any(|w| w.contains("--tls-auth")));
    }
}
