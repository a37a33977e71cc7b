//! Is this password guessable? Pure, no I/O.
