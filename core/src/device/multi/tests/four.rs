//! What is written for vectors of any width, with four blocks in a vector, on processors whose vectors hold two: each is a
//! pair. The instructions of 512 bits themselves are tested where they are.

use std::arch::x86_64::__m256i;

use super::super::parallel;
use super::super::vaes::Vaes256;
use super::super::vector::Vector;
use super::*;

#[derive(Clone, Copy)]
struct Pair(Vaes256);

impl Vector for Pair {
    type Blocks = [__m256i; 2];
    const BLOCKS: usize = 4;

    fn load(self, from: &[Block]) -> Self::Blocks {
        [self.0.load(from), self.0.load(&from[2..])]
    }

    fn store(self, blocks: Self::Blocks, to: &mut [Block]) {
        self.0.store(blocks[0], to);
        self.0.store(blocks[1], &mut to[2..]);
    }

    fn store_first(self, blocks: Self::Blocks, to: &mut Block) {
        self.0.store_first(blocks[0], to);
    }

    fn broadcast(self, block: &Block) -> Self::Blocks {
        [self.0.broadcast(block); 2]
    }

    fn xor(self, one: Self::Blocks, other: Self::Blocks) -> Self::Blocks {
        [self.0.xor(one[0], other[0]), self.0.xor(one[1], other[1])]
    }

    fn round(self, blocks: Self::Blocks, key: Self::Blocks) -> Self::Blocks {
        [self.0.round(blocks[0], key[0]), self.0.round(blocks[1], key[1])]
    }

    fn last_round(self, blocks: Self::Blocks, key: Self::Blocks) -> Self::Blocks {
        [self.0.last_round(blocks[0], key[0]), self.0.last_round(blocks[1], key[1])]
    }

    fn inverse_round(self, blocks: Self::Blocks, key: Self::Blocks) -> Self::Blocks {
        [self.0.inverse_round(blocks[0], key[0]), self.0.inverse_round(blocks[1], key[1])]
    }

    fn last_inverse_round(self, blocks: Self::Blocks, key: Self::Blocks) -> Self::Blocks {
        [self.0.last_inverse_round(blocks[0], key[0]), self.0.last_inverse_round(blocks[1], key[1])]
    }

    fn behind(self, before: Self::Blocks, blocks: Self::Blocks) -> Self::Blocks {
        [self.0.behind(before[1], blocks[0]), self.0.behind(blocks[0], blocks[1])]
    }

    fn counters(self, first: &Block) -> Self::Blocks {
        let low = self.0.counters(first);
        [low, self.0.advance(low, 2)]
    }

    fn advance(self, counters: Self::Blocks, distance: u64) -> Self::Blocks {
        counters.map(|counters| self.0.advance(counters, distance))
    }

    fn big_endian(self, counters: Self::Blocks) -> Self::Blocks {
        counters.map(|counters| self.0.big_endian(counters))
    }
}

#[test]
fn groups_of_four_blocks_are_taken_and_their_rest_left_alone() {
    let Some(vector) = Vaes256::detect() else { return };
    let pair = Pair(vector);
    for len in (0..=40).map(|blocks| blocks * 16).chain([1_008, 1_024, 1_040]) {
        let cases: Vec<Case> = (0..KEYS).map(|key| Case { key, iv: [key as u8 + 3; 16], len }).collect();
        let right = |algorithm, kind, cases: &[Case]| -> Vec<Vec<u8>> {
            cases.iter().map(|case| expected(algorithm, kind, case)).collect()
        };
        let schedule = |key: &[u8]| vector.inverse_schedule(key);
        let made = by_kernel(Algorithm::Aes256Cbc, &cases, Layout::Apart, schedule, |jobs| {
            parallel::apply::<CbcDecrypt, _, 32, 14>(pair, jobs);
        });
        assert!(made == right(Algorithm::Aes256Cbc, OpKind::Decrypt, &cases), "cbc, {len}");

        let cases: Vec<Case> = (0..16).map(|more| Case { key: 1, iv: [9; 16], len: len + more }).collect();
        let schedule = |key: &[u8]| vector.schedule(key);
        let made = by_kernel(Algorithm::Aes128Ctr, &cases, Layout::Apart, schedule, |jobs| {
            parallel::apply::<Ctr, _, 32, 10>(pair, jobs);
        });
        assert!(made == right(Algorithm::Aes128Ctr, OpKind::Encrypt, &cases), "ctr, {len}");
    }
}
