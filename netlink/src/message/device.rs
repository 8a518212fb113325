//! Devices.

use crate::attr::{Fault, Reader, Writer};
use crate::family::attribute::{capability, device as a, leaving, parameter};

use super::fault::{read_ppb, write_ppb};
use super::token::tokens;
use super::{FaultSpec, Histogram, OpKind, Parameter};

tokens! {
    /// State of a device.
    DeviceState, default Up {
        /// Known answers are running after a repair.
        Selftest = 1 "selftest",
        /// Known answers came out wrong after a repair; gets no work.
        Failed = 2 "failed",
        /// In service.
        Up = 3 "up",
        /// In service, with errors below its budget.
        Degraded = 4 "degraded",
        /// Gets no work until repaired.
        Broken = 5 "broken",
        /// Repaired; gets a growing share of work.
        Probation = 6 "probation",
        /// Finishes what it has, takes nothing new.
        Draining = 7 "draining",
        /// Empty, takes nothing new.
        Drained = 8 "drained",
        /// Removed.
        Gone = 9 "gone",
    }
}

impl DeviceState {
    /// Whether a balancer may pick a device in this state.
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Up | Self::Degraded | Self::Probation)
    }
}

/// Attempts counted by a device; `taken = finished + moved_out + abandoned + queued + in_flight` (invariant I1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceCounters {
    /// Attempts lent to the device.
    pub taken_ops: u64,
    /// Attempts that ended on it.
    pub finished_ops: u64,
    /// Attempts taken away before they started.
    pub moved_out_ops: u64,
    /// Attempts given up: cancelled, expired, or lost with the device.
    pub abandoned_ops: u64,
    /// Attempts waiting in its queue now.
    pub queued_ops: u64,
    /// Attempts it works on now.
    pub in_flight_ops: u64,
}

/// One (operation, algorithm) a device can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capability {
    /// The operation.
    pub op: OpKind,
    /// OpenSSL's name of the algorithm.
    pub algorithm: String,
}

/// A device's way out of service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leaving {
    /// Whether it is removed in the end; else it stays, drained.
    pub is_removal: bool,
    /// Server time at which what it still holds is taken away, in nanoseconds since the server's start.
    pub deadline_ns: u64,
    /// Operations in its queue and on it.
    pub remaining_ops: u64,
}

/// One device, all it says of itself and all that is counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceInfo {
    /// Number, never used twice within one server's life.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Kind: `soft`, `null`, `sim` and so on.
    pub kind: String,
    /// State.
    pub state: DeviceState,
    /// Why it is in this state; empty if there is nothing to say.
    pub state_reason: String,
    /// Server time of the last change of state, in nanoseconds since the server's start.
    pub state_since_ns: u64,
    /// Most operations it holds (queued and in flight).
    pub queue_max_ops: u64,
    /// Attempts.
    pub counters: DeviceCounters,
    /// Attempts that failed by the device's own fault.
    pub errors_ops: u64,
    /// Bytes processed.
    pub bytes: u64,
    /// Time in its queue, in nanoseconds.
    pub queue_wait: Histogram,
    /// Time in the device, in nanoseconds.
    pub service: Histogram,
    /// Time from submission to completion of the operations it finished, in nanoseconds.
    pub total: Histogram,
    /// The fault put on it, if any.
    pub fault: Option<FaultSpec>,
    /// Share of load it gets while in probation, in percent; 100 otherwise.
    pub probation_percent: u8,
    /// User who added it.
    pub uid: u32,
    /// Parameters it was made with.
    pub parameters: Vec<(String, String)>,
    /// What it can do.
    pub capabilities: Vec<Capability>,
    /// Known answers asked because it was idle.
    pub heartbeats_sent: u64,
    /// Of these, answered wrong or not at all.
    pub heartbeats_failed: u64,
    /// Share of its operations, 0 to 1, that is carried out once more and held until both agree; travels in parts per
    /// billion.
    pub shadow_rate: f64,
    /// Operations compared so.
    pub shadowed_ops: u64,
    /// Its way out of service.
    pub leaving: Option<Leaving>,
}

impl DeviceInfo {
    /// Adds the attributes of `device-get`.
    pub fn write(&self, out: &mut Writer) {
        out.u32(a::ID, self.id)
            .string(a::NAME, &self.name)
            .string(a::KIND, &self.kind)
            .u32(a::STATE, self.state as u32)
            .string(a::STATE_REASON, &self.state_reason)
            .u64(a::STATE_SINCE_NS, self.state_since_ns)
            .u64(a::QUEUE_MAX_OPS, self.queue_max_ops)
            .u64(a::TAKEN_OPS, self.counters.taken_ops)
            .u64(a::FINISHED_OPS, self.counters.finished_ops)
            .u64(a::MOVED_OUT_OPS, self.counters.moved_out_ops)
            .u64(a::ABANDONED_OPS, self.counters.abandoned_ops)
            .u64(a::QUEUED_OPS, self.counters.queued_ops)
            .u64(a::IN_FLIGHT_OPS, self.counters.in_flight_ops)
            .u64(a::ERRORS_OPS, self.errors_ops)
            .u64(a::BYTES, self.bytes)
            .nest(a::QUEUE_WAIT, |nest| self.queue_wait.write(nest))
            .nest(a::SERVICE, |nest| self.service.write(nest))
            .nest(a::TOTAL, |nest| self.total.write(nest));
        if let Some(fault) = &self.fault {
            out.nest(a::FAULT, |nest| fault.write(nest));
        }
        out.u32(a::PROBATION_PERCENT, u32::from(self.probation_percent)).u32(a::UID, self.uid);
        write_parameters(&self.parameters, out);
        for can in &self.capabilities {
            out.nest(a::CAPABILITY, |nest| {
                nest.u32(capability::OP, can.op as u32).string(capability::ALGORITHM, &can.algorithm);
            });
        }
        out.u64(a::HEARTBEATS_SENT, self.heartbeats_sent).u64(a::HEARTBEATS_FAILED, self.heartbeats_failed);
        write_ppb(a::SHADOW_PPB, self.shadow_rate, out);
        out.u64(a::SHADOWED_OPS, self.shadowed_ops);
        if let Some(leaving) = &self.leaving {
            out.nest(a::LEAVING, |nest| leaving.write(nest));
        }
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        let capability = |nest: &Reader| {
            Ok(Capability {
                op: nest.token(capability::OP, OpKind::from_number)?,
                algorithm: nest.string(capability::ALGORITHM)?,
            })
        };
        Ok(Self {
            id: from.u32(a::ID)?,
            name: from.string(a::NAME)?,
            kind: from.string(a::KIND)?,
            state: from.token(a::STATE, DeviceState::from_number)?,
            state_reason: from.string(a::STATE_REASON)?,
            state_since_ns: from.u64(a::STATE_SINCE_NS)?,
            queue_max_ops: from.u64(a::QUEUE_MAX_OPS)?,
            counters: DeviceCounters {
                taken_ops: from.u64(a::TAKEN_OPS)?,
                finished_ops: from.u64(a::FINISHED_OPS)?,
                moved_out_ops: from.u64(a::MOVED_OUT_OPS)?,
                abandoned_ops: from.u64(a::ABANDONED_OPS)?,
                queued_ops: from.u64(a::QUEUED_OPS)?,
                in_flight_ops: from.u64(a::IN_FLIGHT_OPS)?,
            },
            errors_ops: from.u64(a::ERRORS_OPS)?,
            bytes: from.u64(a::BYTES)?,
            queue_wait: Histogram::read(&from.nest(a::QUEUE_WAIT)?)?,
            service: Histogram::read(&from.nest(a::SERVICE)?)?,
            total: Histogram::read(&from.nest(a::TOTAL)?)?,
            fault: from.nest_if(a::FAULT)?.map(|nest| FaultSpec::read(&nest)).transpose()?,
            probation_percent: u8::try_from(from.u32(a::PROBATION_PERCENT)?)
                .map_err(|_| from.fault(a::PROBATION_PERCENT, "'probation-percent' is not 0 to 100"))?,
            uid: from.u32(a::UID)?,
            parameters: read_parameters(from)?,
            capabilities: from.nests(a::CAPABILITY)?.iter().map(capability).collect::<Result<_, Fault>>()?,
            heartbeats_sent: from.u64(a::HEARTBEATS_SENT)?,
            heartbeats_failed: from.u64(a::HEARTBEATS_FAILED)?,
            shadow_rate: read_ppb(a::SHADOW_PPB, from)?.unwrap_or(0.0),
            shadowed_ops: from.u64(a::SHADOWED_OPS)?,
            leaving: from.nest_if(a::LEAVING)?.map(|nest| Leaving::read(&nest)).transpose()?,
        })
    }
}

impl Leaving {
    fn write(&self, out: &mut Writer) {
        out.flag(leaving::REMOVAL, self.is_removal)
            .u64(leaving::DEADLINE_NS, self.deadline_ns)
            .u64(leaving::REMAINING_OPS, self.remaining_ops);
    }

    fn read(from: &Reader) -> Result<Self, Fault> {
        Ok(Self {
            is_removal: from.has(leaving::REMOVAL),
            deadline_ns: from.u64(leaving::DEADLINE_NS)?,
            remaining_ops: from.u64(leaving::REMAINING_OPS)?,
        })
    }
}

/// Adds a parameter with what it does.
pub(super) fn write_documented(of: &Parameter, out: &mut Writer) {
    out.string(parameter::NAME, &of.name)
        .string(parameter::VALUE, &of.value)
        .string_if(parameter::DOC, &of.doc);
}

/// Reads what `write_documented` adds.
pub(super) fn read_documented(from: &Reader) -> Result<Parameter, Fault> {
    Ok(Parameter {
        name: from.string(parameter::NAME)?,
        value: from.string(parameter::VALUE)?,
        doc: from.string_if(parameter::DOC)?.unwrap_or_default(),
    })
}

/// Adds a device's parameters.
pub fn write_parameters(parameters: &[(String, String)], out: &mut Writer) {
    for (name, value) in parameters {
        out.nest(a::PARAMETER, |nest| {
            nest.string(parameter::NAME, name).string(parameter::VALUE, value);
        });
    }
}

/// Reads what `write_parameters` adds.
pub fn read_parameters(from: &Reader) -> Result<Vec<(String, String)>, Fault> {
    from.nests(a::PARAMETER)?
        .iter()
        .map(|nest| Ok((nest.string(parameter::NAME)?, nest.string(parameter::VALUE)?)))
        .collect()
}
