//! Debian's own tarantool, started by the test: rights, scrambles, going away, freezing, coming back, two of them.

use super::helper::{command, free_port, peer, signal, wait, Helper, Samples, Scratch};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// A running tarantool.
pub struct Tarantool {
    child: Child,
    pub port: u16,
    scratch: Scratch,
}

const INIT: &str = r#"
box.cfg{listen='127.0.0.1:PORT', work_dir='DIR', feedback_enabled=false, log='DIR/log', memtx_memory=64*1024*1024}
box.once('monitoring', function()
    for _, user in ipairs{'full', 'least', 'exec', 'barred', 'func'} do box.schema.user.create(user, {password = 'secret'}) end
    box.schema.user.grant('full', 'read,execute', 'universe')
    box.schema.user.grant('exec', 'execute', 'universe')
    box.schema.user.revoke('barred', 'session', 'universe')
    local s = box.schema.space.create('mem')
    s:create_index('pk')
    for i = 1, 100 do s:replace{i, 'x'} end
    box.schema.space.create('vin', {engine = 'vinyl'}):create_index('pk')
    box.schema.space.create('bare')
    local text = [[function() return {status = 200, body = '# TYPE mon_spaces gauge\nmon_spaces ' .. box.space._space:count() .. '\n'} end]]
    box.schema.func.create('mon.metrics', {setuid = true, body = text})
    box.schema.func.create('mon.own', {body = text})
    for _, name in ipairs{'mon.metrics', 'mon.own'} do box.schema.user.grant('func', 'execute', 'function', name) end
end)
COMMANDS
require('fiber').create(function()
    while true do
        local file = io.open('DIR/todo')
        if file then
            local chunk = file:read('*a')
            file:close()
            os.remove('DIR/todo')
            local ok, err = pcall(loadstring(chunk))
            local done = io.open('DIR/done', 'w')
            done:write(tostring(ok) .. ' ' .. tostring(err))
            done:close()
        end
        require('fiber').sleep(0.02)
    end
end)
"#;

impl Tarantool {
    pub fn start(name: &str) -> Option<Tarantool> {
        peer("tarantool")?;
        let scratch = Scratch::new(name);
        let port = free_port();
        let dir = scratch.0.display().to_string();
        let init = INIT.replace("PORT", &port.to_string()).replace("DIR", &dir).replace("COMMANDS", "");
        let init = scratch.file("init.lua", &init);
        let child = spawn(&init);
        let tarantool = Tarantool { child, port, scratch };
        tarantool.listening();
        Some(tarantool)
    }

    fn listening(&self) {
        wait("tarantool listens", LIMIT, || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
        // The users are made right after it listens.
        wait("tarantool is ready", LIMIT, || {
            let log = std::fs::read_to_string(self.scratch.0.join("log")).unwrap_or_default();
            log.contains("ready to accept requests")
        });
        self.run("return true");
    }

    /// Runs a chunk of Lua in it, as admin.
    pub fn run(&self, chunk: &str) -> String {
        let done = self.scratch.0.join("done");
        let _ = std::fs::remove_file(&done);
        self.scratch.file("todo.new", chunk);
        std::fs::rename(self.scratch.0.join("todo.new"), self.scratch.0.join("todo")).unwrap();
        let said = || std::fs::read_to_string(&done).unwrap_or_default();
        wait("the chunk was run", LIMIT, || !said().is_empty());
        let said = said();
        assert!(said.starts_with("true"), "{chunk}: {said}");
        said
    }

    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn again(&mut self) {
        let _ = std::fs::remove_file(self.scratch.0.join("log"));
        self.child = spawn(&self.scratch.0.join("init.lua").display().to_string());
        self.listening();
    }

    pub fn helper(&self, user: &str, password: &str, more: &[&str]) -> Helper {
        let port = self.port.to_string();
        let args = ["--port", &port, "--username", user, "--min-interval", "0", "--timeout", "500ms"];
        Helper::start_with(&[&args[..], more].concat(), &[("GOSTECH_METRICS_PASSWORD", password)])
    }
}

fn spawn(init: &str) -> Child {
    Command::new("tarantool")
        .arg(init)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("tarantool")
}

impl Drop for Tarantool {
    fn drop(&mut self) {
        self.stop();
    }
}

fn up(page: &Samples) -> bool {
    page["picodata_up"] == 1.0
}

fn down(page: &Samples, reason: &str) -> bool {
    page["picodata_up"] == 0.0 && page.contains_key(&format!("gostech_metrics_down{{reason=\"{reason}\"}}"))
}

#[test]
fn full_rights_bring_its_numbers_under_the_names_of_the_module() {
    let Some(db) = Tarantool::start("tt-full") else { return };
    for more in [&[][..], &["--source", "tarantool"], &["--source", "full"]] {
        let helper = db.helper("full", "secret", more);
        let page = helper.until("up", LIMIT, up);
        assert_eq!(page["tnt_space_len{engine=\"memtx\",name=\"mem\"}"], 100.0, "{more:?}");
        for family in ["tnt_info_lsn", "tnt_info_uptime", "tnt_slab_quota_used", "tnt_fiber_amount", "tnt_runtime_lua"]
        {
            assert!(page[family] >= 1.0, "{family}");
        }
        assert!(page["tnt_net_sent_total"] >= 0.0 && page["tnt_read_only"] == 0.0);
        assert!(page.contains_key("tnt_stats_op_total{operation=\"eval\"}"));
        assert!(page.contains_key("tnt_space_bsize{engine=\"vinyl\",name=\"vin\"}"));
        assert!(page.contains_key("tnt_vinyl_scheduler_tasks{status=\"failed\"}"));
        assert!(page["tnt_info_vclock{id=\"1\"}"] > 0.0);
    }
    let page =
        db.helper("full", "secret", &["--only", "tnt_info_", "--skip", "tnt_info_memory"]).until("up", LIMIT, up);
    let theirs: Vec<_> = page.keys().filter(|k| k.starts_with("tnt_")).collect();
    assert!(
        theirs.len() >= 3 && theirs.iter().all(|k| k.starts_with("tnt_info_") && !k.contains("memory")),
        "{theirs:?}"
    );
}

#[test]
fn fewer_rights_are_denied_and_the_server_lives_through_every_combination() {
    let Some(db) = Tarantool::start("tt-rights") else { return };
    for user in ["least", "exec", "func"] {
        for source in ["auto", "full", "least", "tarantool"] {
            let helper = db.helper(user, "secret", &["--source", source]);
            helper.until("denied", LIMIT, |p| down(p, "denied"));
            for _ in 0..3 {
                helper.scrape();
            }
        }
    }
    let evals = || db.run("if box.stat().EVAL.total > 0 then error('an EVAL went out') end");
    evals();
    // The administrator's setuid function gives its page; one that runs as its caller is not called.
    let helper = db.helper("func", "secret", &["--function", "mon.metrics"]);
    let page = helper.until("up", LIMIT, up);
    assert!(page["mon_spaces"] > 10.0);
    let helper = db.helper("func", "secret", &["--function", "mon.own"]);
    helper.until("denied", LIMIT, |p| down(p, "denied"));
    // Global functions that could be the collector by another name.
    for name in ["package.loaded.fiber.info", "box.info", "require"] {
        let helper = db.helper("exec", "secret", &["--function", name]);
        helper.until("denied", LIMIT, |p| down(p, "denied"));
    }
    evals();
}

#[test]
fn check_names_the_grant_that_helps_and_it_does() {
    let Some(db) = Tarantool::start("tt-check") else { return };
    let check = || {
        let port = db.port.to_string();
        let args = ["--no-config", "--port", &port, "--username", "least", "--check"];
        let run = command().args(args).env("GOSTECH_METRICS_PASSWORD", "secret").output().unwrap();
        (run.status.code(), String::from_utf8(run.stdout).unwrap())
    };
    let (code, words) = check();
    assert_eq!(code, Some(1), "{words}");
    let grant = words.lines().find(|l| l.trim().starts_with("box.schema.user.grant(")).expect("a grant");
    db.run(grant);
    let (code, words) = check();
    assert!(code == Some(0) && words.contains("source    tarantool"), "{words}");
}

#[test]
fn rights_revoked_on_a_live_connection_stop_the_chunk_at_its_first_lines() {
    let Some(db) = Tarantool::start("tt-revoked") else { return };
    let helper = db.helper("full", "secret", &["--source", "full"]);
    helper.until("up", LIMIT, up);
    // Every loop that reads spaces is compiled by now.
    for _ in 0..250 {
        helper.scrape();
    }
    db.run("box.schema.user.revoke('full', 'read', 'universe')");
    helper.until("denied", LIMIT, |p| down(p, "denied"));
    db.run("local before = box.stat().EVAL.total box.space._schema:replace{'evals', before}");
    for _ in 0..10 {
        helper.scrape();
    }
    db.run("if box.stat().EVAL.total ~= box.space._schema:get('evals')[2] then error('asked again') end");
    // One table alone that may not be read is enough to stop before the collectors.
    db.run("box.schema.user.grant('full', 'read', 'space', '_space')");
    let helper = db.helper("full", "secret", &["--source", "tarantool"]);
    let page = helper.until("denied", LIMIT, |p| down(p, "denied"));
    assert!(!page.keys().any(|k| k.starts_with("tnt_")));
    db.run("box.schema.user.grant('full', 'read', 'universe')");
    db.helper("full", "secret", &[]).until("up", LIMIT, up);
}

#[test]
fn wrong_password_and_barred_account() {
    let Some(db) = Tarantool::start("tt-auth") else { return };
    let helper = db.helper("full", "wrong", &[]);
    helper.until("auth", LIMIT, |p| down(p, "auth"));
    for _ in 0..5 {
        helper.scrape();
    }
    // Before 2.11 there is one method: one try, and no second one for minutes.
    db.run("if box.stat().AUTH.total > 1 then error('tried again: ' .. box.stat().AUTH.total) end");
    helper.tells("Incorrect password");
    db.helper("barred", "secret", &[]).until("auth or denied", LIMIT, |p| down(p, "auth") || down(p, "denied"));
    db.helper("nobody", "secret", &[]).until("auth", LIMIT, |p| down(p, "auth"));
}

#[test]
fn down_at_start_stopped_frozen_and_restarted_in_mid_flight() {
    let Some(mut db) = Tarantool::start("tt-life") else { return };
    db.stop();
    let helper = db.helper("full", "secret", &[]);
    assert!(down(&helper.scrape(), "connect"));
    assert_eq!(helper.get("/-/ready").status, 503);
    assert_eq!(helper.get("/-/healthy").status, 200);
    db.again();
    helper.until("up after the start", LIMIT, up);
    assert_eq!(helper.get("/-/ready").status, 200);
    let first = helper.scrape()["tnt_info_lsn"];
    assert!(first > 0.0);
    signal(db.child.id(), "STOP");
    let page = helper.until("frozen", LIMIT, |p| down(p, "timeout"));
    assert!(!page.contains_key("tnt_info_lsn"), "frozen numbers are not served");
    signal(db.child.id(), "CONT");
    helper.until("up after the freeze", LIMIT, up);
    db.stop();
    helper.until("stopped", LIMIT, |p| down(p, "connect") || down(p, "closed"));
    helper.until("stopped", LIMIT, |p| down(p, "connect"));
    db.again();
    let page = helper.until("up after the restart", LIMIT, up);
    assert!(page["gostech_metrics_polls_total{result=\"failure\"}"] > 0.0);
    // Restarted between two scrapes: the dead connection is replaced within the poll.
    db.stop();
    db.again();
    assert!(up(&helper.scrape()), "{}", helper.log());
    let log = helper.log();
    assert!(log.lines().filter(|l| l.contains("database:")).count() <= 8, "said once each: {log}");
    assert!(helper.end().success());
}

#[test]
fn two_of_them_are_told_apart() {
    let (Some(one), Some(two)) = (Tarantool::start("tt-one"), Tarantool::start("tt-two")) else { return };
    two.run("box.space.mem:truncate()");
    let of = |db: &Tarantool, label: &str| {
        let page = db.helper("full", "secret", &["--label", label]).until("up", LIMIT, up_labelled);
        page.iter()
            .find(|(k, _)| k.starts_with("tnt_space_len{") && k.contains("name=\"mem\""))
            .map(|(k, v)| (k.clone(), *v))
    };
    let (a, b) = (of(&one, "db=one").unwrap(), of(&two, "db=two").unwrap());
    assert_eq!((a.1, b.1), (100.0, 0.0));
    assert!(a.0.contains("db=\"one\"") && b.0.contains("db=\"two\""));
}

fn up_labelled(page: &Samples) -> bool {
    page.iter().any(|(k, v)| k.starts_with("picodata_up{") && *v == 1.0)
}

#[test]
fn the_documented_command_word_for_word() {
    let Some(db) = Tarantool::start("tt-spec") else { return };
    db.run("box.schema.user.create('pico_service', {password = 'T0psecret'}) box.schema.user.grant('pico_service', 'read,execute', 'universe')");
    let (port, page) = (db.port.to_string(), free_port());
    let addr = format!("localhost:{page}");
    let args = [
        "--host",
        "localhost",
        "--port",
        &port,
        "--username",
        "pico_service",
        "--password",
        "T0psecret",
        "--addr",
        &addr,
    ];
    let mut child = command().args(args).stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("the helper");
    wait("it serves", LIMIT, || {
        super::helper::get(page, "/metrics", &[]).is_some_and(|a| a.text().contains("\npicodata_up 1\n"))
    });
    if let Some(curl) = peer("curl") {
        let url = format!("http://localhost:{page}/metrics");
        let said = Command::new(curl).args(["--silent", "--location", &url]).output().expect("curl");
        assert!(String::from_utf8_lossy(&said.stdout).contains("\npicodata_up 1\n"));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Makes the tarantool as dangerous as Picodata is: a collector that reads every space through FFI, and a trigger on
/// denied access, which that database has for its audit log.
const DEADLY: &str = r#"
    for i = 1, 20 do box.schema.space.create('s' .. i):create_index('pk') end
    box.session.on_access_denied(function() end)
    package.loaded['metrics.plugins.prometheus'] = {collect_http = function()
        local sum = 0
        for _, row in box.space._space:pairs() do
            local space = box.space[row[3]]
            if row[4] == 'memtx' and space and space.index[0] then sum = sum + space:len() + space:bsize() end
        end
        return {status = 200, body = '# TYPE collected gauge\ncollected ' .. tonumber(sum) .. '\n'}
    end}
    box.schema.func.create('mon.collect', {body = [[function()
        return require('metrics.plugins.prometheus').collect_http()
    end]]})
    box.schema.user.grant('func', 'execute', 'function', 'mon.collect')
"#;

fn compiled(db: &Tarantool) -> Helper {
    db.run(DEADLY);
    let helper = db.helper("full", "secret", &["--source", "full"]);
    helper.until("up", LIMIT, |p| p.contains_key("collected"));
    for _ in 0..300 {
        helper.scrape();
    }
    helper
}

#[test]
fn the_deadly_collector_kills_by_hand_and_never_through_the_helper() {
    let Some(mut db) = Tarantool::start("tt-deadly") else { return };
    let live = compiled(&db);
    for user in ["exec", "func", "least", "guest"] {
        for source in ["auto", "full", "least", "tarantool", "function"] {
            for function in ["mon.collect", "mon.own", "package.loaded.fiber.info"] {
                let helper = db.helper(user, "secret", &["--source", source, "--function", function]);
                assert_eq!(helper.scrape()["picodata_up"], 0.0, "{user} {source} {function}");
            }
        }
    }
    // Everything revoked under the nose of a live connection; then `_space` alone, then all but one table.
    db.run("box.schema.user.revoke('full', 'read', 'universe')");
    live.until("denied", LIMIT, |p| down(p, "denied"));
    for more in ["'space', '_space'", "'space', '_index'", "'space', 's1'"] {
        db.run(&format!("box.schema.user.grant('full', 'read', {more})"));
        db.helper("full", "secret", &["--source", "full"]).until("denied", LIMIT, |p| down(p, "denied"));
    }
    assert_eq!(db.child.try_wait().unwrap(), None, "the server lives");
    db.run("return true");
    // The control: what the helper never does.
    let place = gostech::net::target::Place::Net { host: "127.0.0.1".into(), port: db.port };
    let patience = Duration::from_secs(2);
    let mut client = gostech::iproto::Client::connect(&gostech::net::dial::Dial::new(place), patience).unwrap();
    client.login(gostech::iproto::auth::Method::ChapSha1, "exec", "secret", patience).unwrap().unwrap();
    let chunk = "return require('metrics.plugins.prometheus').collect_http()";
    let _ = client.ask(&[gostech::iproto::protocol::Request::Eval(chunk)], patience);
    wait("the control kills the server", LIMIT, || db.child.try_wait().unwrap().is_some());
}

/// Enough of Picodata for the chunks of Lua to run as they would there.
const PICO: &str = r#"
    pico = {}
    local function space(name, format, rows)
        local s = box.schema.space.create(name, {format = format})
        s:create_index('pk', {parts = {{1, 'string'}}})
        for _, row in ipairs(rows) do s:insert(row) end
    end
    local text = function(...)
        local format = {}
        for i, name in ipairs{...} do format[i] = {name = name, type = 'any'} end
        format[1].type = 'string'
        return format
    end
    space('_pico_instance', text('name', 'uuid', 'current_state', 'tier'), {
        {'i1', 'u1', {'Online', 1}, 'default'}, {'i2', 'u2', {'Expelled', 0}, 'arbiter'}})
    space('_raft_state', text('key', 'value'), {{'commit', 59}, {'applied', 58}, {'term', 4}})
    local mine = box.schema.space.create('mine', {id = 2000})
    mine:create_index('pk')
    mine:insert{1}
    local cold = box.schema.space.create('cold', {id = 2001, engine = 'vinyl'})
    cold:create_index('pk')
    cold:insert{1}
    box.schema.space.create('naked', {id = 2002})
    box.schema.func.create('.proc_raft_info', {body =
        [[function() return {id = 1, term = 4, applied = 58, leader_id = 1, state = 'Follower'} end]]})
    box.schema.func.create('.proc_instance_info', {body =
        [[function() return {name = 'i1', cluster_name = 'demo', replicaset_name = 'r1', tier = 'default'} end]]})
"#;

#[test]
fn the_chunks_run_as_they_would_in_picodata() {
    let Some(db) = Tarantool::start("tt-pico") else { return };
    let _live = compiled(&db);
    db.run(PICO);
    let page = db.helper("full", "secret", &["--source", "full"]).until("up", LIMIT, |p| p.contains_key("collected"));
    let own = "instance_name=\"i1\"";
    for (series, value) in [
        (format!("pico_raft_commit_index{{{own}}}"), 59.0),
        (format!("pico_raft_applied_index{{{own}}}"), 58.0),
        (format!("pico_raft_state{{{own},state=\"Follower\"}}"), 1.0),
        (format!("pico_instance_state{{instance=\"i2\",{own},state=\"Expelled\",tier=\"arbiter\"}}"), 1.0),
        (format!("pico_table_len{{engine=\"memtx\",{own},table_kind=\"system\",table_name=\"mem\"}}"), 100.0),
        (format!("pico_table_len{{engine=\"memtx\",{own},table_kind=\"user\",table_name=\"mine\"}}"), 1.0),
        (format!("pico_table_len{{engine=\"vinyl\",{own},table_kind=\"user\",table_name=\"cold\"}}"), 1.0),
        (format!("pico_table_len{{engine=\"memtx\",{own},table_kind=\"user\",table_name=\"naked\"}}"), 0.0),
        (format!("pico_table_size_bytes{{engine=\"memtx\",{own},table_kind=\"user\",table_name=\"naked\"}}"), 0.0),
    ] {
        assert_eq!(page.get(&series), Some(&value), "{series}\n{page:#?}");
    }
    assert!(
        page[&format!("pico_table_size_bytes{{engine=\"memtx\",{own},table_kind=\"user\",table_name=\"mine\"}}")] > 0.0
    );
    let sized = page.keys().find(|k| k.starts_with("pico_table_size_bytes{engine=\"vinyl\""));
    assert_eq!(sized, None, "what vinyl has in memory is not known");
    let uptime = page.keys().find(|k| k.starts_with("pico_info_uptime{")).expect("the uptime");
    assert!(
        uptime.contains("cluster_name=\"demo\"") && uptime.contains("instance_dir_name=\"gostech-metrics-"),
        "{uptime}"
    );
    // With the HTTP listener on, its route gives everything; a handler that fails is passed over.
    for path in ["metrics", "/metrics"] {
        let body = "'# TYPE routed counter\\nrouted 7\\n'";
        db.run(&format!("pico.httpd = {{routes = {{{{path = 'x'}}, {{path = '{path}', sub = function(r) return {{body = {body}}} end}}}}}}"));
        let page = db.helper("full", "secret", &["--source", "full"]).until("up", LIMIT, up);
        assert_eq!(page.get("routed"), Some(&7.0));
        assert!(!page.contains_key("collected"));
    }
    db.run("pico.httpd.routes[2].sub = function() error('no') end");
    db.helper("full", "secret", &["--source", "full"]).until("up", LIMIT, |p| p.contains_key("collected"));
}

#[test]
fn the_shipped_functions_are_made_called_and_undone() {
    let Some(db) = Tarantool::start("tt-script") else { return };
    let _live = compiled(&db);
    db.run("pico = {httpd = {routes = {{path = 'metrics', sub = function() return {body = 'routed 7\\n'} end}}}}");
    db.run("box.schema.func.drop('mon.metrics') box.schema.user.create('mon', {password = 'secret'})");
    let script = include_str!("../../../packaging/metrics/monitoring-functions.lua");
    for console in [Console::Lines, Console::Semicolons, Console::Lines] {
        console.feed(&db, script);
    }
    let helper = db.helper("mon", "secret", &["--function", "mon.pico,mon.metrics"]);
    let page = helper.until("up", LIMIT, up);
    assert!(page["routed"] == 7.0 && page.contains_key("collected"), "{page:#?}");
    Console::Lines.feed(&db, include_str!("../../../packaging/metrics/monitoring-functions-undo.lua"));
    helper.until("denied", LIMIT, |p| down(p, "denied"));
    assert_eq!(page["gostech_metrics_source_success{source=\"function\"}"], 1.0);
}

/// A stand-in for Picodata's administrator's console. It begins with SQL, knows its own commands by the backslash at the
/// beginning of a line, and hears nothing as a whole file: each line is a statement, or, in other versions, what stands
/// between two semicolons, for which it joins lines with a space. A paste comes to it the same way.
enum Console {
    Lines,
    Semicolons,
}

impl Console {
    fn feed(self, db: &Tarantool, file: &str) {
        let (mut lua, mut unfinished) = (false, String::new());
        for line in file.lines() {
            if let Some(command) = line.strip_prefix('\\') {
                assert!(command == "lua" && unfinished.is_empty(), "{line}");
                lua = true;
                continue;
            }
            assert!(lua, "SQL cannot read this: {line}");
            if let Console::Lines = self {
                db.run(line);
                continue;
            }
            unfinished = format!("{unfinished} {line}");
            while let Some((statement, rest)) = unfinished.clone().split_once(';') {
                db.run(statement);
                unfinished = rest.to_string();
            }
        }
        assert!(unfinished.trim().is_empty(), "never run: {unfinished}");
    }
}
