//! What a fuzzer's bytes say is changed in a valid file.

/// The input of a target as a choice and a file: one of `valid` with changes, or bytes alone.
///
/// The first byte chooses. A change is three bytes of where, one of what: set a byte, cut the file
/// there, or put a byte there.
#[must_use]
pub fn choose(input: &[u8], valid: &[Vec<u8>]) -> Option<(usize, Vec<u8>)> {
    let (first, rest) = input.split_first()?;
    let choice = usize::from(first & 0x7f) % valid.len();
    if *first >= 0x80 {
        return Some((choice, rest.to_vec()));
    }
    let mut file = valid[choice].clone();
    for change in rest.chunks_exact(4) {
        let at = u32::from_le_bytes([change[0], change[1], change[2] & 0x3f, 0]) as usize;
        let at = at % (file.len() + 1);
        match (change[2] >> 6, file.get_mut(at)) {
            (0 | 1, Some(byte)) => *byte = change[3],
            (2, _) => file.insert(at, change[3]),
            _ => file.truncate(at),
        }
    }
    Some((choice, file))
}

/// An input for two files that belong together: one half changes each.
#[must_use]
pub fn halves(input: &[u8]) -> (&[u8], &[u8]) {
    input.split_at(input.len() / 2)
}

/// The headers of a tar with their checksums set right, so that what is changed in them is read:
/// every block that says it is a header.
#[must_use]
pub fn resealed(mut file: Vec<u8>) -> Vec<u8> {
    for block in file.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }
    file
}

/// The `number`-th of endlessly many inputs, always the same: a choice and few changes, whose bytes
/// are often those at which sizes turn over, or where sizes, tables and headers lie.
#[must_use]
pub fn random(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut draw = |below: u64| {
        // Vigna's xorshift64*: enough to be spread.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % below
    };
    let len = 1 + 4 * draw(9) as usize;
    let mut input = Vec::with_capacity(2 * len);
    // Twice, for targets that take halves.
    for _ in 0..2 {
        input.push(draw(0x80) as u8);
        for _ in 0..len / 4 {
            let at = match draw(3) {
                0 => draw(16),
                1 => draw(600),
                _ => draw(1 << 22),
            };
            let kind = [0, 0, 0, 0, 1, 2, 3][draw(7) as usize];
            let what = match draw(2) {
                0 => [0, 1, 0x7f, 0x80, 0xff, b'0', b'9', b'"'][draw(8) as usize],
                _ => draw(256) as u8,
            };
            let [low, middle, high, _] = (at as u32).to_le_bytes();
            input.extend([low, middle, high & 0x3f | kind << 6, what]);
        }
    }
    input
}
