//! Sessions.

use std::fmt;

use zeroize::Zeroizing;

use super::{Bind, Stage};
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
    /// Device it is tied to; empty when none is.
    pub device: String,
    /// Whether results come in the order of submission.
    pub ordered: bool,
    /// What it is tied to.
    pub bind: Option<Bind>,
    /// Tenant it counts for.
    pub tenant: String,
    /// Stages that its operations go through; empty for the algorithm alone.
    pub route: Vec<Stage>,
    /// How often its keys were replaced.
    pub rekeys: u64,
}

/// A session to open. The keys are wiped when this is dropped, and never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SessionNew {
    /// OpenSSL's name of the algorithm; with a route, of its first stage.
    pub algorithm: String,
    /// Key bytes, one key for each stage; empty for an algorithm that takes none.
    pub keys: Vec<Zeroizing<Vec<u8>>>,
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
    /// Results come in the order of submission.
    pub ordered: bool,
    /// What it is tied to.
    pub bind: Option<Bind>,
    /// Tenant it counts for; empty for the user's own.
    pub tenant: String,
    /// Time to live of an operation, in nanoseconds; `None` takes the server's default.
    pub deadline_ns: Option<u64>,
    /// Stages that operations go through, in the order of encryption; empty for the algorithm alone.
    pub route: Vec<Stage>,
}

/// What of a session is to change. The keys are wiped when this is dropped, and never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SessionSet {
    /// Number.
    pub id: u64,
    /// Another tie, or none any more.
    pub bind: Option<Option<Bind>>,
    /// Other keys, one for each stage; empty to keep them.
    pub keys: Vec<Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for SessionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionSet")
            .field("id", &self.id)
            .field("bind", &self.bind)
            .field("key_bytes", &lengths(&self.keys))
            .finish()
    }
}

fn lengths(keys: &[Zeroizing<Vec<u8>>]) -> Vec<usize> {
    keys.iter().map(|key| key.len()).collect()
}

impl fmt::Debug for SessionNew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionNew")
            .field("algorithm", &self.algorithm)
            .field("key_bytes", &lengths(&self.keys))
            .field("padding", &self.padding)
            .field("allow_ecb", &self.allow_ecb)
            .field("allow_sha1", &self.allow_sha1)
            .field("priority", &self.priority)
            .field("persistent", &self.persistent)
            .field("name", &self.name)
            .field("ordered", &self.ordered)
            .field("bind", &self.bind)
            .field("tenant", &self.tenant)
            .field("deadline_ns", &self.deadline_ns)
            .field("route", &self.route)
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
            .string(a::DEVICE, &self.device)
            .flag(a::ORDERED, self.ordered);
        write_bind(self.bind.as_ref(), out);
        out.string(a::TENANT, &self.tenant);
        write_route(&self.route, out);
        out.u64(a::REKEYS, self.rekeys);
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
            ordered: from.has(a::ORDERED),
            bind: read_bind(from)?.flatten(),
            tenant: from.string(a::TENANT)?,
            route: read_route(from)?,
            rekeys: from.u64(a::REKEYS)?,
        })
    }
}

impl SessionNew {
    /// Adds the attributes of `session-new`; the keys last, so that nothing is moved after them.
    pub fn write(&self, out: &mut Writer) {
        out.string(a::ALGORITHM, &self.algorithm).string_if(a::NAME, &self.name);
        if let Some(priority) = self.priority {
            out.u32(a::PRIORITY, u32::from(priority));
        }
        out.flag(a::PADDING, self.padding)
            .flag(a::ALLOW_ECB, self.allow_ecb)
            .flag(a::ALLOW_SHA1, self.allow_sha1)
            .flag(a::PERSISTENT, self.persistent)
            .flag(a::ORDERED, self.ordered)
            .string_if(a::TENANT, &self.tenant)
            .u64_if(a::DEADLINE_NS, self.deadline_ns);
        write_bind(self.bind.as_ref(), out);
        write_route(&self.route, out);
        write_keys(&self.keys, out);
    }

    /// Reads what `write` adds; takes the keys out of `from`.
    pub fn read(from: &mut Reader) -> Result<Self, Fault> {
        Ok(Self {
            algorithm: from.string(a::ALGORITHM)?,
            keys: from.secrets(a::KEY),
            padding: from.has(a::PADDING),
            allow_ecb: from.has(a::ALLOW_ECB),
            allow_sha1: from.has(a::ALLOW_SHA1),
            priority: read_priority(from)?,
            persistent: from.has(a::PERSISTENT),
            name: from.string_if(a::NAME)?.unwrap_or_default(),
            ordered: from.has(a::ORDERED),
            bind: read_bind(from)?.flatten(),
            tenant: from.string_if(a::TENANT)?.unwrap_or_default(),
            deadline_ns: from.u64_if(a::DEADLINE_NS)?,
            route: read_route(from)?,
        })
    }
}

impl SessionSet {
    /// Adds the attributes of `session-set`; the keys last, so that nothing is moved after them.
    pub fn write(&self, out: &mut Writer) {
        out.u64(a::ID, self.id);
        match &self.bind {
            None => {}
            Some(None) => {
                out.nest(a::BIND, |_| {});
            }
            Some(bind) => write_bind(bind.as_ref(), out),
        }
        write_keys(&self.keys, out);
    }

    /// Reads what `write` adds; takes the keys out of `from`.
    pub fn read(from: &mut Reader) -> Result<Self, Fault> {
        Ok(Self { id: from.u64(a::ID)?, bind: read_bind(from)?, keys: from.secrets(a::KEY) })
    }
}

fn write_keys(keys: &[Zeroizing<Vec<u8>>], out: &mut Writer) {
    for key in keys {
        out.secret(a::KEY, key);
    }
}

fn write_bind(bind: Option<&Bind>, out: &mut Writer) {
    if let Some(bind) = bind {
        out.nest(a::BIND, |nest| bind.write(nest));
    }
}

/// The tie that is named, if one is; one that is named may be to nothing.
fn read_bind(from: &Reader) -> Result<Option<Option<Bind>>, Fault> {
    from.nest_if(a::BIND)?.map(|nest| Bind::read(&nest)).transpose()
}

fn write_route(route: &[Stage], out: &mut Writer) {
    for stage in route {
        out.nest(a::ROUTE, |nest| stage.write(nest));
    }
}

fn read_route(from: &Reader) -> Result<Vec<Stage>, Fault> {
    from.nests(a::ROUTE)?.iter().map(Stage::read).collect()
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
