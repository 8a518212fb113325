//! The direct library call: the device that is best one operation at a time, without the runtime around it.

use std::sync::Arc;
use std::time::Duration;

use acrypto_core::device::{self, DirectDevice, DirectOp, Handle};
use acrypto_core::{Algorithm, Clock, Iv, Output};

use super::work::Work;
use crate::exit::Failure;

/// Operations between two looks at the clock.
const OPS_PER_LOOK: u64 = 16;

/// Calls the library and counts.
pub struct Direct {
    device: Arc<dyn DirectDevice>,
    handle: Handle,
    work: Work,
    iv: Iv,
    data: Vec<u8>,
    ops: u64,
    elapsed_ns: u64,
}

impl Direct {
    /// Opens a session on a device of its own; `None` where there is nothing to call.
    pub fn new(work: &Work) -> Result<Option<Self>, Failure> {
        let kind = device::best_stream_kind(work.algorithm);
        let device = device::direct(kind).filter(|_| work.algorithm != Algorithm::Null);
        let Some(device) = device else { return Ok(None) };
        let handle = device.open(&work.spec(), &work.key(0))?;
        let mut data = work.input(0);
        data.reserve_exact(work.data_len() - work.size_bytes);
        let iv = work.iv(0);
        Ok(Some(Self { device, handle, work: work.clone(), iv, data, ops: 0, elapsed_ns: 0 }))
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
        let mut output = Output::none();
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
