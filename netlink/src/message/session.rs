//! Sessions.

use std::fmt;

use zeroize::Zeroizing;

use crate::attr::{Fault, Reader, Writer};
use crate::family::attribute::session as a;

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

impl SessionInfo {
    /// Adds the attributes of `session-get`.
    pub fn write(&self, out: &mut Writer) {
        out.u64(a::ID, self.id)
            .string(a::ALGORITHM, &self.algorithm)
            .string(a::NAME, &self.name)
            .u32(a::PRIORITY, u32::from(self.priority))
            .u32(a::UID, self.uid)
            .u64(a::SUBMITTED_OPS, self.submitted_ops)
            .u64(a::COMPLETED_OPS, self.completed_ops)
            .u64(a::FAILED_OPS, self.failed_ops)
            .u64(a::BYTES, self.bytes)
            .u64(a::IN_FLIGHT_OPS, self.in_flight_ops)
            .u64(a::REFS, self.refs)
            .u64(a::AGE_NS, self.age_ns)
            .string(a::DEVICE, &self.device);
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        Ok(Self {
            id: from.u64(a::ID)?,
            algorithm: from.string(a::ALGORITHM)?,
            name: from.string(a::NAME)?,
            priority: read_priority(from)?.unwrap_or(0),
            uid: from.u32(a::UID)?,
            submitted_ops: from.u64(a::SUBMITTED_OPS)?,
            completed_ops: from.u64(a::COMPLETED_OPS)?,
            failed_ops: from.u64(a::FAILED_OPS)?,
            bytes: from.u64(a::BYTES)?,
            in_flight_ops: from.u64(a::IN_FLIGHT_OPS)?,
            refs: from.u64(a::REFS)?,
            age_ns: from.u64(a::AGE_NS)?,
            device: from.string(a::DEVICE)?,
        })
    }
}

impl SessionNew {
    /// Adds the attributes of `session-new`; the key last, so that nothing is moved after it.
    pub fn write(&self, out: &mut Writer) {
        out.string(a::ALGORITHM, &self.algorithm).string_if(a::NAME, &self.name);
        if let Some(priority) = self.priority {
            out.u32(a::PRIORITY, u32::from(priority));
        }
        out.flag(a::PADDING, self.padding)
            .flag(a::ALLOW_ECB, self.allow_ecb)
            .flag(a::ALLOW_SHA1, self.allow_sha1)
            .flag(a::PERSISTENT, self.persistent)
            .secret(a::KEY, &self.key);
    }

    /// Reads what `write` adds; takes the key out of `from`.
    pub fn read(from: &mut Reader) -> Result<Self, Fault> {
        Ok(Self {
            algorithm: from.string(a::ALGORITHM)?,
            key: from.secret(a::KEY),
            padding: from.has(a::PADDING),
            allow_ecb: from.has(a::ALLOW_ECB),
            allow_sha1: from.has(a::ALLOW_SHA1),
            priority: read_priority(from)?,
            persistent: from.has(a::PERSISTENT),
            name: from.string_if(a::NAME)?.unwrap_or_default(),
        })
    }
}

fn read_priority(from: &Reader) -> Result<Option<u8>, Fault> {
    match from.u32_if(a::PRIORITY)? {
        Some(priority) if priority > 7 => {
            Err(from.fault(a::PRIORITY, format!("priority {priority} is not 0 to 7")))
        }
        // Checked: at most 7.
        priority => Ok(priority.map(|priority| priority as u8)),
    }
}
