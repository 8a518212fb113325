//! Known answers on a device: at registration, and after each repair, before it gets work; and on demand.

use super::{Asked, Probe, span};
use crate::algorithm::Algorithm;
use crate::clock::{Clock, Nanos};
use crate::device::known_answers::{self, KnownAnswer};
use crate::device::mount::Mount;
use crate::device::{Answer, DeviceInfo};
use crate::error::Error;
use crate::foreign::guarded;
use crate::worker::queued::POLL_NS;
use std::time::Duration;

/// How long a device may take for one answer, in nanoseconds.
const ANSWER_MAX_NS: u64 = 5_000_000_000;

/// The known answers of one device, one after the other.
#[derive(Debug)]
pub(crate) struct Selftest {
    answers: Vec<&'static KnownAnswer>,
    next: usize,
    asked: Option<Probe>,
    began: Nanos,
    /// Longest time one answer took, in nanoseconds.
    slowest_ns: u64,
}

/// The known answers for what a device can do.
pub(crate) fn answers_for(info: &DeviceInfo) -> Vec<&'static KnownAnswer> {
    let algorithms = Algorithm::ALL
        .iter()
        .filter(|algorithm| info.capabilities.iter().any(|capability| capability.algorithm == **algorithm));
    algorithms
        .flat_map(|algorithm| known_answers::for_algorithm(*algorithm))
        .filter(|answer| {
            info.capabilities
                .iter()
                .any(|capability| (capability.algorithm, capability.kind) == (answer.algorithm, answer.kind))
        })
        .collect()
}

impl Selftest {
    pub(crate) fn new(info: &DeviceInfo, now: Nanos) -> Self {
        Self { answers: answers_for(info), next: 0, asked: None, began: now, slowest_ns: 0 }
    }

    /// Longest time one answer took, in nanoseconds.
    pub(crate) fn slowest_ns(&self) -> u64 {
        self.slowest_ns
    }

    /// When the answer it waits for is given up.
    pub(crate) fn until(&self) -> Option<Nanos> {
        self.asked.as_ref().map(|asked| asked.until)
    }

    /// Goes on, with what the device has answered since; the verdict once all have been asked or one is wrong.
    /// `number` gives each question its own ticket.
    pub(crate) fn step(
        &mut self,
        engine: &mut Mount,
        answers: &mut Vec<Answer>,
        number: &mut u64,
        now: Nanos,
    ) -> Option<Result<String, String>> {
        if self.answers.is_empty() {
            return Some(Err("no known answers for what it can do".to_owned()));
        }
        loop {
            let verdict = if let Some(asked) = &self.asked {
                let verdict = asked.look(answers, now)?;
                self.slowest_ns = self.slowest_ns.max(now.since(asked.asked));
                if let Some(asked) = self.asked.take() {
                    asked.close(engine);
                }
                self.next += 1;
                verdict
            } else {
                let Some(answer) = self.answers.get(self.next).copied() else {
                    let time = span(now.since(self.began));
                    return Some(Ok(format!("{} known answers in {time}", self.answers.len())));
                };
                *number += 1;
                match Probe::ask(answer, *number, engine, now, ANSWER_MAX_NS) {
                    Asked::Waits(probe) => {
                        self.asked = Some(probe);
                        continue;
                    }
                    Asked::Done(verdict) => {
                        self.next += 1;
                        verdict
                    }
                }
            };
            if let Err(reason) = verdict {
                return Some(Err(reason));
            }
        }
    }

    /// Ends it half-way.
    pub(crate) fn abandon(self, engine: &mut Mount) {
        if let Some(asked) = self.asked {
            asked.close(engine);
        }
    }
}

/// Runs all known answers on a device that is not linked yet, on this thread. Returns the longest time one took, in
/// nanoseconds.
pub(crate) fn run(engine: &mut Mount, info: &DeviceInfo, name: &str, clock: &Clock) -> Result<u64, Error> {
    let mut now = clock.now();
    let mut selftest = Selftest::new(info, now);
    let (mut answers, mut number) = (Vec::new(), 0);
    let failed = |reason| Error::SelfTest { device: name.to_owned(), reason };
    loop {
        if let Some(verdict) = selftest.step(engine, &mut answers, &mut number, now) {
            return verdict.map(|_| selftest.slowest_ns()).map_err(failed);
        }
        // What nobody asked for any more (answered twice, or too late) must not keep us from waiting.
        answers.clear();
        let polled = guarded(|| engine.queued().and_then(|device| device.poll(now, &mut answers)));
        let Some(due) = polled else {
            selftest.abandon(engine);
            return Err(failed(crate::device::mount::PANICKED.to_owned()));
        };
        if !answers.is_empty() {
            continue;
        }
        let due = due.unwrap_or(now.plus(POLL_NS)).min(now.plus(POLL_NS));
        match clock {
            // Nobody else moves this clock while the caller is here: the device sees a time of its own.
            Clock::Simulated(_) => now = due.max(now.plus(1)),
            Clock::Monotonic(_) | Clock::System(_) => {
                std::thread::park_timeout(Duration::from_nanos(due.since(clock.now()).max(1_000)));
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
    use crate::key::Key;
    use crate::session::SessionSpec;
    use std::sync::Arc;

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
        run(&mut Mount::Direct(Arc::new(device)), &info, "dut", &Clock::simulated()).map(|_| ())
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
