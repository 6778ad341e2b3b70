//! To whom a spool belongs: the cluster and the instance its events come from, and the receivers they are meant for, each
//! with its name and its places. Kept in the file `owner` beside the segments, written by the helper that lives there.
//!
//! Nobody else may deliver these events anywhere else, so the file is read strictly: what is not exactly as it was written
//! is damaged, and says nothing. Refuses: userinfo and queries of URLs (secrets stand there); a file that is too large.

use super::cursor;
use super::disk::{read_all, Disk};
use super::names::UNBORN;
use crate::hash::xxh64;
use crate::limits;
use crate::sys::crash;
use std::io;

/// The file.
pub const OWNER: &str = "owner";
const FIRST_LINE: &str = "gostech-audit-log owner 1";

/// A receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipient {
    /// Its name.
    pub name: String,
    /// Where it is, and where its stand-ins are: `scheme://host:port/path`.
    pub places: Vec<String>,
}

/// To whom a spool belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// `--cluster`; may be empty.
    pub cluster: String,
    /// `--instance`; empty: it was not given.
    pub instance: String,
    /// The receivers, in order.
    pub receivers: Vec<Recipient>,
}

/// What stands in a spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stated {
    /// There is no such file: an older version has made the spool.
    Nothing,
    /// It is not as it was written.
    Damaged,
    /// This.
    Owner(Owner),
}

impl Owner {
    /// As the bytes of its file; none when it is too large to be written.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut text = format!("{FIRST_LINE}\ncluster {}\ninstance {}\n", self.cluster, self.instance);
        for r in &self.receivers {
            text.push_str(&format!("receiver {}\n", r.name));
            r.places.iter().for_each(|p| text.push_str(&format!("place {p}\n")));
        }
        text.push_str(&format!("sum {:016x}\n", xxh64(text.as_bytes(), 0)));
        (text.len() as u64 <= limits::OWNER_BYTES).then(|| text.into_bytes())
    }

    /// From such bytes; none when they are not exactly what `encode` writes.
    pub fn decode(bytes: &[u8]) -> Option<Owner> {
        let text = std::str::from_utf8(bytes).ok().filter(|t| t.len() as u64 <= limits::OWNER_BYTES)?;
        let mut lines = text.split('\n');
        let mut line = |word: &str| lines.next()?.strip_prefix(word)?.strip_prefix(' ').map(String::from);
        let (first, version) = FIRST_LINE.rsplit_once(' ')?;
        line(first).filter(|v| v == version)?;
        let mut owner = Owner { cluster: line("cluster")?, instance: line("instance")?, receivers: Vec::new() };
        for line in lines {
            match (line.split_once(' '), owner.receivers.last_mut()) {
                (Some(("receiver", name)), _) if cursor::is_name(name) => {
                    owner.receivers.push(Recipient { name: name.to_string(), places: Vec::new() });
                }
                (Some(("place", place)), Some(r)) => r.places.push(place.to_string()),
                (Some(("sum", _)), _) => break,
                _ => return None,
            }
        }
        // The sum, the end of the text and the order of all lines.
        (owner.encode()? == bytes).then_some(owner)
    }

    /// What a spool says.
    pub fn read(disk: &dyn Disk) -> io::Result<Stated> {
        disk.look_again(OWNER);
        Ok(match read_all(disk, OWNER, limits::OWNER_BYTES + 1)? {
            None => Stated::Nothing,
            Some(bytes) => Owner::decode(&bytes).map_or(Stated::Damaged, Stated::Owner),
        })
    }

    /// Writes it, on the platter when this comes back; not when it stands there already.
    pub fn write(&self, disk: &dyn Disk) -> io::Result<()> {
        let bytes = self.encode().ok_or_else(|| io::Error::other("the receivers' names and places are too long"))?;
        if read_all(disk, OWNER, limits::OWNER_BYTES + 1).is_ok_and(|there| there.as_ref() == Some(&bytes)) {
            return Ok(());
        }
        let unborn = format!("{OWNER}{UNBORN}");
        // Nothing of an earlier try is to be under it.
        let _ = disk.remove(&unborn);
        disk.write_at(&unborn, 0, &bytes)?;
        disk.sync(&unborn)?;
        crash::point("owner.written");
        disk.rename(&unborn, OWNER)?;
        disk.sync_names()
    }

    /// Whether both say that they are the same instance. One that was given no name is not known to be the same.
    pub fn is_same_instance(&self, other: &Owner) -> bool {
        self.cluster == other.cluster && self.instance == other.instance && !self.instance.is_empty()
    }

    /// Whether a helper of `ours` may live here: not where another cluster or instance has lived. A cluster or an instance
    /// may have been given its name since.
    pub fn may_be_home_of(&self, ours: &Owner) -> bool {
        let agree = |here: &str, ours: &str| here.is_empty() || here == ours;
        (agree(&self.cluster, &ours.cluster) || ours.cluster.is_empty()) && agree(&self.instance, &ours.instance)
    }

    /// The receivers through which a helper of `ours` may deliver what is here, for `only` one of them or for all: none when
    /// it is of another cluster, lacks a receiver, or would deliver to a place that is not known here.
    pub fn delivered_by(&self, ours: &Owner, only: Option<&str>) -> Option<Vec<String>> {
        if self.cluster != ours.cluster {
            return None;
        }
        let wanted: Vec<&Recipient> =
            self.receivers.iter().filter(|r| only.is_none_or(|only| only == r.name)).collect();
        let same = |r: &&Recipient| {
            let mine = ours.receivers.iter().find(|mine| mine.name == r.name);
            mine.is_some_and(|mine| !mine.places.is_empty() && mine.places.iter().all(|p| r.places.contains(p)))
        };
        (!wanted.is_empty() && wanted.iter().all(same)).then(|| wanted.iter().map(|r| r.name.clone()).collect())
    }

    /// For people: `cluster prod, instance i1, receiver r1 (https://a.example.com/)`.
    pub fn words(&self) -> String {
        let mut words = Vec::new();
        for (what, name) in [("cluster", &self.cluster), ("instance", &self.instance)] {
            if !name.is_empty() {
                words.push(format!("{what} {name}"));
            }
        }
        words.extend(self.receivers.iter().map(|r| format!("receiver {} ({})", r.name, r.places.join(", "))));
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory_disk::MemoryDisk;
    use super::*;

    fn owner(cluster: &str, instance: &str, receivers: &[(&str, &[&str])]) -> Owner {
        let receivers = receivers.iter().map(|(name, places)| Recipient {
            name: (*name).into(),
            places: places.iter().map(|p| (*p).into()).collect(),
        });
        Owner { cluster: cluster.into(), instance: instance.into(), receivers: receivers.collect() }
    }

    #[test]
    fn comes_back_and_nothing_else_is_taken_for_it() {
        let o =
            owner("prod", "i1", &[("siem", &["https://a/x", "https://b/"]), ("r2", &["http+unix:///run/s.sock:/"])]);
        let bytes = o.encode().unwrap();
        assert_eq!(Owner::decode(&bytes), Some(o.clone()));
        assert_eq!(Owner::decode(&Owner::default().encode().unwrap()), Some(Owner::default()));
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(Owner::decode(&bad), None, "byte {at}");
            assert_eq!(Owner::decode(&bytes[..at]), None, "cut at {at}");
        }
        assert_eq!(Owner::decode(&[&bytes[..], b"\n"].concat()), None);
        let long = "x".repeat(limits::OWNER_BYTES as usize);
        assert_eq!(owner("", "", &[("r1", &[&long])]).encode(), None, "too large");
    }

    #[test]
    fn is_written_once_and_read_back() {
        let disk = MemoryDisk::open(MemoryDisk::create().unwrap()).unwrap();
        assert_eq!(Owner::read(&disk).unwrap(), Stated::Nothing);
        let (one, two) = (owner("c", "i", &[("r1", &["http://a/"])]), owner("c", "i", &[]));
        for o in [&one, &one, &two] {
            o.write(&disk).unwrap();
            assert_eq!(Owner::read(&disk).unwrap(), Stated::Owner(o.clone()));
        }
        disk.truncate(OWNER, 30).unwrap();
        assert_eq!(Owner::read(&disk).unwrap(), Stated::Damaged);
    }

    #[test]
    fn only_the_same_cluster_with_the_same_receivers_delivers() {
        let prod = owner("prod", "i1", &[("siem", &["https://siem/", "https://siem2/"])]);
        let by = |ours: &Owner| prod.delivered_by(ours, None);
        let other = |cluster, name, place: &str| owner(cluster, "i2", &[(name, &[place])]);
        assert_eq!(by(&other("prod", "siem", "https://siem/")), Some(vec!["siem".to_string()]));
        for (cluster, name, place) in [
            ("test", "siem", "https://siem/"),
            ("", "siem", "https://siem/"),
            ("prod", "r1", "https://siem/"),
            ("prod", "siem", "https://test/"),
        ] {
            assert_eq!(by(&other(cluster, name, place)), None, "{cluster} {name} {place}");
        }
        // A stand-in that prod does not know would be given its events.
        assert_eq!(by(&owner("prod", "i2", &[("siem", &["https://siem/", "https://test/"])])), None);
        // Another receiver of ours is no matter of this spool.
        let more = owner("prod", "i2", &[("own", &["https://own/"]), ("siem", &["https://siem2/"])]);
        assert_eq!(by(&more), Some(vec!["siem".to_string()]));
        // And one that we lack is.
        let both = owner("prod", "i1", &[("siem", &["https://siem2/"]), ("r2", &["https://r2/"])]);
        assert_eq!(both.delivered_by(&more, None), None);
        assert_eq!(both.delivered_by(&more, Some("siem")), Some(vec!["siem".to_string()]));
        assert_eq!(both.delivered_by(&more, Some("other")), None);
    }

    #[test]
    fn a_home_is_of_one_cluster_and_one_instance() {
        let may = |here: (&str, &str), ours: (&str, &str)| {
            owner(here.0, here.1, &[]).may_be_home_of(&owner(ours.0, ours.1, &[("r1", &["http://new/"])]))
        };
        assert!(may(("prod", "i1"), ("prod", "i1")) && may(("", ""), ("prod", "")) && may(("prod", ""), ("", "")));
        assert!(!may(("prod", "i1"), ("test", "i1")) && !may(("prod", "i1.2"), ("prod", "i1")));
        assert!(!may(("", "i1"), ("", "")), "a helper without a name is not i1");
    }
}
