//! Mints passwords and keys, wraps bundles; owns the secret types.
