//! A device with a fault on it: the engine beneath does what it is asked, and its answers are bent on the way.
//!
//! It withholds answers and never blocks a thread. What it withholds for ever is memory of its own, as the staging
//! memory of real hardware would be; it counts as in flight until a reset.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::fault::{ActiveFault, FaultMode, FaultSpec};
use super::registry::Engine;
use super::staged::Staged;
use super::{Answer, DeviceError, DeviceInfo, Handle, Product, QueuedDevice, QueuedOp, Score, Ticket};
use crate::clock::Nanos;
use crate::error::{Error, Progress};
use crate::key::Key;
use crate::op::Output;
use crate::session::SessionSpec;

enum Beneath {
    Direct(Staged),
    Queued(Box<dyn QueuedDevice>),
}

/// An engine with a fault on it.
pub struct Faulted {
    beneath: Beneath,
    fault: ActiveFault,
    /// The runtime's number of each open session, for faults that hit one session.
    sessions: HashMap<Handle, u64>,
    /// Operations beneath that the fault has hit.
    hit: HashSet<Ticket>,
    /// Answers on their way, each with the time it is let out: the last instant there is for one that never is.
    withheld: Vec<(Nanos, Answer)>,
    /// Operations whose answer never comes.
    lost: Vec<Ticket>,
    /// An answer that waits for another one to overtake it.
    overtaken: Option<Answer>,
    is_hung: bool,
    is_dead: bool,
    is_full: bool,
    failed_resets: u64,
    scratch: Vec<Answer>,
}

impl fmt::Debug for Faulted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulted").field("fault", &self.fault).finish_non_exhaustive()
    }
}

const NEVER: Nanos = Nanos(u64::MAX);

impl Faulted {
    /// Puts a fault on an engine; a direct one is served as a queued one from here on.
    ///
    /// # Errors
    /// [`Error::BadParameter`].
    pub fn new(engine: Engine, spec: FaultSpec, now: Nanos) -> Result<Self, Error> {
        spec.check()?;
        Ok(Self::on(engine, spec, now))
    }

    /// As `new`, with a fault that was checked.
    pub(crate) fn on(engine: Engine, spec: FaultSpec, now: Nanos) -> Self {
        let beneath = match engine {
            Engine::Direct(device) => Beneath::Direct(Staged::new(device)),
            Engine::Queued(device) => Beneath::Queued(device),
        };
        Self {
            beneath,
            is_full: spec.mode == FaultMode::Full,
            fault: ActiveFault::new(spec, now),
            sessions: HashMap::new(),
            hit: HashSet::new(),
            withheld: Vec::new(),
            lost: Vec::new(),
            overtaken: None,
            is_hung: false,
            is_dead: false,
            failed_resets: 0,
            scratch: Vec::new(),
        }
    }

    fn device(&mut self) -> &mut dyn QueuedDevice {
        match &mut self.beneath {
            Beneath::Direct(device) => device,
            Beneath::Queued(device) => device.as_mut(),
        }
    }

    fn device_ref(&self) -> &dyn QueuedDevice {
        match &self.beneath {
            Beneath::Direct(device) => device,
            Beneath::Queued(device) => device.as_ref(),
        }
    }

    /// Tells which session of the runtime a handle belongs to.
    pub(crate) fn name_session(&mut self, handle: Handle, id: u64) {
        self.sessions.insert(handle, id);
    }

    /// Whether it can be taken off: its time is over, or it is used up and nothing is withheld.
    pub(crate) fn is_spent(&self, now: Nanos) -> bool {
        let holds = self.is_hung || self.is_dead || self.overtaken.is_some();
        self.fault.is_over(now)
            || self.fault.is_used_up()
                && !holds
                && self.hit.is_empty()
                && self.withheld.is_empty()
                && self.lost.is_empty()
    }

    /// Takes the fault off: what is withheld comes with the next poll, except what is lost, which is returned.
    pub(crate) fn lift(&mut self) -> Vec<Ticket> {
        (self.is_hung, self.is_dead, self.is_full) = (false, false, false);
        self.hit.clear();
        self.withheld.iter_mut().for_each(|(due, _)| *due = Nanos(0));
        self.withheld.extend(self.overtaken.take().map(|answer| (Nanos(0), answer)));
        std::mem::take(&mut self.lost)
    }

    /// Puts another fault in its place; what the old one withheld comes with the next poll, except what is lost,
    /// which is returned.
    pub(crate) fn replace(&mut self, spec: FaultSpec, now: Nanos) -> Vec<Ticket> {
        let lost = self.lift();
        self.is_full = spec.mode == FaultMode::Full;
        self.fault = ActiveFault::new(spec, now);
        self.failed_resets = 0;
        lost
    }

    /// The engine beneath.
    pub(crate) fn into_engine(self) -> Engine {
        match self.beneath {
            Beneath::Direct(device) => Engine::Direct(device.into_inner()),
            Beneath::Queued(device) => Engine::Queued(device),
        }
    }

    fn failed(&mut self, ticket: Ticket, reason: &'static str) {
        let error = DeviceError::Failed { reason, progress: Progress::NotStarted, source_intact: true };
        self.withheld.push((Nanos(0), Answer { ticket, result: Err(error) }));
    }

    /// Lets an answer that was hit out as the fault wants it.
    fn bend(&mut self, now: Nanos, mut answer: Answer, done: &mut Vec<Answer>) {
        match self.fault.mode() {
            FaultMode::Delay | FaultMode::Late => {
                self.withheld.push((now.plus(self.fault.delay_ns()), answer));
            }
            FaultMode::Lost => self.lost.push(answer.ticket),
            FaultMode::Duplicate => {
                done.push(twin(&answer));
                done.push(answer);
            }
            FaultMode::Corrupt => {
                if let Ok(product) = &mut answer.result {
                    flip(product, &mut self.fault);
                }
                done.push(answer);
            }
            FaultMode::Reorder => match self.overtaken.take() {
                None => self.overtaken = Some(answer),
                Some(first) => done.extend([answer, first]),
            },
            FaultMode::Error | FaultMode::Hang | FaultMode::Death | FaultMode::Full => done.push(answer),
        }
    }

    fn let_out(&mut self, now: Nanos, done: &mut Vec<Answer>) -> Option<Nanos> {
        let due = |(due, _): &(Nanos, Answer)| *due <= now;
        if self.withheld.iter().any(due) {
            let (out, left) = std::mem::take(&mut self.withheld).into_iter().partition(due);
            self.withheld = left;
            done.extend(Vec::into_iter(out).map(|(_, answer)| answer));
        }
        self.withheld.iter().map(|(due, _)| *due).min().filter(|due| *due < NEVER)
    }
}

impl QueuedDevice for Faulted {
    fn info(&self) -> DeviceInfo {
        self.device_ref().info()
    }

    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        self.device_ref().probe(spec)
    }

    fn open(&mut self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        if self.is_dead {
            return Err(Error::Device { device: String::new(), reason: DEAD.to_owned() });
        }
        self.device().open(spec, key)
    }

    fn close(&mut self, handle: Handle) {
        self.sessions.remove(&handle);
        self.device().close(handle);
    }

    fn submit(&mut self, now: Nanos, ops: &mut Vec<QueuedOp>) {
        let mut passed = Vec::with_capacity(ops.len());
        for op in ops.drain(..) {
            if self.is_dead {
                self.failed(op.ticket, DEAD);
                continue;
            }
            let session = self.sessions.get(&op.handle).copied();
            let is_hit = !self.fault.is_over(now) && self.fault.hits(op.kind, op.source.len(), session);
            match (is_hit, self.fault.mode()) {
                (true, FaultMode::Error) => self.failed(op.ticket, "injected error"),
                (true, FaultMode::Death) => {
                    self.is_dead = true;
                    self.lost.push(op.ticket);
                }
                (true, mode) => {
                    self.is_hung |= mode == FaultMode::Hang;
                    self.hit.insert(op.ticket);
                    passed.push(op);
                }
                (false, _) => passed.push(op),
            }
        }
        self.device().submit(now, &mut passed);
    }

    fn room(&self) -> usize {
        if self.is_full {
            return 0;
        }
        // What is withheld takes the place that it would take in hardware.
        let held = self.withheld.len() + self.lost.len();
        self.device_ref().room().min(self.info().queue_max_ops.saturating_sub(held))
    }

    fn in_flight(&self) -> usize {
        let held = self.withheld.len() + self.lost.len() + usize::from(self.overtaken.is_some());
        self.device_ref().in_flight() + held
    }

    fn poll(&mut self, now: Nanos, done: &mut Vec<Answer>) -> Option<Nanos> {
        if self.fault.is_over(now) {
            self.lift();
        }
        let mut answers = std::mem::take(&mut self.scratch);
        let due_beneath = self.device().poll(now, &mut answers);
        for answer in answers.drain(..) {
            if self.is_dead {
                self.lost.push(answer.ticket);
            } else if self.is_hung {
                self.withheld.push((NEVER, answer));
            } else if self.hit.remove(&answer.ticket) {
                self.bend(now, answer, done);
            } else {
                done.push(answer);
            }
        }
        self.scratch = answers;
        let is_last = self.device_ref().in_flight() == 0;
        if is_last {
            done.extend(self.overtaken.take());
        }
        let due_withheld = self.let_out(now, done);
        match (due_beneath, due_withheld) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    fn reset(&mut self) -> Result<(), Error> {
        if self.is_dead && self.failed_resets < self.fault.failing_resets() {
            self.failed_resets += 1;
            return Err(Error::Device { device: String::new(), reason: DEAD.to_owned() });
        }
        (self.is_hung, self.is_dead) = (false, false);
        self.hit.clear();
        self.withheld.clear();
        self.lost.clear();
        self.overtaken = None;
        self.device().reset()
    }

    fn keys_held(&self) -> usize {
        self.device_ref().keys_held()
    }
}

const DEAD: &str = "device is dead";

fn twin(answer: &Answer) -> Answer {
    let product = |product: &Product| Product {
        data: product.data.clone(),
        output: product.output,
        chain: product.chain.clone(),
    };
    Answer { ticket: answer.ticket, result: answer.result.as_ref().map(product).map_err(|error| *error) }
}

/// Flips one bit of what the operation made; one that made no byte stays as it is.
fn flip(product: &mut Product, fault: &mut ActiveFault) {
    let mut flip_in = |bytes: &mut [u8]| {
        let bit = fault.draw(bytes.len() as u64 * 8) as usize;
        bytes[bit / 8] ^= 1 << (bit % 8);
    };
    if let Some(data) = product.data.as_mut().filter(|data| !data.is_empty()) {
        return flip_in(data);
    }
    let mut output = product.output.as_slice().to_vec();
    if !output.is_empty() {
        flip_in(&mut output);
        product.output = Output::none();
        return product.output.set(&output);
    }
    if let Some(chain) = product.chain.as_mut().filter(|chain| !chain.midstate.as_slice().is_empty()) {
        let mut midstate = zeroize::Zeroizing::new(chain.midstate.as_slice().to_vec());
        flip_in(&mut midstate);
        chain.midstate.set(&midstate);
    }
}
