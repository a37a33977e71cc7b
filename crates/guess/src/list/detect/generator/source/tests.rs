//! Known outputs. If one fails, change the code, not the vector.

use super::catalogue::JAVA;
use super::*;
use crate::list::detect::generator::symbol::Map;

/// Output number `nth`, from 1, of a seeded generator, as programs see it.
fn check(engine: Engine, seed: u64, form: Form, nth: usize, expected: u64) {
    let mut stream = Stream::new(engine, seed);
    let mut value = 0;
    for _ in 0..nth {
        value = form.of(stream.next());
    }
    assert_eq!(value, expected, "{engine:?} seed {seed} output {nth}");
}

fn named(name: &str) -> Source {
    *SOURCES.iter().find(|source| source.name == name).unwrap()
}

fn check_named(name: &str, seed: u64, nth: usize, expected: u64) {
    let source = named(name);
    check(source.engine, seed, source.form, nth, expected);
}

#[test]
fn congruential_generators_give_their_known_outputs() {
    // Values seen on the systems named, or printed in the generators' own documents.
    check_named("C library rand() (ANSI, 15 bits)", 1, 1, 16_838);
    check_named("C library rand() (ANSI, 15 bits)", 1, 4, 17_515);
    check_named("Microsoft C rand()", 1, 1, 41);
    check_named("Microsoft C rand()", 1, 2, 18_467);
    check_named("Park-Miller generator (16807)", 1, 10_000, 1_043_618_065);
    check_named("Park-Miller generator (48271)", 1, 10_000, 399_268_537);
    check_named("newlib rand()", 1, 1, 1_481_765_933);
    check_named("Bash 5.1 $RANDOM", 42, 1, 17_772);
    check_named("Bash 5.1 $RANDOM", 42, 2, 26_794);
    check_named("lrand48()", 42, 2, 735_945_821);
    check_named("lrand48()", 42, 1, 1_598_855_263);
    check_named("drand48()", 42, 1, 209_565_157_052_673);
    check(
        JAVA,
        42,
        Form::Bits {
            shift: 16,
            bits: 32,
        },
        1,
        u64::from(-1_170_105_035i32 as u32),
    );
    // Rnd's first value in a new program is 0.7055475.
    check_named("Visual Basic Rnd", 0x50000, 1, 11_837_123);
}

#[test]
fn feedback_generators_give_their_known_outputs() {
    check_named("glibc rand()", 1, 1, 1_804_289_383);
    check_named("glibc rand()", 1, 1_001, 981_914_693);
    check_named("glibc rand()", 0, 1, 1_804_289_383);
    check_named("glibc rand()", 4_000_000_000, 2, 1_380_198_982);
    check_named("glibc rand()", 4_000_000_000, 1, 1_111_130_805);
    check_named("glibc rand_r()", 1, 2, 1_186_278_907);
    check_named("glibc rand_r()", 1, 1, 476_707_713);
    check_named(".NET Random", 0, 1, 1_559_595_546);
    check_named(".NET Random", 1, 1, 534_011_718);
}

#[test]
fn twisters_give_their_known_outputs() {
    check_named("Mersenne Twister", 5_489, 1, 3_499_211_612);
    check_named("Mersenne Twister", 5_489, 10_000, 4_123_659_995);
    check_named("Mersenne Twister (31 bits, as PHP)", 1, 1, 895_547_922);
    check_named("Mersenne Twister (31 bits, as PHP)", 1, 2, 2_141_438_069);
    // The PHP project's own test of mt_rand, both modes.
    check_named("PHP mt_rand() before 7.1", 12_345_678, 1, 1_614_640_687);
    check_named("PHP mt_rand() before 7.1", 12_345_678, 5, 1_386_682_158);
    check_named(
        "Mersenne Twister (31 bits, as PHP)",
        12_345_678,
        1,
        527_860_569,
    );
    check_named(
        "Mersenne Twister (31 bits, as PHP)",
        12_345_678,
        5,
        770_499_160,
    );
    check_named("Python random", 12_345, 1, 1_789_368_711);
    check_named("Python random", 12_345, 3, 43_676_229);
    check_named("Python random", (1 << 40) + 7, 1, 2_635_837_658);
    check_named("Python random", (1 << 40) + 7, 2, 3_209_733_218);
}

#[test]
fn shifting_generators_give_their_known_outputs() {
    check_named("xorshift32", 1, 1, 270_369);
    check_named("xorshift32", 1, 2, 67_634_689);
    check_named("xorshift64", 1, 1, 1_082_269_761);
    check_named("xorshift64", 1, 2, 1_152_992_998_833_853_505);
    check_named("xorshift128", 123_456_789, 1, 3_701_687_786);
    check_named("splitmix64", 0, 1, 0xe220_a839_7b1d_cdaf);
    check_named("PCG32", 42, 1, 0xa15c_02b7);
    check_named("PCG32", 42, 2, 0x7b47_f409);
    check_named("mulberry32", 42, 1, 2_581_720_956);
    check_named("mulberry32", 42, 2, 1_925_393_290);
}

/// The symbols that the languages themselves gave on a machine with them.
fn check_symbols(name: &str, map: Map, seed: u64, k: usize, expected: &[u8]) {
    let source = named(name);
    let mut got = vec![0; expected.len()];
    let mut stream = Stream::new(source.engine, seed);
    assert!(map.draw(source.form, k, &mut stream, &mut got));
    assert_eq!(got, expected, "{name} {map:?}");
}

#[test]
fn maps_give_the_symbols_of_their_languages() {
    let letters = |text: &[u8]| -> Vec<u8> {
        let value = |byte: &u8| match byte {
            b'A'..=b'Z' => byte - b'A',
            _ => byte - b'0' + 26,
        };
        text.iter().map(value).collect()
    };
    check_symbols(
        "Python random",
        Map::Topped,
        12_345,
        36,
        &letters(b"0ATXMR1KXH1Q"),
    );
    check_symbols(
        "Python random",
        Map::Float53,
        12_345,
        36,
        &letters(b"OA3KNGUFEPUG"),
    );
    let java = "Java Random.nextInt(bound)";
    check_symbols(java, Map::Mod, 42, 36, &[26, 3, 0, 8, 18, 25, 5, 2]);
    check_symbols(java, Map::Scale, 42, 32, &[23, 1, 21, 1, 9, 30, 8, 22]);
    let doubles = [26, 24, 11, 9, 23, 32, 13, 9];
    check_symbols("Java Random.nextDouble()", Map::Double, 42, 36, &doubles);
    // Perl's rand, libstdc++'s uniform_int_distribution.
    check_symbols(
        "drand48()",
        Map::Scale,
        42,
        36,
        &[26, 12, 3, 15, 2, 30, 17, 17],
    );
    let twisted = [25, 25, 10, 15, 8, 24, 19, 25, 25, 17, 15, 28];
    check_symbols("Mersenne Twister", Map::Scale, 123, 36, &twisted);
    let minimal = [0, 6, 33, 14, 19, 33, 28, 18, 19, 34, 6, 31];
    check_symbols(
        "Park-Miller generator (16807, C++)",
        Map::Divide,
        123,
        36,
        &minimal,
    );
}
