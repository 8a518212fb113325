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
//! **Stagger.** Messages a page (or a multiple) apart keep their lines in the same few places of the cache, and sixteen
//! lanes evict each other's lines before they are used up. Then the lanes start in four groups, a line's worth of blocks
//! apart, so that at any time at most a quarter of them compete for one place.
//!
//! **Constant time.** Of the data, nothing but AES, exclusive-or and moves is made; branches and addresses depend on the
//! count of messages, their lengths and their places in memory, and on which sessions are the same, never on a key, a
//! text or a chaining value.

use std::{array, ptr};

use super::Job;
use super::lanes::{Gather, IDLE_STEPS_MAX, stretch};
use super::schedule::{KeyTable, Schedule};
use super::vector::{Block, Vector};

/// Blocks in a cache line: how far behind the one before a group of lanes starts.
const STAGGER_BLOCKS: usize = 4;
/// Groups of lanes that start one after the other.
const GROUPS: usize = 4;
/// A shorter message has done with its lines before it matters.
const STAGGER_MIN_BLOCKS: usize = 128;

struct Lanes<'a, const LANES: usize> {
    /// What is left of each message; nothing in an idle lane.
    text: [&'a mut [Block]; LANES],
    /// Last ciphertext block of each lane, or its iv.
    chain: [Block; LANES],
    /// Key of each lane, also of an idle one.
    keys: [&'a Schedule; LANES],
    /// Lanes in use; those behind have yet to start.
    started: usize,
    /// Lanes whose key is not in the table, one bit each.
    unlisted: u32,
    /// Whether the table was used.
    is_listed: bool,
}

/// Encrypts every job. All keys must be of one length.
#[inline(always)]
pub(super) fn encrypt<'a, V: Gather, const VECTORS: usize, const LANES: usize>(
    vector: V,
    jobs: impl Iterator<Item = Job<'a, Schedule>>,
    table: &mut KeyTable,
) {
    let mut jobs = jobs.filter(|job| job.text.len() >= size_of::<Block>());
    let Some(first) = jobs.next() else { return };
    let rounds = first.keys.rounds();
    let mut lanes = Lanes::<LANES> {
        text: array::from_fn(|_| Default::default()),
        chain: [[0; 16]; LANES],
        keys: [first.keys; LANES],
        started: LANES / GROUPS,
        unlisted: u32::MAX,
        is_listed: false,
    };
    lanes.start(0, first);
    lanes.refill(&mut jobs);
    if !lanes.are_crowded() {
        lanes.started = LANES;
        lanes.refill(&mut jobs);
    }
    while let Some(steps) = lanes.steps() {
        if lanes.keys.iter().all(|keys| ptr::eq(*keys, lanes.keys[0])) {
            let keys = lanes.keys[0].keys();
            let key = |round: usize, _| vector.broadcast(&keys[round]);
            stretch::<V, VECTORS, LANES>(vector, &mut lanes.text, &mut lanes.chain, steps, rounds, key);
        } else {
            lanes.list::<V, VECTORS>(vector, table);
            let key = |round: usize, place: usize| vector.load(&table.rows[round][place * V::BLOCKS..]);
            stretch::<V, VECTORS, LANES>(vector, &mut lanes.text, &mut lanes.chain, steps, rounds, key);
        }
        lanes.started = LANES.min(lanes.started + LANES / GROUPS);
        lanes.refill(&mut jobs);
    }
    if lanes.is_listed {
        table.wipe(rounds, LANES);
    }
}

impl<'a, const LANES: usize> Lanes<'a, LANES> {
    #[inline(always)]
    fn start(&mut self, lane: usize, job: Job<'a, Schedule>) {
        self.text[lane] = job.text.as_chunks_mut().0;
        self.chain[lane] = job.iv;
        if !ptr::eq(self.keys[lane], job.keys) {
            self.keys[lane] = job.keys;
            self.unlisted |= 1 << lane;
        }
    }

    /// Gives the next messages to lanes that have none.
    #[inline(always)]
    fn refill(&mut self, jobs: &mut impl Iterator<Item = Job<'a, Schedule>>) {
        for lane in 0..self.started {
            if self.text[lane].is_empty() {
                let Some(job) = jobs.next() else { return };
                self.start(lane, job);
            }
        }
    }

    /// Whether long messages lie so that their lanes would evict each other's lines: judged by the first group.
    #[inline(always)]
    fn are_crowded(&self) -> bool {
        let line = |lane: usize| self.text[lane].as_ptr().addr() / 64;
        let is_long = |lane: usize| self.text[lane].len() >= STAGGER_MIN_BLOCKS;
        // Sets of a cache of 4 KiB a way; a neighbour is met one line later.
        let is_near = |one: usize, other: usize| (line(one).wrapping_sub(line(other)) + 1) % 64 < 3;
        (0..self.started).all(is_long) && (1..self.started).any(|lane| is_near(0, lane))
    }

    /// Steps until a lane has to be looked at; `None` when all are idle.
    #[inline(always)]
    fn steps(&self) -> Option<usize> {
        let (mut least, mut active) = (usize::MAX, 0);
        for text in &self.text {
            // An idle lane counts as the longest.
            least = least.min(text.len().wrapping_sub(1));
            active += usize::from(!text.is_empty());
        }
        match active {
            0 => None,
            _ if self.started < LANES => Some((least + 1).min(STAGGER_BLOCKS)),
            _ if active < LANES => Some((least + 1).min(IDLE_STEPS_MAX)),
            _ => Some(least + 1),
        }
    }

    /// Puts the keys of new messages into the table.
    #[inline(always)]
    fn list<V: Vector, const VECTORS: usize>(&mut self, vector: V, table: &mut KeyTable) {
        for place in 0..VECTORS {
            let lanes = place * V::BLOCKS..(place + 1) * V::BLOCKS;
            if self.unlisted >> lanes.start & ((1 << V::BLOCKS) - 1) == 0 {
                continue;
            }
            let keys = &self.keys[lanes.clone()];
            let rounds = keys[0].rounds();
            for (round, row) in table.rows[..=rounds].iter_mut().enumerate() {
                vector.store(vector.collect(keys, round), &mut row[lanes.clone()]);
            }
        }
        (self.unlisted, self.is_listed) = (0, true);
    }
}
