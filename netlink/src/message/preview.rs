//! What balancers would have done, and what they did.

use super::{DeviceState, OpKind};
use crate::attr::{Fault, Reader, Writer};
use crate::family::attribute::{candidate, decision as a, preview, share};

/// What a balancer would have done with the latest arrivals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreviewInfo {
    /// The balancer.
    pub name: String,
    /// Operations replayed.
    pub samples: u64,
    /// Time from the first to the last of them, in nanoseconds.
    pub span_ns: u64,
    /// Median from submission to answer, in nanoseconds.
    pub p50_ns: u64,
    /// 99th percentile of the same, in nanoseconds.
    pub p99_ns: u64,
    /// Operations of the device with the most of them over the mean of all, in thousandths.
    pub imbalance_permille: u64,
    /// What each device would have got: its name, operations.
    pub devices: Vec<(String, u64)>,
}

/// A device at the time of a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub device: String,
    /// Its state.
    pub state: DeviceState,
    /// Operations in its queue and on it.
    pub backlog_ops: u64,
    /// Operations it takes before it counts as full.
    pub lend_max_ops: u64,
    /// When the operation would have been done there, in nanoseconds; `None` while its rate was not known.
    pub expected_ns: Option<u64>,
    /// Whether it can do the operation and has not failed it before.
    pub is_able: bool,
}

/// One pick of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecisionInfo {
    /// Server time, in nanoseconds since the server's start.
    pub time_ns: u64,
    /// OpenSSL's name of the algorithm.
    pub algorithm: String,
    /// What the operation does.
    pub op: OpKind,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its priority.
    pub priority: u8,
    /// The balancer whose table was in force.
    pub balancer: String,
    /// Rule of its table, or `binding`, or `fallback` where it could not serve.
    pub rule: String,
    /// The candidates in the table's order; not all of them if there are many.
    pub candidates: Vec<Candidate>,
    /// Candidates there were in all.
    pub candidates_all: u64,
    /// The device picked; empty when none was.
    pub chosen: String,
    /// Why.
    pub why: String,
}

impl PreviewInfo {
    /// Adds the attributes of `preview-get`.
    pub fn write(&self, out: &mut Writer) {
        out.string(preview::NAME, &self.name)
            .u64(preview::SAMPLES, self.samples)
            .u64(preview::SPAN_NS, self.span_ns)
            .u64(preview::P50_NS, self.p50_ns)
            .u64(preview::P99_NS, self.p99_ns)
            .u64(preview::IMBALANCE_PERMILLE, self.imbalance_permille);
        for (name, ops) in &self.devices {
            out.nest(preview::SHARE, |nest| {
                nest.string(share::NAME, name).u64(share::OPS, *ops);
            });
        }
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        let device = |nest: &Reader| Ok((nest.string(share::NAME)?, nest.u64(share::OPS)?));
        Ok(Self {
            name: from.string(preview::NAME)?,
            samples: from.u64(preview::SAMPLES)?,
            span_ns: from.u64(preview::SPAN_NS)?,
            p50_ns: from.u64(preview::P50_NS)?,
            p99_ns: from.u64(preview::P99_NS)?,
            imbalance_permille: from.u64(preview::IMBALANCE_PERMILLE)?,
            devices: from.nests(preview::SHARE)?.iter().map(device).collect::<Result<_, Fault>>()?,
        })
    }
}

impl Candidate {
    fn write(&self, out: &mut Writer) {
        out.string(candidate::DEVICE, &self.device)
            .u32(candidate::STATE, self.state as u32)
            .u64(candidate::BACKLOG_OPS, self.backlog_ops)
            .u64(candidate::LEND_MAX_OPS, self.lend_max_ops)
            .u64_if(candidate::EXPECTED_NS, self.expected_ns)
            .flag(candidate::ABLE, self.is_able);
    }

    fn read(from: &Reader) -> Result<Self, Fault> {
        Ok(Self {
            device: from.string(candidate::DEVICE)?,
            state: from.token(candidate::STATE, DeviceState::from_number)?,
            backlog_ops: from.u64(candidate::BACKLOG_OPS)?,
            lend_max_ops: from.u64(candidate::LEND_MAX_OPS)?,
            expected_ns: from.u64_if(candidate::EXPECTED_NS)?,
            is_able: from.has(candidate::ABLE),
        })
    }
}

impl DecisionInfo {
    /// Adds the attributes of `decision-get`.
    pub fn write(&self, out: &mut Writer) {
        out.u64(a::TIME_NS, self.time_ns)
            .string(a::ALGORITHM, &self.algorithm)
            .u32(a::OP, self.op as u32)
            .u64(a::BYTES, self.bytes)
            .u32(a::PRIORITY, u32::from(self.priority))
            .string(a::BALANCER, &self.balancer)
            .string(a::RULE, &self.rule);
        for candidate in &self.candidates {
            out.nest(a::CANDIDATE, |nest| candidate.write(nest));
        }
        out.u64(a::CANDIDATES, self.candidates_all)
            .string_if(a::CHOSEN, &self.chosen)
            .string(a::WHY, &self.why);
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        Ok(Self {
            time_ns: from.u64(a::TIME_NS)?,
            algorithm: from.string(a::ALGORITHM)?,
            op: from.token(a::OP, OpKind::from_number)?,
            bytes: from.u64(a::BYTES)?,
            priority: u8::try_from(from.u32(a::PRIORITY)?)
                .map_err(|_| from.fault(a::PRIORITY, "'priority' is not 0 to 7"))?,
            balancer: from.string(a::BALANCER)?,
            rule: from.string(a::RULE)?,
            candidates: from
                .nests(a::CANDIDATE)?
                .iter()
                .map(Candidate::read)
                .collect::<Result<_, Fault>>()?,
            candidates_all: from.u64(a::CANDIDATES)?,
            chosen: from.string_if(a::CHOSEN)?.unwrap_or_default(),
            why: from.string(a::WHY)?,
        })
    }
}
