//! AES in the modes CBC and CTR of NIST SP 800-38A, in place. A chunk of a stream is an operation like any other, for
//! the runtime gives it the iv that follows.

use aws_lc_rs::cipher::{DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext};

use crate::device::{DeviceError, DirectOp};

use super::refused;

const IV_LEN: usize = 16;

/// In CBC the library takes whole blocks only.
pub(super) fn encrypt(key: &EncryptingKey, op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
    let context = EncryptionContext::Iv128(iv(op)?.into());
    key.less_safe_encrypt(op.data, context).map(|_| ()).map_err(|_| partial_block())
}

/// In CBC the library takes whole blocks only.
pub(super) fn decrypt(key: &DecryptingKey, op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
    let context = DecryptionContext::Iv128(iv(op)?.into());
    key.decrypt(op.data, context).map(|_| ()).map_err(|_| partial_block())
}

fn iv(op: &DirectOp<'_>) -> Result<[u8; IV_LEN], DeviceError> {
    op.iv.as_slice().try_into().map_err(|_| refused("the iv is not 16 bytes"))
}

fn partial_block() -> DeviceError {
    refused("the data is not a whole number of blocks")
}
