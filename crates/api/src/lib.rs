//! The gRPC interface: generated types, parsed once into traveler types; the list of reasons.
