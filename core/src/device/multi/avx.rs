//! AVX2 and AVX-512 on 32-bit words: eight and sixteen lanes of SHA-256.

#![allow(
    unsafe_code,
    reason = "instructions that not every processor has; the values here prove that it does; every vector test"
)]

use std::arch::x86_64::*;
use std::array;

use super::hash::{Compress, HashBlock, State};
use super::wide::{self, Words};

/// Proof of AVX2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(());

/// Proof of AVX-512 F and BW, and of AVX2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512(Avx2);

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        Avx2::detect().filter(|_| found).map(Self)
    }
}

/// A vector's lanes when most are in use, and `few` else, which takes time for each lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct ManyOrFew<M, F> {
    pub(super) many: M,
    pub(super) few: F,
    /// Lanes from which on the vector is faster.
    pub(super) many_min: usize,
}

impl<F: Compress> Compress for ManyOrFew<Avx2, F> {
    const LANES: usize = 8;

    fn compress(self, states: &mut [State], blocks: &[&[HashBlock]], count: usize) {
        #[target_feature(enable = "avx2")]
        fn eight(vector: Avx2, states: &mut [State; 8], blocks: &[&[HashBlock]; 8], count: usize) {
            wide::compress(vector, states, blocks, count);
        }
        if states.len() < self.many_min {
            return self.few.compress(states, blocks, count);
        }
        // SAFETY: `many` proves the features.
        filled(states, blocks, |states, blocks| unsafe { eight(self.many, states, blocks, count) });
    }
}

impl<F: Compress> Compress for ManyOrFew<Avx512, F> {
    const LANES: usize = 16;

    fn compress(self, states: &mut [State], blocks: &[&[HashBlock]], count: usize) {
        #[target_feature(enable = "avx512f,avx512bw,avx2")]
        fn sixteen(vector: Avx512, states: &mut [State; 16], blocks: &[&[HashBlock]; 16], count: usize) {
            wide::compress(vector, states, blocks, count);
        }
        if states.len() < self.many_min {
            return self.few.compress(states, blocks, count);
        }
        // SAFETY: `many` proves the features.
        filled(states, blocks, |states, blocks| unsafe { sixteen(self.many, states, blocks, count) });
    }
}

/// Lanes that are not in use read what the first one reads; their states go nowhere.
fn filled<const LANES: usize>(
    states: &mut [State],
    blocks: &[&[HashBlock]],
    compress: impl FnOnce(&mut [State; LANES], &[&[HashBlock]; LANES]),
) {
    let mut all = [[0; 8]; LANES];
    all[..states.len()].copy_from_slice(states);
    let blocks = array::from_fn(|lane| *blocks.get(lane).unwrap_or(&blocks[0]));
    compress(&mut all, &blocks);
    states.copy_from_slice(&all[..states.len()]);
}

macro_rules! safe {
    ($($call:tt)*) => {
        // SAFETY: `self` proves the instruction; pointers come from references of the right size.
        unsafe { $($call)* }
    };
}

/// Rows to columns: word `w` of row `r` becomes word `r` of column `w`.
#[inline(always)]
unsafe fn transpose(rows: [__m256i; 8]) -> [__m256i; 8] {
    safe! {
        let pairs: [__m256i; 8] = array::from_fn(|index| {
            let (one, other) = (rows[index / 2 * 2], rows[index / 2 * 2 + 1]);
            if index % 2 == 0 { _mm256_unpacklo_epi32(one, other) } else { _mm256_unpackhi_epi32(one, other) }
        });
        // quads[4 * h + w]: words w and w + 4 of rows 4h to 4h + 3.
        let quads: [__m256i; 8] = array::from_fn(|index| {
            let (half, word) = (index / 4 * 4, index % 4);
            let (one, other) = (pairs[half + word / 2], pairs[half + word / 2 + 2]);
            if word % 2 == 0 { _mm256_unpacklo_epi64(one, other) } else { _mm256_unpackhi_epi64(one, other) }
        });
        array::from_fn(|word| {
            let (one, other) = (quads[word % 4], quads[word % 4 + 4]);
            if word < 4 {
                _mm256_permute2x128_si256::<0x20>(one, other)
            } else {
                _mm256_permute2x128_si256::<0x31>(one, other)
            }
        })
    }
}

impl Words for Avx2 {
    type Word = __m256i;
    const LANES: usize = 8;

    #[inline(always)]
    fn broadcast(self, word: u32) -> __m256i {
        safe!(_mm256_set1_epi32(word.cast_signed()))
    }

    #[inline(always)]
    fn add(self, one: __m256i, other: __m256i) -> __m256i {
        safe!(_mm256_add_epi32(one, other))
    }

    #[inline(always)]
    fn xor3(self, one: __m256i, two: __m256i, three: __m256i) -> __m256i {
        safe!(_mm256_xor_si256(_mm256_xor_si256(one, two), three))
    }

    #[inline(always)]
    fn choose(self, mask: __m256i, yes: __m256i, no: __m256i) -> __m256i {
        safe!(_mm256_xor_si256(_mm256_and_si256(_mm256_xor_si256(yes, no), mask), no))
    }

    #[inline(always)]
    fn majority(self, one: __m256i, two: __m256i, three: __m256i) -> __m256i {
        safe!(_mm256_or_si256(_mm256_and_si256(one, two), _mm256_and_si256(_mm256_or_si256(one, two), three)))
    }

    #[inline(always)]
    fn shift<const RIGHT: i32>(self, word: __m256i) -> __m256i {
        safe!(_mm256_srli_epi32::<RIGHT>(word))
    }

    #[inline(always)]
    fn rotate<const RIGHT: i32, const LEFT: i32>(self, word: __m256i) -> __m256i {
        safe!(_mm256_or_si256(_mm256_srli_epi32::<RIGHT>(word), _mm256_slli_epi32::<LEFT>(word)))
    }

    #[inline(always)]
    fn gather_states(self, states: &[State]) -> [__m256i; 8] {
        safe!(transpose(array::from_fn(|lane| _mm256_loadu_si256(states[lane].as_ptr().cast()))))
    }

    #[inline(always)]
    fn scatter_states(self, words: [__m256i; 8], states: &mut [State]) {
        safe! {
            for (state, row) in states.iter_mut().zip(transpose(words)) {
                _mm256_storeu_si256(state.as_mut_ptr().cast(), row);
            }
        }
    }

    #[inline(always)]
    fn gather_blocks(self, blocks: &[&HashBlock], half: usize) -> [__m256i; 8] {
        let part = |lane: usize| blocks[lane][half * 32..][..32].as_ptr().cast();
        safe! {
            let reversal = _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203));
            transpose(array::from_fn(|lane| _mm256_shuffle_epi8(_mm256_loadu_si256(part(lane)), reversal)))
        }
    }
}

/// Lanes 0 to 7 and lanes 8 to 15 of eight words.
#[inline(always)]
unsafe fn join(low: [__m256i; 8], high: [__m256i; 8]) -> [__m512i; 8] {
    safe!(array::from_fn(|word| _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low[word]), high[word])))
}

impl Words for Avx512 {
    type Word = __m512i;
    const LANES: usize = 16;

    #[inline(always)]
    fn broadcast(self, word: u32) -> __m512i {
        safe!(_mm512_set1_epi32(word.cast_signed()))
    }

    #[inline(always)]
    fn add(self, one: __m512i, other: __m512i) -> __m512i {
        safe!(_mm512_add_epi32(one, other))
    }

    #[inline(always)]
    fn xor3(self, one: __m512i, two: __m512i, three: __m512i) -> __m512i {
        safe!(_mm512_ternarylogic_epi32::<0x96>(one, two, three))
    }

    #[inline(always)]
    fn choose(self, mask: __m512i, yes: __m512i, no: __m512i) -> __m512i {
        safe!(_mm512_ternarylogic_epi32::<0xca>(mask, yes, no))
    }

    #[inline(always)]
    fn majority(self, one: __m512i, two: __m512i, three: __m512i) -> __m512i {
        safe!(_mm512_ternarylogic_epi32::<0xe8>(one, two, three))
    }

    #[inline(always)]
    fn shift<const RIGHT: i32>(self, word: __m512i) -> __m512i {
        safe!(_mm512_srlv_epi32(word, _mm512_set1_epi32(RIGHT)))
    }

    #[inline(always)]
    fn rotate<const RIGHT: i32, const LEFT: i32>(self, word: __m512i) -> __m512i {
        safe!(_mm512_rorv_epi32(word, _mm512_set1_epi32(RIGHT)))
    }

    #[inline(always)]
    fn gather_states(self, states: &[State]) -> [__m512i; 8] {
        let (low, high) = states.split_at(Avx2::LANES);
        safe!(join(self.0.gather_states(low), self.0.gather_states(high)))
    }

    #[inline(always)]
    fn scatter_states(self, words: [__m512i; 8], states: &mut [State]) {
        let (low, high) = states.split_at_mut(Avx2::LANES);
        self.0.scatter_states(words.map(|word| safe!(_mm512_castsi512_si256(word))), low);
        self.0.scatter_states(words.map(|word| safe!(_mm512_extracti64x4_epi64::<1>(word))), high);
    }

    #[inline(always)]
    fn gather_blocks(self, blocks: &[&HashBlock], half: usize) -> [__m512i; 8] {
        let (low, high) = blocks.split_at(Avx2::LANES);
        safe!(join(self.0.gather_blocks(low, half), self.0.gather_blocks(high, half)))
    }
}
