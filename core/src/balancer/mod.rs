//! Policies that spread operations over devices.
//!
//! A balancer never sees an operation: it writes a [`Table`] of candidates and a rule for each algorithm and size
//! class, and the hot path follows the table with the depths of the moment. Plans are made on a thread of their own, on
//! a tick, when a device comes, goes or changes its state, and on a switch; see `planner.rs` for what becomes of a
//! policy that panics, stalls, or serves nothing.

use crate::algorithm::Algorithm;
use crate::clock::Nanos;
use crate::device::DeviceState;
use crate::error::Error;
use crate::op::DeviceId;
pub use crate::submit::{SIZE_CLASS_STARTS, SIZE_CLASSES};

mod accuracy;
pub(crate) mod api;
pub(crate) mod arrivals;
pub(crate) mod choice;
mod ejection;
pub mod explain;
mod failover;
mod latency;
mod moves;
mod parameter;
pub(crate) mod planner;
pub mod preview;
mod rates;
mod registry;
mod replay;
mod round_robin;
pub(crate) mod routing;
mod simple;
mod size;
mod standby;
pub mod table;
mod weighted;

pub use accuracy::Accuracy;
pub use api::SetBalancer;
pub use ejection::Ejection;
pub use explain::{CandidateFigures, Decision};
pub use failover::Failover;
pub use latency::Latency;
pub use parameter::Parameter;
pub use preview::{DevicePreview, Preview};
pub use rates::Rate;
pub(crate) use rates::Rates;
pub use round_robin::RoundRobin;
pub use simple::Simple;
pub use size::Size;
pub(crate) use standby::{Lane, least_score};
pub use table::{Asked, Candidate, Chooser, Move, Row, Rule, Table};
pub use weighted::Weighted;

/// A policy.
///
/// Its calls come from one thread at a time, and no operation waits for them. One that does not return within
/// `Config::plan_max_ns` is given up, and `simple_lb` takes over.
pub trait Balancer: Send {
    /// Its name, 1 to 63 of `a-z 0-9 _`. Asked once, when it is registered.
    fn name(&self) -> &str;

    /// Writes the whole table for the devices in view.
    fn plan(&mut self, view: &View, table: &mut Table);

    /// What can be set while it is in force, with the present values.
    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// Sets a parameter; the next plan goes by it.
    ///
    /// # Errors
    /// [`Error::UnknownParameter`], [`Error::BadParameter`]; nothing is changed then.
    fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let _ = value;
        Err(parameter::unknown(name, &self.parameters()))
    }

    /// A copy with the same parameters, for a preview. A policy that cannot be copied has no preview.
    fn fork(&self) -> Option<Box<dyn Balancer>> {
        None
    }
}

/// What a policy plans with: a copy, so that nothing waits for it.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The time of the copy, of the runtime's clock.
    pub now: Nanos,
    /// Devices that may get work, in the order they were added.
    pub devices: Vec<DeviceView>,
}

/// One device that may get work.
#[derive(Clone, Debug)]
pub struct DeviceView {
    /// Number within the runtime.
    pub id: DeviceId,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: &'static str,
    /// Whether it works on the submitter's thread (software), and not on its own.
    pub is_direct: bool,
    /// State: `up`, `degraded` or `probation`.
    pub state: DeviceState,
    /// Algorithms it knows.
    pub algorithms: Vec<Algorithm>,
    /// Of these, those for which it gives way to better devices: see [`View::able`].
    pub standby: Vec<Algorithm>,
    /// Operations in its queue and on it, at the time of the copy.
    pub backlog_ops: usize,
    /// Of these, in its queue: they can still go elsewhere.
    pub queued_ops: usize,
    /// When the operations it has would be done, by its measured rate and its silence, in nanoseconds from now; `None`
    /// while its rate is not known.
    pub busy_ns: Option<u64>,
    /// Its rate over everything it did.
    pub overall: Option<Rate>,
    /// Measured rates by algorithm and size class.
    pub rates: Vec<(Algorithm, usize, Rate)>,
}

impl DeviceView {
    /// Whether it is to be considered for an algorithm: it knows it, and gives way to nobody.
    pub fn is_able(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm) && !self.standby.contains(&algorithm)
    }

    /// The measured rate for one algorithm and size class.
    pub fn rate(&self, algorithm: Algorithm, class: usize) -> Option<&Rate> {
        self.rates.iter().find(|(a, c, _)| (*a, *c) == (algorithm, class)).map(|(_, _, rate)| rate)
    }
}

impl View {
    /// The devices of [`View::able`].
    pub fn candidates(&self, algorithm: Algorithm) -> Vec<DeviceId> {
        self.able(algorithm).map(|device| device.id).collect()
    }

    /// The devices to consider for an algorithm: those that know it, without direct devices that give way.
    ///
    /// Direct devices share the cores. Those of the highest [`Score`](crate::device::Score) count until there is one for
    /// each worker, with their equals; the others stand by, and count again when one of these leaves service. A queued
    /// device never gives way.
    pub fn able(&self, algorithm: Algorithm) -> impl Iterator<Item = &DeviceView> {
        self.devices.iter().filter(move |device| device.is_able(algorithm))
    }

    /// All that know an algorithm, also those that stand by: for a policy that was told a device by its name.
    pub fn knowing(&self, algorithm: Algorithm) -> impl Iterator<Item = &DeviceView> {
        self.devices.iter().filter(move |device| device.algorithms.contains(&algorithm))
    }

    /// How many rows (algorithm, size class) the devices could serve, and how many of these the table serves.
    pub(crate) fn rows_served(&self, table: &Table) -> (usize, usize) {
        let (mut able, mut served) = (0, 0);
        for algorithm in Algorithm::ALL {
            let candidates: Vec<_> = self.knowing(*algorithm).map(|device| device.id).collect();
            if candidates.is_empty() {
                continue;
            }
            able += SIZE_CLASSES;
            let rows = (0..SIZE_CLASSES).filter_map(|class| table.row(*algorithm, class));
            served += rows.filter(|row| row.candidates.iter().any(|id| candidates.contains(id))).count();
        }
        (able, served)
    }
}
