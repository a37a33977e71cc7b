//! What is in this process's memory stays there: passwords between mint and reply, and the PIN of the token.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// No core file of this process; and no other process of this user looks into its memory.
///
/// # Errors
/// When the system refuses that.
pub fn keep_to_itself() -> io::Result<()> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    // A core that is piped to a program is not held back by the limit (core(5)).
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}
