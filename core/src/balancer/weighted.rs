//! `weighted_lb`: each device its share.

use std::collections::BTreeMap;

use super::parameter::{bad, number};
use super::{Balancer, DeviceView, Parameter, Rule, Table, View};
use crate::algorithm::Algorithm;
use crate::error::Error;

/// Largest weight.
const WEIGHT_MAX: u32 = 1_000;
/// A weight that is measured changes only by more than this factor, so that shares do not flutter.
const HYSTERESIS: f64 = 1.25;

/// Each device gets its share of the operations: by the weight that was set for it, else by its measured rate.
///
/// A parameter is named after its device, which need not be there yet: `dev0=3`; `dev0=auto` goes back to the measured
/// rate. Where no device has a weight, the slowest one weighs 1.
#[derive(Clone, Debug, Default)]
pub struct Weighted {
    set: BTreeMap<String, u32>,
    /// Last weights by measured rate.
    measured: BTreeMap<String, u32>,
}

impl Weighted {
    fn weights<'a>(&mut self, devices: impl Iterator<Item = &'a DeviceView> + Clone) -> Vec<u32> {
        let ops_per_s = |device: &DeviceView| device.overall.map(|rate| 1e9 / rate.op_ns.max(1.0));
        let slowest = devices.clone().filter_map(ops_per_s).fold(f64::MAX, f64::min);
        devices
            .map(|device| {
                if let Some(weight) = self.set.get(&device.name) {
                    return *weight;
                }
                let exact = ops_per_s(device).map_or(1.0, |rate| (rate / slowest).min(100.0));
                let weight = self.measured.entry(device.name.clone()).or_insert(exact.round() as u32);
                let change = exact / f64::from(*weight).max(1.0);
                if !(1.0 / HYSTERESIS..=HYSTERESIS).contains(&change) {
                    *weight = (exact.round() as u32).max(1);
                }
                *weight
            })
            .collect()
    }
}

impl Balancer for Weighted {
    fn name(&self) -> &str {
        "weighted_lb"
    }

    fn plan(&mut self, view: &View, table: &mut Table) {
        self.measured.retain(|name, _| view.devices.iter().any(|device| device.name == *name));
        let all = self.weights(view.devices.iter());
        for algorithm in Algorithm::ALL {
            // One whose weight was set has it, whoever is better.
            let takes_part = |device: &DeviceView| {
                let is_told = self.set.contains_key(&device.name);
                device.is_able(*algorithm) || is_told && device.algorithms.contains(algorithm)
            };
            let able = view.devices.iter().zip(&all).filter(|(device, _)| takes_part(device));
            let (candidates, weights) =
                able.map(|(device, weight)| (device.id, *weight)).unzip::<_, _, Vec<_>, _>();
            table.set_all(*algorithm, &Rule::Weighted(weights), &candidates);
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        let doc = "share of the device of this name, 0 to 1000; auto: by its measured rate (default)";
        let set = self.set.iter().map(|(name, weight)| Parameter::new(name, weight, doc));
        let auto = self.measured.iter().filter(|(name, _)| !self.set.contains_key(*name));
        set.chain(auto.map(|(name, weight)| Parameter::new(name, "auto", format!("{doc}; now {weight}"))))
            .collect()
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        if value == "auto" {
            self.set.remove(name);
            return Ok(());
        }
        let weight = number(name, value, 0, WEIGHT_MAX)
            .map_err(|_| bad(name, value, format!("from 0 to {WEIGHT_MAX}, or auto")))?;
        self.set.insert(name.to_owned(), weight);
        Ok(())
    }

    fn fork(&self) -> Option<Box<dyn Balancer>> {
        Some(Box::new(self.clone()))
    }
}
