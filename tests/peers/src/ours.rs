//! acrypto's own turns: from submission to the completion in the caller's hands.

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use acrypto_core::device::{DirectDevice, DirectOp, Handle, aws_lc::AwsLc, multi::Multi, null::Null};
use acrypto_core::{Algorithm, Burst, Completion, Config, Op, Output, Request, Runtime, Session, block_on};

use crate::case::Case;
use crate::measure::{Recorder, now};

/// What a program submits at once, as DPDK's measurement does.
pub const BURST: usize = 32;
const UNEXPECTED: &str = "the operation is done";
const HAS_ROOM: &str = "the main queue has room";

/// The kind of device that the measured programs would take for an algorithm.
pub fn kind_for(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Null => "null",
        Algorithm::Aes256Gcm | Algorithm::ChaCha20Poly1305 => "aws-lc",
        _ => "multi",
    }
}

/// The library beside which one operation alone on that device is measured.
pub fn library_of(algorithm: Algorithm) -> &'static str {
    match kind_for(algorithm) {
        "aws-lc" => "aws-lc-rs",
        _ => "RustCrypto",
    }
}

/// The device without a runtime around it.
pub fn kernel_for(algorithm: Algorithm) -> Arc<dyn DirectDevice> {
    match kind_for(algorithm) {
        "null" => Arc::new(Null),
        "aws-lc" => Arc::new(AwsLc::new()),
        _ => Arc::new(Multi::new()),
    }
}

/// A runtime with so many devices of the kind that fits the algorithm.
pub fn runtime(algorithm: Algorithm, devices: usize, config: Config) -> Runtime {
    let runtime = Runtime::start(config).expect("the runtime starts");
    let kind = kind_for(algorithm);
    for number in 0..devices {
        let name = format!("{kind}{number}");
        runtime.add_device_of_kind(&name, kind, &[], 0).expect("the device passes its known answers");
    }
    runtime
}

/// Sessions of a case, each with a key of its own.
pub fn sessions(runtime: &Runtime, case: Case, count: usize) -> Vec<Session> {
    let open = |number| runtime.session(case.spec(), case.session_key(number)).expect("the session opens");
    (0..count).map(open).collect()
}

/// Bursts: so many operations submitted, each in the session after the last one's, then all of them polled.
pub struct Bursts {
    case: Case,
    sessions: Vec<Session>,
    ring: Burst,
    requests: Vec<Request>,
    completions: Vec<Completion>,
}

impl Bursts {
    pub fn new(case: Case, sessions: Vec<Session>, burst: usize) -> Self {
        let requests = (0..burst).map(|number| case.request(case.input(number))).collect();
        let ring = sessions.first().expect("there is a session").burst(burst);
        Self { case, sessions, ring, requests, completions: Vec::with_capacity(burst) }
    }

    /// Compares what the first burst gives with the reference.
    pub fn check(&mut self, who: &str) {
        let (case, burst) = (self.case, self.requests.len());
        for (number, request) in self.requests.iter_mut().enumerate() {
            request.user_data = number as u64;
        }
        let numbered = (0..).zip(self.requests.drain(..));
        let mut entries: Vec<(&Session, Request)> = numbered
            .map(|(number, request)| (&self.sessions[number % self.sessions.len()], request))
            .collect();
        assert_eq!(self.ring.submit_each(&mut entries), burst, "{HAS_ROOM}");
        poll_all(&mut self.ring, &mut self.completions, burst);
        for done in self.completions.drain(..) {
            let number = done.user_data as usize;
            let result = case.result(&done.data, done.output.as_slice());
            case.check(who, number, number % self.sessions.len(), result);
            self.requests.push(case.request(done.data));
        }
    }

    pub fn turn(&mut self, ops: u64) {
        let burst = self.requests.len();
        let bursts = ops as usize / burst;
        if self.sessions.len() == 1 {
            for _ in 0..bursts {
                submit_all(&mut self.ring, &mut self.requests);
                poll_all(&mut self.ring, &mut self.completions, burst);
                self.requests.extend(self.completions.drain(..).map(|done| self.case.request(done.data)));
            }
            return;
        }
        let mut entries: Vec<(&Session, Request)> = Vec::with_capacity(burst);
        let mut next = self.sessions.iter().cycle();
        for _ in 0..bursts {
            entries.extend(
                self.requests.drain(..).zip(next.by_ref()).map(|(request, session)| (session, request)),
            );
            assert_eq!(self.ring.submit_each(&mut entries), burst, "{HAS_ROOM}");
            poll_all(&mut self.ring, &mut self.completions, burst);
            self.requests.extend(self.completions.drain(..).map(|done| self.case.request(done.data)));
        }
    }
}

/// Calls in place: so many operations, each in the session after the last one's, made ready, carried out, and again.
pub struct InPlace {
    case: Case,
    sessions: Vec<Session>,
    ring: Burst,
    ops: Vec<Op>,
}

impl InPlace {
    pub fn new(case: Case, sessions: Vec<Session>, burst: usize) -> Self {
        let ops = (0..burst).map(|number| Op::new(case.request(case.input(number)))).collect();
        let ring = sessions.first().expect("there is a session").burst(1);
        Self { case, sessions, ring, ops }
    }

    /// Compares what the first call gives with the reference.
    pub fn check(&mut self, who: &str) {
        self.turn(self.ops.len() as u64, None);
        for (number, op) in self.ops.iter_mut().enumerate() {
            let result = self.case.result(&op.request.data, op.output.as_slice());
            self.case.check(who, number, number % self.sessions.len(), result);
            op.request = self.case.request(self.case.input(number));
        }
    }

    pub fn turn(&mut self, ops: u64, mut recorder: Option<&mut Recorder>) {
        let Self { case, sessions, ring, ops: all } = self;
        let burst = all.len();
        let ready = |op: &mut Op| {
            op.request.data.truncate(case.bytes);
            op.request.iv = case.iv;
        };
        let calls = ops as usize / burst;
        if sessions.len() == 1 {
            for _ in 0..calls {
                all.iter_mut().for_each(ready);
                let start = recorder.is_some().then(now);
                assert_eq!(ring.call_each(all), burst, "{UNEXPECTED}");
                if let (Some(recorder), Some(start)) = (&mut recorder, start) {
                    let took = start.elapsed().as_nanos() as u64;
                    (0..burst).for_each(|_| recorder.note_ns(took));
                }
            }
            return;
        }
        let mut entries: Vec<(&Session, Op)> = sessions.iter().cycle().zip(all.drain(..)).collect();
        for _ in 0..calls {
            entries.iter_mut().for_each(|(_, op)| ready(op));
            assert_eq!(ring.call_each_in(&mut entries), burst, "{UNEXPECTED}");
        }
        all.extend(entries.into_iter().map(|(_, op)| op));
    }
}

fn submit_all(ring: &mut Burst, requests: &mut Vec<Request>) {
    let count = requests.len();
    assert_eq!(ring.submit(requests), count, "{HAS_ROOM}");
}

fn poll_all(ring: &mut Burst, completions: &mut Vec<Completion>, count: usize) {
    while completions.len() < count {
        let missing = count - completions.len();
        if ring.poll(completions, missing) == 0 {
            std::hint::spin_loop();
        }
    }
    assert!(completions.iter().all(|done| done.result.is_ok()), "{UNEXPECTED}");
}

/// A ring that is kept full: what was polled is submitted again.
pub struct Stream {
    case: Case,
    ring: Burst,
    ready: Vec<Request>,
    completions: Vec<Completion>,
    /// When each operation, by its word, was submitted.
    submitted: Vec<Instant>,
    in_flight: usize,
}

impl Stream {
    pub fn new(case: Case, session: &Session, in_flight: usize) -> Self {
        let request = |number| case.request(case.input(number)).with_user_data(number as u64);
        Self {
            case,
            ring: session.burst(in_flight),
            ready: (0..in_flight).map(request).collect(),
            completions: Vec::with_capacity(in_flight),
            submitted: vec![now(); in_flight],
            in_flight,
        }
    }

    pub fn turn(&mut self, ops: u64, mut recorder: Option<&mut Recorder>) {
        let (mut to_submit, mut to_finish) = (ops as usize, ops as usize);
        self.submit(&mut to_submit, recorder.is_some());
        while to_finish > 0 {
            let polled = self.ring.poll(&mut self.completions, BURST.min(self.in_flight));
            if polled == 0 {
                std::hint::spin_loop();
                continue;
            }
            to_finish -= polled;
            if let Some(recorder) = &mut recorder {
                let end = now();
                for done in &self.completions {
                    let took = end.duration_since(self.submitted[done.user_data as usize]);
                    recorder.note_ns(took.as_nanos() as u64);
                }
            }
            for done in self.completions.drain(..) {
                assert!(done.result.is_ok(), "{UNEXPECTED}");
                self.ready.push(self.case.request(done.data).with_user_data(done.user_data));
            }
            self.submit(&mut to_submit, recorder.is_some());
        }
    }

    fn submit(&mut self, to_submit: &mut usize, notes: bool) {
        let count = self.ready.len().min(*to_submit);
        let rest = self.ready.split_off(count);
        if notes {
            let start = now();
            for request in &self.ready {
                self.submitted[request.user_data as usize] = start;
            }
        }
        submit_all(&mut self.ring, &mut self.ready);
        *to_submit -= count;
        self.ready.extend(rest);
    }
}

/// Who can have a turn of its own.
pub trait Turns: Send {
    fn turn(&mut self, ops: u64, recorder: Option<&mut Recorder>);
}

impl Turns for InPlace {
    fn turn(&mut self, ops: u64, recorder: Option<&mut Recorder>) {
        self.turn(ops, recorder);
    }
}

impl Turns for Stream {
    fn turn(&mut self, ops: u64, recorder: Option<&mut Recorder>) {
        self.turn(ops, recorder);
    }
}

/// A turn shared by several, each on a thread of its own.
pub fn shared_turn(all: &mut [impl Turns], ops: u64, recorder: Option<&mut Recorder>) {
    let each = ops / all.len() as u64;
    let notes = recorder.is_some();
    let mut recorders = Vec::new();
    thread::scope(|scope| {
        let threads: Vec<_> = all
            .iter_mut()
            .map(|one| {
                scope.spawn(move || {
                    let mut recorder = notes.then(|| Recorder::with_room(each));
                    one.turn(each, recorder.as_mut());
                    recorder
                })
            })
            .collect();
        recorders.extend(threads.into_iter().map(|thread| thread.join().expect("the thread ends")));
    });
    if let Some(recorder) = recorder {
        recorders.into_iter().flatten().for_each(|other| recorder.join(other));
    }
}

/// One operation at a time, awaited on this thread.
pub fn awaited(case: Case, session: &Session, ops: u64, mut recorder: Option<&mut Recorder>) {
    let mut data = case.input(0);
    block_on(async {
        for _ in 0..ops {
            let start = recorder.is_some().then(now);
            let request = case.request(std::mem::take(&mut data));
            let done = session.submit(request).await.expect(UNEXPECTED);
            if let (Some(recorder), Some(start)) = (&mut recorder, start) {
                recorder.note(start);
            }
            data = done.data;
        }
    });
    black_box(data);
}

/// The kernel of a device in a bare loop over so many buffers, in runs as long as a burst.
pub struct Kernel {
    case: Case,
    device: Arc<dyn DirectDevice>,
    handle: Handle,
    data: Vec<Vec<u8>>,
}

impl Kernel {
    pub fn new(case: Case, buffers: usize) -> Self {
        let device = kernel_for(case.algorithm);
        let handle = device.open(&case.spec(), &case.session_key(0)).expect("the device knows the algorithm");
        Self { case, device, handle, data: case.buffers(buffers).data }
    }

    pub fn turn(&mut self, ops: u64) {
        let (case, handle, iv) = (self.case, self.handle, self.case.iv);
        let mut outputs = vec![Output::none(); self.data.len()];
        let mut batch: Vec<DirectOp<'_>> = self
            .data
            .iter_mut()
            .zip(&mut outputs)
            .map(|(data, output)| DirectOp {
                handle,
                algorithm: case.algorithm,
                kind: case.kind(),
                iv: &iv,
                aad: &[],
                data,
                source: None,
                output,
                chain: None,
                result: None,
            })
            .collect();
        let mut done = 0;
        while done < ops {
            for run in batch.chunks_mut(BURST) {
                for op in run.iter_mut() {
                    op.data.truncate(case.bytes);
                    op.result = None;
                }
                self.device.execute(black_box(run));
                done += run.len() as u64;
            }
        }
        assert!(batch.iter().all(|op| op.result == Some(Ok(()))), "{UNEXPECTED}");
    }
}

/// A turn shared by kernels on threads of their own.
pub fn kernels_turn(kernels: &mut [Kernel], ops: u64) {
    let each = ops / kernels.len() as u64;
    thread::scope(|scope| {
        for kernel in kernels {
            scope.spawn(move || kernel.turn(each));
        }
    });
}
