//! What a policy would have done: the latest arrivals, replayed over devices that are as fast as they were measured.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::arrivals::Arrival;
use super::registry::Task;
use super::replay::{Model, replay};
use super::{Balancer, View};
use crate::clock::Nanos;
use crate::device::DeviceState;
use crate::error::Error;
use crate::foreign::guarded;
use crate::runtime::Runtime;
use crate::shared::Shared;
use crate::stats::histogram::bucket_upper_ns;

/// Fewest operations that give a figure.
pub const PREVIEW_MIN_OPS: u64 = 1_000;
/// Most operations that are replayed.
const REPLAY_MAX_OPS: u64 = 65_536;

/// What a policy would have done with the latest arrivals.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// The policy.
    pub balancer: String,
    /// Operations replayed.
    pub samples: u64,
    /// Time from the first to the last of them, in nanoseconds.
    pub span_ns: u64,
    /// Half of them would have taken at most this long from submission to answer, in nanoseconds.
    pub p50_ns: u64,
    /// 99 of 100 of them would have taken at most this long, in nanoseconds.
    pub p99_ns: u64,
    /// Operations of the device with the most of them, over the mean of all devices.
    pub imbalance: f64,
    /// What each device would have got.
    pub devices: Vec<DevicePreview>,
}

/// What a device would have got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePreview {
    /// The device.
    pub name: String,
    /// Operations.
    pub ops: u64,
}

impl Shared {
    /// The latest arrivals before a time, or how few there are.
    fn sampled(&self, before: Nanos) -> Result<Vec<Arrival>, Error> {
        let mut arrivals = self.arrivals.latest(REPLAY_MAX_OPS);
        arrivals.retain(|arrival| arrival.time < before);
        let samples = arrivals.iter().map(|arrival| arrival.ops).sum();
        if samples < PREVIEW_MIN_OPS {
            return Err(Error::TooFewSamples { samples, min: PREVIEW_MIN_OPS });
        }
        Ok(arrivals)
    }

    /// The devices that a replay runs on.
    fn model(&self) -> Model {
        let view: View = self.view();
        let devices = self.devices.load();
        let limits = view.devices.iter().map(|seen| {
            let device = devices.iter().find(|device| device.id == seen.id);
            device.map_or((1, Vec::new()), |device| {
                let service = device.histograms().1;
                let mean = service.mean_ns().max(1) as f64;
                let shares = |(bucket, count): (usize, u64)| (bucket_upper_ns(bucket) as f64 / mean, count);
                // What a direct device's runs took says more of their lengths than of the device.
                let spread =
                    if device.is_direct() { Vec::new() } else { service.buckets().map(shares).collect() };
                (device.lend_max_ops, spread)
            })
        });
        Model { limits: limits.collect(), view, seed: self.config.seed }
    }

    fn preview(&self, name: &str) -> Result<Preview, Error> {
        self.planning.registry.lock().position(name)?;
        let arrivals = self.sampled(Nanos(u64::MAX))?;
        let model = self.model();
        if model.view.devices.iter().all(|device| device.state == DeviceState::Probation) {
            return Err(Error::NoPreview { name: name.to_owned(), reason: "no device is in service" });
        }
        let refusal = |reason| Error::NoPreview { name: name.to_owned(), reason };
        let fork = self.ask_planner(|reply| Task::Fork { name: name.to_owned(), reply });
        let mut fork = fork
            .ok_or_else(|| refusal("the policy did not answer"))?
            .ok_or_else(|| refusal("the policy cannot be copied"))?;
        let failed = || refusal("the policy failed in the replay");
        if self.clock.is_simulated() {
            return guarded_replay(fork.as_mut(), &model, &arrivals).ok_or_else(failed);
        }
        // A policy of somebody else's may never return.
        let (sender, receiver) = channel();
        let body = move || drop(sender.send(guarded_replay(fork.as_mut(), &model, &arrivals)));
        let thread = "acrypto-preview".to_owned();
        let spawned = std::thread::Builder::new().name(thread.clone()).spawn(body);
        spawned.map_err(|_| Error::Thread { name: thread })?;
        let limit = Duration::from_nanos(self.config.plan_max_ns.saturating_mul(10));
        receiver.recv_timeout(limit).ok().flatten().ok_or_else(failed)
    }

    /// What a policy that has just come into force would have done with what came before. `None` without enough of it.
    pub(crate) fn predict(&self, mut fork: Box<dyn Balancer>, before: Nanos) -> Option<Preview> {
        let arrivals = self.sampled(before).ok()?;
        guarded_replay(fork.as_mut(), &self.model(), &arrivals)
    }
}

fn guarded_replay(policy: &mut dyn Balancer, model: &Model, arrivals: &[Arrival]) -> Option<Preview> {
    guarded(|| replay(policy, model, arrivals))
}

impl Runtime {
    /// What a balancer would have done with the latest arrivals (up to 65,536 operations), by a replay over devices as
    /// fast as they were measured. It takes arrivals as they came: where submitters wait for completions, a faster
    /// policy would have made them come sooner.
    ///
    /// # Errors
    /// [`Error::UnknownBalancer`]; [`Error::TooFewSamples`] below [`PREVIEW_MIN_OPS`] operations;
    /// [`Error::NoPreview`] for a policy that cannot be copied, or fails.
    pub fn preview(&self, name: &str) -> Result<Preview, Error> {
        let shared: &Arc<Shared> = &self.shared;
        shared.preview(name)
    }
}
