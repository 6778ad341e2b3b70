//! A small file that is always whole: two copies, written in turn, each with its number and checksum. Pure.
//!
//! Whatever is torn or lost of the copy being written, the other one is there. Cursors and the state live in such files.

use crate::hash::xxh64;

const MAGIC: [u8; 8] = *b"GOSTSLT\x01";
const HEADER: usize = 32;

/// One copy: where to write it, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Where in the file.
    pub at: u64,
    /// What.
    pub bytes: Vec<u8>,
}

/// The copy that holds `payload` as the `turn`-th version; none when it does not fit its room.
pub fn encode(turn: u64, payload: &[u8], room: u64) -> Option<Copy> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&turn.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&xxh64(payload, turn ^ payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(payload);
    (bytes.len() as u64 <= room).then_some(Copy { at: turn % 2 * room, bytes })
}

/// The newest whole copy of a file: its turn and what it holds.
pub fn decode(file: &[u8], room: u64) -> Option<(u64, &[u8])> {
    let second = file.get(room as usize..).unwrap_or_default();
    [file, second].into_iter().filter_map(|c| decode_copy(c, room)).max_by_key(|(turn, _)| *turn)
}

fn decode_copy(copy: &[u8], room: u64) -> Option<(u64, &[u8])> {
    let word = |at: usize| Some(u64::from_le_bytes(copy.get(at..at + 8)?.try_into().ok()?));
    let (turn, len, sum) = (word(8)?, word(16)?, word(24)?);
    let fits = copy.starts_with(&MAGIC) && len <= room - HEADER as u64;
    let payload = fits.then(|| copy.get(HEADER..HEADER + len as usize)).flatten()?;
    (xxh64(payload, turn ^ len) == sum).then_some((turn, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_whole_copy_counts() {
        let mut file = vec![0; 200];
        assert_eq!(decode(&file, 100), None);
        for turn in 1..5u64 {
            let text = format!("version {turn}");
            let copy = encode(turn, text.as_bytes(), 100).unwrap();
            let at = copy.at as usize;
            let before = file.clone();
            file[at..at + copy.bytes.len()].copy_from_slice(&copy.bytes);
            assert_eq!(decode(&file, 100), Some((turn, text.as_bytes())));
            // Torn at any byte: the version before is there.
            for cut in 0..copy.bytes.len() {
                let mut torn = before.clone();
                torn[at..at + cut].copy_from_slice(&copy.bytes[..cut]);
                let got = decode(&torn, 100).map(|d| d.0);
                assert!(got == (turn > 1).then(|| turn - 1) || got == Some(turn));
            }
        }
        assert!(encode(1, &[0; 69], 100).is_none());
        for at in 0..file.len() {
            let mut bad = file.clone();
            bad[at] ^= 0x10;
            assert!(matches!(decode(&bad, 100), Some((3 | 4, _))), "{at}");
        }
    }
}
