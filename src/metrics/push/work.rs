//! The threads: a clock that has the database asked once for all, and one for each outlet.
//!
//! Refuses: to ask while nobody wants numbers, to let one outlet hold up another.

use super::counts::Register;
use super::of;
use super::queue::{Queue, Turn};
use super::row::{Plan, Push, Route};
use crate::backoff::Backoff;
use crate::metrics::cluster::Cluster;
use crate::metrics::numbers::Numbers;
use crate::sys::clock::wall_ms;
use crate::sys::{process, thread};
use crate::{limits, log};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the clock goes by.
struct Orders {
    plan: Plan,
    numbers: Arc<Numbers>,
    floor: Duration,
    queues: Vec<Arc<Queue>>,
}

/// The outlets at work.
pub struct Outlets {
    register: Arc<Register>,
    orders: Mutex<Option<Orders>>,
    news: Condvar,
}

impl Outlets {
    /// None yet.
    pub fn new(register: Arc<Register>) -> Outlets {
        Outlets { register, orders: Mutex::new(None), news: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Orders>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the clock. It lives as long as the program, and does nothing while there are no outlets.
    pub fn start(self: &Arc<Self>, cluster: Arc<Cluster>) -> io::Result<()> {
        let outlets = self.clone();
        thread::start("push-clock", move || outlets.tick(&cluster)).map(drop)
    }

    /// The same outlets, which read their certificates and secrets again; with other numbers.
    pub fn keep(&self, numbers: Arc<Numbers>, floor: Duration) {
        if let Some(orders) = self.lock().as_mut() {
            (orders.numbers, orders.floor) = (numbers, floor);
            orders.queues.iter().for_each(|queue| queue.reload());
        }
    }

    /// From now on so: outlets that were there before begin anew, and what waited for them is gone with them, and counted.
    pub fn change(&self, plan: Plan, numbers: Arc<Numbers>, floor: Duration) {
        let mut orders = self.lock();
        let before = orders.take().map(|o| (o.plan.routes, o.queues)).unwrap_or_default();
        before.1.iter().for_each(|queue| queue.end());
        let gone = before.0.iter().filter(|(name, _)| !plan.routes.iter().any(|(n, _)| n == name));
        gone.for_each(|(name, _)| self.register.forget(name));
        let queues = plan.routes.iter().filter_map(|(name, route)| self.open(name, route, &plan)).collect();
        *orders = Some(Orders { plan, numbers, floor, queues });
        self.news.notify_all();
    }

    fn open(&self, name: &str, route: &Route, plan: &Plan) -> Option<Arc<Queue>> {
        let row = of(&route.to.target);
        let most = if row.timed { plan.buffer } else { 1 };
        let queue = Arc::new(Queue::new(name.to_string(), most, self.register.clone()));
        self.register.add(name);
        let worker = Worker {
            name: name.to_string(),
            deadline: plan.deadline,
            register: self.register.clone(),
            queue: queue.clone(),
        };
        // The options have asked the same: what it refuses was a usage error.
        let sender = (row.open)(route).map_err(|e| io::Error::other(e.text().to_string()));
        let started = sender.and_then(|sender| thread::start("push", move || worker.live(sender)));
        started.inspect_err(|e| log::error(&matter(name), format!("cannot start: {e}"))).ok().map(|_| queue)
    }

    fn tick(&self, cluster: &Cluster) {
        let mut next = Instant::now();
        loop {
            let (numbers, floor, patience) = self.when(&mut next);
            let seen = cluster.read(floor, patience);
            let shot = Arc::new(numbers.shot(&seen));
            let bytes = shot.bytes();
            let queues = self.lock().as_ref().map(|o| o.queues.clone()).unwrap_or_default();
            queues.iter().for_each(|queue| queue.put(shot.clone(), bytes));
        }
    }

    /// Waits until it is time for the next push.
    fn when(&self, next: &mut Instant) -> (Arc<Numbers>, Duration, Duration) {
        let mut orders = self.lock();
        loop {
            let now = Instant::now();
            match orders.as_ref().filter(|o| !o.queues.is_empty()) {
                None => orders = self.news.wait(orders).unwrap_or_else(PoisonError::into_inner),
                Some(o) if *next <= now => {
                    // On the grid; what was missed is not made up for.
                    let late = now.duration_since(*next).as_nanos() / o.plan.interval.as_nanos().max(1);
                    *next += o.plan.interval.saturating_mul(late as u32 + 1);
                    return (o.numbers.clone(), o.floor.min(o.plan.interval), o.plan.interval.min(o.plan.deadline));
                }
                Some(_) => {
                    let left = *next - now;
                    orders = self.news.wait_timeout(orders, left).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }
}

fn matter(name: &str) -> String {
    format!("push {name}")
}

/// One outlet.
struct Worker {
    name: String,
    deadline: Duration,
    register: Arc<Register>,
    queue: Arc<Queue>,
}

impl Worker {
    fn live(&self, mut sender: Box<dyn Push>) {
        let (first, most) = (limits::PUSH_RETRY_FIRST_MILLIS, limits::PUSH_RETRY_MOST_SECONDS);
        let mut backoff = Backoff::new(Duration::from_millis(first), Duration::from_secs(most));
        let (mut not_before, matter) = (None, matter(&self.name));
        loop {
            let shot = match self.queue.next(not_before) {
                Turn::End => return,
                Turn::Reload => {
                    sender.reload();
                    not_before = None;
                    continue;
                }
                Turn::Push(shot) => shot,
            };
            let failed = match sender.push(&shot.page(&[]), Instant::now() + self.deadline) {
                Ok(written) => {
                    let now = wall_ms() as f64 / 1000.0;
                    self.register.of(&self.name, |counts| counts.add(written, now));
                    self.queue.done(&shot, None);
                    if log::calm(&matter) {
                        log::info(&matter, "it takes numbers again");
                    }
                    backoff.reset();
                    not_before = None;
                    continue;
                }
                Err(trouble) => trouble,
            };
            self.register.of(&self.name, |counts| counts.failures.add(failed.reason));
            match failed.forever {
                true => {
                    self.queue.done(&shot, Some("refused"));
                    log::warn(&matter, format!("{}; these numbers are given up", failed.text));
                }
                false => {
                    not_before = Some(Instant::now() + backoff.next(process::chance()));
                    log::warn(&matter, failed.text);
                }
            }
        }
    }
}
