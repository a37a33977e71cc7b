//! The generators that factory scripts reach for, step by step as their makers wrote them.

mod catalogue;
mod feedback;
mod twister;

pub(super) use catalogue::{Form, SOURCES, Source};

/// A generator: how a seed becomes a state and a state the next.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Engine {
    /// state = state * a + c mod 2^bits; the seed is shifted and added to, then the state.
    Lcg {
        a: u64,
        c: u64,
        bits: u32,
        seed: Seeding,
    },
    /// state = state * a mod 2^31 - 1; a seed of 0 becomes 1.
    Lehmer { a: u64, seed: Seeding },
    /// glibc's `rand_r`: three steps of the ANSI generator to 31 bits.
    RandR,
    /// `random()` with 31 words; FreeBSD's fills them otherwise.
    Random { bsd: bool },
    /// `System.Random` of .NET.
    DotNet,
    /// MT19937 seeded by `init_genrand`.
    Twister,
    /// MT19937 seeded by `init_by_array`.
    TwisterByArray,
    /// MT19937 as PHP had it before 7.1.
    TwisterPhp,
    /// Marsaglia 2003, 32 bits: 13, 17, 5.
    Xorshift32,
    /// Marsaglia 2003, 64 bits: 13, 7, 17.
    Xorshift64,
    /// Vigna 2014: 12, 25, 27 and a multiplier.
    Xorshift64Star,
    /// Marsaglia 2003, 128 bits, his own start in the other words.
    Xorshift128,
    /// Steele, Lea, Flood 2014.
    SplitMix,
    /// O'Neill 2014, XSH-RR 64/32 with this increment.
    Pcg { increment: u64 },
    /// A 32-bit mixer that web scripts copy.
    Mulberry,
    /// xoshiro256** as Lua 5.4 seeds it.
    Lua,
}

/// How a seed is made a state.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Seeding {
    /// As it is.
    Plain,
    /// `seed << 16 | 0x330e`, as `srand48` does.
    Rand48,
    /// `seed ^ multiplier`, as Java does.
    Java,
    /// `seed - 1`, as musl does.
    LessOne,
    /// `seed + 1`, as FreeBSD's `rand` does.
    PlusOne,
}

/// A running generator. One is kept and seeded again and again: it has room for any state.
pub(super) struct Stream {
    engine: Engine,
    state: [u64; 4],
    words: Vec<u32>,
    at: usize,
    ready: usize,
}

impl Stream {
    pub(super) fn new(engine: Engine, seed: u64) -> Stream {
        let mut stream = Stream {
            engine,
            state: [0; 4],
            words: vec![0; 640],
            at: 0,
            ready: 0,
        };
        stream.seed(engine, seed);
        stream
    }

    /// Starts over with another seed.
    pub(super) fn seed(&mut self, engine: Engine, seed: u64) {
        self.engine = engine;
        match engine {
            Engine::Lcg {
                a, bits, seed: how, ..
            } => {
                self.state[0] = match how {
                    Seeding::Rand48 => (seed & 0xffff_ffff) << 16 | 0x330e,
                    Seeding::Java => seed ^ a,
                    _ => seeded(how, if bits < 64 { seed & 0xffff_ffff } else { seed }),
                } & low(bits);
            }
            Engine::Lehmer { seed: how, .. } => {
                let seed = seeded(how, seed & 0xffff_ffff) % 0x7fff_ffff;
                self.state[0] = seed.max(1);
            }
            Engine::Random { bsd } => feedback::seed_random(self, seed, bsd),
            Engine::DotNet => feedback::seed_dotnet(self, seed),
            Engine::Twister | Engine::TwisterPhp => twister::seed(self, seed),
            Engine::TwisterByArray => twister::seed_by_array([self], [seed]),
            Engine::Xorshift32 => self.state[0] = (seed & 0xffff_ffff).max(1),
            Engine::Xorshift64 | Engine::Xorshift64Star => self.state[0] = seed.max(1),
            Engine::Xorshift128 => {
                self.state = [seed & 0xffff_ffff, 362_436_069, 521_288_629, 88_675_123];
            }
            Engine::SplitMix | Engine::Mulberry | Engine::RandR => self.state[0] = seed,
            Engine::Pcg { increment } => {
                let step = |state: u64| state.wrapping_mul(PCG).wrapping_add(increment);
                self.state[0] = step(step(0).wrapping_add(seed));
            }
            Engine::Lua => {
                self.state = [seed, 0xff, 0, 0];
                for _ in 0..16 {
                    self.next();
                }
            }
        }
    }

    /// Starts several over at once, where that costs less than one after the other.
    pub(super) fn seed_many<const N: usize>(streams: &mut [Stream; N], seeds: [u64; N]) {
        let engine = streams[0].engine;
        match engine {
            Engine::Twister | Engine::TwisterPhp => {
                twister::seed_many(streams.each_mut(), seeds);
            }
            Engine::TwisterByArray => twister::seed_by_array(streams.each_mut(), seeds),
            _ => {
                for (stream, seed) in streams.iter_mut().zip(seeds) {
                    stream.seed(engine, seed);
                }
            }
        }
    }

    /// The next raw output: the state of a congruential generator, else what it gives out.
    #[inline]
    pub(super) fn next(&mut self) -> u64 {
        let state = &mut self.state;
        match self.engine {
            Engine::Lcg { a, c, bits, .. } => {
                state[0] = state[0].wrapping_mul(a).wrapping_add(c) & low(bits);
                state[0]
            }
            Engine::Lehmer { a, .. } => {
                state[0] = state[0] * a % 0x7fff_ffff;
                state[0]
            }
            Engine::RandR => rand_r(&mut state[0]),
            Engine::Random { .. } => feedback::next_random(self),
            Engine::DotNet => feedback::next_dotnet(self),
            Engine::Twister | Engine::TwisterByArray => twister::next(self, false),
            Engine::TwisterPhp => twister::next(self, true),
            Engine::Xorshift32 => {
                let mut x = state[0] as u32;
                x ^= x << 13;
                x ^= x >> 17;
                x ^= x << 5;
                state[0] = u64::from(x);
                state[0]
            }
            Engine::Xorshift64 => {
                state[0] ^= state[0] << 13;
                state[0] ^= state[0] >> 7;
                state[0] ^= state[0] << 17;
                state[0]
            }
            Engine::Xorshift64Star => {
                state[0] ^= state[0] >> 12;
                state[0] ^= state[0] << 25;
                state[0] ^= state[0] >> 27;
                state[0].wrapping_mul(0x2545_f491_4f6c_dd1d)
            }
            Engine::Xorshift128 => {
                let mut x = state[0] as u32;
                x ^= x << 11;
                let w = state[3] as u32;
                let w = w ^ (w >> 19) ^ x ^ (x >> 8);
                *state = [state[1], state[2], state[3], u64::from(w)];
                state[3]
            }
            Engine::SplitMix => {
                state[0] = state[0].wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = state[0];
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^ (z >> 31)
            }
            Engine::Pcg { increment } => {
                let old = state[0];
                state[0] = old.wrapping_mul(PCG).wrapping_add(increment);
                let mixed = (((old >> 18) ^ old) >> 27) as u32;
                u64::from(mixed.rotate_right((old >> 59) as u32))
            }
            Engine::Mulberry => mulberry(&mut state[0]),
            Engine::Lua => xoshiro(state),
        }
    }
}

const PCG: u64 = 6_364_136_223_846_793_005;

fn seeded(how: Seeding, seed: u64) -> u64 {
    match how {
        Seeding::LessOne => (seed as u32).wrapping_sub(1).into(),
        Seeding::PlusOne => seed % 0x7fff_fffe + 1,
        _ => seed,
    }
}

/// The low `bits` bits.
pub(super) fn low(bits: u32) -> u64 {
    if bits >= 64 {
        u64::MAX
    } else {
        (1 << bits) - 1
    }
}

fn rand_r(state: &mut u64) -> u64 {
    let mut next = *state as u32;
    let mut step = |most: u32| {
        next = next.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        (next >> 16) % most
    };
    let mut value = step(2048);
    value = value << 10 ^ step(1024);
    value = value << 10 ^ step(1024);
    *state = u64::from(next);
    u64::from(value)
}

fn mulberry(state: &mut u64) -> u64 {
    let next = (*state as u32).wrapping_add(0x6d2b_79f5);
    *state = u64::from(next);
    let mut t = (next ^ (next >> 15)).wrapping_mul(next | 1);
    t ^= t.wrapping_add((t ^ (t >> 7)).wrapping_mul(t | 61));
    u64::from(t ^ (t >> 14))
}

fn xoshiro(state: &mut [u64; 4]) -> u64 {
    let value = state[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
    let shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = state[3].rotate_left(45);
    value
}

#[cfg(test)]
mod tests;
