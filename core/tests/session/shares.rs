//! Whose work is served: tenants' shares, priorities with their floor, and kinds that do not starve each other.

use std::future::Future;
use std::task::{Context, Waker};

use acrypto_core::{Bind, Config, Request, Runtime, SessionSpec};

use super::{Flood, add_sim, ctr, simulation};

const WINDOW_NS: u64 = 200_000_000;
const STEP_NS: u64 = 1_000_000;

fn tenants(runtime: &Runtime, names: &[(&str, u32)]) -> Vec<Flood> {
    let flood = |(name, weight): &(&str, u32)| {
        runtime.set_tenant(name, Some(*weight), None, 0).unwrap();
        Flood::new(&ctr(runtime, |spec| spec.tenant(*name)), 400, 4_096)
    };
    names.iter().map(flood).collect()
}

/// Lets all of them go on for a while; how much each got done.
fn served(
    simulation: &mut acrypto_core::simulation::Simulation,
    floods: &mut [Flood],
    for_ns: u64,
) -> Vec<u64> {
    let before: Vec<u64> = floods.iter().map(|flood| flood.completed).collect();
    for _ in 0..for_ns / STEP_NS {
        floods.iter_mut().for_each(Flood::go_on);
        simulation.advance(STEP_NS);
    }
    floods.iter().zip(before).map(|(flood, before)| flood.completed - before).collect()
}

#[test]
fn tenants_hold_one_to_three_within_five_percent_while_a_device_dies() {
    let (mut simulation, runtime) = simulation(Config { seed: 11, ..Config::default() });
    for (name, seed) in [("sim0", 1), ("sim1", 2), ("sim2", 3)] {
        add_sim(&runtime, name, seed);
    }
    let mut floods = tenants(&runtime, &[("small", 1), ("large", 3)]);
    served(&mut simulation, &mut floods, WINDOW_NS);
    for window in 0..8 {
        if window == 4 {
            runtime.break_device("sim1", None, 0).unwrap();
        }
        let done = served(&mut simulation, &mut floods, WINDOW_NS);
        let share = done[0] as f64 / (done[0] + done[1]) as f64;
        println!("window {window}: {done:?}, share of the small one {:.2} %", share * 100.0);
        assert!((share / 0.25 - 1.0).abs() < 0.05, "window {window}: {share}");
    }
    let status = runtime.tenants();
    assert_eq!((status[0].name.as_str(), status[0].weight, status[1].weight), ("small", 1, 3));
}

#[test]
fn a_new_weight_holds_from_then_on() {
    let (mut simulation, runtime) = simulation(Config { seed: 12, ..Config::default() });
    add_sim(&runtime, "sim0", 1);
    let mut floods = tenants(&runtime, &[("a", 1), ("b", 1)]);
    served(&mut simulation, &mut floods, WINDOW_NS);
    let equal = served(&mut simulation, &mut floods, WINDOW_NS);
    runtime.set_tenant("a", Some(4), None, 0).unwrap();
    let weighted = served(&mut simulation, &mut floods, WINDOW_NS);
    assert!((equal[0] as f64 / equal[1] as f64 - 1.0).abs() < 0.05, "{equal:?}");
    assert!((weighted[0] as f64 / weighted[1] as f64 / 4.0 - 1.0).abs() < 0.05, "{weighted:?}");
}

#[test]
fn a_tenant_with_large_operations_gets_no_more_bytes() {
    let (mut simulation, runtime) = simulation(Config { seed: 13, ..Config::default() });
    add_sim(&runtime, "sim0", 1);
    let mut floods = tenants(&runtime, &[("small", 1), ("large", 1)]);
    floods[1].bytes = 65_536;
    served(&mut simulation, &mut floods, WINDOW_NS);
    let done = served(&mut simulation, &mut floods, 4 * WINDOW_NS);
    // Charged by bytes and a constant of 256 for each operation.
    let work = [done[0] * (4_096 + 256), done[1] * (65_536 + 256)];
    assert!((work[0] as f64 / work[1] as f64 - 1.0).abs() < 0.05, "{work:?}");
}

#[test]
fn the_highest_priority_goes_first_and_the_lowest_keeps_its_floor() {
    let (mut simulation, runtime) = simulation(Config { seed: 14, ..Config::default() });
    add_sim(&runtime, "sim0", 1);
    let flood =
        |priority| Flood::new(&ctr(&runtime, |spec: SessionSpec| spec.priority(priority)), 400, 1_024);
    let mut floods = [flood(7), flood(3), flood(0)];
    served(&mut simulation, &mut floods, WINDOW_NS);
    let done = served(&mut simulation, &mut floods, 4 * WINDOW_NS);
    let sum: u64 = done.iter().sum();
    println!("served by priority 7, 3, 0: {done:?}");
    assert!(done[0] * 100 >= sum * 94, "{done:?}");
    for low in &done[1..] {
        // The default floor is 2 % of what higher priorities get.
        assert!((done[0] * 19 / 1_000..=done[0] * 23 / 1_000).contains(low), "{done:?}");
    }
}

#[test]
fn without_a_floor_the_highest_priority_takes_everything() {
    let config = Config { seed: 15, priority_floor_percent: 0, ..Config::default() };
    let (mut simulation, runtime) = simulation(config);
    add_sim(&runtime, "sim0", 1);
    let flood =
        |priority| Flood::new(&ctr(&runtime, |spec: SessionSpec| spec.priority(priority)), 400, 1_024);
    let mut floods = [flood(7), flood(0)];
    served(&mut simulation, &mut floods[..1], WINDOW_NS);
    let done = served(&mut simulation, &mut floods, WINDOW_NS);
    assert_eq!(done[1], 0);
}

#[test]
fn a_flood_of_decrypts_does_not_starve_encrypts() {
    let (mut simulation, runtime) = simulation(Config { seed: 16, ..Config::default() });
    add_sim(&runtime, "sim0", 1);
    let mut decrypts = Flood::new(&ctr(&runtime, |spec| spec), 20_000, 1_024);
    decrypts.decrypts = true;
    let encrypts = Flood::new(&ctr(&runtime, |spec| spec), 1, 1_024);
    decrypts.go_on();
    simulation.advance(STEP_NS);
    let mut floods = [decrypts, encrypts];
    let done = served(&mut simulation, &mut floods, 100_000_000);
    // One at a time, each as soon as the last is fetched: one every other step of a millisecond, while 20,000 decrypts
    // wait that would take a third of a second.
    assert!(done[1] >= 48, "{done:?}");
    assert!(done[0] > 1_000, "{done:?}");
}

#[test]
fn whose_first_operation_is_cancelled_or_has_no_device_is_neither_starved_nor_favoured() {
    let (mut simulation, runtime) = simulation(Config { seed: 17, ..Config::default() });
    add_sim(&runtime, "sim0", 1);
    let low = ctr(&runtime, |spec: SessionSpec| spec.priority(0));
    let tied = ctr(&runtime, |spec: SessionSpec| spec.priority(0).bind(Bind::only("hsm")));
    let high = ctr(&runtime, |spec: SessionSpec| spec.priority(7));
    let mut floods = [Flood::new(&high, 400, 1_024), Flood::new(&low, 400, 16_384)];
    floods[0].go_on();
    let mut context = Context::from_waker(Waker::noop());
    let mut cancelled = Box::pin(low.submit(Request::encrypt(vec![0; 64], [3; 16])));
    assert!(cancelled.as_mut().poll(&mut context).is_pending());
    let mut waits = Box::pin(tied.submit(Request::encrypt(vec![0; 16], [3; 16])));
    assert!(waits.as_mut().poll(&mut context).is_pending());
    drop(cancelled);
    served(&mut simulation, &mut floods, WINDOW_NS);
    let done = served(&mut simulation, &mut floods, 5 * WINDOW_NS);
    let work = [done[0] * (1_024 + 256), done[1] * (16_384 + 256)];
    println!("work of priority 7 and 0: {work:?}");
    let percent = work[1] as f64 / work[0] as f64 * 100.0;
    assert!((1.5..2.5).contains(&percent), "{percent} %");
}
