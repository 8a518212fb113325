//! Authenticated encryption: AES-GCM (NIST SP 800-38D) and ChaCha20-Poly1305 (RFC 8439).

use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aead::inout::InOutBuf;
use zeroize::Zeroize;

use crate::algorithm::OpKind;
use crate::buffers::Input;
use crate::device::{DeviceError, DirectOp};

use super::cipher::{buffers, out_of_place};
use super::{Context, refused};

const TAG_LEN: usize = 16;

/// An AEAD with a 12-byte nonce and its 16-byte tag at the end of the ciphertext.
pub(super) struct Aead<A>(pub(super) A);

impl<A> Context for Aead<A>
where
    A: AeadInOut<NonceSize = U12, TagSize = U16> + Send + Sync,
{
    fn execute(&self, op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
        if op.chain.is_some() {
            return Err(refused("an aead cannot be streamed"));
        }
        match op.kind {
            OpKind::Encrypt => self.encrypt(op),
            OpKind::Decrypt => self.decrypt(op),
            _ => Err(refused("an aead encrypts and decrypts only")),
        }
    }
}

impl<A: AeadInOut<NonceSize = U12, TagSize = U16>> Aead<A> {
    fn encrypt(&self, op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
        let nonce = op.iv.as_slice().try_into().map_err(|_| wrong_nonce())?;
        let aad = op.aad;
        let tag = self
            .0
            .encrypt_inout_detached(nonce, aad, buffers(op)?)
            .map_err(|_| refused("the message is too long"))?;
        // After encryption, so that a copy to a larger buffer leaves no plaintext behind.
        op.data.extend_from_slice(&tag);
        Ok(())
    }

    fn decrypt(&self, op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
        let nonce = op.iv.as_slice().try_into().map_err(|_| wrong_nonce())?;
        let sealed_len = op.source.map_or(op.data.len(), Input::len);
        let Some(text_len) = sealed_len.checked_sub(TAG_LEN) else {
            return Err(refused("the data is shorter than its tag"));
        };
        let (text, tag): (InOutBuf<'_, '_, u8>, &[u8]) = match op.source.map(Input::as_slice) {
            None => {
                let (text, tag) = op.data.split_at_mut(text_len);
                (text.into(), tag)
            }
            Some(source) => {
                let (text, tag) = source
                    .and_then(|source| source.split_at_checked(text_len))
                    .ok_or(refused("no source"))?;
                (out_of_place(Some(text), op.data)?, tag)
            }
        };
        let tag = tag.try_into().map_err(|_| refused("the tag is not 16 bytes"))?;
        if self.0.decrypt_inout_detached(nonce, op.aad, text, tag).is_err() {
            op.data.zeroize();
            return Err(DeviceError::DecryptionFailed);
        }
        op.data.truncate(text_len);
        Ok(())
    }
}

fn wrong_nonce() -> DeviceError {
    refused("the nonce is not 12 bytes")
}
