//! The balancer may be switched at any time: no operation is lost, doubled or spoilt.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod direct_call;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use acrypto_core::{Completion, Config, Runtime, Session, SessionSpec, block_on};

use direct_call::{ALGORITHMS, Job};

const CLIENTS: u64 = 4;
const SWITCHES: u64 = 1_000;
const BATCH_OPS: usize = 32;

#[test]
fn a_thousand_switches_under_load_lose_double_and_spoil_nothing() {
    let runtime = Runtime::start(Config { workers: 2, ..Config::default() }).unwrap();
    for (name, kind, op_ns) in
        [("soft0", "soft", None), ("soft1", "soft", None), ("sim0", "sim", Some("2000"))]
    {
        let parameters: Vec<_> = op_ns.iter().map(|ns| ("op-ns".to_owned(), (*ns).to_owned())).collect();
        runtime.add_device_of_kind(name, kind, &parameters, 0).unwrap();
    }
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let total: u64 = std::thread::scope(|scope| {
        let (runtime, done, stop) = (&runtime, &done, &stop);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| scope.spawn(move || Client::new(runtime, client, done).work(stop)))
            .collect();
        for switch in 1..=SWITCHES {
            // Each switch comes amid operations of its own.
            let before = done.load(Ordering::Acquire);
            while done.load(Ordering::Acquire) == before {
                assert!(!clients.iter().any(|client| client.is_finished()), "a client ended early");
                std::thread::yield_now();
            }
            let name = if switch % 2 == 1 { "round_robin_lb" } else { "simple_lb" };
            runtime.set_balancer(name, None, 0).unwrap();
        }
        stop.store(true, Ordering::Release);
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(runtime.balancer().switches, SWITCHES);
    let stats = runtime.stats();
    assert_eq!((stats.accepted_ops, stats.completed_ops), (total, total));
    assert_eq!((stats.main_queue_ops, stats.failed_ops, stats.cancelled_ops), (0, 0, 0));
    for device in runtime.devices() {
        let counters = device.counters;
        assert!(counters.finished_ops > 0, "{} was never used", device.name);
        assert_eq!((counters.queued_ops, counters.in_flight_ops), (0, 0), "{}", device.name);
        assert_eq!(counters.taken_ops, counters.finished_ops + counters.moved_out_ops, "{}", device.name);
    }
}

/// One thread that uses every algorithm and every face in turn.
struct Client<'a> {
    sessions: Vec<Session>,
    next: u64,
    seen: HashSet<u64>,
    done: &'a AtomicU64,
}

impl<'a> Client<'a> {
    fn new(runtime: &Runtime, number: u64, done: &'a AtomicU64) -> Self {
        let session = |algorithm: &_| {
            runtime.session(SessionSpec::new(*algorithm), direct_call::key(*algorithm)).unwrap()
        };
        Self {
            sessions: ALGORITHMS.iter().map(session).collect(),
            // Numbers of different clients never meet.
            next: number << 32,
            seen: HashSet::new(),
            done,
        }
    }

    fn work(mut self, stop: &AtomicBool) -> u64 {
        let mut submitted = 0;
        for round in 0_usize.. {
            if stop.load(Ordering::Acquire) {
                break;
            }
            let session = self.sessions[round % ALGORITHMS.len()].clone();
            submitted += match round / ALGORITHMS.len() % 4 {
                0 => self.await_one(&session),
                1 => self.call(&session),
                2 => self.await_batch(&session),
                _ => self.burst(&session),
            };
        }
        assert_eq!(self.seen.len() as u64, submitted);
        submitted
    }

    fn job(&mut self, session: &Session) -> Job {
        self.next += 1;
        Job::new(session.spec().algorithm, self.next)
    }

    fn await_one(&mut self, session: &Session) -> u64 {
        let job = self.job(session);
        let completion = block_on(session.submit(job.request())).unwrap();
        self.check(session, &completion);
        1
    }

    fn call(&mut self, session: &Session) -> u64 {
        let job = self.job(session);
        self.check(session, &session.call(job.request()).unwrap());
        1
    }

    fn await_batch(&mut self, session: &Session) -> u64 {
        let jobs: Vec<Job> = (0..BATCH_OPS).map(|_| self.job(session)).collect();
        let results = block_on(session.submit_batch(jobs.iter().map(Job::request).collect()));
        assert_eq!(results.len(), BATCH_OPS);
        for (job, result) in jobs.iter().zip(results) {
            let completion = result.unwrap();
            assert_eq!(completion.user_data, job.number);
            self.check(session, &completion);
        }
        BATCH_OPS as u64
    }

    fn burst(&mut self, session: &Session) -> u64 {
        let mut requests: Vec<_> = (0..BATCH_OPS).map(|_| self.job(session).request()).collect();
        let mut burst = session.burst(BATCH_OPS / 2);
        let mut completions = Vec::new();
        while !requests.is_empty() || burst.outstanding_ops() > 0 {
            burst.submit(&mut requests);
            block_on(burst.readable());
            burst.poll(&mut completions, BATCH_OPS);
        }
        completions.iter().for_each(|completion| self.check(session, completion));
        completions.len() as u64
    }

    fn check(&mut self, session: &Session, completion: &Completion) {
        assert!(self.seen.insert(completion.user_data), "{} came twice", completion.user_data);
        assert_eq!(completion.result, Ok(()));
        let job = Job::new(session.spec().algorithm, completion.user_data);
        assert_eq!(
            (&completion.data, completion.output.as_slice()),
            (&job.data_after, job.output.as_slice())
        );
        self.done.fetch_add(1, Ordering::AcqRel);
    }
}
