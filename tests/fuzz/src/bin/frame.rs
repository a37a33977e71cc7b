//! See `fuzz::frame`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::frame);
