//! SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104) of several messages at once.
//!
//! Each message has a lane; the lanes in use are the first ones. A lane goes through whole blocks of its text, the one
//! or two blocks of padding, and for an HMAC the one block of the outer hash. Whoever compresses is handed the states
//! of all lanes and as many blocks of each as the one nearest to the end of its segment has left; a lane that is done
//! takes the next message, or the last lane's place when there is none.
//!
//! Lanes read each line of the cache once and as a whole; so messages a page apart do not evict each other's lines.
//!
//! **Constant time.** The order of work depends on the count and the lengths of the messages alone; the compression
//! functions are straight lines of additions, rotations and logic, or SHA instructions.

use std::ops::Range;

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::op::Output;

/// Chaining words.
pub(in crate::device) type State = [u32; 8];
/// A block of SHA-256.
pub(super) type HashBlock = [u8; 64];

/// Section 5.3.3.
pub(super) const INITIAL: State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
const BLOCK_LEN: usize = size_of::<HashBlock>();
const DIGEST_LEN: usize = 32;

/// Where a session's messages start from; wiped when dropped.
pub(super) struct Start {
    inner: State,
    /// State after the outer key block, and none for a plain hash.
    outer: Option<State>,
}

impl Start {
    pub(super) fn hash() -> Self {
        Self { inner: INITIAL, outer: None }
    }

    pub(super) fn hmac(key: &[u8]) -> Self {
        let mut block = [0; BLOCK_LEN];
        if key.len() > BLOCK_LEN {
            let mut digest = Sha256::digest(key);
            block[..DIGEST_LEN].copy_from_slice(&digest);
            digest.as_mut_slice().zeroize();
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let keyed = |pad: u8| {
            let mut padded = block.map(|byte| byte ^ pad);
            let mut state = INITIAL;
            compress256(&mut state, &[padded]);
            padded.zeroize();
            state
        };
        let start = Self { inner: keyed(0x36), outer: Some(keyed(0x5c)) };
        block.zeroize();
        start
    }
}

impl Drop for Start {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

/// A message and where its digest goes.
pub(super) struct HashJob<'a> {
    pub(super) start: &'a Start,
    pub(super) text: &'a [u8],
    pub(super) output: &'a mut Output,
}

/// The compression function over several lanes.
pub(super) trait Compress: Copy {
    /// Lanes worth having.
    const LANES: usize;
    /// Takes the first `count` blocks of each lane into its state; every lane has as many.
    fn compress(self, states: &mut [State], blocks: &[&[HashBlock]], count: usize);
}

/// Hashes every job.
#[inline]
pub(super) fn run<'a, C: Compress, const LANES: usize>(
    compress: C,
    mut jobs: impl Iterator<Item = HashJob<'a>>,
) {
    const { assert!(C::LANES == LANES) };
    let mut states = [[0; 8]; LANES];
    let mut lanes = [const { Lane::IDLE }; LANES];
    let mut active = 0;
    while active < LANES {
        let Some(job) = jobs.next() else { break };
        lanes[active].start(job, &mut states[active]);
        active += 1;
    }
    let used = active;
    while active > 0 {
        let mut blocks: [&[HashBlock]; LANES] = [&[]; LANES];
        let mut count = usize::MAX;
        for lane in 0..active {
            blocks[lane] = lanes[lane].blocks();
            count = count.min(blocks[lane].len());
        }
        compress.compress(&mut states[..active], &blocks[..active], count);
        let mut lane = 0;
        while lane < active {
            if !lanes[lane].advance(&mut states[lane], count) {
                lane += 1;
            } else if let Some(job) = jobs.next() {
                lanes[lane].start(job, &mut states[lane]);
                lane += 1;
            } else {
                active -= 1;
                lanes.swap(lane, active);
                states.swap(lane, active);
            }
        }
    }
    states[..used].iter_mut().for_each(Zeroize::zeroize);
}

/// A message on its way.
struct Lane<'a> {
    /// Whole blocks not yet taken.
    text: &'a [HashBlock],
    /// What follows them: the end of the text and its padding, then the digest for the outer hash and its padding.
    tail: [HashBlock; 2],
    /// Blocks of the tail not yet taken.
    rest: Range<usize>,
    /// State to begin the outer hash with, while it has not begun.
    outer: Option<&'a State>,
    output: Option<&'a mut Output>,
}

impl<'a> Lane<'a> {
    const IDLE: Self = Lane { text: &[], tail: [[0; BLOCK_LEN]; 2], rest: 0..0, outer: None, output: None };

    fn start(&mut self, job: HashJob<'a>, state: &mut State) {
        let (text, rest) = job.text.as_chunks();
        (self.text, self.outer, self.output) = (text, job.start.outer.as_ref(), Some(job.output));
        *state = job.start.inner;
        let key_len = if self.outer.is_some() { BLOCK_LEN } else { 0 };
        self.pad(rest, key_len + job.text.len());
    }

    /// Makes the tail of a message of `len` bytes that ends with `rest` (section 5.1.1).
    fn pad(&mut self, rest: &[u8], len: usize) {
        let tail = self.tail.as_flattened_mut();
        let blocks = if rest.len() < BLOCK_LEN - 8 { 1 } else { 2 };
        tail[..rest.len()].copy_from_slice(rest);
        tail[rest.len()] = 0x80;
        tail[rest.len() + 1..blocks * BLOCK_LEN - 8].fill(0);
        tail[blocks * BLOCK_LEN - 8..blocks * BLOCK_LEN].copy_from_slice(&(len as u64 * 8).to_be_bytes());
        self.rest = 0..blocks;
    }

    /// Blocks to take next, never none.
    fn blocks(&self) -> &[HashBlock] {
        if self.text.is_empty() { &self.tail[self.rest.clone()] } else { self.text }
    }

    /// Notes that `count` of those were taken, which made `state`. Whether the job is done.
    fn advance(&mut self, state: &mut State, count: usize) -> bool {
        if !self.text.is_empty() {
            self.text = &self.text[count..];
            return false;
        }
        self.rest.start += count;
        if !self.rest.is_empty() {
            return false;
        }
        let words = state.map(u32::to_be_bytes);
        let digest = words.as_flattened();
        let Some(outer) = self.outer.take() else {
            if let Some(output) = self.output.take() {
                output.set(digest);
            }
            return true;
        };
        self.pad(digest, BLOCK_LEN + DIGEST_LEN);
        *state = *outer;
        false
    }
}

/// One lane after the other, by the `sha2` crate.
#[derive(Clone, Copy, Debug)]
pub(super) struct OneByOne;

impl Compress for OneByOne {
    const LANES: usize = 1;

    fn compress(self, states: &mut [State], blocks: &[&[HashBlock]], count: usize) {
        for (state, blocks) in states.iter_mut().zip(blocks) {
            compress256(state, &blocks[..count]);
        }
    }
}
