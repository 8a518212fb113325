//! Devices break, are repaired, come and go, in simulated time; no operation is lost.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod devices;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use acrypto_core::error::Progress;
use acrypto_core::simulation::Simulation;
use acrypto_core::{
    Algorithm, Completion, Config, DeviceState, Error, FaultMode, FaultSpec, Key, OpError, OpFuture, Request,
    Runtime, Session, SessionSpec, Severity,
};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const OWNER: u32 = 7;

fn simulation_of(devices: &[(&str, &str)]) -> Simulation {
    simulation_with(Config::default(), devices)
}

/// Devices take turns, so that each gets its share whatever its speed.
fn simulation_with(config: Config, devices: &[(&str, &str)]) -> Simulation {
    let simulation = Simulation::new(Config { workers: 2, seed: 3, ..config });
    let runtime = simulation.runtime();
    for (name, kind) in devices {
        runtime.add_device_of_kind(name, kind, &[], OWNER).unwrap();
    }
    runtime.set_balancer("round_robin_lb", None, OWNER).unwrap();
    simulation
}

fn ctr(runtime: &Runtime) -> Session {
    runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![7; 16])).unwrap()
}

fn expected() -> Vec<u8> {
    use ctr::cipher::{KeyIvInit, StreamCipher};
    let mut data = vec![1; 64];
    ctr::Ctr128BE::<aes::Aes128>::new(&[7; 16].into(), &[9; 16].into()).apply_keystream(&mut data);
    data
}

fn poll(future: &mut OpFuture<'_>) -> Option<Completion> {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result.unwrap()),
        Poll::Pending => None,
    }
}

/// Operations on their way.
#[derive(Default)]
struct Flock {
    pending: Vec<OpFuture<'static>>,
    done: Vec<Completion>,
}

impl Flock {
    fn submit(session: &Session, count: u64) -> Self {
        let submit =
            |number| session.submit_owned(Request::encrypt(vec![1; 64], [9; 16]).with_user_data(number));
        let mut flock = Self { pending: (0..count).map(submit).collect(), done: Vec::new() };
        flock.poll();
        flock
    }

    fn poll(&mut self) {
        let done = &mut self.done;
        self.pending.retain_mut(|future| match poll(future) {
            Some(completion) => {
                done.push(completion);
                false
            }
            None => true,
        });
    }

    /// Goes on until everything is done; each number once.
    fn finish(mut self, simulation: &mut Simulation) -> Vec<Completion> {
        let count = self.pending.len() + self.done.len();
        for _ in 0..10_000 {
            if self.pending.is_empty() {
                break;
            }
            simulation.advance(MS);
            self.poll();
        }
        self.done.sort_by_key(|completion| completion.user_data);
        let numbers: Vec<u64> = self.done.iter().map(|completion| completion.user_data).collect();
        assert_eq!(numbers, (0..count as u64).collect::<Vec<_>>());
        self.done
    }
}

fn all_good(completions: &[Completion]) {
    for completion in completions {
        assert_eq!(completion.result, Ok(()));
        assert_eq!(completion.data, expected());
    }
}

fn run(simulation: &mut Simulation, session: &Session, count: u64) {
    all_good(&Flock::submit(session, count).finish(simulation));
}

fn state(simulation: &Simulation, name: &str) -> DeviceState {
    simulation.runtime().device(name).unwrap().state
}

/// What happened to one device, as `kind from>to (reason)`.
fn story(runtime: &Runtime, name: &str) -> Vec<String> {
    let events = runtime.events().since(0, usize::MAX);
    let of_device = events.iter().filter(|event| event.object == "device" && event.name == name);
    of_device
        .map(|event| format!("{} {}>{} ({})", event.kind.name(), event.from, event.to, event.reason))
        .collect()
}

fn at_rest(runtime: &Runtime, ops: u64) {
    let stats = runtime.stats();
    assert_eq!((stats.accepted_ops, stats.completed_ops, stats.main_queue_ops), (ops, ops, 0));
    for device in runtime.devices() {
        let counters = device.counters;
        assert_eq!((counters.queued_ops, counters.in_flight_ops), (0, 0), "{}", device.name);
    }
}

#[test]
fn errors_beyond_the_budget_break_a_device_and_repair_brings_it_back() {
    for kind in ["soft", "sim"] {
        let mut simulation = simulation_of(&[("d0", kind), ("d1", "soft")]);
        let runtime = simulation.runtime().clone();
        let session = ctr(&runtime);
        run(&mut simulation, &session, 20);
        runtime.break_device("d0", Some(FaultSpec::new(FaultMode::Error)), OWNER).unwrap();
        assert_eq!(state(&simulation, "d0"), DeviceState::Up, "health has to find out");
        simulation.advance(MS);
        let done = Flock::submit(&session, 40).finish(&mut simulation);
        all_good(&done);
        assert!(done.iter().any(|completion| completion.attempts == 2));
        assert_eq!(state(&simulation, "d0"), DeviceState::Broken);
        let broken = runtime.device("d0").unwrap();
        assert!(broken.errors_ops >= 8 && broken.fault.is_some());

        let before = broken.counters.taken_ops;
        run(&mut simulation, &session, 20);
        assert_eq!(runtime.device("d0").unwrap().counters.taken_ops, before, "a broken device gets no work");

        runtime.repair_device("d0", OWNER).unwrap();
        assert_eq!(state(&simulation, "d0"), DeviceState::Selftest);
        run(&mut simulation, &session, 20);
        simulation.advance(100 * MS);
        assert_eq!(state(&simulation, "d0"), DeviceState::Probation);
        run(&mut simulation, &session, 20);
        simulation.advance(2 * SECOND);
        assert_eq!(state(&simulation, "d0"), DeviceState::Up);
        run(&mut simulation, &session, 20);
        assert!(runtime.device("d0").unwrap().counters.taken_ops >= before + 8);
        at_rest(&runtime, 140);

        let story = story(&runtime, "d0");
        assert_eq!(
            [&story[..3], &story[4..]].concat(),
            [
                format!("device >up (added, kind {kind})").as_str(),
                "fault none>error ()",
                "health up>degraded (1 errors in 10 s (budget 8): injected error)",
                "fault error>none ()",
                "health broken>selftest (repair)",
                "health selftest>probation (known answers passed)",
                "health probation>up (probation passed)",
            ]
        );
        // A run of several may overshoot the budget; what is kept of it does not.
        assert_eq!(story[3], "health degraded>broken (8 errors in 10 s (budget 8): injected error)");
    }
}

#[test]
fn a_broken_device_without_a_stand_in_breaks_its_operations_and_refuses_new_ones() {
    let mut simulation = simulation_of(&[("d0", "sim")]);
    let runtime = simulation.runtime().clone();
    let session = ctr(&runtime);
    let flock = Flock::submit(&session, 100);
    runtime.break_device("d0", None, OWNER).unwrap();
    for completion in flock.finish(&mut simulation) {
        assert!(matches!(completion.result, Err(OpError::Broken { .. })), "{:?}", completion.result);
        assert!(completion.source_intact);
        assert_eq!(completion.data, vec![1; 64], "the input comes back");
    }
    at_rest(&runtime, 100);
    let refused = session.call(Request::encrypt(vec![1; 64], [9; 16])).unwrap_err();
    assert_eq!(refused.to_string(), "no usable device for aes-128-ctr");
    let error = runtime.session(SessionSpec::new(Algorithm::Sha256), Key::none()).unwrap_err();
    assert_eq!(error, Error::NoDevice { algorithm: Algorithm::Sha256 });
}

#[test]
fn a_device_broken_by_hand_hands_its_work_over() {
    let mut simulation = simulation_of(&[("d0", "sim"), ("d1", "sim")]);
    let runtime = simulation.runtime().clone();
    let session = ctr(&runtime);
    let mut flock = Flock::submit(&session, 200);
    simulation.advance(MS / 10);
    let held = runtime.device("d0").unwrap().counters;
    assert!(held.in_flight_ops > 0, "{held:?}");
    flock.poll();
    runtime.break_device("d0", None, OWNER).unwrap();
    let again = runtime.break_device("d0", None, OWNER).unwrap_err();
    assert_eq!(again.to_string(), "device 'd0' is broken, cannot break");
    let done = flock.finish(&mut simulation);
    all_good(&done);
    let moved = done.iter().filter(|completion| completion.attempts > 1).count() as u64;
    assert_eq!(moved, held.in_flight_ops + held.queued_ops);
    at_rest(&runtime, 200);
    assert_eq!(runtime.device("d0").unwrap().state_reason, "broken by hand");
    runtime.repair_device("d0", OWNER).unwrap();
    simulation.advance(3 * SECOND);
    assert_eq!(state(&simulation, "d0"), DeviceState::Up, "{:?}", story(&runtime, "d0"));
}

#[test]
fn a_degraded_device_is_up_again_after_a_quiet_window() {
    let mut simulation = simulation_of(&[("d0", "soft"), ("d1", "soft")]);
    let runtime = simulation.runtime().clone();
    let session = ctr(&runtime);
    let three = FaultSpec { count: Some(3), ..FaultSpec::new(FaultMode::Error) };
    runtime.break_device("d0", Some(three), OWNER).unwrap();
    simulation.advance(MS);
    run(&mut simulation, &session, 40);
    assert_eq!(state(&simulation, "d0"), DeviceState::Degraded);
    assert_eq!(runtime.device("d0").unwrap().errors_ops, 3, "the fault hits three operations");
    simulation.advance(9 * SECOND);
    assert_eq!(state(&simulation, "d0"), DeviceState::Degraded);
    simulation.advance(SECOND + 100 * MS);
    assert_eq!(state(&simulation, "d0"), DeviceState::Up);
    assert_eq!(story(&runtime, "d0").last().unwrap(), "health degraded>up (no error in 10 s)");
    at_rest(&runtime, 40);
}

#[test]
fn a_fault_with_a_rate_hits_about_that_share_and_the_same_each_time() {
    let errors = |seed| {
        let config = Config { error_budget_ops: 10_000, ..Config::default() };
        let mut simulation = simulation_with(config, &[("d0", "soft"), ("d1", "soft")]);
        let runtime = simulation.runtime().clone();
        let session = ctr(&runtime);
        let half = FaultSpec { rate: Some(0.5), seed, ..FaultSpec::new(FaultMode::Error) };
        runtime.break_device("d0", Some(half), OWNER).unwrap();
        simulation.advance(MS);
        run(&mut simulation, &session, 1_000);
        at_rest(&runtime, 1_000);
        let device = runtime.device("d0").unwrap();
        (device.errors_ops, device.counters.finished_ops)
    };
    let (hit, finished) = errors(5);
    assert!((finished * 4 / 10..finished * 6 / 10).contains(&hit), "{hit} of {finished}");
    assert_eq!(errors(5), (hit, finished));
    assert_ne!(errors(6).0, hit);
}

#[test]
fn a_fault_ends_when_its_time_is_over() {
    let mut simulation = simulation_of(&[("d0", "soft"), ("d1", "soft")]);
    let runtime = simulation.runtime().clone();
    let session = ctr(&runtime);
    let short = FaultSpec { for_ns: Some(SECOND), ..FaultSpec::new(FaultMode::Error) };
    runtime.break_device("d0", Some(short), OWNER).unwrap();
    simulation.advance(2 * SECOND);
    run(&mut simulation, &session, 20);
    let device = runtime.device("d0").unwrap();
    assert_eq!((device.state, device.errors_ops, device.fault), (DeviceState::Up, 0, None));
    assert_eq!(story(&runtime, "d0").last().unwrap(), "fault error>none ()");
}

#[test]
fn an_error_in_probation_breaks_the_device_at_once() {
    let mut simulation = simulation_of(&[("d0", "soft"), ("d1", "soft")]);
    let runtime = simulation.runtime().clone();
    let session = ctr(&runtime);
    runtime.break_device("d0", None, OWNER).unwrap();
    runtime.repair_device("d0", OWNER).unwrap();
    simulation.advance(100 * MS);
    assert_eq!(state(&simulation, "d0"), DeviceState::Probation);
    runtime.break_device("d0", Some(FaultSpec::new(FaultMode::Error)), OWNER).unwrap();
    run(&mut simulation, &session, 200);
    assert_eq!(state(&simulation, "d0"), DeviceState::Broken);
    assert_eq!(runtime.device("d0").unwrap().state_reason, "error in probation: injected error");
    at_rest(&runtime, 200);
}

#[test]
fn a_device_in_probation_gets_a_hundredth_then_a_tenth_of_the_load() {
    let mut simulation = simulation_of(&[("d0", "soft"), ("d1", "soft")]);
    let runtime = simulation.runtime().clone();
    let session = ctr(&runtime);
    runtime.break_device("d0", None, OWNER).unwrap();
    runtime.repair_device("d0", OWNER).unwrap();
    simulation.advance(100 * MS);
    let mut taken = 0;
    for (percent, share) in [(1, 5..=20), (10, 50..=200)] {
        assert_eq!(runtime.device("d0").unwrap().probation_percent, percent);
        run(&mut simulation, &session, 1_000);
        let now = runtime.device("d0").unwrap().counters.taken_ops;
        assert!(share.contains(&(now - taken)), "{} of 1000 at {percent} %", now - taken);
        taken = now;
        simulation.advance(SECOND);
    }
    assert_eq!(
        (state(&simulation, "d0"), runtime.device("d0").unwrap().probation_percent),
        (DeviceState::Up, 100)
    );
}

#[test]
fn i10_a_device_that_fails_its_known_answers_leaves_no_row_but_an_event() {
    for (engine, reason) in [
        {
            let (engine, switch) = devices::corrupting();
            switch.set(true);
            (engine, "failed its known answers: aes-128-ecb encrypt")
        },
        {
            let (engine, switch) = devices::hanging();
            switch.set(true);
            (engine, "failed its known answers: aes-128-ecb encrypt: no answer")
        },
    ] {
        let simulation = simulation_of(&[]);
        let runtime = simulation.runtime();
        let error = runtime.add_device("bad0", engine, OWNER).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert!(runtime.devices().is_empty() && !runtime.serves(Algorithm::Aes128Ctr));
        let events = runtime.events().since(0, usize::MAX);
        let event = events.iter().find(|event| event.object == "device").unwrap();
        assert_eq!((event.to.as_str(), event.severity, event.uid), ("refused", Severity::Error, OWNER));
        assert_eq!((event.name.as_str(), &event.reason), ("bad0", &error.to_string()));
        assert_eq!(runtime.add_device_of_kind("bad0", "soft", &[], OWNER).map(|_| ()), Ok(()));
    }
}

#[test]
fn i10_a_repair_that_fails_its_known_answers_gives_no_work_until_one_passes() {
    for make in [devices::corrupting, devices::hanging] {
        let mut simulation = simulation_of(&[("d1", "soft")]);
        let runtime = simulation.runtime().clone();
        let session = ctr(&runtime);
        let (engine, switch) = make();
        runtime.add_device("d0", engine, OWNER).unwrap();
        runtime.break_device("d0", None, OWNER).unwrap();
        switch.set(true);
        runtime.repair_device("d0", OWNER).unwrap();
        simulation.advance(6 * SECOND);
        assert_eq!(state(&simulation, "d0"), DeviceState::Failed);
        let before = runtime.device("d0").unwrap().counters.taken_ops;
        run(&mut simulation, &session, 20);
        assert_eq!(runtime.device("d0").unwrap().counters.taken_ops, before);
        switch.set(false);
        runtime.repair_device("d0", OWNER).unwrap();
        simulation.advance(3 * SECOND);
        assert_eq!(state(&simulation, "d0"), DeviceState::Up);
        run(&mut simulation, &session, 20);
        assert!(runtime.device("d0").unwrap().counters.taken_ops > before);
    }
}

#[test]
fn i8_a_removed_device_hands_its_queue_over_and_ends() {
    for kind in ["sim", "soft"] {
        let mut simulation = simulation_of(&[("d0", kind), ("d1", "sim")]);
        let runtime = simulation.runtime().clone();
        let session = ctr(&runtime);
        let flock = Flock::submit(&session, 200);
        runtime.remove_device("d0", 10 * SECOND, OWNER).unwrap();
        assert_eq!(state(&simulation, "d0"), DeviceState::Draining);
        let again = runtime.remove_device("d0", 0, OWNER).unwrap_err();
        assert_eq!(again.to_string(), "device 'd0' is draining, cannot remove");
        assert!(
            runtime.repair_device("d0", OWNER).is_err() && runtime.break_device("d0", None, OWNER).is_err()
        );
        all_good(&flock.finish(&mut simulation));
        simulation.advance(100 * MS);
        assert_eq!(runtime.device("d0").unwrap_err(), Error::UnknownDevice { name: "d0".to_owned() });
        assert!(matches_gone(&runtime, "empty"));
        at_rest(&runtime, 200);
        runtime.add_device_of_kind("d0", kind, &[], OWNER).unwrap();
        run(&mut simulation, &session, 20);
    }
}

#[test]
fn i8_a_hung_device_is_gone_at_the_deadline_and_its_operations_are_broken() {
    // Nobody takes anything back before the deadline.
    let config = Config { silence_ns: 0, ..Config::default() };
    let mut simulation = simulation_with(config, &[("d1", "soft")]);
    let runtime = simulation.runtime().clone();
    let (engine, switch) = devices::hanging();
    runtime.add_device("d0", engine, OWNER).unwrap();
    let session = ctr(&runtime);
    run(&mut simulation, &session, 8);
    switch.set(true);
    let mut flock = Flock::submit(&session, 40);
    simulation.advance(MS);
    flock.poll();
    let hung = runtime.device("d0").unwrap().counters.in_flight_ops;
    assert!(hung > 0);
    runtime.remove_device("d0", SECOND, OWNER).unwrap();
    simulation.advance(990 * MS);
    flock.poll();
    assert_eq!(flock.pending.len() as u64, hung, "what was only queued has moved");
    let done = flock.finish(&mut simulation);
    let broken: Vec<&Completion> = done.iter().filter(|completion| completion.result.is_err()).collect();
    assert_eq!(broken.len() as u64, hung);
    for completion in broken {
        let (attempts, reason) = (completion.attempts, "device was removed");
        let progress = Progress::MaybeExecuted;
        assert_eq!(completion.result, Err(OpError::Broken { attempts, reason, progress }));
        assert_eq!(completion.data, vec![1; 64]);
    }
    assert!(runtime.device("d0").is_err() && matches_gone(&runtime, "deadline passed"));
    at_rest(&runtime, 48);
}

fn matches_gone(runtime: &Runtime, reason: &str) -> bool {
    story(runtime, "d0").contains(&format!("device draining>gone ({reason})"))
}

#[test]
fn i2_an_operation_on_a_hung_device_times_out_once_and_a_late_answer_is_dropped() {
    // Only the operations' own deadlines end it.
    let config = Config { silence_ns: 0, attempt_max_ns: 0, heartbeat_ns: 0, ..Config::default() };
    let mut simulation = simulation_with(config, &[]);
    let runtime = simulation.runtime().clone();
    let (engine, switch) = devices::hanging();
    runtime.add_device("d0", engine, OWNER).unwrap();
    let session = ctr(&runtime);
    switch.set(true);
    let mut flock = Flock::submit(&session, 4);
    simulation.advance(29 * SECOND);
    flock.poll();
    assert_eq!(flock.pending.len(), 4);
    for completion in flock.finish(&mut simulation) {
        assert_eq!(completion.result, Err(OpError::TimedOut { progress: Progress::MaybeExecuted }));
        assert_eq!(completion.data, vec![1; 64]);
    }
    switch.set(false);
    run(&mut simulation, &session, 20);
    at_rest(&runtime, 24);
}

#[test]
fn i5_a_dropped_session_is_forgotten_by_the_runtime_and_by_every_device() {
    for make in [devices::corrupting, devices::hanging] {
        let mut simulation = simulation_of(&[]);
        let runtime = simulation.runtime().clone();
        let (engine, switch) = make();
        runtime.add_device("d0", engine, OWNER).unwrap();
        let idle = switch.open();
        let session = ctr(&runtime);
        let clone = session.clone();
        run(&mut simulation, &session, 8);
        assert_eq!(switch.open(), idle + 1);
        drop(session);
        simulation.advance(100 * MS);
        assert_eq!((runtime.sessions().len(), switch.open()), (1, idle + 1), "a handle is left");

        let mut flock = Flock::submit(&clone, 4);
        drop(clone);
        flock.poll();
        assert!(flock.pending.is_empty() || runtime.sessions().len() == 1, "operations keep a session");
        all_good(&flock.finish(&mut simulation));
        simulation.advance(100 * MS);
        assert_eq!((runtime.sessions().len(), switch.open()), (0, idle));
        let events = runtime.events().since(0, usize::MAX);
        let last = events.last().unwrap();
        assert_eq!((last.object, last.from.as_str(), last.to.as_str()), ("session", "opened", "closed"));
    }
}

#[test]
fn i7_a_device_has_no_more_sessions_open_than_it_can() {
    let mut simulation = simulation_of(&[]);
    let runtime = simulation.runtime().clone();
    let (engine, switch) = devices::corrupting();
    runtime.add_device("d0", engine, OWNER).unwrap();
    let sessions: Vec<Session> = (0..5).map(|_| ctr(&runtime)).collect();
    for session in sessions.iter().chain(&sessions) {
        run(&mut simulation, session, 3);
        assert!(switch.open() <= 2);
    }
    drop(sessions);
    simulation.advance(100 * MS);
    assert_eq!((runtime.sessions().len(), switch.open()), (0, 0));
}
