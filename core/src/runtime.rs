//! The runtime: devices, sessions, balancer and queues behind one cheap handle.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::algorithm::Algorithm;
use crate::clock::{Clock, Nanos};
use crate::config::Config;
use crate::device::Engine;
use crate::device::fault::FaultSpec;
use crate::device::mount::Mount;
use crate::device::registry::Device;
use crate::error::Error;
use crate::event::{Draft, EventKind, EventLog, Severity};
use crate::health::selftest;
use crate::load::{LoadSpec, LoadStatus};
use crate::op::DeviceId;
use crate::room::Ready;
use crate::session::Session;
use crate::setting;
use crate::shared::Shared;
use crate::stats::{DeviceStatus, OpStatus, QueueStatus, RuntimeStats};
use crate::sync::atomic::Ordering;
use crate::worker::place::WorkerPlace;
use crate::worker::threads::Threads;

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
    /// [`Error::BadParameter`] for a setting beyond its bounds (see [`SETTINGS`](crate::setting::SETTINGS));
    /// [`Error::Thread`] when the operating system gives no thread.
    pub fn start(config: Config) -> Result<Self, Error> {
        Self::start_by(Clock::monotonic, config)
    }

    /// As [`Runtime::start`], by the system's clock: for a program that ends sooner than the processor's would be measured
    /// ([`Clock::system`]).
    ///
    /// # Errors
    /// As [`Runtime::start`].
    pub fn start_with_system_clock(config: Config) -> Result<Self, Error> {
        Self::start_by(Clock::system, config)
    }

    fn start_by(clock: fn() -> Clock, config: Config) -> Result<Self, Error> {
        setting::check_all(&config)?;
        let workers = match config.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        let shared = Arc::new(Shared::new(config, clock(), workers));
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
        engine: Engine,
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
        let mut engine = Mount::from(engine);
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
        let slowest_ns = match selftest::run(&mut engine, &info, name, &shared.clock) {
            Ok(slowest_ns) => slowest_ns,
            Err(error) => {
                event("refused", Severity::Error, error.to_string());
                return Err(error);
            }
        };
        let id = shared
            .next_device
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |id| {
                id.checked_add(1).filter(|next| *next < u16::MAX)
            })
            .map(DeviceId)
            .map_err(|_| Error::Limit { what: "devices in the life of a runtime", limit: 65_534 })?;
        let kind = info.kind;
        let numbers = shared.names.number(name).zip(shared.names.number(kind));
        let numbers = numbers.ok_or(Error::Limit { what: "device names", limit: 65_535 })?;
        let device =
            Device::new(id, name, numbers, uid, parameters, (engine, info), &shared.config, shared.now());
        device.answer_ns.store(slowest_ns, Ordering::Relaxed);
        if let Err(error) = shared.link(Arc::new(device)) {
            event("refused", Severity::Error, error.to_string());
            return Err(error);
        }
        event("up", Severity::Info, format!("added, kind {kind}"));
        shared.wait_planned(shared.replan());
        Ok(id)
    }

    /// Adds a device of a built-in kind: see [`Runtime::device_kinds`].
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
    /// Safe: it only watches, and leaves nothing behind.
    pub async fn device_gone(&self, name: &str) {
        DeviceGone { shared: &self.shared, name, number: None }.await;
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

    /// Where the workers run that are pinned: none unless the configuration says `pin_workers`.
    pub fn worker_places(&self) -> Vec<WorkerPlace> {
        let mut places = self.shared.places.lock().clone();
        places.sort_by_key(|place| place.worker);
        places
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

    /// Waits until the main queue has room; see [`Session::ready`](crate::Session::ready).
    pub fn ready(&self) -> Ready {
        Ready::new(&self.shared, None)
    }

    /// Whether a device in service can do this.
    pub fn serves(&self, algorithm: Algorithm) -> bool {
        self.shared.serves(algorithm)
    }

    /// Tells whoever watches that the runtime is about to end because this user wants it; it goes on until
    /// [`Runtime::shutdown`].
    pub fn announce_end(&self, uid: u32) {
        self.shared.events.push(Draft {
            kind: EventKind::Server,
            severity: Severity::Warn,
            object: "server",
            name: String::new(),
            from: "up".to_owned(),
            to: "ending".to_owned(),
            reason: "asked to end".to_owned(),
            uid,
        });
    }

    /// Stops loads and refuses new work; what is accepted goes on.
    pub fn shutdown(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.loads.stop_all();
        self.shared.room.notify();
    }
}

/// Future of [`Runtime::device_gone`].
struct DeviceGone<'a> {
    shared: &'a Shared,
    name: &'a str,
    /// Its number among those who wait.
    number: Option<u64>,
}

impl Future for DeviceGone<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let waker = context.waker().clone();
        let mut gone = self.shared.gone.lock();
        if self.shared.devices.load().iter().all(|device| device.name != self.name) {
            return Poll::Ready(());
        }
        let before = gone.sleepers.put(&mut self.number, waker);
        drop(gone);
        drop(before);
        Poll::Pending
    }
}

impl Drop for DeviceGone<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let waker = self.shared.gone.lock().sleepers.remove(number);
            drop(waker);
        }
    }
}

/// Names of devices, balancers and keys.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=63).contains(&name.len()) && name.bytes().all(fits) {
        Ok(())
    } else {
        Err(Error::BadName { name: name.chars().take(64).collect() })
    }
}
