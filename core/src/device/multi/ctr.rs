//! Counter mode (NIST SP 800-38A section 6.5) with a 128-bit big-endian counter that wraps.
//!
//! Blocks do not depend on each other. The long part of a message fills all vectors by itself; what is left of it, and
//! short messages, are cut into pieces of one vector, and pieces of several messages go together, each with its own key.
//!
//! **Constant time.** Of the data, nothing but AES, exclusive-or and moves is made. Branches depend on lengths and on the
//! counter, which is as public as an iv; never on a key or a text.

use std::array;

use super::Job;
use super::schedule::Schedule;
use super::vector::{Block, Vector};

/// Encrypts or decrypts every job, `WIDE` blocks at a time. All keys must be of one length.
#[inline(always)]
pub(super) fn apply<'a, V: Vector, const VECTORS: usize, const WIDE: usize>(
    vector: V,
    mut jobs: impl Iterator<Item = Job<'a, Schedule>>,
) {
    const { assert!(WIDE == VECTORS * V::BLOCKS) };
    let Some(first) = jobs.next() else { return };
    let mut pieces = Pieces::<VECTORS> {
        keys: [first.keys; VECTORS],
        counters: [0; VECTORS],
        texts: array::from_fn(|_| Default::default()),
        count: 0,
    };
    let mut next = Some(first);
    while let Some(job) = next {
        let mut counter = u128::from_be_bytes(job.iv);
        let long = job.text.len() / (WIDE * size_of::<Block>()) * (WIDE * size_of::<Block>());
        let (long, rest) = job.text.split_at_mut(long);
        if !long.is_empty() {
            let blocks = long.as_chunks_mut().0;
            counter = wide::<V, VECTORS, WIDE>(vector, job.keys, counter, blocks.as_chunks_mut().0);
        }
        for text in rest.chunks_mut(V::BLOCKS * size_of::<Block>()) {
            let place = pieces.count;
            (pieces.keys[place], pieces.counters[place], pieces.texts[place]) = (job.keys, counter, text);
            counter = counter.wrapping_add(V::BLOCKS as u128);
            pieces.count += 1;
            if pieces.count == VECTORS {
                pieces.apply(vector);
            }
        }
        next = jobs.next();
    }
    if pieces.count > 0 {
        pieces.apply(vector);
    }
}

/// Counters from `first` on, ready to be encrypted.
#[inline(always)]
fn counters<V: Vector>(vector: V, first: u128) -> V::Blocks {
    if (first as u64).checked_add(V::BLOCKS as u64 - 1).is_some() {
        return vector.big_endian(vector.counters(first));
    }
    // A carry into the high half, once in 2^64 blocks.
    let blocks: [Block; 4] = array::from_fn(|place| first.wrapping_add(place as u128).to_be_bytes());
    vector.load(&blocks)
}

/// Encrypts the vectors; `key` gives the key of a round for a vector.
#[inline(always)]
fn encrypt<V: Vector, const VECTORS: usize>(
    vector: V,
    state: &mut [V::Blocks; VECTORS],
    rounds: usize,
    key: impl Fn(usize, usize) -> V::Blocks,
) {
    for place in 0..VECTORS {
        state[place] = vector.xor(state[place], key(0, place));
    }
    for round in 1..rounds {
        for place in 0..VECTORS {
            state[place] = vector.round(state[place], key(round, place));
        }
    }
    for place in 0..VECTORS {
        state[place] = vector.last_round(state[place], key(rounds, place));
    }
}

/// Whole rounds of all vectors under one key. Gives the counter that follows.
#[inline(always)]
fn wide<V: Vector, const VECTORS: usize, const WIDE: usize>(
    vector: V,
    keys: &Schedule,
    first: u128,
    text: &mut [[Block; WIDE]],
) -> u128 {
    let (mut counter, keys) = (first, keys.keys());
    let mut base = vector.counters(counter);
    for text in text {
        let has_carry = (counter as u64).checked_add(WIDE as u64).is_none();
        let mut state: [V::Blocks; VECTORS] = if has_carry {
            array::from_fn(|place| counters(vector, counter.wrapping_add((place * V::BLOCKS) as u128)))
        } else {
            array::from_fn(|place| vector.big_endian(vector.advance(base, (place * V::BLOCKS) as u64)))
        };
        counter = counter.wrapping_add(WIDE as u128);
        base = if has_carry { vector.counters(counter) } else { vector.advance(base, WIDE as u64) };
        encrypt(vector, &mut state, keys.len() - 1, |round, _| vector.broadcast(&keys[round]));
        for (place, text) in text.chunks_exact_mut(V::BLOCKS).enumerate() {
            vector.store(vector.xor(state[place], vector.load(text)), text);
        }
    }
    counter
}

/// Up to one vector each of as many messages as there are vectors.
struct Pieces<'a, const VECTORS: usize> {
    keys: [&'a Schedule; VECTORS],
    counters: [u128; VECTORS],
    texts: [&'a mut [u8]; VECTORS],
    count: usize,
}

impl<const VECTORS: usize> Pieces<'_, VECTORS> {
    /// Works on the pieces that are there, and forgets them.
    #[inline(always)]
    fn apply<V: Vector>(&mut self, vector: V) {
        let mut state: [V::Blocks; VECTORS] = array::from_fn(|place| counters(vector, self.counters[place]));
        let rounds = self.keys[0].rounds();
        encrypt(vector, &mut state, rounds, |round, place| vector.broadcast(&self.keys[place].keys()[round]));
        for (text, state) in self.texts[..self.count].iter_mut().zip(state) {
            let text = std::mem::take(text);
            if text.len() == V::BLOCKS * size_of::<Block>() {
                let blocks = text.as_chunks_mut().0;
                vector.store(vector.xor(state, vector.load(blocks)), blocks);
            } else {
                let mut keystream = [[0; 16]; 4];
                vector.store(state, &mut keystream);
                text.iter_mut().zip(keystream.as_flattened()).for_each(|(byte, key)| *byte ^= key);
            }
        }
        self.count = 0;
    }
}
