//! The only writer to disk: uniqueness and the append-only log in one transaction.
