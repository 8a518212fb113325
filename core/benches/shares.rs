//! Shares of two tenants, weighted 1 to 3, on real threads and devices at their real pace, while one of the devices dies.
//!
//! `cargo bench -p acrypto-core --bench shares`. Both tenants always have more on their way than the devices take. Printed
//! is what the small one got in each window of half a second, and the spread; its share is 25 %. The same in simulated
//! time, where it is exact, is `core/tests/session/shares.rs`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::time::Duration;

use acrypto_core::{Algorithm, Burst, Clock, Completion, Config, Key, Request, Runtime, SessionSpec};

const WINDOWS: usize = 16;
const WINDOW: Duration = Duration::from_millis(500);
const RING_OPS: usize = 2_000;
const BYTES: usize = 4_096;

struct Tenant {
    burst: Burst,
    completed: u64,
}

impl Tenant {
    fn new(runtime: &Runtime, name: &str, weight: u32) -> Self {
        runtime.set_tenant(name, Some(weight), None, 0).unwrap();
        let spec = SessionSpec::new(Algorithm::Aes128Ctr).tenant(name);
        let session = runtime.session(spec, Key::new(vec![1; 16])).unwrap();
        Self { burst: session.burst(RING_OPS), completed: 0 }
    }

    fn go_on(&mut self, done: &mut Vec<Completion>) {
        self.burst.poll(done, RING_OPS);
        self.completed += done.len() as u64;
        let missing = RING_OPS - self.burst.outstanding_ops();
        let mut buffers = done.drain(..).map(|completion| completion.data);
        let request = |_| Request::encrypt(buffers.next().unwrap_or_else(|| vec![0; BYTES]), [1; 16]);
        let mut requests: Vec<Request> = (0..missing).map(request).collect();
        self.burst.submit(&mut requests);
    }
}

fn main() {
    let runtime = Runtime::start(Config { workers: 1, ..Config::default() }).unwrap();
    for seed in 0..3 {
        let parameters = [("seed".to_owned(), seed.to_string())];
        runtime.add_device_of_kind(&format!("sim{seed}"), "sim", &parameters, 0).unwrap();
    }
    let mut tenants = [Tenant::new(&runtime, "small", 1), Tenant::new(&runtime, "large", 3)];
    let clock = Clock::monotonic();
    let mut done = Vec::with_capacity(RING_OPS);
    let mut shares = Vec::new();
    for window in 0..=WINDOWS {
        if window == WINDOWS / 2 {
            runtime.break_device("sim1", None, 0).unwrap();
            println!("sim1 dies");
        }
        let before: Vec<u64> = tenants.iter().map(|tenant| tenant.completed).collect();
        let until = clock.now().plus(WINDOW.as_nanos() as u64);
        while clock.now() < until {
            tenants.iter_mut().for_each(|tenant| tenant.go_on(&mut done));
        }
        let got: Vec<u64> =
            tenants.iter().zip(before).map(|(tenant, before)| tenant.completed - before).collect();
        let share = got[0] as f64 / (got[0] + got[1]) as f64 * 100.0;
        // The first window fills the queues.
        if window > 0 {
            println!("window {window:>2}: {:>6} and {:>6} ops, {share:.2} %", got[0], got[1]);
            shares.push(share);
        }
    }
    shares.sort_by(f64::total_cmp);
    let median = shares[shares.len() / 2];
    println!(
        "share of the small tenant: median {median:.2} %, from {:.2} to {:.2} %",
        shares[0],
        shares[WINDOWS - 1]
    );
}
