//! A queued device made of any blocking library: its calls are made by threads of the bridge's own, so that the runtime
//! never waits for one.
//!
//! A call that does not return keeps its thread. A reset leaves such threads behind and goes on with new ones; what they
//! bring back later finds nobody. They are counted: when too many are stuck a reset fails, and the device stays out of
//! service. Keys that a stuck call may still use are counted too, see [`QueuedDevice::keys_held`].
//!
//! The library is told to close a session by the last thread that uses it, never during another call on it.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use super::mount::PANICKED;
use super::staged::carry_out;
use super::{Answer, DeviceError, DeviceInfo, DirectOp, Handle, QueuedDevice, QueuedOp, RUN_MAX_OPS, Score};
use crate::clock::Nanos;
use crate::error::{Error, Progress};
use crate::foreign::guarded;
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
    /// Lives until the library has closed the session.
    life: Arc<()>,
}

impl Session {
    fn new(spec: SessionSpec, key: Key) -> Self {
        Self { spec, key, handle: OnceLock::new(), life: Arc::default() }
    }
}

enum Job {
    Execute(Option<Arc<Session>>, QueuedOp),
    /// The session has ended; whoever lets go of it last closes it.
    Close(Arc<Session>),
}

impl Job {
    fn session(&self) -> Option<&Arc<Session>> {
        match self {
            Self::Execute(session, _) => session.as_ref(),
            Self::Close(session) => Some(session),
        }
    }

    /// What is left of it when its operation is of no use any more.
    fn without_operation(self) -> Option<Self> {
        match self {
            Self::Execute(session, _) => session.map(Self::Close),
            Self::Close(_) => Some(self),
        }
    }
}

#[derive(Default)]
struct Desk {
    jobs: VecDeque<Job>,
    done: Vec<Answer>,
    /// Threads inside a call.
    busy: usize,
    /// Lives of the sessions they have in hand, by number of the thread.
    in_hand: Vec<Weak<()>>,
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

    fn serve(&self, number: usize, library: &dyn BlockingDevice) {
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
            desk.in_hand[number] =
                job.session().map_or_else(Weak::new, |session| Arc::downgrade(&session.life));
            drop(desk);
            let answer = carry(library, job);
            desk = self.desk();
            desk.busy -= 1;
            desk.in_hand[number] = Weak::new();
            if desk.is_abandoned {
                self.stuck.fetch_sub(1, Ordering::AcqRel);
                return;
            }
            desk.done.extend(answer);
        }
    }
}

fn carry(library: &dyn BlockingDevice, job: Job) -> Option<Answer> {
    let (session, answer) = match job {
        Job::Close(session) => (Some(session), None),
        Job::Execute(session, op) => {
            let answer = execute(library, session.as_deref(), op);
            (session, Some(answer))
        }
    };
    // A session that goes on has a user in the bridge's table.
    if let Some(ended) = session.and_then(Arc::into_inner)
        && let Some(Ok(handle)) = ended.handle.get()
    {
        guarded(|| library.close(*handle));
    }
    answer
}

fn execute(library: &dyn BlockingDevice, session: Option<&Session>, mut op: QueuedOp) -> Answer {
    let ticket = op.ticket;
    let failed = |reason| {
        let error = DeviceError::Failed { reason, progress: Progress::MaybeExecuted, source_intact: true };
        Answer { ticket, result: Err(error) }
    };
    let opened = session.ok_or("no such session on the device").and_then(|session| {
        *session.handle.get_or_init(|| {
            let opened = guarded(|| library.open(&session.spec, &session.key));
            opened.ok_or(PANICKED)?.map_err(|_| "session could not be opened")
        })
    });
    match opened {
        Ok(handle) => op.handle = handle,
        Err(reason) => return failed(reason),
    }
    let answer = guarded(|| carry_out(op, |run| run.iter_mut().for_each(|op| library.execute(op))));
    answer.unwrap_or_else(|| failed(PANICKED))
}

/// The bridge.
pub struct BlockingBridge {
    library: Arc<dyn BlockingDevice>,
    info: DeviceInfo,
    crew: Arc<Crew>,
    threads: usize,
    stuck_max: usize,
    sessions: HashMap<Handle, Arc<Session>>,
    /// Lives of ended sessions that threads had in hand at their end.
    held: Vec<Weak<()>>,
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
            held: Vec::new(),
            next: 0,
            in_flight: 0,
        })
    }

    /// Threads left behind in calls that have not returned.
    pub fn stuck_threads(&self) -> usize {
        self.crew.stuck.load(Ordering::Acquire)
    }

    /// Remembers sessions that have ended in somebody's hands, and forgets those that are closed meanwhile.
    fn hold(&mut self, lives: impl IntoIterator<Item = Weak<()>>) {
        self.held.retain(|life| life.strong_count() > 0);
        for life in lives {
            if life.strong_count() > 0 && !self.held.iter().any(|other| other.ptr_eq(&life)) {
                self.held.push(life);
            }
        }
    }
}

fn crew(
    library: &Arc<dyn BlockingDevice>,
    kind: &str,
    threads: usize,
    stuck: &Arc<AtomicUsize>,
) -> Result<Arc<Crew>, Error> {
    let desk = Desk { in_hand: (0..threads).map(|_| Weak::new()).collect(), ..Desk::default() };
    let crew = Arc::new(Crew { desk: Mutex::new(desk), work: Condvar::new(), stuck: Arc::clone(stuck) });
    for number in 0..threads {
        let name = format!("acrypto-{kind}-{number}");
        let (this, library) = (Arc::clone(&crew), Arc::clone(library));
        let spawned = std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || this.serve(number, library.as_ref()));
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
        self.sessions.insert(handle, Arc::new(Session::new(spec.clone(), key.clone())));
        Ok(handle)
    }

    fn close(&mut self, handle: Handle) {
        let Some(session) = self.sessions.remove(&handle) else { return };
        let life = Arc::downgrade(&session.life);
        let is_in_hand = {
            let mut desk = self.crew.desk();
            desk.jobs.push_back(Job::Close(session));
            desk.in_hand.iter().any(|other| other.ptr_eq(&life))
        };
        self.crew.work.notify_one();
        self.hold(is_in_hand.then_some(life));
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
        let (jobs, in_hand) = {
            let mut desk = self.crew.desk();
            stuck.fetch_add(desk.busy, Ordering::AcqRel);
            (desk.is_dismissed, desk.is_abandoned) = (true, true);
            desk.done.clear();
            (std::mem::take(&mut desk.jobs), desk.in_hand.clone())
        };
        self.crew.work.notify_all();
        self.crew = next;
        self.in_flight = 0;
        self.hold(in_hand);
        let mut closes: VecDeque<Job> = jobs.into_iter().filter_map(Job::without_operation).collect();
        // Each session is opened anew, by the threads that work from now on.
        for session in self.sessions.values_mut() {
            let fresh = Session::new(session.spec.clone(), session.key.clone());
            closes.push_back(Job::Close(std::mem::replace(session, Arc::new(fresh))));
        }
        self.crew.desk().jobs.append(&mut closes);
        self.crew.work.notify_all();
        Ok(())
    }

    fn keys_held(&self) -> usize {
        self.held.iter().filter(|life| life.strong_count() > 0).count()
    }
}

impl Drop for BlockingBridge {
    fn drop(&mut self) {
        self.crew.desk().jobs.extend(self.sessions.drain().map(|(_, session)| Job::Close(session)));
        dismiss(&self.crew);
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::algorithm::{Algorithm, OpKind};
    use crate::device::soft::Soft;
    use crate::device::{DirectDevice as _, Ticket};
    use crate::op::Iv;

    /// Tells of each call, and stays in those on its first session until the gate is opened.
    struct Library {
        opened: AtomicUsize,
        calls: Mutex<Sender<String>>,
        gate: Mutex<Receiver<()>>,
    }

    impl Library {
        fn tell(&self, call: &str, handle: Handle) {
            self.calls.lock().unwrap().send(format!("{call} {}", handle.0)).unwrap();
        }
    }

    impl BlockingDevice for Library {
        fn info(&self) -> DeviceInfo {
            Soft::new().info()
        }
        fn probe(&self, _: &SessionSpec) -> Option<Score> {
            Some(Score(1))
        }
        fn open(&self, _: &SessionSpec, _: &Key) -> Result<Handle, Error> {
            Ok(Handle(self.opened.fetch_add(1, Ordering::Relaxed) as u32))
        }
        fn close(&self, handle: Handle) {
            self.tell("close", handle);
        }
        fn execute(&self, op: &mut DirectOp<'_>) {
            self.tell("execute", op.handle);
            if op.handle == Handle(0) {
                self.gate.lock().unwrap().recv().unwrap();
            }
            self.tell("executed", op.handle);
            op.result = Some(Ok(()));
        }
    }

    struct Stand {
        bridge: BlockingBridge,
        calls: Receiver<String>,
        gate: Sender<()>,
    }

    impl Stand {
        fn new(threads: usize) -> Self {
            let (calls, gate) = (channel(), channel());
            let library =
                Library { opened: AtomicUsize::new(0), calls: Mutex::new(calls.0), gate: Mutex::new(gate.1) };
            let bridge = BlockingBridge::new(Arc::new(library), threads, 4).unwrap();
            Self { bridge, calls: calls.1, gate: gate.0 }
        }

        /// A session with one operation.
        fn begin(&mut self) -> Handle {
            let spec = SessionSpec::new(Algorithm::Aes128Ctr);
            let handle = self.bridge.open(&spec, &Key::new(vec![7; 16])).unwrap();
            self.submit(handle);
            handle
        }

        fn submit(&mut self, handle: Handle) {
            let op = QueuedOp {
                ticket: Ticket(0),
                handle,
                algorithm: Algorithm::Aes128Ctr,
                kind: OpKind::Encrypt,
                iv: Iv::from([0; 16]),
                aad: Arc::from([]),
                source: vec![0; 16].into(),
                chain: None,
            };
            self.bridge.submit(Nanos(0), &mut vec![op]);
        }

        #[track_caller]
        fn expect(&self, calls: &[&str]) {
            let seen: Vec<String> = calls.iter().map(|_| self.calls.recv().unwrap()).collect();
            assert_eq!(seen, calls);
        }

        /// Every call until the last thread has ended.
        fn end(self) -> Vec<String> {
            drop(self.bridge);
            self.calls.iter().collect()
        }
    }

    #[test]
    fn a_session_is_not_closed_while_a_call_is_in_it() {
        let mut stand = Stand::new(2);
        let stuck = stand.begin();
        stand.expect(&["execute 0"]);
        stand.bridge.close(stuck);
        assert_eq!(stand.bridge.keys_held(), 1);
        // Whoever takes this job has had the close before.
        stand.begin();
        stand.expect(&["execute 1", "executed 1"]);
        stand.gate.send(()).unwrap();
        stand.expect(&["executed 0", "close 0"]);
        assert_eq!(stand.end(), ["close 1"]);
    }

    #[test]
    fn i5_what_was_opened_is_closed_whatever_a_reset_left_behind() {
        let mut stand = Stand::new(1);
        let stuck = stand.begin();
        stand.expect(&["execute 0"]);
        // Its close waits behind the call that does not return, and so does an operation of another session.
        stand.bridge.close(stuck);
        let other = stand.begin();
        stand.bridge.reset().unwrap();
        assert_eq!((stand.bridge.keys_held(), stand.bridge.stuck_threads()), (1, 1));
        stand.submit(other);
        stand.expect(&["execute 1", "executed 1"]);
        assert_eq!(stand.bridge.keys_held(), 1);
        stand.gate.send(()).unwrap();
        stand.expect(&["executed 0", "close 0"]);
        // The abandoned thread has the key until its last call is over.
        while stand.bridge.keys_held() > 0 {
            std::thread::yield_now();
        }
        assert_eq!(stand.end(), ["close 1"]);
    }

    #[test]
    fn i5_a_session_in_use_at_a_reset_is_closed_when_its_call_returns() {
        let mut stand = Stand::new(2);
        let stuck = stand.begin();
        stand.submit(stuck);
        stand.expect(&["execute 0"]);
        stand.bridge.reset().unwrap();
        assert_eq!(stand.bridge.keys_held(), 1);
        stand.bridge.close(stuck);
        stand.gate.send(()).unwrap();
        stand.gate.send(()).unwrap();
        let calls = stand.end();
        assert_eq!(calls.iter().filter(|call| *call == "close 0").count(), 1, "{calls:?}");
        assert_eq!(calls.last().map(String::as_str), Some("close 0"));
    }
}
