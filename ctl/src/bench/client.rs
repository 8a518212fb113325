//! Clients: threads that submit as fast as answers come back. Those here submit to a runtime of this process.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use acrypto_core::{Burst, Clock, Completion, Request, Runtime, Session};

use super::reference::Reference;
use super::tally::Tally;
use super::work::Work;
use crate::cli::Ptest;
use crate::exit::{self, Exit, Failure};

/// Threads that wait to be set to work.
pub struct Clients {
    orders: Vec<Sender<Order>>,
    answers: Receiver<Result<Tally, Failure>>,
    stop: Arc<AtomicBool>,
}

/// Run until stopped or until so many operations are done.
pub type Order = Option<u64>;

/// Carries out orders on a thread of its own.
pub trait Worker: Send + 'static {
    /// Works, and counts.
    fn run(&mut self, order: Order) -> Result<Tally, Failure>;
}

impl Clients {
    /// Opens the sessions of `count` clients in a runtime of this process and starts their threads.
    pub fn start(runtime: &Runtime, work: &Work, ptest: Ptest, count: u32) -> Result<Self, Failure> {
        Self::start_with(work, count, |first, stop| {
            let sessions: Vec<Session> = (first..first + u64::from(work.sessions))
                .map(|session| runtime.session(work.spec(), work.key(session)))
                .collect::<Result<_, _>>()?;
            Client::new(work.clone(), ptest, first, sessions, stop)
        })
    }

    /// Starts `count` threads, each with a worker made for the sessions from a number on and for the flag that stops it.
    pub fn start_with<W: Worker>(
        work: &Work,
        count: u32,
        worker: impl Fn(u64, Arc<AtomicBool>) -> Result<W, Failure>,
    ) -> Result<Self, Failure> {
        let (answer, answers) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let mut orders = Vec::new();
        for number in 0..u64::from(count) {
            let (order, inbox) = mpsc::channel();
            let mut worker = worker(number * u64::from(work.sessions), Arc::clone(&stop))?;
            let answer = answer.clone();
            thread::Builder::new()
                .name("client".to_owned())
                .spawn(move || {
                    while let Ok(order) = inbox.recv() {
                        if answer.send(worker.run(order)).is_err() {
                            return;
                        }
                    }
                })
                .map_err(|error| Failure::new(Exit::State, exit::reason(&error)))?;
            orders.push(order);
        }
        Ok(Self { orders, answers, stop })
    }

    /// Works for `duration`.
    pub fn run_for(&mut self, duration: Duration) -> Result<Tally, Failure> {
        self.order(|_| None);
        // Nobody answers before the stop, unless a client fails.
        let early = match self.answers.recv_timeout(duration) {
            Ok(done) => Some(done),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Err(panicked()),
        };
        self.stop.store(true, Ordering::Relaxed);
        self.collect(early)
    }

    /// Works until `ops` operations are done, all clients together.
    pub fn run_ops(&mut self, ops: u64) -> Result<Tally, Failure> {
        let count = self.orders.len() as u64;
        self.order(|client| Some(ops * (client + 1) / count - ops * client / count));
        self.collect(None)
    }

    fn order(&self, order: impl Fn(u64) -> Order) {
        self.stop.store(false, Ordering::Relaxed);
        for (index, client) in self.orders.iter().enumerate() {
            let _ = client.send(order(index as u64));
        }
    }

    fn collect(&self, early: Option<Result<Tally, Failure>>) -> Result<Tally, Failure> {
        let mut total = Tally::default();
        let waiting = self.orders.len() - usize::from(early.is_some());
        // All have stopped before a failure is told.
        let answers: Vec<_> = early
            .into_iter()
            .chain((0..waiting).map(|_| self.answers.recv().unwrap_or_else(|_| Err(panicked()))))
            .collect();
        for answer in answers {
            total.add(&answer?);
        }
        Ok(total)
    }
}

fn panicked() -> Failure {
    Failure::new(Exit::Bug, "a client of the measurement panicked")
}

/// One thread's state; while it works, nothing is allocated.
struct Client {
    sessions: Vec<Session>,
    /// `None` where each operation is awaited.
    ring: Option<Burst>,
    stop: Arc<AtomicBool>,
    desk: Desk,
}

/// Makes requests, and looks at what comes back.
struct Desk {
    work: Work,
    buffers: Vec<Vec<u8>>,
    data_len: usize,
    output_len: usize,
    /// What every byte is held against, if asked for.
    reference: Option<Reference>,
    /// Where the time of each operation is wanted.
    clock: Option<Clock>,
    /// Number of the next operation.
    next: u64,
    tally: Tally,
}

impl Client {
    fn new(
        work: Work,
        ptest: Ptest,
        first_session: u64,
        sessions: Vec<Session>,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, Failure> {
        let ring = match (work.burst_ops, sessions.first()) {
            (1, _) | (_, None) => None,
            (capacity_ops, Some(session)) => Some(session.burst(capacity_ops)),
        };
        let buffer = |place| {
            let mut buffer = work.input(place);
            buffer.reserve_exact(work.data_len() - work.size_bytes);
            buffer
        };
        let desk = Desk {
            buffers: (0..work.burst_ops).map(buffer).collect(),
            data_len: work.data_len(),
            output_len: work.output_len(),
            reference: (ptest == Ptest::Verify).then(|| Reference::new(&work, first_session)).transpose()?,
            clock: (ptest == Ptest::Latency).then(Clock::monotonic),
            next: 0,
            tally: Tally::default(),
            work,
        };
        Ok(Self { sessions, ring, stop, desk })
    }
}

impl Worker for Client {
    fn run(&mut self, order: Order) -> Result<Tally, Failure> {
        let limit = order.unwrap_or(u64::MAX);
        self.desk.tally = Tally::default();
        match &mut self.ring {
            None => await_each(&self.sessions, &self.stop, &mut self.desk, limit)?,
            Some(ring) => bursts(&self.sessions, ring, &self.stop, &mut self.desk, limit)?,
        }
        Ok(std::mem::take(&mut self.desk.tally))
    }
}

impl Desk {
    fn is_over(&self, stop: &AtomicBool, limit: u64) -> bool {
        self.tally.ops >= limit || stop.load(Ordering::Relaxed)
    }

    fn now_ns(&self) -> u64 {
        self.clock.as_ref().map_or(0, |clock| clock.now().0)
    }

    /// The next operation: its session, and the request.
    #[inline]
    fn request<'a>(&mut self, sessions: &'a [Session]) -> (&'a Session, Request) {
        let number = self.next;
        self.next += 1;
        let mut data = self.buffers.pop().unwrap_or_default();
        match &self.reference {
            None => data.resize(self.work.size_bytes, 0),
            Some(reference) => {
                data.clear();
                data.extend_from_slice(reference.input((number % self.work.burst_ops as u64) as usize));
            }
        }
        let mut request = Request::new(self.work.kind, data);
        request.iv = self.work.iv(number);
        request.user_data = number;
        (&sessions[(number % sessions.len() as u64) as usize], request)
    }

    #[inline]
    fn take(&mut self, completion: Completion) {
        let output = completion.output.as_slice();
        let is_right = completion.result.is_ok()
            && completion.data.len() == self.data_len
            && output.len() == self.output_len;
        let is_right = is_right
            && self
                .reference
                .as_mut()
                .is_none_or(|reference| reference.agrees(completion.user_data, &completion.data, output));
        self.tally.ops += 1;
        self.tally.errors += u64::from(!is_right);
        self.buffers.push(completion.data);
    }

    /// No room: that counts, and leaves the processor to others.
    fn wait_for_room(&mut self) {
        self.tally.errors += 1;
        thread::yield_now();
    }
}

/// One operation at a time, awaited.
fn await_each(sessions: &[Session], stop: &AtomicBool, desk: &mut Desk, limit: u64) -> Result<(), Failure> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    while !desk.is_over(stop, limit) {
        let (session, request) = desk.request(sessions);
        let start_ns = desk.now_ns();
        let mut future = pin!(session.submit(request));
        let answer = loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(answer) => break answer,
                Poll::Pending => thread::park(),
            }
        };
        match answer {
            Ok(completion) => {
                if desk.clock.is_some() {
                    desk.tally.note(desk.now_ns() - start_ns, 1);
                }
                desk.take(completion);
            }
            Err(refused) if is_for_want_of_room(&refused.error) => {
                desk.buffers.push(refused.request.data);
                desk.next -= 1;
                desk.wait_for_room();
            }
            Err(refused) => return Err(refused.error.into()),
        }
    }
    Ok(())
}

/// A burst at a time, polled.
fn bursts(
    sessions: &[Session],
    ring: &mut Burst,
    stop: &AtomicBool,
    desk: &mut Desk,
    limit: u64,
) -> Result<(), Failure> {
    let burst_ops = desk.work.burst_ops;
    let mut requests = Vec::with_capacity(burst_ops);
    let mut completions = Vec::with_capacity(burst_ops);
    while !desk.is_over(stop, limit) {
        let wanted = usize::try_from(limit - desk.tally.ops).unwrap_or(usize::MAX).min(burst_ops);
        while requests.len() < wanted {
            requests.push(desk.request(sessions));
        }
        let start_ns = desk.now_ns();
        let mut waiting = ring.submit_each(&mut requests);
        if waiting == 0 {
            if let Some(refused) = ring.refused().pop() {
                return Err(refused.error.into());
            }
            desk.wait_for_room();
        }
        while waiting > 0 {
            let polled = ring.poll(&mut completions, burst_ops);
            if polled == 0 {
                thread::yield_now();
                continue;
            }
            waiting -= polled;
            if desk.clock.is_some() {
                desk.tally.note(desk.now_ns() - start_ns, polled as u64);
            }
            completions.drain(..).for_each(|completion| desk.take(completion));
        }
    }
    desk.buffers.extend(requests.into_iter().map(|(_, request)| request.data));
    Ok(())
}

fn is_for_want_of_room(error: &acrypto_core::Error) -> bool {
    matches!(error, acrypto_core::Error::Full { .. } | acrypto_core::Error::TenantFull { .. })
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use acrypto_core::{Algorithm, Config};

    use super::*;

    /// The runtime ends when it is dropped.
    fn client(kind: &str, ptest: Ptest, work: &Work) -> (Runtime, Client) {
        let runtime = Runtime::start(Config { workers: 1, ..Config::default() }).unwrap();
        runtime.add_device_of_kind("d0", kind, &[], 0).unwrap();
        let sessions = (0..u64::from(work.sessions))
            .map(|session| runtime.session(work.spec(), work.key(session)).unwrap())
            .collect();
        (runtime, Client::new(work.clone(), ptest, 0, sessions, Arc::default()).unwrap())
    }

    const WORKS: [(Algorithm, &str); 5] = [
        (Algorithm::Null, "null"),
        (Algorithm::Aes256Gcm, "soft"),
        (Algorithm::Aes128Cbc, "multi"),
        (Algorithm::Sha256, "multi"),
        (Algorithm::HmacSha512, "soft"),
    ];

    #[test]
    fn a_client_does_as_many_as_it_is_told_and_all_are_right() {
        for (algorithm, kind) in WORKS {
            for burst_ops in [1, 7] {
                for ptest in [Ptest::Throughput, Ptest::Latency, Ptest::Verify] {
                    let work = Work::new(algorithm, 256, burst_ops, 3);
                    let (_runtime, mut client) = client(kind, ptest, &work);
                    for ops in [0, 1, 50] {
                        let tally = client.run(Some(ops)).unwrap();
                        assert_eq!((tally.ops, tally.errors), (ops, 0), "{algorithm}, {burst_ops}");
                        let is_timed = ptest == Ptest::Latency;
                        assert_eq!(tally.times().count(), if is_timed { ops } else { 0 });
                    }
                }
            }
        }
    }

    #[test]
    fn a_result_of_wrong_length_or_bytes_is_an_error() {
        let work = Work::new(Algorithm::Aes128Ctr, 64, 2, 1);
        for (ptest, seen) in [(Ptest::Throughput, 1), (Ptest::Verify, 2)] {
            let (_runtime, mut client) = client("soft", ptest, &work);
            let completed = |data: Vec<u8>, desk: &mut Desk| {
                let request = Request::encrypt(data, work.iv(1)).with_user_data(1);
                desk.take(client.sessions[0].call(request).unwrap());
            };
            completed(vec![0; 63], &mut client.desk);
            completed(vec![0; 64], &mut client.desk);
            assert_eq!((client.desk.tally.ops, client.desk.tally.errors), (2, seen), "{ptest:?}");
        }
    }

    #[test]
    fn the_loop_of_a_client_allocates_nothing_for_an_operation() {
        for (algorithm, kind) in WORKS {
            for (burst_ops, ptest) in [(1, Ptest::Latency), (32, Ptest::Throughput), (32, Ptest::Verify)] {
                let (_runtime, mut client) = client(kind, ptest, &Work::new(algorithm, 1_024, burst_ops, 4));
                let mut allocations =
                    |ops| allocation_counter::measure(|| drop(client.run(Some(ops)).unwrap())).count_total;
                allocations(1_000);
                let (few, many) = (allocations(100), allocations(3_000));
                // A device that was not needed before may be, once; each of 2,900 operations would show.
                assert!(many < few + 100, "{algorithm}, {burst_ops}, {ptest:?}: {few} and {many}");
            }
        }
    }
}
