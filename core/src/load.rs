//! Loads: real operations on generated data, so that there is something to see and to measure.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::algorithm::{Algorithm, Class, OpKind};
use crate::error::Error;
use crate::event::{Draft, EventKind, Severity};
use crate::key::Key;
use crate::op::{Completion, Iv, Request};
use crate::session::{Padding, Session, SessionSpec};
use crate::shared::Shared;
use crate::stats::counter::Counter;
use crate::sync::Lock;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Largest operation of a load, in bytes.
pub const LOAD_SIZE_MAX_BYTES: usize = 1 << 20;
/// Most clients of a load.
pub const LOAD_CLIENTS_MAX: usize = 1_024;

/// What a load does.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSpec {
    /// The algorithm; ciphers encrypt.
    pub algorithm: Algorithm,
    /// Bytes of each operation, 0 to [`LOAD_SIZE_MAX_BYTES`].
    pub size_bytes: usize,
    /// Operations kept in flight, 1 to [`LOAD_CLIENTS_MAX`]: each client has one.
    pub clients: usize,
    /// Operations a second, all clients together; `None` for as many as there can be.
    pub rate_ops_per_s: Option<f64>,
    /// How long, in nanoseconds; `None` until stopped.
    pub for_ns: Option<u64>,
}

impl LoadSpec {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let bad = |name: &str, value: String, expected: String| {
            Err(Error::BadParameter { name: name.to_owned(), value, expected })
        };
        if self.size_bytes > LOAD_SIZE_MAX_BYTES {
            return bad("size", self.size_bytes.to_string(), format!("from 0 to {LOAD_SIZE_MAX_BYTES}"));
        }
        if !(1..=LOAD_CLIENTS_MAX).contains(&self.clients) {
            return bad("clients", self.clients.to_string(), format!("from 1 to {LOAD_CLIENTS_MAX}"));
        }
        match self.rate_ops_per_s {
            Some(rate) if !(rate.is_finite() && rate > 0.0) => {
                bad("rate", rate.to_string(), "above 0".to_owned())
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn session(&self, uid: u32) -> SessionSpec {
        SessionSpec::new(self.algorithm)
            .padding(Padding::Pkcs7)
            .uid(uid)
            .name("load")
            .allow_ecb(true)
            .allow_sha1(true)
    }

    pub(crate) fn key(&self) -> Result<Key, Error> {
        let mut bytes = vec![0; *self.algorithm.key_len().start()];
        getrandom::fill(&mut bytes)
            .map_err(|_| Error::Device { device: "load".to_owned(), reason: "no random bytes".to_owned() })?;
        Ok(Key::new(bytes))
    }

    /// Time between two submissions, in nanoseconds: short enough that half of the clients keep up the rate.
    fn beat_ns(&self) -> u64 {
        let half = self.rate_ops_per_s.map_or(f64::MAX, |rate| self.clients as f64 / rate / 2.0 * 1e9);
        (half as u64).clamp(BEAT_MIN_NS, BEAT_MAX_NS)
    }

    fn request(&self, data: Vec<u8>, number: u64) -> Request {
        let algorithm = self.algorithm;
        let kind = algorithm.ops().first().copied().unwrap_or(OpKind::Encrypt);
        let mut iv = [0; 16];
        iv[..8].copy_from_slice(&number.to_be_bytes());
        let iv = Iv::new(&iv[..algorithm.iv_len()]).unwrap_or_default();
        Request { iv, ..Request::new(kind, data) }
    }

    /// The buffer of a finished operation, ready for the next one.
    fn recycle(&self, completion: Completion) -> Vec<u8> {
        let mut data = completion.data;
        data.resize(self.size_bytes, 0x5a);
        data
    }

    fn buffer(&self) -> Vec<u8> {
        let tail = if self.algorithm.class() == Class::Digest { 0 } else { 32 };
        let mut data = Vec::with_capacity(self.size_bytes + tail);
        data.resize(self.size_bytes, 0x5a);
        data
    }
}

/// A load that runs.
#[derive(Clone, Debug)]
pub struct LoadStatus {
    /// Number within the runtime.
    pub id: u64,
    /// What it does.
    pub spec: LoadSpec,
    /// Who started it.
    pub uid: u32,
    /// Operations done.
    pub completed_ops: u64,
    /// Of these, failed.
    pub failed_ops: u64,
    /// Requests that the runtime refused.
    pub refused_ops: u64,
    /// Bytes done.
    pub bytes: u64,
    /// When it started, nanoseconds of the runtime's clock.
    pub started_ns: u64,
}

#[derive(Debug)]
struct Load {
    id: u64,
    spec: LoadSpec,
    uid: u32,
    started_ns: u64,
    stop: AtomicBool,
    completed: Counter,
    failed: Counter,
    refused: Counter,
    bytes: Counter,
}

#[derive(Debug)]
struct Running {
    load: Arc<Load>,
    thread: Option<JoinHandle<()>>,
}

/// The loads of a runtime.
#[derive(Debug)]
pub(crate) struct Loads {
    running: Lock<Vec<Running>>,
    next: AtomicU64,
    limit: usize,
}

impl Loads {
    pub(crate) fn new(limit: usize) -> Self {
        Self { running: Lock::new(Vec::new()), next: AtomicU64::new(1), limit }
    }

    pub(crate) fn start(
        &self,
        shared: &Arc<Shared>,
        session: Session,
        spec: LoadSpec,
        uid: u32,
    ) -> Result<u64, Error> {
        let mut running = self.running.lock();
        running.retain(|running| running.thread.as_ref().is_some_and(|thread| !thread.is_finished()));
        if running.len() >= self.limit {
            return Err(Error::Limit { what: "loads", limit: self.limit });
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let load = Arc::new(Load {
            id,
            spec,
            uid,
            started_ns: shared.now().0,
            stop: AtomicBool::new(false),
            completed: Counter::default(),
            failed: Counter::default(),
            refused: Counter::default(),
            bytes: Counter::default(),
        });
        let name = format!("acrypto-load-{id}");
        let thread = {
            let load = Arc::clone(&load);
            std::thread::Builder::new()
                .name(name.clone())
                .spawn(move || drive(&session, &load))
                .map_err(|_| Error::Thread { name })?
        };
        load_event(shared, &load, "", "started", uid);
        running.push(Running { load, thread: Some(thread) });
        Ok(id)
    }

    pub(crate) fn stop(&self, shared: &Shared, id: u64, uid: u32) -> Result<(), Error> {
        let found = {
            let mut running = self.running.lock();
            let position = running.iter().position(|running| running.load.id == id);
            running.swap_remove(position.ok_or(Error::UnknownLoad { id })?)
        };
        end(found.thread, &found.load);
        load_event(shared, &found.load, "started", "stopped", uid);
        Ok(())
    }

    pub(crate) fn stop_all(&self) {
        let all = std::mem::take(&mut *self.running.lock());
        for running in &all {
            running.load.stop.store(true, Ordering::Release);
        }
        for running in all {
            end(running.thread, &running.load);
        }
    }

    pub(crate) fn list(&self) -> Vec<LoadStatus> {
        let mut running = self.running.lock();
        running.retain(|running| running.thread.as_ref().is_some_and(|thread| !thread.is_finished()));
        let mut loads: Vec<_> = running
            .iter()
            .map(|Running { load, .. }| LoadStatus {
                id: load.id,
                spec: load.spec.clone(),
                uid: load.uid,
                completed_ops: load.completed.read(),
                failed_ops: load.failed.read(),
                refused_ops: load.refused.read(),
                bytes: load.bytes.read(),
                started_ns: load.started_ns,
            })
            .collect();
        loads.sort_by_key(|load| load.id);
        loads
    }
}

fn end(thread: Option<JoinHandle<()>>, load: &Load) {
    load.stop.store(true, Ordering::Release);
    if let Some(thread) = thread {
        thread.thread().unpark();
        // A callback that a load's own thread carries out may stop it.
        if thread.thread().id() != std::thread::current().id() {
            let _ = thread.join();
        }
    }
}

fn load_event(shared: &Shared, load: &Load, from: &str, to: &str, uid: u32) {
    shared.events.push(Draft {
        kind: EventKind::Load,
        severity: Severity::Info,
        object: "load",
        name: load.id.to_string(),
        from: from.to_owned(),
        to: to.to_owned(),
        reason: format!(
            "{} {} bytes, {} clients",
            load.spec.algorithm, load.spec.size_bytes, load.spec.clients
        ),
        uid,
    });
}

/// A load with a rate submits at least this often, in nanoseconds: what is due by then, at once.
const BEAT_MAX_NS: u64 = 10_000_000;
/// And at most this often.
const BEAT_MIN_NS: u64 = 200_000;
/// Longest wait for a completion before the stop flag is looked at again, in nanoseconds.
const WAIT_NS: u64 = 20_000_000;

/// Keeps the load's operations in flight until it is stopped or its time is over.
fn drive(session: &Session, load: &Load) {
    let spec = &load.spec;
    let shared = &session.open.shared;
    let mut burst = session.burst(spec.clients);
    let mut idle: Vec<Vec<u8>> = (0..spec.clients).map(|_| spec.buffer()).collect();
    let (mut requests, mut completions) = (Vec::new(), Vec::new());
    let begin = shared.now();
    let until = spec.for_ns.map_or(u64::MAX, |length| begin.plus(length).0);
    let mut number = 0_u64;
    while !load.stop.load(Ordering::Acquire) && !shared.is_stopping() && shared.now().0 < until {
        let allowed = spec.rate_ops_per_s.map_or(u64::MAX, |rate| {
            ((shared.now().since(begin) as f64 / 1e9 * rate) as u64).saturating_sub(number)
        });
        while (requests.len() as u64) < allowed
            && let Some(data) = idle.pop()
        {
            requests.push(spec.request(data, number + requests.len() as u64));
        }
        let accepted = burst.submit(&mut requests) as u64;
        number += accepted;
        // What was not accepted waits for its turn again.
        idle.extend(requests.drain(..).map(|request| request.data));
        for refused in burst.refused() {
            load.refused.add(1);
            idle.push(refused.request.data);
        }
        let mut is_idle = true;
        while burst.poll(&mut completions, spec.clients) > 0 {
            is_idle = false;
            for completion in completions.drain(..) {
                load.completed.add(1);
                load.bytes.add(spec.size_bytes as u64);
                load.failed.add(u64::from(completion.result.is_err()));
                idle.push(spec.recycle(completion));
            }
            if spec.rate_ops_per_s.is_none() {
                break;
            }
        }
        if spec.rate_ops_per_s.is_some() || is_idle && burst.outstanding_ops() == 0 {
            // Completions that come meanwhile are fetched at the next beat, without waking anybody.
            std::thread::park_timeout(Duration::from_nanos(spec.beat_ns()));
        } else if is_idle {
            burst.wait(Duration::from_nanos(WAIT_NS));
        }
    }
    while burst.outstanding_ops() > 0 && !shared.is_stopped() {
        if burst.poll(&mut completions, spec.clients) == 0 {
            burst.wait(Duration::from_nanos(WAIT_NS));
        }
        for completion in completions.drain(..) {
            load.completed.add(1);
            load.failed.add(u64::from(completion.result.is_err()));
        }
    }
}
