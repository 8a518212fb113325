//! Faults put on a device to see what health makes of it.

use std::ops::RangeInclusive;

use super::OpKind;
use super::token::tokens;
use crate::attr::{Fault, Reader, Writer};
use crate::family::attribute::fault as a;

tokens! {
    /// What the fault does to an operation.
    FaultMode, default Error {
        /// The device answers with an error.
        Error = 1 "error",
        /// The device answers later.
        Delay = 2 "delay",
        /// The device answers nothing any more.
        Hang = 3 "hang",
        /// The answer never comes.
        Lost = 4 "lost",
        /// The answer comes when the runtime has given up on it.
        Late = 5 "late",
        /// The device answers twice.
        Duplicate = 6 "duplicate",
        /// One bit of the result is wrong.
        Corrupt = 7 "corrupt",
        /// Answers come in another order.
        Reorder = 8 "reorder",
        /// The device is dead, and a reset fails.
        Death = 9 "death",
        /// The device takes nothing.
        Full = 10 "full",
    }
}

/// A fault, and the operations it strikes: all that match every condition given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultSpec {
    /// What it does.
    pub mode: FaultMode,
    /// Only operations of this kind.
    pub op: Option<OpKind>,
    /// Only operations of a length in this range, in bytes.
    pub size_bytes: Option<RangeInclusive<u64>>,
    /// Only operations of this session.
    pub session: Option<u64>,
    /// Only so many operations, then the fault is spent.
    pub count: Option<u64>,
    /// Only every n-th operation.
    pub every: Option<u64>,
    /// Only this share of the operations, 0 to 1, drawn from `seed`; travels in parts per billion.
    pub rate: Option<f64>,
    /// Only for so long, in nanoseconds.
    pub for_ns: Option<u64>,
    /// How much later `delay` and `late` answer, in nanoseconds.
    pub delay_ns: Option<u64>,
    /// Seed of the draw.
    pub seed: u64,
}

/// Parts of a whole in `-ppb`.
const BILLION: f64 = 1e9;

/// Adds a share, 0 to 1, in parts per billion.
pub(crate) fn write_ppb(number: u16, share: f64, out: &mut Writer) {
    // Clamped, so that it fits.
    out.u32(number, (share.clamp(0.0, 1.0) * BILLION).round() as u32);
}

/// Reads what `write_ppb` adds, if there.
pub(crate) fn read_ppb(number: u16, from: &Reader) -> Result<Option<f64>, Fault> {
    match from.u32_if(number)? {
        Some(share) if share > 1_000_000_000 => {
            let name = from.set().name_of(number);
            Err(from.fault(number, format!("'{name}' is more than 1000000000")))
        }
        share => Ok(share.map(|share| f64::from(share) / BILLION)),
    }
}

impl FaultSpec {
    /// Adds the attributes of the set `fault`.
    pub fn write(&self, out: &mut Writer) {
        out.u32(a::MODE, self.mode as u32);
        if let Some(op) = self.op {
            out.u32(a::OP, op as u32);
        }
        if let Some(size) = &self.size_bytes {
            out.u64(a::SIZE_MIN_BYTES, *size.start()).u64(a::SIZE_MAX_BYTES, *size.end());
        }
        out.u64_if(a::SESSION, self.session).u64_if(a::COUNT, self.count).u64_if(a::EVERY, self.every);
        if let Some(rate) = self.rate {
            write_ppb(a::RATE_PPB, rate, out);
        }
        out.u64_if(a::FOR_NS, self.for_ns).u64(a::SEED, self.seed).u64_if(a::DELAY_NS, self.delay_ns);
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        let size_bytes = match (from.u64_if(a::SIZE_MIN_BYTES)?, from.u64_if(a::SIZE_MAX_BYTES)?) {
            (None, None) => None,
            (min, max) => Some(min.unwrap_or(0)..=max.unwrap_or(u64::MAX)),
        };
        Ok(Self {
            mode: from.token(a::MODE, FaultMode::from_number)?,
            op: from.token_if(a::OP, OpKind::from_number)?,
            size_bytes,
            session: from.u64_if(a::SESSION)?,
            count: from.u64_if(a::COUNT)?,
            every: from.u64_if(a::EVERY)?,
            rate: read_ppb(a::RATE_PPB, from)?,
            for_ns: from.u64_if(a::FOR_NS)?,
            delay_ns: from.u64_if(a::DELAY_NS)?,
            seed: from.u64_if(a::SEED)?.unwrap_or(0),
        })
    }
}
