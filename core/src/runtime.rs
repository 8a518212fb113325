//! The runtime: devices, sessions, balancer and queues behind one cheap handle.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::algorithm::Algorithm;
use crate::balancer::Balancer;
use crate::balancer::planner::Planner;
use crate::balancer::routing::Routing;
use crate::clock::{Clock, Nanos};
use crate::config::Config;
use crate::device::fault::FaultSpec;
use crate::device::registry::{Device, Mail};
use crate::device::{DeviceState, Engine};
use crate::error::{Error, OpError};
use crate::event::{Draft, EventKind, EventLog, Severity};
use crate::health::selftest;
use crate::key::Key;
use crate::load::{LoadSpec, LoadStatus, Loads};
use crate::op::DeviceId;
use crate::queue::slab::Slab;
use crate::queue::waiting::Waiting;
use crate::queue::word::{State, Word};
use crate::room::{Ready, Room};
use crate::session::{Session, SessionSpec, SessionState};
use crate::session_table::SessionTable;
use crate::stats::counter::{Counter, Shards};
use crate::stats::{BalancerStatus, DeviceStatus, OpStatus, QueueStatus, RuntimeStats, SessionStatus};
use crate::submit::Body;
use crate::submit::face::Faces;
use crate::sync::Lock;
use crate::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering, fence};
use crate::worker::park::Parking;
use crate::worker::threads::Threads;

/// What every part of a runtime shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    /// User that runs the process; the runtime's own events carry it.
    pub(crate) owner: u32,
    pub(crate) workers: usize,
    pub(crate) slab: Slab<Body>,
    pub(crate) waiting: Waiting,
    pub(crate) devices: ArcSwap<Vec<Arc<Device>>>,
    /// Serialises changes of `devices`, and keeps what left it until nobody can count on it any more.
    pub(crate) gone: Lock<Gone>,
    pub(crate) routing: ArcSwap<Routing>,
    pub(crate) planner: Lock<Planner>,
    pub(crate) sessions: SessionTable,
    pub(crate) faces: Faces,
    pub(crate) shards: Shards,
    pub(crate) events: Arc<EventLog>,
    pub(crate) parking: Parking,
    pub(crate) room: Room,
    pub(crate) loads: Loads,
    next_device: AtomicU16,
    stopping: AtomicBool,
    stopped: AtomicBool,
}

/// Devices that were removed, and the sums of those that are forgotten.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    pub(crate) devices: Vec<Arc<Device>>,
    pub(crate) sums: RuntimeStats,
    wakers: Vec<std::task::Waker>,
}

impl Shared {
    fn new(config: Config, clock: Clock, workers: usize) -> Self {
        let slots = config.main_queue_max_ops.max(1);
        let now = clock.now();
        Self {
            owner: owner(),
            workers,
            slab: Slab::new(slots),
            waiting: Waiting::new(slots),
            devices: ArcSwap::default(),
            gone: Lock::new(Gone::default()),
            routing: ArcSwap::default(),
            planner: Lock::new(Planner::new(now)),
            sessions: SessionTable::new(config.sessions_max),
            faces: Faces::default(),
            shards: Shards::default(),
            events: Arc::new(EventLog::new(config.events_max, clock.clone())),
            parking: Parking::new(workers),
            room: Room::default(),
            loads: Loads::new(config.loads_max),
            next_device: AtomicU16::new(0),
            stopping: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            clock,
            config,
        }
    }

    #[inline]
    pub(crate) fn now(&self) -> Nanos {
        self.clock.now()
    }

    /// Whether new work is refused.
    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Whether the threads should end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.stopped.store(true, Ordering::SeqCst);
        self.room.notify();
    }

    /// No thread works any more: what a submitter has just put into a queue would stay there.
    #[inline]
    pub(crate) fn sweep_if_stopped(&self) {
        fence(Ordering::SeqCst);
        if self.is_stopped() {
            self.end_all();
        }
    }

    /// Ends every operation that is left when no thread works any more.
    pub(crate) fn end_all(&self) {
        for (index, word, _) in self.slab.iter() {
            if matches!(word.state(), State::Waiting | State::Queued | State::Lent)
                && let Some(held) = self.slab.claim(index, word, State::Held)
            {
                self.count_taken_back(word);
                self.give_up(held, OpError::Cancelled);
            }
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.slab.has_free() || self.is_stopping()
    }

    pub(crate) fn device_by_id(&self, id: DeviceId) -> Option<Arc<Device>> {
        let devices = self.devices.load();
        let found = devices.iter().find(|device| device.id == id).cloned();
        found.or_else(|| self.gone.lock().devices.iter().find(|device| device.id == id).cloned())
    }

    pub(crate) fn device_by_name(&self, name: &str) -> Result<Arc<Device>, Error> {
        let devices = self.devices.load();
        devices
            .iter()
            .find(|device| device.name == name)
            .cloned()
            .ok_or_else(|| Error::UnknownDevice { name: name.to_owned() })
    }

    pub(crate) fn count_moved_out(&self, word: Word) {
        if let Some(device) = self.device_by_id(word.device()) {
            device.cells.moved_out.add(1);
        }
    }

    /// Lets somebody look after a device now.
    pub(crate) fn look_after(&self, device: &Device) {
        if device.is_direct {
            self.parking.wake_one();
        } else {
            self.parking.wake(usize::from(device.id.0) % self.workers);
        }
    }

    fn link(&self, device: Arc<Device>) -> Result<(), Error> {
        let _gone = self.gone.lock();
        let devices = self.devices.load_full();
        if devices.iter().any(|other| other.name == device.name) {
            return Err(Error::DeviceExists { name: device.name.clone() });
        }
        if devices.len() >= self.config.devices_max {
            return Err(Error::Limit { what: "devices", limit: self.config.devices_max });
        }
        let mut all = devices.as_ref().clone();
        all.push(device);
        self.devices.store(Arc::new(all));
        Ok(())
    }

    /// Takes a device that is gone out of the list.
    pub(crate) fn unlink(&self, device: &Arc<Device>) {
        // The ring has one consumer. If somebody is at it now, the scan of the control machine finds what is left.
        if let Some(_token) = device.exec.try_lock() {
            self.evacuate(device);
        }
        let wakers = {
            let mut gone = self.gone.lock();
            let rest = self.devices.load().iter().filter(|other| other.id != device.id).cloned().collect();
            self.devices.store(Arc::new(rest));
            gone.devices.push(Arc::clone(device));
            std::mem::take(&mut gone.wakers)
        };
        for waker in wakers {
            waker.wake();
        }
    }

    /// The last operation or handle of a closed session is gone: devices forget it, and with them its key.
    pub(crate) fn end_session(&self, session: &SessionState) {
        self.sessions.remove(session.id);
        for device in self.devices.load().iter() {
            device.post(Mail::Close(session.id));
        }
        self.session_event(session, "opened", "closed");
    }

    fn session_event(&self, session: &SessionState, from: &str, to: &str) {
        self.events.push(Draft {
            kind: EventKind::Session,
            severity: Severity::Info,
            object: "session",
            name: format!("{:#x}", session.id),
            from: from.to_owned(),
            to: to.to_owned(),
            reason: session.spec.algorithm.name().to_owned(),
            uid: session.spec.uid,
        });
    }
}

/// The user that runs this process.
fn owner() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").map_or(0, |metadata| metadata.uid())
}

/// A runtime. Clones share it; its threads end with the last clone.
#[derive(Clone, Debug)]
pub struct Runtime {
    pub(crate) shared: Arc<Shared>,
    _threads: Option<Arc<Threads>>,
}

impl Runtime {
    /// Starts a runtime without devices.
    ///
    /// # Errors
    /// [`Error::Thread`] when the operating system gives no thread.
    pub fn start(config: Config) -> Result<Self, Error> {
        let workers = match config.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        let shared = Arc::new(Shared::new(config, Clock::monotonic(), workers));
        let threads = Threads::start(&shared)?;
        Ok(Self { shared, _threads: Some(Arc::new(threads)) })
    }

    /// A runtime without threads, in simulated time: [`Simulation`](crate::simulation::Simulation) polls its parts.
    pub(crate) fn unthreaded(config: Config) -> Self {
        let workers = config.workers.max(1);
        Self { shared: Arc::new(Shared::new(config, Clock::simulated(), workers)), _threads: None }
    }

    /// Adds a device after its known answers passed; blocks until then.
    ///
    /// # Errors
    /// [`Error::SelfTest`], [`Error::DeviceExists`], [`Error::BadName`] or [`Error::Limit`]; no row is left then.
    pub fn add_device(&self, name: &str, engine: Engine, uid: u32) -> Result<DeviceId, Error> {
        self.add(name, engine, Vec::new(), uid)
    }

    pub(crate) fn add(
        &self,
        name: &str,
        mut engine: Engine,
        parameters: Vec<(String, String)>,
        uid: u32,
    ) -> Result<DeviceId, Error> {
        check_name(name)?;
        let shared = &self.shared;
        if shared.device_by_name(name).is_ok() {
            return Err(Error::DeviceExists { name: name.to_owned() });
        }
        if shared.is_stopping() {
            return Err(Error::ShuttingDown);
        }
        let info = engine.info();
        let event = |to: &str, severity, reason: String| {
            shared.events.push(Draft {
                kind: EventKind::Device,
                severity,
                object: "device",
                name: name.to_owned(),
                from: String::new(),
                to: to.to_owned(),
                reason,
                uid,
            });
        };
        if let Err(error) = selftest::run(&mut engine, &info, name, &shared.clock) {
            event("refused", Severity::Error, error.to_string());
            return Err(error);
        }
        let id = shared
            .next_device
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |id| {
                id.checked_add(1).filter(|next| *next < u16::MAX)
            })
            .map(DeviceId)
            .map_err(|_| Error::Limit { what: "devices in the life of a runtime", limit: 65_534 })?;
        let device = Device::new(id, name, uid, parameters, engine, &shared.config, shared.now());
        if let Err(error) = shared.link(Arc::new(device)) {
            event("refused", Severity::Error, error.to_string());
            return Err(error);
        }
        event("up", Severity::Info, format!("added, kind {}", info.kind));
        shared.replan();
        Ok(id)
    }

    /// Adds a device of a built-in kind: `soft`, `sim` or `null`.
    ///
    /// # Errors
    /// As [`Runtime::add_device`], and [`Error::UnknownKind`], [`Error::UnknownParameter`], [`Error::BadParameter`].
    pub fn add_device_of_kind(
        &self,
        name: &str,
        kind: &str,
        parameters: &[(String, String)],
        uid: u32,
    ) -> Result<DeviceId, Error> {
        let engine = crate::device::kind::build(kind, parameters)?;
        self.add(name, engine, parameters.to_vec(), uid)
    }

    /// The built-in kinds.
    pub fn device_kinds(&self) -> Vec<&'static str> {
        crate::device::kind::KINDS.to_vec()
    }

    /// Begins the removal of a device: it gets nothing new, its queue moves elsewhere, and what it works on may end
    /// within `deadline_ns`. See [`Runtime::device_gone`].
    ///
    /// # Errors
    /// [`Error::UnknownDevice`], [`Error::DeviceState`].
    pub fn remove_device(&self, name: &str, deadline_ns: u64, uid: u32) -> Result<(), Error> {
        self.shared.remove_device(&self.shared.device_by_name(name)?, deadline_ns, uid)
    }

    /// Waits until no device has this name.
    ///
    /// # Cancel safety
    /// Safe: it only watches.
    pub async fn device_gone(&self, name: &str) {
        std::future::poll_fn(|context| {
            let mut gone = self.shared.gone.lock();
            if self.shared.devices.load().iter().all(|device| device.name != name) {
                return std::task::Poll::Ready(());
            }
            if !gone.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                gone.wakers.push(context.waker().clone());
            }
            std::task::Poll::Pending
        })
        .await;
    }

    /// Puts a fault on a device, or takes it out of service by hand.
    ///
    /// # Errors
    /// [`Error::UnknownDevice`], [`Error::DeviceState`], [`Error::BadParameter`].
    pub fn break_device(&self, name: &str, fault: Option<FaultSpec>, uid: u32) -> Result<(), Error> {
        self.shared.break_device(&self.shared.device_by_name(name)?, fault, uid)
    }

    /// Clears faults and takes a device through known answers and probation back into service.
    ///
    /// # Errors
    /// [`Error::UnknownDevice`], [`Error::DeviceState`].
    pub fn repair_device(&self, name: &str, uid: u32) -> Result<(), Error> {
        self.shared.repair_device(&self.shared.device_by_name(name)?, uid)
    }

    /// All devices, in the order they were added.
    pub fn devices(&self) -> Vec<DeviceStatus> {
        self.shared.devices.load().iter().map(|device| device.status()).collect()
    }

    /// One device.
    ///
    /// # Errors
    /// [`Error::UnknownDevice`].
    pub fn device(&self, name: &str) -> Result<DeviceStatus, Error> {
        Ok(self.shared.device_by_name(name)?.status())
    }

    /// The balancer in force and those there are.
    pub fn balancer(&self) -> BalancerStatus {
        self.shared.balancer_status()
    }

    /// Puts another balancer in force; what is queued stays where it is.
    ///
    /// # Errors
    /// [`Error::UnknownBalancer`]; [`Error::BalancerChanged`] when `if_current` is not in force.
    pub fn set_balancer(&self, name: &str, if_current: Option<&str>, uid: u32) -> Result<(), Error> {
        self.shared.set_balancer(name, if_current, uid)
    }

    /// Adds a policy of the caller's; it is not in force until it is set.
    ///
    /// # Errors
    /// [`Error::BalancerExists`], [`Error::BadName`].
    pub fn register_balancer(&self, balancer: Box<dyn Balancer>, uid: u32) -> Result<(), Error> {
        check_name(balancer.name())?;
        self.shared.register_balancer(balancer, uid)
    }

    /// Removes a policy; if it is in force, `simple_lb` takes over.
    ///
    /// # Errors
    /// [`Error::UnknownBalancer`], [`Error::BalancerBuiltIn`].
    pub fn unregister_balancer(&self, name: &str, uid: u32) -> Result<(), Error> {
        self.shared.unregister_balancer(name, uid)
    }

    /// Allocates a session.
    ///
    /// # Errors
    /// A wrong key length, an algorithm that must be allowed by name, [`Error::NoDevice`] or [`Error::Limit`].
    pub fn session(&self, spec: SessionSpec, key: Key) -> Result<Session, Error> {
        let shared = &self.shared;
        if shared.is_stopping() {
            return Err(Error::ShuttingDown);
        }
        spec.check(&key)?;
        if !shared.routing.load().serves(spec.algorithm) {
            return Err(Error::NoDevice { algorithm: spec.algorithm });
        }
        let created = shared.now();
        let state = shared.sessions.insert(|id| SessionState {
            id,
            spec,
            key,
            created,
            handles: AtomicUsize::new(1),
            live: AtomicU64::new(1),
            closed: AtomicBool::new(false),
            submitted: Counter::default(),
            completed: Counter::default(),
            failed: Counter::default(),
            bytes: Counter::default(),
        })?;
        shared.session_event(&state, "", "opened");
        Ok(Session { shared: Arc::clone(shared), state })
    }

    /// All sessions, by number.
    pub fn sessions(&self) -> Vec<SessionStatus> {
        self.shared.sessions.all().iter().map(|state| state.status()).collect()
    }

    /// The runtime's counters.
    pub fn stats(&self) -> RuntimeStats {
        self.shared.stats()
    }

    /// The queues.
    pub fn queue(&self) -> QueueStatus {
        self.shared.queue_status()
    }

    /// Operations of the main queue, oldest first, at most `limit`.
    pub fn ops(&self, limit: usize) -> Vec<OpStatus> {
        self.shared.op_statuses(limit)
    }

    /// What happened.
    pub fn events(&self) -> &Arc<EventLog> {
        &self.shared.events
    }

    /// Starts a load: real operations on generated data.
    ///
    /// # Errors
    /// As [`Runtime::session`]; [`Error::BadParameter`], [`Error::Limit`].
    pub fn start_load(&self, spec: LoadSpec, uid: u32) -> Result<u64, Error> {
        self.shared.loads.start(&self.shared, self.session_for_load(&spec, uid)?, spec, uid)
    }

    fn session_for_load(&self, spec: &LoadSpec, uid: u32) -> Result<Session, Error> {
        spec.check()?;
        self.session(spec.session(uid), spec.key()?)
    }

    /// Stops a load.
    ///
    /// # Errors
    /// [`Error::UnknownLoad`].
    pub fn stop_load(&self, id: u64, uid: u32) -> Result<(), Error> {
        self.shared.loads.stop(&self.shared, id, uid)
    }

    /// The loads that run.
    pub fn loads(&self) -> Vec<LoadStatus> {
        self.shared.loads.list()
    }

    /// Limits and time-outs in force.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The runtime's clock.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Nanoseconds since the runtime started.
    pub fn now(&self) -> Nanos {
        self.shared.now()
    }

    /// Waits until the main queue has room.
    pub fn ready(&self) -> Ready {
        Ready { shared: Arc::clone(&self.shared) }
    }

    /// Whether a device in service can do this.
    pub fn serves(&self, algorithm: Algorithm) -> bool {
        self.shared.routing.load().serves(algorithm)
    }

    /// Stops loads and refuses new work; what is accepted goes on.
    pub fn shutdown(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.loads.stop_all();
        self.shared.room.notify();
    }

    /// Whether any device is in service.
    pub fn is_served(&self) -> bool {
        self.shared.devices.load().iter().any(|device| DeviceState::is_usable(device.state()))
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=63).contains(&name.len()) && name.bytes().all(fits) {
        Ok(())
    } else {
        Err(Error::BadName { name: name.chars().take(64).collect() })
    }
}
