//! What can be wrong with the token. One fault is on at a time, and it is switched while running.

use std::fmt;

/// What is wrong with the token. Switching and asking for the status always work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// Nothing: every command is answered.
    None,
    /// As if unplugged: each connection is closed at its next command, which is not done.
    Gone,
    /// As if stopped: nothing is answered until the fault is switched.
    Paused,
    /// Each command takes two seconds.
    Slow,
    /// Each command is refused as "not available" and not done; the connection stays.
    Busy,
    /// Each command is done, and every second reply is lost with its connection, the first one
    /// first; a login is always answered.
    ReplyLost,
    /// Every eighth command finds that its session's login is forgotten, and is not done.
    SessionLost,
    /// Each login is refused as if with a wrong PIN, and counts as one.
    WrongPin,
    /// Each command that names a key finds it missing.
    KeyMissing,
    /// Once: the next signature by the log's key is refused as "not available", and then nothing is
    /// wrong.
    LogUnsigned,
    /// Once, at the moment it is switched on: every session is lost, and then nothing is wrong.
    Reset,
    /// The generator gives one byte for ever. Like every fault below, `random` alone is affected.
    Stuck,
    /// The generator counts: each answer is a number, one more than the one before.
    Counting,
    /// The generator's bits are 1 three times of four.
    Biased,
    /// The generator gives the same five blocks by turns.
    Repeating,
    /// The generator's bytes are one of eight: three bits in each.
    LowEntropy,
    /// Each answer is C's example of `rand`, seeded with the second.
    SeededByTime,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Fault; 17] = [
        Fault::None,
        Fault::Gone,
        Fault::Paused,
        Fault::Slow,
        Fault::Busy,
        Fault::ReplyLost,
        Fault::SessionLost,
        Fault::WrongPin,
        Fault::KeyMissing,
        Fault::LogUnsigned,
        Fault::Reset,
        Fault::Stuck,
        Fault::Counting,
        Fault::Biased,
        Fault::Repeating,
        Fault::LowEntropy,
        Fault::SeededByTime,
    ];

    /// The faults of the generator.
    pub const GENERATOR: [Fault; 6] = [
        Fault::Stuck,
        Fault::Counting,
        Fault::Biased,
        Fault::Repeating,
        Fault::LowEntropy,
        Fault::SeededByTime,
    ];

    /// The fault's name in commands and messages.
    pub fn name(self) -> &'static str {
        match self {
            Fault::None => "none",
            Fault::Gone => "gone",
            Fault::Paused => "paused",
            Fault::Slow => "slow",
            Fault::Busy => "busy",
            Fault::ReplyLost => "reply-lost",
            Fault::SessionLost => "session-lost",
            Fault::WrongPin => "wrong-pin",
            Fault::KeyMissing => "key-missing",
            Fault::LogUnsigned => "log-unsigned",
            Fault::Reset => "reset",
            Fault::Stuck => "stuck",
            Fault::Counting => "counting",
            Fault::Biased => "biased",
            Fault::Repeating => "repeating",
            Fault::LowEntropy => "low-entropy",
            Fault::SeededByTime => "seeded-by-time",
        }
    }

    /// The fault with this name, if there is one.
    pub fn from_name(name: &str) -> Option<Fault> {
        Fault::ALL.into_iter().find(|fault| fault.name() == name)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn the_command_line_and_the_messages_name_faults_alike() {
        assert_eq!(Fault::value_variants(), Fault::ALL);
        for fault in Fault::ALL {
            let possible = fault.to_possible_value().unwrap();
            assert_eq!(possible.get_name(), fault.name());
            assert_eq!(Fault::from_name(fault.name()), Some(fault));
        }
        assert_eq!(Fault::from_name("Gone"), None);
    }
}
