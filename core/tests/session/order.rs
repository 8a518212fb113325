//! I3: in an ordered session results come in the order of submission, whatever the devices do.

use std::sync::{Arc, Mutex};

use acrypto_core::{Completion, Config, FaultMode, FaultSpec, OpError, Request, Runtime, Session};

use super::{add_sim, add_soft, ctr, simulation};

fn request(number: u64) -> Request {
    // Larger ones first, so that later ones overtake them on the devices.
    let bytes = if number.is_multiple_of(3) { 60_000 } else { 64 };
    Request::encrypt(vec![number as u8; bytes], [1; 16]).with_user_data(number)
}

fn ordered(runtime: &Runtime) -> Session {
    ctr(runtime, |spec| spec.ordered(true))
}

fn numbers(completions: &[Completion]) -> Vec<u64> {
    completions.iter().map(|completion| completion.user_data).collect()
}

#[test]
fn i3_a_ring_gives_results_in_the_order_of_submission() {
    let (mut simulation, runtime) = simulation(Config { seed: 1, ..Config::default() });
    for (name, seed) in [("sim0", 1), ("sim1", 2)] {
        add_sim(&runtime, name, seed);
    }
    let run = |session: Session, simulation: &mut acrypto_core::simulation::Simulation| {
        let mut burst = session.burst(512);
        let mut requests: Vec<Request> = (0..300).map(request).collect();
        assert_eq!(burst.submit(&mut requests), 300);
        let mut done = Vec::new();
        while done.len() < 300 {
            simulation.advance(100_000);
            burst.poll(&mut done, 512);
        }
        numbers(&done)
    };
    let in_order: Vec<u64> = (0..300).collect();
    assert_eq!(run(ordered(&runtime), &mut simulation), in_order);
    assert_ne!(run(ctr(&runtime, |spec| spec), &mut simulation), in_order, "the test must be able to fail");
}

#[test]
fn i3_callbacks_come_in_order_and_one_at_a_time_on_real_threads() {
    let runtime = Runtime::start(Config { workers: 2, ..Config::default() }).unwrap();
    add_soft(&runtime, "soft0");
    add_soft(&runtime, "soft1");
    let seen = Arc::new(Mutex::new((Vec::new(), false)));
    let callback = {
        let seen = Arc::clone(&seen);
        ordered(&runtime).with_callback(move |completion| {
            let mut seen = seen.try_lock().expect("one at a time");
            assert!(!std::mem::replace(&mut seen.1, true));
            seen.0.push(completion.user_data);
            seen.1 = false;
        })
    };
    for number in 0..5_000 {
        let mut next = request(number);
        while let Err(refused) = callback.submit(next) {
            next = refused.request;
            acrypto_core::block_on(runtime.ready());
        }
    }
    while runtime.stats().main_queue_ops > 0 {
        std::thread::yield_now();
    }
    assert_eq!(seen.lock().unwrap().0, (0..5_000).collect::<Vec<u64>>());
}

#[test]
fn i3_a_cancelled_operation_leaves_no_hole() {
    let (mut simulation, runtime) = simulation(Config { seed: 2, ..Config::default() });
    add_sim(&runtime, "sim0", 1);
    let session = ordered(&runtime);
    let mut futures: Vec<_> = (0..40).map(|number| Some(Box::pin(session.submit(request(number))))).collect();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for future in futures.iter_mut().flatten() {
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    simulation.advance(50_000);
    futures.iter_mut().step_by(2).for_each(|future| *future = None);
    simulation.advance(1_000_000_000);
    for (number, mut future) in futures.into_iter().enumerate().filter_map(|(n, f)| Some((n, f?))) {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(Ok(completion)) => assert_eq!(completion.user_data, number as u64),
            other => panic!("{number}: {other:?}"),
        }
    }
    let stats = runtime.stats();
    assert_eq!((stats.main_queue_ops, stats.held_back_ops, stats.cancelled_ops), (0, 0, 20));
}

#[test]
fn i3_a_lost_operation_holds_the_others_until_its_deadline_and_no_longer() {
    let config = Config { seed: 3, deadline_ns: 100_000_000, ..Config::default() };
    let (mut simulation, runtime) = simulation(config);
    add_sim(&runtime, "sim0", 1);
    let fault = FaultSpec { count: Some(1), ..FaultSpec::new(FaultMode::Lost) };
    runtime.break_device("sim0", Some(fault), 0).unwrap();
    simulation.advance(1_000_000);
    let session = ordered(&runtime);
    // More than one thread hands over at a time.
    let mut burst = session.burst(700);
    burst.submit(&mut (0..700).map(|number| request(3 * number + 1).with_user_data(number)).collect());
    let mut done = Vec::new();
    simulation.advance(50_000_000);
    assert_eq!(burst.poll(&mut done, 700), 0, "the first is missing");
    assert!(runtime.stats().held_back_ops >= 690, "{:?}", runtime.stats());
    simulation.advance(400_000_000);
    burst.poll(&mut done, 700);
    assert_eq!(numbers(&done), (0..700).collect::<Vec<u64>>());
    assert!(matches!(done[0].result, Err(OpError::TimedOut { .. })), "{:?}", done[0].result);
    assert!(done[1..].iter().all(|completion| completion.result.is_ok()));
}
