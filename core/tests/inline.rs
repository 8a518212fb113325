//! Operations that a submitter carries out at once, and what becomes of them when the device fails them.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use acrypto_core::device::soft::Soft;
use acrypto_core::device::{DeviceInfo, DirectDevice, Engine, Handle, Run, Score};
use acrypto_core::simulation::Simulation;
use acrypto_core::{
    Algorithm, Bind, CallbackSession, Config, Error, Key, OpError, OpKind, Padding, Request, Runtime,
    Session, SessionSpec, Uses,
};

#[path = "moody/mod.rs"]
mod moody;

use moody::{Moody, PANICS, REFUSES, STOPS_HALF_WAY, WELL};

const IV: [u8; 16] = [9; 16];

/// No thread but this one, a moody device, and one to fall back on.
fn with_moody(with_other: bool) -> (Simulation, Arc<AtomicU8>) {
    let simulation = Simulation::new(Config { error_budget_ops: 1_000, ..Config::default() });
    let (engine, mood) = Moody::engine(|place| place % 2 == 1);
    simulation.runtime().add_device("moody0", engine, 0).unwrap();
    if with_other {
        simulation.runtime().add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    }
    (simulation, mood)
}

fn session(runtime: &Runtime) -> Session {
    let spec = SessionSpec::new(Algorithm::Aes128Ctr).bind(Bind::prefer("moody0"));
    runtime.session(spec, Key::new(vec![7; 16])).unwrap()
}

fn requests(count: u8) -> Vec<Request> {
    (0..count).map(|byte| Request::encrypt(vec![byte; 100], IV).with_user_data(u64::from(byte))).collect()
}

/// What `requests` come to.
fn expected(byte: u8) -> Vec<u8> {
    let runtime = Runtime::start(Config { workers: 1, ..Config::default() }).unwrap();
    runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    let session = runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![7; 16])).unwrap();
    session.call(Request::encrypt(vec![byte; 100], IV)).unwrap().data
}

fn sums_hold(runtime: &Runtime, ops: u64) {
    let stats = runtime.stats();
    assert_eq!((stats.accepted_ops, stats.completed_ops, stats.main_queue_ops), (ops, ops, 0));
    assert_eq!((stats.dispatched_ops, stats.started_ops, stats.finished_ops), (ops, ops, ops));
    for device in runtime.devices() {
        let counters = device.counters;
        assert_eq!((counters.queued_ops, counters.in_flight_ops), (0, 0), "{}", device.name);
    }
    let sessions = runtime.sessions();
    let submitted: u64 = sessions.iter().map(|session| session.submitted_ops).sum();
    let completed: u64 = sessions.iter().map(|session| session.completed_ops).sum();
    assert_eq!((submitted, completed), (ops, ops));
    let tenants = runtime.tenants();
    assert_eq!(tenants.iter().map(|tenant| tenant.completed_ops).sum::<u64>(), ops);
}

#[test]
fn i1_i2_what_a_device_fails_at_once_is_carried_out_elsewhere() {
    let (mut simulation, mood) = with_moody(true);
    let runtime = simulation.runtime().clone();
    let session = session(&runtime);
    let mut burst = session.burst(8);
    let mut all = Vec::new();
    for this in [WELL, REFUSES, WELL] {
        mood.store(this, Ordering::Relaxed);
        assert_eq!(burst.submit(&mut requests(8)), 8);
        for _ in 0..1_000 {
            simulation.step();
            burst.poll(&mut all, 8);
        }
        assert_eq!(burst.outstanding_ops(), 0, "none is lost");
    }
    assert_eq!(all.len(), 24);
    for completion in &all {
        assert!(completion.result.is_ok());
        assert_eq!(completion.data, expected(completion.user_data as u8), "{}", completion.user_data);
    }
    assert_eq!(all.iter().filter(|completion| completion.attempts == 2).count(), 4);
    sums_hold(&runtime, 24);
    assert_eq!(runtime.stats().total.count(), 24);
    assert_eq!(runtime.device("moody0").unwrap().errors_ops, 4);
}

#[test]
fn i4_what_was_left_half_done_is_wiped_and_told() {
    let (simulation, mood) = with_moody(true);
    let runtime = simulation.runtime().clone();
    let mut burst = session(&runtime).burst(8);
    mood.store(STOPS_HALF_WAY, Ordering::Relaxed);
    assert_eq!(burst.submit(&mut requests(8)), 8);
    let mut all = Vec::new();
    burst.poll(&mut all, 8);
    let (good, bad): (Vec<_>, Vec<_>) = all.iter().partition(|completion| completion.result.is_ok());
    assert_eq!((good.len(), bad.len()), (4, 4));
    for completion in bad {
        assert!(matches!(completion.result, Err(OpError::Broken { attempts: 1, reason: "moody", .. })));
        assert!(completion.data.iter().all(|byte| *byte == 0) && !completion.source_intact);
    }
    sums_hold(&runtime, 8);
    assert_eq!(runtime.stats().failed_ops, 4);
}

#[test]
fn i2_a_device_that_panics_at_once_ends_each_operation_once() {
    let (simulation, mood) = with_moody(true);
    let runtime = simulation.runtime().clone();
    let mut burst = session(&runtime).burst(8);
    mood.store(PANICS, Ordering::Relaxed);
    assert_eq!(burst.submit(&mut requests(8)), 8);
    let mut all = Vec::new();
    burst.poll(&mut all, 8);
    assert_eq!(all.iter().filter(|completion| completion.result.is_err()).count(), 8);
    sums_hold(&runtime, 8);
}

#[test]
fn i2_nobody_left_breaks_what_was_failed_at_once() {
    let (simulation, mood) = with_moody(false);
    let runtime = simulation.runtime().clone();
    let session = session(&runtime);
    mood.store(REFUSES, Ordering::Relaxed);
    let mut burst = session.burst(2);
    assert_eq!(burst.submit(&mut requests(2)), 2);
    let mut all = Vec::new();
    for _ in 0..1_000 {
        burst.poll(&mut all, 2);
    }
    assert_eq!(burst.outstanding_ops(), 0, "none is lost");
    let broken = all.iter().find(|completion| completion.result.is_err()).unwrap();
    assert!(matches!(broken.result, Err(OpError::Broken { attempts: 1, .. })));
    assert_eq!(broken.data, vec![1; 100], "the source is intact");
    sums_hold(&runtime, 2);
}

#[test]
fn i7_a_callback_that_submits_does_not_pile_up_on_the_stack() {
    const OPS: usize = 100_000;
    let runtime = Runtime::start(Config { workers: 1, ..Config::default() }).unwrap();
    runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    let session = runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![7; 16])).unwrap();
    let again: Arc<Mutex<Option<Arc<CallbackSession>>>> = Arc::default();
    let (done, ended) = (Arc::new(AtomicUsize::new(0)), std::sync::mpsc::channel());
    let callback = {
        let (again, done, end) = (Arc::clone(&again), Arc::clone(&done), ended.0);
        session.with_callback(move |completion| {
            let next = Request::encrypt(completion.data, IV);
            if done.fetch_add(1, Ordering::Relaxed) + 1 == OPS {
                end.send(()).unwrap();
                return;
            }
            let callback = again.lock().unwrap().clone();
            if let Some(callback) = callback {
                callback.submit(next).unwrap();
            }
        })
    };
    let callback = Arc::new(callback);
    *again.lock().unwrap() = Some(Arc::clone(&callback));
    callback.submit(Request::encrypt(vec![0; 64], IV)).unwrap();
    ended.1.recv().unwrap();
    again.lock().unwrap().take();
    assert_eq!(done.load(Ordering::Relaxed), OPS);
}

#[test]
fn i4_padding_is_put_on_and_judged_at_once_too() {
    let simulation = Simulation::new(Config::default());
    let runtime = simulation.runtime();
    runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    let spec = SessionSpec::new(Algorithm::Aes128Cbc).padding(Padding::Pkcs7);
    let session = runtime.session(spec, Key::new(vec![7; 16])).unwrap();
    let sealed = session.call(Request::encrypt(vec![5; 20], IV)).unwrap().data;
    assert_eq!(sealed.len(), 32);
    assert_eq!(session.call(Request::decrypt(sealed.clone(), IV)).unwrap().data, vec![5; 20]);
    let mut forged = sealed;
    forged[15] ^= 0x80;
    let broken = session.call(Request::decrypt(forged, IV)).unwrap();
    assert_eq!(broken.result, Err(OpError::DecryptionFailed));
    assert!(broken.data.is_empty());
    assert_eq!(runtime.stats().failed_ops, 1);
}

#[test]
fn an_operation_above_the_limit_of_short_work_goes_through_the_queue() {
    let simulation = Simulation::new(Config { inline_max_ns: 0, ..Config::default() });
    let runtime = simulation.runtime();
    runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    let session = runtime.session(SessionSpec::new(Algorithm::Sha256), Key::none()).unwrap();
    let mut burst = session.burst(1);
    burst.submit(&mut vec![Request::new(OpKind::Digest, vec![1; 64])]);
    assert_eq!(runtime.stats().queued_ops, 1);
    let mut done = Vec::new();
    assert_eq!(burst.poll(&mut done, 1), 1);
    sums_hold(runtime, 1);
}

/// Operations of 60 KiB: too long together to be short work, where nothing is known of the device yet.
fn long_burst(runtime: &Runtime, ops: usize) -> (Vec<Request>, Session) {
    let session = runtime.session(SessionSpec::new(Algorithm::Sha256), Key::none()).unwrap();
    ((0..ops).map(|_| Request::digest(vec![1; 60 << 10])).collect(), session)
}

#[test]
fn a_long_burst_is_carried_out_by_its_poller_where_nobody_else_could_take_a_part() {
    let simulation = Simulation::new(Config::default());
    let runtime = simulation.runtime();
    runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    let (mut requests, session) = long_burst(runtime, 32);
    let mut burst = session.burst(32);
    assert_eq!(burst.submit(&mut requests), 32);
    assert_eq!(runtime.stats().completed_ops, 32);
    let mut done = Vec::new();
    assert_eq!(burst.poll(&mut done, 32), 32);
    sums_hold(runtime, 32);
}

#[test]
fn a_long_burst_is_queued_where_an_idle_device_could_take_a_part() {
    let mut simulation = Simulation::new(Config::default());
    let runtime = simulation.runtime().clone();
    runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    runtime.add_device_of_kind("soft1", "soft", &[], 0).unwrap();
    let (mut requests, session) = long_burst(&runtime, 32);
    let mut burst = session.burst(32);
    assert_eq!(burst.submit(&mut requests), 32);
    assert_eq!((runtime.stats().completed_ops, runtime.stats().queued_ops), (0, 32));
    let mut done = Vec::new();
    while burst.outstanding_ops() > 0 {
        simulation.step();
        burst.poll(&mut done, 32);
    }
    sums_hold(&runtime, 32);
}

#[test]
fn a_long_batch_of_a_task_is_queued_since_it_may_have_something_better_to_do() {
    let simulation = Simulation::new(Config::default());
    let runtime = simulation.runtime();
    runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    let (requests, session) = long_burst(runtime, 32);
    let mut batch = std::pin::pin!(session.submit_batch(requests));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let _ = std::future::Future::poll(batch.as_mut(), &mut context);
    assert_eq!((runtime.stats().completed_ops, runtime.stats().queued_ops), (0, 32));
}

/// `soft`, which says that it gains by many at once, and notes how many there were.
struct Gaining(Soft, Arc<AtomicUsize>);

impl DirectDevice for Gaining {
    fn info(&self) -> DeviceInfo {
        DeviceInfo { kind: "gaining", ..self.0.info() }
    }
    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        self.0.probe(spec)
    }
    fn open(&self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        self.0.open(spec, key)
    }
    fn close(&self, handle: Handle) {
        self.0.close(handle);
    }
    fn execute(&self, run: &mut Run<'_>) {
        self.1.fetch_max(run.len(), Ordering::Relaxed);
        self.0.execute(run);
    }
    fn gains(&self, kind: OpKind, algorithm: Algorithm) -> bool {
        (kind, algorithm) == (OpKind::Encrypt, Algorithm::Aes128Cbc)
    }
}

#[test]
fn tasks_that_submit_at_the_same_time_make_one_run() {
    const TASKS: usize = 64;
    let simulation = Simulation::new(Config::default());
    let runtime = simulation.runtime();
    let most = Arc::new(AtomicUsize::new(0));
    let engine = Engine::Direct(Arc::new(Gaining(Soft::new(), Arc::clone(&most))));
    runtime.add_device("gaining0", engine, 0).unwrap();
    most.store(0, Ordering::Relaxed);
    let spec = SessionSpec::new(Algorithm::Aes128Cbc);
    let sessions: Vec<Session> =
        (0..TASKS).map(|key| runtime.session(spec.clone(), Key::new(vec![key as u8; 16])).unwrap()).collect();
    let executor = tokio::runtime::Builder::new_current_thread().build().unwrap();
    executor.block_on(async {
        let tasks: Vec<_> = sessions
            .iter()
            .map(|session| tokio::spawn(session.submit_owned(Request::encrypt(vec![3; 64], IV))))
            .collect();
        for task in tasks {
            assert!(task.await.unwrap().unwrap().result.is_ok());
        }
    });
    assert!(
        most.load(Ordering::Relaxed) >= TASKS - 1,
        "{most:?}: all but the first, who did not know of the others"
    );

    // One alone waits for nobody.
    most.store(0, Ordering::Relaxed);
    executor.block_on(async {
        for _ in 0..10 {
            let ready = sessions[0].submit(Request::encrypt(vec![3; 64], IV)).await;
            assert!(ready.unwrap().result.is_ok());
        }
    });
    assert_eq!(most.load(Ordering::Relaxed), 1);
}

#[test]
fn i2_i5_a_burst_of_many_sessions_uses_the_key_of_each() {
    for inline_max_ns in [0, Config::default().inline_max_ns] {
        let simulation =
            Simulation::new(Config { inline_max_ns, main_queue_max_ops: 24, ..Config::default() });
        let runtime = simulation.runtime();
        runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
        let spec = SessionSpec::new(Algorithm::Aes128Ctr);
        let sessions: Vec<Session> =
            (0..8).map(|key| runtime.session(spec.clone(), Key::new(vec![key; 16])).unwrap()).collect();
        let expected: Vec<Vec<u8>> = sessions
            .iter()
            .map(|session| session.call(Request::encrypt(vec![1; 100], IV)).unwrap().data)
            .collect();
        let mut burst = sessions[0].burst(64);
        let request = |number: usize| {
            (&sessions[number % 8], Request::encrypt(vec![1; 100], IV).with_user_data(number as u64))
        };
        let mut entries: Vec<(&Session, Request)> = (0..50).map(request).collect();
        let mut all = Vec::new();
        while !entries.is_empty() || burst.outstanding_ops() > 0 {
            burst.submit_each(&mut entries);
            assert!(
                entries.is_sorted_by_key(|(_, request)| request.user_data),
                "what is left is in its order"
            );
            burst.poll(&mut all, 64);
        }
        all.sort_by_key(|completion| completion.user_data);
        assert_eq!(all.len(), 50);
        for (number, completion) in all.iter().enumerate() {
            assert_eq!(completion.data, expected[number % 8], "{number}");
        }
        sums_hold(runtime, 58);
    }
}

#[test]
fn what_one_session_may_do_another_may_not_though_the_requests_are_alike() {
    let simulation = Simulation::new(Config::default());
    let runtime = simulation.runtime();
    runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    let open = |spec: SessionSpec, len: usize| runtime.session(spec, Key::new(vec![1; len])).unwrap();
    let free = || open(SessionSpec::new(Algorithm::Aes128Ctr), 16);
    let only_decrypts = open(SessionSpec::new(Algorithm::Aes128Ctr).uses(Uses::only(&[OpKind::Decrypt])), 16);
    let whole_blocks = open(SessionSpec::new(Algorithm::Aes128Cbc).padding(Padding::None), 16);
    let (one, other, last) = (free(), free(), free());
    // Alike to the byte, and of a length that only counter mode takes.
    let all = [&one, &only_decrypts, &other, &whole_blocks, &last];
    let mut entries: Vec<(&Session, Request)> = (all.into_iter().zip(0..))
        .map(|(session, number)| (session, Request::encrypt(vec![5; 100], IV).with_user_data(number)))
        .collect();
    let mut burst = one.burst(8);
    assert_eq!(burst.submit_each(&mut entries), 3);
    let refused: Vec<(u64, Error)> =
        burst.refused().into_iter().map(|refused| (refused.request.user_data, refused.error)).collect();
    assert!(
        matches!(&refused[..], [(1, Error::NotAllowed { .. }), (3, Error::PartialBlock { .. })]),
        "{refused:?}"
    );
    let mut done = Vec::new();
    while burst.outstanding_ops() > 0 {
        burst.poll(&mut done, 8);
    }
    done.sort_by_key(|completion| completion.user_data);
    assert_eq!(done.iter().map(|completion| completion.user_data).collect::<Vec<_>>(), [0, 2, 4]);
    assert!(done.iter().all(|completion| completion.result.is_ok() && completion.data == done[0].data));
}

#[test]
fn a_session_of_another_runtime_is_refused_by_its_number() {
    let (ours, theirs) = (Simulation::new(Config::default()), Simulation::new(Config::default()));
    let open = |simulation: &Simulation| {
        simulation.runtime().add_device_of_kind("soft0", "soft", &[], 0).unwrap();
        let spec = SessionSpec::new(Algorithm::Aes128Ctr);
        simulation.runtime().session(spec, Key::new(vec![1; 16])).unwrap()
    };
    let (own, foreign) = (open(&ours), open(&theirs));
    let mut burst = own.burst(4);
    let request = || Request::encrypt(vec![1; 64], IV);
    let mut entries = vec![(&own, request()), (&foreign, request()), (&own, request())];
    assert_eq!(burst.submit_each(&mut entries), 2);
    assert!(entries.is_empty());
    let refused = burst.refused();
    assert_eq!(refused.len(), 1);
    assert!(matches!(refused[0].error, Error::UnknownSession { .. }));
}

#[test]
fn short_runs_are_timed_by_sample_and_what_is_timed_stands_for_all() {
    const OPS: u64 = 10_000;
    for (statistics, timed, counted) in
        [(0, 0..=0, 0..=0), (1, 280..=900, OPS - 64..=OPS), (2, OPS..=OPS, OPS..=OPS)]
    {
        let runtime =
            Runtime::start(Config { workers: 1, statistics, heartbeat_ns: 0, ..Config::default() }).unwrap();
        runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
        let session = runtime.session(SessionSpec::new(Algorithm::Sha256), Key::none()).unwrap();
        let times = (0..OPS).map(|_| session.call(Request::digest(vec![1; 100])).unwrap().total_ns);
        let with_time = times.filter(|time| *time > 0).count() as u64;
        let stats = runtime.stats();
        assert!(timed.contains(&with_time), "{statistics}: {with_time}");
        assert!(counted.contains(&stats.total.count()), "{statistics}: {}", stats.total.count());
        assert_eq!(stats.completed_ops, OPS);
    }
}
