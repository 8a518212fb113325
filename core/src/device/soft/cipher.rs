//! AES in the modes of NIST SP 800-38A. The crates work on as many blocks at once as the mode and the processor
//! allow; a chunk of a stream is an operation like any other, for the runtime gives it the iv that follows.

use aes::cipher::array::Array;
use aes::cipher::consts::U16;
use aes::cipher::{
    Block, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser,
    InOutBuf, InnerIvInit, StreamCipherCore,
};
use ctr::CtrCore;
use ctr::flavors::Ctr128BE;

use crate::algorithm::OpKind;
use crate::device::{DeviceError, DirectOp};
use crate::op::Iv;

use super::{Context, refused};

/// A block cipher of 16-byte blocks that can run on any thread.
pub(super) trait Cipher:
    BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16> + Send + Sync
{
}

impl<C> Cipher for C where
    C: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16> + Send + Sync
{
}

/// Electronic codebook (section 6.1).
pub(super) struct Ecb<C>(pub(super) C);

impl<C: Cipher> Context for Ecb<C> {
    fn execute(&self, op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
        let kind = op.kind;
        let blocks = blocks::<C>(buffers(op)?)?;
        match kind {
            OpKind::Encrypt => self.0.encrypt_blocks_inout(blocks),
            OpKind::Decrypt => self.0.decrypt_blocks_inout(blocks),
            _ => return Err(wrong_kind()),
        }
        Ok(())
    }
}

/// Cipher block chaining (section 6.2).
pub(super) struct Cbc<C>(pub(super) C);

impl<C: Cipher> Context for Cbc<C> {
    fn execute(&self, op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
        let (kind, iv) = (op.kind, op.iv);
        match kind {
            OpKind::Encrypt => self.encrypt(iv, buffers(op)?),
            OpKind::Decrypt => self.decrypt(iv, buffers(op)?),
            _ => Err(wrong_kind()),
        }
    }
}

impl<C: Cipher> Cbc<C> {
    pub(super) fn encrypt(&self, iv: &Iv, data: InOutBuf<'_, '_, u8>) -> Result<(), DeviceError> {
        cbc::Encryptor::inner_iv_init(&self.0, block_of(iv)?).encrypt_blocks_inout(blocks::<C>(data)?);
        Ok(())
    }

    /// Whether data of this length can be worked on with this iv.
    pub(super) fn check(iv: &Iv, len: usize) -> Result<(), DeviceError> {
        block_of(iv)?;
        if len.is_multiple_of(C::block_size()) { Ok(()) } else { Err(partial_block()) }
    }

    pub(super) fn decrypt(&self, iv: &Iv, data: InOutBuf<'_, '_, u8>) -> Result<(), DeviceError> {
        cbc::Decryptor::inner_iv_init(&self.0, block_of(iv)?).decrypt_blocks_inout(blocks::<C>(data)?);
        Ok(())
    }
}

/// Counter mode (section 6.5) with a 128-bit big-endian counter that wraps, as OpenSSL's does.
pub(super) struct Ctr<C>(pub(super) C);

impl<C: Cipher> Context for Ctr<C> {
    fn execute(&self, op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
        let counter = block_of(op.iv)?;
        if !matches!(op.kind, OpKind::Encrypt | OpKind::Decrypt) {
            return Err(wrong_kind());
        }
        CtrCore::<_, Ctr128BE>::inner_iv_init(&self.0, counter)
            .try_apply_keystream_partial(buffers(op)?)
            .map_err(|_| refused("the counter would repeat"))
    }
}

/// Where an operation reads and where it writes: in place, or from a source of as many bytes.
pub(super) fn buffers<'a>(op: &'a mut DirectOp<'_>) -> Result<InOutBuf<'a, 'a, u8>, DeviceError> {
    match op.source {
        None => Ok(op.data.as_mut_slice().into()),
        Some(source) => out_of_place(source.as_slice(), op.data),
    }
}

/// As `buffers`, from a source that is apart.
#[cold]
pub(super) fn out_of_place<'a>(
    source: Option<&'a [u8]>,
    data: &'a mut Vec<u8>,
) -> Result<InOutBuf<'a, 'a, u8>, DeviceError> {
    let source = source.ok_or(refused("the source is in pieces"))?;
    data.resize(source.len(), 0);
    InOutBuf::new(source, data.as_mut_slice()).map_err(|_| refused("source and output differ in length"))
}

fn blocks<'a, C: Cipher>(data: InOutBuf<'a, 'a, u8>) -> Result<InOutBuf<'a, 'a, Block<C>>, DeviceError> {
    match data.into_chunks() {
        (blocks, rest) if rest.is_empty() => Ok(blocks),
        _ => Err(partial_block()),
    }
}

fn partial_block() -> DeviceError {
    refused("the data is not a whole number of blocks")
}

fn block_of(iv: &Iv) -> Result<&Array<u8, U16>, DeviceError> {
    iv.as_slice().try_into().map_err(|_| refused("the iv is not 16 bytes"))
}

fn wrong_kind() -> DeviceError {
    refused("a cipher encrypts and decrypts only")
}
