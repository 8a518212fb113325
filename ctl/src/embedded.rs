//! Runtimes in this process.

use acrypto_core::{Config, DeviceSetup, Runtime};

use crate::exit::Failure;

/// Longest ciphertext of a one-shot operation: 1 GiB and a tag.
const OP_MAX_BYTES: usize = (1 << 30) + 16;

/// Cores of this machine that we may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A runtime for files: one software device a core, and small tables.
pub fn for_files() -> Result<Runtime, Failure> {
    start(Config {
        main_queue_max_ops: 1024,
        sessions_max: 1024,
        devices_max: 256,
        events_max: 64,
        op_max_bytes: OP_MAX_BYTES,
        ..Config::default()
    })
}

/// The devices of a runtime that names none: one software device a core, named `soft0` and so on.
pub fn default_devices() -> Vec<DeviceSetup> {
    (0..cores())
        .map(|number| DeviceSetup {
            name: format!("soft{number}"),
            kind: "soft".to_owned(),
            ..DeviceSetup::default()
        })
        .collect()
}

/// A runtime with one software device a core, named `soft0` and so on.
pub fn start(config: Config) -> Result<Runtime, Failure> {
    let runtime = Runtime::start(config)?;
    add_devices(&runtime, "soft", cores())?;
    Ok(runtime)
}

/// Adds `count` devices of `kind`, named by kind and number.
pub fn add_devices(runtime: &Runtime, kind: &str, count: usize) -> Result<(), Failure> {
    for number in 0..count {
        runtime.add_device_of_kind(&format!("{kind}{number}"), kind, &[], own_uid())?;
    }
    Ok(())
}

/// The user that runs this process.
pub fn own_uid() -> u32 {
    rustix::process::getuid().as_raw()
}
