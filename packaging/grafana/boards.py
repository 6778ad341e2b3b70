"""The dashboards in few words: what stands on each, in both languages; `make` writes Grafana's JSON from it.

A panel is P(kind, unit, English title, Russian title, needs, queries…): `needs` is a key of NEEDS and says where its families come
from, a query is an expression or (expression, legend). `@` in a selector is the filter by the variables of the board.
"""

# What a family needs, in words that stand in the panel's description. A test holds each to the grades of --source.
NEEDS = {
    "any": ("For every user of the database.", "Для любого пользователя СУБД."),
    "rights": ("Needs pico_service, admin or the functions of the administrator (--source full or function).",
               "Нужен pico_service, admin или функции администратора (--source full или function)."),
    "http": ("Needs the rights of --source full or function, and Picodata's HTTP listener on.",
             "Нужны права --source full или function и включённый HTTP в Picodata."),
    "used": ("Needs the rights of --source full or function and Picodata's HTTP listener on; there from the first use.",
             "Нужны права --source full или function и включённый HTTP в Picodata; появляется с первым использованием."),
    "replicas": ("Needs the rights of --source full or function, and a replicaset of more than one instance.",
                 "Нужны права --source full или function и репликасет больше чем из одного инстанса."),
    "system": ("Needs --source least, or Picodata 26.2.", "Нужен --source least или Picodata 26.2."),
    "least": ("Needs --source least.", "Нужен --source least."),
    "tables": ("Needs the rights of --source full or function, and Picodata 26.2 or its HTTP listener off.",
               "Нужны права --source full или function и Picodata 26.2 или выключенный HTTP."),
    "page": ("From the page of gostech-audit-log (--metrics-addr).", "Со страницы gostech-audit-log (--metrics-addr)."),
    "own": ("From the pages of both programs.", "Со страниц обеих программ."),
    "push": ("There when --push is used.", "Есть, когда используется --push."),
    "tls": ("There when a certificate is used.", "Есть, когда используется сертификат."),
}


def row(en, ru):
    return {"row": (en, ru)}


def P(kind, unit, en, ru, needs, *queries, bad=None, w=None):
    queries = [q if isinstance(q, tuple) else (q, "") for q in queries]
    return {"kind": kind, "unit": unit, "title": (en, ru), "needs": needs, "queries": queries, "bad": bad, "w": w}


N, O = "{{instance_name}}", "{{instance}}"
NOT_ONLINE = ('count(max by (exported_instance) (pico_instance_state{job=~"$job",state!~"Online|Expelled"} == 1) unless on (exported_instance) '
              '(pico_instance_state{job=~"$job",state="Online"} == 1)) or vector(0)')


def rate(family, by="instance_name", more=""):
    return f"sum by ({by}) (rate({family}{{@{more}}}[$__rate_interval]))"


def quantile(name):
    return f"histogram_quantile(0.95, sum by (le, instance_name) (rate({name}_bucket{{@}}[$__rate_interval])))"


def mean(name, by="instance_name"):
    return f"{rate(name + '_sum', by)} / ({rate(name + '_count', by)} > 0)"


def share(part, whole):
    return f"{rate(part)} / ({rate(part)} + {rate(whole)} > 0)"


CLUSTER = [
    row("The cluster", "Кластер"),
    P("stat", "none", "Instances that answer", "Отвечают", "any", 'sum(picodata_up{job=~"$job"})'),
    P("stat", "none", "Instances that do not", "Не отвечают", "any", 'count(picodata_up{job=~"$job"} == 0) or vector(0)', bad=1),
    P("stat", "none", "Not Online", "Не Online", "any", NOT_ONLINE, bad=1),
    P("stat", "none", "Raft leader (its id)", "Лидер raft (id)", "any", "max(pico_raft_leader_id{@})"),
    P("stat", "none", "Raft term", "Терм raft", "any", "max(pico_raft_term{@})"),
    P("stat", "none", "Alerts that fire", "Активные оповещения", "any", 'count(ALERTS{alertstate="firing",job=~"$job"}) or vector(0)', bad=1),
    P("table", "none", "Instances and their states", "Инстансы и состояния", "any", 'max by (exported_instance, tier, state) (pico_instance_state{job=~"$job"} == 1)', w=8),
    P("table", "none", "Leader, by instance", "Кого считает лидером инстанс", "any", "max by (instance_name) (pico_raft_leader_id{@})", w=8),
    P("table", "none", "Versions", "Версии", "least", "max by (instance_name, picodata_version, tarantool_version) (picodata_version_info{@})", w=8),
    P("line", "none", "Raft: entries behind the foremost", "Raft: отставание от первого, записей", "any",
      ('max by (job) (pico_raft_applied_index{job=~"$job"}) - on (job) group_right () pico_raft_applied_index{@}', N)),
    P("line", "none", "Raft: agreed on and not applied", "Raft: согласовано и не применено", "rights", ("pico_raft_commit_index{@} - pico_raft_applied_index{@}", N)),
    P("line", "s", "Uptime", "Время работы", "rights", ("tnt_info_uptime{@}", N)),
    P("line", "s", "Replication lag", "Отставание репликации", "replicas", ("tnt_replication_lag{@}", N + " ↔ {{id}} {{stream}}")),
    P("line", "none", "Replication works (1)", "Репликация работает (1)", "replicas", ("tnt_replication_status{@}", N + " ↔ {{id}} {{stream}}")),
    P("line", "none", "Read-only (1)", "Только чтение (1)", "rights", ("tnt_read_only{@}", N)),
    P("line", "ops", "Changes by the governor", "Изменения от governor", "http", (rate("pico_governor_changes_total"), N)),
    P("line", "none", "Synchronous queue", "Синхронная очередь", "rights", ("tnt_synchro_queue_len{@}", N)),
    P("line", "none", "Elections: term", "Выборы: терм", "rights", ("tnt_election_term{@}", N)),
    row("Memory", "Память"),
    P("line", "percentunit", "memtx in use", "Занято в memtx", "any", ("tnt_slab_arena_used{@} / tnt_slab_quota_size{@}", N), bad=0.8),
    P("line", "percent", "Slab: quota, arena, tuples", "Slab: квота, арена, кортежи", "any", ("tnt_slab_quota_used_ratio{@}", N + " quota"), ("tnt_slab_arena_used_ratio{@}", N + " arena"), ("tnt_slab_items_used_ratio{@}", N + " items")),
    P("line", "percentunit", "Memory of the system tables in use", "Занято в памяти системных таблиц", "system",
      ("tnt_slab_system_arena_used{@} / tnt_slab_system_quota_size{@} or picodata_slab_system_arena_used{@} / picodata_slab_system_quota_size{@}", N), bad=0.8),
    P("line", "bytes", "Data and indexes", "Данные и индексы", "rights", ("tnt_info_memory_data{@}", N + " data"), ("tnt_info_memory_index{@}", N + " index")),
    P("line", "bytes", "Lua, network, transactions", "Lua, сеть, транзакции", "rights", ("tnt_info_memory_lua{@}", N + " lua"), ("tnt_info_memory_net{@}", N + " net"), ("tnt_info_memory_tx{@}", N + " tx")),
    P("line", "bytes", "Run-time and fibers", "Среда исполнения и файберы", "rights", ("tnt_runtime_used{@}", N + " runtime"), ("tnt_fiber_memused{@}", N + " fibers")),
    P("table", "bytes", "The largest tables", "Самые большие таблицы", "tables", "topk(10, max by (table_name, engine) (pico_table_size_bytes{@}))", w=12),
    P("table", "none", "The longest tables, rows", "Самые длинные таблицы, строк", "tables", "topk(10, max by (table_name, engine) (pico_table_len{@}))", w=12),
    row("Requests", "Запросы"),
    P("line", "reqps", "Requests over iproto", "Запросы по iproto", "rights", (rate("tnt_net_requests_total"), N)),
    P("line", "none", "Requests in work", "Запросы в работе", "rights", ("tnt_net_requests_in_progress_current{@}", N), bad=700),
    P("line", "none", "Requests that wait for a stream", "Ждут в очереди потока", "rights", ("tnt_net_requests_in_stream_queue_current{@}", N)),
    P("line", "none", "Connections over iproto", "Соединения iproto", "rights", ("tnt_net_connections_current{@}", N), bad=800),
    P("line", "none", "Connections over pgproto", "Соединения pgproto", "http", ("pico_pgproto_connections_opened_total{@} - pico_pgproto_connections_closed_total{@}", N)),
    P("line", "Bps", "Bytes in and out", "Байты, приём и передача", "rights", (rate("tnt_net_received_total"), N + " in"), (rate("tnt_net_sent_total"), N + " out")),
    P("line", "ops", "Operations", "Операции", "rights", (rate("tnt_stats_op_total", "operation"), "{{operation}}"), w=12),
    P("line", "ops", "Operations that failed", "Операции с ошибкой", "rights", (rate("tnt_stats_op_total", "instance_name", ',operation="error"'), N), w=12),
    P("line", "none", "Fibers", "Файберы", "rights", ("tnt_fiber_amount{@}", N), bad=1000),
    P("line", "percentunit", "Processor", "Процессор", "rights", (rate("tnt_cpu_user_time"), N + " user"), (rate("tnt_cpu_system_time"), N + " system")),
    P("line", "ms", "Turn of the event loop", "Оборот цикла событий", "rights", ("tnt_ev_loop_time{@}", N)),
    row("SQL, RPC, CAS", "SQL, RPC, CAS"),
    P("line", "reqps", "SQL queries", "Запросы SQL", "used", (rate("pico_sql_query_total"), N)),
    P("line", "none", "SQL: 95 % are quicker than (25.5: ms, from 26.1: s)", "SQL: 95 % быстрее (25.5: мс, с 26.1: с)", "used", (quantile("pico_sql_query_duration"), N)),
    P("line", "reqps", "SQL: failed", "SQL: с ошибкой", "used", (f"{rate('pico_sql_query_errors_total')} or {rate('pico_sql_query_total')} * 0", N)),
    P("line", "reqps", "Local queries", "Локальные запросы", "used", (rate("pico_sql_local_query_total", "instance_name, query_type, result"), N + " {{query_type}} {{result}}")),
    P("line", "percentunit", "Router's cache: hits", "Кэш маршрутизатора: попадания", "http", (share("pico_router_cache_hits_total", "pico_router_cache_misses_total"), N)),
    P("line", "ops", "Storage's cache: added, evicted", "Кэш хранилища: добавлено, вытеснено", "http", (rate("pico_storage_cache_statements_added_total"), N + " +"), (rate("pico_storage_cache_statements_evicted_total"), N + " −")),
    P("line", "reqps", "RPC", "RPC", "http", (rate("pico_rpc_request_total", "proc_name"), "{{proc_name}}")),
    P("line", "none", "RPC: mean duration (25.5: ms, from 26.1: s)", "RPC: среднее время (25.5: мс, с 26.1: с)", "http", (mean("pico_rpc_request_duration", "proc_name"), "{{proc_name}}")),
    P("line", "reqps", "RPC: failed", "RPC: с ошибкой", "http", (f"{rate('pico_rpc_request_errors_total', 'proc_name')} or {rate('pico_rpc_request_total', 'proc_name')} * 0", "{{proc_name}}")),
    P("line", "ops", "CAS: records", "CAS: записи", "http", (rate("pico_cas_records_total", "op_type"), "{{op_type}}")),
    P("line", "none", "CAS: mean duration (25.5: ms, from 26.1: s)", "CAS: среднее время (25.5: мс, с 26.1: с)", "http", (mean("pico_cas_ops_duration"), N)),
    P("line", "ops", "pgproto: statements, portals", "pgproto: операторы, порталы", "http", (rate("pico_pgproto_statements_opened_total"), N + " statements"), (rate("pico_pgproto_portals_opened_total"), N + " portals")),
    row("Engines", "Движки"),
    P("line", "bytes", "MVCC: retained", "MVCC: удержано", "rights", ('tnt_memtx_mvcc_tuples_used_retained{@,kind="total"}', N + " used"), ('tnt_memtx_mvcc_tuples_read_view_retained{@,kind="total"}', N + " read view"), ('tnt_memtx_mvcc_tuples_tracking_retained{@,kind="total"}', N + " tracking")),
    P("line", "bytes", "vinyl: memory", "vinyl: память", "rights", ("tnt_vinyl_memory_level0{@}", N + " level 0"), ("tnt_vinyl_memory_tuple_cache{@}", N + " cache"), ("tnt_vinyl_memory_page_index{@}", N + " pages"), ("tnt_vinyl_memory_bloom_filter{@}", N + " bloom")),
    P("line", "bytes", "vinyl: disk", "vinyl: диск", "rights", ("tnt_vinyl_disk_data_size{@}", N + " data"), ("tnt_vinyl_disk_index_size{@}", N + " index")),
    P("line", "none", "vinyl: writers that wait", "vinyl: ждут записи", "rights", ("tnt_vinyl_regulator_blocked_writers{@}", N), bad=1),
    P("line", "Bps", "vinyl: written, dumped", "vinyl: запись, сброс", "rights", ("tnt_vinyl_regulator_write_rate{@}", N + " write"), ("tnt_vinyl_regulator_dump_bandwidth{@}", N + " dump")),
    P("line", "none", "vinyl: tasks", "vinyl: задачи", "rights", ("tnt_vinyl_scheduler_tasks{@}", N + " {{status}}")),
    P("line", "ops", "vinyl: transactions", "vinyl: транзакции", "rights", (rate("tnt_vinyl_tx_commit"), N + " commit"), (rate("tnt_vinyl_tx_conflict"), N + " conflict"), (rate("tnt_vinyl_tx_rollback"), N + " rollback")),
    P("line", "bytes", "LuaJIT: memory", "LuaJIT: память", "rights", ("lj_gc_memory{@}", N)),
    P("line", "ops", "LuaJIT: aborted traces", "LuaJIT: прерванные трассы", "rights", (rate("lj_jit_trace_abort_total"), N)),
]


def came(titles):
    return f'sort_desc(round(sum by (title) (increase(gostech_audit_title_total{{@,title=~"{titles}"}}[$__range]))))'


A = "gostech_audit_"
DDL = "(create|drop|truncate|rename)_(table|index|procedure)|change_table_format"
AUDIT = [
    row("The way of the events", "Путь событий"),
    P("stat", "eps", "Events a second", "Событий в секунду", "page", f"sum(rate({A}read_total{{@}}[$__rate_interval]))"),
    P("stat", "none", "Undelivered", "Не доставлено", "page", f"sum({A}spool_events{{@}})"),
    P("stat", "s", "The oldest of them", "Старейшее из них", "page", f"max({A}oldest_undelivered_seconds{{@}})", bad=300),
    P("stat", "percentunit", "Spool in use", "Очередь занята", "page", f"max({A}spool_bytes{{@}} / {A}spool_max_bytes{{@}})", bad=0.8),
    P("stat", "none", "Lost, dropped, damaged", "Потеряно, отброшено, повреждено", "page",
      f'sum({A}gaps_total{{@}}) + sum({A}damaged_total{{@}}) + sum({A}events_total{{@,state="dropped"}})', bad=1),
    P("stat", "none", "In quarantine", "В карантине", "page", f'sum({A}events_total{{@,state="quarantined"}})', bad=1),
    P("line", "eps", "Read, by instance", "Прочитано, по инстансам", "page", (rate(A + "read_total", "instance"), O), w=12),
    P("line", "eps", "Delivered, by receiver", "Доставлено, по приёмникам", "page", (rate(A + "events_total", "instance, receiver", ',state="delivered"'), O + " {{receiver}}"), w=12),
    P("line", "none", "Undelivered, by receiver", "Не доставлено, по приёмникам", "page", (f"{A}spool_events{{@}}", O + " {{receiver}}")),
    P("line", "s", "Age of the oldest", "Возраст старейшего", "page", (f"{A}oldest_undelivered_seconds{{@}}", O + " {{receiver}}"), bad=300),
    P("line", "percentunit", "Spool in use", "Занятость очереди", "page", (f"{A}spool_bytes{{@}} / {A}spool_max_bytes{{@}}", O), bad=0.8),
    P("line", "none", "Tries that failed, by reason", "Неудачные попытки, по причинам", "page", (rate(A + "retries_total", "receiver, reason"), "{{receiver}} {{reason}}")),
    P("line", "percentunit", "Time for which the database waits", "Доля времени, когда СУБД ждёт", "page", (rate(A + "stdin_wait_seconds_total", "instance"), O)),
    P("line", "none", "Dropped, quarantined, filtered", "Отброшено, в карантин, отфильтровано", "page", (rate(A + "events_total", "state", ',state!="delivered"'), "{{state}}")),
    P("line", "bytes", "Spool and what is kept for replay", "Очередь и хранимое для повтора", "page", (f"{A}spool_bytes{{@}}", O + " spool"), (f"{A}retained_bytes{{@}}", O + " replay"), (f"{A}memory_spool_bytes{{@}}", O + " memory")),
    P("line", "bytes", "Read and not yet in the spool", "Прочитано и ещё не в очереди", "page", (f"{A}cushion_bytes{{@}}", O)),
    P("line", "none", "Deaths of the worker", "Гибели рабочего процесса", "page", (f"{A}worker_restarts_total{{@}}", O)),
    P("table", "none", "Alarms of the helper (1: it stands)", "Тревоги программы (1: стоит)", "page", f"sort_desc(max by (id, gravity) ({A}alarms{{@}}))", w=12),
    P("table", "s", "Time since the last delivery", "Время с последней доставки", "page", f"time() - max by (instance, receiver) ({A}last_delivery_timestamp_seconds{{@}} > 0)", w=12),
    row("What the events say", "О чём говорят события"),
    P("stat", "none", "Refused logins", "Отказы во входе", "page", f'round(sum(increase({A}title_total{{@,title="auth_fail"}}[$__range])))', bad=10),
    P("stat", "none", "Denied accesses", "Отказы в доступе", "page", f'round(sum(increase({A}title_total{{@,title="access_denied"}}[$__range])))', bad=20),
    P("stat", "none", "Grants and revokes", "Выдачи и отзывы прав", "page", f'round(sum(increase({A}title_total{{@,title=~"grant_.*|revoke_.*"}}[$__range])))'),
    P("stat", "none", "Changes of the schema", "Изменения схемы", "page", f'round(sum(increase({A}title_total{{@,title=~"{DDL}"}}[$__range])))'),
    P("stat", "none", "Changes of the audit policy", "Изменения политики аудита", "page", f'round(sum(increase({A}title_total{{@,title="audit_policy"}}[$__range])))', bad=1),
    P("stat", "none", "Came cut or unreadable", "Обрезаны или нечитаемы", "page", f"sum({A}truncated_total{{@}}) + sum({A}unparsed_total{{@}})"),
    P("line", "eps", "By severity", "По важности", "page", (rate(A + "title_total", "severity"), "{{severity}}"), w=12),
    P("line", "eps", "By title (the ten most)", "По названию (десять самых частых)", "page", (f"topk(10, {rate(A + 'title_total', 'title')})", "{{title}}"), w=12),
    P("line", "eps", "Logins: taken and refused", "Входы: успешные и отклонённые", "page", (rate(A + "title_total", "title", ',title=~"auth_ok|auth_fail"'), "{{title}}")),
    P("line", "eps", "Denied accesses, by instance", "Отказы в доступе, по инстансам", "page", (rate(A + "title_total", "instance", ',title="access_denied"'), O)),
    P("line", "eps", "Changes of the schema", "Изменения схемы", "page", (rate(A + "title_total", "title", f',title=~"{DDL}"'), "{{title}}")),
    P("table", "none", "All titles in this time", "Все названия за это время", "page", came(".+"), w=8),
    P("table", "none", "Users, roles, rights in this time", "Пользователи, роли, права за это время", "page", came("grant_.*|revoke_.*|(create|drop|rename)_user|change_password|(create|drop)_role"), w=8),
    P("table", "none", "Schema in this time", "Схема за это время", "page", came(DDL), w=8),
]

M = "gostech_metrics_"
BOTH = 'job=~"$job",instance=~"$instance"'
HELPERS = [
    row("Both programs", "Обе программы"),
    P("table", "none", "Pages that answer (1)", "Страницы отвечают (1)", "own", f"max by (job, instance) (up{{{BOTH}}})", w=8),
    P("table", "none", "Versions", "Версии", "own", f'max by (instance, __name__, version) ({{__name__=~"gostech_(audit|metrics)_build_info",{BOTH}}})', w=8),
    P("table", "none", "Protections (1: in force)", "Защиты (1: действует)", "own", f'max by (instance, kind) ({{__name__=~"gostech_(audit|metrics)_protection",{BOTH}}})', w=8),
    P("line", "none", "Forbidden system calls", "Запрещённые системные вызовы", "own", (f'{{__name__=~"gostech_(audit|metrics)_refused_calls_total",{BOTH}}}', O), bad=1),
    P("line", "d", "Certificates: days left", "Сертификаты: осталось дней", "tls", (f'({{__name__=~"gostech_(audit|metrics)_certificate_not_after_timestamp_seconds",{BOTH}}} - time()) / 86400', O + " {{file}}")),
    P("line", "s", "Time of a scrape", "Время опроса страницы", "own", (f"scrape_duration_seconds{{{BOTH}}}", O)),
    P("line", "none", "Samples of a scrape", "Значений на странице", "own", (f"scrape_samples_scraped{{{BOTH}}}", O)),
    P("line", "none", "Deaths of the audit worker", "Гибели процесса аудита", "page", (f"{A}worker_restarts_total{{@}}", O)),
    P("line", "s", "Age of the audit worker", "Возраст процесса аудита", "page", (f"time() - {A}start_timestamp_seconds{{@}}", O)),
    row("gostech-metrics", "gostech-metrics"),
    P("line", "s", "Duration of a poll", "Длительность опроса СУБД", "any", (f"{M}poll_duration_seconds{{@}}", O)),
    P("line", "s", "Age of the numbers", "Возраст значений", "any", (f"{M}poll_age_seconds{{@}}", O)),
    P("line", "ops", "Polls, by result", "Опросы, по результату", "any", (rate(M + "polls_total", "instance, result"), O + " {{result}}")),
    P("line", "none", "Series of the database", "Рядов СУБД", "any", (f"{M}series{{@}}", O)),
    P("line", "none", "Source in use (1)", "Действующий источник (1)", "any", (f"{M}source_success{{@}}", O + " {{source}}")),
    P("line", "bytes", "Memory of the helper", "Память программы", "any", (f"{M}process_resident_memory_bytes{{@}}", O)),
    P("line", "s", "Time since its start", "Время с запуска", "any", (f"time() - {M}process_start_time_seconds{{@}}", O)),
    P("line", "none", "Configuration as read last is good (1)", "Последняя конфигурация верна (1)", "any", (f"{M}config_last_reload_successful{{@}}", O)),
    row("Outlets of --push", "Получатели --push"),
    P("line", "ops", "Pages taken", "Принято страниц", "push", (rate(M + "push_total", "outlet"), "{{outlet}}")),
    P("line", "ops", "Failed, by reason", "Неудачи, по причинам", "push", (f"{rate(M + 'push_failures_total', 'outlet, reason')} or {rate(M + 'push_total', 'outlet')} * 0", "{{outlet}} {{reason}}")),
    P("line", "none", "Pages that wait", "Ждёт страниц", "push", (f"{M}push_waiting{{@}}", "{{outlet}}")),
    P("line", "s", "Since the last success", "С последнего успеха", "push", (f"time() - {M}push_last_success_timestamp_seconds{{@}}", "{{outlet}}")),
    P("line", "none", "Pages that are gone", "Потеряно страниц", "push", (f"sum by (outlet) ({M}push_dropped_total{{@}}) or sum by (outlet) ({M}push_total{{@}}) * 0", "{{outlet}}"), bad=1),
    P("line", "ops", "Numbers taken", "Принято значений", "push", (rate(M + "push_samples_total", "outlet"), "{{outlet}}")),
]


# InfluxQL: the families as `--push influx+http://…` writes them, one field `value`; `{f}` is the filter by instance and time.
def last(family, *tags):
    tags = "".join(f', "{t}"' for t in ("instance_name",) + tags)
    return (f'SELECT last("value") FROM "{family}" WHERE {{f}} GROUP BY time($__interval){tags} fill(null)', "$tag_instance_name " + " ".join("$tag_" + t for t in tags.replace('"', "").split(", ")[2:]))


def growth(family, *tags):
    text, legend = last(family, *tags)
    return text.replace('last("value")', 'non_negative_derivative(max("value"), 1s)'), legend


INFLUX = [
    row("The cluster", "Кластер"),
    P("line", "none", "The database answers (1)", "СУБД отвечает (1)", "any", ('SELECT last("value") FROM "picodata_up" WHERE $timeFilter GROUP BY time($__interval), "instance_name" fill(null)', "$tag_instance_name")),
    P("line", "none", "States of the instances", "Состояния инстансов", "any", last("pico_instance_state", "instance", "state")),
    P("line", "none", "Raft leader (its id)", "Лидер raft (id)", "any", last("pico_raft_leader_id")),
    P("line", "none", "Raft term", "Терм raft", "any", last("pico_raft_term")),
    P("line", "none", "Raft: applied entries", "Raft: применено записей", "any", last("pico_raft_applied_index")),
    P("line", "s", "Replication lag", "Отставание репликации", "replicas", last("tnt_replication_lag", "id", "stream")),
    P("line", "none", "Read-only (1)", "Только чтение (1)", "rights", last("tnt_read_only")),
    row("Memory", "Память"),
    P("line", "percent", "Slab: quota in use", "Slab: занято квоты", "any", last("tnt_slab_quota_used_ratio")),
    P("line", "bytes", "Slab: arena in use", "Slab: занято арены", "any", last("tnt_slab_arena_used")),
    P("line", "bytes", "Lua", "Lua", "rights", last("tnt_info_memory_lua")),
    P("line", "bytes", "vinyl: level 0", "vinyl: уровень 0", "rights", last("tnt_vinyl_memory_level0")),
    row("Requests", "Запросы"),
    P("line", "reqps", "Requests over iproto", "Запросы по iproto", "rights", growth("tnt_net_requests_total")),
    P("line", "none", "Requests in work", "Запросы в работе", "rights", last("tnt_net_requests_in_progress_current")),
    P("line", "none", "Connections", "Соединения", "rights", last("tnt_net_connections_current")),
    P("line", "Bps", "Bytes in and out", "Байты, приём и передача", "rights", growth("tnt_net_received_total"), growth("tnt_net_sent_total")),
    P("line", "ops", "Operations", "Операции", "rights", growth("tnt_stats_op_total", "operation")),
    P("line", "none", "Fibers", "Файберы", "rights", last("tnt_fiber_amount")),
    P("line", "percentunit", "Processor", "Процессор", "rights", growth("tnt_cpu_user_time")),
    P("line", "reqps", "RPC", "RPC", "http", growth("pico_rpc_request_total", "proc_name")),
    P("line", "ops", "CAS: records", "CAS: записи", "http", growth("pico_cas_records_total", "op_type")),
    row("gostech-metrics", "gostech-metrics"),
    P("line", "s", "Duration of a poll", "Длительность опроса СУБД", "any", ('SELECT last("value") FROM "gostech_metrics_poll_duration_seconds" WHERE $timeFilter GROUP BY time($__interval) fill(null)', "")),
    P("line", "bytes", "Memory of the helper", "Память программы", "any", ('SELECT last("value") FROM "gostech_metrics_process_resident_memory_bytes" WHERE $timeFilter GROUP BY time($__interval) fill(null)', "")),
]

INSTANCE = ("Instance", "Инстанс")
JOB = ("Job", "Задание")
# file, titles, datasource, filter for `{@}`, variables (name, label, query), panels
BOARDS = [
    ("picodata-cluster", ("Picodata: cluster and instance", "Picodata: кластер и инстанс"), "prometheus", 'job=~"$job",instance_name=~"$instance"',
     [("job", JOB, "label_values(picodata_up, job)"), ("instance", INSTANCE, 'label_values(pico_raft_term{job=~"$job"}, instance_name)')], CLUSTER),
    ("picodata-audit", ("Picodata: audit", "Picodata: аудит"), "prometheus", BOTH,
     [("job", JOB, "label_values(gostech_audit_build_info, job)"), ("instance", INSTANCE, 'label_values(gostech_audit_build_info{job=~"$job"}, instance)')], AUDIT),
    ("gostech-helpers", ("gostech: the helpers", "gostech: программы"), "prometheus", BOTH,
     [("job", JOB, 'label_values({__name__=~"gostech_(audit|metrics)_build_info"}, job)'), ("instance", INSTANCE, 'label_values({__name__=~"gostech_(audit|metrics)_build_info",job=~"$job"}, instance)')], HELPERS),
    ("picodata-influxql", ("Picodata: cluster and instance (InfluxQL)", "Picodata: кластер и инстанс (InfluxQL)"), "influxdb", '$timeFilter AND "instance_name" =~ /^$instance$/',
     [("instance", INSTANCE, 'SHOW TAG VALUES WITH KEY = "instance_name"')], INFLUX),
]
