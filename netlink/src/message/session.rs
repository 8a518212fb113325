//! Sessions.

use std::fmt;

use zeroize::Zeroizing;

/// One session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionInfo {
    /// Number.
    pub id: u64,
    /// OpenSSL's name of the algorithm.
    pub algorithm: String,
    /// Name given by its owner; may be empty.
    pub name: String,
    /// 0 to 7, 7 highest.
    pub priority: u8,
    /// Owner.
    pub uid: u32,
    /// Operations accepted.
    pub submitted_ops: u64,
    /// Operations completed well.
    pub completed_ops: u64,
    /// Operations that failed.
    pub failed_ops: u64,
    /// Bytes processed.
    pub bytes: u64,
    /// Operations accepted and not completed.
    pub in_flight_ops: u64,
    /// Handles that keep it alive.
    pub refs: u64,
    /// Nanoseconds since it was opened.
    pub age_ns: u64,
    /// Device it is bound to; empty when any may serve it.
    pub device: String,
}

/// A session to open. The key is wiped when this is dropped, and never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SessionNew {
    /// OpenSSL's name of the algorithm.
    pub algorithm: String,
    /// Key bytes; empty for an algorithm that takes none.
    pub key: Zeroizing<Vec<u8>>,
    /// PKCS#7 padding of a block mode.
    pub padding: bool,
    /// ECB must be allowed by name.
    pub allow_ecb: bool,
    /// SHA-1 must be allowed by name.
    pub allow_sha1: bool,
    /// 0 to 7, 7 highest; `None` takes the server's default.
    pub priority: Option<u8>,
    /// Outlives the connection.
    pub persistent: bool,
    /// Name to show; may be empty.
    pub name: String,
}

impl fmt::Debug for SessionNew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionNew")
            .field("algorithm", &self.algorithm)
            .field("key_bytes", &self.key.len())
            .field("padding", &self.padding)
            .field("allow_ecb", &self.allow_ecb)
            .field("allow_sha1", &self.allow_sha1)
            .field("priority", &self.priority)
            .field("persistent", &self.persistent)
            .field("name", &self.name)
            .finish()
    }
}
