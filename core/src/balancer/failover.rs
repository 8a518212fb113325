//! `failover_lb`: primaries, and standbys for when they are gone.

use super::parameter::{truth, unknown};
use super::{Balancer, Parameter, Rule, Table, View};
use crate::algorithm::Algorithm;
use crate::device::DeviceState;
use crate::error::Error;

/// Primaries get everything while one of them is in service; then the standbys, in the order they were added.
///
/// A primary that comes back is in force again at once, with the share of its probation at first.
#[derive(Clone, Debug, Default)]
pub struct Failover {
    primary: Vec<String>,
    spill: bool,
}

impl Balancer for Failover {
    fn name(&self) -> &str {
        "failover_lb"
    }

    fn plan(&mut self, view: &View, table: &mut Table) {
        for algorithm in Algorithm::ALL {
            let able: Vec<_> = view.able(*algorithm).collect();
            // None named: the first of those in service; one that comes back is in front of it again.
            let default = able.first().map(|device| vec![device.name.clone()]).unwrap_or_default();
            let names = if self.primary.is_empty() { &default } else { &self.primary };
            // One that was named is used, whoever is better.
            let find = |name: &String| view.knowing(*algorithm).find(|device| device.name == *name);
            let primaries: Vec<_> = names.iter().filter_map(find).collect();
            let is_served = primaries.iter().any(|device| device.state != DeviceState::Probation);
            let mut candidates: Vec<_> = primaries.iter().map(|device| device.id).collect();
            if self.spill || !is_served {
                let standbys = able.iter().filter(|device| !names.contains(&device.name));
                candidates.extend(standbys.map(|device| device.id));
            }
            table.set_all(*algorithm, &Rule::First, &candidates);
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::new(
                "primary",
                self.primary.join(","),
                "devices that are used first, separated by commas; empty: the first that was added (default)",
            ),
            Parameter::new(
                "spill",
                self.spill,
                "whether standbys help when the primaries are full (default false)",
            ),
        ]
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        match name {
            "primary" => {
                self.primary = value
                    .split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned)
                    .collect();
            }
            "spill" => self.spill = truth(name, value)?,
            _ => return Err(unknown(name, &self.parameters())),
        }
        Ok(())
    }

    fn fork(&self) -> Option<Box<dyn Balancer>> {
        Some(Box::new(self.clone()))
    }
}
