//! What is known of the runtime: the latest snapshot, and what follows from it and those before.

use std::collections::HashMap;

use acrypto_netlink::Snapshot;
use acrypto_netlink::message::{DeviceInfo, RuntimeStats, SessionInfo};

use crate::history::{Latencies, Meter, Series};

const SECOND_NS: u64 = 1_000_000_000;
/// Ten minutes at four snapshots a second.
const CHART_POINTS_MAX: usize = 2_400;
/// Ten minutes at one point a second.
const SPARK_POINTS_MAX: usize = 600;

/// The runtime as far as it is known. A clone of it is what a frozen view shows.
#[derive(Clone, Debug)]
pub struct Data {
    /// The latest snapshot.
    pub snapshot: Option<Snapshot>,
    /// When it arrived, in the workbench's time.
    pub heard_ns: u64,
    /// Rates and history of the runtime.
    pub runtime: RuntimeTrack,
    devices: HashMap<u32, DeviceTrack>,
    sessions: HashMap<u64, SessionTrack>,
}

/// Rates and history of the runtime.
#[derive(Clone, Debug)]
pub struct RuntimeTrack {
    /// Operations accepted.
    pub accepted: Meter,
    /// Operations completed.
    pub completed: Meter,
    /// Operations completed within some seconds, to set failures against.
    pub completed_lately: Meter,
    /// Operations failed within the same seconds.
    pub failed_lately: Meter,
    /// Operations refused.
    pub refused: Meter,
    /// Bytes processed.
    pub bytes: Meter,
    /// Operations moved within a minute.
    pub moved: Meter,
    /// Operations completed lately by kind; index is the kind's number - 1.
    pub kinds: [Meter; 7],
    /// Submission to completion.
    pub total: Latencies,
    /// Waiting before the last attempt.
    pub queue_wait: Latencies,
    /// Operations completed per second, for the chart.
    pub throughput: Series,
    /// Depth of the main queue.
    pub depth: Series,
}

/// Rates and history of one device.
#[derive(Clone, Debug)]
pub struct DeviceTrack {
    /// Attempts finished.
    pub finished: Meter,
    /// Bytes processed.
    pub bytes: Meter,
    /// Attempts that failed by its fault.
    pub errors: Meter,
    /// Submission to completion of what it finished.
    pub total: Latencies,
    /// Attempts finished per second.
    pub throughput: Series,
}

/// Rates of one session.
#[derive(Clone, Debug)]
pub struct SessionTrack {
    /// Operations completed, well or not.
    pub completed: Meter,
    /// Bytes processed.
    pub bytes: Meter,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            snapshot: None,
            heard_ns: 0,
            runtime: RuntimeTrack::new(),
            devices: HashMap::new(),
            sessions: HashMap::new(),
        }
    }
}

impl Data {
    /// Takes a snapshot that arrived at `now_ns`.
    pub fn apply(&mut self, snapshot: Snapshot, now_ns: u64) {
        let taken_ns = snapshot.taken_ns;
        self.runtime.read(&snapshot.stats, taken_ns, now_ns);
        let mut devices = std::mem::take(&mut self.devices);
        self.devices = snapshot
            .devices
            .iter()
            .map(|device| {
                let mut track = devices.remove(&device.id).unwrap_or_else(DeviceTrack::new);
                track.read(device, taken_ns, now_ns);
                (device.id, track)
            })
            .collect();
        let mut sessions = std::mem::take(&mut self.sessions);
        self.sessions = snapshot
            .sessions
            .iter()
            .map(|session| {
                let mut track = sessions.remove(&session.id).unwrap_or_else(SessionTrack::new);
                track.read(session, taken_ns);
                (session.id, track)
            })
            .collect();
        self.snapshot = Some(snapshot);
        self.heard_ns = now_ns;
    }

    /// Forgets everything but the charts, which get a hole: the server is another one.
    pub fn forget(&mut self, now_ns: u64) {
        let mut runtime = RuntimeTrack::new();
        std::mem::swap(&mut runtime.throughput, &mut self.runtime.throughput);
        std::mem::swap(&mut runtime.depth, &mut self.runtime.depth);
        runtime.throughput.hole(now_ns);
        runtime.depth.hole(now_ns);
        *self = Self { runtime, ..Self::default() };
    }

    /// The devices; none before the first snapshot.
    pub fn devices(&self) -> &[DeviceInfo] {
        self.snapshot.as_ref().map_or(&[], |snapshot| &snapshot.devices)
    }

    /// The sessions of the snapshot; none before the first.
    pub fn sessions(&self) -> &[SessionInfo] {
        self.snapshot.as_ref().map_or(&[], |snapshot| &snapshot.sessions)
    }

    /// The device with this number.
    pub fn device(&self, id: u32) -> Option<&DeviceInfo> {
        self.devices().iter().find(|device| device.id == id)
    }

    /// Rates and history of a device of the snapshot.
    pub fn device_track(&self, id: u32) -> Option<&DeviceTrack> {
        self.devices.get(&id)
    }

    /// Rates of a session of the snapshot.
    pub fn session_track(&self, id: u64) -> Option<&SessionTrack> {
        self.sessions.get(&id)
    }

    /// Name of the balancer in force.
    pub fn balancer(&self) -> Option<&str> {
        let balancers = &self.snapshot.as_ref()?.balancers;
        balancers.iter().find(|balancer| balancer.current).map(|balancer| balancer.name.as_str())
    }

    /// Operations finished per second by all devices together.
    pub fn devices_per_second(&self) -> f64 {
        self.devices.values().map(|track| track.finished.per_second()).sum()
    }

    /// Depth of the fullest usable device over the mean depth of all usable ones; `None` when they hold so little that
    /// it would say nothing.
    pub fn imbalance(&self) -> Option<f64> {
        let depths: Vec<u64> = self
            .devices()
            .iter()
            .filter(|device| device.state.is_usable())
            .map(|device| device.counters.queued_ops + device.counters.in_flight_ops)
            .collect();
        let sum: u64 = depths.iter().sum();
        let fullest = depths.iter().max()?;
        (sum >= 2 * depths.len() as u64).then(|| *fullest as f64 * depths.len() as f64 / sum as f64)
    }

    /// Share of the operations of the last few seconds that failed.
    pub fn failed_share(&self) -> f64 {
        let completed = self.runtime.completed_lately.delta();
        if completed == 0 { 0.0 } else { self.runtime.failed_lately.delta() as f64 / completed as f64 }
    }

    /// The server's wall clock at `now_ns`, as far as it is known.
    pub fn wall_ns(&self, now_ns: u64) -> Option<u64> {
        let snapshot = self.snapshot.as_ref()?;
        Some(snapshot.wall_ns.saturating_add(now_ns.saturating_sub(self.heard_ns)))
    }

    /// The server's monotonic clock when it was last heard. It is not counted on: the server may have ended since.
    pub fn server_ns(&self) -> Option<u64> {
        self.snapshot.as_ref().map(|snapshot| snapshot.taken_ns)
    }
}

impl RuntimeTrack {
    fn new() -> Self {
        let second = || Meter::new(SECOND_NS);
        let lately = || Meter::new(5 * SECOND_NS);
        Self {
            accepted: second(),
            completed: second(),
            completed_lately: lately(),
            failed_lately: lately(),
            refused: second(),
            bytes: second(),
            moved: Meter::new(60 * SECOND_NS),
            kinds: std::array::from_fn(|_| lately()),
            total: Latencies::default(),
            queue_wait: Latencies::default(),
            throughput: Series::new(CHART_POINTS_MAX, 0),
            depth: Series::new(CHART_POINTS_MAX, 0),
        }
    }

    fn read(&mut self, stats: &RuntimeStats, taken_ns: u64, now_ns: u64) {
        self.accepted.read(taken_ns, stats.accepted_ops);
        self.completed.read(taken_ns, stats.completed_ops);
        self.completed_lately.read(taken_ns, stats.completed_ops);
        self.failed_lately.read(taken_ns, stats.failed_ops);
        self.refused.read(taken_ns, stats.refused_ops);
        self.bytes.read(taken_ns, stats.bytes);
        self.moved.read(taken_ns, stats.moved_ops);
        for (meter, completed_ops) in self.kinds.iter_mut().zip(stats.by_kind) {
            meter.read(taken_ns, completed_ops);
        }
        self.total.read(taken_ns, &stats.total);
        self.queue_wait.read(taken_ns, &stats.queue_wait);
        if self.completed.is_ready() {
            self.throughput.push(now_ns, self.completed.per_second());
        }
        self.depth.push(now_ns, stats.main_queue_ops as f64);
    }
}

impl DeviceTrack {
    fn new() -> Self {
        Self {
            finished: Meter::new(SECOND_NS),
            bytes: Meter::new(SECOND_NS),
            errors: Meter::new(SECOND_NS),
            total: Latencies::default(),
            throughput: Series::new(SPARK_POINTS_MAX, SECOND_NS),
        }
    }

    fn read(&mut self, device: &DeviceInfo, taken_ns: u64, now_ns: u64) {
        self.finished.read(taken_ns, device.counters.finished_ops);
        self.bytes.read(taken_ns, device.bytes);
        self.errors.read(taken_ns, device.errors_ops);
        self.total.read(taken_ns, &device.total);
        if self.finished.is_ready() {
            self.throughput.push(now_ns, self.finished.per_second());
        }
    }
}

impl SessionTrack {
    fn new() -> Self {
        Self { completed: Meter::new(5 * SECOND_NS), bytes: Meter::new(5 * SECOND_NS) }
    }

    fn read(&mut self, session: &SessionInfo, taken_ns: u64) {
        self.completed.read(taken_ns, session.completed_ops.saturating_add(session.failed_ops));
        self.bytes.read(taken_ns, session.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn rates_are_differences_of_two_snapshots_over_the_servers_own_time() {
        let [first, second] = fixture::snapshots();
        let completed = second.stats.completed_ops - first.stats.completed_ops;
        let seconds = (second.taken_ns - first.taken_ns) as f64 / 1e9;
        let mut data = Data::default();
        data.apply(first, 5);
        assert_eq!(data.runtime.completed.per_second(), 0.0);
        data.apply(second, 77);
        assert_eq!(data.runtime.completed.per_second(), completed as f64 / seconds);
    }

    #[test]
    fn a_device_that_is_gone_takes_its_history_with_it() {
        let [first, mut second] = fixture::snapshots();
        let mut data = Data::default();
        data.apply(first, 0);
        let gone = second.devices.remove(0).id;
        data.apply(second, 1);
        assert!(data.device_track(gone).is_none());
    }

    #[test]
    fn imbalance_is_one_when_all_usable_devices_are_equally_full() {
        let [mut snapshot, _] = fixture::snapshots();
        for device in &mut snapshot.devices {
            device.counters.queued_ops = 10;
            device.counters.in_flight_ops = 0;
        }
        let mut data = Data::default();
        data.apply(snapshot, 0);
        assert_eq!(data.imbalance(), Some(1.0));
    }
}
