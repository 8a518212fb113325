//! A device as the runtime keeps it: its queue, its counters, its state, and the engine behind its run token.

use std::fmt;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use crate::algorithm::Algorithm;
use crate::balancer::{Lane, Rates};
use crate::clock::Nanos;
use crate::config::Config;
use crate::health::beat::Beat;
use crate::health::selftest::Selftest;
use crate::health::shadow::Shadow;
use crate::health::silence::Lent;
use crate::health::{Health, Purpose};
use crate::op::DeviceId;
use crate::queue::ring::Ring;
use crate::shared::Shared;
use crate::stats::counter::{ANY_WORKER, Counter, DeviceCells};
use crate::stats::histogram::{Histogram, HistogramCells};
use crate::stats::timing::Timing;
use crate::stats::{DeviceCounters, DeviceQueue, DeviceStatus, LeavingStatus};
use crate::submit::Shape;
use crate::sync::Lock;
use crate::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::worker::conclude::Delivery;
use crate::worker::control::TICK_NS;

use super::fault::FaultSpec;
use super::mount::Mount;
use super::opened::Opened;
use super::{Answer, DeviceInfo, DeviceState, DirectDevice, QueuedDevice, QueuedOp, RUN_MAX_OPS};

/// A device to be added.
pub enum Engine {
    /// One that works at once, on the caller's buffers.
    Direct(Arc<dyn DirectDevice>),
    /// One that answers later.
    Queued(Box<dyn QueuedDevice>),
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct(_) => "Engine::Direct",
            Self::Queued(_) => "Engine::Queued",
        })
    }
}

/// What the holder of the run token is asked to do before the next run.
#[derive(Debug)]
pub(crate) enum Mail {
    /// The context ended: close it here.
    Close(u64),
    /// Put queued operations beyond so many back into line.
    Return {
        /// Operations that may stay.
        keep_ops: usize,
        /// Only those that lay there at this mark of the ring.
        mark: u64,
    },
    /// The device broke: what was lent to it is tried elsewhere.
    TakeBack,
    /// Put a fault on, or take it off, and the number it has.
    Fault(Option<FaultSpec>, u64),
    /// Run the known answers.
    Test {
        /// Who asked.
        uid: u32,
        /// Whether it is reset first, and gets no work meanwhile.
        purpose: Purpose,
    },
    /// Ask a known answer, if there is nothing else to do.
    Beat,
}

/// The fault in force. Mail about it is posted while its lock is held, so that row and engine agree in the end.
#[derive(Debug, Default)]
pub(crate) struct FaultRow {
    pub(crate) spec: Option<FaultSpec>,
    /// Counts the faults put on.
    pub(crate) number: u64,
}

/// What only the holder of the run token touches.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) engine: Mount,
    /// Number of the fault on the engine, and of none when there is none.
    pub(crate) fault_number: u64,
    /// The device changed its sort: whoever looks after it from now on must be told.
    pub(crate) is_remounted: bool,
    pub(crate) sessions: Opened,
    pub(crate) delivery: Delivery,
    pub(crate) uses: u64,
    /// `uses` when the run began: sessions used since then stay open.
    pub(crate) run_began: u64,
    /// Known answers under way, what for, and who asked.
    pub(crate) selftest: Option<(Selftest, Purpose, u32)>,
    pub(crate) beat: Beat,
    pub(crate) wants_beat: bool,
    /// Known answers ever asked one by one: each has a ticket of its own.
    pub(crate) probes: u64,
    pub(crate) lent: Lent,
    pub(crate) shadow: Option<Box<Shadow>>,
    pub(crate) answers: Vec<Answer>,
    /// Answers to known answers, set aside.
    pub(crate) probed: Vec<Answer>,
    /// When the device said that its next answer is due, the last time it was asked.
    pub(crate) due: Option<Nanos>,
    pub(crate) ops: Vec<QueuedOp>,
    /// Which runs that submitters carry out at once are timed.
    pub(crate) timing: Timing,
}

/// A device.
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    pub(crate) name: String,
    /// Interned numbers of its name and its kind, for [`crate::binding::Binding::matches`].
    pub(crate) numbers: (u16, u16),
    pub(crate) uid: u32,
    pub(crate) info: DeviceInfo,
    pub(crate) parameters: Vec<(String, String)>,
    /// Whether it works on the caller's buffers; false while a fault is on it.
    direct: AtomicBool,
    state: AtomicU8,
    pub(crate) probation_percent: AtomicU8,
    probation_draws: AtomicU32,
    /// Operations lent to it.
    pub(crate) ring: Ring,
    pub(crate) queue_max_ops: usize,
    /// Work is lent up to this many operations, so that what waits in the main queue can still go elsewhere.
    pub(crate) lend_max_ops: usize,
    pub(crate) run_max_ops: usize,
    pub(crate) cells: DeviceCells,
    pub(crate) queue_wait: HistogramCells,
    pub(crate) service: HistogramCells,
    pub(crate) total: HistogramCells,
    /// Service times, which are the total times, of what submitters carried out at once.
    pub(crate) inline_service: HistogramCells,
    /// Operations that a submitter is carrying out now.
    pub(crate) inline_ops: AtomicUsize,
    /// The submitter that carried out the latest run, or [`ANY_WORKER`].
    pub(crate) served_by: CachePadded<AtomicUsize>,
    /// A tick has passed: the next short run is timed.
    pub(crate) ticked: AtomicBool,
    /// How fast it was of late; written by the holder of the run token.
    pub(crate) rates: CachePadded<Rates>,
    /// Smoothed cost of one operation, nanoseconds; tells whether a backlog is worth a wake-up.
    pub(crate) op_cost_ns: CachePadded<AtomicU64>,
    /// Smoothed time a queued device takes for one operation, nanoseconds.
    pub(crate) answer_ns: AtomicU64,
    /// When it last did something, nanoseconds.
    pub(crate) active_ns: CachePadded<AtomicU64>,
    /// Keys that hung calls of the engine may still use.
    pub(crate) keys_held: AtomicUsize,
    pub(crate) beats_sent: Counter,
    pub(crate) beats_failed: Counter,
    /// Share of operations that get a second opinion, as the bits of a float.
    pub(crate) shadow_rate: AtomicU64,
    /// Operations that got one.
    pub(crate) shadowed: Counter,
    /// When a queued device wants to be polled next, nanoseconds.
    pub(crate) due_ns: AtomicU64,
    /// Somebody left an operation here to whoever comes by, while the run token was taken.
    pub(crate) left_to_others: AtomicBool,
    /// Mail has come.
    pub(crate) attention: AtomicBool,
    pub(crate) mail: Lock<Vec<Mail>>,
    pub(crate) fault: Lock<FaultRow>,
    pub(crate) health: Lock<Health>,
    /// The run token.
    pub(crate) exec: Lock<Exec>,
    /// Bit masks of operation kinds by algorithm number: all it can do, and those it can do to a chunk of a stream.
    kinds: Vec<(u8, u8)>,
    /// The same of those that gain by being many.
    gains: Vec<u8>,
    /// How well it suits each algorithm, by its number, if it computes on the cores of this process.
    lane_scores: Option<Vec<u32>>,
}

impl Exec {
    /// Whether the holder of the token has something else to do than runs.
    #[inline]
    pub(crate) fn is_busy_otherwise(&self) -> bool {
        self.selftest.is_some() || self.wants_beat || self.beat.is_out()
    }
}

impl Drop for Exec {
    /// A device that keeps keys of its own must not have them when nobody can close them any more.
    fn drop(&mut self) {
        if let Some((selftest, ..)) = self.selftest.take() {
            selftest.abandon(&mut self.engine);
        }
        Shared::drop_beat(self);
        for handle in self.sessions.drain() {
            self.engine.close(handle);
        }
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("name", &self.name)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Device {
    #[allow(clippy::too_many_arguments, reason = "each is a fact about the device")]
    pub(crate) fn new(
        id: DeviceId,
        name: &str,
        numbers: (u16, u16),
        uid: u32,
        parameters: Vec<(String, String)>,
        (engine, info): (Mount, DeviceInfo),
        config: &Config,
        now: Nanos,
    ) -> Self {
        let run_max_ops = info.run_max_ops.clamp(1, RUN_MAX_OPS);
        let queue_max_ops = info.queue_max_ops.clamp(1, config.device_queue_max_ops);
        let mut kinds = vec![(0, 0); Algorithm::ALL.len()];
        for capability in &info.capabilities {
            let (all, streamed) = &mut kinds[capability.algorithm as usize];
            *all |= 1 << capability.kind as u8;
            *streamed |= u8::from(capability.stream) << capability.kind as u8;
        }
        let gains = Algorithm::ALL.iter().map(|algorithm| engine.gains(*algorithm)).collect();
        let lane_scores = engine.lane_scores(&info);
        Self {
            gains,
            id,
            name: name.to_owned(),
            numbers,
            uid,
            parameters,
            direct: AtomicBool::new(matches!(engine, Mount::Direct(_))),
            state: AtomicU8::new(DeviceState::Up as u8),
            probation_percent: AtomicU8::new(100),
            probation_draws: AtomicU32::new(0),
            ring: Ring::new(queue_max_ops),
            queue_max_ops,
            lend_max_ops: queue_max_ops.min(2 * run_max_ops),
            run_max_ops,
            cells: DeviceCells::default(),
            queue_wait: HistogramCells::new(),
            service: HistogramCells::new(),
            total: HistogramCells::new(),
            inline_service: HistogramCells::new(),
            inline_ops: AtomicUsize::new(0),
            served_by: CachePadded::new(AtomicUsize::new(ANY_WORKER)),
            ticked: AtomicBool::new(false),
            rates: CachePadded::default(),
            op_cost_ns: CachePadded::new(AtomicU64::new(1_000)),
            answer_ns: AtomicU64::new(0),
            active_ns: CachePadded::new(AtomicU64::new(now.0)),
            keys_held: AtomicUsize::new(0),
            beats_sent: Counter::default(),
            beats_failed: Counter::default(),
            shadow_rate: AtomicU64::new(0),
            shadowed: Counter::default(),
            due_ns: AtomicU64::new(u64::MAX),
            left_to_others: AtomicBool::new(false),
            attention: AtomicBool::new(false),
            mail: Lock::new(Vec::new()),
            fault: Lock::new(FaultRow::default()),
            health: Lock::new(Health::new(now)),
            exec: Lock::new(Exec {
                engine,
                fault_number: 0,
                is_remounted: false,
                sessions: Opened::default(),
                delivery: Delivery::default(),
                uses: 0,
                run_began: 0,
                selftest: None,
                beat: Beat::new(&info),
                wants_beat: false,
                probes: 0,
                lent: Lent::default(),
                shadow: None,
                answers: Vec::new(),
                probed: Vec::new(),
                due: None,
                ops: Vec::new(),
                timing: Timing::default(),
            }),
            kinds,
            lane_scores,
            info,
        }
    }

    #[inline]
    pub(crate) fn state(&self) -> DeviceState {
        DeviceState::from_number(self.state.load(Ordering::Acquire))
    }

    /// Whether it works on the caller's buffers at this time: a direct device with a fault on it is served as a queued
    /// one.
    #[inline]
    pub(crate) fn is_direct(&self) -> bool {
        self.direct.load(Ordering::Acquire)
    }

    /// Called by the holder of the run token when a fault went on or off.
    pub(crate) fn store_direct(&self, is_direct: bool) {
        self.direct.store(is_direct, Ordering::Release);
    }

    /// Only health and removal change the state, under the health lock.
    pub(crate) fn store_state(&self, state: DeviceState) {
        self.state.store(state as u8, Ordering::Release);
    }

    /// Whether an operation like this is among its capabilities.
    #[inline]
    pub(crate) fn can(&self, shape: Shape) -> bool {
        let (all, streamed) = self.kinds[shape.algorithm() as usize];
        (if shape.is_chunk() { streamed } else { all }) & (1 << shape.kind() as u8) != 0
    }

    /// Whether operations like this gain by being many in a run.
    #[inline]
    pub(crate) fn gains(&self, shape: Shape) -> bool {
        self.gains[shape.algorithm() as usize] & 1 << shape.kind_number() != 0
    }

    pub(crate) fn knows(&self, algorithm: Algorithm) -> bool {
        self.kinds[algorithm as usize].0 != 0
    }

    /// What it competes with for the cores; `None` for a device with hardware of its own. Faults change nothing.
    pub(crate) fn lane(&self, algorithm: Algorithm) -> Option<Lane> {
        let score = self.lane_scores.as_ref()?[algorithm as usize];
        self.knows(algorithm).then(|| Lane { score, state: self.state() })
    }

    /// Whether another session can be opened only where one is closed.
    pub(crate) fn is_full_of_sessions(&self, exec: &Exec) -> bool {
        exec.sessions.len() >= self.info.sessions_max.max(1)
    }

    /// Operations in its queue and on it.
    #[inline]
    pub(crate) fn backlog_ops(&self) -> usize {
        self.ring.len()
            + self.cells.in_flight.load(Ordering::Relaxed)
            + self.inline_ops.load(Ordering::Relaxed)
    }

    /// Whether a submitter may carry out work of its own here at once, if it gets the run token.
    #[inline]
    pub(crate) fn is_open_to_submitters(&self) -> bool {
        self.is_direct()
            && self.state().is_usable()
            && self.ring.is_empty()
            && !self.attention.load(Ordering::Acquire)
    }

    /// Times in line, on the device, and in all.
    pub(crate) fn histograms(&self) -> (Histogram, Histogram, Histogram) {
        let inline = self.inline_service.read();
        let (mut queue_wait, mut service, mut total) =
            (self.queue_wait.read(), self.service.read(), self.total.read());
        queue_wait.add_zeros(inline.count());
        service.add(&inline);
        total.add(&inline);
        (queue_wait, service, total)
    }

    /// Whether a device in probation may get this operation: a given share of all that come by.
    #[inline]
    pub(crate) fn admits(&self) -> bool {
        let percent = u32::from(self.probation_percent.load(Ordering::Relaxed));
        percent >= 100 || self.probation_draws.fetch_add(1, Ordering::Relaxed) % 100 < percent
    }

    pub(crate) fn post(&self, mail: Mail) {
        self.mail.lock().push(mail);
        self.attention.store(true, Ordering::Release);
    }

    /// Whether a worker should look at it now.
    #[inline]
    pub(crate) fn wants_service(&self, now: Nanos) -> bool {
        !self.ring.is_empty()
            || self.attention.load(Ordering::Acquire)
            || self.due_ns.load(Ordering::Relaxed) <= now.0
    }

    /// Whether work or mail lies there that no submitter and no worker may be coming back for.
    pub(crate) fn is_neglected(&self, now: Nanos) -> bool {
        let due = self.due_ns.load(Ordering::Relaxed);
        self.is_direct() && !self.ring.is_empty()
            || self.attention.load(Ordering::Acquire)
            || !self.is_direct() && Nanos(due).plus(TICK_NS) < now
    }

    /// A copy of the attempts' counters; what is derived can't be negative, because `taken` is read last.
    pub(crate) fn counters(&self) -> DeviceCounters {
        let cells = &self.cells;
        let inline_ops = cells.inline.read();
        let finished_ops = cells.finished.read();
        let abandoned_running = cells.abandoned_running.read();
        let started = cells.started.read();
        let abandoned_queued = cells.abandoned_queued.read();
        let moved_out_ops = cells.moved_out.read();
        let taken_ops = cells.taken_first.read() + cells.taken_again.read();
        DeviceCounters {
            taken_ops: taken_ops + inline_ops,
            finished_ops: finished_ops + inline_ops,
            moved_out_ops,
            abandoned_ops: abandoned_running + abandoned_queued,
            queued_ops: taken_ops - started - abandoned_queued - moved_out_ops,
            in_flight_ops: started - finished_ops - abandoned_running,
        }
    }

    pub(crate) fn status(&self) -> DeviceStatus {
        let health = self.health.lock();
        let counters = self.counters();
        let (queue_wait, service, total) = self.histograms();
        DeviceStatus {
            id: self.id,
            name: self.name.clone(),
            kind: self.info.kind,
            state: self.state(),
            state_reason: health.reason.clone(),
            state_since_ns: health.since.0,
            capabilities: self.info.capabilities.clone(),
            queue_max_ops: self.queue_max_ops,
            counters,
            errors_ops: self.cells.errors.read(),
            bytes: self.cells.bytes.read(),
            queue_wait,
            service,
            total,
            fault: self.fault.lock().spec.clone(),
            probation_percent: self.probation_percent.load(Ordering::Relaxed),
            keys_held: self.keys_held.load(Ordering::Relaxed),
            heartbeats_sent: self.beats_sent.read(),
            heartbeats_failed: self.beats_failed.read(),
            shadow_rate: f64::from_bits(self.shadow_rate.load(Ordering::Relaxed)),
            shadowed_ops: self.shadowed.read(),
            leaving: health.leaving.map(|leaving| LeavingStatus {
                is_removal: leaving.is_removal,
                deadline_ns: leaving.deadline.0,
                remaining_ops: counters.queued_ops + counters.in_flight_ops,
            }),
            uid: self.uid,
            parameters: self.parameters.clone(),
        }
    }

    pub(crate) fn queue(&self) -> DeviceQueue {
        let counters = self.counters();
        DeviceQueue {
            name: self.name.clone(),
            state: self.state(),
            queued_ops: counters.queued_ops,
            in_flight_ops: counters.in_flight_ops,
            queue_max_ops: self.queue_max_ops,
        }
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::sync::atomic::{AtomicUsize as Count, Ordering};

    use super::*;
    use crate::device::soft::Soft;
    use crate::device::{Handle, Run, Score};
    use crate::error::Error;
    use crate::key::Key;
    use crate::session::SessionSpec;
    use crate::simulation::Simulation;
    use crate::{Request, block_on};

    #[derive(Default)]
    struct Seen {
        infos: Count,
        opened: Count,
        closed: Count,
        dropped: Count,
    }

    /// Keeps keys, says something else of itself each time it is asked, and panics at its end.
    struct Hardware(Soft, Arc<Seen>);

    impl DirectDevice for Hardware {
        fn info(&self) -> DeviceInfo {
            let times = self.1.infos.fetch_add(1, Ordering::Relaxed);
            DeviceInfo { kind: ["first", "second"][times.min(1)], ..self.0.info() }
        }
        fn probe(&self, spec: &SessionSpec) -> Option<Score> {
            self.0.probe(spec)
        }
        fn open(&self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
            self.1.opened.fetch_add(1, Ordering::Relaxed);
            self.0.open(spec, key)
        }
        fn close(&self, handle: Handle) {
            self.1.closed.fetch_add(1, Ordering::Relaxed);
            self.0.close(handle);
        }
        fn execute(&self, run: &mut Run<'_>) {
            self.0.execute(run);
        }
    }

    impl Drop for Hardware {
        fn drop(&mut self) {
            let open = self.1.opened.load(Ordering::Relaxed) - self.1.closed.load(Ordering::Relaxed);
            self.1.dropped.fetch_add(1, Ordering::Relaxed);
            panic!("{open} sessions open");
        }
    }

    fn with_hardware() -> (Simulation, Arc<Seen>) {
        let simulation = Simulation::new(Config { workers: 1, ..Config::default() });
        let seen = Arc::new(Seen::default());
        let engine = Engine::Direct(Arc::new(Hardware(Soft::new(), Arc::clone(&seen))));
        simulation.runtime().add_device("hw0", engine, 0).unwrap();
        (simulation, seen)
    }

    #[test]
    fn i10_a_device_is_what_it_said_before_its_known_answers() {
        let (simulation, _) = with_hardware();
        assert_eq!(simulation.runtime().device("hw0").unwrap().kind, "first");
        std::mem::forget(simulation);
    }

    #[test]
    fn i5_a_removed_device_keeps_no_session_and_its_end_harms_nobody() {
        let (mut simulation, seen) = with_hardware();
        let runtime = simulation.runtime().clone();
        let spec = SessionSpec::new(Algorithm::Aes128Ctr);
        let session = runtime.session(spec, Key::new(vec![7; 16])).unwrap();
        let request = Request::encrypt(vec![1; 64], [9; 16]);
        assert!(block_on(session.submit(request)).unwrap().result.is_ok());
        let count = |of: &Count| of.load(Ordering::Relaxed);
        assert_eq!(count(&seen.opened), count(&seen.closed) + 1);
        runtime.remove_device("hw0", 1_000, 0).unwrap();
        simulation.advance(1_000_000_000);
        assert_eq!((count(&seen.opened), count(&seen.dropped)), (count(&seen.closed), 1));
        assert_eq!(runtime.stats().completed_ops, 1);
    }
}
