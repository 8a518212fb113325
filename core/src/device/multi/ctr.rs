//! Counter mode (NIST SP 800-38A section 6.5) with a 128-bit big-endian counter that wraps.
//!
//! Blocks do not depend on each other: a message goes by all vectors at once as long as it fills them, then by four, two
//! and one. Nor do messages: short ones overlap in the processor, which has begun the next before one is done.
//!
//! Counters are advanced in their low halves; a message during which that carries, one in 2^64 blocks, goes another way
//! (see [`carries`]).
//!
//! **Constant time.** Of the data, nothing but AES, exclusive-or and moves is made. Branches depend on lengths and on the
//! counter, which is as public as an iv; never on a key or a text.

use std::array;

use super::Job;
use super::schedule::Schedule;
use super::vector::{Block, Vector, WIDE_VECTORS};

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

/// Encrypts or decrypts every job. All keys must have this many rounds, and no counter may carry.
#[inline(always)]
pub(super) fn apply<'a, V: Vector, const WIDE: usize, const ROUNDS: usize>(
    vector: V,
    jobs: impl Iterator<Item = Job<'a, Schedule>>,
) {
    const { assert!(V::BLOCKS <= BLOCKS_MAX && WIDE == WIDE_VECTORS * V::BLOCKS) };
    for Job { keys, iv, text } in jobs {
        let mut counters = vector.counters(iv);
        let (blocks, part) = text.as_chunks_mut();
        let (wide, mut rest) = blocks.as_chunks_mut::<WIDE>();
        for text in wide {
            take::<V, WIDE_VECTORS, ROUNDS>(vector, keys, &mut counters, text);
        }
        if rest.len() >= 4 * V::BLOCKS {
            let (text, after) = rest.split_at_mut(4 * V::BLOCKS);
            take::<V, 4, ROUNDS>(vector, keys, &mut counters, text);
            rest = after;
        }
        if rest.len() >= 2 * V::BLOCKS {
            let (text, after) = rest.split_at_mut(2 * V::BLOCKS);
            take::<V, 2, ROUNDS>(vector, keys, &mut counters, text);
            rest = after;
        }
        if rest.len() >= V::BLOCKS {
            let (text, after) = rest.split_at_mut(V::BLOCKS);
            take::<V, 1, ROUNDS>(vector, keys, &mut counters, text);
            rest = after;
        }
        if !rest.is_empty() || !part.is_empty() {
            // What is left of the last vector: some blocks, and a part of one.
            let mut last = [[0; BLOCK_LEN]; BLOCKS_MAX];
            take::<V, 1, ROUNDS>(vector, keys, &mut counters, &mut last);
            let (whole, of_part) = last.split_at(rest.len());
            rest.as_flattened_mut().iter_mut().zip(whole.as_flattened()).for_each(|(byte, key)| *byte ^= key);
            part.iter_mut().zip(of_part.as_flattened()).for_each(|(byte, key)| *byte ^= key);
        }
    }
}

/// Works on a text of `VECTORS` vectors or more, and on no more of it.
#[inline(always)]
fn take<V: Vector, const VECTORS: usize, const ROUNDS: usize>(
    vector: V,
    keys: &Schedule,
    counters: &mut V::Blocks,
    text: &mut [Block],
) {
    let mut state: [V::Blocks; VECTORS] =
        array::from_fn(|place| vector.big_endian(vector.advance(*counters, (place * V::BLOCKS) as u64)));
    *counters = vector.advance(*counters, (VECTORS * V::BLOCKS) as u64);
    encrypt::<V, VECTORS, ROUNDS>(vector, keys, &mut state);
    for (place, text) in text.chunks_exact_mut(V::BLOCKS).take(VECTORS).enumerate() {
        vector.store(vector.xor(state[place], vector.load(text)), text);
    }
}

#[inline(always)]
fn encrypt<V: Vector, const VECTORS: usize, const ROUNDS: usize>(
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
            *blocks = vector.round(*blocks, key);
        }
    }
    let last = vector.broadcast(keys.key(ROUNDS));
    for blocks in state {
        *blocks = vector.last_round(*blocks, last);
    }
}
