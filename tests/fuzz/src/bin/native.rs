//! See `fuzz::native`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::native);
