//! The thread that asks the own queries, and the desk where their results lie.

use super::file::Query;
use super::{table, Told};
use crate::iproto::protocol::code;
use crate::iproto::Reason;
use crate::limits;
use crate::log;
use crate::metrics::asker::Asker;
use crate::metrics::options::Options;
use crate::metrics::rules::Rules;
use crate::sys::clock::wall_ms;
use crate::sys::thread;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is to be asked from now on.
pub struct Orders {
    /// Asks.
    pub asker: Asker,
    /// What.
    pub queries: Vec<Query>,
    /// Whether the connection of the one before is of no use.
    pub reconnect: bool,
}

impl Orders {
    /// What these options want.
    pub fn of(options: &Options, reconnect: bool) -> Orders {
        Orders { asker: options.another_asker(), queries: options.queries.clone(), reconnect }
    }
}

#[derive(Default)]
struct State {
    told: Vec<Told>,
    orders: Option<Orders>,
    running: bool,
}

/// The desk.
#[derive(Default)]
pub struct Desk {
    state: Mutex<State>,
    news: Condvar,
}

/// A query and when it is asked next.
struct Turn {
    query: Query,
    due: Instant,
    /// Runs in a row that took too long.
    slow: u32,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is told of all of them.
    pub fn told(&self) -> Vec<Told> {
        self.lock().told.clone()
    }

    /// From now on so. Where nothing is to be asked and never was, there is no thread.
    pub fn change(self: &Arc<Self>, orders: Orders) {
        let mut state = self.lock();
        if !state.running && orders.queries.is_empty() {
            return;
        }
        state.orders = Some(orders);
        self.news.notify_all();
        if !state.running {
            let desk = self.clone();
            match thread::with_stack("queries", limits::METRICS_POLL_STACK_BYTES, move || desk.work()) {
                Ok(_) => state.running = true,
                Err(e) => log::error("queries", format!("cannot start the thread of the queries: {e}")),
            }
        }
    }

    fn work(&self) {
        let mut asker: Option<Asker> = None;
        let mut turns: Vec<Turn> = Vec::new();
        loop {
            if let Some(orders) = self.await_orders(turns.iter().map(|t| t.due).min()) {
                let mut next = orders.asker;
                if let Some(before) = asker.take() {
                    next.forgive();
                    next.succeed(before, orders.reconnect);
                }
                asker = Some(next);
                turns = self.spread(orders.queries);
            }
            let now = Instant::now();
            for (at, turn) in turns.iter_mut().enumerate().filter(|(_, turn)| turn.due <= now) {
                let Some(asker) = &mut asker else { break };
                let told = self.lock().told.get(at).cloned().unwrap_or_default();
                let told = turn.take(asker, told);
                self.lock().told[at] = told;
            }
        }
    }

    /// Waits for orders, or until then.
    fn await_orders(&self, due: Option<Instant>) -> Option<Orders> {
        let mut state = self.lock();
        while state.orders.is_none() {
            let left = due.map_or(Duration::from_secs(3600), |due| due.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            state = self.news.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.orders.take()
    }

    /// Makes room for these; what is told of those that stay, stays.
    fn spread(&self, queries: Vec<Query>) -> Vec<Turn> {
        let mut state = self.lock();
        let before = std::mem::take(&mut state.told);
        let told = queries.iter().map(|q| {
            let known = before.iter().find(|t| t.name == q.name);
            Told { name: q.name.clone(), ..known.cloned().unwrap_or_default() }
        });
        state.told = told.collect();
        queries.into_iter().map(|query| Turn { query, due: Instant::now(), slow: 0 }).collect()
    }

    /// Each once, by whoever calls: answers what was wrong with each, in their order.
    pub fn once(&self, asker: &mut Asker, queries: Vec<Query>) -> Vec<Option<String>> {
        let turns = self.spread(queries);
        let rules = asker.wishes.rules.unfiltered();
        let mut wrong = Vec::new();
        for (turn, told) in turns.iter().zip(&mut self.lock().told) {
            let q = &turn.query;
            let said = ask(q, asker, &rules, told).err();
            wrong.push(said.map(|(_, words)| format!("query `{}` in {}: {words}", q.name, q.place)));
        }
        wrong
    }
}

impl Turn {
    /// Asks once, tells what came of it, and says when the next turn is.
    fn take(&mut self, asker: &mut Asker, mut told: Told) -> Told {
        let rules = asker.wishes.rules.unfiltered();
        let matter = format!("query {}", self.query.name);
        let mut pause = self.query.interval;
        match ask(&self.query, asker, &rules, &mut told) {
            Ok(()) => {
                self.slow = 0;
                if log::calm(&matter) {
                    log::info(&matter, "brings its numbers again");
                }
            }
            Err((reason, words)) => {
                log::warn(&matter, format!("in {}: {words}", self.query.place));
                pause = rest(reason, pause, &mut self.slow);
            }
        }
        self.due = Instant::now() + pause;
        told
    }
}

/// How long a query rests that failed for this reason. `slow`: how often in a row it took too long, or the database hung up.
fn rest(reason: &str, interval: Duration, slow: &mut u32) -> Duration {
    let seconds = Duration::from_secs;
    let again = matches!(reason, "timeout" | "closed");
    *slow = if again { *slow + 1 } else { 0 };
    match reason {
        _ if again => {
            interval.saturating_mul(1 << (*slow).min(10)).min(seconds(limits::QUERY_SLOW_SECONDS).max(interval))
        }
        "denied" => interval.max(seconds(limits::METRICS_DENIED_SECONDS)),
        // A database that is back is asked at once.
        "connect" | "dns" | "tls" => interval.min(seconds(limits::METRICS_RETRY_MOST_SECONDS)),
        _ => interval,
    }
}

/// Asks once.
fn ask(q: &Query, asker: &mut Asker, rules: &Rules, told: &mut Told) -> Result<(), table::Fault> {
    let began = Instant::now();
    let found = fetch(q, asker, rules);
    told.took = (began.elapsed().as_secs_f64() * 1e6).round() / 1e6;
    told.brought = None;
    match found {
        Ok((snapshot, rows)) => {
            (told.brought, told.rows) = (Some(Arc::new(snapshot)), rows);
            told.last = Some(wall_ms() as f64 / 1000.0);
            Ok(())
        }
        Err((reason, words)) => {
            told.rows = 0;
            told.failures.add(reason);
            Err((reason, words))
        }
    }
}

fn fetch(q: &Query, asker: &mut Asker, rules: &Rules) -> Result<(super::Snapshot, usize), table::Fault> {
    let answer = asker.select(&q.sql, q.patience).map_err(|trouble| (trouble.reason.name(), trouble.text))?;
    let unreadable = |why| (Reason::Protocol.name(), format!("cannot understand its answer: {why}"));
    match answer.table().map_err(unreadable)? {
        Ok((columns, rows)) => table::family(q, &columns, rows.items(), rules),
        Err(refusal) if refusal.code == code::ACCESS_DENIED => Err((
            Reason::Denied.name(),
            format!("{}; let an administrator GRANT READ ON TABLE … TO this user", refusal.text),
        )),
        Err(refusal) => Err(("refused", format!("the database refuses it: {}", refusal.text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_rests_longer_and_a_database_that_is_away_is_looked_for_soon() {
        let (mut slow, minute) = (0, Duration::from_secs(60));
        let rests: Vec<u64> = (0..8).map(|_| rest("timeout", minute, &mut slow).as_secs()).collect();
        assert_eq!(rests, [120, 240, 480, 960, 1920, 3600, 3600, 3600]);
        for (reason, seconds) in [("refused", 60), ("rows", 60), ("denied", 600), ("connect", 5), ("closed", 120)] {
            assert_eq!(rest(reason, minute, &mut slow).as_secs(), seconds, "{reason}");
        }
        assert_eq!(rest("closed", 2 * Duration::from_secs(3600), &mut slow).as_secs(), 7200);
    }
}
