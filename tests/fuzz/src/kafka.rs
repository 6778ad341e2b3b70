//! Foreign answers of Kafka's brokers: an answer is read whole or not at all, a cut one never, and no count or length in it
//! asks for more than there are bytes.
//!
//! Refuses: to know connections.

use gostech::audit::delivery::transport::kafka::errors;
use gostech::audit::delivery::transport::kafka::wire::{Answer, Malformed, Read};
use gostech::limits;

/// Seeds: which answer it is, in which version, and its bytes.
pub fn seeds() -> Vec<Vec<u8>> {
    let text = |t: &str| [&(t.len() as i16).to_be_bytes()[..], t.as_bytes()].concat();
    let ints = |all: &[i32]| all.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>();
    let broker = [ints(&[5]), text("kafka-1.example.com"), ints(&[9092]), vec![255, 255]].concat();
    let partition = [vec![0, 0], ints(&[0, 5, 1, 5, 1, 5])].concat();
    let topic = [ints(&[1]), vec![0, 0], text("audit"), vec![0], ints(&[1]), partition].concat();
    let metadata = [ints(&[1, 0, 1]), broker, text("cluster"), ints(&[5]), topic].concat();
    let bad = [ints(&[1, 3]), text("why"), text("message")].concat();
    let produced = [ints(&[1, 1]), text("audit"), ints(&[1, 0]), vec![0, 87], vec![0; 24], bad, ints(&[0])].concat();
    let versions = [ints(&[1]), vec![0, 0], ints(&[1]), vec![0, 0, 0, 3, 0, 9]].concat();
    let handshake = [ints(&[1]), vec![0, 33], ints(&[2]), text("PLAIN"), text("SCRAM-SHA-512")].concat();
    let login = [ints(&[1]), vec![0, 0, 255, 255], ints(&[3]), b"v=x".to_vec(), vec![0; 8]].concat();
    let producer = [ints(&[1, 0]), vec![0, 0], vec![0; 8], vec![0, 0]].concat();
    let all = [(0, versions), (1, handshake), (2, login), (3, metadata), (4, producer), (5, produced)];
    let mut seeds: Vec<Vec<u8>> = all.into_iter().map(|(which, bytes)| [vec![which, 8], bytes].concat()).collect();
    seeds.push([&[3, 4][..], &ints(&[1, 0, i32::MAX])].concat());
    seeds
}

/// How much of memory there is in an answer, by what it holds.
fn weight(which: u8, version: i16, bytes: &[u8]) -> Read<usize> {
    let a = Answer::to(1, bytes)?;
    Ok(match which % 6 {
        0 => a.api_versions()?.1.len(),
        1 => a.handshake()?.1.iter().map(|m| m.len() + 1).sum(),
        2 => {
            let login = a.authenticate(version.min(1))?;
            login.message.len() + login.said.len()
        }
        3 => {
            let m = a.metadata(version.min(4))?;
            let clean =
                |host: &str| !host.is_empty() && host.len() <= limits::HOST_BYTES && !host.contains(['\n', ' ']);
            assert!(m.brokers.iter().all(|b| clean(&b.host) && b.port > 0));
            m.brokers.len() + m.partitions.len()
        }
        4 => usize::from(a.init_producer_id()?.0 != 0),
        _ => {
            let p = a.produce(version)?;
            let words = errors::words(p.error, &p.words(), "here");
            assert!(super::is_one_line(&words) && words.chars().count() < 4 * limits::FOREIGN_SHOWN_CHARS, "{words}");
            p.bad.iter().map(|(_, why)| why.len() + 1).sum::<usize>() + p.message.len()
        }
    })
}

/// The target.
pub fn check(input: &[u8]) {
    let Some(([which, version], bytes)) = input.split_first_chunk() else { return };
    let version = i16::from(*version % 9);
    if let Ok(n) = weight(*which, version, bytes) {
        // What is no UTF-8 is replaced, by three bytes for one.
        assert!(n <= 3 * bytes.len(), "{n} of {}", bytes.len());
        let longer = [bytes, b"\0"].concat();
        assert_eq!(weight(*which, version, &longer), Ok(n), "what stands behind it changes nothing");
        let cut = (0..bytes.len().min(500)).map(|n| weight(*which, version, &bytes[..n]));
        let cut: Vec<_> = cut.skip_while(|read| *read == Err(Malformed)).collect();
        assert!(cut.iter().all(|read| *read == Ok(n)), "a cut answer is none, or nothing of it was cut");
    }
}
