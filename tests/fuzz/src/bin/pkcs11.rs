//! See `fuzz::pkcs11`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::pkcs11);
