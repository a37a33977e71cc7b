//! Additive and subtractive feedback: `random()` of the C libraries, `System.Random` of .NET.

use super::Stream;

/// Degree of TYPE_3, the default of glibc and BSD, and the lag of its other summand.
const DEGREE: usize = 31;
const LAG: usize = 3;
/// Outputs that `srandom` throws away.
const THROWN: usize = 310;
/// Words kept in a row, so that most steps need no wrapping index.
const LENGTH: usize = 600;

/// Seeds `random()`: Park and Miller's generator fills the words, the first 310 sums are thrown
/// away. `bsd` shifts that generator's values by one, as FreeBSD does.
pub(super) fn seed_random(stream: &mut Stream, seed: u64, bsd: bool) {
    let mut word = seed as u32;
    if word == 0 && !bsd {
        word = 1; // glibc: "We must make sure the seed is not 0."
    }
    for at in 0..DEGREE {
        stream.words[at] = word;
        word = if bsd {
            let shifted = u64::from(word % 0x7fff_fffe) + 1;
            (shifted * 16_807 % 0x7fff_ffff) as u32 - 1
        } else {
            // Signed, as the C code is: a seed over 2^31 is a negative number there.
            (i64::from(word as i32) * 16_807).rem_euclid(0x7fff_ffff) as u32
        };
    }
    // The front pointer starts at word 3 and the rear one at word 0, so word 3 is the first that
    // is replaced: turn the words until it is the oldest.
    stream.words[..DEGREE].rotate_left(LAG);
    stream.at = DEGREE;
    stream.ready = DEGREE;
    for at in DEGREE..DEGREE + THROWN {
        stream.words[at] = stream.words[at - DEGREE].wrapping_add(stream.words[at - LAG]);
    }
    stream.at = DEGREE + THROWN;
}

/// The next sum, all 32 bits of it.
pub(super) fn next_random(stream: &mut Stream) -> u64 {
    if stream.at == LENGTH {
        stream.words.copy_within(LENGTH - DEGREE..LENGTH, 0);
        stream.at = DEGREE;
    }
    let at = stream.at;
    let sum = stream.words[at - DEGREE].wrapping_add(stream.words[at - LAG]);
    stream.words[at] = sum;
    stream.at += 1;
    u64::from(sum)
}

const BIG: i32 = i32::MAX;

/// Seeds `System.Random` of .NET as its reference source does (Knuth's subtractive generator, with
/// its own lags), absolute value of the seed and all.
pub(super) fn seed_dotnet(stream: &mut Stream, seed: u64) {
    let seed = seed as i32;
    let magnitude = if seed == i32::MIN {
        i32::MAX
    } else {
        seed.abs()
    };
    let mut words = [0i32; 56];
    let mut last = 161_803_398i32.wrapping_sub(magnitude);
    words[55] = last;
    let mut other = 1i32;
    let mut place = 0;
    for _ in 1..55 {
        place = (place + 21) % 55;
        words[place] = other;
        other = last.wrapping_sub(other);
        if other < 0 {
            other = other.wrapping_add(BIG);
        }
        last = words[place];
    }
    for _ in 0..4 {
        for at in 1..56 {
            let far = if at + 31 < 56 { at + 31 } else { at - 24 };
            words[at] = words[at].wrapping_sub(words[far]);
            if words[at] < 0 {
                words[at] = words[at].wrapping_add(BIG);
            }
        }
    }
    for (place, word) in words.iter().enumerate() {
        stream.words[place] = *word as u32;
    }
    stream.at = 0;
    stream.ready = 21;
}

/// The next value under 2^31 - 1.
pub(super) fn next_dotnet(stream: &mut Stream) -> u64 {
    stream.at = if stream.at + 1 >= 56 {
        1
    } else {
        stream.at + 1
    };
    stream.ready = if stream.ready + 1 >= 56 {
        1
    } else {
        stream.ready + 1
    };
    let mut value =
        (stream.words[stream.at] as i32).wrapping_sub(stream.words[stream.ready] as i32);
    if value == BIG {
        value -= 1;
    }
    if value < 0 {
        value = value.wrapping_add(BIG);
    }
    stream.words[stream.at] = value as u32;
    value as u64
}
