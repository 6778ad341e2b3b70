//! ○ AES with keys of 256 bits as a stream (OFB): what collectd's encrypted packets are made with, and ring has not.
//!
//! From FIPS 197, tried with its vectors and those of SP 800-38A. The table is looked up by secret bytes: who could time the
//! cache of this processor could learn of the key. Refuses: to be used for anything but packets to collectd.

/// 2·a in AES's field.
const fn doubled(a: u8) -> u8 {
    (a << 1) ^ if a & 0x80 == 0 { 0 } else { 0x1b }
}

/// The substitution: `p` walks all numbers by powers of 3, `q` their inverses.
const SUBSTITUTE: [u8; 256] = {
    let (mut table, mut p, mut q) = ([0x63; 256], 1u8, 1u8);
    loop {
        p ^= doubled(p);
        q ^= q << 1;
        q ^= q << 2;
        q ^= q << 4;
        q ^= if q & 0x80 == 0 { 0 } else { 0x09 };
        let turned = q ^ q.rotate_left(1) ^ q.rotate_left(2) ^ q.rotate_left(3) ^ q.rotate_left(4);
        table[p as usize] = turned ^ 0x63;
        if p == 1 {
            break table;
        }
    }
};

/// A key, ready for use; wiped when dropped.
pub struct Aes256([[u8; 4]; 60]);

impl Aes256 {
    /// Of this key.
    pub fn new(key: &[u8; 32]) -> Aes256 {
        let (mut words, mut round) = ([[0; 4]; 60], 1);
        for i in 0..60 {
            if i < 8 {
                words[i].copy_from_slice(&key[4 * i..4 * i + 4]);
                continue;
            }
            let mut word: [u8; 4] = words[i - 1];
            if i % 8 == 0 {
                word.rotate_left(1);
            }
            if i % 4 == 0 {
                word = word.map(|b| SUBSTITUTE[b as usize]);
            }
            if i % 8 == 0 {
                word[0] ^= round;
                round = doubled(round);
            }
            words[i] = std::array::from_fn(|n| word[n] ^ words[i - 8][n]);
        }
        Aes256(words)
    }

    /// Encrypts one block.
    fn block(&self, block: [u8; 16]) -> [u8; 16] {
        let keyed = |b: [u8; 16], round: usize| std::array::from_fn(|i| b[i] ^ self.0[4 * round + i / 4][i % 4]);
        let mut block: [u8; 16] = keyed(block, 0);
        for round in 1..=14 {
            // Substituted, and each row turned by its number.
            let b: [u8; 16] = std::array::from_fn(|i| SUBSTITUTE[block[(i + i % 4 * 4) % 16] as usize]);
            let mixed = |i: usize| {
                let of = |n: usize| b[i / 4 * 4 + (i + n) % 4];
                doubled(of(0) ^ of(1)) ^ of(1) ^ of(2) ^ of(3)
            };
            block = keyed(if round < 14 { std::array::from_fn(mixed) } else { b }, round);
        }
        block
    }

    /// Encrypts or decrypts a whole message: both are the same.
    pub fn ofb(&self, start: [u8; 16], bytes: &mut [u8]) {
        let mut stream = start;
        for part in bytes.chunks_mut(16) {
            stream = self.block(stream);
            part.iter_mut().zip(stream).for_each(|(b, s)| *b ^= s);
        }
    }
}

impl Drop for Aes256 {
    fn drop(&mut self) {
        self.0 = [[0; 4]; 60];
        std::hint::black_box(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
    }

    #[test]
    fn a_block_is_that_of_fips_197() {
        let key = bytes("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        let block = Aes256::new(&key).block(bytes("00112233445566778899aabbccddeeff"));
        assert_eq!(block, bytes("8ea2b7ca516745bfeafc49904b496089"));
    }

    #[test]
    fn a_message_is_that_of_sp_800_38a() {
        let key = bytes("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
        let start = bytes("000102030405060708090a0b0c0d0e0f");
        let plain: [u8; 28] = bytes("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac");
        let mut message = plain;
        Aes256::new(&key).ofb(start, &mut message);
        assert_eq!(message, bytes("dc7e84bfda79164b7ecd8486985d38604febdc6740d20b3ac88f6ad8"));
        Aes256::new(&key).ofb(start, &mut message);
        assert_eq!(message, plain);
    }
}
