//! See `fuzz::list`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::list);
