//! Clients: threads that submit as fast as answers come back.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use acrypto_core::{Algorithm, Burst, Completion, Iv, Key, OpKind, Request, Runtime, Session};

use super::spec;
use crate::exit::{self, Exit, Failure};

/// What every client does again and again.
#[derive(Clone, Debug)]
pub struct Work {
    /// Algorithm.
    pub algorithm: Algorithm,
    /// Operation.
    pub kind: OpKind,
    /// Bytes an operation.
    pub size_bytes: usize,
    /// Operations submitted together; 1 awaits each.
    pub burst_ops: usize,
    /// Sessions used in turn.
    pub sessions: u32,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Operations completed.
    pub ops: u64,
    /// Of them, those that failed; operations refused for lack of room count too.
    pub errors: u64,
}

/// Key of the measurements: fixed, so that runs are alike.
pub fn key_bytes(algorithm: Algorithm) -> Vec<u8> {
    (0..*algorithm.key_len().end().min(&32)).map(|index| index as u8).collect()
}

/// Threads that wait to be set to work.
pub struct Clients {
    orders: Vec<Sender<Order>>,
    answers: Receiver<Done>,
    stop: Arc<AtomicBool>,
}

/// Run until stopped or until so many operations are done.
type Order = Option<u64>;

impl Clients {
    /// Opens the sessions and starts the threads.
    pub fn start(runtime: &Runtime, work: &Work, count: u32) -> Result<Self, Failure> {
        let (answer, answers) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let mut orders = Vec::new();
        for _ in 0..count {
            let (order, inbox) = mpsc::channel();
            let key = || Key::new(key_bytes(work.algorithm));
            let sessions: Vec<Session> = (0..work.sessions)
                .map(|_| runtime.session(spec(work.algorithm), key()))
                .collect::<Result<_, _>>()?;
            let mut client = Client::new(work.clone(), sessions, Arc::clone(&stop));
            let answer = answer.clone();
            thread::Builder::new()
                .name("client".to_owned())
                .spawn(move || {
                    while let Ok(order) = inbox.recv() {
                        if answer.send(client.run(order)).is_err() {
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
    pub fn run_for(&mut self, duration: Duration) -> Result<Done, Failure> {
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
    pub fn run_ops(&mut self, ops: u64) -> Result<Done, Failure> {
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

    fn collect(&self, early: Option<Done>) -> Result<Done, Failure> {
        let mut total = early.unwrap_or_default();
        for _ in usize::from(early.is_some())..self.orders.len() {
            let done = self.answers.recv().map_err(|_| panicked())?;
            total.ops += done.ops;
            total.errors += done.errors;
        }
        Ok(total)
    }
}

fn panicked() -> Failure {
    Failure::new(Exit::Bug, "a client of the measurement panicked")
}

/// One thread's state.
struct Client {
    work: Work,
    sessions: Vec<Session>,
    bursts: Vec<Burst>,
    stop: Arc<AtomicBool>,
    iv: Iv,
    buffers: Vec<Vec<u8>>,
}

impl Client {
    fn new(work: Work, sessions: Vec<Session>, stop: Arc<AtomicBool>) -> Self {
        let capacity_bytes = work.size_bytes + work.algorithm.output_len();
        let buffers = (0..work.burst_ops).map(|_| Vec::with_capacity(capacity_bytes)).collect();
        let bursts = match work.burst_ops {
            1 => Vec::new(),
            capacity => sessions.iter().map(|session| session.burst(capacity)).collect(),
        };
        let iv = Iv::new(&vec![0; work.algorithm.iv_len()]).unwrap_or_default();
        Self { work, sessions, bursts, stop, iv, buffers }
    }

    fn run(&mut self, order: Order) -> Done {
        let limit = order.unwrap_or(u64::MAX);
        if self.bursts.is_empty() { self.await_each(limit) } else { self.burst(limit) }
    }

    fn is_over(&self, done: &Done, limit: u64) -> bool {
        done.ops >= limit || self.stop.load(Ordering::Relaxed)
    }

    fn request(&mut self) -> Request {
        let mut data = self.buffers.pop().unwrap_or_default();
        data.resize(self.work.size_bytes, 0);
        let mut request = Request::new(self.work.kind, data);
        request.iv = self.iv;
        request
    }

    fn take(&mut self, completion: Completion, done: &mut Done) {
        done.ops += 1;
        done.errors += u64::from(completion.result.is_err());
        self.buffers.push(completion.data);
    }

    /// One operation at a time, awaited.
    fn await_each(&mut self, limit: u64) -> Done {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut done = Done::default();
        for turn in 0.. {
            if self.is_over(&done, limit) {
                break;
            }
            let request = self.request();
            let session = &self.sessions[turn % self.sessions.len()];
            let mut future = pin!(session.submit(request));
            let answer = loop {
                match future.as_mut().poll(&mut context) {
                    Poll::Ready(answer) => break answer,
                    Poll::Pending => thread::park(),
                }
            };
            match answer {
                Ok(completion) => self.take(completion, &mut done),
                Err(refused) => {
                    done.errors += 1;
                    self.buffers.push(refused.request.data);
                    thread::yield_now();
                }
            }
        }
        done
    }

    /// A burst at a time, polled.
    fn burst(&mut self, limit: u64) -> Done {
        let mut done = Done::default();
        let mut requests = Vec::with_capacity(self.work.burst_ops);
        let mut completions = Vec::with_capacity(self.work.burst_ops);
        for turn in 0.. {
            if self.is_over(&done, limit) {
                break;
            }
            let wanted = usize::try_from(limit - done.ops).unwrap_or(usize::MAX).min(self.work.burst_ops);
            while requests.len() < wanted {
                requests.push(self.request());
            }
            let at = turn % self.bursts.len();
            let mut waiting = self.bursts[at].submit(&mut requests);
            if waiting == 0 {
                done.errors += 1;
                thread::yield_now();
            }
            while waiting > 0 {
                let polled = self.bursts[at].poll(&mut completions, self.work.burst_ops);
                waiting -= polled;
                if polled == 0 {
                    thread::yield_now();
                }
                for completion in completions.drain(..) {
                    done.ops += 1;
                    done.errors += u64::from(completion.result.is_err());
                    self.buffers.push(completion.data);
                }
            }
        }
        self.buffers.extend(requests.into_iter().map(|request| request.data));
        done
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
