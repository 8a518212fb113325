//! The nouns as rows: the keys of JSON, of `--fields` and of tables.

use acrypto_core::Setup;
use acrypto_netlink::message::{
    BalancerInfo, Candidate, DecisionInfo, DeviceInfo, DeviceQueue, EventRecord, FaultSpec, Histogram,
    LoadInfo, OpInfo, Parameter, PreviewInfo, QueueInfo, RuntimeStats, ServerInfo, SessionInfo, SettingInfo,
    TenantInfo,
};
use serde_json::{Map, Value, json};

use crate::output::epoch_text;
use crate::units;

/// A device; `now_ns` is the server's time.
pub fn device(device: &DeviceInfo, now_ns: u64) -> Value {
    let counters = device.counters;
    let mut row = json!({
        "name": device.name,
        "id": device.id,
        "kind": device.kind,
        "state": device.state.name(),
        "state_reason": device.state_reason,
        "state_age_ns": now_ns.saturating_sub(device.state_since_ns),
        "probation_percent": device.probation_percent,
        "queue_max_ops": device.queue_max_ops,
        "taken_ops": counters.taken_ops,
        "finished_ops": counters.finished_ops,
        "moved_out_ops": counters.moved_out_ops,
        "abandoned_ops": counters.abandoned_ops,
        "queued_ops": counters.queued_ops,
        "in_flight_ops": counters.in_flight_ops,
        "errors_ops": device.errors_ops,
        "bytes": device.bytes,
    });
    latencies(&mut row, &device.queue_wait, &device.service, &device.total);
    let parameters: Map<String, Value> =
        device.parameters.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    row["uid"] = device.uid.into();
    row["fault"] = device.fault.as_ref().map_or(Value::Null, fault);
    row["parameters"] = parameters.into();
    row["shadow_ratio"] = device.shadow_rate.into();
    row["shadowed_ops"] = device.shadowed_ops.into();
    row["heartbeats_sent"] = device.heartbeats_sent.into();
    row["heartbeats_failed"] = device.heartbeats_failed.into();
    row["leaving"] = device.leaving.map_or(Value::Null, |leaving| {
        json!({
            "to": if leaving.is_removal { "gone" } else { "drained" },
            "remaining_ops": leaving.remaining_ops,
            "deadline_in_ns": leaving.deadline_ns.saturating_sub(now_ns),
        })
    });
    row
}

/// What a device can do: the algorithms of each operation.
pub fn capabilities(device: &DeviceInfo) -> Value {
    let mut by_op: Map<String, Value> = Map::new();
    for can in &device.capabilities {
        let algorithms = by_op.entry(can.op.name()).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(algorithms) = algorithms {
            algorithms.push(can.algorithm.clone().into());
        }
    }
    by_op.into()
}

/// A fault, with the conditions that were given.
pub fn fault(fault: &FaultSpec) -> Value {
    let size = fault.size_bytes.as_ref();
    let mut all = json!({
        "mode": fault.mode.name(),
        "op": fault.op.map(|op| op.name()),
        "size_min_bytes": size.map(|size| *size.start()),
        "size_max_bytes": size.map(|size| *size.end()),
        "session": fault.session,
        "count_ops": fault.count,
        "every_ops": fault.every,
        "rate_ratio": fault.rate,
        "for_ns": fault.for_ns,
        "delay_ns": fault.delay_ns,
        "seed": fault.seed,
    });
    if let Value::Object(fields) = &mut all {
        fields.retain(|_, value| !value.is_null());
    }
    all
}

fn latencies(row: &mut Value, wait: &Histogram, service: &Histogram, total: &Histogram) {
    for (name, histogram) in [("wait", wait), ("service", service), ("total", total)] {
        let measured = histogram.count() > 0;
        for (label, share) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
            row[format!("{name}_{label}_ns")] = measured.then(|| histogram.percentile_ns(share)).into();
        }
        row[format!("{name}_max_ns")] = measured.then(|| histogram.max_ns()).into();
    }
}

/// A balancer; `now_ns` is the server's time.
pub fn balancer(balancer: &BalancerInfo, now_ns: u64) -> Value {
    let off = |predicted: u64, actual: u64| {
        (actual > 0).then(|| ((predicted as f64 / actual as f64 - 1.0) * 1_000.0).round() / 10.0)
    };
    json!({
        "name": balancer.name,
        "current": balancer.current,
        "builtin": balancer.builtin,
        "in_force_ns": balancer.current.then(|| now_ns.saturating_sub(balancer.since_ns)),
        "moved_ops": balancer.moved_ops,
        "ejected": balancer.ejection.as_ref().map(|ejection| {
            json!({ "reason": ejection.reason, "age_ns": now_ns.saturating_sub(ejection.time_ns) })
        }),
        "prediction": balancer.accuracy.map(|accuracy| {
            json!({
                "samples_ops": accuracy.samples,
                "predicted_p50_ns": accuracy.predicted_p50_ns,
                "predicted_p99_ns": accuracy.predicted_p99_ns,
                "actual_ops": accuracy.actual_ops,
                "actual_p50_ns": accuracy.actual_p50_ns,
                "actual_p99_ns": accuracy.actual_p99_ns,
                "p50_off_percent": off(accuracy.predicted_p50_ns, accuracy.actual_p50_ns),
                "p99_off_percent": off(accuracy.predicted_p99_ns, accuracy.actual_p99_ns),
            })
        }),
    })
}

/// Something of a balancer that can be set.
pub fn parameter(parameter: &Parameter) -> Value {
    json!({ "name": parameter.name, "value": parameter.value, "doc": parameter.doc })
}

/// What a balancer would have done.
pub fn preview(preview: &PreviewInfo) -> Value {
    let shares: Map<String, Value> =
        preview.devices.iter().map(|(name, ops)| (name.clone(), (*ops).into())).collect();
    json!({
        "name": preview.name,
        "samples_ops": preview.samples,
        "span_ns": preview.span_ns,
        "p50_ns": preview.p50_ns,
        "p99_ns": preview.p99_ns,
        "imbalance_ratio": preview.imbalance_permille as f64 / 1_000.0,
        "device_ops": shares,
    })
}

/// One pick of a device; `now_ns` is the server's time.
pub fn decision(decision: &DecisionInfo, now_ns: u64) -> Value {
    let candidates: Vec<Value> = decision
        .candidates
        .iter()
        .map(|candidate| {
            json!({
                "device": candidate.device,
                "state": candidate.state.name(),
                "able": candidate.is_able,
                "backlog_ops": candidate.backlog_ops,
                "lend_max_ops": candidate.lend_max_ops,
                "expected_ns": candidate.expected_ns,
            })
        })
        .collect();
    json!({
        "age_ns": now_ns.saturating_sub(decision.time_ns),
        "alg": decision.algorithm,
        "op": decision.op.name(),
        "bytes": decision.bytes,
        "priority": decision.priority,
        "balancer": decision.balancer,
        "rule": decision.rule,
        "chosen": (!decision.chosen.is_empty()).then_some(&decision.chosen),
        "why": decision.why,
        "figures": figures(decision),
        "candidates": candidates,
        "candidates_all": decision.candidates_all,
    })
}

/// `soft0 3/128 12.0µs, sim0 broken`: backlog, limit and expected completion of each candidate.
fn figures(decision: &DecisionInfo) -> String {
    let of_one = |candidate: &Candidate| {
        let Candidate { device, state, backlog_ops, lend_max_ops, expected_ns, is_able } = candidate;
        let expected = expected_ns.map(|ns| format!(" {}", units::human_ns(ns))).unwrap_or_default();
        match (state.is_usable(), is_able) {
            (false, _) => format!("{device} {state}"),
            (_, false) => format!("{device} unable"),
            _ => format!("{device} {backlog_ops}/{lend_max_ops}{expected}"),
        }
    };
    let mut all: Vec<String> = decision.candidates.iter().map(of_one).collect();
    let left_out = decision.candidates_all.saturating_sub(all.len() as u64);
    if left_out > 0 {
        all.push(format!("{left_out} more"));
    }
    all.join(", ")
}

/// A session; ids are written as people write them.
pub fn session(session: &SessionInfo) -> Value {
    let route: Vec<&str> = session.route.iter().map(|stage| stage.algorithm.as_str()).collect();
    json!({
        "id": format!("{:#x}", session.id),
        "alg": if route.is_empty() { session.algorithm.clone() } else { route.join(",") },
        "name": session.name,
        "device": session.bind.as_ref().map_or_else(|| "(any)".to_owned(), ToString::to_string),
        "route": route,
        "ordered": session.ordered,
        "tenant": session.tenant,
        "priority": session.priority,
        "uid": session.uid,
        "refs": session.refs,
        "rekeys": session.rekeys,
        "submitted_ops": session.submitted_ops,
        "completed_ops": session.completed_ops,
        "failed_ops": session.failed_ops,
        "in_flight_ops": session.in_flight_ops,
        "bytes": session.bytes,
        "age_ns": session.age_ns,
    })
}

/// A tenant.
pub fn tenant(tenant: &TenantInfo) -> Value {
    json!({
        "name": tenant.name,
        "weight": tenant.weight,
        "limit_ops": (tenant.limit_ops > 0).then_some(tenant.limit_ops),
        "sessions": tenant.sessions,
        "accepted_ops": tenant.accepted_ops,
        "completed_ops": tenant.completed_ops,
        "in_flight_ops": tenant.in_flight_ops,
        "bytes": tenant.bytes,
    })
}

/// A limit or time-out; the name says its unit.
pub fn setting(setting: &SettingInfo) -> Value {
    json!({
        "name": setting.name,
        "value": setting.value,
        "default": setting.default,
        "least": setting.least,
        "most": setting.most,
    })
}

/// Everything that can be set; `limits` are rows of [`setting`].
pub fn setup(setup: &Setup, limits: Vec<Value>) -> Value {
    let parameters = |parameters: &[(String, String)]| -> Map<String, Value> {
        parameters.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect()
    };
    let devices: Vec<Value> = setup
        .devices
        .iter()
        .map(|device| {
            json!({
                "name": device.name,
                "kind": device.kind,
                "parameters": parameters(&device.parameters),
                "shadow_ratio": device.shadow_rate,
            })
        })
        .collect();
    let tenants: Vec<Value> = setup
        .tenants
        .iter()
        .map(|tenant| json!({ "name": tenant.name, "weight": tenant.weight, "limit_ops": tenant.limit_ops }))
        .collect();
    let balancers: Map<String, Value> = setup
        .balancer_parameters
        .iter()
        .map(|(name, of_one)| (name.clone(), parameters(of_one).into()))
        .collect();
    json!({
        "limits": limits,
        "balancer": setup.balancer,
        "balancer_parameters": balancers,
        "devices": devices,
        "tenants": tenants,
    })
}

/// The runtime's counters.
pub fn stats(stats: &RuntimeStats) -> Value {
    let by_kind: Map<String, Value> = acrypto_netlink::message::OpKind::ALL
        .iter()
        .zip(stats.by_kind)
        .map(|(kind, count)| (format!("{}_ops", kind.name()), count.into()))
        .collect();
    let mut row = json!({
        "uptime_ns": stats.uptime_ns,
        "accepted_ops": stats.accepted_ops,
        "dispatched_ops": stats.dispatched_ops,
        "started_ops": stats.started_ops,
        "finished_ops": stats.finished_ops,
        "completed_ops": stats.completed_ops,
        "cancelled_ops": stats.cancelled_ops,
        "failed_ops": stats.failed_ops,
        "refused_ops": stats.refused_ops,
        "moved_ops": stats.moved_ops,
        "main_queue_ops": stats.main_queue_ops,
        "main_queue_max_ops": stats.main_queue_max_ops,
        "waiting_ops": stats.waiting_ops,
        "queued_ops": stats.queued_ops,
        "in_flight_ops": stats.in_flight_ops,
        "oldest_ns": stats.oldest_ns,
        "bytes": stats.bytes,
    });
    latencies(&mut row, &stats.queue_wait, &stats.service, &stats.total);
    row["completed_by_kind"] = by_kind.into();
    row
}

/// The main queue.
pub fn main_queue(queue: &QueueInfo) -> Value {
    json!({
        "queue": "main",
        "state": Value::Null,
        "depth_ops": queue.main_queue_ops,
        "queue_max_ops": queue.main_queue_max_ops,
        "queued_ops": queue.waiting_ops_by_priority.iter().sum::<u64>(),
        "in_flight_ops": queue.devices.iter().map(|device| device.in_flight_ops).sum::<u64>(),
        "waiting_ops_by_priority": queue.waiting_ops_by_priority,
    })
}

/// A device's queue.
pub fn device_queue(queue: &DeviceQueue) -> Value {
    json!({
        "queue": queue.name,
        "state": queue.state.name(),
        "depth_ops": queue.queued_ops + queue.in_flight_ops,
        "queue_max_ops": queue.queue_max_ops,
        "queued_ops": queue.queued_ops,
        "in_flight_ops": queue.in_flight_ops,
    })
}

/// A live operation.
pub fn op(op: &OpInfo) -> Value {
    json!({
        "id": format!("{:#x}", op.id),
        "session": format!("{:#x}", op.session),
        "op": op.kind.name(),
        "alg": op.algorithm,
        "bytes": op.bytes,
        "state": op.state,
        "device": op.device,
        "attempts": op.attempts,
        "age_ns": op.age_ns,
    })
}

/// A load.
pub fn load(load: &LoadInfo) -> Value {
    json!({
        "id": load.id,
        "alg": load.algorithm,
        "size_bytes": load.size_bytes,
        "clients": load.clients,
        "rate_ops_per_s": (load.rate_ops_per_s > 0).then_some(load.rate_ops_per_s),
        "for_ns": (load.for_ns > 0).then_some(load.for_ns),
        "completed_ops": load.completed_ops,
        "failed_ops": load.failed_ops,
        "bytes": load.bytes,
        "uid": load.uid,
        "age_ns": load.age_ns,
    })
}

/// The server.
pub fn server(server: &ServerInfo) -> Value {
    json!({
        "version": server.version,
        "pid": server.pid,
        "uid": server.uid,
        "epoch": epoch_text(server.epoch),
        "uptime_ns": server.uptime_ns,
        "listen": server.listen,
        "workers": server.workers,
        "main_queue_max_ops": server.main_queue_max_ops,
        "device_queue_max_ops": server.device_queue_max_ops,
        "sessions_max": server.sessions_max,
        "last_event_seq": server.last_event_seq,
        "role": server.role.name(),
        "scenario": server.scenario,
    })
}

/// An event.
pub fn event(event: &EventRecord) -> Value {
    json!({
        "seq": event.seq,
        "time_ns": event.time_ns,
        "kind": event.kind.name(),
        "severity": event.severity.name(),
        "object": event.object,
        "name": event.name,
        "from": event.from,
        "to": event.to,
        "reason": event.reason,
        "uid": event.uid,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_these() {
        let device_row = device(&DeviceInfo { name: "soft0".into(), ..DeviceInfo::default() }, 5);
        let rows = json!({
            "device": device_row,
            "balancer": balancer(&BalancerInfo::default(), 0),
            "preview": preview(&PreviewInfo::default()),
            "decision": decision(&DecisionInfo::default(), 0),
            "session": session(&SessionInfo::default()),
            "tenant": tenant(&TenantInfo::default()),
            "setting": setting(&SettingInfo::default()),
            "setup": setup(&Setup::default(), Vec::new()),
            "stats": stats(&RuntimeStats::default()),
            "main_queue": main_queue(&QueueInfo::default()),
            "device_queue": device_queue(&DeviceQueue::default()),
            "op": op(&OpInfo::default()),
            "load": load(&LoadInfo::default()),
            "server": server(&ServerInfo::default()),
            "event": event(&EventRecord::default()),
            "fault": fault(&FaultSpec { size_bytes: Some(1..=2), ..FaultSpec::default() }),
        });
        insta::assert_snapshot!(serde_json::to_string_pretty(&rows).unwrap());
    }

    #[test]
    fn numbers_carry_their_unit_in_the_key() {
        let units = ["_ops", "_ns", "_bytes", "bytes", "_per_s", "_percent", "_ratio", "_max", "_seq"];
        let unitless = [
            "heartbeats_sent",
            "heartbeats_failed",
            "id",
            "uid",
            "pid",
            "priority",
            "refs",
            "attempts",
            "clients",
            "workers",
            "seq",
            "seed",
        ];
        for row in [
            device(&DeviceInfo::default(), 0),
            stats(&RuntimeStats::default()),
            server(&ServerInfo::default()),
        ] {
            for (key, value) in row.as_object().unwrap() {
                let named = units.iter().any(|unit| key.ends_with(unit)) || unitless.contains(&key.as_str());
                assert!(named || !value.is_number(), "{key}");
            }
        }
    }
}
