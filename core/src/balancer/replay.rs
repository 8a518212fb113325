//! A small discrete simulation: arrivals, a policy's table, and devices with measured rates.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;

use super::arrivals::Arrival;
use super::choice::{Lane, Outcome, Server, shortest};
use super::planner::PLAN_TICK_NS;
use super::preview::{DevicePreview, Preview};
use super::rates::Rates;
use super::{Balancer, DeviceView, Table, View};
use crate::algorithm::Algorithm;
use crate::clock::Nanos;
use crate::device::DeviceState;
use crate::device::fault::Lot;
use crate::op::DeviceId;
use crate::session::PRIORITIES;
use crate::submit::{SIZE_CLASSES, Shape, Tried, size_class};

/// Time of an operation on a device of which nothing was measured, in nanoseconds.
const SERVICE_UNKNOWN_NS: f64 = 10_000.0;

/// What a replay starts from.
pub(crate) struct Model {
    pub(crate) view: View,
    /// For each device in view: operations lent at most, and how its times spread (multiples of the mean, with counts).
    pub(crate) limits: Vec<(usize, Vec<(f64, u64)>)>,
    pub(crate) seed: u64,
}

/// A device in the replay.
struct Virtual {
    seen: DeviceView,
    rates: Rates,
    lend_max_ops: usize,
    spread: Vec<(f64, u64)>,
    spread_count: u64,
    lanes: usize,
    busy: Cell<usize>,
    queue: RefCell<VecDeque<(Nanos, Shape)>>,
    ops: Cell<u64>,
}

impl Server for Rc<Virtual> {
    fn id(&self) -> DeviceId {
        self.seen.id
    }
    fn state(&self) -> DeviceState {
        self.seen.state
    }
    fn can(&self, shape: Shape) -> bool {
        self.seen.algorithms.contains(&shape.algorithm())
    }
    fn backlog_ops(&self) -> usize {
        self.ahead_ops().0
    }
    fn ahead_ops(&self) -> (usize, usize) {
        (self.queue.borrow().len() + self.busy.get(), self.busy.get())
    }
    fn lend_max_ops(&self) -> usize {
        self.lend_max_ops
    }
    fn admits(&self) -> bool {
        false
    }
    fn rates(&self) -> &Rates {
        &self.rates
    }
    fn is_direct(&self) -> bool {
        self.seen.is_direct
    }
}

impl Virtual {
    fn new(seen: &DeviceView, (lend_max_ops, spread): &(usize, Vec<(f64, u64)>), start: Nanos) -> Rc<Self> {
        let rates = Rates::default();
        for (algorithm, class, rate) in &seen.rates {
            let rate = super::Rate { noted_ns: start.0, ..*rate };
            rates.set_at(*algorithm, *class, &rate);
        }
        seen.overall.iter().for_each(|rate| rates.set_overall(rate));
        let parallel = seen.overall.map_or(1.0, |rate| rate.parallel());
        Rc::new(Self {
            seen: seen.clone(),
            rates,
            lend_max_ops: *lend_max_ops,
            spread_count: spread.iter().map(|(_, count)| count).sum(),
            spread: spread.clone(),
            lanes: if seen.is_direct { 1 } else { parallel.round().max(1.0) as usize },
            busy: Cell::new(0),
            queue: RefCell::default(),
            ops: Cell::new(0),
        })
    }

    /// How long an operation takes here.
    fn service_ns(&self, shape: Shape, lot: &mut Lot) -> u64 {
        let rate =
            self.seen.rate(shape.algorithm(), size_class(shape.bytes())).copied().or(self.seen.overall);
        let Some(rate) = rate else { return SERVICE_UNKNOWN_NS as u64 };
        let scale = match size_class(shape.bytes()) {
            0 => 1.0,
            _ => (shape.bytes() as f64 / rate.bytes.max(1.0)).clamp(0.25, 8.0),
        };
        // What the measured service has of waiting inside the device is not its lanes' own time.
        let mean = (rate.op_ns * self.lanes as f64).min(rate.service_ns) * scale;
        (mean * self.draw(lot)).max(1.0) as u64
    }

    fn draw(&self, lot: &mut Lot) -> f64 {
        if self.spread_count == 0 {
            return 1.0;
        }
        let mut rank = lot.below(self.spread_count);
        for (share, count) in &self.spread {
            match rank.checked_sub(*count) {
                Some(rest) => rank = rest,
                None => return *share,
            }
        }
        1.0
    }

    fn view(&self, now: Nanos) -> DeviceView {
        let (backlog_ops, queued_ops) =
            (self.busy.get() + self.queue.borrow().len(), self.queue.borrow().len());
        let busy_ns = self.rates.busy_ns(backlog_ops, 0, now);
        DeviceView { backlog_ops, queued_ops, busy_ns, ..self.seen.clone() }
    }
}

/// An end to come: when, its place among those of one time, the device, when the operation arrived.
type End = Reverse<(Nanos, u64, usize, Nanos)>;

struct Replay<'a> {
    policy: &'a mut dyn Balancer,
    devices: Vec<Rc<Virtual>>,
    lanes: Vec<Option<Lane<Rc<Virtual>>>>,
    table: Table,
    line: [VecDeque<(Nanos, Shape)>; PRIORITIES],
    ends: BinaryHeap<End>,
    number: u64,
    now: Nanos,
    next_tick: Nanos,
    lot: Lot,
    total_ns: Vec<u64>,
}

/// Replays arrivals, in the order of their times, until the last one is done.
pub(crate) fn replay(policy: &mut dyn Balancer, model: &Model, arrivals: &[Arrival]) -> Preview {
    let start = arrivals.first().map_or(model.view.now, |arrival| arrival.time);
    let devices = model.view.devices.iter().zip(&model.limits);
    let mut replay = Replay {
        devices: devices.map(|(seen, limits)| Virtual::new(seen, limits, start)).collect(),
        policy,
        lanes: Vec::new(),
        table: Table::default(),
        line: Default::default(),
        ends: BinaryHeap::new(),
        number: 0,
        now: start,
        next_tick: start,
        lot: Lot::new(model.seed),
        total_ns: Vec::new(),
    };
    for arrival in arrivals {
        replay.run_until(arrival.time);
        for _ in 0..arrival.ops {
            replay.arrive(arrival.shape);
        }
    }
    replay.run_until(Nanos(u64::MAX));
    let span_ns = arrivals.last().map_or(0, |last| last.time.since(start));
    replay.sum_up(span_ns)
}

impl Replay<'_> {
    /// Lets everything happen that is due before `until`.
    fn run_until(&mut self, until: Nanos) {
        loop {
            let end = self.ends.peek().map_or(Nanos(u64::MAX), |Reverse((at, ..))| *at);
            let is_idle = self.ends.is_empty() && self.line.iter().all(VecDeque::is_empty);
            if is_idle && until == Nanos(u64::MAX) {
                return;
            }
            let next = end.min(self.next_tick);
            if next > until {
                self.now = until;
                return;
            }
            self.now = next;
            if next == self.next_tick {
                self.plan();
            } else {
                self.end_one();
            }
            // What no device can do is not waited for.
            if self.ends.is_empty() && until == Nanos(u64::MAX) {
                self.dispatch();
                if self.ends.is_empty() {
                    return;
                }
            }
        }
    }

    fn plan(&mut self) {
        self.next_tick = self.now.plus(PLAN_TICK_NS);
        let view = View { now: self.now, devices: self.devices.iter().map(|d| d.view(self.now)).collect() };
        let mut table = Table::default();
        self.policy.plan(&view, &mut table);
        let moves = table.take_moves();
        if table != self.table || self.lanes.is_empty() {
            let find = |id: &DeviceId| self.devices.iter().find(|device| device.seen.id == *id).cloned();
            let places =
                Algorithm::ALL.iter().flat_map(|algorithm| (0..SIZE_CLASSES).map(|c| (*algorithm, c)));
            self.lanes = places
                .map(|(algorithm, class)| {
                    let row = table.row(algorithm, class)?;
                    Some(Lane::new(row.rule.clone(), row.candidates.iter().filter_map(find).collect(), 0))
                })
                .collect();
            self.table = table;
        }
        for one in moves {
            let Some(device) = self.devices.iter().find(|device| device.seen.id == one.from) else {
                continue;
            };
            let mut queue = device.queue.borrow_mut();
            let excess = queue.len().saturating_sub(one.keep_ops);
            for (arrived, shape) in queue.drain(..excess) {
                device.ops.set(device.ops.get() - 1);
                self.line[shape.priority()].push_back((arrived, shape));
            }
        }
        self.dispatch();
    }

    fn arrive(&mut self, shape: Shape) {
        let must_wait = self.line[shape.priority()..].iter().any(|line| !line.is_empty());
        if must_wait || !self.place(self.now, shape) {
            self.line[shape.priority()].push_back((self.now, shape));
        }
    }

    fn dispatch(&mut self) {
        for priority in (0..PRIORITIES).rev() {
            while let Some((arrived, shape)) = self.line[priority].front().copied() {
                if !self.place(arrived, shape) {
                    return;
                }
                self.line[priority].pop_front();
            }
        }
    }

    fn place(&mut self, arrived: Nanos, shape: Shape) -> bool {
        let place = shape.algorithm() as usize * SIZE_CLASSES + size_class(shape.bytes());
        let lane = self.lanes.get(place).and_then(Option::as_ref);
        let tried = Tried::none();
        let line_ops = || self.line.iter().map(VecDeque::len).sum();
        let found =
            match lane.map_or(Outcome::None, |lane| lane.pick(shape, &tried, 0, || self.now, line_ops)) {
                Outcome::Found { index, .. } => lane.map(|lane| Rc::clone(&lane.candidates[index])),
                Outcome::Full => None,
                Outcome::None => match shortest(&self.devices, 0..self.devices.len(), 0, shape, &tried) {
                    Outcome::Found { index, .. } => Some(Rc::clone(&self.devices[index])),
                    _ => None,
                },
            };
        let Some(device) = found else { return false };
        device.ops.set(device.ops.get() + 1);
        if device.busy.get() < device.lanes {
            self.begin(&device, arrived, shape);
        } else {
            device.queue.borrow_mut().push_back((arrived, shape));
        }
        true
    }

    fn begin(&mut self, device: &Rc<Virtual>, arrived: Nanos, shape: Shape) {
        let service_ns = device.service_ns(shape, &mut self.lot);
        device.busy.set(device.busy.get() + 1);
        device.rates.note_one(shape, service_ns, device.busy.get(), self.now);
        let index = self.devices.iter().position(|other| Rc::ptr_eq(other, device)).unwrap_or(0);
        self.number += 1;
        self.ends.push(Reverse((self.now.plus(service_ns), self.number, index, arrived)));
    }

    fn end_one(&mut self) {
        let Some(Reverse((at, _, index, arrived))) = self.ends.pop() else { return };
        self.total_ns.push(at.since(arrived));
        let device = Rc::clone(&self.devices[index]);
        device.busy.set(device.busy.get() - 1);
        let next = device.queue.borrow_mut().pop_front();
        if let Some((arrived, shape)) = next {
            self.begin(&device, arrived, shape);
        }
        self.dispatch();
    }

    fn sum_up(mut self, span_ns: u64) -> Preview {
        self.total_ns.sort_unstable();
        let samples = self.total_ns.len();
        let at = |percent: usize| {
            let rank = (samples * percent).div_ceil(100).clamp(1, samples.max(1));
            self.total_ns.get(rank - 1).copied().unwrap_or(0)
        };
        let devices: Vec<_> = self
            .devices
            .iter()
            .map(|device| DevicePreview { name: device.seen.name.clone(), ops: device.ops.get() })
            .collect();
        let most = devices.iter().map(|device| device.ops).max().unwrap_or(0);
        let mean = samples as f64 / devices.len().max(1) as f64;
        Preview {
            balancer: self.policy.name().to_owned(),
            samples: samples as u64,
            span_ns,
            p50_ns: at(50),
            p99_ns: at(99),
            imbalance: if mean > 0.0 { most as f64 / mean } else { 0.0 },
            devices,
        }
    }
}
