//! Loads: real operations on generated data, made by the server itself.

use crate::attr::{Fault, Reader, Writer};
use crate::family::attribute::load as a;

/// A load to start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadSpec {
    /// OpenSSL's name of the algorithm.
    pub algorithm: String,
    /// Length of an operation, in bytes.
    pub size_bytes: u64,
    /// Sessions that submit at once.
    pub clients: u32,
    /// Operations a second over all clients; 0 means as fast as it goes.
    pub rate_ops_per_s: u64,
    /// How long, in nanoseconds; 0 means until stopped.
    pub for_ns: u64,
}

/// A load that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadInfo {
    /// Number.
    pub id: u64,
    /// OpenSSL's name of the algorithm.
    pub algorithm: String,
    /// Length of an operation, in bytes.
    pub size_bytes: u64,
    /// Sessions that submit at once.
    pub clients: u32,
    /// Operations a second over all clients; 0 means as fast as it goes.
    pub rate_ops_per_s: u64,
    /// How long it was asked to run, in nanoseconds; 0 means until stopped.
    pub for_ns: u64,
    /// User who started it.
    pub uid: u32,
    /// Operations completed well.
    pub completed_ops: u64,
    /// Operations that failed.
    pub failed_ops: u64,
    /// Bytes processed.
    pub bytes: u64,
    /// Nanoseconds since it was started.
    pub age_ns: u64,
}

impl LoadSpec {
    /// Adds the attributes of `load-new`.
    pub fn write(&self, out: &mut Writer) {
        out.string(a::ALGORITHM, &self.algorithm)
            .u64(a::SIZE_BYTES, self.size_bytes)
            .u32(a::CLIENTS, self.clients)
            .u64(a::RATE_OPS_PER_S, self.rate_ops_per_s)
            .u64(a::FOR_NS, self.for_ns);
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        Ok(Self {
            algorithm: from.string(a::ALGORITHM)?,
            size_bytes: from.u64(a::SIZE_BYTES)?,
            clients: from.u32(a::CLIENTS)?,
            rate_ops_per_s: from.u64_if(a::RATE_OPS_PER_S)?.unwrap_or(0),
            for_ns: from.u64_if(a::FOR_NS)?.unwrap_or(0),
        })
    }
}

impl LoadInfo {
    /// Adds the attributes of `load-get`.
    pub fn write(&self, out: &mut Writer) {
        out.u64(a::ID, self.id)
            .string(a::ALGORITHM, &self.algorithm)
            .u64(a::SIZE_BYTES, self.size_bytes)
            .u32(a::CLIENTS, self.clients)
            .u64(a::RATE_OPS_PER_S, self.rate_ops_per_s)
            .u64(a::FOR_NS, self.for_ns)
            .u32(a::UID, self.uid)
            .u64(a::COMPLETED_OPS, self.completed_ops)
            .u64(a::FAILED_OPS, self.failed_ops)
            .u64(a::BYTES, self.bytes)
            .u64(a::AGE_NS, self.age_ns);
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        Ok(Self {
            id: from.u64(a::ID)?,
            algorithm: from.string(a::ALGORITHM)?,
            size_bytes: from.u64(a::SIZE_BYTES)?,
            clients: from.u32(a::CLIENTS)?,
            rate_ops_per_s: from.u64(a::RATE_OPS_PER_S)?,
            for_ns: from.u64(a::FOR_NS)?,
            uid: from.u32(a::UID)?,
            completed_ops: from.u64(a::COMPLETED_OPS)?,
            failed_ops: from.u64(a::FAILED_OPS)?,
            bytes: from.u64(a::BYTES)?,
            age_ns: from.u64(a::AGE_NS)?,
        })
    }
}
