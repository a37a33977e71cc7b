//! A software token in a process of its own, which fails on command.
