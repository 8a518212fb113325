//! The DEMO scenario: devices of different speed under a modest load, so that there is something to see.

use acrypto_core::{Algorithm, Config, LoadSpec, Runtime};
use acrypto_netlink::server::{Server, ServerOptions};

use crate::embedded::{add_devices, own_uid};
use crate::exit::Failure;

/// What the scenario is called on every screen that shows it.
const NAME: &str = "DEMO";

/// Simulated devices, fast to slow: name and parameters. Short queues, so that a burst of load fills them.
const SIMULATED: [(&str, &[(&str, &str)]); 3] = [
    ("accel0", &[("op-ns", "2000000"), ("lanes", "16"), ("queue", "32"), ("seed", "1")]),
    ("accel1", &[("op-ns", "5000000"), ("lanes", "8"), ("queue", "16"), ("seed", "2")]),
    ("accel2", &[("op-ns", "12000000"), ("lanes", "8"), ("queue", "16"), ("seed", "3")]),
];

/// Operations in the main queue at most: few, so that its bar moves.
const MAIN_QUEUE_MAX_OPS: usize = 512;

/// Loads: algorithm, bytes an operation, clients, operations a second.
const LOADS: [(Algorithm, usize, usize, f64); 6] = [
    (Algorithm::Aes128Ctr, 4_096, 256, 4_000.0),
    (Algorithm::Aes256Cbc, 16_384, 64, 800.0),
    (Algorithm::Aes256Gcm, 1_024, 128, 2_000.0),
    (Algorithm::Sha256, 8_192, 64, 1_000.0),
    (Algorithm::HmacSha256, 2_048, 64, 900.0),
    (Algorithm::ChaCha20Poly1305, 1_400, 64, 700.0),
];

/// A server of the scenario.
pub fn demo() -> Result<Server, Failure> {
    let runtime = Runtime::start(Config { main_queue_max_ops: MAIN_QUEUE_MAX_OPS, ..Config::default() })?;
    add_devices(&runtime, "soft", 2)?;
    for (name, parameters) in SIMULATED {
        let parameters: Vec<(String, String)> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        runtime.add_device_of_kind(name, "sim", &parameters, own_uid())?;
    }
    for (algorithm, size_bytes, clients, rate) in LOADS {
        let spec = LoadSpec { algorithm, size_bytes, clients, rate_ops_per_s: Some(rate), for_ns: None };
        runtime.start_load(spec, own_uid())?;
    }
    Ok(Server::new(runtime, ServerOptions { scenario: NAME.to_owned(), ..ServerOptions::default() }))
}
