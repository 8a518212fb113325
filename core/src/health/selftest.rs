//! Known answers on a device: at registration, and after each repair, before it gets work.

use crate::algorithm::Algorithm;
use crate::clock::{Clock, Nanos};
use crate::device::known_answers::{self, KnownAnswer};
use crate::device::mount::Mount;
use crate::device::{Answer, DeviceInfo, DirectOp, QueuedOp, Ticket};
use crate::error::Error;
use crate::key::Key;
use crate::op::{Iv, Output};
use crate::session::SessionSpec;
use crate::worker::queued::POLL_NS;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// How long a device may take for one answer, in nanoseconds.
const ANSWER_MAX_NS: u64 = 5_000_000_000;

/// The known answers of one device, one after the other.
#[derive(Debug)]
pub(crate) struct Selftest {
    answers: Vec<&'static KnownAnswer>,
    next: usize,
    asked: Option<Asked>,
    due: Nanos,
    answered: Vec<Answer>,
}

#[derive(Debug)]
struct Asked {
    ticket: Ticket,
    handle: crate::device::Handle,
    until: Nanos,
    source: Arc<Vec<u8>>,
}

impl Selftest {
    pub(crate) fn new(info: &DeviceInfo, now: Nanos) -> Self {
        let algorithms = Algorithm::ALL.iter().filter(|algorithm| {
            info.capabilities.iter().any(|capability| capability.algorithm == **algorithm)
        });
        let answers = algorithms
            .flat_map(|algorithm| known_answers::for_algorithm(*algorithm))
            .filter(|answer| {
                info.capabilities.iter().any(|capability| {
                    (capability.algorithm, capability.kind) == (answer.algorithm, answer.kind)
                })
            })
            .collect();
        Self { answers, next: 0, asked: None, due: now, answered: Vec::new() }
    }

    /// When to poll again.
    pub(crate) fn due(&self) -> Nanos {
        self.due
    }

    /// Goes on; the verdict once all have been asked or one is wrong.
    pub(crate) fn poll(&mut self, engine: &mut Mount, now: Nanos) -> Option<Result<(), String>> {
        catch_unwind(AssertUnwindSafe(|| self.step(engine, now)))
            .unwrap_or_else(|_| Some(Err("panicked".to_owned())))
    }

    fn step(&mut self, engine: &mut Mount, now: Nanos) -> Option<Result<(), String>> {
        if self.answers.is_empty() {
            return Some(Err("no known answers for what it can do".to_owned()));
        }
        while let Some(answer) = self.answers.get(self.next).copied() {
            match self.ask(answer, engine, now) {
                None => return None,
                Some(Ok(())) => self.next += 1,
                Some(Err(reason)) => return Some(Err(reason)),
            }
        }
        Some(Ok(()))
    }

    fn ask(&mut self, answer: &KnownAnswer, engine: &mut Mount, now: Nanos) -> Option<Result<(), String>> {
        let spec = SessionSpec::new(answer.algorithm).allow_ecb(true).allow_sha1(true);
        let key = Key::new(answer.key.to_vec());
        let iv = Iv::new(answer.iv).unwrap_or_default();
        match engine {
            Mount::Direct(device) => {
                let handle = match device.open(&spec, &key) {
                    Ok(handle) => handle,
                    Err(error) => return Some(Err(error.to_string())),
                };
                let (mut data, mut output) = (answer.input.to_vec(), Output::NONE);
                let mut ops = [DirectOp {
                    handle,
                    algorithm: answer.algorithm,
                    kind: answer.kind,
                    iv: &iv,
                    aad: answer.aad,
                    data: &mut data,
                    output: &mut output,
                    chain: None,
                    result: None,
                }];
                device.execute(&mut ops);
                let result = ops[0].result;
                device.close(handle);
                let Some(result) = result else { return Some(Err("no answer".to_owned())) };
                Some(answer.check(result, &data, output.as_slice()))
            }
            queued => {
                let device = queued.queued()?;
                if self.asked.is_none() {
                    let handle = match device.open(&spec, &key) {
                        Ok(handle) => handle,
                        Err(error) => return Some(Err(error.to_string())),
                    };
                    let source = Arc::new(answer.input.to_vec());
                    // Tickets of operations are never this small: their stamps begin at 1.
                    let ticket = Ticket(self.next as u64 + 1);
                    let mut ops = vec![QueuedOp {
                        ticket,
                        handle,
                        algorithm: answer.algorithm,
                        kind: answer.kind,
                        iv,
                        aad: answer.aad.into(),
                        source: Arc::clone(&source),
                        chain: None,
                    }];
                    device.submit(now, &mut ops);
                    self.asked = Some(Asked { ticket, handle, until: now.plus(ANSWER_MAX_NS), source });
                }
                let due = device.poll(now, &mut self.answered);
                self.due = due.unwrap_or(now.plus(POLL_NS)).min(now.plus(POLL_NS));
                let asked = self.asked.as_ref()?;
                let found = self.answered.iter().position(|this| this.ticket == asked.ticket);
                let Some(position) = found else {
                    let late = now >= asked.until;
                    return late.then(|| Err(format!("{} {}: no answer", answer.algorithm, answer.kind)));
                };
                let this = self.answered.swap_remove(position);
                let verdict = match this.result {
                    Ok(product) => {
                        let data = product.data.as_deref().unwrap_or(&asked.source);
                        answer.check(Ok(()), data, product.output.as_slice())
                    }
                    Err(error) => answer.check(Err(error), &[], &[]),
                };
                device.close(asked.handle);
                self.asked = None;
                Some(verdict)
            }
        }
    }
}

/// Runs all known answers on a device that is not linked yet, on this thread.
pub(crate) fn run(engine: &mut Mount, info: &DeviceInfo, name: &str, clock: &Clock) -> Result<(), Error> {
    let mut now = clock.now();
    let mut selftest = Selftest::new(info, now);
    loop {
        if let Some(verdict) = selftest.poll(engine, now) {
            return verdict.map_err(|reason| Error::SelfTest { device: name.to_owned(), reason });
        }
        match clock {
            // Nobody else moves this clock while the caller is here: the device sees a time of its own.
            Clock::Simulated(_) => now = selftest.due().max(now.plus(1)),
            Clock::Monotonic(_) => {
                std::thread::park_timeout(Duration::from_nanos(selftest.due().since(clock.now()).max(1_000)));
                now = clock.now();
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::device::{Capability, DirectDevice, Handle, Run, Score};
    use crate::device::{null::Null, soft::Soft};

    /// Flips one bit of what `Soft` makes.
    struct Flipped(Soft);

    impl DirectDevice for Flipped {
        fn info(&self) -> DeviceInfo {
            DeviceInfo { capabilities: Capability::all_of(&[Algorithm::Aes128Ctr]), ..self.0.info() }
        }
        fn probe(&self, spec: &SessionSpec) -> Option<Score> {
            self.0.probe(spec)
        }
        fn open(&self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
            self.0.open(spec, key)
        }
        fn close(&self, handle: Handle) {
            self.0.close(handle);
        }
        fn execute(&self, run: &mut Run<'_>) {
            self.0.execute(run);
            for op in run {
                op.data[0] ^= 1;
            }
        }
    }

    fn verdict(device: impl DirectDevice + 'static) -> Result<(), Error> {
        let info = device.info();
        run(&mut Mount::Direct(Arc::new(device)), &info, "dut", &Clock::simulated())
    }

    #[test]
    fn i10_good_devices_pass() {
        assert_eq!(verdict(Soft::new()), Ok(()));
        assert_eq!(verdict(Null), Ok(()));
    }

    #[test]
    fn i10_one_wrong_bit_fails() {
        let error = verdict(Flipped(Soft::new())).unwrap_err().to_string();
        assert!(error.contains("device 'dut' failed its known answers: aes-128-ctr encrypt"), "{error}");
    }
}
