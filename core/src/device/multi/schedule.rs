//! Round keys of AES (FIPS 197 section 5.2), and those of the equivalent inverse cipher (section 5.3.5).

use zeroize::Zeroize;

use super::vector::Block;

/// Round keys of AES-256, which has the most, and one that is not used: they are fetched by fours at most.
pub(super) const ROUND_KEYS_MAX: usize = 16;
/// Round keys that are put into a [`KeyTable`] together, and of which it has a multiple for each key.
pub(super) const KEYS_AT_ONCE: usize = 4;

/// Rounds of AES, by the length of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounds {
    /// 16 bytes.
    Ten = 10,
    /// 24 bytes.
    Twelve = 12,
    /// 32 bytes.
    Fourteen = 14,
}

impl Rounds {
    pub(super) fn of(key_len: usize) -> Option<Self> {
        match key_len {
            16 => Some(Self::Ten),
            24 => Some(Self::Twelve),
            32 => Some(Self::Fourteen),
            _ => None,
        }
    }
}

/// The round keys of one key; wiped when dropped.
#[repr(align(64))]
pub(super) struct Schedule {
    keys: [Block; ROUND_KEYS_MAX],
}

impl Schedule {
    /// Expands a key of 16, 24 or 32 bytes; `None` for any other length. `substitute` is SubWord.
    pub(super) fn expand(key: &[u8], substitute: impl Fn(u32) -> u32) -> Option<Box<Self>> {
        let rounds = Rounds::of(key.len())?;
        // On the heap from the start, so that no copy stays on the stack.
        let mut schedule = Box::new(Self { keys: [[0; 16]; ROUND_KEYS_MAX] });
        let words = schedule.keys.as_flattened_mut().as_chunks_mut::<4>().0;
        let (given, _) = key.as_chunks::<4>();
        words[..given.len()].copy_from_slice(given);
        let mut constant = 1u8;
        for index in given.len()..4 * (rounds as usize + 1) {
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

    /// The keys of the equivalent inverse cipher, in the order of decryption. `mix` is InvMixColumns.
    pub(super) fn inverse(&self, rounds: Rounds, mix: impl Fn(&mut Block)) -> Box<Self> {
        let mut inverse = Box::new(Self { keys: [[0; 16]; ROUND_KEYS_MAX] });
        let last = rounds as usize;
        for (round, key) in inverse.keys[..=last].iter_mut().enumerate() {
            key.copy_from_slice(&self.keys[last - round]);
            if round != 0 && round != last {
                mix(key);
            }
        }
        inverse
    }

    /// One of the round keys.
    #[inline(always)]
    pub(super) fn key(&self, round: usize) -> &Block {
        &self.keys[round]
    }

    /// Round keys `SIZE * place` and those after it.
    #[inline(always)]
    pub(super) fn chunk<const SIZE: usize>(&self, place: usize) -> &[Block; SIZE] {
        &self.keys.as_chunks().0[place]
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

    /// The rows in use for so many rounds.
    #[inline(always)]
    pub(super) fn rows_of(&mut self, rounds: usize) -> &mut [[Block; LANES_MAX]] {
        &mut self.rows[..(rounds + 1).next_multiple_of(KEYS_AT_ONCE)]
    }

    /// Forgets what was written for the first `lanes` lanes. The table outlives the call, so that no compiler can leave
    /// this out; it is in words, since a run pays for it.
    #[inline(always)]
    pub(super) fn wipe(&mut self, rounds: usize, lanes: usize) {
        self.rows_of(rounds).iter_mut().for_each(|row| row[..lanes].fill([0; 16]));
    }
}
