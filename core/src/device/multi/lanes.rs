//! The inner loop of CBC encryption: the one place where lanes are pointers.

#![allow(
    unsafe_code,
    reason = "a slice for each lane and step would cost a test of bounds for each block; AddressSanitizer and proptest"
)]

use std::array;

use super::vector::{Block, Vector};

/// Most steps while a lane is idle: it works on a scratch pad of so many blocks.
pub(super) const IDLE_STEPS_MAX: usize = 64;

/// Vectors whose blocks come from several places.
pub(super) trait Gather: Vector {
    /// In place `lane` the block `step` blocks after `from[lane]`.
    ///
    /// # Safety
    /// Each of the first [`Vector::BLOCKS`] pointers must be valid for reading that block.
    unsafe fn gather(self, from: &[*mut Block], step: usize) -> Self::Blocks;
    /// Place `lane` to the block `step` blocks after `to[lane]`.
    ///
    /// # Safety
    /// Each of the first [`Vector::BLOCKS`] pointers must be valid for writing that block.
    unsafe fn scatter(self, blocks: Self::Blocks, to: &[*mut Block], step: usize);
}

/// Encrypts `steps` blocks of every lane that has text and takes them off it. `key` gives the key of a round for the
/// lanes of a vector.
///
/// # Panics
/// When a lane has fewer blocks, or a lane has none and the steps are more than [`IDLE_STEPS_MAX`].
#[inline(always)]
pub(super) fn stretch<V: Gather, const VECTORS: usize, const LANES: usize>(
    vector: V,
    text: &mut [&mut [Block]; LANES],
    chain: &mut [Block; LANES],
    steps: usize,
    rounds: usize,
    key: impl Fn(usize, usize) -> V::Blocks,
) {
    const { assert!(LANES == VECTORS * V::BLOCKS) };
    let has_idle = text.iter().any(|text| text.is_empty());
    assert!(text.iter().all(|text| text.is_empty() || text.len() >= steps));
    assert!(!has_idle || steps <= IDLE_STEPS_MAX);
    // All idle lanes scribble on the same pad: what stands there is nobody's text.
    let mut pad = has_idle.then_some([[0; 16]; IDLE_STEPS_MAX]);
    let pad = pad.as_mut().map_or(std::ptr::null_mut(), |pad| pad.as_mut_ptr());
    let pointers: [*mut Block; LANES] =
        array::from_fn(|lane| if text[lane].is_empty() { pad } else { text[lane].as_mut_ptr() });

    let mut state: [V::Blocks; VECTORS] =
        array::from_fn(|place| vector.load(&chain[place * V::BLOCKS..][..V::BLOCKS]));
    for step in 0..steps {
        for place in 0..VECTORS {
            // SAFETY: `step < steps`, and each pointer is the start of a slice of at least `steps` blocks that is
            // borrowed mutably, or of the pad, which has IDLE_STEPS_MAX blocks, at least `steps` as asserted.
            let plain = unsafe { vector.gather(&pointers[place * V::BLOCKS..][..V::BLOCKS], step) };
            state[place] = vector.xor(state[place], vector.xor(plain, key(0, place)));
        }
        for round in 1..rounds {
            for place in 0..VECTORS {
                state[place] = vector.round(state[place], key(round, place));
            }
        }
        for place in 0..VECTORS {
            state[place] = vector.last_round(state[place], key(rounds, place));
            // SAFETY: as for `gather`; the slices are disjoint.
            unsafe { vector.scatter(state[place], &pointers[place * V::BLOCKS..][..V::BLOCKS], step) };
        }
    }
    for place in 0..VECTORS {
        vector.store(state[place], &mut chain[place * V::BLOCKS..][..V::BLOCKS]);
    }
    for text in text {
        let taken = steps.min(text.len());
        *text = &mut std::mem::take(text)[taken..];
    }
}
