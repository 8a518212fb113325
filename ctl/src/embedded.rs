//! Runtimes in this process.

use std::sync::OnceLock;

use acrypto_core::device::{self, best_kind, best_kinds, best_stream_kind};
use acrypto_core::{Algorithm, Class, Config, DeviceSetup, Runtime};

use crate::exit::Failure;
use crate::op;

/// Longest ciphertext of a one-shot operation: 1 GiB and a tag.
const OP_MAX_BYTES: usize = (1 << 30) + 16;

/// A second: a core can do nothing better than go on with what it has just read.
const INLINE_MAX_NS: u64 = 1_000_000_000;

/// Cores of this machine that we may use.
pub fn cores() -> usize {
    // The standard library reads files of the system to find out.
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// A runtime for files that go through one algorithm, `lanes` operations at once: as many devices of its best kind, and
/// small tables. Threads that have a file in hand carry it through themselves.
pub fn for_files(algorithm: Algorithm, lanes: usize) -> Result<Runtime, Failure> {
    let runtime = Runtime::start_with_system_clock(Config {
        workers: lanes,
        main_queue_max_ops: 1024,
        sessions_max: 1024,
        devices_max: 256,
        events_max: 64,
        op_max_bytes: OP_MAX_BYTES,
        inline_max_ns: INLINE_MAX_NS,
        ..Config::default()
    })?;
    // Hashes come whole and in chunks, and what interleaves whole ones loses nothing on chunks.
    let whole = best_kind(algorithm);
    let kind = match algorithm.class() {
        Class::Digest | Class::Mac if streams(whole, algorithm) => whole,
        _ if op::is_stream(algorithm) => best_stream_kind(algorithm),
        _ => whole,
    };
    add_devices(&runtime, kind, lanes)?;
    Ok(runtime)
}

fn streams(kind: &str, algorithm: Algorithm) -> bool {
    let capabilities = device::direct(kind).map(|device| device.info().capabilities).unwrap_or_default();
    capabilities.iter().any(|can| can.algorithm == algorithm && can.stream)
}

/// The devices of a runtime that names none: of each kind that suits some algorithm best one a core, named by kind and
/// number.
pub fn default_devices() -> Vec<DeviceSetup> {
    let device = |kind: &str, number| DeviceSetup {
        name: format!("{kind}{number}"),
        kind: kind.to_owned(),
        ..DeviceSetup::default()
    };
    let kinds = best_kinds().into_iter();
    kinds.flat_map(|kind| (0..cores()).map(move |number| device(kind, number))).collect()
}

/// A runtime with these devices.
pub fn start(config: Config) -> Result<Runtime, Failure> {
    let runtime = Runtime::start(config)?;
    for device in default_devices() {
        runtime.add_device_of_kind(&device.name, &device.kind, &[], own_uid())?;
    }
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
