//! CBC encryption (NIST SP 800-38A section 6.2) of several messages at once.
//!
//! Within a message each block waits for the one before; so as many messages as it takes to fill the processor's AES
//! units go side by side, each in a lane of its own with its own key, iv and length. A lane whose message ends takes
//! the next one while the others go on: nobody waits for the longest.
//!
//! **Lanes.** Lane `l` is block `l % BLOCKS` of vector `l / BLOCKS`, where BLOCKS is what a vector holds. With one key in
//! all lanes its round keys are broadcast; else they lie transposed in a [`KeyTable`], one row a round, which is wiped
//! when the run ends.
//!
//! **Stagger.** Messages a page (or a multiple) apart keep their lines in the same few sets of the cache, and sixteen
//! lanes evict each other's lines before they are used up. Where the addresses of long messages say so, lanes start a
//! few lines later than others, so that they never meet in one set.
//!
//! **Constant time.** Of the data, nothing but AES, exclusive-or and moves is made; branches and addresses depend on the
//! count of messages, their lengths and their places in memory, and on which sessions are the same, never on a key, a
//! text or a chaining value.

use std::ptr;

use super::Job;
use super::lanes::{Gather, Lanes};
use super::schedule::{KeyTable, Schedule};
use super::vector::Block;

const LINE_LEN: usize = 64;
/// Blocks in a cache line.
const LINE_BLOCKS: usize = LINE_LEN / size_of::<Block>();
/// Lines so many (a page) apart, or a multiple, share a set of a cache with 4 KiB a way.
const SETS: usize = 64;
/// Lanes that may meet in one set: fewer than a cache has ways, for other things lie there too.
const SET_LANES_MAX: u8 = 4;
/// A message that is shorter has done with its lines before it matters.
const STAGGER_MIN_BLOCKS: usize = 128;

/// Encrypts every job. All keys must have this many rounds, and all texts at least one block.
#[inline(always)]
pub(super) fn encrypt<'a, V: Gather, const VECTORS: usize, const LANES: usize, const ROUNDS: usize>(
    vector: V,
    mut jobs: impl Iterator<Item = Job<'a, Schedule>>,
    table: &mut KeyTable,
) {
    const { assert!(LANES == VECTORS * V::BLOCKS && LANES <= 32) };
    let Some(first) = jobs.next() else { return };
    let mut keys = Keys::<LANES>::new(first.keys);
    let mut lanes = Lanes::<LANES>::new();
    lanes.start(0, first.iv, first.text.as_chunks_mut().0);
    // Lanes without a message, one bit each.
    let mut idle = u32::MAX >> (32 - LANES) & !1;
    let mut stagger = Stagger::NONE;
    let mut is_begun = false;
    loop {
        while idle != 0 {
            let Some(job) = jobs.next() else { break };
            let lane = idle.trailing_zeros() as usize;
            idle &= idle - 1;
            keys.set(lane, job.keys);
            lanes.start(lane, job.iv, job.text.as_chunks_mut().0);
        }
        if !is_begun {
            is_begun = true;
            if !lanes.is_shorter_than(STAGGER_MIN_BLOCKS) {
                stagger.choose(&mut lanes);
            }
        }
        let limit = if stagger.is_over() { usize::MAX } else { stagger.next(&mut lanes) };
        let ended = if keys.is_one() {
            let keys = keys.of[0];
            // Beside whose use texts are written: in a register, or it would be fetched again for each vector.
            let first = vector.broadcast(keys.key(0));
            let key = |round: usize, _| if round == 0 { first } else { vector.broadcast(keys.key(round)) };
            lanes.stretch::<V, VECTORS, ROUNDS>(vector, limit, key)
        } else {
            keys.list::<V, VECTORS, ROUNDS>(vector, table);
            let rows = &table.rows;
            let key =
                |round: usize, place: usize| vector.load(&rows[round][place * V::BLOCKS..][..V::BLOCKS]);
            lanes.stretch::<V, VECTORS, ROUNDS>(vector, limit, key)
        };
        match ended {
            Some(ended) => idle |= ended,
            None => break,
        }
    }
    if keys.is_listed {
        table.wipe(ROUNDS, LANES);
    }
}

/// The keys of the lanes.
struct Keys<'a, const LANES: usize> {
    /// Also of a lane that has no message: any.
    of: [&'a Schedule; LANES],
    /// Lanes whose key is not in the table, one bit each.
    unlisted: u32,
    /// Whether the table was used.
    is_listed: bool,
}

impl<'a, const LANES: usize> Keys<'a, LANES> {
    #[inline(always)]
    fn new(first: &'a Schedule) -> Self {
        Self { of: [first; LANES], unlisted: u32::MAX, is_listed: false }
    }

    #[inline(always)]
    fn set(&mut self, lane: usize, keys: &'a Schedule) {
        if !ptr::eq(self.of[lane], keys) {
            self.of[lane] = keys;
            self.unlisted |= 1 << lane;
        }
    }

    /// Whether all lanes have the same.
    #[inline(always)]
    fn is_one(&self) -> bool {
        self.of.iter().fold(true, |is_one, keys| is_one & ptr::eq(*keys, self.of[0]))
    }

    /// Puts into the table what is not there.
    #[inline(always)]
    fn list<V: Gather, const VECTORS: usize, const ROUNDS: usize>(
        &mut self,
        vector: V,
        table: &mut KeyTable,
    ) {
        for place in 0..VECTORS {
            let lanes = place * V::BLOCKS..(place + 1) * V::BLOCKS;
            if self.unlisted >> lanes.start & ((1 << V::BLOCKS) - 1) == 0 {
                continue;
            }
            vector.list_keys(&self.of[lanes.clone()], table.rows_of(ROUNDS), lanes.start);
        }
        (self.unlisted, self.is_listed) = (0, true);
    }
}

/// How much later than the first lanes each lane begins.
struct Stagger<const LANES: usize> {
    /// In lines.
    delays: [u8; LANES],
    /// Lines since the first lanes began.
    lines: u8,
    /// Lines until the last one begins.
    most: u8,
}

impl<const LANES: usize> Stagger<LANES> {
    const NONE: Self = Self { delays: [0; LANES], lines: 0, most: 0 };

    /// Whether all have begun.
    #[inline(always)]
    fn is_over(&self) -> bool {
        self.lines > self.most || self.most == 0
    }

    /// Chosen by where the messages lie; lanes that wait are put to rest.
    #[cold]
    fn choose(&mut self, lanes: &mut Lanes<'_, LANES>) {
        let mut taken = [0; SETS];
        for lane in 0..LANES {
            let line = lanes.address(lane) / LINE_LEN;
            // A lane that begins later is as many lines behind.
            let set = |delay: u8| line.wrapping_sub(usize::from(delay)) % SETS;
            let delay = (0..LANES as u8).find(|delay| taken[set(*delay)] < SET_LANES_MAX).unwrap_or(0);
            taken[set(delay)] += 1;
            self.delays[lane] = delay;
            self.most = self.most.max(delay);
            if delay > 0 {
                lanes.hold(lane);
            }
        }
    }

    /// Lets lanes begin whose time has come, and gives the most steps until it has for others.
    #[cold]
    fn next(&mut self, lanes: &mut Lanes<'_, LANES>) -> usize {
        for (lane, delay) in self.delays.iter().enumerate() {
            if *delay > 0 && *delay == self.lines {
                lanes.release(lane);
            }
        }
        self.lines += 1;
        if self.is_over() { usize::MAX } else { LINE_BLOCKS }
    }
}
