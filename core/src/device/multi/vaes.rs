//! VAES: AES instructions on vectors of 256 and 512 bits.
//!
//! The values [`Vaes256`] and [`Vaes512`] exist only where detection has found the instructions, which is what makes
//! calling them sound. Aes, shuffle, addition and exclusive-or instructions take the same time whatever the data.

#![allow(
    unsafe_code,
    reason = "instructions that not every processor has; the values here prove that it does; every vector test"
)]

use std::arch::x86_64::*;

use super::avx::transpose_quarters;
use super::lanes::Gather;
use super::parallel::{self, Mode};
use super::schedule::{KEYS_AT_ONCE, KeyTable, LANES_MAX, Rounds, Schedule};
use super::vector::{Block, Vector};
use super::{Job, cbc};

/// Proof of AVX2 and VAES.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vaes256(());

/// Proof of AVX-512 F, BW and VL, and VAES.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vaes512(());

impl Vaes256 {
    /// Expands a key of 16, 24 or 32 bytes.
    pub(super) fn schedule(self, key: &[u8]) -> Option<Box<Schedule>> {
        // SAFETY: detection found AES too.
        unsafe { schedule(key) }
    }

    /// Expands a key for decryption.
    pub(super) fn inverse_schedule(self, key: &[u8]) -> Option<Box<Schedule>> {
        // SAFETY: detection found AES too.
        unsafe { inverse_schedule(key) }
    }

    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("vaes")
            && is_x86_feature_detected!("aes");
        found.then_some(Self(()))
    }

    /// Encrypts the jobs, sixteen at a time: eight vectors of two lanes keep two units of four cycles' latency busy.
    pub(super) fn cbc_encrypt<'a>(
        self,
        rounds: Rounds,
        jobs: impl Iterator<Item = Job<'a, Schedule>>,
        table: &mut KeyTable,
    ) {
        #[target_feature(enable = "avx2,vaes,aes")]
        fn encrypt<'a, const ROUNDS: usize>(
            vector: Vaes256,
            jobs: impl Iterator<Item = Job<'a, Schedule>>,
            table: &mut KeyTable,
        ) {
            cbc::encrypt::<_, 8, 16, ROUNDS>(vector, jobs, table);
        }
        // SAFETY: `self` proves the features.
        unsafe {
            match rounds {
                Rounds::Ten => encrypt::<10>(self, jobs, table),
                Rounds::Twelve => encrypt::<12>(self, jobs, table),
                Rounds::Fourteen => encrypt::<14>(self, jobs, table),
            }
        }
    }

    /// Carries out the jobs, whose keys are those of the mode.
    pub(super) fn parallel<'a, M: Mode>(self, rounds: Rounds, jobs: impl Iterator<Item = Job<'a, Schedule>>) {
        #[target_feature(enable = "avx2,vaes,aes")]
        fn apply<'a, M: Mode, const ROUNDS: usize>(
            vector: Vaes256,
            jobs: impl Iterator<Item = Job<'a, Schedule>>,
        ) {
            parallel::apply::<M, _, 16, ROUNDS>(vector, jobs);
        }
        // SAFETY: `self` proves the features.
        unsafe {
            match rounds {
                Rounds::Ten => apply::<M, 10>(self, jobs),
                Rounds::Twelve => apply::<M, 12>(self, jobs),
                Rounds::Fourteen => apply::<M, 14>(self, jobs),
            }
        }
    }
}

impl Vaes512 {
    /// Expands a key of 16, 24 or 32 bytes.
    pub(super) fn schedule(self, key: &[u8]) -> Option<Box<Schedule>> {
        // SAFETY: detection found AES too.
        unsafe { schedule(key) }
    }

    /// Expands a key for decryption.
    pub(super) fn inverse_schedule(self, key: &[u8]) -> Option<Box<Schedule>> {
        // SAFETY: detection found AES too.
        unsafe { inverse_schedule(key) }
    }

    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("vaes")
            && is_x86_feature_detected!("aes");
        found.then_some(Self(()))
    }

    /// Encrypts the jobs, `count` in all if they are few: four vectors of four lanes up to sixteen, else eight.
    pub(super) fn cbc_encrypt<'a>(
        self,
        rounds: Rounds,
        jobs: impl Iterator<Item = Job<'a, Schedule>>,
        table: &mut KeyTable,
        count: usize,
    ) {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,aes")]
        fn encrypt<'a, const VECTORS: usize, const LANES: usize, const ROUNDS: usize>(
            vector: Vaes512,
            jobs: impl Iterator<Item = Job<'a, Schedule>>,
            table: &mut KeyTable,
        ) {
            cbc::encrypt::<_, VECTORS, LANES, ROUNDS>(vector, jobs, table);
        }
        // SAFETY: `self` proves the features.
        unsafe {
            match (rounds, count > 16) {
                (Rounds::Ten, false) => encrypt::<4, 16, 10>(self, jobs, table),
                (Rounds::Twelve, false) => encrypt::<4, 16, 12>(self, jobs, table),
                (Rounds::Fourteen, false) => encrypt::<4, 16, 14>(self, jobs, table),
                (Rounds::Ten, true) => encrypt::<8, 32, 10>(self, jobs, table),
                (Rounds::Twelve, true) => encrypt::<8, 32, 12>(self, jobs, table),
                (Rounds::Fourteen, true) => encrypt::<8, 32, 14>(self, jobs, table),
            }
        }
    }

    /// Carries out the jobs, whose keys are those of the mode.
    pub(super) fn parallel<'a, M: Mode>(self, rounds: Rounds, jobs: impl Iterator<Item = Job<'a, Schedule>>) {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,aes")]
        fn apply<'a, M: Mode, const ROUNDS: usize>(
            vector: Vaes512,
            jobs: impl Iterator<Item = Job<'a, Schedule>>,
        ) {
            parallel::apply::<M, _, 32, ROUNDS>(vector, jobs);
        }
        // SAFETY: `self` proves the features.
        unsafe {
            match rounds {
                Rounds::Ten => apply::<M, 10>(self, jobs),
                Rounds::Twelve => apply::<M, 12>(self, jobs),
                Rounds::Fourteen => apply::<M, 14>(self, jobs),
            }
        }
    }
}

/// Expands a key; AES instructions alone look anything up.
///
/// # Safety
/// The processor must have AES instructions.
unsafe fn schedule(key: &[u8]) -> Option<Box<Schedule>> {
    #[target_feature(enable = "aes")]
    fn substitute(word: u32) -> u32 {
        // With round constant 0 the lowest word of the result is SubWord of the second word.
        _mm_cvtsi128_si32(_mm_aeskeygenassist_si128::<0>(_mm_set1_epi32(word.cast_signed()))).cast_unsigned()
    }
    // SAFETY: the caller's duty.
    Schedule::expand(key, |word| unsafe { substitute(word) })
}

/// Expands a key for decryption.
///
/// # Safety
/// The processor must have AES instructions.
unsafe fn inverse_schedule(key: &[u8]) -> Option<Box<Schedule>> {
    #[target_feature(enable = "aes")]
    fn mix(block: &mut Block) {
        // SAFETY: sixteen bytes.
        unsafe {
            let mixed = _mm_aesimc_si128(_mm_loadu_si128(block.as_ptr().cast()));
            _mm_storeu_si128(block.as_mut_ptr().cast(), mixed);
        }
    }
    // SAFETY: the caller's duty.
    let forward = unsafe { schedule(key) }?;
    // SAFETY: the caller's duty.
    Some(forward.inverse(Rounds::of(key.len())?, |block| unsafe { mix(block) }))
}

macro_rules! safe {
    ($($call:tt)*) => {
        // SAFETY: `self` proves the instruction; pointers, where there are any, come from slices just measured, or
        // are the caller's duty.
        unsafe { $($call)* }
    };
}

impl Gather for Vaes256 {
    #[inline(always)]
    unsafe fn gather(self, from: &[*mut Block], step: usize) -> __m256i {
        safe!(_mm256_loadu2_m128i(from[1].add(step).cast(), from[0].add(step).cast()))
    }

    #[inline(always)]
    unsafe fn scatter(self, blocks: __m256i, to: &[*mut Block], step: usize) {
        safe!(_mm256_storeu2_m128i(to[1].add(step).cast(), to[0].add(step).cast(), blocks))
    }

    #[inline(always)]
    fn collect(self, blocks: &[Block]) -> __m256i {
        let at = |lane: usize| blocks[lane].as_ptr().cast();
        safe!(_mm256_loadu2_m128i(at(1), at(0)))
    }

    #[inline(always)]
    fn list_keys(self, schedules: &[&Schedule], rows: &mut [[Block; LANES_MAX]], first: usize) {
        let (one, other) = (schedules[0], schedules[1]);
        for (place, rows) in rows.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            // Both keys of a lane by one load: what is loaded by halves is stored by halves, at half the rate.
            let (one, other) = (self.load(one.chunk::<2>(place)), self.load(other.chunk::<2>(place)));
            let (front, back) = safe!((
                _mm256_permute2x128_si256::<0x20>(one, other),
                _mm256_permute2x128_si256::<0x31>(one, other)
            ));
            self.store(front, &mut rows[0][first..]);
            self.store(back, &mut rows[1][first..]);
        }
    }
}

impl Vector for Vaes256 {
    type Blocks = __m256i;
    const BLOCKS: usize = 2;

    #[inline(always)]
    fn load(self, from: &[Block]) -> __m256i {
        safe!(_mm256_loadu_si256(from[..2].as_ptr().cast()))
    }

    #[inline(always)]
    fn store(self, blocks: __m256i, to: &mut [Block]) {
        safe!(_mm256_storeu_si256(to[..2].as_mut_ptr().cast(), blocks))
    }

    #[inline(always)]
    fn store_first(self, blocks: __m256i, to: &mut Block) {
        safe!(_mm_storeu_si128(to.as_mut_ptr().cast(), _mm256_castsi256_si128(blocks)))
    }

    #[inline(always)]
    fn broadcast(self, block: &Block) -> __m256i {
        safe!(_mm256_broadcastsi128_si256(_mm_loadu_si128(block.as_ptr().cast())))
    }

    #[inline(always)]
    fn xor(self, one: __m256i, other: __m256i) -> __m256i {
        safe!(_mm256_xor_si256(one, other))
    }

    #[inline(always)]
    fn round(self, blocks: __m256i, key: __m256i) -> __m256i {
        safe!(_mm256_aesenc_epi128(blocks, key))
    }

    #[inline(always)]
    fn last_round(self, blocks: __m256i, key: __m256i) -> __m256i {
        safe!(_mm256_aesenclast_epi128(blocks, key))
    }

    #[inline(always)]
    fn inverse_round(self, blocks: __m256i, key: __m256i) -> __m256i {
        safe!(_mm256_aesdec_epi128(blocks, key))
    }

    #[inline(always)]
    fn last_inverse_round(self, blocks: __m256i, key: __m256i) -> __m256i {
        safe!(_mm256_aesdeclast_epi128(blocks, key))
    }

    #[inline(always)]
    fn behind(self, before: __m256i, blocks: __m256i) -> __m256i {
        safe!(_mm256_permute2x128_si256::<0x21>(before, blocks))
    }

    #[inline(always)]
    fn counters(self, first: &Block) -> __m256i {
        let first = self.big_endian(self.broadcast(first));
        safe!(_mm256_add_epi64(first, _mm256_set_epi64x(0, 1, 0, 0)))
    }

    #[inline(always)]
    fn advance(self, counters: __m256i, distance: u64) -> __m256i {
        let distance = distance.cast_signed();
        safe!(_mm256_add_epi64(counters, _mm256_set_epi64x(0, distance, 0, distance)))
    }

    #[inline(always)]
    fn big_endian(self, counters: __m256i) -> __m256i {
        safe!(_mm256_shuffle_epi8(counters, _mm256_broadcastsi128_si256(reversal())))
    }
}

/// The bytes of a block from the last to the first.
#[inline(always)]
fn reversal() -> __m128i {
    // SAFETY: SSE2, which every x86-64 has.
    unsafe { _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) }
}

impl Gather for Vaes512 {
    #[inline(always)]
    unsafe fn gather(self, from: &[*mut Block], step: usize) -> __m512i {
        let at = |lane: usize| safe!(from[lane].add(step).cast());
        safe!(join(_mm256_loadu2_m128i(at(1), at(0)), _mm256_loadu2_m128i(at(3), at(2))))
    }

    #[inline(always)]
    unsafe fn scatter(self, blocks: __m512i, to: &[*mut Block], step: usize) {
        let at = |lane: usize| safe!(to[lane].add(step).cast());
        safe!(_mm256_storeu2_m128i(at(1), at(0), _mm512_castsi512_si256(blocks)));
        safe!(_mm256_storeu2_m128i(at(3), at(2), _mm512_extracti64x4_epi64::<1>(blocks)));
    }

    #[inline(always)]
    fn collect(self, blocks: &[Block]) -> __m512i {
        let at = |lane: usize| blocks[lane].as_ptr().cast();
        safe!(join(_mm256_loadu2_m128i(at(1), at(0)), _mm256_loadu2_m128i(at(3), at(2))))
    }

    #[inline(always)]
    fn list_keys(self, schedules: &[&Schedule], rows: &mut [[Block; LANES_MAX]], first: usize) {
        for (place, rows) in rows.as_chunks_mut::<KEYS_AT_ONCE>().0.iter_mut().enumerate() {
            let mut keys = [self.load(schedules[0].chunk::<KEYS_AT_ONCE>(place)); 4];
            for lane in 1..4 {
                keys[lane] = self.load(schedules[lane].chunk::<KEYS_AT_ONCE>(place));
            }
            let keys = safe!(transpose_quarters(keys));
            for (row, keys) in rows.iter_mut().zip(keys) {
                self.store(keys, &mut row[first..]);
            }
        }
    }
}

impl Vector for Vaes512 {
    type Blocks = __m512i;
    const BLOCKS: usize = 4;

    #[inline(always)]
    fn load(self, from: &[Block]) -> __m512i {
        safe!(_mm512_loadu_si512(from[..4].as_ptr().cast()))
    }

    #[inline(always)]
    fn store(self, blocks: __m512i, to: &mut [Block]) {
        safe!(_mm512_storeu_si512(to[..4].as_mut_ptr().cast(), blocks))
    }

    #[inline(always)]
    fn store_first(self, blocks: __m512i, to: &mut Block) {
        safe!(_mm_storeu_si128(to.as_mut_ptr().cast(), _mm512_castsi512_si128(blocks)))
    }

    #[inline(always)]
    fn broadcast(self, block: &Block) -> __m512i {
        safe!(_mm512_broadcast_i32x4(_mm_loadu_si128(block.as_ptr().cast())))
    }

    #[inline(always)]
    fn xor(self, one: __m512i, other: __m512i) -> __m512i {
        safe!(_mm512_xor_si512(one, other))
    }

    #[inline(always)]
    fn round(self, blocks: __m512i, key: __m512i) -> __m512i {
        safe!(_mm512_aesenc_epi128(blocks, key))
    }

    #[inline(always)]
    fn last_round(self, blocks: __m512i, key: __m512i) -> __m512i {
        safe!(_mm512_aesenclast_epi128(blocks, key))
    }

    #[inline(always)]
    fn inverse_round(self, blocks: __m512i, key: __m512i) -> __m512i {
        safe!(_mm512_aesdec_epi128(blocks, key))
    }

    #[inline(always)]
    fn last_inverse_round(self, blocks: __m512i, key: __m512i) -> __m512i {
        safe!(_mm512_aesdeclast_epi128(blocks, key))
    }

    #[inline(always)]
    fn behind(self, before: __m512i, blocks: __m512i) -> __m512i {
        safe!(_mm512_alignr_epi64::<6>(blocks, before))
    }

    #[inline(always)]
    fn counters(self, first: &Block) -> __m512i {
        let first = self.big_endian(self.broadcast(first));
        safe!(_mm512_add_epi64(first, _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0)))
    }

    #[inline(always)]
    fn advance(self, counters: __m512i, distance: u64) -> __m512i {
        let by = distance.cast_signed();
        safe!(_mm512_add_epi64(counters, _mm512_set_epi64(0, by, 0, by, 0, by, 0, by)))
    }

    #[inline(always)]
    fn big_endian(self, counters: __m512i) -> __m512i {
        safe!(_mm512_shuffle_epi8(counters, _mm512_broadcast_i32x4(reversal())))
    }
}

#[inline(always)]
unsafe fn join(low: __m256i, high: __m256i) -> __m512i {
    safe!(_mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high))
}
