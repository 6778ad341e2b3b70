//! The families that this program writes itself ○: name, kind, help.
//!
//! What the built-in page has keeps its name, kind and help, so that dashboards work whatever the source. Sorted by name.
//! A family that is not in this list can come from a page of the database only.

use super::snapshot::Kind::{self, Counter, Gauge};

/// One family.
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What its numbers mean.
    pub kind: Kind,
    /// What it is.
    pub help: &'static str,
}

const fn row(name: &'static str, kind: Kind, help: &'static str) -> Row {
    Row { name, kind, help }
}

/// The family of a name.
pub fn find(name: &str) -> Option<&'static Row> {
    ROWS.binary_search_by(|row| row.name.cmp(name)).ok().map(|at| &ROWS[at])
}

/// All families.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row("gostech_metrics_build_info", Gauge, "Version of this helper, always 1"),
    row("gostech_metrics_certificate_not_after_timestamp_seconds", Gauge, "When a certificate ends, in seconds since 1970: of several in a file the first, of authorities the last"),
    row("gostech_metrics_config_last_reload_successful", Gauge, "Whether the configuration was good when SIGHUP had it read again"),
    row("gostech_metrics_down", Gauge, "Why the database could not be asked, 1 for the reason of now"),
    row("gostech_metrics_errors_total", Counter, "What was left out of the pages or failed, by reason"),
    row("gostech_metrics_poll_age_seconds", Gauge, "Seconds since the poll that this page shows"),
    row("gostech_metrics_poll_duration_seconds", Gauge, "Seconds that the last poll took"),
    row("gostech_metrics_polls_total", Counter, "Polls of the database, by result"),
    row("gostech_metrics_process_resident_memory_bytes", Gauge, "Resident memory of this helper"),
    row("gostech_metrics_process_start_time_seconds", Gauge, "When this helper was started, in seconds since 1970"),
    row("gostech_metrics_protection", Gauge, "What restricts this helper: 1 when it is in force"),
    row("gostech_metrics_push_dropped_total", Counter, "Pages that an outlet never got, by reason: full, superseded, refused, reconfigured"),
    row("gostech_metrics_push_failures_total", Counter, "Tries to push to an outlet that failed, by reason"),
    row("gostech_metrics_push_last_success_timestamp_seconds", Gauge, "When an outlet last took a page, in seconds since 1970"),
    row("gostech_metrics_push_samples_left_out_total", Counter, "Numbers that an outlet's protocol could not carry, by reason"),
    row("gostech_metrics_push_samples_total", Counter, "Numbers that an outlet has taken"),
    row("gostech_metrics_push_total", Counter, "Pages that an outlet has taken"),
    row("gostech_metrics_push_waiting", Gauge, "Pages that wait for an outlet"),
    row("gostech_metrics_query_duration_seconds", Gauge, "Seconds that the last run of an own query took"),
    row("gostech_metrics_query_failures_total", Counter, "Runs of an own query that failed, by reason"),
    row("gostech_metrics_query_last_success_timestamp_seconds", Gauge, "When an own query last brought its numbers, in seconds since 1970"),
    row("gostech_metrics_query_rows", Gauge, "Rows that the last run of an own query brought"),
    row("gostech_metrics_query_success", Gauge, "Whether the numbers of an own query are on this page"),
    row("gostech_metrics_refused_calls_total", Counter, "Forbidden system calls that this helper tried"),
    row("gostech_metrics_series", Gauge, "Series that the last poll brought"),
    row("gostech_metrics_source_success", Gauge, "Whether the source gave its numbers in the last poll"),
    row("lj_gc_allocated_total", Counter, "Total amount of allocated memory"),
    row("lj_gc_cdatanum", Gauge, "Amount of allocated cdata objects"),
    row("lj_gc_freed_total", Counter, "Total amount of freed memory"),
    row("lj_gc_memory", Gauge, "Memory currently allocated"),
    row("lj_gc_steps_atomic_total", Counter, "Total count of incremental GC steps (atomic state)"),
    row("lj_gc_steps_finalize_total", Counter, "Total count of incremental GC steps (finalize state)"),
    row("lj_gc_steps_pause_total", Counter, "Total count of incremental GC steps (pause state)"),
    row("lj_gc_steps_propagate_total", Counter, "Total count of incremental GC steps (propagate state)"),
    row("lj_gc_steps_sweep_total", Counter, "Total count of incremental GC steps (sweep state)"),
    row("lj_gc_steps_sweepstring_total", Counter, "Total count of incremental GC steps (sweepstring state)"),
    row("lj_gc_strnum", Gauge, "Amount of allocated string objects"),
    row("lj_gc_tabnum", Gauge, "Amount of allocated table objects"),
    row("lj_gc_udatanum", Gauge, "Amount of allocated udata objects"),
    row("lj_jit_mcode_size", Gauge, "Total size of all allocated machine code areas"),
    row("lj_jit_snap_restore_total", Counter, "Overall number of snap restores"),
    row("lj_jit_trace_abort_total", Counter, "Overall number of abort traces"),
    row("lj_jit_trace_num", Gauge, "Amount of JIT traces"),
    row("lj_strhash_hit_total", Counter, "Total number of strings being interned"),
    row("lj_strhash_miss_total", Counter, "Total number of strings allocations during the platform lifetime"),
    row("pico_info_uptime", Gauge, "Picodata uptime"),
    row("pico_instance_state", Gauge, "Current state of the instance (Online, Offline, Expelled)"),
    row("pico_raft_applied_index", Gauge, "Current Raft applied index"),
    row("pico_raft_commit_index", Gauge, "Current Raft commit index"),
    row("pico_raft_leader_id", Gauge, "Current Raft leader ID (0 if no leader)"),
    row("pico_raft_state", Gauge, "Current Raft role (Follower, Candidate, Leader, PreCandidate)"),
    row("pico_raft_term", Gauge, "Current Raft term"),
    row("pico_table_len", Gauge, "Number of tuples in a table"),
    row("pico_table_size_bytes", Gauge, "Total number of bytes occupied by memtx table tuples and indexes"),
    row("picodata_buckets", Gauge, "Buckets on this instance by state; total: all of its tier"),
    row("picodata_governor_steps_total", Counter, "Steps that the governor has made"),
    row("picodata_health_issues", Gauge, "What the database finds wrong with this instance"),
    row("picodata_health_status", Gauge, "How the database finds this instance, always 1"),
    row("picodata_loop_status", Gauge, "What the loop is doing now, always 1"),
    row("picodata_peer_address_info", Gauge, "Addresses of the instances of the cluster, always 1"),
    row("picodata_slab_system_arena_size", Gauge, "Slab arena_size of the system tables in bytes"),
    row("picodata_slab_system_arena_used", Gauge, "Slab arena_used of the system tables in bytes"),
    row("picodata_slab_system_arena_used_ratio", Gauge, "Slab arena_used_ratio of the system tables in percent"),
    row("picodata_slab_system_items_size", Gauge, "Slab items_size of the system tables in bytes"),
    row("picodata_slab_system_items_used", Gauge, "Slab items_used of the system tables in bytes"),
    row("picodata_slab_system_items_used_ratio", Gauge, "Slab items_used_ratio of the system tables in percent"),
    row("picodata_slab_system_quota_size", Gauge, "Slab quota_size of the system tables in bytes"),
    row("picodata_slab_system_quota_used", Gauge, "Slab quota_used of the system tables in bytes"),
    row("picodata_slab_system_quota_used_ratio", Gauge, "Slab quota_used_ratio of the system tables in percent"),
    row("picodata_up", Gauge, "Whether the last poll got its answers from the database"),
    row("picodata_version_info", Gauge, "Versions of the watched instance, always 1"),
    row("tnt_cfg_current_time", Gauge, "Tarantool cfg time"),
    row("tnt_election_leader", Gauge, "Leader node ID in the current term"),
    row("tnt_election_state", Gauge, "Election state of the node"),
    row("tnt_election_term", Gauge, "Current election term"),
    row("tnt_election_vote", Gauge, "ID of a node the current node votes for"),
    row("tnt_fiber_amount", Gauge, "Amount of fibers"),
    row("tnt_fiber_csw", Gauge, "Fibers csw"),
    row("tnt_fiber_memalloc", Gauge, "Fibers memalloc"),
    row("tnt_fiber_memused", Gauge, "Fibers memused"),
    row("tnt_info_lsn", Gauge, "Tarantool lsn"),
    row("tnt_info_memory_cache", Gauge, "Memory cache"),
    row("tnt_info_memory_data", Gauge, "Memory data"),
    row("tnt_info_memory_index", Gauge, "Memory index"),
    row("tnt_info_memory_lua", Gauge, "Memory lua"),
    row("tnt_info_memory_net", Gauge, "Memory net"),
    row("tnt_info_memory_tx", Gauge, "Memory tx"),
    row("tnt_info_uptime", Gauge, "Tarantool uptime"),
    row("tnt_info_vclock", Gauge, "VClock"),
    row("tnt_memtx_mvcc_conflicts", Gauge, "Maximum bytes allocated for conflicts per transaction"),
    row("tnt_memtx_mvcc_trackers", Gauge, "Maximum trackers allocated per transaction"),
    row("tnt_memtx_mvcc_tuples_read_view_retained", Gauge, "Number of retained `read_view` tuples / number of stories"),
    row("tnt_memtx_mvcc_tuples_read_view_stories", Gauge, "Number of `read_view` tuples / number of stories"),
    row("tnt_memtx_mvcc_tuples_tracking_retained", Gauge, "Number of retained `tracking` tuples / number of stories"),
    row("tnt_memtx_mvcc_tuples_tracking_stories", Gauge, "Number of `tracking` tuples / number of tracking stories."),
    row("tnt_memtx_mvcc_tuples_used_retained", Gauge, "Number of retained `used` tuples / number of stories"),
    row("tnt_memtx_mvcc_tuples_used_stories", Gauge, "Number of `used` tuples / number of stories"),
    row("tnt_memtx_tnx_statements", Gauge, "Maximum number of bytes used by one transaction for statements"),
    row("tnt_memtx_tnx_system", Gauge, "The maximum number of bytes allocated by internals per transaction"),
    row("tnt_memtx_tnx_user", Gauge, "The maximum number of bytes allocated by `box_txn_alloc()` function per transaction"),
    row("tnt_net_connections_current", Gauge, "Current connections amount"),
    row("tnt_net_connections_total", Counter, "Connections total amount"),
    row("tnt_net_per_thread_connections_current", Gauge, "Current connections amount"),
    row("tnt_net_per_thread_connections_total", Counter, "Connections total amount"),
    row("tnt_net_per_thread_received_total", Counter, "Totally received in bytes"),
    row("tnt_net_per_thread_requests_current", Gauge, "Pending requests"),
    row("tnt_net_per_thread_requests_in_progress_current", Gauge, "Count of requests currently being processed in the tx thread"),
    row("tnt_net_per_thread_requests_in_progress_total", Counter, "Requests in progress total amount"),
    row("tnt_net_per_thread_requests_in_stream_queue_current", Gauge, "Count of requests currently waiting in queues of streams"),
    row("tnt_net_per_thread_requests_in_stream_queue_total", Counter, "Total count of requests, which was placed in queues of streams"),
    row("tnt_net_per_thread_requests_total", Counter, "Requests total amount"),
    row("tnt_net_per_thread_sent_total", Counter, "Totally sent in bytes"),
    row("tnt_net_received_total", Counter, "Totally received in bytes"),
    row("tnt_net_requests_current", Gauge, "Pending requests"),
    row("tnt_net_requests_in_progress_current", Gauge, "Count of requests currently being processed in the tx thread"),
    row("tnt_net_requests_in_progress_total", Counter, "Requests in progress total amount"),
    row("tnt_net_requests_in_stream_queue_current", Gauge, "count of requests currently waiting in queues of streams"),
    row("tnt_net_requests_in_stream_queue_total", Counter, "Total count of requests, which was placed in queues of streams"),
    row("tnt_net_requests_total", Counter, "Requests total amount"),
    row("tnt_net_sent_total", Counter, "Totally sent in bytes"),
    row("tnt_read_only", Gauge, "Is instance read only"),
    row("tnt_replication_lag", Gauge, "Replication lag"),
    row("tnt_replication_status", Gauge, "Replication status"),
    row("tnt_runtime_lua", Gauge, "Runtime lua"),
    row("tnt_runtime_tuple", Gauge, "Runtime tuple"),
    row("tnt_runtime_used", Gauge, "Runtime used"),
    row("tnt_slab_arena_size", Gauge, "Slab arena_size info"),
    row("tnt_slab_arena_used", Gauge, "Slab arena_used info"),
    row("tnt_slab_arena_used_ratio", Gauge, "Slab arena_used_ratio info"),
    row("tnt_slab_items_size", Gauge, "Slab items_size info"),
    row("tnt_slab_items_used", Gauge, "Slab items_used info"),
    row("tnt_slab_items_used_ratio", Gauge, "Slab items_used_ratio info"),
    row("tnt_slab_quota_size", Gauge, "Slab quota_size info"),
    row("tnt_slab_quota_used", Gauge, "Slab quota_used info"),
    row("tnt_slab_quota_used_ratio", Gauge, "Slab quota_used_ratio info"),
    row("tnt_space_bsize", Gauge, "Space bsize"),
    row("tnt_space_index_bsize", Gauge, "Index bsize"),
    row("tnt_space_len", Gauge, "Space length"),
    row("tnt_space_total_bsize", Gauge, "Space total bsize"),
    row("tnt_stats_op_total", Counter, "Total amount of operations"),
    row("tnt_synchro_queue_busy", Gauge, "Is synchro queue busy"),
    row("tnt_synchro_queue_len", Gauge, "Amount of transactions are collecting confirmations now"),
    row("tnt_synchro_queue_owner", Gauge, "Synchro queue owner"),
    row("tnt_synchro_queue_term", Gauge, "Synchro queue term"),
    row("tnt_vinyl_disk_data_size", Gauge, "Amount of data stored in files"),
    row("tnt_vinyl_disk_index_size", Gauge, "Amount of index stored in files"),
    row("tnt_vinyl_memory_bloom_filter", Gauge, "Size of bloom filter"),
    row("tnt_vinyl_memory_level0", Gauge, "Size of in-memory storage of an LSM tree"),
    row("tnt_vinyl_memory_page_index", Gauge, "Size of page indexes"),
    row("tnt_vinyl_memory_tuple_cache", Gauge, "Number of bytes that are being used for tuple"),
    row("tnt_vinyl_regulator_blocked_writers", Gauge, "The number of fibers that are blocked waiting for Vinyl level0 memory quota"),
    row("tnt_vinyl_regulator_dump_bandwidth", Gauge, "Estimated average rate at which dumps are done"),
    row("tnt_vinyl_regulator_dump_watermark", Gauge, "Point when dumping must occur"),
    row("tnt_vinyl_regulator_rate_limit", Gauge, "Write rate limit"),
    row("tnt_vinyl_regulator_write_rate", Gauge, "Average rate at which recent writes to disk are done"),
    row("tnt_vinyl_scheduler_dump_time", Gauge, "Total time spent by all worker threads performing dump"),
    row("tnt_vinyl_scheduler_dump_total", Counter, "The count of completed dumps"),
    row("tnt_vinyl_scheduler_tasks", Gauge, "Vinyl tasks count"),
    row("tnt_vinyl_tx_commit", Gauge, "Count of commits"),
    row("tnt_vinyl_tx_conflict", Gauge, "Count of transaction conflicts"),
    row("tnt_vinyl_tx_read_views", Gauge, "Count of open read views"),
    row("tnt_vinyl_tx_rollback", Gauge, "Count of rollbacks"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_without_doubles_and_named_as_their_kind_asks() {
        assert!(ROWS.windows(2).all(|w| w[0].name < w[1].name));
        for row in ROWS {
            assert_eq!(row.name.ends_with("_total"), row.kind == Counter, "{}", row.name);
            assert!(!row.help.is_empty() && find(row.name).is_some());
        }
    }
}
