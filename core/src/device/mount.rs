//! An engine as its device runs it: bare, or with a fault on it.

use std::fmt;
use std::sync::Arc;

use super::fault::{FaultSpec, Faulted};
use super::null::Null;
use super::registry::Engine;
use super::{DeviceInfo, DirectDevice, Handle, QueuedDevice, Ticket};
use crate::algorithm::{Algorithm, OpKind};
use crate::clock::Nanos;
use crate::context::Part;
use crate::error::Error;
use crate::foreign::guarded;
use crate::key::Key;
use crate::session::SessionSpec;

/// What is said of a device that panicked.
pub(crate) const PANICKED: &str = "panicked";

/// The engine.
pub(crate) enum Mount {
    /// Works at once, on the caller's buffers.
    Direct(Arc<dyn DirectDevice>),
    /// Answers later.
    Queued(Box<dyn QueuedDevice>),
    /// Either with a fault on it.
    Faulted(Box<Faulted>),
}

impl From<Engine> for Mount {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Direct(device) => Self::Direct(device),
            Engine::Queued(device) => Self::Queued(device),
        }
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct(_) => "Mount::Direct",
            Self::Queued(_) => "Mount::Queued",
            Self::Faulted(_) => "Mount::Faulted",
        })
    }
}

impl Mount {
    pub(crate) fn info(&self) -> DeviceInfo {
        match self {
            Self::Direct(device) => device.info(),
            Self::Queued(device) => device.info(),
            Self::Faulted(device) => device.info(),
        }
    }

    /// Bits of the kinds of operation that gain by being many in a run.
    pub(crate) fn gains(&self, algorithm: Algorithm) -> u8 {
        let Self::Direct(device) = self else { return 0 };
        let gains = |kind: &&OpKind| guarded(|| device.gains(**kind, algorithm)).unwrap_or(false);
        algorithm.ops().iter().filter(gains).fold(0, |bits, kind| bits | 1 << *kind as u8)
    }

    /// How well a direct device suits each algorithm it has, by its number; one that panics makes no claim.
    pub(crate) fn lane_scores(&self, info: &DeviceInfo) -> Option<Vec<u32>> {
        let Self::Direct(device) = self else { return None };
        let mut scores = vec![0; Algorithm::ALL.len()];
        for capability in &info.capabilities {
            let spec = SessionSpec::new(capability.algorithm).allow_ecb(true).allow_sha1(true);
            let score = guarded(|| device.probe(&spec)).flatten();
            scores[capability.algorithm as usize] = score.map_or(0, |score| score.0);
        }
        Some(scores)
    }

    /// Whether it works on a source that is only read.
    pub(crate) fn reads_source(&self, kind: OpKind) -> bool {
        match self {
            Self::Direct(device) => guarded(|| device.reads_source(kind)).unwrap_or(false),
            Self::Queued(_) | Self::Faulted(_) => false,
        }
    }

    /// The engine, if it is served as a queued one.
    pub(crate) fn queued(&mut self) -> Option<&mut dyn QueuedDevice> {
        match self {
            Self::Direct(_) => None,
            Self::Queued(device) => Some(device.as_mut()),
            Self::Faulted(device) => Some(device.as_mut()),
        }
    }

    /// Opens a session, unless the device panics.
    pub(crate) fn open(&mut self, part: &Part, session: u64) -> Result<Handle, Error> {
        let handle = self.open_with(&part.spec, &part.key)?;
        if let Self::Faulted(device) = self {
            device.name_session(handle, session);
        }
        Ok(handle)
    }

    /// As `open`, for a session that the runtime does not know.
    pub(crate) fn open_with(&mut self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        let refused = Error::NoDevice { algorithm: spec.algorithm };
        let opened = guarded(|| match self {
            Self::Direct(device) => device.probe(spec).ok_or(refused).and_then(|_| device.open(spec, key)),
            Self::Queued(device) => device.probe(spec).ok_or(refused).and_then(|_| device.open(spec, key)),
            Self::Faulted(device) => device.probe(spec).ok_or(refused).and_then(|_| device.open(spec, key)),
        });
        opened.unwrap_or(Err(Error::Device { device: String::new(), reason: PANICKED.to_owned() }))
    }

    /// Closes a session. A panic in it changes nothing for anybody else.
    pub(crate) fn close(&mut self, handle: Handle) {
        guarded(|| match self {
            Self::Direct(device) => device.close(handle),
            Self::Queued(device) => device.close(handle),
            Self::Faulted(device) => device.close(handle),
        });
    }

    /// Drops what is in the device; a direct one has nothing.
    pub(crate) fn reset(&mut self) -> Result<(), Error> {
        let Some(device) = self.queued() else { return Ok(()) };
        guarded(|| device.reset())
            .unwrap_or(Err(Error::Device { device: String::new(), reason: PANICKED.to_owned() }))
    }

    /// Puts a fault on in place of the one there is. What that one withheld for ever is returned.
    pub(crate) fn put_fault(
        &mut self,
        spec: FaultSpec,
        now: Nanos,
        sessions: impl Iterator<Item = (Handle, u64)>,
    ) -> Vec<Ticket> {
        // Stands in while the engine changes its clothes.
        let bare = std::mem::replace(self, Self::Direct(Arc::new(Null)));
        let engine = match bare {
            Self::Direct(device) => Engine::Direct(device),
            Self::Queued(device) => Engine::Queued(device),
            Self::Faulted(mut device) => {
                let lost = device.replace(spec, now);
                *self = Self::Faulted(device);
                return lost;
            }
        };
        let mut faulted = Faulted::on(engine, spec, now);
        sessions.for_each(|(handle, id)| faulted.name_session(handle, id));
        *self = Self::Faulted(Box::new(faulted));
        Vec::new()
    }

    /// Takes the fault off; its answers must have been polled after [`Faulted::lift`].
    pub(crate) fn strip_fault(&mut self) {
        let clothed = std::mem::replace(self, Self::Direct(Arc::new(Null)));
        *self = match clothed {
            Self::Faulted(device) => device.into_engine().into(),
            bare => bare,
        };
    }
}
