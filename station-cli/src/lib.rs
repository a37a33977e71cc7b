//! The station: ports, driver, journal, operator output.
