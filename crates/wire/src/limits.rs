//! The bounds of what station and unit say, and the versions of their messages.

/// The longest bundle a unit takes, in bytes: what the provisioning service promises.
pub const BUNDLE_MAX: usize = 3_584;
/// The longest CSR (PKCS#10, DER) a unit sends; one for P-256 is about 300 bytes.
pub const CSR_MAX: usize = 2_048;
/// The longest signature (ECDSA P-256, DER).
pub const SIGNATURE_MAX: usize = 72;
/// The longest public key (SubjectPublicKeyInfo, DER); one of P-256 is 91 bytes.
pub const PUBLIC_KEY_MAX: usize = 128;
/// The longest device id of a unit, in bytes; the shortest is 4.
pub const DEVICE_ID_MAX: usize = 32;
/// The longest model, revision, firmware version, serial or password, in bytes.
pub const TEXT_MAX: usize = 64;
/// The most MAC addresses one unit names.
pub const MACS_MAX: usize = 8;

/// The first version of these messages; a unit that does not say which it speaks speaks this one.
pub const PROTOCOL_FIRST: u32 = 1;
/// The version whose units also know [`Request::Install`](crate::message::Request::Install) and
/// [`Request::Report`](crate::message::Request::Report).
pub const PROTOCOL_INSTALL: u32 = 2;
/// The version whose units also know [`Request::InstallParts`](crate::message::Request::InstallParts).
pub const PROTOCOL_PARTS: u32 = 3;
