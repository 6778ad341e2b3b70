//! ○ Order for lists that are short or seldom sorted, and a map for hundreds. std's sort and its tree are made for millions, and
//! anew for each kind of thing: 5 KB of program each time, which is a tenth of all of ours.
//!
//! Equal ones stay as they stand, and n of any order take n·log n looks. Refuses: to be where anybody else says how many there
//! are.

use std::borrow::Borrow;

/// As many are put in order in their place, without memory.
const FEW: usize = 12;

/// The least first.
pub fn sort<T: Ord>(all: &mut [T]) {
    by(all, |a, b| a < b);
}

/// By a key, which is made once for each.
pub fn by_key<T, K: Ord>(all: &mut [T], key: impl FnMut(&T) -> K) {
    let keys: Vec<K> = all.iter().map(key).collect();
    arrange(all, order(all.len(), &|a, b| keys[a] < keys[b]));
}

/// By which of two has to stand before the other one.
pub fn by<T>(all: &mut [T], before: impl Fn(&T, &T) -> bool) {
    if all.len() > FEW {
        let places = order(all.len(), &|a, b| before(&all[a], &all[b]));
        return arrange(all, places);
    }
    for end in 1..all.len() {
        let mut at = end;
        while at > 0 && before(&all[at], &all[at - 1]) {
            all.swap(at, at - 1);
            at -= 1;
        }
    }
}

/// Pairs in the order of their keys. To put one in or to take one out moves those behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map<K, V>(Vec<(K, V)>);

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Map::new()
    }
}

impl<K, V> Map<K, V> {
    /// Nothing is in it.
    pub const fn new() -> Self {
        Map(Vec::new())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// All of them, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    /// The values.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// The values, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// Those alone stay.
    pub fn retain(&mut self, mut stays: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain_mut(|(key, value)| stays(key, value));
    }
}

impl<K: Ord, V> Map<K, V> {
    /// Where it stands, or would stand.
    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0.binary_search_by(|(k, _)| k.borrow().cmp(key))
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.place(key).ok().map(|at| &self.0[at].1)
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.place(key).ok().map(|at| &mut self.0[at].1)
    }

    /// Whether there is one.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.place(key).is_ok()
    }

    /// The value of a key, made where there is none.
    pub fn at(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = match self.place(&key) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (key, make()));
                at
            }
        };
        &mut self.0[at].1
    }

    /// Puts one in; gives the value that was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// Takes one out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.place(key).ok().map(|at| self.0.remove(at).1)
    }
}

/// Of several with one key the last one counts.
impl<K: Ord, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut all: Vec<(K, V)> = pairs.into_iter().collect();
        by(&mut all, |(a, _), (b, _)| a < b);
        all.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        Map(all)
    }
}

/// Which one is to stand at each place: runs that are in order are merged, two by two.
fn order(count: usize, before: &dyn Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    let mut merged = Vec::with_capacity(count);
    let mut run = 1;
    while run < count {
        for pair in places.chunks(2 * run) {
            let (mut left, mut right) = pair.split_at(run.min(pair.len()));
            while let (Some(l), Some(r)) = (left.first(), right.first()) {
                let from = if before(*r, *l) { &mut right } else { &mut left };
                merged.push(from[0]);
                *from = &from[1..];
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        std::mem::swap(&mut places, &mut merged);
        merged.clear();
        run *= 2;
    }
    places
}

/// Moves each to its place.
fn arrange<T>(all: &mut [T], mut places: Vec<usize>) {
    for start in 0..all.len() {
        let mut at = start;
        loop {
            let from = std::mem::replace(&mut places[at], at);
            if from == start {
                break;
            }
            all.swap(at, from);
            at = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of a chance that is the same each time.
    fn numbers(count: usize, below: u64) -> Vec<(u64, usize)> {
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        (0..count).map(|i| (next(), i)).collect()
    }

    #[test]
    fn any_list_is_in_order_and_equal_ones_stay_as_they_stand() {
        for count in (0..70).chain([1000, 4097]) {
            for below in [1, 3, 1 << 30] {
                let given = numbers(count, below);
                let mut expect = given.clone();
                expect.sort_by_key(|(n, _)| *n);
                let (mut one, mut other) = (given.clone(), given.clone());
                by(&mut one, |a, b| a.0 < b.0);
                by_key(&mut other, |(n, _)| *n);
                assert!(one == expect && other == expect, "{count} below {below}");
                for mut sorted in [expect.clone(), expect.iter().rev().copied().collect()] {
                    sort(&mut sorted);
                    assert_eq!(sorted, expect, "{count} below {below}");
                }
            }
        }
    }

    #[test]
    fn a_map_does_what_stds_does() {
        let (mut map, mut expect) = (Map::new(), std::collections::BTreeMap::new());
        for (step, (key, _)) in numbers(3000, 40).into_iter().enumerate() {
            match step % 4 {
                0 => assert_eq!(map.insert(key, step), expect.insert(key, step)),
                1 => assert_eq!(map.remove(&key), expect.remove(&key)),
                2 => assert_eq!(map.at(key, || 7), expect.entry(key).or_insert(7)),
                _ => assert_eq!((map.get(&key), map.contains_key(&key)), (expect.get(&key), expect.contains_key(&key))),
            }
            if step % 100 == 0 {
                map.retain(|k, v| (k + *v as u64) % 3 > 0);
                expect.retain(|k, v| (k + *v as u64) % 3 > 0);
            }
            assert!(map.iter().eq(expect.iter()) && map.keys().eq(expect.keys()) && map.len() == expect.len());
        }
        let pairs = || numbers(500, 40).into_iter();
        let (map, expect): (Map<_, _>, std::collections::BTreeMap<_, _>) = (pairs().collect(), pairs().collect());
        assert!(map.values().eq(expect.values()) && map.iter().eq(expect.iter()));
    }
}
