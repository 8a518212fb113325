//! What a device under test is held by: it is handed operations and asked for answers, as the runtime would.

use std::sync::Arc;

use crate::algorithm::{Algorithm, OpKind};
use crate::clock::{Clock, Nanos};
use crate::device::mount::Mount;
use crate::device::{Answer, DeviceError, DirectOp, Engine, Handle, QueuedOp, RUN_MAX_OPS, Ticket};
use crate::foreign::guarded;
use crate::key::Key;
use crate::op::{Chain, Iv, Output};
use crate::session::SessionSpec;

/// How long a device may take in all for one round of operations, in nanoseconds of its own time and of ours.
const ROUND_MAX_NS: u64 = 5_000_000_000;

/// One operation for a device.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) handle: Handle,
    pub(super) algorithm: Algorithm,
    pub(super) kind: OpKind,
    pub(super) iv: Iv,
    pub(super) aad: Vec<u8>,
    pub(super) input: Vec<u8>,
    pub(super) chain: Option<Chain>,
}

/// What a device made of it.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) result: Result<(), DeviceError>,
    pub(super) data: Vec<u8>,
    pub(super) output: Output,
    pub(super) chain: Option<Chain>,
}

/// The device, and the time it sees: as ours, but what it says it waits for comes at once.
pub(super) struct Stand {
    pub(super) mount: Mount,
    clock: Clock,
    ahead_ns: u64,
    ticket: u64,
}

impl Stand {
    pub(super) fn new(engine: Engine) -> Self {
        Self { mount: engine.into(), clock: Clock::monotonic(), ahead_ns: 0, ticket: 0 }
    }

    pub(super) fn now(&self) -> Nanos {
        self.clock.now().plus(self.ahead_ns)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn open(&mut self, algorithm: Algorithm, key: &[u8]) -> Result<Handle, String> {
        let spec = SessionSpec::new(algorithm).allow_ecb(true).allow_sha1(true);
        self.mount.open_with(&spec, &Key::new(key.to_vec())).map_err(|error| error.to_string())
    }

    /// Lets the device carry all of them out, in runs of at most `run_max`.
    pub(super) fn carry_out(&mut self, tasks: &[Task], run_max: usize) -> Result<Vec<Made>, String> {
        let mut made = Vec::new();
        for run in tasks.chunks(run_max.clamp(1, RUN_MAX_OPS)) {
            let more = match self.mount {
                Mount::Direct(_) => self.directly(run)?,
                _ => self.queued(run)?,
            };
            made.extend(more);
        }
        Ok(made)
    }

    fn directly(&mut self, tasks: &[Task]) -> Result<Vec<Made>, String> {
        let Mount::Direct(device) = &self.mount else { return Err("not a direct device".to_owned()) };
        let mut made: Vec<Made> = tasks
            .iter()
            .map(|task| Made {
                result: Ok(()),
                data: task.input.clone(),
                output: Output::none(),
                chain: task.chain.clone(),
            })
            .collect();
        let mut ops: Vec<DirectOp<'_>> = tasks
            .iter()
            .zip(&mut made)
            .map(|(task, made)| DirectOp {
                handle: task.handle,
                algorithm: task.algorithm,
                kind: task.kind,
                iv: &task.iv,
                aad: &task.aad,
                data: &mut made.data,
                source: None,
                output: &mut made.output,
                chain: made.chain.as_mut(),
                result: None,
            })
            .collect();
        guarded(|| device.execute(&mut ops)).ok_or("execute panicked")?;
        let results: Vec<_> = ops.iter().map(|op| op.result).collect();
        for (made, result) in made.iter_mut().zip(results) {
            made.result = result.ok_or("an operation was left without a result")?;
        }
        Ok(made)
    }

    fn queued(&mut self, tasks: &[Task]) -> Result<Vec<Made>, String> {
        let mut made: Vec<Option<Made>> = vec![None; tasks.len()];
        let first = self.ticket + 1;
        let sources: Vec<Arc<Vec<u8>>> = tasks.iter().map(|task| Arc::new(task.input.clone())).collect();
        let (mut given, mut answers) = (0, Vec::new());
        let began = (self.clock.now(), self.now());
        while made.iter().any(Option::is_none) {
            let is_late = self.clock.now().since(began.0).max(self.now().since(began.1)) > ROUND_MAX_NS;
            if is_late {
                let missing = made.iter().filter(|made| made.is_none()).count();
                return Err(format!("{missing} of {} operations were not answered", tasks.len()));
            }
            given += self.give(&tasks[given..], &sources[given..])?;
            for answer in self.ask(&mut answers)? {
                let index = answer.ticket.0.wrapping_sub(first) as usize;
                let place = made.get_mut(index).ok_or("an answer to a ticket that was not given")?;
                if place.is_some() {
                    return Err("a ticket was answered twice".to_owned());
                }
                *place = Some(made_of(answer, &tasks[index], &sources[index]));
            }
        }
        if let Some(extra) = self.ask(&mut answers)?.first() {
            return Err(format!("ticket {} was answered twice", extra.ticket.0));
        }
        for (source, task) in sources.iter().zip(tasks) {
            if **source != task.input {
                return Err("the shared source was written to".to_owned());
            }
        }
        made.into_iter().collect::<Option<_>>().ok_or_else(|| "an operation was not answered".to_owned())
    }

    /// Hands over as many as it has room for.
    pub(super) fn give(&mut self, tasks: &[Task], sources: &[Arc<Vec<u8>>]) -> Result<usize, String> {
        let now = self.now();
        let device = self.mount.queued().ok_or("not a queued device")?;
        let room = guarded(|| device.room()).ok_or("room panicked")?;
        let count = room.min(tasks.len());
        let mut ops: Vec<QueuedOp> = tasks[..count]
            .iter()
            .zip(sources)
            .map(|(task, source)| {
                self.ticket += 1;
                QueuedOp {
                    ticket: Ticket(self.ticket),
                    handle: task.handle,
                    algorithm: task.algorithm,
                    kind: task.kind,
                    iv: task.iv,
                    aad: task.aad.as_slice().into(),
                    source: Arc::clone(source).into(),
                    chain: task.chain.clone().map(Box::new),
                }
            })
            .collect();
        if count > 0 {
            guarded(|| device.submit(now, &mut ops)).ok_or("submit panicked")?;
        }
        if ops.is_empty() { Ok(count) } else { Err("submit left operations behind".to_owned()) }
    }

    /// Asks for answers; where there are none, goes to the time that the device waits for.
    pub(super) fn ask(&mut self, answers: &mut Vec<Answer>) -> Result<Vec<Answer>, String> {
        let now = self.now();
        let device = self.mount.queued().ok_or("not a queued device")?;
        let due = guarded(|| device.poll(now, answers)).ok_or("poll panicked")?;
        if answers.is_empty() {
            // Threads of the device's own need time that is really ours.
            std::thread::park_timeout(std::time::Duration::from_micros(20));
            let later = due.map_or(0, |due| due.since(now));
            self.ahead_ns = self.ahead_ns.saturating_add(later);
        }
        Ok(std::mem::take(answers))
    }
}

fn made_of(answer: Answer, task: &Task, source: &[u8]) -> Made {
    match answer.result {
        Ok(product) => Made {
            result: Ok(()),
            data: product.data.unwrap_or_else(|| source.to_vec()),
            output: product.output,
            chain: product.chain.map(|chain| *chain),
        },
        Err(error) => {
            Made { result: Err(error), data: Vec::new(), output: Output::none(), chain: task.chain.clone() }
        }
    }
}
