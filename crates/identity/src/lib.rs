//! Device and site certificates: profiles, CSR checks, chains.
