//! `box.*` and `fiber` of a Tarantool without the `metrics` module ○, under the names that module would give.
//!
//! What a version does not have is not on the page: nothing is made up.

use super::sheet::{text_of, Sheet};
use crate::metrics::snapshot::Builder;
use crate::msgpack::Value;

/// Writes what `box.lua` brought.
pub fn write(found: &Value<'_>, out: &mut Builder<'_>) {
    let part = |name: &str| found.get(name);
    let name = part("info").and_then(|i| text_of(i, "name"));
    let mut sheet = Sheet::new(out, name.as_deref());
    info(part("info"), part("memory"), &mut sheet);
    replication(part("info").and_then(|i| i.get("replication")), &mut sheet);
    network(part("net"), part("threads"), &mut sheet);
    operations(part("stat"), &mut sheet);
    sheet.slab("tnt_slab", part("slab"));
    for what in ["lua", "used", "tuple"] {
        sheet.take(&format!("tnt_runtime_{what}"), &[], part("runtime"), &[what]);
    }
    for what in ["amount", "csw", "memalloc", "memused"] {
        sheet.take(&format!("tnt_fiber_{what}"), &[], part("fibers"), &[what]);
    }
    sheet.put("tnt_cfg_current_time", &[], part("time").and_then(Value::number).map(f64::floor));
    vinyl(part("vinyl"), &mut sheet);
    transactions(part("tx"), &mut sheet);
    luajit(part("lj"), &mut sheet);
    spaces(part("spaces").map_or(&[], |s| s.items()), &mut sheet);
}

fn info(info: Option<&Value<'_>>, memory: Option<&Value<'_>>, sheet: &mut Sheet<'_, '_>) {
    sheet.take("tnt_info_lsn", &[], info, &["lsn"]);
    sheet.take("tnt_info_uptime", &[], info, &["uptime"]);
    sheet.take("tnt_read_only", &[], info, &["ro"]);
    let clock = info.and_then(|i| i.get("vclock"));
    numbered(clock, |id, lsn| sheet.put("tnt_info_vclock", &[("id", id)], lsn.number()));
    for what in ["cache", "data", "index", "lua", "net", "tx"] {
        sheet.take(&format!("tnt_info_memory_{what}"), &[], memory, &[what]);
    }
    let state = info.and_then(|i| i.find(&["election", "state"])).and_then(Value::text);
    let state = state.and_then(|s| ["follower", "candidate", "leader"].iter().position(|known| *known == s));
    sheet.put("tnt_election_state", &[], state.map(|s| s as f64));
    for what in ["vote", "leader", "term"] {
        sheet.take(&format!("tnt_election_{what}"), &[], info, &["election", what]);
    }
    for what in ["owner", "term", "len", "busy"] {
        sheet.take(&format!("tnt_synchro_queue_{what}"), &[], info, &["synchro", "queue", what]);
    }
}

/// A Lua table with numbers for keys arrives as a map, or as a list when they begin at 1 without a gap.
fn numbered(table: Option<&Value<'_>>, mut each: impl FnMut(&str, &Value<'_>)) {
    let Some(table) = table else { return };
    for (i, item) in table.items().iter().enumerate() {
        each(&(i + 1).to_string(), item);
    }
    for (key, item) in table.pairs() {
        if let Some(id) = key.uint() {
            each(&id.to_string(), item);
        }
    }
}

/// Writes `box.info.replication`; also what else is of that shape.
pub fn replication(replicas: Option<&Value<'_>>, sheet: &mut Sheet<'_, '_>) {
    numbered(replicas, |id, replica| {
        for stream in ["upstream", "downstream"] {
            let Some(state) = replica.get(stream) else { continue };
            let labels = [("id", id), ("stream", stream)];
            sheet.take("tnt_replication_lag", &labels, Some(state), &["lag"]);
            let follows = state.get("status").and_then(Value::text).map(|s| f64::from(u8::from(s == "follow")));
            sheet.put("tnt_replication_status", &labels, follows);
        }
    });
}

/// Members of `box.stat.net()` and what of them there is.
const NET: &[(&str, &str, &[&str])] = &[
    ("SENT", "sent", &["total"]),
    ("RECEIVED", "received", &["total"]),
    ("CONNECTIONS", "connections", &["total", "current"]),
    ("REQUESTS", "requests", &["total", "current"]),
    ("REQUESTS_IN_PROGRESS", "requests_in_progress", &["total", "current"]),
    ("REQUESTS_IN_STREAM_QUEUE", "requests_in_stream_queue", &["total", "current"]),
];

fn network(net: Option<&Value<'_>>, threads: Option<&Value<'_>>, sheet: &mut Sheet<'_, '_>) {
    for (key, name, kinds) in NET {
        for kind in *kinds {
            sheet.take(&format!("tnt_net_{name}_{kind}"), &[], net, &[key, kind]);
            numbered(threads, |thread, stat| {
                let family = format!("tnt_net_per_thread_{name}_{kind}");
                // A list whose members are flat in some versions and nested in others.
                let value = stat.find(&[key, kind]).or_else(|| stat.get(key)).and_then(Value::number);
                sheet.put(&family, &[("thread", thread)], value);
            });
        }
    }
}

fn operations(stat: Option<&Value<'_>>, sheet: &mut Sheet<'_, '_>) {
    for (name, counts) in stat.map_or(&[][..], |s| s.pairs()) {
        let operation = name.text().map(|n| n.to_lowercase()).unwrap_or_default();
        sheet.take("tnt_stats_op_total", &[("operation", &operation)], Some(counts), &["total"]);
    }
}

/// Families of `box.stat.vinyl()` and where their numbers stand.
const VINYL: &[(&str, [&str; 2])] = &[
    ("tnt_vinyl_disk_data_size", ["disk", "data"]),
    ("tnt_vinyl_disk_index_size", ["disk", "index"]),
    ("tnt_vinyl_memory_bloom_filter", ["memory", "bloom_filter"]),
    ("tnt_vinyl_memory_level0", ["memory", "level0"]),
    ("tnt_vinyl_memory_page_index", ["memory", "page_index"]),
    ("tnt_vinyl_memory_tuple_cache", ["memory", "tuple_cache"]),
    ("tnt_vinyl_regulator_blocked_writers", ["regulator", "blocked_writers"]),
    ("tnt_vinyl_regulator_dump_bandwidth", ["regulator", "dump_bandwidth"]),
    ("tnt_vinyl_regulator_dump_watermark", ["regulator", "dump_watermark"]),
    ("tnt_vinyl_regulator_rate_limit", ["regulator", "rate_limit"]),
    ("tnt_vinyl_regulator_write_rate", ["regulator", "write_rate"]),
    ("tnt_vinyl_scheduler_dump_time", ["scheduler", "dump_time"]),
    ("tnt_vinyl_scheduler_dump_total", ["scheduler", "dump_count"]),
    ("tnt_vinyl_tx_commit", ["tx", "commit"]),
    ("tnt_vinyl_tx_conflict", ["tx", "conflict"]),
    ("tnt_vinyl_tx_read_views", ["tx", "read_views"]),
    ("tnt_vinyl_tx_rollback", ["tx", "rollback"]),
];

fn vinyl(stat: Option<&Value<'_>>, sheet: &mut Sheet<'_, '_>) {
    for (name, path) in VINYL {
        sheet.take(name, &[], stat, path);
    }
    for status in ["inprogress", "completed", "failed"] {
        let key = format!("tasks_{status}");
        sheet.take("tnt_vinyl_scheduler_tasks", &[("status", status)], stat, &["scheduler", &key]);
    }
}

fn transactions(tx: Option<&Value<'_>>, sheet: &mut Sheet<'_, '_>) {
    for (kind, key) in [("total", "total"), ("average", "avg"), ("max", "max")] {
        for what in ["statements", "user", "system"] {
            sheet.take(&format!("tnt_memtx_tnx_{what}"), &[("kind", kind)], tx, &["txn", what, key]);
        }
        for what in ["trackers", "conflicts"] {
            sheet.take(&format!("tnt_memtx_mvcc_{what}"), &[("kind", kind)], tx, &["mvcc", what, key]);
        }
    }
    for kind in ["count", "total"] {
        for what in ["used", "read_view", "tracking"] {
            for of in ["stories", "retained"] {
                let family = format!("tnt_memtx_mvcc_tuples_{what}_{of}");
                sheet.take(&family, &[("kind", kind)], tx, &["mvcc", "tuples", what, of, kind]);
            }
        }
    }
}

/// Families of LuaJIT and their names in `misc.getmetrics()`.
const LUAJIT: &[(&str, &str)] = &[
    ("lj_gc_allocated_total", "gc_allocated"),
    ("lj_gc_cdatanum", "gc_cdatanum"),
    ("lj_gc_freed_total", "gc_freed"),
    ("lj_gc_memory", "gc_total"),
    ("lj_gc_steps_atomic_total", "gc_steps_atomic"),
    ("lj_gc_steps_finalize_total", "gc_steps_finalize"),
    ("lj_gc_steps_pause_total", "gc_steps_pause"),
    ("lj_gc_steps_propagate_total", "gc_steps_propagate"),
    ("lj_gc_steps_sweep_total", "gc_steps_sweep"),
    ("lj_gc_steps_sweepstring_total", "gc_steps_sweepstring"),
    ("lj_gc_strnum", "gc_strnum"),
    ("lj_gc_tabnum", "gc_tabnum"),
    ("lj_gc_udatanum", "gc_udatanum"),
    ("lj_jit_mcode_size", "jit_mcode_size"),
    ("lj_jit_snap_restore_total", "jit_snap_restore"),
    ("lj_jit_trace_abort_total", "jit_trace_abort"),
    ("lj_jit_trace_num", "jit_trace_num"),
    ("lj_strhash_hit_total", "strhash_hit"),
    ("lj_strhash_miss_total", "strhash_miss"),
];

fn luajit(metrics: Option<&Value<'_>>, sheet: &mut Sheet<'_, '_>) {
    for (name, key) in LUAJIT {
        sheet.take(name, &[], metrics, &[key]);
    }
}

/// Rows of name, engine, bytes, length (-1: not known), indexes; an index is a name and bytes.
fn spaces(rows: &[Value<'_>], sheet: &mut Sheet<'_, '_>) {
    for row in rows {
        let [name, engine, bytes, length, indexes] = row.items() else { continue };
        let (Some(name), Some(engine)) = (name.text(), engine.text()) else { continue };
        let labels = [("name", &*name), ("engine", &*engine)];
        let mut total = bytes.number().unwrap_or(0.0);
        sheet.put("tnt_space_bsize", &labels, bytes.number());
        sheet.put("tnt_space_len", &labels, length.number().filter(|n| *n >= 0.0));
        for index in indexes.items() {
            let [index, size] = index.items() else { continue };
            total += size.number().unwrap_or(0.0);
            let index = index.text().unwrap_or_default();
            sheet.put("tnt_space_index_bsize", &[("name", &name), ("index_name", &index)], size.number());
        }
        sheet.put("tnt_space_total_bsize", &labels, Some(total));
    }
}
