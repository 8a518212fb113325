//! Messages under way in CBC encryption: the one place where texts are pointers.

#![allow(
    unsafe_code,
    reason = "a slice for each lane and step would cost a test of bounds for each block; AddressSanitizer and proptest"
)]

use std::array;
use std::marker::PhantomData;

use super::schedule::{LANES_MAX, Schedule};
use super::vector::{Block, Vector};

/// Most steps while a lane rests: it works on a scratch pad of so many blocks.
const PAD_BLOCKS: usize = 64;
/// What a lane that rests has left.
const RESTS: u32 = u32::MAX;
/// Most blocks of a message.
const LANE_BLOCKS_MAX: usize = RESTS as usize - 1;

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
    /// The same from a slice of at least [`Vector::BLOCKS`] blocks, each of them loaded by itself.
    fn collect(self, blocks: &[Block]) -> Self::Blocks;
    /// Puts the first keys of `schedules[lane]`, a multiple of [`KEYS_AT_ONCE`], side by side into `rows`: key `r` of
    /// lane `l` to place `first + l` of row `r`. There are at least [`Vector::BLOCKS`] schedules.
    fn list_keys(self, schedules: &[&Schedule], rows: &mut [[Block; LANES_MAX]], first: usize);
}

/// Lanes and what is left of their messages. Invariant: a lane that does not rest has at least one block left, and
/// its pointer is valid for as many blocks as it has left, which nobody else uses during `'a`; for one that is held, as many
/// as it held.
pub(super) struct Lanes<'a, const LANES: usize> {
    pointers: [*mut Block; LANES],
    /// In 32 bits, since the least and the most of all lanes are looked for in each stretch.
    left: [u32; LANES],
    /// What lanes that were put to rest had left, else nothing, and their chains.
    held: [u32; LANES],
    held_chain: [Block; LANES],
    /// Last ciphertext block of each lane, or its iv; anything in a lane that rests.
    chain: [Block; LANES],
    texts: PhantomData<&'a mut [Block]>,
}

impl<'a, const LANES: usize> Lanes<'a, LANES> {
    /// All at rest.
    #[inline(always)]
    pub(super) fn new() -> Self {
        let pointers = [std::ptr::null_mut(); LANES];
        Self {
            pointers,
            left: [RESTS; LANES],
            held: [0; LANES],
            held_chain: [[0; 16]; LANES],
            chain: [[0; 16]; LANES],
            texts: PhantomData,
        }
    }

    /// Puts a message of at least one block, and less than 2^32 - 1, into a lane that rests.
    #[inline(always)]
    pub(super) fn start(&mut self, lane: usize, iv: &Block, text: &'a mut [Block]) {
        assert!((1..=LANE_BLOCKS_MAX).contains(&text.len()));
        self.chain[lane] = *iv;
        self.left[lane] = text.len() as u32;
        self.pointers[lane] = text.as_mut_ptr();
    }

    /// Whether the message of the first lane is shorter.
    #[inline(always)]
    pub(super) fn is_shorter_than(&self, blocks: usize) -> bool {
        (self.left[0] as usize) < blocks
    }

    /// Where a lane's message lies.
    pub(super) fn address(&self, lane: usize) -> usize {
        self.pointers[lane].addr()
    }

    /// Puts a lane to rest that has a message.
    pub(super) fn hold(&mut self, lane: usize) {
        if self.left[lane] != RESTS {
            (self.held[lane], self.left[lane]) = (self.left[lane], RESTS);
            self.held_chain[lane] = self.chain[lane];
        }
    }

    /// Lets it go on.
    pub(super) fn release(&mut self, lane: usize) {
        if self.held[lane] > 0 {
            (self.left[lane], self.held[lane]) = (self.held[lane], 0);
            self.chain[lane] = self.held_chain[lane];
        }
    }

    /// Encrypts the next blocks of every lane that does not rest, at most `limit`, up to the end of the shortest
    /// message. `key` gives the key of a round for the lanes of a vector. Gives the lanes that have ended, one bit each,
    /// or `None` when all were at rest.
    #[inline(always)]
    pub(super) fn stretch<V: Gather, const VECTORS: usize, const ROUNDS: usize>(
        &mut self,
        vector: V,
        limit: usize,
        key: impl Fn(usize, usize) -> V::Blocks,
    ) -> Option<u32> {
        const { assert!(LANES == VECTORS * V::BLOCKS) };
        let least = self.left.iter().fold(RESTS, |least, left| least.min(*left));
        let most = self.left.iter().fold(0, |most, left| most.max(*left));
        if least == RESTS {
            return None;
        }
        let mut steps = limit.min(least as usize);
        // All that rest scribble on the same pad: what stands there is nobody's text.
        let mut pad: Option<[Block; PAD_BLOCKS]> = None;
        let mut at = self.pointers;
        if most == RESTS {
            steps = steps.min(PAD_BLOCKS);
            let pad = pad.insert([[0; 16]; PAD_BLOCKS]).as_mut_ptr();
            at = array::from_fn(|lane| if self.left[lane] == RESTS { pad } else { self.pointers[lane] });
        }

        let lanes = |place: usize| place * V::BLOCKS..(place + 1) * V::BLOCKS;
        // SAFETY: `step < steps`, and each pointer is that of a lane with at least `steps` blocks left, by the invariant, or
        // the pad's, which has PAD_BLOCKS, at least `steps`.
        let gather = |place: usize, step: usize| unsafe { vector.gather(&at[lanes(place)], step) };
        // SAFETY: as for `gather`.
        let scatter = |blocks, place: usize, step: usize| unsafe {
            vector.scatter(blocks, &at[lanes(place)], step);
        };
        let mut state = [key(0, 0); VECTORS];
        for place in 0..VECTORS {
            let first = vector.xor(gather(place, 0), key(0, place));
            state[place] = vector.xor(vector.collect(&self.chain[lanes(place)]), first);
        }
        let mut step = 0;
        loop {
            for round in 1..ROUNDS {
                for place in 0..VECTORS {
                    state[place] = vector.round(state[place], key(round, place));
                }
            }
            for place in 0..VECTORS {
                state[place] = vector.last_round(state[place], key(ROUNDS, place));
            }
            if step + 1 == steps {
                break;
            }
            // Of one lane after the other, the block that is done goes and the next one comes: its pointer is fetched once.
            for place in 0..VECTORS {
                let next = vector.xor(gather(place, step + 1), key(0, place));
                scatter(state[place], place, step);
                state[place] = vector.xor(state[place], next);
            }
            step += 1;
        }
        for place in 0..VECTORS {
            scatter(state[place], place, step);
        }
        if steps == most as usize {
            // Messages of one length end together: nothing is left of any.
            self.left = [RESTS; LANES];
            return Some(u32::MAX >> (32 - LANES));
        }
        for place in 0..VECTORS {
            vector.store(state[place], &mut self.chain[place * V::BLOCKS..][..V::BLOCKS]);
        }
        let mut ended = 0;
        for lane in 0..LANES {
            let left = self.left[lane];
            let taken = if left == RESTS { 0 } else { steps };
            self.pointers[lane] = self.pointers[lane].wrapping_add(taken);
            // No more than what is left, so it has as few bits.
            self.left[lane] = if left as usize == taken { RESTS } else { left - taken as u32 };
            ended |= u32::from(left as usize == taken) << lane;
        }
        Some(ended)
    }
}
