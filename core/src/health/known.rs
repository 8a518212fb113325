//! One known answer, asked of a device that may have work beside it.

use std::sync::Arc;

use crate::clock::Nanos;
use crate::device::known_answers::KnownAnswer;
use crate::device::mount::{Mount, PANICKED};
use crate::device::{Answer, DeviceError, DirectOp, Handle, QueuedOp, Ticket};
use crate::foreign::guarded;
use crate::key::Key;
use crate::op::{Iv, Output};
use crate::session::SessionSpec;

/// What came out: the device is right, or what is wrong.
pub(crate) type Verdict = Result<(), String>;

/// A known answer that a queued device works on.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) answer: &'static KnownAnswer,
    ticket: Ticket,
    handle: Handle,
    pub(crate) asked: Nanos,
    /// When it is given up.
    pub(crate) until: Nanos,
    source: Arc<Vec<u8>>,
}

/// What came of asking.
pub(crate) enum Asked {
    /// The answer is there.
    Done(Verdict),
    /// It comes later.
    Waits(Probe),
}

/// The low half of an operation's ticket is the number of its slot, which never has the top bit.
const PROBE: u64 = 1 << 31;

/// Whether an answer belongs to a known answer, not to an operation.
pub(crate) fn is_probe(ticket: Ticket) -> bool {
    ticket.0 & PROBE != 0
}

impl Probe {
    /// Asks a device. `number` tells this one from those before it.
    pub(crate) fn ask(
        answer: &'static KnownAnswer,
        number: u64,
        engine: &mut Mount,
        now: Nanos,
        answer_max_ns: u64,
    ) -> Asked {
        let spec = SessionSpec::new(answer.algorithm).allow_ecb(true).allow_sha1(true);
        let key = Key::new(answer.key.to_vec());
        let iv = Iv::new(answer.iv).unwrap_or_default();
        let handle = match engine.open_with(&spec, &key) {
            Ok(handle) => handle,
            Err(crate::error::Error::Device { reason, .. }) => return Asked::Done(Err(reason)),
            Err(error) => return Asked::Done(Err(error.to_string())),
        };
        let Some(device) = engine.queued() else {
            let verdict = ask_direct(answer, handle, &iv, engine);
            engine.close(handle);
            return Asked::Done(verdict);
        };
        let source = Arc::new(answer.input.to_vec());
        let ticket = Ticket(number << 32 | PROBE);
        let op = QueuedOp {
            ticket,
            handle,
            algorithm: answer.algorithm,
            kind: answer.kind,
            iv,
            aad: answer.aad.into(),
            source: Arc::clone(&source).into(),
            chain: None,
        };
        if guarded(|| device.submit(now, &mut vec![op])).is_none() {
            engine.close(handle);
            return Asked::Done(Err(PANICKED.to_owned()));
        }
        Asked::Waits(Self { answer, ticket, handle, asked: now, until: now.plus(answer_max_ns), source })
    }

    /// Finds its answer among those that came, or gives up when its time is over.
    pub(crate) fn look(&self, answers: &mut Vec<Answer>, now: Nanos) -> Option<Verdict> {
        let Some(position) = answers.iter().position(|this| this.ticket == self.ticket) else {
            let wait = super::span(now.since(self.asked));
            let KnownAnswer { algorithm, kind, .. } = self.answer;
            return (now >= self.until).then(|| Err(format!("{algorithm} {kind}: no answer in {wait}")));
        };
        let this = answers.remove(position);
        Some(match this.result {
            Ok(product) => {
                let data = product.data.as_deref().unwrap_or(&self.source);
                self.answer.check(Ok(()), data, product.output.as_slice())
            }
            Err(error) => self.answer.check(Err(error), &[], &[]),
        })
    }

    /// Closes its session; an answer that comes yet finds nobody.
    pub(crate) fn close(self, engine: &mut Mount) {
        engine.close(self.handle);
    }
}

fn ask_direct(answer: &KnownAnswer, handle: Handle, iv: &Iv, engine: &mut Mount) -> Verdict {
    let Mount::Direct(device) = engine else { return Err("no answer".to_owned()) };
    let (mut data, mut output) = (answer.input.to_vec(), Output::none());
    let mut ops = [DirectOp {
        handle,
        algorithm: answer.algorithm,
        kind: answer.kind,
        iv,
        aad: answer.aad,
        data: &mut data,
        source: None,
        output: &mut output,
        chain: None,
        result: None,
    }];
    let Some(()) = guarded(|| device.execute(&mut ops)) else { return Err(PANICKED.to_owned()) };
    let result: Option<Result<(), DeviceError>> = ops[0].result;
    answer.check(result.ok_or("no answer")?, &data, output.as_slice())
}
