//! What a balancer decides: for each algorithm and size class, the candidates and the rule to pick one; and which
//! queued work is to be placed anew.

use std::fmt;
use std::sync::Arc;

use crate::algorithm::{Algorithm, OpKind};
use crate::device::DeviceState;
use crate::op::DeviceId;
use crate::submit::SIZE_CLASSES;

/// How the hot path picks one of the candidates. Those that are full, out of service or cannot do the operation are
/// passed over by every rule.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// The one with the fewest operations in its queue and on it.
    Shortest,
    /// Each in turn.
    Rotate,
    /// The first that has room.
    First,
    /// Each in turn, as often as its weight says; in the order of the candidates. One of weight 0 gets what no other has
    /// room for.
    Weighted(Vec<u32>),
    /// The one that will be done first, by its measured rate and its backlog.
    LeastExpected {
        /// Every nth pick goes to an idle candidate without a fresh rate, if there is one; 0 for never.
        explore_every: u32,
    },
    /// Operations of at most `threshold_bytes` to the first `small` candidates, longer ones to the others; in each
    /// group the shortest queue. A group without room spills over into the other.
    BySize {
        /// The longest operation for the first group, in bytes.
        threshold_bytes: usize,
        /// Number of candidates in the first group.
        small: usize,
        /// Every nth pick goes to an idle candidate of the other group without a fresh rate; 0 for never.
        explore_every: u32,
    },
    /// The policy's own function is asked for each pick, on the hot path.
    Choose(Chooser),
}

impl Rule {
    /// Its name, as decisions show it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Shortest => "shortest",
            Self::Rotate => "rotate",
            Self::First => "first",
            Self::Weighted(_) => "weighted",
            Self::LeastExpected { .. } => "least_expected",
            Self::BySize { .. } => "by_size",
            Self::Choose(_) => "choose",
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A function that picks one of the candidates it is shown by its index. It must not block; what it returns beyond the
/// candidates counts as no choice, and the shortest queue is taken.
#[derive(Clone)]
pub struct Chooser(pub(crate) Arc<ChooseFn>);

type ChooseFn = dyn Fn(&Asked<'_>) -> Option<usize> + Send + Sync;

impl Chooser {
    /// Wraps a function.
    pub fn new(choose: impl Fn(&Asked<'_>) -> Option<usize> + Send + Sync + 'static) -> Self {
        Self(Arc::new(choose))
    }
}

impl PartialEq for Chooser {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The operation that a [`Chooser`] is asked to place.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// What it does.
    pub kind: OpKind,
    /// Its length in bytes.
    pub bytes: usize,
    /// Its priority, 7 highest.
    pub priority: u8,
    /// Candidates of its row that can take it now.
    pub candidates: &'a [Candidate],
}

/// A candidate that has room.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// The device.
    pub device: DeviceId,
    /// Its state: `up`, `degraded` or `probation`.
    pub state: DeviceState,
    /// Operations in its queue and on it.
    pub backlog_ops: usize,
    /// Operations it has room for.
    pub room_ops: usize,
    /// When the operation would be done, in nanoseconds from now; `None` while its rate is not known.
    pub expected_ns: Option<u64>,
}

/// Candidates and rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The rule.
    pub rule: Rule,
    /// The candidates, in the policy's order.
    pub candidates: Vec<DeviceId>,
}

/// Queued operations of one device that are to be placed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The device they leave.
    pub from: DeviceId,
    /// Operations that may stay in its queue.
    pub keep_ops: usize,
}

/// One row for each algorithm and size class; what a missing row would serve goes to the shortest queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    rows: Vec<Option<Row>>,
    moves: Vec<Move>,
}

impl Table {
    /// Sets the row of one size class (`0..SIZE_CLASSES`).
    pub fn set(&mut self, algorithm: Algorithm, class: usize, row: Row) {
        let place = algorithm as usize * SIZE_CLASSES + class.min(SIZE_CLASSES - 1);
        if self.rows.len() <= place {
            self.rows.resize(place + 1, None);
        }
        self.rows[place] = Some(row);
    }

    /// Sets the rows of all size classes.
    pub fn set_all(&mut self, algorithm: Algorithm, rule: &Rule, candidates: &[DeviceId]) {
        for class in 0..SIZE_CLASSES {
            self.set(algorithm, class, Row { rule: rule.clone(), candidates: candidates.to_vec() });
        }
    }

    /// The row of one size class.
    pub fn row(&self, algorithm: Algorithm, class: usize) -> Option<&Row> {
        self.rows.get(algorithm as usize * SIZE_CLASSES + class)?.as_ref()
    }

    /// Has queued operations of a device placed anew, once, when the table comes into force.
    pub fn move_queued(&mut self, from: DeviceId, keep_ops: usize) {
        self.moves.push(Move { from, keep_ops });
    }

    /// What is to be placed anew.
    pub fn moves(&self) -> &[Move] {
        &self.moves
    }

    pub(crate) fn take_moves(&mut self) -> Vec<Move> {
        std::mem::take(&mut self.moves)
    }
}
