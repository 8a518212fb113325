//! A device that works, or fails as it is told to.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use acrypto_core::device::soft::Soft;
use acrypto_core::device::{DeviceError, DeviceInfo, DirectDevice, Engine, Handle, Run, Score};
use acrypto_core::error::Progress;
use acrypto_core::{Error, Key, SessionSpec};

/// How the device behaves.
pub const WELL: u8 = 0;
pub const REFUSES: u8 = 1;
pub const STOPS_HALF_WAY: u8 = 2;
pub const PANICS: u8 = 3;
pub const OPENS_NOTHING: u8 = 4;

/// `soft`, and it fails some operations of a run, or all of them, as it is told to.
pub struct Moody {
    soft: Soft,
    mood: Arc<AtomicU8>,
    /// Whether it fails the operation in this place of a run.
    fails: fn(usize) -> bool,
}

impl Moody {
    /// A device to be added, and its mood.
    pub fn engine(fails: fn(usize) -> bool) -> (Engine, Arc<AtomicU8>) {
        let mood = Arc::new(AtomicU8::new(WELL));
        let moody = Self { soft: Soft::new(), mood: Arc::clone(&mood), fails };
        (Engine::Direct(Arc::new(moody)), mood)
    }

    fn mood(&self) -> u8 {
        self.mood.load(Ordering::Relaxed)
    }
}

impl DirectDevice for Moody {
    fn info(&self) -> DeviceInfo {
        DeviceInfo { kind: "moody", ..self.soft.info() }
    }
    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        self.soft.probe(spec)
    }
    fn open(&self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        match self.mood() {
            OPENS_NOTHING => Err(Error::Device { device: "moody".to_owned(), reason: "full".to_owned() }),
            _ => self.soft.open(spec, key),
        }
    }
    fn close(&self, handle: Handle) {
        self.soft.close(handle);
    }
    fn execute(&self, run: &mut Run<'_>) {
        let mood = self.mood();
        assert!(mood != PANICS, "out of order");
        let failed =
            |progress, source_intact| DeviceError::Failed { reason: "moody", progress, source_intact };
        for (number, op) in run.iter_mut().enumerate() {
            match mood {
                REFUSES if (self.fails)(number) => op.result = Some(Err(failed(Progress::NotStarted, true))),
                STOPS_HALF_WAY if (self.fails)(number) => {
                    self.soft.execute(std::slice::from_mut(op));
                    op.result = Some(Err(failed(Progress::MaybeExecuted, false)));
                }
                _ => self.soft.execute(std::slice::from_mut(op)),
            }
        }
    }
}
