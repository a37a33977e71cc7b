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

/// Outputs for which [`seed_many`] makes the words: a search seldom takes more.
const AHEAD: usize = 12;

/// Does the same for several seeds side by side, with words for the first outputs: each word waits
/// for the one before it, so that several seeds take little longer than one.
pub(super) fn seed_many<const N: usize>(streams: [&mut Stream; N], seeds: [u64; N]) {
    let mut words = [[0; N]; MIDDLE + AHEAD];
    words[0] = seeds.map(|seed| seed as u32);
    for at in 1..words.len() {
        words[at] = words[at - 1].map(|word| initial(word, at));
    }
    for (lane, stream) in streams.into_iter().enumerate() {
        place(stream, &words, lane);
    }
}

/// Seeds as `init_by_array` does with each seed's 32-bit words, as Python does for integers.
pub(super) fn seed_by_array<const N: usize>(streams: [&mut Stream; N], seeds: [u64; N]) {
    let mut words = BY_ARRAY.map(|word| [word; N]);
    // A seed under 2^32 is a key of one word; the second of two has its place added to it.
    let low = seeds.map(|seed| seed as u32);
    let high = seeds.map(|seed| match (seed >> 32) as u32 {
        0 => seed as u32,
        high => high.wrapping_add(1),
    });
    let mut last = words[0];
    for step in 1..=SIZE {
        let at = if step < SIZE { step } else { 1 };
        let key = if step % 2 == 1 { low } else { high };
        for lane in 0..N {
            let carried = (last[lane] ^ (last[lane] >> 30)).wrapping_mul(1_664_525);
            last[lane] = (words[at][lane] ^ carried).wrapping_add(key[lane]);
        }
        words[at] = last;
    }
    for step in 2..=SIZE {
        let at = if step < SIZE { step } else { 1 };
        for lane in 0..N {
            let carried = (last[lane] ^ (last[lane] >> 30)).wrapping_mul(1_566_083_941);
            last[lane] = (words[at][lane] ^ carried).wrapping_sub(at as u32);
        }
        words[at] = last;
    }
    words[0] = [0x8000_0000; N];
    for (lane, stream) in streams.into_iter().enumerate() {
        place(stream, &words, lane);
    }
}

/// Where `init_by_array` begins.
const BY_ARRAY: [u32; SIZE] = {
    let mut words = [19_650_218; SIZE];
    let mut at = 1;
    while at < SIZE {
        words[at] = initial(words[at - 1], at);
        at += 1;
    }
    words
};

const fn initial(before: u32, at: usize) -> u32 {
    (before ^ (before >> 30))
        .wrapping_mul(1_812_433_253)
        .wrapping_add(at as u32)
}

fn place<const N: usize>(stream: &mut Stream, words: &[[u32; N]], lane: usize) {
    for (word, lanes) in stream.words.iter_mut().zip(words) {
        *word = lanes[lane];
    }
    stream.ready = words.len();
    stream.at = 0;
}

fn ready_to(stream: &mut Stream, count: usize) {
    let mut word = stream.words[stream.ready - 1];
    for at in stream.ready..count {
        word = initial(word, at);
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
