//! The drill: for each kind of fault and both sorts of device work flows, the fault is put on, health finds it (or it
//! is harmless), a repair brings the device back by way of known answers and probation, and work flows again. In
//! simulated time, five seeded rounds each; every result is held against the library's own bytes.
//!
//! `cargo test -p acrypto-core --test drill -- --nocapture` shows the figures.

#![allow(clippy::print_stdout, reason = "shows the figures")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod work;

use acrypto_core::simulation::Simulation;
use acrypto_core::{Config, DeviceState, FaultMode, FaultSpec, Runtime};

use work::Work;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const ROUNDS: u64 = 5;
/// Longest time that a fault may show, in simulated time: an attempt's five seconds, a device's one second of silence,
/// and a tick.
const AFFECTED_MAX_NS: u64 = 7 * SECOND;

/// Those that the drill breaks.
const KINDS: &[&str] = &[
    "soft",
    #[cfg(feature = "aws-lc")]
    "aws-lc",
    "multi",
    "sim",
];

const SILENT: &str = "silent for 1.0 s with";

/// What health makes of a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// The device is broken, for a reason that says one of these.
    Broken(&'static [&'static str]),
    /// Nobody notices but by the clock.
    Harmless,
}

/// The fault of one round, and what must come of it. Rounds with an odd number hit few operations, so that the
/// device is not simply silent.
fn plan(mode: FaultMode, round: u64) -> (FaultSpec, Outcome) {
    let is_partial = round % 2 == 1;
    let every = is_partial.then_some(100);
    let spec = FaultSpec { every, seed: round, ..FaultSpec::new(mode) };
    let outcome = match mode {
        FaultMode::Error | FaultMode::Death => Outcome::Broken(&["errors in 10 s"]),
        FaultMode::Hang => Outcome::Broken(&[SILENT]),
        // What it lost fills the places of a device with few of them, which is silent then.
        FaultMode::Lost | FaultMode::Late if is_partial => Outcome::Broken(&["no answer in 5.0 s", SILENT]),
        FaultMode::Lost | FaultMode::Late => Outcome::Broken(&[SILENT]),
        FaultMode::Corrupt => Outcome::Broken(&["differs from the reference"]),
        FaultMode::Full => Outcome::Broken(&["takes nothing for 1.0 s"]),
        _ => Outcome::Harmless,
    };
    (spec, outcome)
}

#[derive(Debug, Default)]
struct Figures {
    rounds: u64,
    ops: u64,
    lost_ops: u64,
    doubled_ops: u64,
    wrong_ops: u64,
    failed_ops: u64,
    /// From the fault to the end of the last operation that needed another attempt or waited for the fault.
    affected_max_ns: u64,
    /// From the fault to the state `broken`.
    detected_max_ns: u64,
}

fn round(mode: FaultMode, kind: &str, round: u64, figures: &mut Figures) {
    let config = Config { workers: 2, seed: 100 + round, repair_backoff_ns: 0, ..Config::default() };
    let mut simulation = Simulation::new(config);
    let runtime = simulation.runtime().clone();
    runtime.add_device_of_kind("d0", kind, &[], 0).unwrap();
    runtime.add_device_of_kind("d1", "soft", &[], 0).unwrap();
    runtime.set_balancer("round_robin_lb", None, 0).unwrap();
    runtime.set_shadow("d0", 1.0, 0).unwrap();
    let mut work = Work::new(&runtime);
    work.flow(&mut simulation, 50);

    let (spec, outcome) = plan(mode, round);
    let fault_at = runtime.now();
    runtime.break_device("d0", Some(spec), 0).unwrap();
    let mut detected_ns = None;
    let wait_ms = if outcome == Outcome::Harmless { 1_000 } else { 8_000 };
    for _ in 0..wait_ms {
        work.flow(&mut simulation, 1);
        if runtime.device("d0").unwrap().state == DeviceState::Broken {
            detected_ns = Some(runtime.now().since(fault_at));
            break;
        }
    }
    let reason = runtime.device("d0").unwrap().state_reason;
    match outcome {
        Outcome::Broken(words) => assert!(
            detected_ns.is_some() && words.iter().any(|words| reason.contains(words)),
            "{mode} on {kind}, round {round}: {detected_ns:?}, {reason}"
        ),
        Outcome::Harmless => assert_eq!(detected_ns, None, "{mode} on {kind}, round {round}: {reason}"),
    }
    work.finish(&mut simulation);
    let affected_ns = work.last_affected(fault_at).since(fault_at);

    runtime.repair_device("d0", 0).unwrap();
    work.flow(&mut simulation, 200);
    assert_eq!(runtime.device("d0").unwrap().state, DeviceState::Probation, "{mode} on {kind}");
    work.flow(&mut simulation, 2_100);
    let device = runtime.device("d0").unwrap();
    assert_eq!(
        (device.state, device.fault),
        (DeviceState::Up, None),
        "{mode} on {kind}: {}",
        story(&runtime)
    );
    let before = device.counters.taken_ops;
    work.flow(&mut simulation, 50);
    work.finish(&mut simulation);
    assert!(runtime.device("d0").unwrap().counters.taken_ops > before + 20, "work flows again");

    let stats = runtime.stats();
    assert_eq!((stats.accepted_ops, stats.main_queue_ops), (work.submitted(), 0));
    for device in runtime.devices() {
        assert_eq!((device.counters.queued_ops, device.counters.in_flight_ops), (0, 0), "{}", device.name);
    }
    figures.rounds += 1;
    figures.ops += work.submitted();
    figures.lost_ops += work.lost();
    figures.doubled_ops += work.doubled();
    figures.wrong_ops += work.wrong();
    figures.failed_ops += work.failed();
    figures.affected_max_ns = figures.affected_max_ns.max(affected_ns);
    figures.detected_max_ns = figures.detected_max_ns.max(detected_ns.unwrap_or(0));
}

fn story(runtime: &Runtime) -> String {
    let events = runtime.events().since(0, usize::MAX);
    let of_device = events.iter().filter(|event| event.name == "d0");
    of_device.map(|event| format!("{}>{} ({}); ", event.from, event.to, event.reason)).collect()
}

#[test]
fn the_drill_loses_nothing_doubles_nothing_and_gives_no_wrong_byte() {
    println!(
        "{:<10} {:<5} {:>6} {:>7} {:>12} {:>18} {:>5} {:>8} {:>6} {:>7}",
        "fault",
        "kind",
        "rounds",
        "ops",
        "detected ms",
        "last affected ms",
        "lost",
        "doubled",
        "wrong",
        "failed"
    );
    for mode in FaultMode::ALL {
        for kind in KINDS {
            let mut figures = Figures::default();
            for number in 0..ROUNDS {
                round(mode, kind, number, &mut figures);
            }
            let detected = match plan(mode, 0).1 {
                Outcome::Harmless => "harmless".to_owned(),
                Outcome::Broken(_) => (figures.detected_max_ns / MS).to_string(),
            };
            println!(
                "{:<10} {:<5} {:>6} {:>7} {:>12} {:>18} {:>5} {:>8} {:>6} {:>7}",
                mode.name(),
                kind,
                figures.rounds,
                figures.ops,
                detected,
                figures.affected_max_ns / MS,
                figures.lost_ops,
                figures.doubled_ops,
                figures.wrong_ops,
                figures.failed_ops
            );
            assert_eq!((figures.lost_ops, figures.doubled_ops), (0, 0), "{mode} on {kind}");
            assert_eq!((figures.wrong_ops, figures.failed_ops), (0, 0), "{mode} on {kind}");
            assert!(figures.affected_max_ns <= AFFECTED_MAX_NS, "{mode} on {kind}: {figures:?}");
        }
    }
}
