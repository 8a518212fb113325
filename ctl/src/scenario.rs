//! The DEMO scenario: devices of different speed under a modest load, so that there is something to see.

use acrypto_core::{Algorithm, Config, LoadSpec, Runtime};
use acrypto_netlink::server::{Server, ServerOptions};

use crate::embedded::{add_devices, own_uid};
use crate::exit::Failure;

/// What the scenario is called on every screen that shows it.
const NAME: &str = "DEMO";

/// Simulated devices: name and parameters.
const SIMULATED: [(&str, &[(&str, &str)]); 3] = [("accel0", &[]), ("accel1", &[]), ("accel2", &[])];

/// Loads: algorithm, bytes an operation, clients, operations a second.
const LOADS: [(Algorithm, usize, usize, f64); 4] = [
    (Algorithm::Aes128Ctr, 4096, 4, 6_000.0),
    (Algorithm::Aes256Cbc, 16_384, 2, 800.0),
    (Algorithm::Aes256Gcm, 1024, 2, 3_000.0),
    (Algorithm::Sha256, 8192, 2, 1_200.0),
];

/// A server of the scenario.
pub fn demo() -> Result<Server, Failure> {
    let runtime = Runtime::start(Config::default())?;
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
