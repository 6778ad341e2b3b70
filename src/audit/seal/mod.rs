//! ○ Evidence that a trail was not altered: streams of numbered records, the hashes of them, and what is signed.
//!
//! Here is what the sealer writes and the verifier reads, so that both say the same. Refuses: to keep a key, to trust
//! what it reads.

pub mod checkpoint;
pub mod leaf;
pub mod list;
pub mod note;
pub mod stream;
pub mod text;
pub mod tree;

pub use checkpoint::Checkpoint;
pub use leaf::{absent, canonical, form, is_foreign, leaf, Form};
pub use list::{List, Place};
pub use note::{Note, SigningKey, VerifierKey};
pub use stream::{Algorithm, Hash, Stream, StreamId};
pub use text::{escaped, hashes, of_base64, to_base64, unescaped};
pub use tree::Tree;
