//! Encrypt, then MAC, as IPsec combines the two: AES-CBC (RFC 3602) and HMAC-SHA-256-128 (RFC 4868).

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::algorithm::OpKind;
use crate::device::{DeviceError, DirectOp};

use super::cipher::{Cbc, Cipher};
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
                self.cipher.encrypt(op.iv, op.data)?;
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
        let Some(text_len) = op.data.len().checked_sub(TAG_LEN) else {
            return Err(refused("the data is shorter than its tag"));
        };
        // What cannot be decrypted is refused as such, not as a forgery.
        Cbc::<C>::check(op.iv, text_len)?;
        let (text, tag) = op.data.split_at(text_len);
        let genuine = self.mac.mac([op.aad, op.iv.as_slice(), text]);
        if !bool::from(genuine[..TAG_LEN].ct_eq(tag)) {
            op.data.zeroize();
            return Err(DeviceError::DecryptionFailed);
        }
        op.data.truncate(text_len);
        self.cipher.decrypt(op.iv, op.data)
    }
}
