//! Faults that are put on a device on purpose, to see that health finds them out.

use std::fmt;
use std::ops::RangeInclusive;

use crate::algorithm::OpKind;
use crate::clock::Nanos;
use crate::error::Error;

pub use super::faulted::Faulted;

/// How the device misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum FaultMode {
    /// Operations fail; nothing is carried out.
    Error = 1,
    /// Operations are answered later, by the delay.
    Delay = 2,
    /// From the first operation that is hit nothing is answered any more, until a reset or the end of the fault.
    Hang = 3,
    /// The answer never comes.
    Lost = 4,
    /// The answer comes after the delay, when the runtime has given up on it; it must touch nothing.
    Late = 5,
    /// The operation is answered twice.
    Duplicate = 6,
    /// One bit of the result is flipped.
    Corrupt = 7,
    /// Answers come in another order than without the fault, which must be harmless.
    Reorder = 8,
    /// The first operation that is hit kills the device: what it holds is never answered, what comes later fails, and
    /// so does every reset; with a count, so many resets fail and the next one brings it back.
    Death = 9,
    /// The device takes nothing while the fault is in force. Conditions on operations do not apply.
    Full = 10,
}

impl FaultMode {
    /// Every mode, in the order of its number.
    pub const ALL: [FaultMode; 10] = [
        Self::Error,
        Self::Delay,
        Self::Hang,
        Self::Lost,
        Self::Late,
        Self::Duplicate,
        Self::Corrupt,
        Self::Reorder,
        Self::Death,
        Self::Full,
    ];

    /// Lower-case name, as the commands take it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Delay => "delay",
            Self::Hang => "hang",
            Self::Lost => "lost",
            Self::Late => "late",
            Self::Duplicate => "duplicate",
            Self::Corrupt => "corrupt",
            Self::Reorder => "reorder",
            Self::Death => "death",
            Self::Full => "full",
        }
    }

    /// How long `delay` and `late` wait where the fault does not say, in nanoseconds.
    pub const fn default_delay_ns(self) -> u64 {
        match self {
            Self::Late => 10_000_000_000,
            _ => 100_000_000,
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
    /// At most so many operations; for `death`, resets that fail.
    pub count: Option<u64>,
    /// Only every nth operation that matches, from 1.
    pub every: Option<u64>,
    /// Only with this probability, 0 to 1.
    pub rate: Option<f64>,
    /// For so long, in nanoseconds.
    pub for_ns: Option<u64>,
    /// How much later `delay` and `late` answer, in nanoseconds; `None` takes [`FaultMode::default_delay_ns`].
    pub delay_ns: Option<u64>,
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
            delay_ns: None,
            seed: 0,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let bad = |name: &str, value: String, expected: &str| {
            Err(Error::BadParameter { name: name.to_owned(), value, expected: expected.to_owned() })
        };
        let has_delay = matches!(self.mode, FaultMode::Delay | FaultMode::Late);
        match (self.rate, self.every, self.delay_ns) {
            (Some(rate), ..) if !(0.0..=1.0).contains(&rate) => bad("rate", rate.to_string(), "from 0 to 1"),
            (_, Some(0), _) => bad("every", "0".to_owned(), "at least 1"),
            (.., Some(delay)) if !has_delay => {
                bad("delay", format!("{delay} ns"), "allowed here: only 'delay' and 'late' take one")
            }
            _ => Ok(()),
        }
    }
}

/// A fault in force on one device, and how often it has hit.
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

    pub(crate) fn mode(&self) -> FaultMode {
        self.spec.mode
    }

    /// How much later an answer comes, in nanoseconds.
    pub(crate) fn delay_ns(&self) -> u64 {
        self.spec.delay_ns.unwrap_or(self.spec.mode.default_delay_ns())
    }

    /// Most operations it hits: a device dies once, and hangs once for each reset.
    fn hits_max(&self) -> u64 {
        match self.spec.mode {
            FaultMode::Death => 1,
            FaultMode::Full => 0,
            _ => self.spec.count.unwrap_or(u64::MAX),
        }
    }

    /// Resets of a dead device that fail.
    pub(crate) fn failing_resets(&self) -> u64 {
        self.spec.count.unwrap_or(u64::MAX)
    }

    /// Whether its time is over.
    pub(crate) fn is_over(&self, now: Nanos) -> bool {
        now >= self.until
    }

    /// Whether it will hit nothing any more.
    pub(crate) fn is_used_up(&self) -> bool {
        self.hit >= self.hits_max() && self.spec.mode != FaultMode::Full
    }

    /// Whether an operation is hit.
    pub(crate) fn hits(&mut self, kind: OpKind, bytes: usize, session: Option<u64>) -> bool {
        let spec = &self.spec;
        if spec.op.is_some_and(|op| op != kind)
            || spec.size_bytes.as_ref().is_some_and(|range| !range.contains(&bytes))
            || spec.session.is_some_and(|wanted| session != Some(wanted))
            || self.hit >= self.hits_max()
        {
            return false;
        }
        self.matched += 1;
        if spec.every.is_some_and(|every| !self.matched.is_multiple_of(every))
            || spec.rate.is_some_and(|rate| self.lot.unit() >= rate)
        {
            return false;
        }
        self.hit += 1;
        true
    }

    /// A number below `bound`, drawn by the fault's seed.
    pub(crate) fn draw(&mut self, bound: u64) -> u64 {
        self.lot.below(bound)
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
        (0..ops).filter(|_| fault.hits(OpKind::Encrypt, 64, Some(1))).count() as u64
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
    #[test]
    fn a_delay_is_refused_where_nothing_waits() {
        let spec = FaultSpec { delay_ns: Some(5), ..FaultSpec::new(FaultMode::Hang) };
        let error = spec.check().unwrap_err().to_string();
        assert_eq!(error, "parameter 'delay': '5 ns' is not allowed here: only 'delay' and 'late' take one");
        assert_eq!(FaultSpec { mode: FaultMode::Late, ..spec }.check(), Ok(()));
    }
}
