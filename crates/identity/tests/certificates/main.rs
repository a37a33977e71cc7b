//! Certificates and requests against second opinions: OpenSSL as a process, and rustls.

mod requests;
mod site;
mod support;
mod unit_chain;
