//! Digests (FIPS 180-4) and HMAC (RFC 2104), whole or in chunks.
//!
//! Between chunks the midstate is the hash crate's serialised state: chaining words, count of blocks, and the
//! bytes of an unfinished block. For HMAC it is that of the inner hash alone: it cannot make a MAC without the key.

use std::marker::PhantomData;

use sha2::digest::block_api::BlockSizeUser;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::digest::{Digest, Output};
use zeroize::{Zeroize, Zeroizing};

use crate::algorithm::OpKind;
use crate::device::{DeviceError, DirectOp};
use crate::op::Midstate;

use super::{Context, refused};

/// A hash function whose state can be carried from one device to another.
pub(super) trait Hash: Digest + BlockSizeUser + SerializableState + Clone + Send + Sync {}

impl<H: Digest + BlockSizeUser + SerializableState + Clone + Send + Sync> Hash for H {}

/// A plain hash: it has no key, hence no state of its own.
pub(super) struct Digester<H>(PhantomData<H>);

impl<H> Digester<H> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<H: Hash> Context for Digester<H> {
    fn execute(&self, op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
        if op.kind != OpKind::Digest {
            return Err(refused("a hash digests only"));
        }
        if let Some(hash) = absorb(H::new, op)? {
            op.output.set(&hash.finalize());
        }
        Ok(())
    }
}

/// HMAC: the hash after the inner and after the outer key block. Both are wiped by the hash crate when dropped.
pub(super) struct Hmac<H> {
    inner: H,
    outer: H,
}

const IPAD: u8 = 0x36;
const OPAD: u8 = 0x5c;

impl<H: Hash> Hmac<H> {
    pub(super) fn new(key: &[u8]) -> Self {
        let mut block = Zeroizing::new(vec![0; H::block_size()]);
        if key.len() > block.len() {
            let mut digest = H::digest(key);
            block[..digest.len()].copy_from_slice(&digest);
            digest.as_mut_slice().zeroize();
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        block.iter_mut().for_each(|byte| *byte ^= IPAD);
        let inner = H::new_with_prefix(&block);
        block.iter_mut().for_each(|byte| *byte ^= IPAD ^ OPAD);
        let outer = H::new_with_prefix(&block);
        Self { inner, outer }
    }
}

impl<H: Hash> Hmac<H> {
    /// The MAC of the parts, one after the other.
    pub(super) fn mac(&self, parts: [&[u8]; 3]) -> Output<H> {
        let mut inner = self.inner.clone();
        parts.iter().for_each(|part| inner.update(part));
        self.finish(inner)
    }

    fn finish(&self, inner: H) -> Output<H> {
        let mut digest = inner.finalize();
        let mut outer = self.outer.clone();
        outer.update(&digest);
        digest.as_mut_slice().zeroize();
        outer.finalize()
    }
}

impl<H: Hash> Context for Hmac<H> {
    fn execute(&self, op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
        if op.kind != OpKind::Mac {
            return Err(refused("an hmac makes macs only"));
        }
        if let Some(inner) = absorb(|| self.inner.clone(), op)? {
            op.output.set(&self.finish(inner));
        }
        Ok(())
    }
}

/// Feeds the operation's data to a fresh hash, or to the one its chain carries. `None` when more chunks follow:
/// then the state went back to the chain.
fn absorb<H: Hash>(fresh: impl FnOnce() -> H, op: &mut DirectOp<'_>) -> Result<Option<H>, DeviceError> {
    let mut hash = match &op.chain {
        Some(chain) if !chain.first => restore(&chain.midstate)?,
        _ => fresh(),
    };
    match op.source {
        None => hash.update(&op.data),
        Some(source) => source.parts().for_each(|part| hash.update(part)),
    }
    match &mut op.chain {
        Some(chain) if !chain.last => {
            let mut state = hash.serialize();
            chain.midstate.set(&state);
            state.as_mut_slice().zeroize();
            Ok(None)
        }
        _ => Ok(Some(hash)),
    }
}

fn restore<H: Hash>(midstate: &Midstate) -> Result<H, DeviceError> {
    let damaged = || refused("the stream's state is damaged");
    let state: &SerializedState<H> = midstate.as_slice().try_into().map_err(|_| damaged())?;
    H::deserialize(state).map_err(|_| damaged())
}
