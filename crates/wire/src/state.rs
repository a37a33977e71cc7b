//! Where a unit's flash stands, and why a unit says no: words and their codes on the line.

/// What a unit's flash holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UnitState {
    /// Nothing was ever written, or all of it was erased.
    Blank,
    /// A write that did not end, or bytes that changed afterwards. To be written whole again.
    Partial,
    /// A whole bundle with its commit marker; it can still be replaced.
    Loaded,
    /// A whole bundle that can never be replaced.
    Locked,
}

impl UnitState {
    const CODES: [UnitState; 4] = [
        UnitState::Blank,
        UnitState::Partial,
        UnitState::Loaded,
        UnitState::Locked,
    ];

    pub(crate) fn code(self) -> u32 {
        match self {
            UnitState::Blank => 0,
            UnitState::Partial => 1,
            UnitState::Loaded => 2,
            UnitState::Locked => 3,
        }
    }

    pub(crate) fn from_code(code: u32) -> Option<UnitState> {
        UnitState::CODES
            .into_iter()
            .find(|state| state.code() == code)
    }

    /// The word for screens and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            UnitState::Blank => "blank",
            UnitState::Partial => "partial",
            UnitState::Loaded => "loaded",
            UnitState::Locked => "locked",
        }
    }
}

impl core::fmt::Display for UnitState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a unit did not do what it was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The frame was whole but is no request that the unit knows.
    Unreadable,
    /// The request names another device id: the unit was swapped.
    NotThisUnit,
    /// The bundle is not one: too long, or without serial, attempt or password.
    BadBundle,
    /// The unit is locked; its bundle stays.
    Locked,
    /// There is no whole bundle to prove, lock or check.
    NotLoaded,
    /// The bundle in flash is no longer what was committed.
    Damaged,
    /// The bundle in flash is not the one that was to be locked.
    OtherBundle,
    /// The flash did not take the bytes.
    Flash,
    /// Too many wrong passwords since the unit booted.
    TooManyGuesses,
    /// No install with that nonce was written to the end.
    NotInstalled,
    /// A code this version does not know.
    Other(u8),
}

impl Refusal {
    pub(crate) fn code(self) -> u8 {
        match self {
            Refusal::Unreadable => 1,
            Refusal::NotThisUnit => 2,
            Refusal::BadBundle => 3,
            Refusal::Locked => 4,
            Refusal::NotLoaded => 5,
            Refusal::Damaged => 6,
            Refusal::OtherBundle => 7,
            Refusal::Flash => 8,
            Refusal::TooManyGuesses => 9,
            Refusal::NotInstalled => 10,
            Refusal::Other(code) => code,
        }
    }

    pub(crate) fn from_code(code: u8) -> Refusal {
        match code {
            1 => Refusal::Unreadable,
            2 => Refusal::NotThisUnit,
            3 => Refusal::BadBundle,
            4 => Refusal::Locked,
            5 => Refusal::NotLoaded,
            6 => Refusal::Damaged,
            7 => Refusal::OtherBundle,
            8 => Refusal::Flash,
            9 => Refusal::TooManyGuesses,
            10 => Refusal::NotInstalled,
            code => Refusal::Other(code),
        }
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Refusal::Unreadable => "it does not know the request",
            Refusal::NotThisUnit => "it is another unit",
            Refusal::BadBundle => "the bundle is not usable",
            Refusal::Locked => "it is locked",
            Refusal::NotLoaded => "it holds no whole bundle",
            Refusal::Damaged => "its flash no longer holds what was committed",
            Refusal::OtherBundle => "it holds another bundle",
            Refusal::Flash => "its flash did not take the bytes",
            Refusal::TooManyGuesses => "too many wrong passwords since it booted",
            Refusal::NotInstalled => "it was not written to the end",
            Refusal::Other(code) => return write!(f, "code {code}"),
        })
    }
}
