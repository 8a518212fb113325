//! Round keys of AES in the order of encryption (FIPS 197 section 5.2).

use zeroize::Zeroize;

use super::vector::Block;

/// Round keys of AES-256, which has the most.
pub(super) const ROUND_KEYS_MAX: usize = 15;

/// The round keys of one key; wiped when dropped.
#[repr(align(64))]
pub(super) struct Schedule {
    keys: [Block; ROUND_KEYS_MAX],
    rounds: usize,
}

impl Schedule {
    /// Expands a key of 16, 24 or 32 bytes; `None` for any other length. `substitute` is SubWord.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        allow(dead_code, reason = "the kernels that need it are not there")
    )]
    pub(super) fn expand(key: &[u8], substitute: impl Fn(u32) -> u32) -> Option<Box<Self>> {
        let rounds = match key.len() {
            16 => 10,
            24 => 12,
            32 => 14,
            _ => return None,
        };
        // On the heap from the start, so that no copy stays on the stack.
        let mut schedule = Box::new(Self { keys: [[0; 16]; ROUND_KEYS_MAX], rounds });
        let words = schedule.keys.as_flattened_mut().as_chunks_mut::<4>().0;
        let (given, _) = key.as_chunks::<4>();
        words[..given.len()].copy_from_slice(given);
        let mut constant = 1u8;
        for index in given.len()..4 * (rounds + 1) {
            let mut word = u32::from_le_bytes(words[index - 1]);
            if index % given.len() == 0 {
                word = substitute(word).rotate_right(8) ^ u32::from(constant);
                constant = if constant == 0x80 { 0x1b } else { constant << 1 };
            } else if given.len() > 6 && index % given.len() == 4 {
                word = substitute(word);
            }
            words[index] = (word ^ u32::from_le_bytes(words[index - given.len()])).to_le_bytes();
        }
        Some(schedule)
    }

    /// Rounds: 10, 12 or 14.
    #[inline(always)]
    pub(super) fn rounds(&self) -> usize {
        self.rounds
    }

    /// The round keys, one more than rounds.
    #[inline(always)]
    pub(super) fn keys(&self) -> &[Block] {
        &self.keys[..=self.rounds]
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.keys.zeroize();
    }
}

/// Most lanes that a kernel interleaves.
pub(super) const LANES_MAX: usize = 32;

/// Round keys of several lanes, transposed: those of one round side by side, lane after lane.
#[repr(align(64))]
pub(super) struct KeyTable {
    pub(super) rows: [[Block; LANES_MAX]; ROUND_KEYS_MAX],
}

impl KeyTable {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self { rows: [[[0; 16]; LANES_MAX]; ROUND_KEYS_MAX] })
    }
}

impl KeyTable {
    /// Forgets what was written for the first `lanes` lanes. The table outlives the call, so that no compiler can leave
    /// this out; it is in words, since a run pays for it.
    #[inline(always)]
    pub(super) fn wipe(&mut self, rounds: usize, lanes: usize) {
        self.rows[..=rounds].iter_mut().for_each(|row| row[..lanes].fill([0; 16]));
    }
}
