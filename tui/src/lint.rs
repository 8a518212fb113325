//! What deserves a look: findings about a device, each with its reason.

use acrypto_netlink::message::{DeviceInfo, DeviceState, Severity};

use crate::format;

/// Something that deserves a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What it is.
    pub text: String,
}

/// A queue this full or fuller is reported.
const FULL_SHARE: f64 = 0.9;

/// The findings about a device that fails `errors_per_s` operations a second.
pub fn device(device: &DeviceInfo, errors_per_s: f64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |severity, text| findings.push(Finding { severity, text });
    let severity = match device.state {
        DeviceState::Broken | DeviceState::Failed => Some(Severity::Error),
        DeviceState::Degraded => Some(Severity::Warn),
        _ => None,
    };
    if let Some(severity) = severity {
        let reason = if device.state_reason.is_empty() { "no reason given" } else { &device.state_reason };
        add(severity, format!("{}: {reason}", device.state.name()));
    }
    if let Some(fault) = &device.fault {
        add(Severity::Warn, format!("fault '{}' is on it; repair clears it", fault.mode.name()));
    }
    findings.extend(load(device, errors_per_s));
    findings
}

/// Of the findings, those about its load.
pub fn load(device: &DeviceInfo, errors_per_s: f64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |severity, text| findings.push(Finding { severity, text });
    if errors_per_s > 0.0 {
        add(Severity::Warn, format!("{} errors a second", format::count(errors_per_s)));
    }
    let held_ops = device.counters.queued_ops + device.counters.in_flight_ops;
    let share = queue_share(device);
    if share >= FULL_SHARE && device.queue_max_ops > 1 {
        add(
            Severity::Warn,
            format!("queue {} full: {held_ops} of {}", format::whole_percent(share), device.queue_max_ops),
        );
    }
    findings
}

/// How full the device is, 0 to 1.
pub fn queue_share(device: &DeviceInfo) -> f64 {
    let held_ops = device.counters.queued_ops + device.counters.in_flight_ops;
    if device.queue_max_ops == 0 { 0.0 } else { (held_ops as f64 / device.queue_max_ops as f64).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use acrypto_netlink::message::{DeviceCounters, FaultSpec};

    #[test]
    fn a_device_that_is_up_and_calm_has_no_findings() {
        let calm = DeviceInfo { state: DeviceState::Up, queue_max_ops: 512, ..DeviceInfo::default() };
        assert_eq!(device(&calm, 0.0), []);
    }

    #[test]
    fn every_trouble_is_a_finding_of_its_own() {
        let troubled = DeviceInfo {
            state: DeviceState::Degraded,
            state_reason: "3 errors in 10s (budget 8)".to_owned(),
            queue_max_ops: 100,
            counters: DeviceCounters { queued_ops: 60, in_flight_ops: 31, ..DeviceCounters::default() },
            fault: Some(FaultSpec::default()),
            ..DeviceInfo::default()
        };
        let texts: Vec<String> = device(&troubled, 41.0).into_iter().map(|finding| finding.text).collect();
        assert_eq!(
            texts,
            [
                "degraded: 3 errors in 10s (budget 8)",
                "fault 'error' is on it; repair clears it",
                "41 errors a second",
                "queue 91% full: 91 of 100",
            ]
        );
    }
}
