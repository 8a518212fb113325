//! After a switch: how far the prediction was off.

use super::planner::PLAN_TICK_NS;
use super::preview::{PREVIEW_MIN_OPS, Preview};
use super::registry::Registry;
use crate::clock::Nanos;
use crate::shared::Shared;
use crate::stats::Histogram;

/// Operations after which the comparison stands.
const OPS_MAX: u64 = 65_536;
/// Switches that follow one another faster than this are not predicted, in nanoseconds.
const CALM_NS: u64 = 10 * PLAN_TICK_NS;

/// What was predicted at the last switch, and what came.
#[derive(Clone, Debug, PartialEq)]
pub struct Accuracy {
    /// The policy that was switched to.
    pub balancer: String,
    /// The prediction, from what came before the switch.
    pub predicted: Preview,
    /// Operations completed since.
    pub actual_ops: u64,
    /// Median of the time they took from submission to answer, in nanoseconds.
    pub actual_p50_ns: u64,
    /// 99th percentile of the same.
    pub actual_p99_ns: u64,
    /// How far the predicted median was off, in percent of what came: above 0 when it was too high.
    pub p50_off_percent: f64,
    /// The same for the 99th percentile.
    pub p99_off_percent: f64,
}

/// The prediction of one switch under way.
#[derive(Debug)]
pub(crate) struct Trial {
    before: Histogram,
    is_open: bool,
    predicted: Option<Preview>,
    accuracy: Option<Accuracy>,
}

impl Trial {
    /// Whether a prediction is still to be made; asked once.
    pub(crate) fn takes_prediction(&mut self) -> bool {
        std::mem::replace(&mut self.is_open, false)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    pub(crate) fn predicted(&mut self, prediction: Option<Preview>) {
        self.predicted = prediction;
    }

    pub(crate) fn accuracy(&self) -> Option<Accuracy> {
        self.accuracy.clone()
    }

    fn is_settled(&self) -> bool {
        self.accuracy.as_ref().is_some_and(|accuracy| accuracy.actual_ops >= OPS_MAX)
    }

    fn compare(&mut self, total: &Histogram) {
        let Some(predicted) = &self.predicted else { return };
        let since = total.since(&self.before);
        let actual_ops = since.count();
        if actual_ops < PREVIEW_MIN_OPS {
            return;
        }
        let (p50, p99) = (since.percentile_ns(0.5), since.percentile_ns(0.99));
        let off =
            |predicted: u64, actual: u64| (predicted as f64 - actual as f64) * 100.0 / actual.max(1) as f64;
        self.accuracy = Some(Accuracy {
            balancer: predicted.balancer.clone(),
            actual_ops,
            actual_p50_ns: p50,
            actual_p99_ns: p99,
            p50_off_percent: off(predicted.p50_ns, p50),
            p99_off_percent: off(predicted.p99_ns, p99),
            predicted: predicted.clone(),
        });
    }
}

impl Shared {
    /// Switches, and notes what the total times were before.
    pub(crate) fn begin_trial(&self, registry: &mut Registry, to: usize, before: Histogram) {
        let now: Nanos = self.now();
        let is_calm = registry.switches == 0 || now.since(registry.since) >= CALM_NS;
        self.switch_to(registry, to);
        registry.trial = Some(Trial { before, is_open: is_calm, predicted: None, accuracy: None });
    }

    /// Compares what has come since the last switch with the prediction.
    pub(crate) fn observe_trial(&self, registry: &mut Registry) {
        if let Some(trial) = &mut registry.trial
            && trial.predicted.is_some()
            && !trial.is_settled()
        {
            trial.compare(&self.stats().total);
        }
    }
}
