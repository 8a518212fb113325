//! What the hot path tells of its picks: how many there were, how many the table could not serve, and samples of the
//! decisions with the figures they were made on.

use std::sync::Arc;

use arrayvec::ArrayVec;
use crossbeam_utils::CachePadded;

use super::choice::{Outcome, Server};
use crate::algorithm::{Algorithm, OpKind};
use crate::clock::{Clock, Nanos};
use crate::device::DeviceState;
use crate::op::DeviceId;
use crate::queue::waiting::Waiting;
use crate::runtime::Runtime;
use crate::shared::Shared;
use crate::stats::counter::{Counter, thread_number};
use crate::submit::{Shape, Tried};
use crate::sync::Lock;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Decisions kept.
pub const DECISIONS_MAX: usize = 1_024;
/// Candidates shown of one decision.
pub const DECISION_CANDIDATES_MAX: usize = 8;
/// One of so many picks is sampled, once there have been as many.
const SAMPLE_EVERY: u64 = 64;
const SHARDS: usize = 16;

/// One pick of a device, as it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// When, nanoseconds of the runtime's clock.
    pub time_ns: u64,
    /// Algorithm of the operation (the first, if it was made for several).
    pub algorithm: Algorithm,
    /// What it does.
    pub kind: OpKind,
    /// Its length in bytes.
    pub bytes: usize,
    /// Its priority.
    pub priority: u8,
    /// The policy whose table was in force.
    pub policy: String,
    /// The rule, or `binding`, or `fallback` where the table could not serve.
    pub rule: &'static str,
    /// The candidates in the table's order, at most [`DECISION_CANDIDATES_MAX`].
    pub candidates: Vec<CandidateFigures>,
    /// Candidates there were in all.
    pub candidates_all: usize,
    /// The device picked; `None` when each was full or none could serve.
    pub chosen: Option<String>,
    /// Why.
    pub why: &'static str,
}

/// A candidate at the time of a decision.
#[derive(Clone, Debug, PartialEq)]
pub struct CandidateFigures {
    /// The device.
    pub device: String,
    /// Its state.
    pub state: DeviceState,
    /// Operations in its queue and on it.
    pub backlog_ops: usize,
    /// Operations it takes at most before it counts as full.
    pub lend_max_ops: usize,
    /// When the operation would have been done there, in nanoseconds; `None` while its rate was not known.
    pub expected_ns: Option<u64>,
    /// Whether it can do the operation and has not failed it before.
    pub is_able: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    device: DeviceId,
    state: DeviceState,
    backlog_ops: usize,
    lend_max_ops: usize,
    expected_ns: Option<u64>,
    is_able: bool,
}

type FigureList = ArrayVec<Figures, DECISION_CANDIDATES_MAX>;

/// A decision that names devices by number.
#[derive(Clone, Debug)]
struct Noted {
    time: Nanos,
    shape: Shape,
    policy: Arc<str>,
    rule: &'static str,
    figures: FigureList,
    candidates_all: usize,
    chosen: Option<DeviceId>,
    why: &'static str,
}

#[derive(Debug, Default)]
struct Ring {
    /// Room for all of them is made with the first.
    decisions: Vec<Noted>,
    next: usize,
}

/// What the hot path counts and notes. It outlives every table.
#[derive(Debug)]
pub(crate) struct Watch {
    clock: Clock,
    picks: [CachePadded<AtomicU64>; SHARDS],
    /// Picks that the table could not serve although a usable device could.
    pub(crate) misses: Counter,
    decisions: Lock<Ring>,
    waiting: Arc<Waiting>,
}

impl Watch {
    pub(crate) fn new(clock: Clock, waiting: &Arc<Waiting>) -> Self {
        Self {
            clock,
            waiting: Arc::clone(waiting),
            picks: Default::default(),
            misses: Counter::default(),
            decisions: Lock::new(Ring::default()),
        }
    }

    #[inline]
    pub(crate) fn now(&self) -> Nanos {
        self.clock.now()
    }

    /// Operations that wait for a device.
    pub(crate) fn line_ops(&self) -> usize {
        self.waiting.total_ops()
    }

    /// Where rules without an order of their own begin: apart for different threads, but always alike where a seed must
    /// decide everything.
    #[inline]
    pub(crate) fn spread(&self) -> usize {
        if self.clock.is_simulated() { 0 } else { thread_number() }
    }

    /// Counts a pick. True if it is one to be noted: the first ones, then one of many.
    #[inline]
    pub(crate) fn counts_pick(&self) -> bool {
        // Of two threads that share a shard one may go uncounted: it is a figure to sample by.
        let picks = &self.picks[thread_number() % SHARDS];
        let number = picks.load(Ordering::Relaxed);
        picks.store(number + 1, Ordering::Relaxed);
        number < SAMPLE_EVERY || number.is_multiple_of(SAMPLE_EVERY)
    }

    /// Picks so far.
    pub(crate) fn picks(&self) -> u64 {
        self.picks.iter().map(|picks| picks.load(Ordering::Relaxed)).sum()
    }

    #[cold]
    pub(crate) fn figures<S: Server>(&self, candidates: &[S], shape: Shape, tried: &Tried) -> FigureList {
        let now = self.now();
        let figures = |server: &S| Figures {
            device: server.id(),
            state: server.state(),
            backlog_ops: server.backlog_ops(),
            lend_max_ops: server.lend_max_ops(),
            expected_ns: server.expected_ns(shape, now),
            is_able: server.can(shape) && !tried.contains(server.id()),
        };
        candidates.iter().take(DECISION_CANDIDATES_MAX).map(figures).collect()
    }

    #[cold]
    pub(crate) fn note<S: Server>(
        &self,
        policy: &Arc<str>,
        rule: &'static str,
        shape: Shape,
        figures: FigureList,
        candidates: &[S],
        outcome: Outcome,
    ) {
        // Whoever finds the ring taken has nothing to tell that could not be told by the next.
        let Some(mut ring) = self.decisions.try_lock() else { return };
        let (chosen, why) = match outcome {
            Outcome::Found { index, why, .. } => (Some(candidates[index].id()), why),
            Outcome::Full => (None, "all are full"),
            Outcome::None => (None, "none can serve"),
        };
        let noted = Noted {
            time: self.now(),
            shape,
            policy: Arc::clone(policy),
            rule,
            figures,
            candidates_all: candidates.len(),
            chosen,
            why,
        };
        if ring.decisions.len() < DECISIONS_MAX {
            let missing = DECISIONS_MAX - ring.decisions.len();
            ring.decisions.reserve_exact(missing);
            ring.decisions.push(noted);
        } else {
            let next = ring.next;
            ring.decisions[next] = noted;
            ring.next = (next + 1) % DECISIONS_MAX;
        }
    }

    /// The latest decisions, the latest first.
    fn latest(&self, limit: usize) -> Vec<Noted> {
        let ring = self.decisions.lock();
        let count = ring.decisions.len();
        (1..=count.min(limit))
            .map(|back| ring.decisions[(ring.next + count - back) % count].clone())
            .collect()
    }
}

impl Shared {
    fn explain(&self, limit: usize) -> Vec<Decision> {
        let name =
            |id: DeviceId| self.device_by_id(id).map_or_else(|| "(gone)".to_owned(), |d| d.name.clone());
        let candidate = |figures: &Figures| CandidateFigures {
            device: name(figures.device),
            state: figures.state,
            backlog_ops: figures.backlog_ops,
            lend_max_ops: figures.lend_max_ops,
            expected_ns: figures.expected_ns,
            is_able: figures.is_able,
        };
        let decision = |noted: Noted| Decision {
            time_ns: noted.time.0,
            algorithm: noted.shape.algorithm(),
            kind: noted.shape.kind(),
            bytes: noted.shape.bytes(),
            priority: noted.shape.priority() as u8,
            policy: noted.policy.to_string(),
            rule: noted.rule,
            candidates: noted.figures.iter().map(candidate).collect(),
            candidates_all: noted.candidates_all,
            chosen: noted.chosen.map(name),
            why: noted.why,
        };
        self.watch.latest(limit).into_iter().map(decision).collect()
    }
}

impl Runtime {
    /// Samples of the balancer's latest decisions, the latest first, at most `limit` of [`DECISIONS_MAX`]: the first 64
    /// picks of each thread, then one of 64.
    pub fn explain(&self, limit: usize) -> Vec<Decision> {
        self.shared.explain(limit)
    }
}
