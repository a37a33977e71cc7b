//! Labels for units: ZPL, with their codes.
