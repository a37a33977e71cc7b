//! Weak generators, as published. Each test vector is from the generator's own documentation or
//! from its common implementation.

pub(crate) type Draws = Box<dyn FnMut() -> u32>;

/// `x' = a x + c mod 2^64`, masked, then shifted: the shape of most libraries' `rand`.
pub(crate) fn congruential(a: u64, c: u64, mask: u64, shift: u32, seed: u64) -> Draws {
    let mut state = seed;
    Box::new(move || {
        state = state.wrapping_mul(a).wrapping_add(c) & mask;
        (state >> shift) as u32
    })
}

/// The example `rand` of the C standard: 15 bits.
pub(crate) fn ansi(seed: u32) -> Draws {
    congruential(1_103_515_245, 12_345, 0x7FFF_FFFF, 16, u64::from(seed))
}

/// Microsoft's C library: 15 bits.
pub(crate) fn msvc(seed: u32) -> Draws {
    congruential(214_013, 2_531_011, 0x7FFF_FFFF, 16, u64::from(seed))
}

/// Numerical Recipes' quick generator: 32 bits.
pub(crate) fn recipes(seed: u32) -> Draws {
    congruential(1_664_525, 1_013_904_223, 0xFFFF_FFFF, 0, u64::from(seed))
}

/// IBM's RANDU: 31 bits.
pub(crate) fn randu(seed: u32) -> Draws {
    congruential(65_539, 0, 0x7FFF_FFFF, 0, u64::from(seed | 1))
}

/// Park and Miller's minimal standard, `a` 16,807 or 48,271.
pub(crate) fn minimal(a: u64, seed: u32) -> Draws {
    let mut state = u64::from(seed) % 0x7FFF_FFFF;
    state = state.max(1);
    Box::new(move || {
        state = state * a % 0x7FFF_FFFF;
        state as u32
    })
}

/// The GNU C library's additive feedback: 31 bits.
pub(crate) fn glibc(seed: u32) -> Draws {
    let mut words = vec![seed.max(1)];
    for at in 1..31 {
        let last = i64::from(words[at - 1] as i32);
        words.push((16_807 * last).rem_euclid(0x7FFF_FFFF) as u32);
    }
    for at in 31..34 {
        words.push(words[at - 31]);
    }
    for at in 34..344 {
        words.push(words[at - 31].wrapping_add(words[at - 3]));
    }
    let mut ring: Vec<u32> = words[313..].to_vec();
    let mut at = 0;
    Box::new(move || {
        // ring[at] is 31 draws old, and three draws back is 28 places on.
        ring[at] = ring[at].wrapping_add(ring[(at + 28) % 31]);
        let draw = ring[at] >> 1;
        at = (at + 1) % 31;
        draw
    })
}

/// `java.util.Random`.
pub(crate) struct Java(u64);

impl Java {
    pub(crate) fn new(seed: u64) -> Java {
        Java((seed ^ 0x5_DEEC_E66D) & 0xFFFF_FFFF_FFFF)
    }

    pub(crate) fn bits(&mut self, bits: u32) -> u32 {
        let next = self.0.wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB);
        self.0 = next & 0xFFFF_FFFF_FFFF;
        (self.0 >> (48 - bits)) as u32
    }

    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        if bound.is_power_of_two() {
            return ((u64::from(bound) * u64::from(self.bits(31))) >> 31) as u32;
        }
        loop {
            let draw = self.bits(31);
            let value = draw % bound;
            if draw - value + (bound - 1) <= 0x7FFF_FFFF {
                return value;
            }
        }
    }
}

/// MT19937 of Matsumoto and Nishimura: 32 bits.
pub(crate) fn mt19937(seed: u32) -> Draws {
    let mut state = vec![seed];
    for at in 1..624 {
        let last = state[at - 1];
        state.push(
            1_812_433_253u32
                .wrapping_mul(last ^ last >> 30)
                .wrapping_add(at as u32),
        );
    }
    let mut at = 0;
    Box::new(move || {
        let mixed = state[at] & 0x8000_0000 | state[(at + 1) % 624] & 0x7FFF_FFFF;
        let odd = if mixed & 1 == 1 { 0x9908_B0DF } else { 0 };
        state[at] = state[(at + 397) % 624] ^ mixed >> 1 ^ odd;
        let mut draw = state[at];
        at = (at + 1) % 624;
        draw ^= draw >> 11;
        draw ^= draw << 7 & 0x9D2C_5680;
        draw ^= draw << 15 & 0xEFC6_0000;
        draw ^ draw >> 18
    })
}

/// Marsaglia's 32-bit xorshift (13, 17, 5).
pub(crate) fn xorshift32(seed: u32) -> Draws {
    let mut state = seed.max(1);
    Box::new(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    })
}

/// Marsaglia's 128-bit xorshift (11, 8, 19).
pub(crate) fn xorshift128(seed: [u32; 4]) -> Draws {
    let mut state = seed;
    Box::new(move || {
        let mixed = state[0] ^ state[0] << 11;
        state.rotate_left(1);
        state[3] = state[2] ^ state[2] >> 19 ^ mixed ^ mixed >> 8;
        state[3]
    })
}

/// The mixing function of SplitMix64.
pub(crate) fn splitmix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

/// One step of a 32-bit Galois register.
pub(crate) fn galois(state: u32, taps: u32) -> u32 {
    state >> 1 ^ if state & 1 == 1 { taps } else { 0 }
}

#[test]
fn generators_are_the_published_ones() {
    fn check(mut draws: Draws, expected: &[u32]) {
        let drawn: Vec<u32> = expected.iter().map(|_| draws()).collect();
        assert_eq!(drawn, expected);
    }
    check(msvc(1), &[41, 18_467, 6_334, 26_500, 19_169]);
    check(
        glibc(1),
        &[1_804_289_383, 846_930_886, 1_681_692_777, 1_714_636_915],
    );
    check(ansi(1), &[16_838, 5_758, 10_113, 17_515]);
    check(recipes(0), &[0x3C6E_F35F, 0x4750_2932, 0xD1CC_F6E9]);
    check(randu(1), &[65_539, 393_225, 1_769_499]);
    check(mt19937(5_489), &[3_499_211_612, 581_869_302, 3_890_346_734]);
    check(
        xorshift32(2_463_534_242),
        &[723_471_715, 2_497_366_906, 2_064_144_800],
    );
    let seed = [123_456_789, 362_436_069, 521_288_629, 88_675_123];
    check(
        xorshift128(seed),
        &[3_701_687_786, 458_299_110, 2_500_872_618],
    );

    let mut minimal = minimal(16_807, 1);
    assert_eq!((0..10_000).map(|_| minimal()).last(), Some(1_043_618_065));
    let mut twister = mt19937(5_489);
    assert_eq!((0..10_000).map(|_| twister()).last(), Some(4_123_659_995));
    let mut java = Java::new(42);
    let words = [(-1_170_105_035i32) as u32, 234_785_527];
    assert_eq!([java.bits(32), java.bits(32)], words);
    let mut java = Java::new(42);
    let below = words.map(|word| (word >> 1) % 100);
    assert_eq!([java.below(100), java.below(100)], below);
    assert_eq!(splitmix(0), 0xE220_A839_7B1D_CDAF);
}
