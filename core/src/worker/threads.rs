//! Threads: a thin shell that polls the machines, spins a little, and sleeps.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::control::{Control, TICK_NS};
use super::place::{self, WorkerPlace};
use super::{Progress, Worker};
use crate::error::Error;
use crate::event::{Draft, EventKind, Severity};
use crate::shared::Shared;
use crate::stats::counter::be_a_worker;

/// How long a worker looks for work at most before it sleeps, in nanoseconds. Looking in vain halves it, so that a
/// load with gaps costs no spinning; work that comes in time restores it.
const SPIN_MAX_NS: u64 = 20_000;
/// Shortest look, in nanoseconds.
const SPIN_MIN_NS: u64 = 500;

/// The threads of a runtime; dropping them stops and joins them.
#[derive(Debug)]
pub(crate) struct Threads {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    pub(crate) fn start(shared: &Arc<Shared>) -> Result<Self, Error> {
        let mut threads = Self { shared: Arc::clone(shared), handles: Vec::new() };
        for number in 0..shared.workers {
            let shared = Arc::clone(shared);
            threads.spawn(format!("acrypto-{number}"), move || run_worker(&shared, number))?;
        }
        if !shared.start_planner() {
            return Err(Error::Thread { name: "acrypto-plan".to_owned() });
        }
        let shared = Arc::clone(shared);
        threads.spawn("acrypto-ctl".to_owned(), move || run_control(&shared))?;
        Ok(threads)
    }

    fn spawn(&mut self, name: String, body: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let handle =
            std::thread::Builder::new().name(name.clone()).spawn(body).map_err(|_| Error::Thread { name })?;
        self.handles.push(handle);
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.stop();
        self.shared.loads.stop_all();
        self.shared.parking.wake_all();
        // All first: then they end side by side.
        self.handles.iter().for_each(|handle| handle.thread().unpark());
        for handle in self.handles.drain(..) {
            // A callback may drop the last handle on a worker's own thread.
            if handle.thread().id() != std::thread::current().id() {
                let _ = handle.join();
            }
        }
        self.shared.join_planner();
        self.shared.sweep_if_stopped();
    }
}

fn run_worker(shared: &Arc<Shared>, number: usize) {
    be_a_worker();
    shared.parking.register(number);
    if shared.config.pin_workers != 0 {
        settle_down(shared, number);
    }
    let mut worker = Worker::new(number, shared.workers);
    let mut idle_since = None;
    let mut spin_ns = SPIN_MAX_NS;
    while !shared.is_stopped() {
        let now = shared.now();
        let Progress::IdleUntil(due) = worker.poll(shared, now) else {
            if idle_since.take().is_some() {
                spin_ns = SPIN_MAX_NS;
            }
            continue;
        };
        let since = *idle_since.get_or_insert(now);
        if shared.config.poll_workers != 0 || now.since(since) < spin_ns || due.since(now) < SPIN_MIN_NS {
            std::hint::spin_loop();
            continue;
        }
        spin_ns = (spin_ns / 2).max(SPIN_MIN_NS);
        shared.parking.lie_down(number);
        match worker.poll(shared, shared.now()) {
            Progress::IdleUntil(due) if !shared.is_stopped() => {
                let now = shared.now();
                std::thread::park_timeout(Duration::from_nanos(due.since(now).min(1_000 * TICK_NS)));
            }
            _ => {}
        }
        shared.parking.get_up(number);
        idle_since = None;
    }
}

/// Pins the worker, and says where it is.
fn settle_down(shared: &Shared, number: usize) {
    let place = place::pin(number);
    let to = match place {
        Some(WorkerPlace { cpu, numa_node: Some(node), .. }) => format!("cpu {cpu}, node {node}"),
        Some(WorkerPlace { cpu, .. }) => format!("cpu {cpu}"),
        None => "not pinned: the system refused".to_owned(),
    };
    shared.places.lock().extend(place);
    shared.events.push(Draft {
        kind: EventKind::Server,
        severity: if place.is_some() { Severity::Info } else { Severity::Warn },
        object: "worker",
        name: number.to_string(),
        from: String::new(),
        to,
        reason: "pin_workers".to_owned(),
        uid: shared.owner,
    });
}

fn run_control(shared: &Arc<Shared>) {
    let mut control = Control::default();
    while !shared.is_stopped() {
        let now = shared.now();
        let Progress::IdleUntil(due) = control.poll(shared, now) else { continue };
        std::thread::park_timeout(Duration::from_nanos(due.since(shared.now()).max(1)));
    }
}
