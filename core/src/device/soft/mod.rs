//! `soft`: every algorithm in software, on the calling thread, by the RustCrypto crates.

use std::array;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::algorithm::{Algorithm, OpKind};
use crate::device::{
    Capability, DeviceError, DeviceInfo, DirectDevice, DirectOp, Handle, RUN_MAX_OPS, Run, Score,
};
use crate::error::{Error, Progress};
use crate::key::Key;
use crate::session::SessionSpec;

use self::slab::Slab;

mod aead;
mod cipher;
mod encrypt_then_mac;
#[cfg(test)]
pub(crate) mod harness;
mod hash;
pub(in crate::device) mod open;
mod random;
mod slab;
#[cfg(test)]
mod tests;

const QUEUE_MAX_OPS: usize = 512;
const SESSIONS_MAX: usize = 1 << 20;

/// A session as this device holds it: the key schedule, and what to do with it.
pub(in crate::device) trait Context: Send + Sync {
    /// Carries out one operation of the context's own algorithm. Refuses wrong lengths instead of panicking.
    fn execute(&self, op: &mut DirectOp<'_>) -> Result<(), DeviceError>;
}

/// The software device: all algorithms except `null`. Key schedules are wiped when a session closes and the run
/// that still uses it, if any, has ended.
///
/// ```
/// use acrypto_core::device::{DirectDevice, soft::Soft};
/// assert_eq!(Soft::new().info().kind, "soft");
/// ```
pub struct Soft {
    sessions: Mutex<Slab>,
}

impl Soft {
    /// A device with no session open.
    pub fn new() -> Self {
        Self { sessions: Mutex::new(Slab::new(SESSIONS_MAX)) }
    }

    fn sessions(&self) -> MutexGuard<'_, Slab> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Soft {
    fn default() -> Self {
        Self::new()
    }
}

impl DirectDevice for Soft {
    fn info(&self) -> DeviceInfo {
        let algorithms: Vec<_> =
            Algorithm::ALL.iter().copied().filter(|algorithm| *algorithm != Algorithm::Null).collect();
        DeviceInfo {
            kind: "soft",
            capabilities: Capability::all_of(&algorithms),
            queue_max_ops: QUEUE_MAX_OPS,
            run_max_ops: RUN_MAX_OPS,
            sessions_max: SESSIONS_MAX,
        }
    }

    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        (spec.algorithm != Algorithm::Null).then_some(Score(100))
    }

    fn open(&self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        let context = open::context(spec.algorithm, key)?;
        self.sessions().insert(spec.algorithm, context)
    }

    fn close(&self, handle: Handle) {
        // Bound to a name so that the key schedule is wiped after the lock is released.
        let _context = self.sessions().remove(handle);
    }

    fn execute(&self, run: &mut Run<'_>) {
        for ops in run.chunks_mut(RUN_MAX_OPS) {
            self.execute_chunk(ops);
        }
    }

    fn reads_source(&self, kind: OpKind) -> bool {
        kind != OpKind::Random
    }
}

impl Soft {
    /// Takes the sessions of `ops` under one lock and lets go of it before any work, so that `open` and `close`
    /// never wait for a long operation.
    fn execute_chunk(&self, ops: &mut [DirectOp<'_>]) {
        let Some(first) = ops.first().map(|op| op.handle) else { return };
        if ops.iter().all(|op| op.handle == first) {
            let session = self.sessions().get(first);
            for op in ops {
                answer(session.as_ref(), op);
            }
        } else {
            let contexts: [Option<slab::Session>; RUN_MAX_OPS] = {
                let sessions = self.sessions();
                array::from_fn(|index| ops.get(index).and_then(|op| sessions.get(op.handle)))
            };
            for (op, session) in ops.iter_mut().zip(&contexts) {
                answer(session.as_ref(), op);
            }
        }
    }
}

fn answer(session: Option<&slab::Session>, op: &mut DirectOp<'_>) {
    op.result = Some(match session {
        Some(session) if session.algorithm == op.algorithm => session.context.execute(op),
        Some(_) => Err(refused("the session has another algorithm")),
        None => Err(refused("no such session on the device")),
    });
}

/// An operation that was not begun because it makes no sense; the runtime lets none of these through.
pub(in crate::device) fn refused(reason: &'static str) -> DeviceError {
    DeviceError::Failed { reason, progress: Progress::NotStarted, source_intact: true }
}

pub(in crate::device) type SharedContext = Arc<dyn Context>;
