//! What the gate accepts, held against zxcvbn's score of the same string.

use guess::{Facts, Verdict, judge};
use zxcvbn::{Score, zxcvbn};

use super::strings::Strings;

/// Facts that say nothing: the strings must fall by what they are.
const NOTHING: Facts<'static> = Facts {
    serial: "",
    device_id: "",
    macs: &[],
    model: "",
    ssid: None,
    public: &[],
};

/// Lengths at which a policy's floor of 48 bits can be met.
const LENGTHS: [usize; 5] = [12, 10, 12, 14, 16];

/// How many strings went which way.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Strings drawn.
    pub(crate) strings: u64,
    /// Those that the gate accepts, as they are or folded.
    pub(crate) accepted: u64,
    /// Those of a sample that zxcvbn scores below 3, whatever the gate says.
    pub(crate) sample_below: u64,
    /// Strings of the sample: one in 64.
    pub(crate) sample: u64,
    /// Accepted by the gate, below 3 for zxcvbn.
    pub(crate) lax: Vec<String>,
}

/// Draws `count` strings from a seed and judges them.
pub(crate) fn tally(seed: u64, count: u64) -> Tally {
    let mut strings = Strings::new(seed);
    let mut tally = Tally::default();
    for nth in 0..count {
        let length = LENGTHS[strings.below(LENGTHS.len())];
        let text = strings.draw(length);
        tally.strings += 1;
        let accepted = accepts(text.as_bytes()) || accepts(&folded(&text));
        let sampled = nth % 64 == 0;
        if !accepted && !sampled {
            continue;
        }
        let below = zxcvbn(&text, &[]).score() < Score::Three;
        tally.accepted += u64::from(accepted);
        tally.sample += u64::from(sampled);
        tally.sample_below += u64::from(sampled && below);
        if accepted && below {
            tally.lax.push(text);
        }
    }
    tally
}

fn accepts(password: &[u8]) -> bool {
    judge(password, &NOTHING, &[]) == Verdict::Pass
}

/// As the server hands a password over: capitals, O as 0, I and L as 1, no hyphens.
fn folded(text: &str) -> Vec<u8> {
    let symbols = text.bytes().filter(|symbol| *symbol != b'-');
    let alike = symbols.map(|symbol| match symbol.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    });
    alike.collect()
}
