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
        let mut pairs = rows;
        for first in [0, 2, 4, 6] {
            pairs[first] = _mm256_unpacklo_epi32(rows[first], rows[first + 1]);
            pairs[first + 1] = _mm256_unpackhi_epi32(rows[first], rows[first + 1]);
        }
        // quads[4 * h + w]: words w and w + 4 of rows 4h to 4h + 3.
        let mut quads = pairs;
        for first in [0, 4] {
            quads[first] = _mm256_unpacklo_epi64(pairs[first], pairs[first + 2]);
            quads[first + 1] = _mm256_unpackhi_epi64(pairs[first], pairs[first + 2]);
            quads[first + 2] = _mm256_unpacklo_epi64(pairs[first + 1], pairs[first + 3]);
            quads[first + 3] = _mm256_unpackhi_epi64(pairs[first + 1], pairs[first + 3]);
        }
        let mut columns = quads;
        for word in 0..4 {
            columns[word] = _mm256_permute2x128_si256::<0x20>(quads[word], quads[word + 4]);
            columns[word + 4] = _mm256_permute2x128_si256::<0x31>(quads[word], quads[word + 4]);
        }
        columns
    }
}

/// The same with sixteen.
#[inline(always)]
unsafe fn transpose_sixteen(rows: [__m512i; 16]) -> [__m512i; 16] {
    safe! {
        let mut pairs = rows;
        for first in [0, 2, 4, 6, 8, 10, 12, 14] {
            pairs[first] = _mm512_unpacklo_epi32(rows[first], rows[first + 1]);
            pairs[first + 1] = _mm512_unpackhi_epi32(rows[first], rows[first + 1]);
        }
        // quads[4 * q + w]: words w, w + 4, w + 8 and w + 12 of rows 4q to 4q + 3.
        let mut quads = pairs;
        for first in [0, 4, 8, 12] {
            quads[first] = _mm512_unpacklo_epi64(pairs[first], pairs[first + 2]);
            quads[first + 1] = _mm512_unpackhi_epi64(pairs[first], pairs[first + 2]);
            quads[first + 2] = _mm512_unpacklo_epi64(pairs[first + 1], pairs[first + 3]);
            quads[first + 3] = _mm512_unpackhi_epi64(pairs[first + 1], pairs[first + 3]);
        }
        let mut columns = quads;
        for word in 0..4 {
            let quarters = [quads[word], quads[word + 4], quads[word + 8], quads[word + 12]];
            let quarters = transpose_quarters(quarters);
            for quarter in 0..4 {
                columns[4 * quarter + word] = quarters[quarter];
            }
        }
        columns
    }
}

/// Quarter `q` of vector `v` becomes quarter `v` of vector `q`.
///
/// # Safety
/// The processor must have AVX-512 F.
#[inline(always)]
pub(super) unsafe fn transpose_quarters([one, two, three, four]: [__m512i; 4]) -> [__m512i; 4] {
    safe! {
        let (front_even, front_odd) =
            (_mm512_shuffle_i32x4::<0x88>(one, two), _mm512_shuffle_i32x4::<0xdd>(one, two));
        let (back_even, back_odd) =
            (_mm512_shuffle_i32x4::<0x88>(three, four), _mm512_shuffle_i32x4::<0xdd>(three, four));
        [
            _mm512_shuffle_i32x4::<0x88>(front_even, back_even),
            _mm512_shuffle_i32x4::<0x88>(front_odd, back_odd),
            _mm512_shuffle_i32x4::<0xdd>(front_even, back_even),
            _mm512_shuffle_i32x4::<0xdd>(front_odd, back_odd),
        ]
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
        safe! {
            let mut rows = [_mm256_setzero_si256(); 8];
            for lane in 0..8 {
                rows[lane] = _mm256_loadu_si256(states[lane].as_ptr().cast());
            }
            transpose(rows)
        }
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
    fn gather_blocks(self, blocks: &[&HashBlock]) -> [__m256i; 16] {
        safe! {
            let reversal = _mm256_broadcastsi128_si256(reversal());
            let mut words = [_mm256_setzero_si256(); 16];
            for half in 0..2 {
                let mut rows = [_mm256_setzero_si256(); 8];
                for lane in 0..8 {
                    let part = blocks[lane][half * 32..][..32].as_ptr().cast();
                    rows[lane] = _mm256_shuffle_epi8(_mm256_loadu_si256(part), reversal);
                }
                words[half * 8..][..8].copy_from_slice(&transpose(rows));
            }
            words
        }
    }
}

/// The bytes of each word from the last to the first.
#[inline(always)]
fn reversal() -> __m128i {
    // SAFETY: SSE2, which every x86-64 has.
    unsafe { _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203) }
}

/// Lanes 0 to 7 and lanes 8 to 15 of eight words.
#[inline(always)]
unsafe fn join(low: [__m256i; 8], high: [__m256i; 8]) -> [__m512i; 8] {
    safe! {
        let mut words = [_mm512_setzero_si512(); 8];
        for word in 0..8 {
            words[word] = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low[word]), high[word]);
        }
        words
    }
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
        safe!(_mm512_ror_epi32::<RIGHT>(word))
    }

    #[inline(always)]
    fn gather_states(self, states: &[State]) -> [__m512i; 8] {
        let (low, high) = states.split_at(Avx2::LANES);
        safe!(join(self.0.gather_states(low), self.0.gather_states(high)))
    }

    #[inline(always)]
    fn scatter_states(self, words: [__m512i; 8], states: &mut [State]) {
        let (low, high) = states.split_at_mut(Avx2::LANES);
        safe! {
            let mut halves = [[_mm256_setzero_si256(); 8]; 2];
            for word in 0..8 {
                halves[0][word] = _mm512_castsi512_si256(words[word]);
                halves[1][word] = _mm512_extracti64x4_epi64::<1>(words[word]);
            }
            self.0.scatter_states(halves[0], low);
            self.0.scatter_states(halves[1], high);
        }
    }

    #[inline(always)]
    fn gather_blocks(self, blocks: &[&HashBlock]) -> [__m512i; 16] {
        safe! {
            let reversal = _mm512_broadcast_i32x4(reversal());
            let mut rows = [_mm512_setzero_si512(); 16];
            for lane in 0..16 {
                let block = _mm512_loadu_si512(blocks[lane].as_ptr().cast());
                rows[lane] = _mm512_shuffle_epi8(block, reversal);
            }
            transpose_sixteen(rows)
        }
    }
}
