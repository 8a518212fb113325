//! A runtime in figures, for tests: six devices, 184 sessions, a switch of the balancer, a device that broke.

use acrypto_netlink::Snapshot;
use acrypto_netlink::message::{
    BalancerInfo, Capability, Class, DeviceCounters, DeviceInfo, DeviceState, EventKind, EventRecord,
    Histogram, OpKind, QueueInfo, RuntimeStats, ServerInfo, SessionInfo, Severity,
};

use crate::message::Message;
use crate::model::Model;
use crate::update::update;
use crate::{Options, Theme};

/// Server time of the first snapshot: it has been up for three hours and eleven minutes.
const START_NS: u64 = 11_460_000_000_000;
/// Wall clock of the same instant: 12:03:40 of some day.
const WALL_NS: u64 = 1_700_000_000_000_000_000 / 86_400_000_000_000 * 86_400_000_000_000 + 43_420_000_000_000;
/// Time between two snapshots.
pub const STEP_NS: u64 = 250_000_000;
/// Snapshots in a minute.
pub const STEPS: u64 = 240;

struct Shape {
    name: &'static str,
    kind: &'static str,
    state: DeviceState,
    reason: &'static str,
    queued_ops: u64,
    in_flight_ops: u64,
    ops_per_s: u64,
    bytes_per_op: u64,
    errors_per_s: u64,
    median_ns: u64,
}

const fn shape(
    name: &'static str,
    kind: &'static str,
    queued_ops: u64,
    ops_per_s: u64,
    median_ns: u64,
) -> Shape {
    Shape {
        name,
        kind,
        state: DeviceState::Up,
        reason: "",
        queued_ops,
        in_flight_ops: 64,
        ops_per_s,
        bytes_per_op: 3_283,
        errors_per_s: 0,
        median_ns,
    }
}

fn shapes() -> [Shape; 6] {
    [
        shape("soft0", "soft", 150, 412_000, 31_000),
        shape("soft1", "soft", 145, 409_000, 31_000),
        Shape { in_flight_ops: 128, ..shape("accel0", "sim", 22, 398_000, 22_000) },
        Shape {
            state: DeviceState::Degraded,
            reason: "3 errors in 10s (budget 8)",
            in_flight_ops: 128,
            errors_per_s: 41,
            ..shape("accel1", "sim", 338, 18_000, 1_900_000)
        },
        Shape { state: DeviceState::Draining, in_flight_ops: 12, ..shape("accel2", "sim", 0, 2_000, 40_000) },
        Shape {
            state: DeviceState::Broken,
            reason: "8 errors in 10s (budget 8)",
            in_flight_ops: 0,
            ..shape("accel3", "sim", 0, 0, 0)
        },
    ]
}

/// A histogram of `count` values around `median_ns`.
fn histogram(median_ns: u64, count: u64) -> Histogram {
    let buckets = [(1, 2, 4), (3, 4, 29), (1, 1, 43), (2, 1, 16), (4, 1, 5), (8, 1, 2), (16, 1, 1)];
    Histogram::new(
        buckets.map(|(times, per, percent)| (median_ns * times / per, count * percent / 100)),
        median_ns * 16,
        median_ns * count,
    )
}

/// A load that swells and ebbs around one, in per mille.
fn swell(step: u64) -> u64 {
    let phase = step % 80;
    let rise = if phase < 40 { phase } else { 80 - phase };
    800 + rise * 10
}

fn device(shape: &Shape, id: u32, done: u64) -> DeviceInfo {
    // `done` counts thousandths of a step.
    let finished_ops = shape.ops_per_s * done / 4_000;
    let latencies = histogram(shape.median_ns.max(1), finished_ops);
    DeviceInfo {
        id,
        name: shape.name.to_owned(),
        kind: shape.kind.to_owned(),
        state: shape.state,
        state_reason: shape.reason.to_owned(),
        state_since_ns: START_NS - 60_000_000_000,
        queue_max_ops: 512,
        counters: DeviceCounters {
            taken_ops: finished_ops + shape.queued_ops + shape.in_flight_ops,
            finished_ops,
            queued_ops: shape.queued_ops,
            in_flight_ops: shape.in_flight_ops,
            ..DeviceCounters::default()
        },
        errors_ops: shape.errors_per_s * done / 4_000,
        bytes: finished_ops * shape.bytes_per_op,
        queue_wait: histogram(shape.median_ns.max(2) / 2, finished_ops),
        service: histogram(shape.median_ns.max(2) / 2, finished_ops),
        total: latencies,
        fault: None,
        probation_percent: 100,
        uid: 1000,
        parameters: vec![("lanes".to_owned(), "2".to_owned())],
        capabilities: ["aes-128-ctr", "aes-256-cbc", "aes-256-gcm"]
            .iter()
            .flat_map(|algorithm| {
                [OpKind::Encrypt, OpKind::Decrypt]
                    .map(|op| Capability { op, algorithm: (*algorithm).to_owned() })
            })
            .collect(),
        ..DeviceInfo::default()
    }
}

fn session(id: u64, algorithm: &str, device: &str, refs: u64, ops_per_s: u64, done: u64) -> SessionInfo {
    let completed_ops = ops_per_s * done / 4_000;
    SessionInfo {
        id,
        algorithm: algorithm.to_owned(),
        device: device.to_owned(),
        refs,
        uid: 1000,
        priority: 3,
        submitted_ops: completed_ops,
        completed_ops,
        failed_ops: if id == 0x31 { 41 } else { 0 },
        bytes: completed_ops * 1_024,
        ..SessionInfo::default()
    }
}

/// The server.
pub fn server() -> ServerInfo {
    ServerInfo {
        version: "0.1.0".to_owned(),
        pid: 4_242,
        uid: 1000,
        epoch: 0x7f3a,
        workers: 2,
        main_queue_max_ops: 4_096,
        device_queue_max_ops: 512,
        sessions_max: 1 << 20,
        role: Class::Admin,
        ..ServerInfo::default()
    }
}

/// The snapshot after so many steps.
pub fn snapshot(step: u64) -> Snapshot {
    let done: u64 = (0..step).map(swell).sum::<u64>() + 1_000_000;
    let shapes = shapes();
    let devices: Vec<DeviceInfo> =
        shapes.iter().enumerate().map(|(id, shape)| device(shape, id as u32, done)).collect();
    let completed_ops: u64 = devices.iter().map(|device| device.counters.finished_ops).sum();
    let main_queue_ops = 1_638 * swell(step) / 1_000;
    let per_cent = |share: u64| completed_ops / 100 * share;
    let mut sessions = vec![
        session(0x1f, "aes-256-cbc", "soft0", 31, 41_000, done),
        session(0x2a, "aes-128-ctr", "", 4, 22_000, done),
        session(0x31, "hmac-sha256", "accel1", 1, 300, done),
        session(0x33, "sha512", "", 9, 9_100, done),
    ];
    sessions.extend((0..180).map(|index| session(0x100 + index, "aes-128-gcm", "", 1, 180 - index, done)));
    Snapshot {
        taken_ns: START_NS + step * STEP_NS,
        wall_ns: WALL_NS + step * STEP_NS,
        server: server(),
        stats: RuntimeStats {
            now_ns: START_NS + step * STEP_NS,
            accepted_ops: completed_ops + main_queue_ops,
            dispatched_ops: completed_ops + 1_000,
            started_ops: completed_ops + 396,
            finished_ops: completed_ops,
            completed_ops,
            cancelled_ops: 3,
            failed_ops: completed_ops / 5_000,
            bytes: completed_ops * 3_273,
            main_queue_ops,
            main_queue_max_ops: 4_096,
            queued_ops: 655,
            in_flight_ops: 396,
            waiting_ops: main_queue_ops - 1_051,
            oldest_ns: 2_100_000,
            by_kind: [per_cent(61), per_cent(22), per_cent(11), per_cent(6), 0, 0, 0],
            moved_ops: step / 20,
            queue_wait: histogram(38_000, completed_ops),
            service: histogram(9_000, completed_ops),
            total: histogram(47_000, completed_ops),
            ..RuntimeStats::default()
        },
        devices,
        balancers: [("simple_lb", true), ("round_robin_lb", false), ("latency_lb", false)]
            .map(|(name, current)| BalancerInfo {
                name: name.to_owned(),
                current,
                since_ns: if current { START_NS } else { 0 },
                moved_ops: 0,
                builtin: current,
                ..BalancerInfo::default()
            })
            .to_vec(),
        sessions,
        sessions_total: 184,
        queue: QueueInfo {
            main_queue_ops,
            main_queue_max_ops: 4_096,
            waiting_ops_by_priority: [0, 0, 0, main_queue_ops - 1_051, 0, 0, 0, 0],
            devices: vec![],
        },
        ..Snapshot::default()
    }
}

/// Two snapshots, a step apart.
pub fn snapshots() -> [Snapshot; 2] {
    [snapshot(0), snapshot(1)]
}

/// The events, the oldest first; the wall clock is that of the 60 s.
pub fn events() -> Vec<EventRecord> {
    const NOBODY: u32 = u32::MAX;
    let event =
        |second: u64, kind, severity, object: &str, name: &str, change: (&str, &str), uid| EventRecord {
            time_ns: WALL_NS + second * 1_000_000_000,
            kind,
            severity,
            object: object.to_owned(),
            name: name.to_owned(),
            from: change.0.to_owned(),
            to: change.1.to_owned(),
            uid,
            ..EventRecord::default()
        };
    let (device, lb) = (EventKind::Device, EventKind::Balancer);
    let mut events = vec![
        event(1, EventKind::Session, Severity::Info, "session", "0x31", ("", "opened"), 1000),
        event(3, device, Severity::Info, "device", "accel2", ("up", "draining"), 1000),
        event(21, device, Severity::Error, "device", "accel3", ("up", "broken"), NOBODY),
        event(35, lb, Severity::Info, "lb", "simple_lb", ("round_robin_lb", "simple_lb"), 1000),
        event(53, device, Severity::Warn, "device", "accel1", ("up", "degraded"), NOBODY),
    ];
    events[2].reason = "8 errors in 10s (budget 8)".to_owned();
    events[4].reason = "3 errors in 10s (budget 8)".to_owned();
    for (seq, event) in (1..).zip(&mut events) {
        event.seq = seq;
    }
    events
}

/// A workbench that has been connected for a minute.
pub fn model(columns: u16, rows: u16, theme: Theme, ascii: bool) -> Model {
    let options = Options { theme, ascii, ..Options::default() };
    let mut model = Model::new(&options, "unix:/run/acrypto/control.sock".to_owned(), (columns, rows));
    update(&mut model, Message::Tick { now_ns: 0 });
    update(&mut model, Message::Connected(Box::new(server())));
    for event in events() {
        update(&mut model, Message::Event(Box::new(event)));
    }
    for step in 0..=STEPS {
        update(&mut model, Message::Tick { now_ns: step * STEP_NS });
        update(&mut model, Message::Snapshot(Box::new(snapshot(step))));
    }
    update(&mut model, Message::Tick { now_ns: STEPS * STEP_NS + 200_000_000 });
    model
}
