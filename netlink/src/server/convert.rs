//! Core's words as the protocol's, and back.

use acrypto_core as core;
use acrypto_core::stats::histogram::bucket_upper_ns;

use super::errno::EINVAL;
use crate::attr::Fault;
use crate::message::{
    Accuracy, Bind, Candidate, Capability, DecisionInfo, DeviceCounters, DeviceInfo, DeviceQueue,
    DeviceState, EventKind, EventRecord, FaultMode, FaultSpec, Histogram, Leaving, LoadInfo, LoadSpec,
    OpInfo, OpKind, Parameter, PreviewInfo, QueueInfo, RuntimeStats, SessionInfo, SettingInfo, Severity,
    Stage, Target, TenantInfo,
};

/// The kind with the same number.
pub(super) fn op_kind(kind: core::OpKind) -> OpKind {
    match kind {
        core::OpKind::Encrypt => OpKind::Encrypt,
        core::OpKind::Decrypt => OpKind::Decrypt,
        core::OpKind::Digest => OpKind::Digest,
        core::OpKind::Mac => OpKind::Mac,
        core::OpKind::Random => OpKind::Random,
        core::OpKind::Sign => OpKind::Sign,
        core::OpKind::Verify => OpKind::Verify,
    }
}

/// The kind with the same number.
pub(super) fn core_op_kind(kind: OpKind) -> core::OpKind {
    match kind {
        OpKind::Encrypt => core::OpKind::Encrypt,
        OpKind::Decrypt => core::OpKind::Decrypt,
        OpKind::Digest => core::OpKind::Digest,
        OpKind::Mac => core::OpKind::Mac,
        OpKind::Random => core::OpKind::Random,
        OpKind::Sign => core::OpKind::Sign,
        OpKind::Verify => core::OpKind::Verify,
    }
}

fn state(state: core::DeviceState) -> DeviceState {
    match state {
        core::DeviceState::Selftest => DeviceState::Selftest,
        core::DeviceState::Failed => DeviceState::Failed,
        core::DeviceState::Up => DeviceState::Up,
        core::DeviceState::Degraded => DeviceState::Degraded,
        core::DeviceState::Broken => DeviceState::Broken,
        core::DeviceState::Probation => DeviceState::Probation,
        core::DeviceState::Draining => DeviceState::Draining,
        core::DeviceState::Drained => DeviceState::Drained,
        core::DeviceState::Gone => DeviceState::Gone,
    }
}

fn histogram(of: &core::Histogram) -> Histogram {
    let buckets = of.buckets().map(|(bucket, count)| {
        // The last bucket has no edge of its own: it takes everything above.
        let is_last = bucket + 1 == core::stats::histogram::BUCKETS;
        (if is_last { u64::MAX } else { bucket_upper_ns(bucket) }, count)
    });
    Histogram::new(buckets, of.max_ns(), of.sum_ns())
}

/// A device.
pub(super) fn device(of: core::DeviceStatus) -> DeviceInfo {
    let counted = of.counters;
    DeviceInfo {
        id: u32::from(of.id.0),
        name: of.name,
        kind: of.kind.to_owned(),
        state: state(of.state),
        state_reason: of.state_reason,
        state_since_ns: of.state_since_ns,
        queue_max_ops: of.queue_max_ops as u64,
        counters: DeviceCounters {
            taken_ops: counted.taken_ops,
            finished_ops: counted.finished_ops,
            moved_out_ops: counted.moved_out_ops,
            abandoned_ops: counted.abandoned_ops,
            queued_ops: counted.queued_ops,
            in_flight_ops: counted.in_flight_ops,
        },
        errors_ops: of.errors_ops,
        bytes: of.bytes,
        queue_wait: histogram(&of.queue_wait),
        service: histogram(&of.service),
        total: histogram(&of.total),
        fault: of.fault.as_ref().map(fault),
        probation_percent: of.probation_percent,
        uid: of.uid,
        parameters: of.parameters,
        capabilities: of
            .capabilities
            .iter()
            .map(|can| Capability { op: op_kind(can.kind), algorithm: can.algorithm.name().to_owned() })
            .collect(),
        heartbeats_sent: of.heartbeats_sent,
        heartbeats_failed: of.heartbeats_failed,
        shadow_rate: of.shadow_rate,
        shadowed_ops: of.shadowed_ops,
        leaving: of.leaving.map(|leaving| Leaving {
            is_removal: leaving.is_removal,
            deadline_ns: leaving.deadline_ns,
            remaining_ops: leaving.remaining_ops,
        }),
    }
}

fn fault(of: &core::FaultSpec) -> FaultSpec {
    FaultSpec {
        mode: match of.mode {
            core::FaultMode::Error => FaultMode::Error,
            core::FaultMode::Delay => FaultMode::Delay,
            core::FaultMode::Hang => FaultMode::Hang,
            core::FaultMode::Lost => FaultMode::Lost,
            core::FaultMode::Late => FaultMode::Late,
            core::FaultMode::Duplicate => FaultMode::Duplicate,
            core::FaultMode::Corrupt => FaultMode::Corrupt,
            core::FaultMode::Reorder => FaultMode::Reorder,
            core::FaultMode::Death => FaultMode::Death,
            core::FaultMode::Full => FaultMode::Full,
            // One that this protocol has no number for.
            _ => FaultMode::Error,
        },
        op: of.op.map(op_kind),
        size_bytes: of.size_bytes.as_ref().map(|size| *size.start() as u64..=*size.end() as u64),
        session: of.session,
        count: of.count,
        every: of.every,
        rate: of.rate,
        for_ns: of.for_ns,
        delay_ns: of.delay_ns,
        seed: of.seed,
    }
}

/// A fault to put on a device.
pub(super) fn core_fault(of: FaultSpec) -> core::FaultSpec {
    let clip = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let mode = match of.mode {
        FaultMode::Error => core::FaultMode::Error,
        FaultMode::Delay => core::FaultMode::Delay,
        FaultMode::Hang => core::FaultMode::Hang,
        FaultMode::Lost => core::FaultMode::Lost,
        FaultMode::Late => core::FaultMode::Late,
        FaultMode::Duplicate => core::FaultMode::Duplicate,
        FaultMode::Corrupt => core::FaultMode::Corrupt,
        FaultMode::Reorder => core::FaultMode::Reorder,
        FaultMode::Death => core::FaultMode::Death,
        FaultMode::Full => core::FaultMode::Full,
    };
    let mut fault = core::FaultSpec::new(mode);
    fault.op = of.op.map(core_op_kind);
    fault.size_bytes = of.size_bytes.map(|size| clip(*size.start())..=clip(*size.end()));
    fault.session = of.session;
    fault.count = of.count;
    fault.every = of.every;
    fault.rate = of.rate;
    fault.for_ns = of.for_ns;
    fault.delay_ns = of.delay_ns;
    fault.seed = of.seed;
    fault
}

/// Statistics.
pub(super) fn stats(of: &core::RuntimeStats) -> RuntimeStats {
    RuntimeStats {
        now_ns: of.now_ns,
        wall_ns: of.wall_ns,
        uptime_ns: of.uptime_ns,
        accepted_ops: of.accepted_ops,
        dispatched_ops: of.dispatched_ops,
        started_ops: of.started_ops,
        finished_ops: of.finished_ops,
        completed_ops: of.completed_ops,
        cancelled_ops: of.cancelled_ops,
        failed_ops: of.failed_ops,
        refused_ops: of.refused_ops,
        bytes: of.bytes,
        main_queue_ops: of.main_queue_ops,
        main_queue_max_ops: of.main_queue_max_ops,
        queued_ops: of.queued_ops,
        in_flight_ops: of.in_flight_ops,
        waiting_ops: of.waiting_ops,
        oldest_ns: of.oldest_ns,
        by_kind: of.by_kind,
        moved_ops: of.moved_ops,
        queue_wait: histogram(&of.queue_wait),
        service: histogram(&of.service),
        total: histogram(&of.total),
    }
}

/// A session.
pub(super) fn session(of: core::SessionStatus, now_ns: u64) -> SessionInfo {
    SessionInfo {
        id: of.id,
        algorithm: of.algorithm.name().to_owned(),
        name: of.name,
        priority: of.priority,
        uid: of.uid,
        submitted_ops: of.submitted_ops,
        completed_ops: of.completed_ops,
        failed_ops: of.failed_ops,
        bytes: of.bytes,
        in_flight_ops: of.in_flight_ops,
        refs: of.handles as u64,
        age_ns: now_ns.saturating_sub(of.created_ns),
        device: of.device.unwrap_or_default(),
        ordered: of.is_ordered,
        bind: of.bind.map(bind),
        tenant: of.tenant,
        route: of
            .route
            .iter()
            .map(|algorithm| Stage { algorithm: algorithm.name().to_owned(), bind: None })
            .collect(),
        rekeys: of.rekeys,
    }
}

fn bind(of: core::Bind) -> Bind {
    let target = match of.target {
        core::Target::Device(name) => Target::Device(name),
        core::Target::Kind(kind) => Target::Kind(kind),
    };
    Bind { target, only: of.only }
}

/// What to tie a session to.
pub(super) fn core_bind(of: Bind) -> core::Bind {
    let target = match of.target {
        Target::Device(name) => core::Target::Device(name),
        Target::Kind(kind) => core::Target::Kind(kind),
    };
    core::Bind { target, only: of.only }
}

/// A preview.
pub(super) fn preview(of: core::Preview) -> PreviewInfo {
    PreviewInfo {
        name: of.balancer,
        samples: of.samples,
        span_ns: of.span_ns,
        p50_ns: of.p50_ns,
        p99_ns: of.p99_ns,
        imbalance_permille: (of.imbalance * 1_000.0).round() as u64,
        devices: of.devices.into_iter().map(|device| (device.name, device.ops)).collect(),
    }
}

/// A decision.
pub(super) fn decision(of: core::Decision) -> DecisionInfo {
    let candidate = |of: core::balancer::CandidateFigures| Candidate {
        device: of.device,
        state: state(of.state),
        backlog_ops: of.backlog_ops as u64,
        lend_max_ops: of.lend_max_ops as u64,
        expected_ns: of.expected_ns,
        is_able: of.is_able,
    };
    DecisionInfo {
        time_ns: of.time_ns,
        algorithm: of.algorithm.name().to_owned(),
        op: op_kind(of.kind),
        bytes: of.bytes as u64,
        priority: of.priority,
        balancer: of.policy,
        rule: of.rule.to_owned(),
        candidates: of.candidates.into_iter().map(candidate).collect(),
        candidates_all: of.candidates_all as u64,
        chosen: of.chosen.unwrap_or_default(),
        why: of.why.to_owned(),
    }
}

/// What can be set of a balancer.
pub(super) fn parameter(of: core::Parameter) -> Parameter {
    Parameter { name: of.name, value: of.value, doc: of.doc }
}

/// How far a prediction was off.
pub(super) fn accuracy(of: &core::balancer::Accuracy) -> Accuracy {
    Accuracy {
        samples: of.predicted.samples,
        predicted_p50_ns: of.predicted.p50_ns,
        predicted_p99_ns: of.predicted.p99_ns,
        actual_ops: of.actual_ops,
        actual_p50_ns: of.actual_p50_ns,
        actual_p99_ns: of.actual_p99_ns,
    }
}

/// A tenant.
pub(super) fn tenant(of: core::TenantStatus) -> TenantInfo {
    TenantInfo {
        name: of.name,
        weight: of.weight,
        limit_ops: of.limit_ops,
        sessions: of.sessions as u64,
        accepted_ops: of.accepted_ops,
        completed_ops: of.completed_ops,
        in_flight_ops: of.in_flight_ops,
        bytes: of.bytes,
    }
}

/// The limits and time-outs.
pub(super) fn settings(of: &core::Config) -> Vec<SettingInfo> {
    let default = core::Config::default();
    let setting = |setting: &core::Setting| SettingInfo {
        name: setting.name.to_owned(),
        value: setting.value(of),
        default: setting.value(&default),
        least: setting.least,
        most: setting.most,
    };
    core::SETTINGS.iter().map(setting).collect()
}

/// An operation.
pub(super) fn op(of: core::OpStatus) -> OpInfo {
    OpInfo {
        id: of.id,
        session: of.session,
        kind: op_kind(of.kind),
        algorithm: of.algorithm.name().to_owned(),
        bytes: of.bytes as u64,
        state: of.state.to_owned(),
        device: of.device.unwrap_or_default(),
        attempts: u32::from(of.attempts),
        age_ns: of.age_ns,
    }
}

/// The queues.
pub(super) fn queue(of: core::QueueStatus) -> QueueInfo {
    let devices = of.devices.into_iter().map(|device| DeviceQueue {
        name: device.name,
        state: state(device.state),
        queued_ops: device.queued_ops,
        in_flight_ops: device.in_flight_ops,
        queue_max_ops: device.queue_max_ops as u64,
    });
    QueueInfo {
        main_queue_ops: of.main_queue_ops,
        main_queue_max_ops: of.main_queue_max_ops,
        waiting_ops_by_priority: of.waiting_ops_by_priority,
        devices: devices.collect(),
    }
}

/// A load.
pub(super) fn load(of: core::LoadStatus, now_ns: u64) -> LoadInfo {
    LoadInfo {
        id: of.id,
        algorithm: of.spec.algorithm.name().to_owned(),
        size_bytes: of.spec.size_bytes as u64,
        clients: u32::try_from(of.spec.clients).unwrap_or(u32::MAX),
        // Whole operations a second: `load-new` takes no others.
        rate_ops_per_s: of.spec.rate_ops_per_s.map_or(0, |rate| rate as u64),
        for_ns: of.spec.for_ns.unwrap_or(0),
        uid: of.uid,
        completed_ops: of.completed_ops,
        failed_ops: of.failed_ops,
        bytes: of.bytes,
        age_ns: now_ns.saturating_sub(of.started_ns),
    }
}

/// A load to start.
pub(super) fn core_load(of: &LoadSpec) -> Result<core::LoadSpec, Fault> {
    let size_bytes = usize::try_from(of.size_bytes).map_err(|error| Fault::new(EINVAL, error.to_string()))?;
    Ok(core::LoadSpec {
        algorithm: of.algorithm.parse().map_err(|error| super::errno::refused(&error))?,
        size_bytes,
        clients: of.clients as usize,
        rate_ops_per_s: Some(of.rate_ops_per_s).filter(|rate| *rate > 0).map(|rate| rate as f64),
        for_ns: Some(of.for_ns).filter(|length| *length > 0),
    })
}

/// What an event is about.
pub(super) fn event_kind(kind: core::EventKind) -> EventKind {
    match kind {
        core::EventKind::Device => EventKind::Device,
        core::EventKind::Balancer => EventKind::Balancer,
        core::EventKind::Session => EventKind::Session,
        core::EventKind::Health => EventKind::Health,
        core::EventKind::Fault => EventKind::Fault,
        core::EventKind::Load => EventKind::Load,
        core::EventKind::Server => EventKind::Server,
    }
}

/// An event.
pub(super) fn event(of: &core::Event) -> EventRecord {
    EventRecord {
        seq: of.seq,
        time_ns: of.time_ns,
        kind: event_kind(of.kind),
        severity: match of.severity {
            core::Severity::Info => Severity::Info,
            core::Severity::Warn => Severity::Warn,
            core::Severity::Error => Severity::Error,
        },
        object: of.object.to_owned(),
        name: of.name.clone(),
        from: of.from.clone(),
        to: of.to.clone(),
        reason: of.reason.clone(),
        uid: of.uid,
    }
}
