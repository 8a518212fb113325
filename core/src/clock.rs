//! Time: the only place that reads a clock. Simulated time makes every test repeatable.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the runtime started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// Later by `nanoseconds`, or the last instant there is.
    pub const fn plus(self, nanoseconds: u64) -> Self {
        Self(self.0.saturating_add(nanoseconds))
    }

    /// Nanoseconds since `earlier`, 0 if that is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A source of time.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The monotonic clock, counted from the runtime's start: the processor's time-stamp counter where it is invariant,
    /// else the system's.
    Monotonic(Monotonic),
    /// The system's monotonic clock, counted from the runtime's start.
    System(Instant),
    /// Time that only moves when a test moves it.
    Simulated(Arc<AtomicU64>),
}

/// Where the monotonic clock began.
#[derive(Clone, Debug)]
pub struct Monotonic {
    clock: quanta::Clock,
    start: u64,
}

impl Monotonic {
    #[inline]
    fn since_start(&self) -> u64 {
        self.clock.delta_as_nanos(self.start, self.clock.raw())
    }
}

impl Clock {
    /// The monotonic clock, from now. The first one of a process measures the time-stamp counter: a few milliseconds, and on
    /// a busy machine up to 200.
    pub fn monotonic() -> Self {
        let clock = quanta::Clock::new();
        let start = clock.raw();
        Self::Monotonic(Monotonic { clock, start })
    }

    /// The system's monotonic clock, from now: ready at once, but each reading costs three times as much.
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn system() -> Self {
        Self::System(Instant::now())
    }

    /// Simulated time, starting at 0.
    pub fn simulated() -> Self {
        Self::Simulated(Arc::new(AtomicU64::new(0)))
    }

    /// The present.
    #[inline]
    pub fn now(&self) -> Nanos {
        match self {
            // 2^64 ns are 584 years.
            Self::Monotonic(monotonic) => Nanos(monotonic.since_start()),
            Self::System(start) => Nanos(start.elapsed().as_nanos() as u64),
            Self::Simulated(now) => Nanos(now.load(Ordering::Acquire)),
        }
    }

    /// Whether time moves only when a test moves it.
    #[inline]
    pub const fn is_simulated(&self) -> bool {
        matches!(self, Self::Simulated(_))
    }

    /// Moves simulated time; the other clocks take no notice.
    pub fn advance(&self, nanoseconds: u64) {
        if let Self::Simulated(now) = self {
            now.fetch_add(nanoseconds, Ordering::AcqRel);
        }
    }

    /// Nanoseconds since the Unix epoch, for showing events to people. Simulated clocks count from the epoch.
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn wall_ns(&self) -> u64 {
        match self {
            Self::Monotonic(_) | Self::System(_) => {
                SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos() as u64
            }
            Self::Simulated(now) => now.load(Ordering::Acquire),
        }
    }
}
