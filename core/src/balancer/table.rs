//! What a balancer decides: for each algorithm and size class, the candidates and the rule to pick one.

use crate::algorithm::Algorithm;
use crate::op::DeviceId;
use crate::submit::SIZE_CLASSES;

/// How the hot path picks one of the candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// The one with the fewest operations in its queue and on it.
    Shortest,
    /// Each in turn.
    Rotate,
    /// The first that has room.
    First,
}

/// Candidates and rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The rule.
    pub rule: Rule,
    /// The candidates, in the policy's order.
    pub candidates: Vec<DeviceId>,
}

/// One row for each algorithm and size class; a missing row means that nothing can serve it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    rows: Vec<Option<Row>>,
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
    pub fn set_all(&mut self, algorithm: Algorithm, rule: Rule, candidates: &[DeviceId]) {
        for class in 0..SIZE_CLASSES {
            self.set(algorithm, class, Row { rule, candidates: candidates.to_vec() });
        }
    }

    /// The row of one size class.
    pub fn row(&self, algorithm: Algorithm, class: usize) -> Option<&Row> {
        self.rows.get(algorithm as usize * SIZE_CLASSES + class)?.as_ref()
    }
}
