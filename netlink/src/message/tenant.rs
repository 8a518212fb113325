//! Tenants: whose work it is, and how much of the devices it may have.

use crate::attr::{Fault, Reader, Writer};
use crate::family::attribute::tenant as a;

/// One tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantInfo {
    /// Name; `uid:N` for a user's own.
    pub name: String,
    /// Weight of its share.
    pub weight: u32,
    /// Most operations on their way; 0 for no limit of its own.
    pub limit_ops: u64,
    /// Open sessions.
    pub sessions: u64,
    /// Operations accepted.
    pub accepted_ops: u64,
    /// Operations handed back.
    pub completed_ops: u64,
    /// Operations accepted and not completed.
    pub in_flight_ops: u64,
    /// Bytes of completed operations.
    pub bytes: u64,
}

impl TenantInfo {
    /// Adds the attributes of `tenant-get`.
    pub fn write(&self, out: &mut Writer) {
        out.string(a::NAME, &self.name)
            .u32(a::WEIGHT, self.weight)
            .u64(a::LIMIT_OPS, self.limit_ops)
            .u64(a::SESSIONS, self.sessions)
            .u64(a::ACCEPTED_OPS, self.accepted_ops)
            .u64(a::COMPLETED_OPS, self.completed_ops)
            .u64(a::IN_FLIGHT_OPS, self.in_flight_ops)
            .u64(a::BYTES, self.bytes);
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        Ok(Self {
            name: from.string(a::NAME)?,
            weight: from.u32(a::WEIGHT)?,
            limit_ops: from.u64(a::LIMIT_OPS)?,
            sessions: from.u64(a::SESSIONS)?,
            accepted_ops: from.u64(a::ACCEPTED_OPS)?,
            completed_ops: from.u64(a::COMPLETED_OPS)?,
            in_flight_ops: from.u64(a::IN_FLIGHT_OPS)?,
            bytes: from.u64(a::BYTES)?,
        })
    }
}
