//! `round_robin_lb`: each device in turn.

use super::{Balancer, Rule, Table, View};
use crate::algorithm::Algorithm;

/// Each device that has room gets the next operation in turn, whatever its speed.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin;

impl Balancer for RoundRobin {
    fn name(&self) -> &str {
        "round_robin_lb"
    }

    fn plan(&mut self, view: &View, table: &mut Table) {
        for algorithm in Algorithm::ALL {
            table.set_all(*algorithm, &Rule::Rotate, &view.candidates(*algorithm));
        }
    }

    fn fork(&self) -> Option<Box<dyn Balancer>> {
        Some(Box::new(*self))
    }
}
