//! Holds the gate against zxcvbn over as many strings as the argument says (a million without
//! one), and fails when it accepts one that zxcvbn scores below 3.
#![allow(clippy::print_stdout)]

use std::process::ExitCode;

#[path = "../tests/strings/mod.rs"]
mod strings;

#[path = "../tests/strings/against.rs"]
mod against;

/// Strings judged from one seed.
const CHUNK: u64 = 10_000;

fn main() -> ExitCode {
    let asked = std::env::args().nth(1);
    let Some(count) = asked.map_or(Some(1_000_000), |count| count.parse::<u64>().ok()) else {
        println!("usage: against_zxcvbn [STRINGS]");
        return ExitCode::from(2);
    };
    let chunks: Vec<u64> = (0..count.div_ceil(CHUNK)).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let per_thread = chunks.len().div_ceil(threads).max(1);
    let mut total = against::Tally::default();
    let size = |chunk: u64| CHUNK.min(count - chunk * CHUNK);
    std::thread::scope(|scope| {
        let of_chunk = |&chunk: &u64| against::tally(1_000_000 + chunk, size(chunk));
        let handles: Vec<_> = chunks
            .chunks(per_thread)
            .map(|chunks| scope.spawn(move || chunks.iter().map(of_chunk).collect::<Vec<_>>()))
            .collect();
        for tally in handles
            .into_iter()
            .flat_map(|handle| handle.join().unwrap_or_default())
        {
            total.strings += tally.strings;
            total.accepted += tally.accepted;
            total.sample += tally.sample;
            total.sample_below += tally.sample_below;
            total.lax.extend(tally.lax);
        }
    });
    println!(
        "{} strings: the gate accepts {}, of which zxcvbn scores {} below 3",
        total.strings,
        total.accepted,
        total.lax.len()
    );
    println!(
        "of a sample of {}, whatever the gate says, zxcvbn scores {} below 3",
        total.sample, total.sample_below
    );
    for text in total.lax.iter().take(40) {
        println!("  accepted: {text}");
    }
    ExitCode::from(u8::from(!total.lax.is_empty() || total.strings != count))
}
