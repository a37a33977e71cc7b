//! The server: mints, records and proves one identity for each unit.
