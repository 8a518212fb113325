//! Random bytes from the operating system.

use crate::algorithm::OpKind;
use crate::device::{DeviceError, DirectOp};
use crate::error::Progress;

use super::{Context, refused};

/// Fills the operation's data.
pub(super) struct Random;

impl Context for Random {
    fn execute(&self, op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
        if op.kind != OpKind::Random {
            return Err(refused("random makes random bytes only"));
        }
        getrandom::fill(op.data).map_err(|_| DeviceError::Failed {
            reason: "the operating system gave no random bytes",
            progress: Progress::MaybeExecuted,
            source_intact: false,
        })
    }
}
