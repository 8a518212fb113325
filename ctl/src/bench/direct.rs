//! The direct library call: the software device without the runtime around it, one operation at a time.

use std::time::Duration;

use acrypto_core::device::soft::Soft;
use acrypto_core::device::{DirectDevice, DirectOp, Handle};
use acrypto_core::{Clock, Iv, Key, Output};

use super::client::{Work, key_bytes};
use super::spec;
use crate::exit::Failure;

/// Operations between two looks at the clock.
const OPS_PER_LOOK: u64 = 16;

/// Calls the library and counts.
pub struct Direct {
    device: Soft,
    handle: Handle,
    work: Work,
    iv: Iv,
    data: Vec<u8>,
    ops: u64,
    elapsed_ns: u64,
}

impl Direct {
    /// Opens a session on a device of its own.
    pub fn new(work: &Work) -> Result<Self, Failure> {
        let device = Soft::new();
        let handle = device.open(&spec(work.algorithm), &Key::new(key_bytes(work.algorithm)))?;
        let mut data = Vec::with_capacity(work.size_bytes + work.algorithm.output_len());
        data.resize(work.size_bytes, 0);
        let iv = Iv::new(&vec![0; work.algorithm.iv_len()]).unwrap_or_default();
        Ok(Self { device, handle, work: work.clone(), iv, data, ops: 0, elapsed_ns: 0 })
    }

    /// Calls it for about `duration`.
    pub fn run_for(&mut self, clock: &Clock, duration: Duration) {
        let start_ns = clock.now().0;
        let end_ns = start_ns + crate::units::nanos(duration);
        while clock.now().0 < end_ns {
            for _ in 0..OPS_PER_LOOK {
                self.call();
            }
            self.ops += OPS_PER_LOOK;
        }
        self.elapsed_ns += clock.now().0 - start_ns;
    }

    fn call(&mut self) {
        let mut output = Output::NONE;
        self.data.truncate(self.work.size_bytes);
        let mut ops = [DirectOp {
            handle: self.handle,
            algorithm: self.work.algorithm,
            kind: self.work.kind,
            iv: &self.iv,
            aad: &[],
            data: &mut self.data,
            source: None,
            output: &mut output,
            chain: None,
            result: None,
        }];
        self.device.execute(&mut ops);
        std::hint::black_box(&output);
    }

    /// Operations a second.
    pub fn ops_per_s(&self) -> f64 {
        self.ops as f64 / (self.elapsed_ns as f64 / 1e9).max(f64::MIN_POSITIVE)
    }
}
