//! A simulated runtime, and operations on their way through it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use acrypto_core::device::sim::{Profile, Sim};
use acrypto_core::simulation::Simulation;
use acrypto_core::{
    Algorithm, Completion, Config, Engine, Key, OpFuture, Request, Runtime, Session, SessionSpec,
};

pub const MS: u64 = 1_000_000;
pub const OWNER: u32 = 7;
const IV: [u8; 16] = [9; 16];

pub struct Ranch {
    pub simulation: Simulation,
    pub session: Option<Session>,
    pending: Vec<OpFuture<'static>>,
    pub done: Vec<Completion>,
    forgotten: u64,
}

/// A device of even pace: `op_ns` an operation whatever its length, so many at once.
pub fn even(op_ns: u64, lanes: usize) -> Engine {
    let profile = Profile { op_ns, bytes_per_s: 1 << 50, lanes, jitter: 0.0, ..Profile::default() };
    Engine::Queued(Box::new(Sim::new(profile)))
}

impl Ranch {
    pub fn new(balancer: &str) -> Self {
        // Health is not the question here: a device may be as slow as the test wants it.
        let patient = Config { attempt_max_ns: 0, silence_ns: 0, heartbeat_ns: 0, ..Config::default() };
        let config = Config { workers: 2, seed: 11, ..patient };
        let simulation = Simulation::new(config);
        simulation.runtime().set_balancer(balancer, None, OWNER).unwrap();
        Self { simulation, session: None, pending: Vec::new(), done: Vec::new(), forgotten: 0 }
    }

    pub fn with(mut self, name: &str, engine: Engine) -> Self {
        self.add(name, engine);
        // Its known answers were asked ahead of time: by then it has done with them.
        self.advance(10_000 * MS);
        self
    }

    pub fn add(&self, name: &str, engine: Engine) {
        self.runtime().add_device(name, engine, OWNER).unwrap();
    }

    pub fn runtime(&self) -> &Runtime {
        self.simulation.runtime()
    }

    fn session(&mut self) -> Session {
        let runtime = self.simulation.runtime();
        let open = || runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![7; 16])).unwrap();
        self.session.get_or_insert_with(open).clone()
    }

    /// Submits operations one by one.
    pub fn submit(&mut self, count: usize, bytes: usize) {
        let session = self.session();
        for _ in 0..count {
            // A future is submitted when it is polled first.
            let mut future = session.submit_owned(Request::encrypt(vec![1; bytes], IV));
            match poll(&mut future) {
                Some(completion) => self.done.push(completion),
                None => self.pending.push(future),
            }
        }
    }

    pub fn advance(&mut self, nanoseconds: u64) {
        self.simulation.advance(nanoseconds);
        let mut still = Vec::new();
        for mut future in self.pending.drain(..) {
            match poll(&mut future) {
                Some(completion) => self.done.push(completion),
                None => still.push(future),
            }
        }
        self.pending = still;
    }

    /// Submits one operation each `gap_ns`, `count` times.
    pub fn stream(&mut self, count: usize, bytes: usize, gap_ns: u64) {
        for _ in 0..count {
            self.submit(1, bytes);
            self.advance(gap_ns);
        }
    }

    /// Lets everything end; every operation must have succeeded, once.
    pub fn settle(&mut self) {
        for _ in 0..1_000 {
            if self.pending.is_empty() {
                break;
            }
            self.advance(10 * MS);
        }
        assert!(self.pending.is_empty(), "{} operations never ended", self.pending.len());
        assert!(self.done.iter().all(|completion| completion.result.is_ok()));
        let stats = self.runtime().stats();
        let all = self.forgotten + self.done.len() as u64;
        assert_eq!((stats.accepted_ops, stats.completed_ops, stats.main_queue_ops), (all, all, 0));
    }

    /// Operations that ended on a device so far.
    pub fn ops_of(&self, name: &str) -> usize {
        let id = self.runtime().device(name).unwrap().id;
        self.done.iter().filter(|completion| completion.device == Some(id)).count()
    }

    /// Forgets what is done, and counts anew.
    pub fn forget(&mut self) {
        self.forgotten += self.done.len() as u64;
        self.done.clear();
    }
}

fn poll(future: &mut OpFuture<'_>) -> Option<Completion> {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result.unwrap()),
        Poll::Pending => None,
    }
}
