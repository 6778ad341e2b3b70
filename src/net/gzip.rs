//! ○ gzip (RFC 1952) with one compressor that is used again: its tables are 300 KB and would be made for each body.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// A reusable gzip compressor.
pub struct Gzip {
    deflate: Compress,
}

impl Gzip {
    /// Level 1: the fastest, and events repeat themselves enough for it.
    pub fn fast() -> Self {
        Gzip { deflate: Compress::new(Compression::fast(), false) }
    }

    /// Packs `body` as one gzip member into `out`, which is cleared first.
    pub fn pack(&mut self, body: &[u8], out: &mut Vec<u8>) {
        out.clear();
        self.deflate.reset();
        // No name, no time (the same body is the same bytes), made on Unix.
        out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3]);
        out.reserve(body.len() / 4 + 64);
        loop {
            let rest = &body[self.deflate.total_in() as usize..];
            match self.deflate.compress_vec(rest, out, FlushCompress::Finish) {
                Ok(Status::StreamEnd) => break,
                // More room is all it can lack: the input is whole and the compressor fresh.
                Ok(_) | Err(_) => out.reserve(out.capacity() / 2 + 64),
            }
        }
        let mut crc = Crc::new();
        crc.update(body);
        out.extend_from_slice(&crc.sum().to_le_bytes());
        out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_is_packed_again_and_again_unpacks_to_the_same() {
        let mut gzip = Gzip::fast();
        let mut out = Vec::new();
        let noise: Vec<u8> = (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let words = br#"{"title":"auth_ok","severity":"high"},"#.repeat(5000);
        for body in [&b""[..], b"x", &words, &noise, &words] {
            gzip.pack(body, &mut out);
            let mut back = Vec::new();
            flate2::read::GzDecoder::new(&out[..]).read_to_end(&mut back).unwrap();
            assert!(back == body, "{} bytes came back as {}", body.len(), back.len());
        }
        assert!(out.len() < words.len() / 20);
    }
}
