//! See `fuzz::record`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::record);
