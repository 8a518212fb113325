//! `simple_lb`: the shortest queue.

use super::{Balancer, Rule, Table, View};
use crate::algorithm::Algorithm;

/// Name of the built-in balancer, which cannot be unregistered.
pub const SIMPLE: &str = "simple_lb";

/// The device with the shortest queue gets the next operation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Simple;

impl Balancer for Simple {
    fn name(&self) -> &str {
        SIMPLE
    }

    fn plan(&mut self, view: &View, table: &mut Table) {
        for algorithm in Algorithm::ALL {
            table.set_all(*algorithm, &Rule::Shortest, &view.candidates(*algorithm));
        }
    }

    fn fork(&self) -> Option<Box<dyn Balancer>> {
        Some(Box::new(*self))
    }
}
