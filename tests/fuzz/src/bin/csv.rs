//! See `fuzz::csv`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::csv);
