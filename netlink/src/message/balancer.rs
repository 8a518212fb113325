//! Balancers.

use crate::attr::{Fault, Reader, Writer};
use crate::family::attribute::balancer as a;

/// One registered balancer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BalancerInfo {
    /// Its name.
    pub name: String,
    /// Whether it is the one in force.
    pub current: bool,
    /// Server time at which it came into force, in nanoseconds since the server's start; 0 if not in force.
    pub since_ns: u64,
    /// Operations moved between devices since the server's start; 0 if not in force.
    pub moved_ops: u64,
    /// Whether it is built in and cannot be unregistered.
    pub builtin: bool,
}

impl BalancerInfo {
    /// Adds the attributes of `balancer-get`.
    pub fn write(&self, out: &mut Writer) {
        out.string(a::NAME, &self.name)
            .flag(a::CURRENT, self.current)
            .u64(a::SINCE_NS, self.since_ns)
            .u64(a::MOVED_OPS, self.moved_ops)
            .flag(a::BUILTIN, self.builtin);
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        Ok(Self {
            name: from.string(a::NAME)?,
            current: from.has(a::CURRENT),
            since_ns: from.u64(a::SINCE_NS)?,
            moved_ops: from.u64(a::MOVED_OPS)?,
            builtin: from.has(a::BUILTIN),
        })
    }
}
