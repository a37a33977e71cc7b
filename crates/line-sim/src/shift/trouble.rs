//! What goes wrong in a shift, and at which unit: all of it follows from the seed.

use std::collections::BTreeMap;

/// Something that goes wrong with one unit, or while it is begun.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Trouble {
    /// Its cable is pulled so many milliseconds after it was put in, and plugged in again a moment
    /// later.
    Pull(u64),
    /// It is left in its slot when the next serial is scanned for that slot.
    LeftIn,
    /// Another unit stands in the fixture after its reset.
    Swapped,
    /// A unit of another product is put in first.
    WrongProduct,
    /// The printer takes no label for a while.
    PaperOut,
    /// Its label is scanned for the unit beside it.
    LabelsSwapped,
    /// Something that is no code of this line is scanned before it.
    Nonsense,
    /// The server does not answer for a while.
    NetworkCut,
    /// The station loses its power while it is in work.
    PowerCut,
}

/// A unit that nothing happens to is done after about so many milliseconds.
const CYCLE: u64 = 700;

/// SplitMix64 (Steele, Lea, Flood 2014): a seed gives the same shift.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

/// Which unit, from 1, has which trouble; none has two.
pub(super) fn plan(units: u32, random: &mut Random) -> BTreeMap<u32, Trouble> {
    use Trouble::{
        LabelsSwapped, LeftIn, NetworkCut, Nonsense, PaperOut, PowerCut, Pull, Swapped,
        WrongProduct,
    };
    let mut troubles = vec![
        LeftIn,
        Swapped,
        WrongProduct,
        PaperOut,
        PaperOut,
        LabelsSwapped,
        NetworkCut,
        PowerCut,
        PowerCut,
    ];
    for _ in 0..(units / 10).max(2) {
        troubles.push(Pull(random.below(CYCLE)));
    }
    troubles.extend(vec![Nonsense; (units / 20).max(1) as usize]);
    // Not the last few: there would be nothing left to do meanwhile.
    let mut numbers: Vec<u32> = (1..=units.saturating_sub(4)).collect();
    for last in (1..numbers.len()).rev() {
        let other = random.below(last as u64 + 1);
        numbers.swap(last, usize::try_from(other).unwrap_or_default());
    }
    numbers.into_iter().zip(troubles).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_troubles_and_the_smallest_shift_has_all() {
        let small = plan(16, &mut Random(7));
        assert_eq!(small, plan(16, &mut Random(7)));
        assert_ne!(small, plan(16, &mut Random(8)));
        let count = |wanted: Trouble| small.values().filter(|t| **t == wanted).count();
        assert_eq!((count(Trouble::PowerCut), count(Trouble::PaperOut)), (2, 2));
        for once in [
            Trouble::LeftIn,
            Trouble::Swapped,
            Trouble::WrongProduct,
            Trouble::NetworkCut,
        ] {
            assert_eq!(count(once), 1, "{once:?}");
        }
    }
}
