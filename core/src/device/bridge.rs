//! A queued device made of any blocking library: its calls are made by threads of the bridge's own, so that the runtime
//! never waits for one.
//!
//! A call that does not return keeps its thread. A reset leaves such threads behind and goes on with new ones; what they
//! bring back later finds nobody. They are counted: when too many are stuck a reset fails, and the device stays out of
//! service. Keys that a stuck call may still use are counted too, see [`QueuedDevice::keys_held`].

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use super::mount::{PANICKED, guarded};
use super::staged::carry_out;
use super::{Answer, DeviceError, DeviceInfo, DirectOp, Handle, QueuedDevice, QueuedOp, RUN_MAX_OPS, Score};
use crate::clock::Nanos;
use crate::error::{Error, Progress};
use crate::key::Key;
use crate::session::SessionSpec;

/// A library whose calls may block. Several are made at once, from as many threads as the bridge has.
pub trait BlockingDevice: Send + Sync {
    /// Describes the device. Must not block.
    fn info(&self) -> DeviceInfo;
    /// Whether the device can serve a session like this one. Must not block.
    fn probe(&self, spec: &SessionSpec) -> Option<Score>;
    /// Sets up a session.
    ///
    /// # Errors
    /// [`Error::Device`] or one of the length errors; nothing stays allocated.
    fn open(&self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error>;
    /// Wipes and frees what `open` set up. An unknown handle is ignored.
    fn close(&self, handle: Handle);
    /// Carries out one operation and sets its result.
    fn execute(&self, op: &mut DirectOp<'_>);
}

/// How often the bridge wants to be asked while it has work, in nanoseconds.
const ASK_NS: u64 = 50_000;

/// A session of the bridge; the library opens it with the first operation.
struct Session {
    spec: SessionSpec,
    key: Key,
    handle: OnceLock<Result<Handle, &'static str>>,
}

enum Job {
    Execute(Option<Arc<Session>>, QueuedOp),
    Close(Arc<Session>),
}

#[derive(Default)]
struct Desk {
    jobs: VecDeque<Job>,
    done: Vec<Answer>,
    /// Threads inside a call.
    busy: usize,
    /// The crew takes nothing new; its threads end when there is nothing left.
    is_dismissed: bool,
    /// What its threads bring is of no use any more.
    is_abandoned: bool,
}

/// Threads that serve one desk, from one reset to the next.
struct Crew {
    desk: Mutex<Desk>,
    work: Condvar,
    /// Threads of abandoned crews that have not come back.
    stuck: Arc<AtomicUsize>,
}

impl Crew {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, library: &dyn BlockingDevice) {
        let mut desk = self.desk();
        loop {
            let Some(job) = desk.jobs.pop_front() else {
                if desk.is_dismissed {
                    return;
                }
                desk = self.work.wait(desk).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            desk.busy += 1;
            drop(desk);
            let answer = carry(library, job);
            desk = self.desk();
            desk.busy -= 1;
            if desk.is_abandoned {
                self.stuck.fetch_sub(1, Ordering::AcqRel);
                return;
            }
            desk.done.extend(answer);
        }
    }
}

fn carry(library: &dyn BlockingDevice, job: Job) -> Option<Answer> {
    let failed =
        |reason| DeviceError::Failed { reason, progress: Progress::MaybeExecuted, source_intact: true };
    match job {
        Job::Close(session) => {
            if let Some(Ok(handle)) = session.handle.get() {
                guarded(|| library.close(*handle));
            }
            None
        }
        Job::Execute(session, mut op) => {
            let ticket = op.ticket;
            let opened = match &session {
                None => Err("no such session on the device"),
                Some(session) => *session.handle.get_or_init(|| {
                    let opened = guarded(|| library.open(&session.spec, &session.key));
                    opened.ok_or(PANICKED)?.map_err(|_| "session could not be opened")
                }),
            };
            let handle = match opened {
                Ok(handle) => handle,
                Err(reason) => return Some(Answer { ticket, result: Err(failed(reason)) }),
            };
            op.handle = handle;
            let answer = guarded(|| carry_out(op, |run| run.iter_mut().for_each(|op| library.execute(op))));
            Some(answer.unwrap_or(Answer { ticket, result: Err(failed(PANICKED)) }))
        }
    }
}

/// The bridge.
pub struct BlockingBridge {
    library: Arc<dyn BlockingDevice>,
    info: DeviceInfo,
    crew: Arc<Crew>,
    threads: usize,
    stuck_max: usize,
    sessions: HashMap<Handle, Arc<Session>>,
    /// Sessions that stuck threads may still use.
    abandoned: Vec<Weak<Session>>,
    next: u32,
    in_flight: usize,
}

impl fmt::Debug for BlockingBridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingBridge")
            .field("kind", &self.info.kind)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

impl BlockingBridge {
    /// A bridge with so many threads, 1 to [`RUN_MAX_OPS`]; at most `stuck_max` may be left behind in calls that do not
    /// return.
    ///
    /// # Errors
    /// [`Error::Thread`] when the operating system gives no thread.
    pub fn new(library: Arc<dyn BlockingDevice>, threads: usize, stuck_max: usize) -> Result<Self, Error> {
        let threads = threads.clamp(1, RUN_MAX_OPS);
        let mut info = library.info();
        info.run_max_ops = info.run_max_ops.min(threads);
        let crew = crew(&library, info.kind, threads, &Arc::new(AtomicUsize::new(0)))?;
        Ok(Self {
            library,
            info,
            crew,
            threads,
            stuck_max,
            sessions: HashMap::new(),
            abandoned: Vec::new(),
            next: 0,
            in_flight: 0,
        })
    }

    /// Threads left behind in calls that have not returned.
    pub fn stuck_threads(&self) -> usize {
        self.crew.stuck.load(Ordering::Acquire)
    }
}

fn crew(
    library: &Arc<dyn BlockingDevice>,
    kind: &str,
    threads: usize,
    stuck: &Arc<AtomicUsize>,
) -> Result<Arc<Crew>, Error> {
    let crew = Arc::new(Crew { desk: Mutex::default(), work: Condvar::new(), stuck: Arc::clone(stuck) });
    for number in 0..threads {
        let name = format!("acrypto-{kind}-{number}");
        let (this, library) = (Arc::clone(&crew), Arc::clone(library));
        let spawned =
            std::thread::Builder::new().name(name.clone()).spawn(move || this.serve(library.as_ref()));
        if spawned.is_err() {
            dismiss(&crew);
            return Err(Error::Thread { name });
        }
    }
    Ok(crew)
}

fn dismiss(crew: &Crew) {
    crew.desk().is_dismissed = true;
    crew.work.notify_all();
}

impl QueuedDevice for BlockingBridge {
    fn info(&self) -> DeviceInfo {
        self.info.clone()
    }

    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        self.library.probe(spec)
    }

    fn open(&mut self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        while self.sessions.contains_key(&Handle(self.next)) {
            self.next = self.next.wrapping_add(1);
        }
        let handle = Handle(self.next);
        self.next = self.next.wrapping_add(1);
        let session = Session { spec: spec.clone(), key: key.clone(), handle: OnceLock::new() };
        self.sessions.insert(handle, Arc::new(session));
        Ok(handle)
    }

    fn close(&mut self, handle: Handle) {
        if let Some(session) = self.sessions.remove(&handle) {
            self.crew.desk().jobs.push_back(Job::Close(session));
            self.crew.work.notify_one();
        }
    }

    fn submit(&mut self, _now: Nanos, ops: &mut Vec<QueuedOp>) {
        self.in_flight += ops.len();
        let mut desk = self.crew.desk();
        for op in ops.drain(..) {
            desk.jobs.push_back(Job::Execute(self.sessions.get(&op.handle).cloned(), op));
        }
        drop(desk);
        self.crew.work.notify_all();
    }

    fn room(&self) -> usize {
        // One waits for each that is worked on; what waits longer stays where it can still be moved.
        (2 * self.threads).saturating_sub(self.in_flight)
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn poll(&mut self, now: Nanos, done: &mut Vec<Answer>) -> Option<Nanos> {
        let before = done.len();
        done.append(&mut self.crew.desk().done);
        self.in_flight -= (done.len() - before).min(self.in_flight);
        (self.in_flight > 0).then_some(now.plus(ASK_NS))
    }

    fn reset(&mut self) -> Result<(), Error> {
        let stuck = Arc::clone(&self.crew.stuck);
        let failed = |reason| Error::Device { device: String::new(), reason };
        let busy = self.crew.desk().busy;
        let left_behind = stuck.load(Ordering::Acquire) + busy;
        if left_behind > self.stuck_max {
            let limit = self.stuck_max;
            return Err(failed(format!("{left_behind} threads are stuck in the library (limit {limit})")));
        }
        let next = crew(&self.library, self.info.kind, self.threads, &stuck)?;
        {
            let mut desk = self.crew.desk();
            stuck.fetch_add(desk.busy, Ordering::AcqRel);
            (desk.is_dismissed, desk.is_abandoned) = (true, true);
            desk.jobs.clear();
            desk.done.clear();
        }
        self.crew.work.notify_all();
        self.crew = next;
        self.in_flight = 0;
        // Each session is opened anew, by the threads that work from now on.
        for session in self.sessions.values_mut() {
            let fresh =
                Session { spec: session.spec.clone(), key: session.key.clone(), handle: OnceLock::new() };
            let old = std::mem::replace(session, Arc::new(fresh));
            if Arc::strong_count(&old) > 1 {
                self.abandoned.push(Arc::downgrade(&old));
            } else {
                self.crew.desk().jobs.push_back(Job::Close(old));
            }
        }
        self.crew.work.notify_all();
        Ok(())
    }

    fn keys_held(&self) -> usize {
        self.abandoned.iter().filter(|session| session.strong_count() > 0).count()
    }
}

impl Drop for BlockingBridge {
    fn drop(&mut self) {
        self.crew.desk().jobs.extend(self.sessions.drain().map(|(_, session)| Job::Close(session)));
        dismiss(&self.crew);
    }
}
