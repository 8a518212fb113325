//! Modes whose blocks do not wait for each other: what counter mode and CBC decryption have in common.
//!
//! A message goes by all vectors at once as long as it fills them, then by four, two and one. Nor do messages wait for each
//! other: short ones overlap in the processor, which has begun the next before one is done.
//!
//! **Constant time.** Which vectors are used depends on lengths alone, and which round functions on the mode.

use super::Job;
use super::schedule::Schedule;
use super::vector::{Block, Vector};

/// Vectors of one message at once: they keep two units of four cycles' latency busy.
pub(super) const WIDE_VECTORS: usize = 8;

/// A mode, which carries one vector of blocks from group to group of a message.
pub(super) trait Mode {
    /// What is carried to the first group.
    fn begin<V: Vector>(vector: V, iv: &Block) -> V::Blocks;
    /// Works on the first `VECTORS` vectors of a text that has as many, and on no more of it.
    fn take<V: Vector, const VECTORS: usize, const ROUNDS: usize>(
        vector: V,
        keys: &Schedule,
        carried: &mut V::Blocks,
        text: &mut [Block],
    );
    /// Works on what is left of the text: fewer blocks than a vector has, and a part of one.
    fn end<V: Vector, const ROUNDS: usize>(
        vector: V,
        keys: &Schedule,
        carried: V::Blocks,
        blocks: &mut [Block],
        part: &mut [u8],
    );
}

/// Carries out every job. All keys must have this many rounds and be those of the mode.
#[inline(always)]
pub(super) fn apply<'a, M: Mode, V: Vector, const WIDE: usize, const ROUNDS: usize>(
    vector: V,
    jobs: impl Iterator<Item = Job<'a, Schedule>>,
) {
    const { assert!(WIDE == WIDE_VECTORS * V::BLOCKS) };
    for Job { keys, iv, text } in jobs {
        let mut carried = M::begin(vector, iv);
        let (blocks, part) = text.as_chunks_mut();
        let (wide, mut rest) = blocks.as_chunks_mut::<WIDE>();
        for text in wide {
            M::take::<V, WIDE_VECTORS, ROUNDS>(vector, keys, &mut carried, text);
        }
        if rest.len() >= 4 * V::BLOCKS {
            let (text, after) = rest.split_at_mut(4 * V::BLOCKS);
            M::take::<V, 4, ROUNDS>(vector, keys, &mut carried, text);
            rest = after;
        }
        if rest.len() >= 2 * V::BLOCKS {
            let (text, after) = rest.split_at_mut(2 * V::BLOCKS);
            M::take::<V, 2, ROUNDS>(vector, keys, &mut carried, text);
            rest = after;
        }
        if rest.len() >= V::BLOCKS {
            let (text, after) = rest.split_at_mut(V::BLOCKS);
            M::take::<V, 1, ROUNDS>(vector, keys, &mut carried, text);
            rest = after;
        }
        M::end::<V, ROUNDS>(vector, keys, carried, rest, part);
    }
}

/// Which way AES goes.
pub(super) trait Direction {
    /// One round.
    fn round<V: Vector>(vector: V, blocks: V::Blocks, key: V::Blocks) -> V::Blocks;
    /// The last round.
    fn last<V: Vector>(vector: V, blocks: V::Blocks, key: V::Blocks) -> V::Blocks;
}

/// Encryption.
pub(super) struct Forward;
/// Decryption by the equivalent inverse cipher (FIPS 197 section 5.3.5), whose keys are [`Schedule::inverse`].
pub(super) struct Inverse;

impl Direction for Forward {
    #[inline(always)]
    fn round<V: Vector>(vector: V, blocks: V::Blocks, key: V::Blocks) -> V::Blocks {
        vector.round(blocks, key)
    }

    #[inline(always)]
    fn last<V: Vector>(vector: V, blocks: V::Blocks, key: V::Blocks) -> V::Blocks {
        vector.last_round(blocks, key)
    }
}

impl Direction for Inverse {
    #[inline(always)]
    fn round<V: Vector>(vector: V, blocks: V::Blocks, key: V::Blocks) -> V::Blocks {
        vector.inverse_round(blocks, key)
    }

    #[inline(always)]
    fn last<V: Vector>(vector: V, blocks: V::Blocks, key: V::Blocks) -> V::Blocks {
        vector.last_inverse_round(blocks, key)
    }
}

/// All rounds, under one key.
#[inline(always)]
pub(super) fn rounds<D: Direction, V: Vector, const VECTORS: usize, const ROUNDS: usize>(
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
            *blocks = D::round(vector, *blocks, key);
        }
    }
    let last = vector.broadcast(keys.key(ROUNDS));
    for blocks in state {
        *blocks = D::last(vector, *blocks, last);
    }
}
