//! Every device passes the public body of tests, and every one that misbehaves fails it.

#![allow(clippy::print_stdout, reason = "shows what each device was found out by")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use acrypto_core::conformance::{self, Failure};
use acrypto_core::device::bridge::{BlockingBridge, BlockingDevice};
use acrypto_core::device::fault::Faulted;
use acrypto_core::device::multi::Multi;
use acrypto_core::device::null::Null;
use acrypto_core::device::sim::{Profile, Sim};
use acrypto_core::device::soft::Soft;
use acrypto_core::device::{DeviceInfo, DirectDevice, DirectOp, Handle, Score};
use acrypto_core::{
    Algorithm, Config, DeviceState, Engine, Error, FaultMode, FaultSpec, Key, Nanos, Request, Runtime,
    SessionSpec, block_on,
};

fn soft() -> Engine {
    Engine::Direct(Arc::new(Soft::new()))
}

#[cfg(feature = "aws-lc")]
fn aws_lc() -> Engine {
    Engine::Direct(Arc::new(acrypto_core::device::aws_lc::AwsLc::new()))
}

fn sim() -> Engine {
    Engine::Queued(Box::new(Sim::new(Profile::default())))
}

/// A library whose calls take their time, or do not return while its gate is shut.
#[derive(Default)]
struct Library {
    soft: Soft,
    is_shut: Arc<AtomicBool>,
}

impl BlockingDevice for Library {
    fn info(&self) -> DeviceInfo {
        DeviceInfo { kind: "library", ..self.soft.info() }
    }
    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        self.soft.probe(spec)
    }
    fn open(&self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        self.soft.open(spec, key)
    }
    fn close(&self, handle: Handle) {
        self.soft.close(handle);
    }
    fn execute(&self, op: &mut DirectOp<'_>) {
        while self.is_shut.load(Ordering::Acquire) {
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
        self.soft.execute(std::slice::from_mut(op));
    }
}

fn bridge() -> Engine {
    Engine::Queued(Box::new(BlockingBridge::new(Arc::new(Library::default()), 4, 8).unwrap()))
}

fn faulted(make: fn() -> Engine, mode: FaultMode) -> Engine {
    let spec = FaultSpec { every: Some(3), ..FaultSpec::new(mode) };
    Engine::Queued(Box::new(Faulted::new(make(), spec, Nanos(0)).unwrap()))
}

type Make = fn() -> Engine;

#[test]
fn every_built_in_device_and_a_bridged_library_pass() {
    let multi = || Engine::Direct(Arc::new(Multi::new()));
    let null = || Engine::Direct(Arc::new(Null));
    let devices: &[(&str, Make)] = &[
        ("soft", soft),
        #[cfg(feature = "aws-lc")]
        ("aws-lc", aws_lc),
        ("multi", multi),
        ("null", null),
        ("sim", sim),
        ("bridge", bridge),
    ];
    for (name, make) in devices {
        let report = conformance::check(*make).unwrap_or_else(|failure| panic!("{name}: {failure}"));
        println!("{name}: {} checks, {} operations", report.checks.len(), report.operations);
        assert_eq!(report.checks.len(), 9);
        assert!(report.operations >= 60, "{name}: {report:?}");
    }
}

fn fails_unless_harmless(make: fn() -> Engine, mode: FaultMode) {
    let verdict = conformance::check(|| faulted(make, mode));
    match mode {
        FaultMode::Delay | FaultMode::Reorder => assert!(verdict.is_ok(), "{mode}: {verdict:?}"),
        _ => {
            let Failure { check, detail } = verdict.expect_err(mode.name());
            println!("{mode}: {check}: {detail}");
        }
    }
}

#[test]
fn every_fault_that_is_not_harmless_fails() {
    // Side by side: a silent device is waited for.
    std::thread::scope(|scope| {
        for make in [soft as fn() -> Engine, sim] {
            for mode in FaultMode::ALL {
                scope.spawn(move || fails_unless_harmless(make, mode));
            }
        }
    });
}

#[test]
fn a_hung_library_is_left_behind_by_a_reset_and_its_keys_are_reported() {
    let library = Arc::new(Library::default());
    let bridge = BlockingBridge::new(Arc::clone(&library) as Arc<dyn BlockingDevice>, 2, 4).unwrap();
    // Nothing at once: a batch whose first turn is the other device's would be over before the library had any of it.
    let config = Config {
        workers: 2,
        inline_max_ns: 0,
        silence_ns: 50_000_000,
        heartbeat_ns: 0,
        repair_backoff_ns: 0,
        ..Config::default()
    };
    let runtime = Runtime::start(config).unwrap();
    runtime.add_device("lib0", Engine::Queued(Box::new(bridge)), 0).unwrap();
    runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    runtime.set_balancer("round_robin_lb", None, 0).unwrap();
    let session = runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![7; 16])).unwrap();
    let encrypt = |count| {
        let requests = (0..count).map(|_| Request::encrypt(vec![1; 64], [9; 16])).collect();
        block_on(session.submit_batch(requests)).into_iter().all(|result| result.unwrap().result.is_ok())
    };
    assert!(encrypt(20));
    let mut events = runtime.events().subscribe(None);
    library.is_shut.store(true, Ordering::Release);
    assert!(encrypt(20), "what the library holds is done elsewhere");
    assert_eq!(runtime.device("lib0").unwrap().state, DeviceState::Broken);
    // The known answers hang in the new threads as those before them do.
    runtime.repair_device("lib0", 0).unwrap();
    loop {
        let acrypto_core::Feed::Event(event) = block_on(events.next()) else { continue };
        if event.to.contains("keys held") {
            assert_eq!((event.from.as_str(), event.to.as_str()), ("0 keys held", "1 keys held"));
            break;
        }
    }
    assert_eq!(runtime.device("lib0").unwrap().keys_held, 1);
    library.is_shut.store(false, Ordering::Release);
    loop {
        let acrypto_core::Feed::Event(event) = block_on(events.next()) else { continue };
        if event.to == "probation" {
            break;
        }
    }
    assert!(encrypt(20));
}
