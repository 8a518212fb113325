//! What a session promises: its order, its share, its keys, its ties, its route.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that also tells its figures")]

mod keys;
mod order;
mod routes;
mod shares;
mod streams;
mod ties;

use acrypto_core::simulation::Simulation;
use acrypto_core::{Algorithm, Burst, Completion, Config, Key, Request, Runtime, Session, SessionSpec};

/// A simulation without devices.
fn simulation(config: Config) -> (Simulation, Runtime) {
    let simulation = Simulation::new(Config { workers: 1, ..config });
    let runtime = simulation.runtime().clone();
    (simulation, runtime)
}

/// A simulated device of four lanes, 50 us an operation and 10 ns a byte, with its own seed.
fn add_sim(runtime: &Runtime, name: &str, seed: u64) {
    runtime.add_device_of_kind(name, "sim", &[("seed".to_owned(), seed.to_string())], 0).unwrap();
}

fn add_soft(runtime: &Runtime, name: &str) {
    runtime.add_device_of_kind(name, "soft", &[], 0).unwrap();
}

fn ctr(runtime: &Runtime, prepare: impl FnOnce(SessionSpec) -> SessionSpec) -> Session {
    let spec = prepare(SessionSpec::new(Algorithm::Aes128Ctr));
    runtime.session(spec, Key::new(vec![7; 16])).unwrap()
}

/// A session that always has as much on its way as its ring holds.
struct Flood {
    burst: Burst,
    ring_ops: usize,
    bytes: usize,
    decrypts: bool,
    completed: u64,
}

impl Flood {
    fn new(session: &Session, ring_ops: usize, bytes: usize) -> Self {
        Self { burst: session.burst(ring_ops), ring_ops, bytes, decrypts: false, completed: 0 }
    }

    fn go_on(&mut self) {
        let mut done: Vec<Completion> = Vec::new();
        self.burst.poll(&mut done, self.ring_ops);
        self.completed += done.iter().filter(|completion| completion.result.is_ok()).count() as u64;
        let missing = self.ring_ops - self.burst.outstanding_ops();
        let request = |_| match self.decrypts {
            true => Request::decrypt(vec![0x11; self.bytes], [3; 16]),
            false => Request::encrypt(vec![0x11; self.bytes], [3; 16]),
        };
        let mut requests: Vec<Request> = (0..missing).map(request).collect();
        self.burst.submit(&mut requests);
    }
}
