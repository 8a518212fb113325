//! `size_lb`: small operations to software, large ones to accelerators.

use std::collections::BTreeMap;

use super::parameter::{number, unknown};
use super::{Balancer, DeviceView, Parameter, Row, Rule, Table, View};
use crate::algorithm::Algorithm;
use crate::error::Error;
use crate::submit::{SIZE_CLASS_STARTS, SIZE_CLASSES};

/// Threshold while nothing is measured, in bytes.
const THRESHOLD_FIRST_BYTES: usize = 4_096;
/// A threshold moves only by more than this factor, so that operations of one size do not go to and fro.
const HYSTERESIS: f64 = 1.25;
/// Every nth pick tries the other sort, if it has no fresh rate.
const EXPLORE_EVERY: u32 = 64;

/// Operations up to a threshold go to the direct devices (software), longer ones to the queued ones (accelerators).
/// The threshold is found for each algorithm from the measured times: the length at which both take as long.
#[derive(Clone, Debug, Default)]
pub struct Size {
    /// 0: found by itself.
    threshold_bytes: usize,
    found: BTreeMap<Algorithm, usize>,
}

impl Size {
    /// The threshold by measured times, or the one before.
    fn find(&mut self, algorithm: Algorithm, view: &View) -> usize {
        let before = self.found.get(&algorithm).copied().unwrap_or(THRESHOLD_FIRST_BYTES);
        let Some(found) = crossing(algorithm, view) else { return before };
        let change = (found.max(1) as f64) / (before.max(1) as f64);
        if (1.0 / HYSTERESIS..=HYSTERESIS).contains(&change) {
            return before;
        }
        self.found.insert(algorithm, found);
        found
    }
}

/// The length from which on queued devices are faster than direct ones. `None` while one of the two is not measured.
fn crossing(algorithm: Algorithm, view: &View) -> Option<usize> {
    let best = |is_direct: bool, class: usize| {
        view.able(algorithm)
            .filter(|device| device.is_direct == is_direct)
            .filter_map(|device| device.rate(algorithm, class))
            .map(|rate| (rate.bytes, rate.service_ns))
            .min_by(|a, b| a.1.total_cmp(&b.1))
    };
    // By class: length, and by how much software is slower.
    let mut points = Vec::new();
    for class in 0..SIZE_CLASSES {
        if let (Some((bytes, direct_ns)), Some((_, queued_ns))) = (best(true, class), best(false, class)) {
            points.push((class, bytes, direct_ns - queued_ns));
        }
    }
    let (last_class, ..) = *points.last()?;
    let Some(first_slow) = points.iter().position(|(_, _, slower_ns)| *slower_ns > 0.0) else {
        // Software is faster wherever both were measured; beyond, nothing is known, and the accelerator gets it.
        return Some(SIZE_CLASS_STARTS.get(last_class + 1).map_or(usize::MAX, |start| start - 1));
    };
    if first_slow == 0 {
        let (class, ..) = points[0];
        return Some(SIZE_CLASS_STARTS[class].saturating_sub(1));
    }
    let ((_, short, gain_ns), (_, long, loss_ns)) = (points[first_slow - 1], points[first_slow]);
    let part = -gain_ns / (loss_ns - gain_ns);
    Some((short + (long - short) * part) as usize)
}

impl Balancer for Size {
    fn name(&self) -> &str {
        "size_lb"
    }

    fn plan(&mut self, view: &View, table: &mut Table) {
        for algorithm in Algorithm::ALL {
            let of_sort = |is_direct| {
                let able = view.able(*algorithm);
                able.filter(move |device: &&DeviceView| device.is_direct == is_direct).map(|device| device.id)
            };
            let mut candidates: Vec<_> = of_sort(true).collect();
            let small = candidates.len();
            candidates.extend(of_sort(false));
            let (threshold_bytes, explore_every) = match self.threshold_bytes {
                0 => (self.find(*algorithm, view), EXPLORE_EVERY),
                set => (set, 0),
            };
            let rule = Rule::BySize { threshold_bytes, small, explore_every };
            for class in 0..SIZE_CLASSES {
                table.set(*algorithm, class, Row { rule: rule.clone(), candidates: candidates.clone() });
            }
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        let found: Vec<_> = self.found.iter().map(|(a, bytes)| format!("{} {bytes}", a.name())).collect();
        let found = if found.is_empty() { "none yet".to_owned() } else { found.join(", ") };
        let doc = format!(
            "longest operation for software, in bytes; 0: found by measuring (default; found: {found})"
        );
        vec![Parameter::new("threshold_bytes", self.threshold_bytes, doc)]
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        match name {
            "threshold_bytes" => self.threshold_bytes = number(name, value, 0, usize::MAX)?,
            _ => return Err(unknown(name, &self.parameters())),
        }
        Ok(())
    }

    fn fork(&self) -> Option<Box<dyn Balancer>> {
        Some(Box::new(self.clone()))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::balancer::Rate;
    use crate::clock::Nanos;
    use crate::device::DeviceState;
    use crate::op::DeviceId;

    /// Measured at 64, 1,000, 10,000 and 100,000 bytes.
    fn device(id: u16, is_direct: bool, service_ns: [f64; 4]) -> DeviceView {
        let bytes = [64.0, 1_000.0, 10_000.0, 100_000.0];
        let rate = |class: usize| Rate {
            service_ns: service_ns[class],
            op_ns: service_ns[class],
            bytes: bytes[class],
            samples: 10,
            noted_ns: 0,
        };
        DeviceView {
            id: DeviceId(id),
            name: format!("dev{id}"),
            kind: "soft",
            is_direct,
            state: DeviceState::Up,
            algorithms: vec![Algorithm::Aes128Ctr],
            standby: Vec::new(),
            backlog_ops: 0,
            queued_ops: 0,
            busy_ns: Some(0),
            overall: Some(rate(0)),
            rates: (0..4).map(|class| (Algorithm::Aes128Ctr, class, rate(class))).collect(),
        }
    }

    fn threshold(policy: &mut Size, direct: [f64; 4], queued: [f64; 4]) -> usize {
        let view = View { now: Nanos(0), devices: vec![device(0, true, direct), device(1, false, queued)] };
        let mut table = Table::default();
        policy.plan(&view, &mut table);
        match table.row(Algorithm::Aes128Ctr, 0).map(|row| &row.rule) {
            Some(Rule::BySize { threshold_bytes, small: 1, .. }) => *threshold_bytes,
            rule => panic!("{rule:?}"),
        }
    }

    #[test]
    fn the_threshold_is_where_both_take_as_long() {
        // A nanosecond a byte against 5,500 ns: they meet at 5,500 bytes.
        let direct = [64.0, 1_000.0, 10_000.0, 100_000.0];
        assert_eq!(threshold(&mut Size::default(), direct, [5_500.0; 4]), 5_500);
        assert_eq!(threshold(&mut Size::default(), direct, [10.0; 4]), 0, "the accelerator is always faster");
        assert_eq!(
            threshold(&mut Size::default(), direct, [1e9; 4]),
            usize::MAX,
            "software is always faster"
        );
    }

    #[test]
    fn the_threshold_does_not_follow_small_changes() {
        let mut policy = Size::default();
        let direct = [64.0, 1_000.0, 10_000.0, 100_000.0];
        assert_eq!(threshold(&mut policy, direct, [8_000.0; 4]), 8_000);
        assert_eq!(threshold(&mut policy, direct, [9_500.0; 4]), 8_000);
        assert_eq!(threshold(&mut policy, direct, [7_000.0; 4]), 8_000);
        assert_eq!(threshold(&mut policy, direct, [3_000.0; 4]), 3_000);
    }

    #[test]
    fn a_threshold_that_is_set_is_kept() {
        let mut policy = Size::default();
        policy.set("threshold_bytes", "777").unwrap();
        assert_eq!(threshold(&mut policy, [1.0; 4], [1e9; 4]), 777);
    }
}
