//! Whoever drops a future, batch, burst ring or stream at any time loses nothing else: what is kept comes right, what
//! was dropped ends, and no slot stays behind. AddressSanitizer runs this too, over every hand-over of a buffer.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::thread;

use acrypto_core::{
    Algorithm, BatchFuture, Completion, Config, Error, Iv, Key, OpError, OpFuture, OpKind, Refused, Request,
    Runtime, Session, SessionSpec, StreamError, block_on,
};

const THREADS: u64 = 4;
const ACTS: usize = 4_000;
const SEEDS: [u64; 4] = [1, 2, 0x9e37_79b9, 0x0123_4567_89ab_cdef];
const SLOTS: usize = 256;
const DEADLINE_NS: u64 = 15_000_000_000;
const KEY: [u8; 16] = [0x2b; 16];
const IV: [u8; 16] = [9; 16];
const LEN_MAX: usize = 40_000;

/// What is left for another thread to finish or to drop.
enum Left {
    One(OpFuture<'static>, usize),
    Many(BatchFuture, Vec<usize>),
}

#[test]
fn i2_random_drops_lose_no_slot_and_spoil_no_other_result() {
    for seed in SEEDS {
        let config = Config {
            workers: 2,
            main_queue_max_ops: SLOTS,
            deadline_ns: DEADLINE_NS,
            seed,
            ..Config::default()
        };
        let runtime = Runtime::start(config).unwrap();
        runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
        runtime.add_device_of_kind("soft1", "soft", &[], 0).unwrap();
        let profile = [("op-ns", "2000"), ("rate", "10000000000")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        runtime.add_device_of_kind("sim0", "sim", &profile, 0).unwrap();

        let (send, receive) = sync_channel(16);
        let finisher = thread::spawn(move || finish_or_drop(&receive, seed));
        let called = Arc::new(AtomicU64::new(0));
        let to_call: u64 = thread::scope(|scope| {
            let spawn = |number| {
                let (runtime, send, called) = (&runtime, send.clone(), Arc::clone(&called));
                scope.spawn(move || Client::new(runtime, send, called, seed ^ (number + 1) << 40).live())
            };
            let clients: Vec<_> = (0..THREADS).map(spawn).collect();
            clients.into_iter().map(|client| client.join().unwrap()).sum()
        });
        drop(send);
        finisher.join().unwrap();

        // What was dropped while a device had it ends by itself, at its deadline at the latest.
        let until = runtime.now().plus(2 * DEADLINE_NS);
        while runtime.stats().main_queue_ops > 0 || called.load(Ordering::Acquire) < to_call {
            assert!(
                runtime.now() < until,
                "seed {seed}: {} operations never end",
                runtime.stats().main_queue_ops
            );
            thread::yield_now();
        }
        assert_eq!(called.load(Ordering::Acquire), to_call, "seed {seed}");
        let stats = runtime.stats();
        assert_eq!(stats.accepted_ops, stats.completed_ops, "seed {seed}");
        assert!(runtime.sessions().is_empty(), "seed {seed}: a session stays");

        let session = open(&runtime);
        let mut burst = session.burst(SLOTS);
        let mut requests: Vec<Request> = (0..SLOTS).map(request).collect();
        assert_eq!(burst.submit(&mut requests), SLOTS, "seed {seed}: a slot stays behind");
        assert!(stats.accepted_ops > THREADS * ACTS as u64, "seed {seed}: {} operations", stats.accepted_ops);
    }
}

fn finish_or_drop(receive: &Receiver<Left>, seed: u64) {
    let mut lot = Lot(seed | 1);
    while let Ok(left) = receive.recv() {
        match left {
            _ if lot.below(2) == 0 => {}
            Left::One(future, len) => check(&block_on(future), len),
            Left::Many(batch, lens) => {
                block_on(batch).iter().zip(lens).for_each(|(result, len)| check(result, len));
            }
        }
    }
}

struct Client<'a> {
    runtime: &'a Runtime,
    session: Session,
    send: SyncSender<Left>,
    lot: Lot,
    called: Arc<AtomicU64>,
    /// How often callbacks are to be called in the end.
    to_call: u64,
}

impl<'a> Client<'a> {
    fn new(runtime: &'a Runtime, send: SyncSender<Left>, called: Arc<AtomicU64>, seed: u64) -> Self {
        Self { runtime, session: open(runtime), send, lot: Lot(seed), called, to_call: 0 }
    }

    fn live(mut self) -> u64 {
        for _ in 0..ACTS {
            match self.lot.below(9) {
                0 | 1 => self.future(),
                2 | 3 => self.batch(),
                4 => self.burst(),
                5 => self.stream(),
                6 => self.callback(),
                7 => {
                    let mut ready = pin!(self.runtime.ready());
                    let _ = poll(ready.as_mut());
                }
                // Its operations may still be on their way.
                _ => self.session = open(self.runtime),
            }
        }
        self.to_call
    }

    fn future(&mut self) {
        let len = self.lot.len();
        let mut future = self.session.submit_owned(request(len));
        for _ in 0..self.lot.below(3) {
            if let Poll::Ready(result) = poll(pin!(&mut future)) {
                return check(&result, len);
            }
        }
        match self.lot.below(4) {
            0 => check(&block_on(future), len),
            1 => self.send.send(Left::One(future, len)).unwrap(),
            _ => {}
        }
    }

    fn batch(&mut self) {
        let lens: Vec<usize> = (0..self.lot.below(100)).map(|_| self.lot.len() / 16).collect();
        let mut batch = self.session.submit_batch(lens.iter().map(|len| request(*len)).collect());
        for _ in 0..self.lot.below(3) {
            if let Poll::Ready(results) = poll(pin!(&mut batch)) {
                return results.iter().zip(lens).for_each(|(result, len)| check(result, len));
            }
        }
        match self.lot.below(4) {
            0 => block_on(batch).iter().zip(lens).for_each(|(result, len)| check(result, len)),
            1 => self.send.send(Left::Many(batch, lens)).unwrap(),
            _ => {}
        }
    }

    /// Some results are fetched, the ring goes with the others.
    fn burst(&mut self) {
        let mut burst = self.session.burst(64);
        let lens: Vec<usize> = (0..self.lot.below(64)).map(|_| self.lot.len() / 16).collect();
        let numbered = |(number, len): (usize, &usize)| request(*len).with_user_data(number as u64);
        let mut requests: Vec<Request> = lens.iter().enumerate().map(numbered).collect();
        let wanted = burst.submit(&mut requests).min(self.lot.below(64));
        let mut completions = Vec::new();
        while completions.len() < wanted {
            block_on(burst.readable());
            burst.poll(&mut completions, 8);
        }
        for completion in completions {
            let len = lens[completion.user_data as usize];
            check(&Ok(completion), len);
        }
    }

    /// The session's callback outlives what it was made from.
    fn callback(&mut self) {
        let called = Arc::clone(&self.called);
        let session = self.session.with_callback(move |completion| {
            // A panic in here would be caught: a wrong result shows in the sum.
            let is_right = completion.result.is_ok() && completion.data == expected(completion.data.len());
            called.fetch_add(if is_right { 1 } else { 1 << 32 }, Ordering::AcqRel);
        });
        for _ in 0..self.lot.below(8) {
            match session.submit(request(self.lot.len())) {
                Ok(()) => self.to_call += 1,
                Err(refused) => {
                    let len = refused.request.data.len();
                    check(&Err(refused), len);
                }
            }
        }
    }

    /// A chunk that is dropped half-way breaks the stream off, and nothing but the stream.
    fn stream(&mut self) {
        let mut stream = self.session.stream(OpKind::Encrypt, Iv::from(IV)).unwrap();
        let mut made: Vec<u8> = Vec::new();
        for _ in 0..self.lot.below(6) {
            let chunk = vec![1; self.lot.below(200) * 16];
            let mut update = Box::pin(stream.update(chunk.clone()));
            let mut result = Poll::Pending;
            for _ in 0..self.lot.below(3) {
                if result.is_pending() {
                    result = poll(update.as_mut());
                }
            }
            let is_dropped = result.is_pending() && self.lot.below(4) == 0;
            if is_dropped {
                drop(update);
                // One that was never polled has changed nothing.
                match stream.update_blocking(vec![1; 16]) {
                    Err(StreamError::BrokenOff) => return,
                    result => made.extend(expect_chunk(result)),
                }
                continue;
            }
            let result = if let Poll::Ready(result) = result { result } else { block_on(update) };
            match result {
                Err(StreamError::Refused { error: Error::Full { .. }, .. }) => {}
                result => made.extend(expect_chunk(result)),
            }
        }
        assert!(made == expected(made.len()));
    }
}

fn expect_chunk(result: Result<Vec<u8>, StreamError>) -> Vec<u8> {
    match result {
        Ok(data) => data,
        Err(StreamError::Refused { error: Error::Full { .. }, .. }) => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

fn open(runtime: &Runtime) -> Session {
    runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(KEY.to_vec())).unwrap()
}

fn request(len: usize) -> Request {
    Request::encrypt(vec![1; len], IV)
}

fn check(result: &Result<Completion, Refused>, len: usize) {
    match result {
        Ok(completion) => {
            assert_eq!(completion.result, Ok::<(), OpError>(()));
            assert!(completion.data == expected(len), "other data");
        }
        Err(refused) => {
            assert!(matches!(refused.error, Error::Full { .. }), "{}", refused.error);
            assert!(refused.request.data == vec![1; len], "a refused request comes back whole");
        }
    }
}

/// What the library makes of so many ones.
fn expected(len: usize) -> &'static [u8] {
    use ctr::cipher::{KeyIvInit, StreamCipher};
    static LONGEST: OnceLock<Vec<u8>> = OnceLock::new();
    let longest = LONGEST.get_or_init(|| {
        let mut data = vec![1; LEN_MAX];
        ctr::Ctr128BE::<aes::Aes128>::new(&KEY.into(), &IV.into()).apply_keystream(&mut data);
        data
    });
    &longest[..len]
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Draws by lot (xorshift).
struct Lot(u64);

impl Lot {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    /// A length: short ones often.
    fn len(&mut self) -> usize {
        let bound = [65, 1_000, LEN_MAX][self.below(3)];
        self.below(bound)
    }
}
