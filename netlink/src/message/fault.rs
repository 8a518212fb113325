//! Faults put on a device to see what health makes of it.

use std::ops::RangeInclusive;

use super::OpKind;
use super::token::tokens;

tokens! {
    /// What the fault does to an operation.
    FaultMode, default Error {
        /// The device answers with an error.
        Error = 1 "error",
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
    /// Seed of the draw.
    pub seed: u64,
}
