//! What the choice of a balancer is worth, on two mixes of simulated devices.
//! Run: `cargo bench -p acrypto-core --bench balancers` (about a minute).
//!
//! *mixed* is the default mixed scenario: a fast, a slow and a jittery device (1 ms, 10 ms, and 2 ms with an exponential
//! tail, eight operations at once each). *alike* is three devices of 2 ms with that tail, where there is nothing to
//! learn and `latency_lb` does not win: a shortest queue is the best that can be done.
//!
//! p50 and p99 are from submission to answer, of operations of 4 KiB that arrive at random at half of what the devices
//! can do; op/s is what they do with 96 operations kept in flight. The same machines run in simulated time (exact, alike
//! on every machine) and live (with this machine's scheduler in it). One seed decides arrivals and devices.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at the first surprise"
)]
#![allow(missing_docs, reason = "a program")]

use std::time::Duration;

use acrypto_core::device::sim::{Profile, Sim};
use acrypto_core::simulation::Simulation;
use acrypto_core::{
    Algorithm, Burst, Completion, Config, Engine, Key, Request, Runtime, Session, SessionSpec,
};

const SEED: u64 = 2004;
const LANES: usize = 8;
const BYTES: usize = 4_096;
const IN_FLIGHT: usize = 96;
const MS: u64 = 1_000_000;
/// Time before anything counts, so that rates are known.
const WARM_NS: u64 = 500 * MS;
const SIMULATED_NS: u64 = 10_000 * MS;
const LIVE_NS: u64 = 2_000 * MS;
const POLICIES: [&str; 3] = ["simple_lb", "round_robin_lb", "latency_lb"];

/// Name, and for each device the time of an operation and how much of it is drawn by lot.
type Mix = (&'static str, [(u64, f64); 3]);
const MIXES: [Mix; 2] =
    [("mixed", [(MS, 0.1), (10 * MS, 0.1), (2 * MS, 1.0)]), ("alike", [(2 * MS, 1.0); 3])];

/// Pseudo-random numbers (splitmix64).
struct Lot(u64);

impl Lot {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((value ^ (value >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// What moves time on.
enum Time {
    Simulated(Simulation),
    Live(Runtime),
}

impl Time {
    fn runtime(&self) -> &Runtime {
        match self {
            Self::Simulated(simulation) => simulation.runtime(),
            Self::Live(runtime) => runtime,
        }
    }

    fn new(is_live: bool, mix: &Mix, policy: &str) -> Self {
        let config = Config { workers: 2, seed: SEED, ..Config::default() };
        let mut time = match is_live {
            true => Self::Live(Runtime::start(config).unwrap()),
            false => Self::Simulated(Simulation::new(config)),
        };
        for (number, (op_ns, jitter)) in mix.1.into_iter().enumerate() {
            let seed = SEED + number as u64;
            let profile =
                Profile { op_ns, jitter, lanes: LANES, bytes_per_s: 1 << 50, seed, ..Profile::default() };
            let name = format!("sim{number}");
            time.runtime().add_device(&name, Engine::Queued(Box::new(Sim::new(profile))), 0).unwrap();
        }
        time.runtime().set_balancer(policy, None, 0).unwrap();
        if !is_live {
            // Known answers were asked ahead of time: by then the devices have done with them.
            time.until(5_000 * MS, &mut None);
        }
        time
    }

    /// Lets time pass until `at`; live, or until a completion comes.
    fn until(&mut self, at: u64, burst: &mut Option<&mut Burst>) {
        let now = self.runtime().now().0;
        match self {
            Self::Simulated(simulation) => simulation.advance(at.saturating_sub(now)),
            Self::Live(_) => match burst {
                Some(burst) if burst.outstanding_ops() > 0 => {
                    burst.wait(Duration::from_nanos(at.saturating_sub(now).max(1)));
                }
                _ => std::thread::park_timeout(Duration::from_nanos(at.saturating_sub(now).max(1))),
            },
        }
    }
}

fn session(runtime: &Runtime) -> Session {
    runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![7; 16])).unwrap()
}

fn requests(count: usize) -> Vec<Request> {
    (0..count).map(|_| Request::encrypt(vec![0; BYTES], [9; 16])).collect()
}

/// Median and 99th percentile, in nanoseconds, of operations that arrive at random.
fn percentiles(time: &mut Time, mix: &Mix, length_ns: u64) -> (u64, u64) {
    let capacity: f64 = mix.1.iter().map(|(op_ns, _)| LANES as f64 * 1e9 / *op_ns as f64).sum();
    let mut lot = Lot(SEED);
    let session = session(time.runtime());
    let mut burst = session.burst(16_384);
    let begin = time.runtime().now().0;
    let mut next = begin as f64;
    let mut completions: Vec<Completion> = Vec::new();
    let mut total_ns = Vec::new();
    loop {
        let now = time.runtime().now().0;
        let mut due = 0;
        while next <= now as f64 && now < begin + WARM_NS + length_ns {
            next += -(1.0 - lot.unit()).ln() * 2e9 / capacity;
            due += 1;
        }
        burst.submit(&mut requests(due));
        burst.poll(&mut completions, usize::MAX);
        let counts = now > begin + WARM_NS;
        total_ns.extend(completions.drain(..).filter(|_| counts).map(|completion| completion.total_ns));
        if now >= begin + WARM_NS + length_ns && burst.outstanding_ops() == 0 {
            break;
        }
        let at = if next > now as f64 { (next as u64 + 1).min(now + MS) } else { now + MS };
        time.until(at, &mut Some(&mut burst));
    }
    total_ns.sort_unstable();
    (total_ns[total_ns.len() / 2], total_ns[total_ns.len() * 99 / 100])
}

/// Operations a second, with as many kept in flight all the time.
fn throughput(time: &mut Time, length_ns: u64) -> f64 {
    let session = session(time.runtime());
    let mut burst = session.burst(IN_FLIGHT);
    let mut ready = requests(IN_FLIGHT);
    let mut completions: Vec<Completion> = Vec::new();
    let begin = time.runtime().now().0;
    let (mut done, mut counted_from) = (0_u64, begin);
    loop {
        let now = time.runtime().now().0;
        burst.submit(&mut ready);
        burst.poll(&mut completions, usize::MAX);
        done += completions.len() as u64;
        ready.extend(completions.drain(..).map(|done| Request::encrypt(done.data, [9; 16])));
        if counted_from == begin && now >= begin + WARM_NS {
            (done, counted_from) = (0, now);
        }
        if now >= begin + WARM_NS + length_ns {
            let ops_per_s = done as f64 * 1e9 / (now - counted_from) as f64;
            while burst.outstanding_ops() > 0 {
                let at = time.runtime().now().0 + MS;
                time.until(at, &mut Some(&mut burst));
                burst.poll(&mut completions, usize::MAX);
            }
            return ops_per_s;
        }
        time.until(now + MS / 20, &mut Some(&mut burst));
    }
}

fn main() {
    println!("seed {SEED}, {BYTES} bytes, {LANES} lanes a device");
    println!("{:<10} {:<6} {:<15} {:>9} {:>9} {:>9}", "TIME", "MIX", "BALANCER", "P50 ms", "P99 ms", "OP/S");
    for (is_live, name, length_ns) in [(false, "simulated", SIMULATED_NS), (true, "live", LIVE_NS)] {
        for mix in &MIXES {
            for policy in POLICIES {
                let mut time = Time::new(is_live, mix, policy);
                let (p50, p99) = percentiles(&mut time, mix, length_ns);
                let ops_per_s = throughput(&mut time, length_ns);
                let ms = |nanoseconds: u64| nanoseconds as f64 / 1e6;
                println!(
                    "{name:<10} {:<6} {policy:<15} {:>9.2} {:>9.2} {ops_per_s:>9.0}",
                    mix.0,
                    ms(p50),
                    ms(p99)
                );
            }
        }
    }
}
