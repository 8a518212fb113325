//! Encrypt, then MAC, as IPsec combines the two: AES-CBC (RFC 3602) and HMAC-SHA-256-128 (RFC 4868).

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::algorithm::OpKind;
use crate::device::{DeviceError, DirectOp};

use super::cipher::{Cbc, Cipher, buffers, out_of_place};
use super::hash::{Hash, Hmac};
use super::{Context, refused};

const TAG_LEN: usize = 16;

/// A block mode, and a MAC over associated data, iv and ciphertext that is cut to the 16 bytes of the tag.
pub(super) struct EncryptThenMac<C, H> {
    pub(super) cipher: Cbc<C>,
    pub(super) mac: Hmac<H>,
}

impl<C: Cipher, H: Hash> Context for EncryptThenMac<C, H> {
    fn execute(&self, op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
        if op.chain.is_some() {
            return Err(refused("an authenticated cipher cannot be streamed"));
        }
        match op.kind {
            OpKind::Encrypt => {
                let iv = op.iv;
                self.cipher.encrypt(iv, buffers(op)?)?;
                let tag = self.mac.mac([op.aad, op.iv.as_slice(), op.data]);
                op.data.extend_from_slice(&tag[..TAG_LEN]);
                Ok(())
            }
            OpKind::Decrypt => self.decrypt(op),
            _ => Err(refused("a cipher encrypts and decrypts only")),
        }
    }
}

impl<C: Cipher, H: Hash> EncryptThenMac<C, H> {
    fn decrypt(&self, op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
        // The MAC is read first, and tells whether there is anything to write at all.
        let sealed = match op.source {
            None => op.data.as_slice(),
            Some(source) => source.as_slice().ok_or(refused("the source is in pieces"))?,
        };
        let Some(text_len) = sealed.len().checked_sub(TAG_LEN) else {
            return Err(refused("the data is shorter than its tag"));
        };
        // What cannot be decrypted is refused as such, not as a forgery.
        Cbc::<C>::check(op.iv, text_len)?;
        let (text, tag) = sealed.split_at(text_len);
        let genuine = self.mac.mac([op.aad, op.iv.as_slice(), text]);
        if !bool::from(genuine[..TAG_LEN].ct_eq(tag)) {
            op.data.zeroize();
            return Err(DeviceError::DecryptionFailed);
        }
        match op.source {
            None => {
                op.data.truncate(text_len);
                self.cipher.decrypt(op.iv, op.data.as_mut_slice().into())
            }
            Some(source) => {
                let text = source.as_slice().and_then(|sealed| sealed.get(..text_len));
                self.cipher.decrypt(op.iv, out_of_place(text, op.data)?)
            }
        }
    }
}
