//! ○ Which stretch of places was gone before it was sealed, by the root alone: each try costs a few hashes, not all of them.
//!
//! Refuses: more than two stretches, and more tries than its bound.

use crate::audit::seal::{Algorithm, Hash, Tree};
use crate::limits;

/// The perfect subtrees over places that follow each other.
pub struct Forest {
    from: u64,
    /// By level, from the first one that lies wholly among them.
    levels: Vec<Vec<Hash>>,
}

impl Forest {
    /// Over these leaves, of which the first comes behind so many.
    pub fn new(algorithm: Algorithm, from: u64, leaves: Vec<Hash>) -> Forest {
        let mut forest = Forest { from, levels: vec![leaves] };
        while let Some(below) = forest.levels.last().filter(|l| l.len() > 1) {
            // A right one whose left one is not here begins it.
            let odd = usize::from(forest.first(forest.levels.len() as u32 - 1) % 2 == 1);
            let node = |two: &[Hash]| algorithm.hash(&[&[1], &two[0], &two[1]]);
            let above = below[odd..].chunks_exact(2).map(node).collect();
            forest.levels.push(above);
        }
        forest
    }

    fn first(&self, level: u32) -> u64 {
        self.from.div_ceil(1 << level)
    }

    fn end(&self) -> u64 {
        self.from + self.levels[0].len() as u64
    }

    /// The tree, which ends among them, with what follows up to this place.
    fn grow(&self, mut tree: Tree, to: u64) -> Tree {
        while tree.size() < to {
            let level = tree.size().trailing_zeros().min((to - tree.size()).ilog2());
            let at = (tree.size() >> level) - self.first(level);
            tree.join(self.levels[level as usize][at as usize], level);
        }
        tree
    }

    /// The stretches of `places` (how many leaves come before each) that are as in the other one where the root is this; as indexes.
    pub fn search(
        &self,
        gone: &Forest,
        places: &[u64],
        tree: &Tree,
        root: &Hash,
        effort: &mut u64,
    ) -> Option<Vec<(usize, usize)>> {
        let cost = 4 * (self.levels.len() as u64 + 4);
        let bound = (*effort / cost).min(limits::VERIFY_STRETCHES);
        let mut search = Search { here: self, gone, places, root, left: bound };
        let found = search.ends(tree).or_else(|| search.any(tree, 0, 0)).or_else(|| search.any(tree, 0, 1));
        *effort -= (bound - search.left) * cost;
        found
    }
}

struct Search<'a> {
    here: &'a Forest,
    gone: &'a Forest,
    places: &'a [u64],
    root: &'a Hash,
    left: u64,
}

impl Search<'_> {
    fn fits(&mut self, tree: Tree) -> Option<bool> {
        self.left = self.left.checked_sub(1)?;
        Some(self.here.grow(tree, self.here.end()).root() == *self.root)
    }

    /// From a place on to the last one: what is likely, and is tried where the others are too many.
    fn ends(&mut self, tree: &Tree) -> Option<Vec<(usize, usize)>> {
        let last = self.places.last()? + 1;
        for (a, place) in self.places.iter().enumerate() {
            let whole = self.here.grow(tree.clone(), *place);
            if self.fits(self.gone.grow(whole, last))? {
                return Some(vec![(a, self.places.len())]);
            }
        }
        None
    }

    /// Any stretch behind so many places, and so many more behind it.
    fn any(&mut self, tree: &Tree, from: usize, more: usize) -> Option<Vec<(usize, usize)>> {
        let mut tree = tree.clone();
        for a in from..self.places.len() {
            tree = self.here.grow(tree, self.places[a]);
            let mut with = tree.clone();
            for b in a + 1..=self.places.len() {
                with = self.gone.grow(with, self.places[b - 1] + 1);
                let found = match more {
                    0 => self.fits(with.clone())?.then(Vec::new),
                    _ => self.any(&with, b + 1, more - 1),
                };
                if let Some(mut found) = found {
                    found.push((a, b));
                    return Some(found);
                }
                if self.left == 0 {
                    return None;
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(n: u64) -> Hash {
        Algorithm::Sha256.hash(&[&n.to_be_bytes()])
    }

    #[test]
    fn the_root_tells_which_stretches_were_gone() {
        for from in [0u64, 1, 5, 8, 13] {
            let mut tree = Tree::new(Algorithm::Sha256);
            (0..from).for_each(|n| tree.push(leaf(n)));
            let end = from + 21;
            // Two of three are open.
            let places: Vec<u64> = (from..end).filter(|n| n % 3 > 0).collect();
            let forest = |is_gone: &dyn Fn(u64) -> bool| {
                let leaves = (from..end).map(|n| if is_gone(n) { leaf(n + 1000) } else { leaf(n) });
                Forest::new(Algorithm::Sha256, from, leaves.collect())
            };
            let (here, gone) = (forest(&|_| false), forest(&|n| places.contains(&n)));
            for wanted in [vec![(0, 4)], vec![(9, 14)], vec![(3, 4)], vec![(2, 5), (8, 9)], vec![(0, 1), (12, 14)]] {
                let is_gone = |n: u64| {
                    let at = places.iter().position(|p| *p == n);
                    at.is_some_and(|i| wanted.iter().any(|(a, b)| (*a..*b).contains(&i)))
                };
                let mut signed = tree.clone();
                (from..end).for_each(|n| signed.push(if is_gone(n) { leaf(n + 1000) } else { leaf(n) }));
                let mut found = here.search(&gone, &places, &tree, &signed.root(), &mut 10_000_000).unwrap();
                found.sort_unstable();
                assert_eq!(found, wanted, "{from}");
                assert!(here.search(&gone, &places, &tree, &signed.root(), &mut 0).is_none());
            }
            assert!(here.search(&gone, &places, &tree, &[0; 32], &mut 10_000_000).is_none());
        }
    }
}
