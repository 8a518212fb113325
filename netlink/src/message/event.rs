//! Events: every change of state, numbered.

use crate::attr::{Fault, Reader, Writer};
use crate::family::attribute::event as a;

use super::token::tokens;

tokens! {
    /// What an event is about; filters choose by it.
    EventKind, default Device {
        /// A device was added, removed or changed state.
        Device = 1 "device",
        /// The balancer was switched, registered or unregistered.
        Balancer = 2 "lb",
        /// A session was opened or closed.
        Session = 3 "session",
        /// Health noticed something.
        Health = 4 "health",
        /// A fault was put on a device or taken off.
        Fault = 5 "fault",
        /// A load was started or stopped.
        Load = 6 "load",
        /// The server started, changed or stops.
        Server = 7 "server",
    }
}

tokens! {
    /// How much an event matters.
    Severity, default Info {
        /// Something happened as asked.
        Info = 1 "info",
        /// Something deserves a look.
        Warn = 2 "warn",
        /// Something is broken.
        Error = 3 "error",
    }
}

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventRecord {
    /// Number, from 1, without gaps within one server's life.
    pub seq: u64,
    /// Nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// What it is about.
    pub kind: EventKind,
    /// How much it matters.
    pub severity: Severity,
    /// Noun: `device`, `lb`, `session`, `load`, `server`.
    pub object: String,
    /// Name of the object.
    pub name: String,
    /// State before; may be empty.
    pub from: String,
    /// State after.
    pub to: String,
    /// Why; may be empty.
    pub reason: String,
    /// User who caused it; `u32::MAX` when nobody did.
    pub uid: u32,
}

/// Which events a subscription gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Kinds wanted; empty means all.
    pub kinds: Vec<EventKind>,
}

impl Filter {
    /// Everything.
    pub fn all() -> Self {
        Self::default()
    }

    /// Whether events of `kind` pass.
    pub fn passes(&self, kind: EventKind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// Bit `number` set for each kind wanted; 0 means all.
    pub fn mask(&self) -> u32 {
        self.kinds.iter().fold(0, |mask, kind| mask | 1 << *kind as u32)
    }

    /// The filter with this mask; bits of unknown kinds are an error, given back.
    pub fn from_mask(mask: u32) -> Result<Self, u32> {
        let kinds: Vec<EventKind> =
            EventKind::ALL.iter().copied().filter(|kind| mask & 1 << *kind as u32 != 0).collect();
        let filter = Self { kinds };
        let unknown = mask & !filter.mask();
        if unknown == 0 { Ok(filter) } else { Err(unknown) }
    }
}

impl EventRecord {
    /// Adds the attributes of `event-ntf`.
    pub fn write(&self, out: &mut Writer) {
        out.u64(a::SEQ, self.seq)
            .u64(a::TIME_NS, self.time_ns)
            .u32(a::KIND, self.kind as u32)
            .u32(a::SEVERITY, self.severity as u32)
            .string(a::OBJECT, &self.object)
            .string(a::NAME, &self.name)
            .string(a::FROM, &self.from)
            .string(a::TO, &self.to)
            .string(a::REASON, &self.reason)
            .u32(a::UID, self.uid);
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        Ok(Self {
            seq: from.u64(a::SEQ)?,
            time_ns: from.u64(a::TIME_NS)?,
            kind: from.token(a::KIND, EventKind::from_number)?,
            severity: from.token(a::SEVERITY, Severity::from_number)?,
            object: from.string(a::OBJECT)?,
            name: from.string(a::NAME)?,
            from: from.string(a::FROM)?,
            to: from.string(a::TO)?,
            reason: from.string(a::REASON)?,
            uid: from.u32(a::UID)?,
        })
    }
}
