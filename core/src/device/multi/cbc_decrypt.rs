//! CBC decryption (NIST SP 800-38A section 6.2).
//!
//! A plaintext block needs its ciphertext block and the one before, both there from the start. Within a group the last
//! vector is written first, since its blocks are what those before it no longer need; the last ciphertext vector of a group
//! is kept for the next.
//!
//! **Constant time.** Of the data, nothing but AES, exclusive-or and moves is made. Branches depend on lengths alone; what a
//! text ends with, its padding, is not looked at.

use super::parallel::{Inverse, Mode, rounds};
use super::schedule::Schedule;
use super::vector::{Block, Vector};

/// Under inverse keys. The last block of what it carries is the ciphertext block before the next group; what is beyond the
/// last whole block stays as it is.
pub(super) struct CbcDecrypt;

impl Mode for CbcDecrypt {
    #[inline(always)]
    fn begin<V: Vector>(vector: V, iv: &Block) -> V::Blocks {
        vector.broadcast(iv)
    }

    #[inline(always)]
    fn take<V: Vector, const VECTORS: usize, const ROUNDS: usize>(
        vector: V,
        keys: &Schedule,
        before: &mut V::Blocks,
        text: &mut [Block],
    ) {
        let text = &mut text[..VECTORS * V::BLOCKS];
        let mut state = [vector.load(text); VECTORS];
        for place in 1..VECTORS {
            state[place] = vector.load(&text[place * V::BLOCKS..]);
        }
        let first = vector.behind(*before, state[0]);
        *before = state[VECTORS - 1];
        rounds::<Inverse, V, VECTORS, ROUNDS>(vector, keys, &mut state);
        for place in (1..VECTORS).rev() {
            let from = place * V::BLOCKS;
            let before = vector.load(&text[from - 1..]);
            vector.store(vector.xor(state[place], before), &mut text[from..]);
        }
        vector.store(vector.xor(state[0], first), text);
    }

    #[inline(always)]
    fn end<V: Vector, const ROUNDS: usize>(
        vector: V,
        keys: &Schedule,
        mut before: V::Blocks,
        blocks: &mut [Block],
        _: &mut [u8],
    ) {
        // Each block in all places of a vector, of which the first is kept.
        for block in blocks {
            let mut state = [vector.broadcast(block)];
            let first = vector.behind(before, state[0]);
            before = state[0];
            rounds::<Inverse, V, 1, ROUNDS>(vector, keys, &mut state);
            vector.store_first(vector.xor(state[0], first), block);
        }
    }
}
