//! CBC decryption (NIST SP 800-38A section 6.2).
//!
//! A plaintext block needs its ciphertext block and the one before, both there from the start: a message goes by all
//! vectors at once as long as it fills them, then by four, two and one. Short messages overlap in the processor, which has
//! begun the next before one is done. Within a group the last vector is written first, since its blocks are what those
//! before it no longer need; the last ciphertext vector of a group is kept for the next.
//!
//! The rounds are those of the equivalent inverse cipher (FIPS 197 section 5.3.5), with [`Schedule::inverse`].
//!
//! **Constant time.** Of the data, nothing but AES, exclusive-or and moves is made. Branches depend on lengths alone; what a
//! text ends with, its padding, is not looked at.

use std::array;

use super::Job;
use super::schedule::Schedule;
use super::vector::{Block, Vector, WIDE_VECTORS};

/// Decrypts every job. All keys must be inverse ones of this many rounds; what is beyond the last whole block stays.
#[inline(always)]
pub(super) fn apply<'a, V: Vector, const WIDE: usize, const ROUNDS: usize>(
    vector: V,
    jobs: impl Iterator<Item = Job<'a, Schedule>>,
) {
    const { assert!(WIDE == WIDE_VECTORS * V::BLOCKS) };
    for Job { keys, iv, text } in jobs {
        let mut before = vector.broadcast(iv);
        let (wide, mut rest) = text.as_chunks_mut().0.as_chunks_mut::<WIDE>();
        for text in wide {
            take::<V, WIDE_VECTORS, ROUNDS>(vector, keys, &mut before, text);
        }
        if rest.len() >= 4 * V::BLOCKS {
            let (text, after) = rest.split_at_mut(4 * V::BLOCKS);
            take::<V, 4, ROUNDS>(vector, keys, &mut before, text);
            rest = after;
        }
        if rest.len() >= 2 * V::BLOCKS {
            let (text, after) = rest.split_at_mut(2 * V::BLOCKS);
            take::<V, 2, ROUNDS>(vector, keys, &mut before, text);
            rest = after;
        }
        if rest.len() >= V::BLOCKS {
            let (text, after) = rest.split_at_mut(V::BLOCKS);
            take::<V, 1, ROUNDS>(vector, keys, &mut before, text);
            rest = after;
        }
        // Less than a vector: each block in all places of one, of which the first is kept.
        for block in rest {
            let mut state = [vector.broadcast(block)];
            let first = vector.behind(before, state[0]);
            before = state[0];
            decrypt::<V, 1, ROUNDS>(vector, keys, &mut state);
            vector.store_first(vector.xor(state[0], first), block);
        }
    }
}

/// Decrypts a text of `VECTORS` vectors. The last block of `before` is the ciphertext block before it, and then its own last
/// one.
#[inline(always)]
fn take<V: Vector, const VECTORS: usize, const ROUNDS: usize>(
    vector: V,
    keys: &Schedule,
    before: &mut V::Blocks,
    text: &mut [Block],
) {
    let text = &mut text[..VECTORS * V::BLOCKS];
    let mut state: [V::Blocks; VECTORS] = array::from_fn(|place| vector.load(&text[place * V::BLOCKS..]));
    let first = vector.behind(*before, state[0]);
    *before = state[VECTORS - 1];
    decrypt::<V, VECTORS, ROUNDS>(vector, keys, &mut state);
    for place in (1..VECTORS).rev() {
        let from = place * V::BLOCKS;
        let before = vector.load(&text[from - 1..]);
        vector.store(vector.xor(state[place], before), &mut text[from..]);
    }
    vector.store(vector.xor(state[0], first), text);
}

#[inline(always)]
fn decrypt<V: Vector, const VECTORS: usize, const ROUNDS: usize>(
    vector: V,
    keys: &Schedule,
    state: &mut [V::Blocks; VECTORS],
) {
    let first = vector.broadcast(keys.key(0));
    for blocks in &mut *state {
        *blocks = vector.xor(*blocks, first);
    }
    for round in 1..ROUNDS {
        let key = vector.broadcast(keys.key(round));
        for blocks in &mut *state {
            *blocks = vector.inverse_round(*blocks, key);
        }
    }
    let last = vector.broadcast(keys.key(ROUNDS));
    for blocks in state {
        *blocks = vector.last_inverse_round(*blocks, last);
    }
}
