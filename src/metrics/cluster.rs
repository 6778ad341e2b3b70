//! All instances of the cluster: learned from those that answer, each asked over a connection and by a thread of its own.
//!
//! Without `--discover` there is the one instance that was named. With it, what any answer says of `_pico_instance` is
//! followed: who comes gets a thread, who is expelled or gone loses it; the uuid tells them apart, since names are used again.
//! Everyone is wished for at once and waited for together, so a page takes as long as the slowest who is well; who failed the
//! last time, or is at it for long, is not waited for. Refuses: more threads than a bound.

use super::asker::{Address, Asker};
use super::login::Login;
use super::poll::{self, Inbox, Orders};
use super::readings::{Readings, Seen, Ticket};
use super::source::members::Listed;
use super::source::Wishes;
use crate::limits;
use crate::log;
use crate::net::dial::Dial;
use crate::net::target::{host_and_port, Place};
use crate::sorted;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How instances are asked.
pub struct Maker {
    /// How the one that was named is reached; the others differ in place.
    pub address: Address,
    /// As whom.
    pub login: Login,
    /// What is wanted.
    pub wishes: Wishes,
    /// Polls unasked.
    pub interval: Option<Duration>,
    /// Places that may be probed, and `discovered`.
    pub probes: Vec<String>,
}

impl Maker {
    fn asker(&self, place: Place) -> Asker {
        let dial = Dial { place, ..self.address.dial.clone() };
        Asker::new(Address { dial, patience: self.address.patience }, self.login.beside(), self.wishes.clone())
    }
}

/// One that was learned of.
struct Member {
    listed: Listed,
    readings: Arc<Readings>,
    inbox: Arc<Inbox>,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.inbox.end();
        self.readings.stir();
    }
}

struct State {
    maker: Maker,
    /// By uuid; without the one that was named.
    members: BTreeMap<String, Member>,
    /// What was learned last.
    all: Arc<Vec<Listed>>,
    /// By what was asked for.
    probed: BTreeMap<String, Member>,
}

/// The cluster.
pub struct Cluster {
    seed: Arc<Readings>,
    state: Mutex<State>,
}

impl Cluster {
    /// The one that was named is asked by somebody else already.
    pub fn new(seed: Arc<Readings>, maker: Maker) -> Cluster {
        let (members, all, probed) = Default::default();
        Cluster { seed, state: Mutex::new(State { maker, members, all, probed }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All instances, none older than `floor`, waited for until `patience` is over.
    pub fn read(&self, floor: Duration, patience: Duration) -> Vec<Seen> {
        let end = Instant::now() + patience;
        let soon = end.min(Instant::now() + Duration::from_millis(limits::METRICS_GRACE_MILLIS));
        // The only one holds up nobody else.
        let alone = !self.lock().maker.wishes.discover;
        let until = |ticket: &Ticket| if ticket.well || alone { end } else { soon };
        let first = self.seed.wish(floor);
        let wish = |(uuid, m): (&String, &Member)| (uuid.clone(), m.readings.wish(floor));
        let mut tickets: BTreeMap<String, Ticket> = self.lock().members.iter().map(wish).collect();
        let view = self.seed.wait(&first, until(&first));
        if let Some(list) = self.newest() {
            self.follow(list);
        }
        let own = view.counts.database.as_ref().map(|(_, uuid)| uuid);
        let state = self.lock();
        let labels = state.all.iter().find(|l| Some(&l.uuid) == own).map(Listed::labels).unwrap_or_default();
        // Those who have just come are waited for as well.
        let all = state.members.iter().map(|(uuid, m)| {
            let ticket = tickets.remove(uuid).unwrap_or_else(|| m.readings.wish(floor));
            (m.listed.labels(), m.readings.clone(), ticket)
        });
        let all: Vec<_> = all.collect();
        drop(state);
        let mut seen = vec![Seen { labels, view }];
        seen.extend(all.into_iter().map(|(labels, readings, ticket)| {
            let view = readings.wait(&ticket, until(&ticket));
            Seen { labels, view }
        }));
        sorted::by(&mut seen, |a, b| a.labels < b.labels);
        seen
    }

    /// What the one that was named knows of the others, or the first who answers while it does not.
    fn newest(&self) -> Option<Arc<Vec<Listed>>> {
        let state = self.lock();
        let all = std::iter::once(&self.seed).chain(state.members.values().map(|m| &m.readings));
        all.map(|readings| readings.glance())
            .filter(|view| view.down().is_none())
            .find_map(|view| view.reading?.result.as_ref().ok()?.0.list.clone())
    }

    fn follow(&self, list: Arc<Vec<Listed>>) {
        let own = self.seed.glance().counts.database.map(|(_, uuid)| uuid);
        let mut state = self.lock();
        if Arc::ptr_eq(&state.all, &list) {
            return;
        }
        let wanted = |l: &&Listed| l.state != "Expelled" && Some(&l.uuid) != own.as_ref() && !l.address.is_empty();
        let here: BTreeMap<&str, &Listed> = list.iter().filter(wanted).map(|l| (l.uuid.as_str(), l)).collect();
        // One that has moved or has another name begins anew.
        state.members.retain(|uuid, m| {
            let stays = here
                .get(uuid.as_str())
                .is_some_and(|l| l.address == m.listed.address && l.labels() == m.listed.labels());
            if !stays {
                log::info("cluster", format!("{} at {} is gone, or another", m.listed.name, m.listed.address));
            }
            stays
        });
        for (uuid, listed) in here {
            if state.members.contains_key(uuid) {
                continue;
            }
            if state.members.len() >= limits::METRICS_INSTANCES {
                log::warn(
                    "cluster",
                    format!("more than {} instances: the others are left out", limits::METRICS_INSTANCES),
                );
                break;
            }
            match start(&state.maker, listed.clone()) {
                Ok(member) => {
                    log::info("cluster", format!("{} at {} has come", listed.name, listed.address));
                    state.members.insert(uuid.to_string(), member);
                }
                Err(why) => {
                    log::warn("cluster", format!("{} at {} cannot be asked: {why}", listed.name, listed.address))
                }
            }
        }
        state.all = list;
    }

    /// The one at this place, if it may be asked; none: it may not.
    pub fn probe(&self, target: &str, floor: Duration, patience: Duration) -> Option<Seen> {
        let own = self.seed.glance().counts.database.map(|(_, uuid)| uuid);
        let mut state = self.lock();
        let allowed = |word: &str| state.maker.probes.iter().any(|p| p == word);
        let seed = state.all.iter().find(|l| l.address == target && Some(&l.uuid) == own.as_ref());
        if let Some(seed) = seed.filter(|_| allowed("discovered") || allowed(target)) {
            let labels = seed.labels();
            drop(state);
            return Some(Seen { labels, view: self.seed.read(floor, patience) });
        }
        let discovered =
            state.members.values().find(|m| m.listed.address == target && (allowed("discovered") || allowed(target)));
        let member = match discovered {
            Some(member) => member,
            None if !allowed(target) => return None,
            None => {
                if !state.probed.contains_key(target) {
                    let listed = Listed { address: target.to_string(), ..Listed::default() };
                    let member = start(&state.maker, listed).ok()?;
                    state.probed.insert(target.to_string(), member);
                }
                state.probed.get(target)?
            }
        };
        let labels = if member.listed.name.is_empty() { Vec::new() } else { member.listed.labels() };
        let readings = member.readings.clone();
        drop(state);
        Some(Seen { labels, view: readings.read(floor, patience) })
    }

    /// Whether other instances than the one that was named are looked for.
    pub fn discovers(&self) -> bool {
        self.lock().maker.wishes.discover
    }

    /// Every instance as `http_sd` has it; none: nobody looks for them.
    pub fn sd(&self) -> Option<Vec<u8>> {
        let all = Some(self.lock()).filter(|s| s.maker.wishes.discover)?.all.clone();
        let mut out = b"[".to_vec();
        let quoted = |out: &mut Vec<u8>, text: &str| {
            out.push(b'"');
            crate::json::push_text(out, text.as_bytes());
            out.push(b'"');
        };
        for l in all.iter().filter(|l| l.state != "Expelled" && !l.address.is_empty()) {
            out.extend_from_slice(if out.len() == 1 { b"{\"targets\":[" } else { b",\n{\"targets\":[" });
            quoted(&mut out, &l.address);
            out.extend_from_slice(b"],\"labels\":{\"uuid\":");
            quoted(&mut out, &l.uuid);
            for (name, text) in l.labels() {
                out.push(b',');
                quoted(&mut out, &name);
                out.push(b':');
                quoted(&mut out, &text);
            }
            out.extend_from_slice(b"}}");
        }
        out.extend_from_slice(b"]\n");
        Some(out)
    }

    /// From now on so.
    pub fn change(&self, maker: Maker, reconnect: bool) {
        let mut state = self.lock();
        for member in state.members.values() {
            let Some(place) = place(&member.listed.address) else { continue };
            member.inbox.put(Orders { asker: maker.asker(place), reconnect, interval: maker.interval });
            member.inbox.forgive();
            member.readings.stir();
        }
        state.probed.clear();
        if !maker.wishes.discover {
            state.members.clear();
            state.all = Arc::default();
        }
        state.maker = maker;
    }
}

fn place(address: &str) -> Option<Place> {
    let (host, port) = host_and_port(address).ok()?;
    Some(Place::Net { host, port: port? })
}

fn start(maker: &Maker, listed: Listed) -> Result<Member, String> {
    let place = place(&listed.address).ok_or("its address is no HOST:PORT")?;
    let (readings, inbox) = (Arc::<Readings>::default(), Arc::<Inbox>::default());
    poll::start(readings.clone(), inbox.clone(), maker.asker(place), maker.interval).map_err(|e| e.to_string())?;
    Ok(Member { listed, readings, inbox })
}
