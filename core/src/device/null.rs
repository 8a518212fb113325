//! `null`: output equals input, at once. Measures the framework.

use crate::algorithm::Algorithm;
use crate::device::{Capability, DeviceInfo, DirectDevice, Handle, RUN_MAX_OPS, Run, Score};
use crate::error::Error;
use crate::key::Key;
use crate::session::SessionSpec;

/// The device that does nothing, for [`Algorithm::Null`] only.
#[derive(Clone, Copy, Debug, Default)]
pub struct Null;

impl DirectDevice for Null {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            kind: "null",
            capabilities: Capability::all_of(&[Algorithm::Null]),
            queue_max_ops: 512,
            run_max_ops: RUN_MAX_OPS,
            sessions_max: 1 << 20,
        }
    }

    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        (spec.algorithm == Algorithm::Null).then_some(Score(100))
    }

    fn open(&self, spec: &SessionSpec, _key: &Key) -> Result<Handle, Error> {
        match spec.algorithm {
            Algorithm::Null => Ok(Handle(0)),
            algorithm => Err(Error::NoDevice { algorithm }),
        }
    }

    fn close(&self, _handle: Handle) {}

    fn execute(&self, run: &mut Run<'_>) {
        for op in run {
            op.result = Some(Ok(()));
        }
    }
}
