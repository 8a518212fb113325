//! I7: every limit holds at the limit and refuses one above it, by type, with everything handed back.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use acrypto_core::simulation::Simulation;
use acrypto_core::{
    Algorithm, Config, Error, FaultMode, FaultSpec, Feed, Key, LoadSpec, Refused, Request, Runtime, Session,
    SessionSpec, block_on,
};

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

fn with_sim(config: Config, parameters: &[(&str, &str)]) -> Simulation {
    let simulation = Simulation::new(Config { workers: 1, ..config });
    let parameters: Vec<_> =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    simulation.runtime().add_device_of_kind("sim0", "sim", &parameters, 0).unwrap();
    simulation
}

fn ctr(runtime: &Runtime) -> Session {
    runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![7; 16])).unwrap()
}

fn request(number: u64) -> Request {
    Request::encrypt(vec![number as u8; 64], [9; 16]).with_user_data(number)
}

fn is_untouched(refused: &Refused, number: u64) -> bool {
    let request = &refused.request;
    request.data == vec![number as u8; 64] && request.iv.as_slice() == [9; 16] && request.user_data == number
}

fn soft(config: Config) -> Runtime {
    let runtime = Runtime::start(Config { workers: 1, ..config }).unwrap();
    runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    runtime
}

#[test]
fn i7_a_full_main_queue_hands_the_request_back_and_wakes_when_there_is_room() {
    let mut simulation = with_sim(Config { main_queue_max_ops: 8, ..Config::default() }, &[]);
    let runtime = simulation.runtime().clone();
    let session = ctr(&runtime);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut context = Context::from_waker(&waker);

    let mut futures: Vec<_> = (0..8).map(|number| session.submit(request(number))).collect();
    for future in &mut futures[..7] {
        assert!(pin!(future).poll(&mut context).is_pending());
    }
    assert!(pin!(runtime.ready()).poll(&mut context).is_ready(), "seven of eight");
    assert!(pin!(&mut futures[7]).poll(&mut context).is_pending(), "the eighth fits");
    let Poll::Ready(Err(refused)) = pin!(session.submit(request(8))).poll(&mut context) else {
        panic!("the ninth must be refused");
    };
    assert_eq!(refused.error, Error::Full { limit: 8 });
    assert!(is_untouched(&refused, 8));
    let stats = runtime.stats();
    assert_eq!((stats.accepted_ops, stats.refused_ops, stats.main_queue_ops), (8, 1, 8));

    let mut ready = pin!(runtime.ready());
    assert!(ready.as_mut().poll(&mut context).is_pending());
    simulation.advance(10_000_000);
    let before = wakes.0.load(Ordering::Acquire);
    assert!(ready.as_mut().poll(&mut context).is_pending(), "results not fetched still hold their slots");
    let Poll::Ready(Ok(completion)) = pin!(&mut futures[0]).poll(&mut context) else {
        panic!("the first must be done");
    };
    assert_eq!((completion.result, completion.user_data), (Ok(()), 0));
    assert!(wakes.0.load(Ordering::Acquire) > before, "room again");
    assert!(ready.poll(&mut context).is_ready());
    assert!(pin!(session.submit(refused.request)).poll(&mut context).is_pending());
}

#[test]
fn i7_a_burst_keeps_what_did_not_fit_in_its_order() {
    let mut simulation = with_sim(Config { main_queue_max_ops: 8, ..Config::default() }, &[]);
    let session = ctr(simulation.runtime());
    let mut burst = session.burst(16);
    let mut requests: Vec<Request> = (0..12).map(request).collect();
    assert_eq!(burst.submit(&mut requests), 8);
    let left: Vec<u64> = requests.iter().map(|request| request.user_data).collect();
    assert_eq!(left, [8, 9, 10, 11]);
    assert!(burst.refused().is_empty());
    simulation.advance(10_000_000);
    let mut completions = Vec::new();
    assert_eq!(burst.poll(&mut completions, 16), 8);
    assert_eq!(burst.submit(&mut requests), 4);
}

#[test]
fn i7_a_burst_ring_takes_its_capacity_and_not_one_more() {
    let simulation = with_sim(Config::default(), &[]);
    let session = ctr(simulation.runtime());
    let mut burst = session.burst(5);
    let mut requests: Vec<Request> = (0..6).map(request).collect();
    assert_eq!((burst.submit(&mut requests), requests.len(), burst.outstanding_ops()), (5, 1, 5));
}

#[test]
fn i7_a_batch_refuses_what_does_not_fit_and_does_the_rest() {
    // What is carried out at once takes no place in the main queue.
    let runtime = soft(Config { main_queue_max_ops: 8, inline_max_ns: 0, ..Config::default() });
    let results = block_on(ctr(&runtime).submit_batch((0..9).map(request).collect()));
    assert!(results[..8].iter().all(|result| result.as_ref().is_ok_and(|done| done.result.is_ok())));
    let refused = results[8].as_ref().unwrap_err();
    assert_eq!(refused.error, Error::Full { limit: 8 });
    assert!(is_untouched(refused, 8));
}

#[test]
fn i7_a_device_queue_never_holds_more_than_its_limit() {
    for (parameters, config_limit, limit) in [(&[("queue", "3")], 512, 3), (&[("queue", "64")], 2, 2)] {
        let config = Config { device_queue_max_ops: config_limit, ..Config::default() };
        let mut simulation = with_sim(config, parameters);
        let runtime = simulation.runtime().clone();
        assert_eq!(runtime.device("sim0").unwrap().queue_max_ops, limit);
        let session = ctr(&runtime);
        let mut burst = session.burst(64);
        let mut requests: Vec<Request> = (0..64).map(request).collect();
        assert_eq!(burst.submit(&mut requests), 64);
        let mut completions = Vec::new();
        while completions.len() < 64 {
            let queue = runtime.queue();
            let [device] = queue.devices.as_slice() else { panic!("one device") };
            assert!(device.queued_ops <= limit as u64, "{} queued, at most {limit}", device.queued_ops);
            simulation.advance(1_000);
            burst.poll(&mut completions, 64);
        }
    }
}

#[test]
fn i7_devices_up_to_the_limit() {
    let runtime = Runtime::start(Config { devices_max: 2, workers: 1, ..Config::default() }).unwrap();
    for name in ["null0", "null1"] {
        runtime.add_device_of_kind(name, "null", &[], 0).unwrap();
    }
    let error = runtime.add_device_of_kind("null2", "null", &[], 0).unwrap_err();
    assert_eq!(error.to_string(), "limit of 2 devices reached");
    assert_eq!(runtime.devices().len(), 2);
    runtime.remove_device("null1", 0, 0).unwrap();
    block_on(runtime.device_gone("null1"));
    runtime.add_device_of_kind("null2", "null", &[], 0).unwrap();
}

#[test]
fn i7_sessions_up_to_the_limit() {
    let runtime = soft(Config { sessions_max: 2, ..Config::default() });
    let (first, _second) = (ctr(&runtime), ctr(&runtime));
    let key = || Key::new(vec![7; 16]);
    let error = runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), key()).unwrap_err();
    assert_eq!(error, Error::Limit { what: "sessions", limit: 2 });
    drop(first.clone());
    assert!(runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), key()).is_err(), "a clone is no session");
    drop(first);
    let third = runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), key()).unwrap();
    assert_eq!(runtime.sessions().iter().map(|session| session.id).collect::<Vec<_>>(), [2, third.id()]);
}

#[test]
fn i7_loads_up_to_the_limit_and_within_their_bounds() {
    let runtime = soft(Config { loads_max: 2, ..Config::default() });
    let spec = LoadSpec {
        algorithm: Algorithm::Aes128Ctr,
        size_bytes: 64,
        clients: 1,
        rate_ops_per_s: Some(10.0),
        for_ns: None,
    };
    let first = runtime.start_load(spec.clone(), 0).unwrap();
    runtime.start_load(spec.clone(), 0).unwrap();
    let error = runtime.start_load(spec.clone(), 0).unwrap_err();
    assert_eq!(error.to_string(), "limit of 2 loads reached");
    assert_eq!(runtime.sessions().len(), 2, "the refused load left no session");
    runtime.stop_load(first, 0).unwrap();
    assert_eq!(runtime.stop_load(first, 0), Err(Error::UnknownLoad { id: first }));

    for at_limit in
        [LoadSpec { size_bytes: 1 << 20, ..spec.clone() }, LoadSpec { clients: 1_024, ..spec.clone() }]
    {
        let id = runtime.start_load(at_limit, 0).unwrap();
        runtime.stop_load(id, 0).unwrap();
    }
    for (over, text) in [
        (
            LoadSpec { size_bytes: (1 << 20) + 1, ..spec.clone() },
            "parameter 'size': '1048577' is not from 0 to 1048576",
        ),
        (LoadSpec { clients: 1_025, ..spec.clone() }, "parameter 'clients': '1025' is not from 1 to 1024"),
        (LoadSpec { clients: 0, ..spec.clone() }, "parameter 'clients': '0' is not from 1 to 1024"),
        (LoadSpec { rate_ops_per_s: Some(0.0), ..spec.clone() }, "parameter 'rate': '0' is not above 0"),
        (LoadSpec { rate_ops_per_s: Some(f64::NAN), ..spec }, "parameter 'rate': 'NaN' is not above 0"),
    ] {
        assert_eq!(runtime.start_load(over, 0).unwrap_err().to_string(), text);
    }
    runtime.shutdown();
}

#[test]
fn i7_an_operation_up_to_the_limit_of_bytes() {
    let runtime = soft(Config { op_max_bytes: 1_000, ..Config::default() });
    let session = ctr(&runtime);
    let done = session.call(Request::encrypt(vec![1; 1_000], [9; 16])).unwrap();
    assert_eq!((done.result, done.data.len()), (Ok(()), 1_000));
    let refused = session.call(Request::encrypt(vec![1; 1_001], [9; 16])).unwrap_err();
    assert_eq!(refused.to_string(), "operation of 1001 bytes exceeds the limit of 1000");
    assert_eq!(refused.request.data, vec![1; 1_001]);
}

#[test]
fn i7_the_event_ring_keeps_its_limit_and_a_late_reader_is_told() {
    let runtime = Runtime::start(Config { events_max: 4, workers: 1, ..Config::default() }).unwrap();
    let mut reader = runtime.events().subscribe(Some(0));
    for number in 0..4 {
        runtime.add_device_of_kind(&format!("null{number}"), "null", &[], 0).unwrap();
    }
    assert_eq!((runtime.events().oldest_seq(), runtime.events().last_seq()), (1, 4));
    runtime.add_device_of_kind("null4", "null", &[], 0).unwrap();
    assert_eq!((runtime.events().oldest_seq(), runtime.events().last_seq()), (2, 5));
    assert_eq!(reader.try_next(), Some(Feed::Lost(1)));
    let names: Vec<String> = std::iter::from_fn(|| reader.try_next())
        .map(|feed| match feed {
            Feed::Event(event) => event.name.clone(),
            Feed::Lost(count) => panic!("{count} lost"),
            Feed::Closed => panic!("the runtime is there"),
        })
        .collect();
    assert_eq!(names, ["null1", "null2", "null3", "null4"]);
}

#[test]
fn i7_a_name_has_up_to_63_characters_of_a_known_alphabet() {
    let runtime = Runtime::start(Config { workers: 1, ..Config::default() }).unwrap();
    runtime.add_device_of_kind(&"x".repeat(63), "null", &[], 0).unwrap();
    for bad in ["", &"x".repeat(64), "a b", "a/b", "a\n", "ä"] {
        let error = runtime.add_device_of_kind(bad, "null", &[], 0).unwrap_err();
        assert_eq!(error, Error::BadName { name: bad.to_owned() });
    }
    let error = runtime.add_device_of_kind(&"x".repeat(63), "null", &[], 0).unwrap_err();
    assert_eq!(error, Error::DeviceExists { name: "x".repeat(63) });
    assert_eq!((runtime.devices().len(), runtime.events().last_seq()), (1, 1));
}

#[test]
fn a_bad_parameter_is_refused_by_name_and_leaves_no_device() {
    let runtime = Runtime::start(Config { workers: 1, ..Config::default() }).unwrap();
    for (kind, name, value, text) in [
        ("sim", "lanes", "65", "parameter 'lanes': '65' is not a whole number from 1 to 64"),
        ("sim", "rate", "0", "parameter 'rate': '0' is not a whole number from 1 to 1125899906842624"),
        ("sim", "op-ns", "fast", "parameter 'op-ns': 'fast' is not a whole number from 0 to 60000000000"),
        ("sim", "jitter", "1.1", "parameter 'jitter': '1.1' is not a number from 0 to 1"),
        ("sim", "queue", "65537", "parameter 'queue': '65537' is not a whole number from 1 to 65536"),
        (
            "sim",
            "colour",
            "red",
            "unknown parameter 'colour' (known: rate, op-ns, jitter, lanes, queue, seed)",
        ),
        ("soft", "lanes", "1", "unknown parameter 'lanes' (known: none)"),
        ("hsm", "slot", "1", "unknown device kind 'hsm'"),
    ] {
        let parameters = [(name.to_owned(), value.to_owned())];
        assert_eq!(runtime.add_device_of_kind("d", kind, &parameters, 0).unwrap_err().to_string(), text);
    }
    assert!(runtime.devices().is_empty());
}

#[test]
fn a_bad_fault_is_refused_and_none_is_put_on() {
    let runtime = soft(Config::default());
    let error = FaultSpec::new(FaultMode::Error);
    for (spec, text) in [
        (FaultSpec { rate: Some(-0.1), ..error.clone() }, "parameter 'rate': '-0.1' is not from 0 to 1"),
        (FaultSpec { every: Some(0), ..error.clone() }, "parameter 'every': '0' is not at least 1"),
    ] {
        assert_eq!(runtime.break_device("soft0", Some(spec), 0).unwrap_err().to_string(), text);
    }
    assert_eq!(runtime.device("soft0").unwrap().fault, None);
    let missing = runtime.break_device("soft9", Some(error), 0).unwrap_err();
    assert_eq!(missing.to_string(), "device 'soft9' not found");
}

#[test]
fn a_request_that_does_not_fit_its_algorithm_is_refused_with_the_lengths() {
    let runtime = soft(Config::default());
    let session = |algorithm: Algorithm| {
        let key = Key::new(vec![7; *algorithm.key_len().start()]);
        runtime.session(SessionSpec::new(algorithm), key).unwrap()
    };
    for (algorithm, request, text) in [
        (
            Algorithm::Aes128Cbc,
            Request::encrypt(vec![0; 17], [0; 16]),
            "aes-128-cbc without padding needs a multiple of 16 bytes, got 17",
        ),
        (
            Algorithm::Aes128Cbc,
            Request::encrypt(vec![0; 16], [0; 12]),
            "aes-128-cbc needs an iv of 16 bytes, got 12",
        ),
        (
            Algorithm::Aes128Gcm,
            Request::decrypt(vec![0; 15], [0; 12]),
            "aes-128-gcm needs at least 16 bytes (the tag), got 15",
        ),
        (
            Algorithm::Aes128Ctr,
            Request::encrypt(vec![], [0; 16]).with_aad(vec![1]),
            "aes-128-ctr takes no associated data",
        ),
        (Algorithm::Sha256, Request::mac(vec![]), "sha256 cannot mac"),
    ] {
        let refused = session(algorithm).call(request).unwrap_err();
        assert_eq!(refused.to_string(), text);
    }
    assert_eq!(runtime.stats().refused_ops, 5);
    assert_eq!(runtime.stats().accepted_ops, 0);
}

#[test]
fn i7_a_tenant_holds_its_limit_and_hears_when_there_is_room() {
    let mut simulation = with_sim(Config::default(), &[]);
    let runtime = simulation.runtime().clone();
    runtime.set_tenant("small", None, Some(5), 0).unwrap();
    let spec = SessionSpec::new(Algorithm::Aes128Ctr).tenant("small");
    let session = runtime.session(spec, Key::new(vec![7; 16])).unwrap();
    let mut burst = session.burst(16);
    let mut requests: Vec<Request> = (0..6).map(request).collect();
    assert_eq!((burst.submit(&mut requests), requests.len()), (5, 1));
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Err(refused)) = pin!(session.submit(requests.remove(0))).poll(&mut context) else {
        panic!("the sixth must be refused");
    };
    assert_eq!(refused.error, Error::TenantFull { tenant: "small".to_owned(), limit: 5 });
    assert!(is_untouched(&refused, 5));

    let mut ready = pin!(session.ready());
    assert!(ready.as_mut().poll(&mut context).is_pending());
    assert!(pin!(runtime.ready()).poll(&mut context).is_ready(), "others have room");
    simulation.advance(10_000_000);
    assert!(ready.poll(&mut context).is_ready());
    assert_eq!(burst.submit(&mut vec![refused.request]), 1);
}
