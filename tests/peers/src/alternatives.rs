//! What Rust programs do today to keep two cores busy: each carries out the same library call as the others.

use std::hint::black_box;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use acrypto_core::{Algorithm, Session};
use aes::cipher::{
    BlockModeEncrypt, InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper, block_padding::NoPadding,
};
use crossbeam_channel::{Receiver, Sender};
use rayon::prelude::*;
use tokio::sync::oneshot;

use crate::case::Case;
use crate::measure::{Recorder, now};

/// Operations of one message to the pool.
const BATCH: usize = 32;
const ENDS: &str = "the thread ends";

/// One operation by RustCrypto, with the key set up: cheap to clone.
#[derive(Clone)]
pub struct Call {
    keyed: Arc<Keyed>,
    iv: [u8; 16],
}

enum Keyed {
    Null,
    Cbc(aes::Aes128),
    Ctr(aes::Aes128),
}

impl Call {
    pub fn new(case: Case) -> Self {
        let cipher = || aes::Aes128::new_from_slice(&case.key(0)).expect("the key has its length");
        let keyed = match case.algorithm {
            Algorithm::Aes128Cbc => Keyed::Cbc(cipher()),
            Algorithm::Aes128Ctr => Keyed::Ctr(cipher()),
            _ => Keyed::Null,
        };
        let iv = case.iv.as_slice().try_into().unwrap_or([0; 16]);
        let call = Self { keyed: Arc::new(keyed), iv };
        let mut data = case.input(0);
        call.run(&mut data);
        case.check("the call of the alternatives", 0, 0, &data);
        call
    }

    pub fn run(&self, data: &mut [u8]) {
        let data = black_box(data);
        match &*self.keyed {
            Keyed::Null => {}
            Keyed::Cbc(cipher) => {
                let len = data.len();
                let mode = cbc::Encryptor::inner_iv_init(cipher, &self.iv.into());
                mode.encrypt_padded::<NoPadding>(data, len).expect("the data is whole blocks");
            }
            Keyed::Ctr(cipher) => {
                let core = ctr::CtrCore::<_, ctr::flavors::Ctr128BE>::inner_iv_init(cipher, &self.iv.into());
                StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
            }
        }
    }
}

/// Rayon: all that is in flight as one parallel iteration, after another.
pub struct Rayon {
    pool: rayon::ThreadPool,
    call: Call,
    data: Vec<Vec<u8>>,
}

impl Rayon {
    pub fn new(case: Case, threads: usize, in_flight: usize) -> Self {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("the pool starts");
        Self { pool, call: Call::new(case), data: case.buffers(in_flight).data }
    }

    pub fn turn(&mut self, ops: u64, mut recorder: Option<&mut Recorder>) {
        let Self { pool, call, data } = self;
        for _ in 0..ops as usize / data.len() {
            let start = now();
            pool.install(|| data.par_iter_mut().for_each(|data| call.run(data)));
            if let Some(recorder) = &mut recorder {
                data.iter().for_each(|_| recorder.note(start));
            }
        }
    }
}

type Batch = (Instant, Vec<Vec<u8>>);

/// Threads that take batches from a channel and send them back by another.
pub struct Pool {
    jobs: Option<Sender<Batch>>,
    done: Receiver<Batch>,
    idle: Vec<Vec<Vec<u8>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub fn new(case: Case, threads: usize, in_flight: usize) -> Self {
        let (jobs, inbox) = crossbeam_channel::bounded::<Batch>(in_flight);
        let (answer, done) = crossbeam_channel::bounded(in_flight);
        let call = Call::new(case);
        let threads = (0..threads)
            .map(|_| {
                let (inbox, answer, call) = (inbox.clone(), answer.clone(), call.clone());
                thread::spawn(move || {
                    for (start, mut batch) in inbox {
                        batch.iter_mut().for_each(|data| call.run(data));
                        if answer.send((start, batch)).is_err() {
                            return;
                        }
                    }
                })
            })
            .collect();
        let idle = (0..in_flight / BATCH).map(|_| case.buffers(BATCH).data).collect();
        Self { jobs: Some(jobs), done, idle, threads }
    }

    pub fn turn(&mut self, ops: u64, mut recorder: Option<&mut Recorder>) {
        let Some(jobs) = &self.jobs else { return };
        let (mut to_submit, mut to_finish) = (ops as usize / BATCH, ops as usize / BATCH);
        while to_finish > 0 {
            while to_submit > 0
                && let Some(batch) = self.idle.pop()
            {
                jobs.send((now(), batch)).expect("the pool is there");
                to_submit -= 1;
            }
            let (start, batch) = self.done.recv().expect("the pool is there");
            if let Some(recorder) = &mut recorder {
                batch.iter().for_each(|_| recorder.note(start));
            }
            self.idle.push(batch);
            to_finish -= 1;
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        self.threads.drain(..).for_each(|thread| thread.join().expect(ENDS));
    }
}

type Single = (Vec<u8>, oneshot::Sender<Vec<u8>>);

/// Threads that take single operations from a channel and answer each by a oneshot.
struct OneshotPool {
    jobs: Sender<Single>,
}

impl OneshotPool {
    fn new(case: Case, threads: usize, in_flight: usize) -> Self {
        let (jobs, inbox) = crossbeam_channel::bounded::<Single>(in_flight);
        let call = Call::new(case);
        for _ in 0..threads {
            let (inbox, call) = (inbox.clone(), call.clone());
            // They end with the last sender.
            thread::spawn(move || {
                for (mut data, answer) in inbox {
                    call.run(&mut data);
                    // Nobody waits any more when the measurement is over.
                    let _ = answer.send(data);
                }
            });
        }
        Self { jobs }
    }
}

/// How each of many tasks does its next operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `Session::submit`, awaited.
    Session,
    /// A task of its own for each operation.
    Spawn,
    /// A thread that may block for each operation.
    SpawnBlocking,
    /// The pool behind a channel, answering by a oneshot.
    PoolOneshot,
}

/// What a task does again and again.
trait Operation: Clone + Send + Sync + 'static {
    fn run(&self, data: Vec<u8>) -> impl Future<Output = Vec<u8>> + Send;
}

impl<F, A> Operation for F
where
    F: Fn(Vec<u8>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Vec<u8>> + Send,
{
    fn run(&self, data: Vec<u8>) -> impl Future<Output = Vec<u8>> + Send {
        self(data)
    }
}

/// Awaits an operation of a session.
#[derive(Clone)]
struct InSession {
    case: Case,
    session: Session,
}

impl Operation for InSession {
    async fn run(&self, data: Vec<u8>) -> Vec<u8> {
        self.session.submit(self.case.request(data)).await.expect("the operation is done").data
    }
}

/// Many tasks under tokio, each with one operation in flight.
pub struct Tasks {
    case: Case,
    executor: tokio::runtime::Runtime,
    way: Way,
    session: Option<Session>,
    pool: Option<OneshotPool>,
    call: Call,
    in_flight: usize,
}

impl Tasks {
    /// `threads` of 1 is tokio's runtime on the calling thread alone.
    pub fn new(case: Case, way: Way, session: Option<&Session>, threads: usize, in_flight: usize) -> Self {
        let executor = match threads {
            1 => tokio::runtime::Builder::new_current_thread().build(),
            threads => tokio::runtime::Builder::new_multi_thread().worker_threads(threads).build(),
        };
        Self {
            case,
            executor: executor.expect("tokio starts"),
            way,
            session: session.cloned(),
            pool: (way == Way::PoolOneshot).then(|| OneshotPool::new(case, threads, in_flight)),
            call: Call::new(case),
            in_flight,
        }
    }

    pub fn turn(&mut self, ops: u64, recorder: Option<&mut Recorder>) {
        let (case, call) = (self.case, self.call.clone());
        match self.way {
            Way::Session => {
                let Some(session) = self.session.clone() else { return };
                self.drive(ops, recorder, InSession { case, session });
            }
            Way::Spawn => self.drive(ops, recorder, move |mut data: Vec<u8>| {
                let call = call.clone();
                let task = tokio::spawn(async move {
                    call.run(&mut data);
                    data
                });
                async move { task.await.expect("the task ends") }
            }),
            Way::SpawnBlocking => self.drive(ops, recorder, move |mut data: Vec<u8>| {
                let call = call.clone();
                let task = tokio::task::spawn_blocking(move || {
                    call.run(&mut data);
                    data
                });
                async move { task.await.expect("the task ends") }
            }),
            Way::PoolOneshot => {
                let Some(jobs) = self.pool.as_ref().map(|pool| pool.jobs.clone()) else { return };
                self.drive(ops, recorder, move |data: Vec<u8>| {
                    let (answer, answered) = oneshot::channel();
                    jobs.send((data, answer)).expect("the pool is there");
                    async move { answered.await.expect("the pool answers") }
                });
            }
        }
    }

    fn drive(&self, ops: u64, recorder: Option<&mut Recorder>, operation: impl Operation) {
        let each = ops / self.in_flight as u64;
        let notes = recorder.is_some();
        let task = |number| {
            let (operation, mut data) = (operation.clone(), self.case.input(number));
            async move {
                let mut recorder = notes.then(|| Recorder::with_room(each));
                for _ in 0..each {
                    let start = notes.then(now);
                    data = operation.run(data).await;
                    if let (Some(recorder), Some(start)) = (&mut recorder, start) {
                        recorder.note(start);
                    }
                }
                black_box(data);
                recorder
            }
        };
        let recorders = self.executor.block_on(async {
            let tasks: Vec<_> = (0..self.in_flight).map(|number| tokio::spawn(task(number))).collect();
            let mut recorders = Vec::new();
            for task in tasks {
                recorders.extend(task.await.expect("the task ends"));
            }
            recorders
        });
        if let Some(recorder) = recorder {
            recorders.into_iter().for_each(|other| recorder.join(other));
        }
    }
}
