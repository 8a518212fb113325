//! placeholder
use crate::algorithm::{Algorithm, OpKind};
use crate::key::Key;
use crate::error::Error;

/// Who pads a block mode's last block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Padding {
    /// The caller gives whole blocks.
    #[default]
    None,
    /// PKCS#7 (RFC 5652 section 6.3), as `openssl enc` does.
    Pkcs7,
}

/// What a session is allocated with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionSpec {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Padding of a block mode; other algorithms ignore it.
    pub padding: Padding,
    /// 0 to 7, 7 highest.
    pub priority: u8,
    /// Time to live of an operation, in nanoseconds.
    pub deadline_ns: u64,
    /// ECB must be allowed by name.
    pub allow_ecb: bool,
    /// SHA-1 must be allowed by name; it is for checking old digests only.
    pub allow_sha1: bool,
    /// The user the session belongs to.
    pub uid: u32,
}
