//! Which generators are searched, what part of their state a program sees, and the usual ways in
//! which such a value becomes a symbol.

use super::{Engine, Seeding, low};
use crate::list::detect::generator::symbol::Map;

/// What a program sees of a raw output.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(in super::super) enum Form {
    /// Some bits of it.
    Bits { shift: u32, bits: u32 },
    /// A value under `range`, after taking `less` away.
    Below { less: u64, range: u64 },
    /// The absolute value of the top 32 of 48 bits, as `Math.abs(nextInt())`.
    Absolute,
    /// 31 bits folded to 15, as Bash 5.1 does.
    Folded,
}

impl Form {
    #[inline]
    pub(in super::super) fn of(self, raw: u64) -> u64 {
        match self {
            Form::Bits { shift, bits } => (raw >> shift) & low(bits),
            Form::Below { less, .. } => raw.saturating_sub(less),
            Form::Absolute => u64::from(((raw >> 16) as i32).unsigned_abs()),
            Form::Folded => ((raw >> 16) ^ (raw & 0xffff)) & 0x7fff,
        }
    }

    /// How many values it has; 2^64 is 0.
    pub(in super::super) fn range(self) -> u64 {
        match self {
            Form::Bits { bits, .. } => low(bits).wrapping_add(1),
            Form::Below { range, .. } => range,
            Form::Absolute => 1 << 31,
            Form::Folded => 1 << 15,
        }
    }
}

/// A generator as a program sees it.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Source {
    /// As a report names it.
    pub(in super::super) name: &'static str,
    pub(in super::super) engine: Engine,
    pub(in super::super) form: Form,
    pub(in super::super) maps: &'static [Map],
}

const fn source(name: &'static str, engine: Engine, form: Form, maps: &'static [Map]) -> Source {
    Source {
        name,
        engine,
        form,
        maps,
    }
}

const fn bits(shift: u32, bits: u32) -> Form {
    Form::Bits { shift, bits }
}

const fn lcg(a: u64, c: u64, bits: u32, seed: Seeding) -> Engine {
    Engine::Lcg { a, c, bits, seed }
}

const fn lehmer(a: u64, seed: Seeding) -> Engine {
    Engine::Lehmer { a, seed }
}

/// ISO C's example of `rand`, also POSIX.
const ANSI: Engine = lcg(1_103_515_245, 12_345, 32, Seeding::Plain);
/// Microsoft's C library.
const MICROSOFT: Engine = lcg(214_013, 2_531_011, 32, Seeding::Plain);
/// Borland C.
const BORLAND: Engine = lcg(22_695_477, 1, 32, Seeding::Plain);
/// Press et al., Numerical Recipes.
const RECIPES: Engine = lcg(1_664_525, 1_013_904_223, 32, Seeding::Plain);
/// Borland Pascal and Delphi.
const DELPHI: Engine = lcg(134_775_813, 1, 32, Seeding::Plain);
const NEWLIB: Engine = lcg(6_364_136_223_846_793_005, 1, 64, Seeding::Plain);
const MUSL: Engine = lcg(6_364_136_223_846_793_005, 1, 64, Seeding::LessOne);
/// POSIX `srand48`.
const RAND48: Engine = lcg(0x5_deec_e66d, 11, 48, Seeding::Rand48);
/// `java.util.Random`.
pub(super) const JAVA: Engine = lcg(0x5_deec_e66d, 11, 48, Seeding::Java);
/// Visual Basic 6; its `Rnd` is the state over 2^24.
const BASIC: Engine = lcg(0xfd_43fd, 0xc3_9ec3, 24, Seeding::Plain);
const MINIMAL: Engine = lehmer(16_807, Seeding::Plain);
const LATER: Engine = lehmer(48_271, Seeding::Plain);
const FREEBSD: Engine = lehmer(16_807, Seeding::PlusOne);
const PRIME: u64 = 0x7fff_ffff;

const SHORT: &[Map] = &[Map::Mod, Map::Scale, Map::Divide, Map::Low(8)];
const MOD: &[Map] = &[Map::Mod, Map::Whole];
const LONG: &[Map] = &[
    Map::Mod,
    Map::Scale,
    Map::Divide,
    Map::ShiftMod(16),
    Map::ShiftMod(8),
    Map::Low(8),
    Map::Low(32),
    Map::Whole,
];
const USUAL: &[Map] = &[Map::Mod, Map::Scale, Map::Low(8), Map::Whole];
const TWISTER: &[Map] = &[
    Map::Mod,
    Map::Scale,
    Map::Divide,
    Map::Masked,
    Map::Topped,
    Map::Float53,
    Map::Low(8),
    Map::Low(32),
    Map::Whole,
];
const SCALE: &[Map] = &[Map::Scale];

/// Everything that is searched, the most common first.
pub(in super::super) const SOURCES: &[Source] = &[
    source(
        "C library rand() (ANSI, 15 bits)",
        ANSI,
        bits(16, 15),
        SHORT,
    ),
    source(
        "C library rand() (ANSI, whole state)",
        ANSI,
        bits(0, 31),
        LONG,
    ),
    source("C library rand() (ANSI, 16 bits)", ANSI, bits(16, 16), MOD),
    source("Microsoft C rand()", MICROSOFT, bits(16, 15), SHORT),
    source(
        "glibc rand()",
        Engine::Random { bsd: false },
        bits(1, 31),
        LONG,
    ),
    source(
        "BSD random()",
        Engine::Random { bsd: true },
        bits(1, 31),
        USUAL,
    ),
    source("glibc rand_r()", Engine::RandR, bits(0, 31), USUAL),
    source("Borland C rand()", BORLAND, bits(16, 15), SHORT),
    source("Borland C lrand()", BORLAND, bits(0, 31), USUAL),
    source("Numerical Recipes generator", RECIPES, bits(0, 32), LONG),
    source("Delphi Random", DELPHI, bits(0, 32), LONG),
    source(
        "Park-Miller generator (16807)",
        MINIMAL,
        Form::Below {
            less: 0,
            range: PRIME,
        },
        LONG,
    ),
    source(
        "Park-Miller generator (16807, C++)",
        MINIMAL,
        Form::Below {
            less: 1,
            range: PRIME - 1,
        },
        SHORT,
    ),
    source("Bash $RANDOM", MINIMAL, bits(0, 15), SHORT),
    source("Bash 5.1 $RANDOM", MINIMAL, Form::Folded, SHORT),
    source(
        "Park-Miller generator (48271)",
        LATER,
        Form::Below {
            less: 0,
            range: PRIME,
        },
        LONG,
    ),
    source(
        "Park-Miller generator (48271, C++)",
        LATER,
        Form::Below {
            less: 1,
            range: PRIME - 1,
        },
        SHORT,
    ),
    source(
        "BSD rand()",
        FREEBSD,
        Form::Below {
            less: 1,
            range: PRIME - 1,
        },
        USUAL,
    ),
    source("newlib rand()", NEWLIB, bits(32, 31), LONG),
    source("musl rand()", MUSL, bits(33, 31), LONG),
    source("Java Random.nextInt(bound)", JAVA, bits(17, 31), LONG),
    source("Java Random.nextInt()", JAVA, Form::Absolute, MOD),
    source(
        "Java Random.nextDouble()",
        JAVA,
        bits(16, 32),
        &[Map::Double],
    ),
    source("lrand48()", RAND48, bits(17, 31), LONG),
    source("drand48()", RAND48, bits(0, 48), SCALE),
    source(
        ".NET Random",
        Engine::DotNet,
        Form::Below {
            less: 0,
            range: PRIME,
        },
        LONG,
    ),
    source("Visual Basic Rnd", BASIC, bits(0, 24), SCALE),
    source("Mersenne Twister", Engine::Twister, bits(0, 32), TWISTER),
    source(
        "Mersenne Twister (31 bits, as PHP)",
        Engine::Twister,
        bits(1, 31),
        LONG,
    ),
    source(
        "Python random",
        Engine::TwisterByArray,
        bits(0, 32),
        TWISTER,
    ),
    source(
        "PHP mt_rand() before 7.1",
        Engine::TwisterPhp,
        bits(1, 31),
        LONG,
    ),
    source("xorshift32", Engine::Xorshift32, bits(0, 32), LONG),
    source("xorshift64", Engine::Xorshift64, bits(0, 64), USUAL),
    source(
        "xorshift64, high half",
        Engine::Xorshift64,
        bits(32, 32),
        USUAL,
    ),
    source(
        "xorshift64, low half",
        Engine::Xorshift64,
        bits(0, 32),
        SCALE,
    ),
    source("xorshift64*", Engine::Xorshift64Star, bits(0, 64), USUAL),
    source(
        "xorshift64*, high half",
        Engine::Xorshift64Star,
        bits(32, 32),
        MOD,
    ),
    source("xorshift128", Engine::Xorshift128, bits(0, 32), LONG),
    source("splitmix64", Engine::SplitMix, bits(0, 64), USUAL),
    source("splitmix64, high half", Engine::SplitMix, bits(32, 32), MOD),
    source("PCG32", Engine::Pcg { increment: 109 }, bits(0, 32), LONG),
    source(
        "PCG32 (one stream)",
        Engine::Pcg {
            increment: 1_442_695_040_888_963_407,
        },
        bits(0, 32),
        USUAL,
    ),
    source("mulberry32", Engine::Mulberry, bits(0, 32), USUAL),
    source(
        "Lua math.random",
        Engine::Lua,
        bits(0, 64),
        &[Map::Scale, Map::Masked, Map::Mod],
    ),
];
