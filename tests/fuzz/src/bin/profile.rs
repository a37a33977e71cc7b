//! See `fuzz::profile`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::profile);
