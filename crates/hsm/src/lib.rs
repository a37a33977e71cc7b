//! The few HSM commands, the software token, and the client of a token elsewhere.
