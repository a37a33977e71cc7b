//! MT19937 (Matsumoto and Nishimura 1998) with its two seedings, and PHP's faulty copy.

use super::Stream;

/// Words of state.
const SIZE: usize = 624;
/// Distance of the word that is mixed in.
const MIDDLE: usize = 397;
const MATRIX: u32 = 0x9908_b0df;

/// Seeds as `init_genrand` does, word by word and only when the word is needed: a search that
/// takes three outputs pays for 400 words, not for 1,248.
pub(super) fn seed(stream: &mut Stream, seed: u64) {
    stream.words[0] = seed as u32;
    stream.ready = 1;
    stream.at = 0;
}

/// Seeds as `init_by_array` does with the seed's 32-bit words, as Python does for integers.
pub(super) fn seed_by_array(stream: &mut Stream, seed: u64) {
    self::seed(stream, 19_650_218);
    ready_to(stream, SIZE);
    let mut key = [seed as u32, (seed >> 32) as u32];
    let length = if key[1] == 0 { 1 } else { 2 };
    // The second round adds the key's place as well.
    key[1] = key[1].wrapping_add(1);
    let words = &mut stream.words;
    let mut last = words[0];
    let mut turn = 0;
    for step in 1..=SIZE {
        let at = if step < SIZE { step } else { 1 };
        let mixed = words[at] ^ (last ^ (last >> 30)).wrapping_mul(1_664_525);
        last = mixed.wrapping_add(key[turn]);
        words[at] = last;
        turn = if turn + 1 < length { turn + 1 } else { 0 };
    }
    for step in 2..=SIZE {
        let at = if step < SIZE { step } else { 1 };
        let mixed = words[at] ^ (last ^ (last >> 30)).wrapping_mul(1_566_083_941);
        last = mixed.wrapping_sub(at as u32);
        words[at] = last;
    }
    words[0] = 0x8000_0000;
}

fn ready_to(stream: &mut Stream, count: usize) {
    let mut word = stream.words[stream.ready - 1];
    for at in stream.ready..count {
        word = (word ^ (word >> 30))
            .wrapping_mul(1_812_433_253)
            .wrapping_add(at as u32);
        stream.words[at] = word;
    }
    stream.ready = stream.ready.max(count);
}

/// The next 32 bits; `faulty` takes the low bit of the wrong word, as PHP did before 7.1.
pub(super) fn next(stream: &mut Stream, faulty: bool) -> u64 {
    let at = stream.at;
    if stream.ready < SIZE {
        ready_to(stream, (at + MIDDLE + 1).min(SIZE));
    }
    let words = &mut stream.words;
    let after = if at + 1 < SIZE { at + 1 } else { 0 };
    let far = if at + MIDDLE < SIZE {
        at + MIDDLE
    } else {
        at + MIDDLE - SIZE
    };
    let low = if faulty { words[at] } else { words[after] };
    let joined = (words[at] & 0x8000_0000) | (words[after] & 0x7fff_ffff);
    let mut value = words[far] ^ (joined >> 1) ^ ((low & 1).wrapping_neg() & MATRIX);
    words[at] = value;
    stream.at = after;
    value ^= value >> 11;
    value ^= (value << 7) & 0x9d2c_5680;
    value ^= (value << 15) & 0xefc6_0000;
    u64::from(value ^ (value >> 18))
}
