//! Authenticated encryption: AES-GCM (NIST SP 800-38D) and ChaCha20-Poly1305 (RFC 8439).

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use zeroize::Zeroize;

use crate::device::{DeviceError, DirectOp};

use super::refused;

const TAG_LEN: usize = 16;

pub(super) fn seal(key: &LessSafeKey, op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
    let nonce = nonce(op)?;
    // Apart, and appended after encryption, so that a copy to a larger buffer leaves no plaintext behind.
    let mut tag = [0; TAG_LEN];
    key.seal_in_place_scatter(nonce, Aad::from(op.aad), op.data, &[], &mut tag)
        .map_err(|_| refused("the message is too long"))?;
    op.data.extend_from_slice(&tag);
    Ok(())
}

pub(super) fn open(key: &LessSafeKey, op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
    let nonce = nonce(op)?;
    let Some(text_len) = op.data.len().checked_sub(TAG_LEN) else {
        return Err(refused("the data is shorter than its tag"));
    };
    let (text, tag) = op.data.split_at_mut(text_len);
    if key.open_in_place_separate_tag(nonce, Aad::from(op.aad), tag, text).is_err() {
        // The library has wiped the text already; that is not promised.
        op.data.zeroize();
        return Err(DeviceError::DecryptionFailed);
    }
    op.data.truncate(text_len);
    Ok(())
}

fn nonce(op: &DirectOp<'_>) -> Result<Nonce, DeviceError> {
    if op.chain.is_some() {
        return Err(refused("an aead cannot be streamed"));
    }
    let bytes: &[u8; NONCE_LEN] =
        op.iv.as_slice().try_into().map_err(|_| refused("the nonce is not 12 bytes"))?;
    Ok(Nonce::from(bytes))
}
