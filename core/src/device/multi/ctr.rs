//! Counter mode (NIST SP 800-38A section 6.5) with a 128-bit big-endian counter that wraps.
//!
//! Counters are advanced in their low halves; a message during which that carries, one in 2^64 blocks, goes another way
//! (see [`carries`]).
//!
//! **Constant time.** Of the data, nothing but AES, exclusive-or and moves is made. Branches depend on lengths and on the
//! counter, which is as public as an iv; never on a key or a text.

use super::parallel::{Forward, Mode, WIDE_VECTORS, rounds};
use super::schedule::Schedule;
use super::vector::{Block, Vector};

/// Blocks in the widest vector.
const BLOCKS_MAX: usize = 4;
const BLOCK_LEN: usize = size_of::<Block>();

/// Whether the low half of the counter overflows within `len` bytes, or within the vectors that come after.
#[inline(always)]
pub(super) fn carries(iv: &Block, len: usize) -> bool {
    let low = iv.as_chunks().0[1];
    let blocks = len / BLOCK_LEN + WIDE_VECTORS * BLOCKS_MAX;
    u64::from_be_bytes(low).checked_add(blocks as u64).is_none()
}

/// Encryption or decryption of messages whose counters do not carry; it carries counters.
pub(super) struct Ctr;

impl Mode for Ctr {
    #[inline(always)]
    fn begin<V: Vector>(vector: V, iv: &Block) -> V::Blocks {
        vector.counters(iv)
    }

    #[inline(always)]
    fn take<V: Vector, const VECTORS: usize, const ROUNDS: usize>(
        vector: V,
        keys: &Schedule,
        counters: &mut V::Blocks,
        text: &mut [Block],
    ) {
        let mut state = [*counters; VECTORS];
        for (place, blocks) in state.iter_mut().enumerate() {
            *blocks = vector.big_endian(vector.advance(*counters, (place * V::BLOCKS) as u64));
        }
        *counters = vector.advance(*counters, (VECTORS * V::BLOCKS) as u64);
        rounds::<Forward, V, VECTORS, ROUNDS>(vector, keys, &mut state);
        for (place, text) in text.chunks_exact_mut(V::BLOCKS).take(VECTORS).enumerate() {
            vector.store(vector.xor(state[place], vector.load(text)), text);
        }
    }

    #[inline(always)]
    fn end<V: Vector, const ROUNDS: usize>(
        vector: V,
        keys: &Schedule,
        mut counters: V::Blocks,
        blocks: &mut [Block],
        part: &mut [u8],
    ) {
        const { assert!(V::BLOCKS <= BLOCKS_MAX) };
        if blocks.is_empty() && part.is_empty() {
            return;
        }
        let mut last = [[0; BLOCK_LEN]; BLOCKS_MAX];
        Self::take::<V, 1, ROUNDS>(vector, keys, &mut counters, &mut last);
        let (whole, of_part) = last.split_at(blocks.len());
        blocks.as_flattened_mut().iter_mut().zip(whole.as_flattened()).for_each(|(byte, key)| *byte ^= key);
        part.iter_mut().zip(of_part.as_flattened()).for_each(|(byte, key)| *byte ^= key);
    }
}
