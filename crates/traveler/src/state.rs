//! Where a unit stands, and which step may follow which.

use serde::{Deserialize, Serialize};

/// One try at one unit, counted from 1 by the server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Attempt(pub u32);

impl Attempt {
    /// The first try at a unit.
    pub const FIRST: Attempt = Attempt(1);

    /// The try after this one.
    #[must_use]
    pub fn next(self) -> Attempt {
        Attempt(self.0.saturating_add(1))
    }
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The state of one unit's newest attempt. A unit the ledger has never seen has none.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The server has minted and recorded; the unit may or may not hold the bundle.
    Issued,
    /// The unit's receipt, given after a reset, matches what was issued.
    Loaded,
    /// The label matched the unit; the secret is never given again.
    Sealed,
    /// Withdrawn; its password is burnt for ever. The serial may be issued anew.
    Voided,
    /// A sealed unit came back; the next issue opens a new attempt.
    Rework,
    /// The end of a unit that will not ship.
    Scrapped,
}

impl State {
    /// Every state, in the order a unit meets them.
    pub const ALL: [State; 6] = [
        State::Issued,
        State::Loaded,
        State::Sealed,
        State::Voided,
        State::Rework,
        State::Scrapped,
    ];

    /// Whether a unit in state `from` (`None`: never seen) may move to `self`.
    #[must_use]
    pub fn may_follow(self, from: Option<State>) -> bool {
        use State::{Issued, Loaded, Rework, Scrapped, Sealed, Voided};
        match self {
            Issued => matches!(from, None | Some(Voided | Rework)),
            Loaded => from == Some(Issued),
            Sealed => from == Some(Loaded),
            Voided => matches!(from, Some(Issued | Loaded)),
            Rework => from == Some(Sealed),
            Scrapped => matches!(from, Some(Sealed | Voided | Rework)),
        }
    }

    /// Whether an attempt is under way: it ends in `Sealed` or `Voided`, never in silence.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, State::Issued | State::Loaded)
    }

    /// The word used in entries, JSON and screens.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            State::Issued => "issued",
            State::Loaded => "loaded",
            State::Sealed => "sealed",
            State::Voided => "voided",
            State::Rework => "rework",
            State::Scrapped => "scrapped",
        }
    }

    /// The state a word stands for, or `None` for a word of no state.
    #[must_use]
    pub fn parse(word: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table, so that a new transition is a decision and not an accident.
    #[test]
    fn only_these_steps_may_follow() {
        let allowed = [
            (None, State::Issued),
            (Some(State::Issued), State::Loaded),
            (Some(State::Issued), State::Voided),
            (Some(State::Loaded), State::Sealed),
            (Some(State::Loaded), State::Voided),
            (Some(State::Sealed), State::Rework),
            (Some(State::Sealed), State::Scrapped),
            (Some(State::Voided), State::Issued),
            (Some(State::Voided), State::Scrapped),
            (Some(State::Rework), State::Issued),
            (Some(State::Rework), State::Scrapped),
        ];
        for from in [None].into_iter().chain(State::ALL.map(Some)) {
            for to in State::ALL {
                let expected = allowed.contains(&(from, to));
                assert_eq!(to.may_follow(from), expected, "{from:?} -> {to}");
            }
        }
    }

    #[test]
    fn words_round_trip() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
            assert_eq!(
                serde_json::to_string(&state).unwrap(),
                format!("\"{state}\"")
            );
        }
    }
}
