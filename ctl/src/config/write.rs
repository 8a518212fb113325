//! Writing a setup as TOML.

use std::fmt::Write as _;

use acrypto_core::{SETTINGS, Setup};

use super::{is_duration, key};
use crate::units;

/// The file that says what `setup` says.
pub fn write(setup: &Setup) -> String {
    let mut text = String::from(
        "# 'acrypto daemon --config FILE' starts a daemon like this one. Keys and sessions are no part of it.\n\n[limits]\n",
    );
    for setting in SETTINGS {
        let value = setting.value(&setup.config);
        let value =
            if is_duration(setting) { quoted(&units::exact_duration(value)) } else { value.to_string() };
        let _ = writeln!(text, "{} = {value}", key(setting));
    }
    let _ = write!(text, "\n[balancer]\nname = {}\n", quoted(&setup.balancer));
    for (name, parameters) in &setup.balancer_parameters {
        let _ = write!(text, "\n[balancer.parameters.{}]\n", bare(name));
        for (name, value) in parameters {
            let _ = writeln!(text, "{} = {}", bare(name), quoted(value));
        }
    }
    if setup.devices.is_empty() {
        // Without this line the daemon adds those it adds unless told.
        text.push_str("\n[device]\n");
    }
    for device in &setup.devices {
        let _ = write!(text, "\n[device.{}]\nkind = {}\n", bare(&device.name), quoted(&device.kind));
        if !device.parameters.is_empty() {
            let _ = writeln!(text, "parameters = {}", inline(&device.parameters));
        }
        if device.shadow_rate > 0.0 {
            let _ = writeln!(text, "shadow = {:?}", device.shadow_rate);
        }
    }
    for tenant in &setup.tenants {
        let _ = write!(
            text,
            "\n[tenant.{}]\nweight = {}\nlimit_ops = {}\n",
            bare(&tenant.name),
            tenant.weight,
            tenant.limit_ops
        );
    }
    text
}

fn inline(parameters: &[(String, String)]) -> String {
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{} = {}", bare(name), quoted(value))).collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// A key, in quotes only where it needs them.
fn bare(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !key.is_empty() && key.bytes().all(plain) { key.to_owned() } else { quoted(key) }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            char if char.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(char));
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}
