//! What every part of a runtime shares: its tables, queues and machines' meeting points.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::balancer::arrivals::Arrivals;
use crate::balancer::explain::Watch;
use crate::balancer::planner::Planning;
use crate::balancer::routing::Routing;
use crate::binding::Names;
use crate::clock::{Clock, Nanos};
use crate::config::Config;
use crate::device::registry::Device;
use crate::error::{Error, OpError};
use crate::event::{EventLog, Sleepers};
use crate::keys::Keys;
use crate::load::Loads;
use crate::op::DeviceId;
use crate::order::Order;
use crate::queue::slab::Slab;
use crate::queue::waiting::Waiting;
use crate::queue::word::{State, Word};
use crate::room::Room;
use crate::session_table::SessionTable;
use crate::stats::RuntimeStats;
use crate::stats::counter::Shards;
use crate::submit::Body;
use crate::submit::face::Faces;
use crate::sync::Lock;
use crate::sync::atomic::{AtomicBool, AtomicU16, Ordering, fence};
use crate::tenant::Tenants;
use crate::worker::park::Parking;
use crate::worker::place::WorkerPlace;

/// What every part of a runtime shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    /// User that runs the process; the runtime's own events carry it.
    pub(crate) owner: u32,
    pub(crate) workers: usize,
    pub(crate) slab: Slab<Body>,
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) devices: ArcSwap<Vec<Arc<Device>>>,
    /// Serialises changes of `devices`, and keeps what left it until nobody can count on it any more.
    pub(crate) gone: Lock<Gone>,
    pub(crate) routing: ArcSwap<Routing>,
    pub(crate) planning: Planning,
    pub(crate) watch: Arc<Watch>,
    pub(crate) arrivals: Arrivals,
    pub(crate) sessions: SessionTable,
    pub(crate) faces: Faces,
    pub(crate) shards: Shards,
    pub(crate) events: Arc<EventLog>,
    pub(crate) parking: Parking,
    /// Where pinned workers run.
    pub(crate) places: Lock<Vec<WorkerPlace>>,
    pub(crate) room: Room,
    /// Orders with more to hand over than one thread may at a time.
    pub(crate) late_orders: Lock<Vec<Arc<Order>>>,
    pub(crate) loads: Loads,
    pub(crate) names: Names,
    pub(crate) tenants: Tenants,
    pub(crate) keys: Keys,
    pub(crate) next_device: AtomicU16,
    pub(crate) stopping: AtomicBool,
    stopped: AtomicBool,
}

/// Devices that were removed, and the sums of those that are forgotten.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    pub(crate) devices: Vec<Arc<Device>>,
    pub(crate) sums: RuntimeStats,
    /// Who waits for a name to be free.
    pub(crate) sleepers: Sleepers,
}

impl Shared {
    pub(crate) fn new(config: Config, clock: Clock, workers: usize) -> Self {
        let slots = config.main_queue_max_ops.max(1);
        let now = clock.now();
        let waiting = Arc::new(Waiting::new(slots));
        let watch = Arc::new(Watch::new(clock.clone(), &waiting));
        Self {
            owner: owner(),
            workers,
            slab: Slab::new(slots),
            waiting,
            devices: ArcSwap::default(),
            gone: Lock::new(Gone::default()),
            routing: ArcSwap::from_pointee(Routing::empty(&watch)),
            planning: Planning::new(now),
            watch,
            arrivals: Arrivals::default(),
            sessions: SessionTable::new(config.sessions_max),
            faces: Faces::default(),
            shards: Shards::default(),
            events: Arc::new(EventLog::new(config.events_max, clock.clone())),
            parking: Parking::new(workers),
            places: Lock::new(Vec::new()),
            room: Room::default(),
            late_orders: Lock::new(Vec::new()),
            loads: Loads::new(config.loads_max),
            names: Names::default(),
            tenants: Tenants::new(config.tenants_max),
            keys: Keys::new(config.named_keys_max),
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
        self.events.close();
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
                for held in self.unpack(held) {
                    self.count_taken_back(word);
                    self.give_up(held, OpError::Cancelled);
                }
            }
        }
        while self.go_on_handing_over() {}
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
        if device.is_direct() {
            self.parking.wake_one();
        } else {
            self.parking.wake(usize::from(device.id.0) % self.workers);
        }
    }

    pub(crate) fn link(&self, device: Arc<Device>) -> Result<(), Error> {
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
        self.rebind();
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
            self.rebind();
            gone.devices.push(Arc::clone(device));
            gone.sleepers.take()
        };
        wakers.wake();
    }
}

impl Drop for Shared {
    /// Without threads, as in simulated time, nobody has ended what is left: it would keep its session, and the key.
    fn drop(&mut self) {
        self.end_all();
    }
}

/// The user that runs this process.
fn owner() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").map_or(0, |metadata| metadata.uid())
}
