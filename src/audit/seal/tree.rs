//! ○ The Merkle tree over the leaves of a stream (RFC 6962), of which only the edge is kept: a hash for each perfect
//! subtree, 64 at most.
//!
//! Refuses: to give proofs; whoever checks has the leaves, or an edge to begin with.

use super::leaf::empty;
use super::stream::{Algorithm, Hash};

/// A tree that grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    algorithm: Algorithm,
    size: u64,
    /// The roots of the perfect subtrees, largest first.
    edge: Vec<Hash>,
}

impl Tree {
    /// One without leaves.
    pub fn new(algorithm: Algorithm) -> Tree {
        Tree { algorithm, size: 0, edge: Vec::with_capacity(u64::BITS as usize) }
    }

    /// The one that had this size and edge; none where they do not fit.
    pub fn resume(algorithm: Algorithm, size: u64, edge: &[Hash]) -> Option<Tree> {
        if edge.len() != size.count_ones() as usize {
            return None;
        }
        let mut tree = Tree { size, ..Tree::new(algorithm) };
        tree.edge.extend_from_slice(edge);
        Some(tree)
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.join(leaf, 0);
    }

    /// Adds a perfect subtree of two to the power of `level` leaves, of which the tree has a multiple.
    pub fn join(&mut self, root: Hash, level: u32) {
        let mut hash = root;
        // A subtree for each bit of the size: adding one carries as in a number.
        for _ in 0..(self.size >> level).trailing_ones() {
            if let Some(left) = self.edge.pop() {
                hash = self.node(&left, &hash);
            }
        }
        self.edge.push(hash);
        self.size += 1 << level;
    }

    /// How many leaves it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its root.
    pub fn root(&self) -> Hash {
        let mut subtrees = self.edge.iter().rev();
        let last = subtrees.next().copied().unwrap_or_else(|| empty(self.algorithm));
        subtrees.fold(last, |right, left| self.node(left, &right))
    }

    /// The roots of its perfect subtrees, largest first.
    pub fn edge(&self) -> &[Hash] {
        &self.edge
    }

    fn node(&self, left: &Hash, right: &Hash) -> Hash {
        // In one piece, so that its first block is hashed where it lies.
        let mut both = [1; 65];
        both[1..33].copy_from_slice(left);
        both[33..].copy_from_slice(right);
        self.algorithm.hash(&[&both])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the standard says it.
    fn root(a: Algorithm, leaves: &[Hash]) -> Hash {
        match leaves {
            [] => a.hash(&[]),
            [one] => *one,
            more => {
                let half = more.len().next_power_of_two() / 2;
                a.hash(&[&[1], &root(a, &more[..half]), &root(a, &more[half..])])
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_standard_at_every_size() {
        for algorithm in Algorithm::ALL {
            let leaves: Vec<Hash> = (0..150u8).map(|n| algorithm.hash(&[&[0], &[n]])).collect();
            let mut tree = Tree::new(algorithm);
            for n in 0..leaves.len() {
                assert_eq!((tree.size(), tree.root()), (n as u64, root(algorithm, &leaves[..n])), "{n}");
                let again = Tree::resume(algorithm, tree.size(), tree.edge());
                assert_eq!(again.as_ref(), Some(&tree));
                tree.push(leaves[n]);
            }
        }
    }

    /// The vectors that Certificate Transparency's implementations share.
    #[test]
    fn the_root_is_that_of_certificate_transparency() {
        let hex = |h: Hash| h.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let inputs: [&[u8]; 3] = [b"", b"\x00", b"\x10"];
        let mut tree = Tree::new(Algorithm::Sha256);
        assert_eq!(hex(tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        inputs.iter().for_each(|input| tree.push(Algorithm::Sha256.hash(&[&[0], input])));
        assert_eq!(hex(tree.root()), "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
    }

    #[test]
    fn an_edge_that_does_not_fit_is_refused() {
        assert_eq!(Tree::resume(Algorithm::Sha256, 3, &[[0; 32]]), None);
        assert_eq!(Tree::resume(Algorithm::Sha256, 0, &[[0; 32]]), None);
        assert!(Tree::resume(Algorithm::Sha256, u64::MAX, &[[0; 32]; 64]).is_some());
    }
}
