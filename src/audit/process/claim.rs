//! Who may deliver what lies in a spool: a decision about each directory beside our own, and about the one we want to live
//! in.
//!
//! A spool belongs to a cluster, an instance and a set of receivers (its file `owner`). A helper that delivers elsewhere
//! would give the events of one database to the receivers of another, and its cursor would hold them for ever. Refuses: to
//! take what is in doubt; that waits for its own helper, or for an administrator.

use crate::audit::options::keeping::base_name;
use crate::audit::options::Options;
use crate::audit::spool::disk::{Disk, RealDisk};
use crate::audit::spool::owner::{Owner, Recipient, Stated};
use crate::audit::spool::record::{Head, Identity, RECORDS_AT};
use crate::audit::spool::{cursor, ephemeral, names};
use crate::sys::process;
use crate::{limits, log};
use std::io;
use std::path::Path;

/// Who we are.
#[derive(Clone, Debug)]
pub struct Ours {
    /// To whom our own spool belongs.
    pub owner: Owner,
    /// What stands in the heads of our segments.
    pub identity: Identity,
}

/// What is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It may be delivered, through these receivers of ours.
    May(Vec<String>),
    /// It may not: whose it is, in words.
    Not(String),
}

/// What a helper with these options writes into its spool. Of a URL nothing that may be secret: no userinfo, no query.
pub fn owner_of(options: &Options) -> Owner {
    let place = |shown: String| shown.split('?').next().unwrap_or_default().to_string();
    let receivers = options.receivers.iter().map(|r| Recipient {
        name: r.name.clone(),
        places: r.targets.iter().map(|t| place(t.to.target.display())).collect(),
    });
    Owner {
        cluster: options.cluster.clone(),
        instance: options.instance.clone().unwrap_or_default(),
        receivers: receivers.collect(),
    }
}

/// Who the helper is that lives in a directory, as it has written there; none when that does not stand there.
pub fn living_in(dir: &Path) -> Option<Ours> {
    let Ok(Stated::Owner(owner)) = Owner::read(&RealDisk::new(dir)) else { return None };
    let node = process::host_name();
    let instance = if owner.instance.is_empty() { node.clone() } else { owner.instance.clone() };
    Some(Ours { identity: Identity { cluster: owner.cluster.clone(), instance, node }, owner })
}

/// Whether what lies in a directory may be delivered by us.
pub fn decide(dir: &Path, ours: &Ours) -> io::Result<Claim> {
    let disk = RealDisk::new(dir);
    let (ordered, only) = (dir.join(names::EPHEMERAL).exists(), ephemeral::only(dir));
    let through_all = || {
        let mine = ours.owner.receivers.iter().map(|r| r.name.clone());
        Claim::May(mine.filter(|n| only.as_ref().is_none_or(|only| only == n)).collect())
    };
    Ok(match Owner::read(&disk)? {
        Stated::Owner(o) if ordered && o.is_same_instance(&ours.owner) => through_all(),
        // Our own, left when its receivers were other ones: as in our home, what waits goes to those of today.
        Stated::Owner(o) if o.is_same_instance(&ours.owner) => {
            let mine = ours.owner.receivers.iter().map(|r| r.name.clone());
            let known: Vec<String> = mine.filter(|n| o.receivers.iter().any(|r| r.name == *n)).collect();
            if known.is_empty() {
                through_all()
            } else {
                Claim::May(known)
            }
        }
        Stated::Owner(o) => match o.delivered_by(&ours.owner, only.as_deref()) {
            Some(names) => Claim::May(names),
            None => Claim::Not(o.words()),
        },
        // An administrator's order, made by an older version.
        Stated::Nothing if ordered => through_all(),
        Stated::Nothing => match is_of_our_instance(&disk, ours)? {
            Some(names) => Claim::May(names),
            None => Claim::Not("an older version made it, and did not write down for which receivers it is".into()),
        },
        Stated::Damaged => Claim::Not("its file `owner`, which says for which receivers it is, is damaged".into()),
    })
}

/// A spool of a version that wrote down no owner is ours where nothing is in doubt: every head names our cluster and our
/// instance, and every cursor is one of our receivers, by which it is delivered.
fn is_of_our_instance(disk: &RealDisk, ours: &Ours) -> io::Result<Option<Vec<String>>> {
    let files = disk.list()?;
    for f in files.iter().filter(|f| f.name.ends_with(".seg")) {
        let mut bytes = [0; RECORDS_AT as usize];
        let got = disk.read_at(&f.name, 0, &mut bytes)?;
        let same = |head: Head| {
            head.identity.cluster == ours.identity.cluster && head.identity.instance == ours.identity.instance
        };
        if !Head::decode(&bytes[..got]).is_some_and(same) {
            return Ok(None);
        }
    }
    let names: Vec<String> = files.iter().filter_map(|f| cursor::receiver_of(&f.name).map(String::from)).collect();
    let known = |name: &String| ours.owner.receivers.iter().any(|r| r.name == *name);
    Ok((!names.is_empty() && names.iter().all(known)).then_some(names))
}

/// Whose the spool in a directory is, where that is another one's than a helper's of `ours`: it cannot live there.
pub fn home_of_another(dir: &Path, ours: &Owner) -> Option<String> {
    match Owner::read(&RealDisk::new(dir)) {
        Ok(Stated::Owner(o)) if !o.may_be_home_of(ours) => Some(o.words()),
        _ => None,
    }
}

/// Says that what lies in our own spool goes elsewhere than it was meant to: a receiver has moved, or this is not the
/// directory that was meant.
pub fn tell_of_a_move(dir: &Path, ours: &Owner) {
    if let Ok(Stated::Owner(o)) = Owner::read(&RealDisk::new(dir)) {
        let known = |place: &String| ours.receivers.iter().any(|r| r.places.contains(place));
        if !o.receivers.iter().flat_map(|r| &r.places).any(known) {
            let (dir, was, now) = (dir.display(), o.words(), ours.words());
            log::info("spool", format!("what lies in `{dir}` was meant for {was}; it is delivered by {now}"));
        }
    }
}

/// The sub-directory that has our receivers already, where the first one has other ones: without `--instance` several helpers
/// share one name, and the one who starts first is not to take the spool of another.
pub fn known_home(root: &Path, options: &Options) -> Option<String> {
    let (base, ours) = (base_name(options), owner_of(options));
    let is_ours = |name: &str| match Owner::read(&RealDisk::new(&root.join(name))) {
        Ok(Stated::Owner(o)) => Some(o == ours),
        _ => None,
    };
    if is_ours(&base) != Some(false) {
        return None;
    }
    (2..=limits::SPOOL_DIRECTORIES).map(|n| format!("{base}.{n}")).find(|name| is_ours(name) == Some(true))
}
