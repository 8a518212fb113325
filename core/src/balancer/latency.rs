//! `latency_lb`: whoever will be done first.

use super::parameter::{number, unknown};
use super::{Balancer, DeviceView, Parameter, Rule, Table, View};
use crate::algorithm::Algorithm;
use crate::error::Error;

/// Least difference worth a move, in nanoseconds: below it, the queue is worked off before the move has paid.
const MOVE_MIN_NS: f64 = 100_000.0;

/// The device that will be done first gets the next operation: by the measured rate for its algorithm and size class,
/// the backlog, and how long the device has been silent. Queued work leaves a device that has become slow, and goes to
/// one that was just added.
#[derive(Clone, Debug)]
pub struct Latency {
    explore_percent: f64,
    move_ratio: f64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { explore_percent: 0.5, move_ratio: 2.0 }
    }
}

impl Latency {
    /// Has what is queued beyond a device's due share placed anew.
    fn plan_moves(&self, view: &View, table: &mut Table) {
        if self.move_ratio == 0.0 || view.devices.len() < 2 {
            return;
        }
        for device in view.devices.iter().filter(|device| device.queued_ops > 0) {
            let (Some(busy_ns), Some(rate)) = (device.busy_ns, device.overall) else { continue };
            let op_ns = rate.op_ns.max(1.0);
            // The best of the others that can do what this one does; one without a rate yet is as good as idle.
            let other_ns = |other: &DeviceView| match (other.busy_ns, other.overall) {
                (Some(busy_ns), Some(rate)) => busy_ns as f64 + rate.service_ns,
                _ if other.backlog_ops == 0 => 0.0,
                _ => f64::MAX,
            };
            let stands_in = |other: &&DeviceView| {
                other.id != device.id
                    && other.algorithms.iter().any(|a| other.is_able(*a) && device.algorithms.contains(a))
            };
            let best_ns = view.devices.iter().filter(stands_in).map(other_ns).fold(f64::MAX, f64::min);
            let gain_ns = busy_ns as f64 - best_ns * self.move_ratio;
            if busy_ns as f64 > best_ns * self.move_ratio && gain_ns > MOVE_MIN_NS {
                // What it would have done by the time the other one is done with one.
                let keep_ops = (best_ns / op_ns) as usize;
                let begun_ops = device.backlog_ops.saturating_sub(device.queued_ops);
                let keep_ops = keep_ops.saturating_sub(begun_ops);
                if keep_ops < device.queued_ops {
                    table.move_queued(device.id, keep_ops);
                }
            }
        }
    }
}

impl Balancer for Latency {
    fn name(&self) -> &str {
        "latency_lb"
    }

    fn plan(&mut self, view: &View, table: &mut Table) {
        let explore_every =
            if self.explore_percent > 0.0 { (100.0 / self.explore_percent) as u32 } else { 0 };
        for algorithm in Algorithm::ALL {
            table.set_all(*algorithm, &Rule::LeastExpected { explore_every }, &view.candidates(*algorithm));
        }
        self.plan_moves(view, table);
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::new(
                "explore_percent",
                self.explore_percent,
                "share of picks that may go to an idle device without a fresh rate, 0 to 50 (default 0.5)",
            ),
            Parameter::new(
                "move_ratio",
                self.move_ratio,
                "queued work is moved when it would wait so many times as long as elsewhere, 1 to 100; 0 never (default 2)",
            ),
        ]
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        match name {
            "explore_percent" => self.explore_percent = number(name, value, 0.0, 50.0)?,
            "move_ratio" if value == "0" => self.move_ratio = 0.0,
            "move_ratio" => self.move_ratio = number(name, value, 1.0, 100.0)?,
            _ => return Err(unknown(name, &self.parameters())),
        }
        Ok(())
    }

    fn fork(&self) -> Option<Box<dyn Balancer>> {
        Some(Box::new(self.clone()))
    }
}
