//! Faults that are put on a device on purpose, to see that health finds them out.

use std::fmt;
use std::ops::RangeInclusive;

use crate::algorithm::OpKind;
use crate::clock::Nanos;
use crate::error::{Error, Progress};

use super::DeviceError;

/// How the device misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum FaultMode {
    /// Operations fail; nothing is carried out.
    Error = 1,
}

impl FaultMode {
    /// Every mode, in the order of its number.
    pub const ALL: [FaultMode; 1] = [Self::Error];

    /// Lower-case name, as the commands take it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
        }
    }
}

impl fmt::Display for FaultMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A fault and the operations it hits: all that match every condition given.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSpec {
    /// What happens to an operation that is hit.
    pub mode: FaultMode,
    /// Only this operation.
    pub op: Option<OpKind>,
    /// Only inputs of these lengths, in bytes.
    pub size_bytes: Option<RangeInclusive<usize>>,
    /// Only this session.
    pub session: Option<u64>,
    /// At most so many operations.
    pub count: Option<u64>,
    /// Only every nth operation that matches, from 1.
    pub every: Option<u64>,
    /// Only with this probability, 0 to 1.
    pub rate: Option<f64>,
    /// For so long, in nanoseconds.
    pub for_ns: Option<u64>,
    /// Seed of the probability.
    pub seed: u64,
}

impl FaultSpec {
    /// A fault that hits every operation.
    pub fn new(mode: FaultMode) -> Self {
        Self {
            mode,
            op: None,
            size_bytes: None,
            session: None,
            count: None,
            every: None,
            rate: None,
            for_ns: None,
            seed: 0,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let bad = |name: &str, value: String, expected: &str| {
            Err(Error::BadParameter { name: name.to_owned(), value, expected: expected.to_owned() })
        };
        match (self.rate, self.every) {
            (Some(rate), _) if !(0.0..=1.0).contains(&rate) => bad("rate", rate.to_string(), "from 0 to 1"),
            (_, Some(0)) => bad("every", "0".to_owned(), "at least 1"),
            _ => Ok(()),
        }
    }
}

/// A fault in force on one device.
#[derive(Debug)]
pub(crate) struct ActiveFault {
    spec: FaultSpec,
    until: Nanos,
    matched: u64,
    hit: u64,
    lot: Lot,
}

impl ActiveFault {
    pub(crate) fn new(spec: FaultSpec, now: Nanos) -> Self {
        let until = now.plus(spec.for_ns.unwrap_or(u64::MAX));
        Self { until, matched: 0, hit: 0, lot: Lot::new(spec.seed), spec }
    }

    /// Whether its time is over.
    pub(crate) fn is_over(&self, now: Nanos) -> bool {
        now >= self.until
    }

    /// The failure of the operation, if it is hit.
    pub(crate) fn hit(&mut self, kind: OpKind, bytes: usize, session: u64) -> Option<DeviceError> {
        let spec = &self.spec;
        if spec.op.is_some_and(|op| op != kind)
            || spec.size_bytes.as_ref().is_some_and(|range| !range.contains(&bytes))
            || spec.session.is_some_and(|wanted| wanted != session)
            || spec.count.is_some_and(|count| self.hit >= count)
        {
            return None;
        }
        self.matched += 1;
        if spec.every.is_some_and(|every| !self.matched.is_multiple_of(every))
            || spec.rate.is_some_and(|rate| self.lot.unit() >= rate)
        {
            return None;
        }
        self.hit += 1;
        match spec.mode {
            FaultMode::Error => Some(DeviceError::Failed {
                reason: "injected error",
                progress: Progress::NotStarted,
                source_intact: true,
            }),
        }
    }
}

/// Repeatable pseudo-random numbers for simulations (splitmix64); never for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Lot(u64);

impl Lot {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// In `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// In `0..bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(spec: FaultSpec, ops: u64) -> u64 {
        let mut fault = ActiveFault::new(spec, Nanos(0));
        (0..ops).filter(|_| fault.hit(OpKind::Encrypt, 64, 1).is_some()).count() as u64
    }

    #[test]
    fn conditions_narrow_what_is_hit() {
        let all = FaultSpec::new(FaultMode::Error);
        assert_eq!(hits(all.clone(), 10), 10);
        assert_eq!(hits(FaultSpec { op: Some(OpKind::Mac), ..all.clone() }, 10), 0);
        assert_eq!(hits(FaultSpec { size_bytes: Some(65..=100), ..all.clone() }, 10), 0);
        assert_eq!(hits(FaultSpec { session: Some(2), ..all.clone() }, 10), 0);
        assert_eq!(hits(FaultSpec { count: Some(3), ..all.clone() }, 10), 3);
        assert_eq!(hits(FaultSpec { every: Some(4), ..all.clone() }, 10), 2);
        let half = hits(FaultSpec { rate: Some(0.5), seed: 7, ..all }, 1000);
        assert!((400..600).contains(&half), "{half}");
    }

    #[test]
    fn a_probability_above_one_is_refused_by_name() {
        let spec = FaultSpec { rate: Some(1.5), ..FaultSpec::new(FaultMode::Error) };
        assert_eq!(spec.check().unwrap_err().to_string(), "parameter 'rate': '1.5' is not from 0 to 1");
    }
}
