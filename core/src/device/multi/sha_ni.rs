//! SHA-NI: the compression function of one to four messages, interleaved.
//!
//! The two rounds of an instruction wait for the two before them, four cycles each; messages side by side fill the
//! time. **Constant time:** a straight line of SHA, shuffle and addition instructions.

#![allow(
    unsafe_code,
    reason = "instructions that not every processor has; the value here proves that it does; every vector test"
)]

use std::arch::x86_64::*;
use std::array;

use super::hash::{Compress, HashBlock, State};
use super::wide::ROUND_CONSTANTS;

/// Proof of SHA-NI.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShaNi(());

impl ShaNi {
    pub(super) fn detect() -> Option<Self> {
        // AVX for instructions with three operands: without them half the time goes into copies.
        let found = is_x86_feature_detected!("sha") && is_x86_feature_detected!("avx");
        found.then_some(Self(()))
    }
}

impl Compress for ShaNi {
    const LANES: usize = 4;

    fn compress(self, states: &mut [State], blocks: &[&[HashBlock]], count: usize) {
        for (states, blocks) in states.chunks_mut(Self::LANES).zip(blocks.chunks(Self::LANES)) {
            // SAFETY: `self` proves the features.
            unsafe {
                match states.len() {
                    1 => interleaved::<1>(states, blocks, count),
                    2 => interleaved::<2>(states, blocks, count),
                    3 => interleaved::<3>(states, blocks, count),
                    _ => interleaved::<4>(states, blocks, count),
                }
            }
        }
    }
}

/// A state as the instructions want it: words a, b, e, f and words c, d, g, h.
type Halves = (__m128i, __m128i);

#[inline]
#[target_feature(enable = "sha,avx")]
fn halves(state: &State) -> Halves {
    let (low, high) = state.split_at(4);
    let dcba = load_words(low);
    let hgfe = load_words(high);
    let cdab = _mm_shuffle_epi32::<0xb1>(dcba);
    let efgh = _mm_shuffle_epi32::<0x1b>(hgfe);
    (_mm_alignr_epi8::<8>(cdab, efgh), _mm_blend_epi16::<0xf0>(efgh, cdab))
}

#[inline]
#[target_feature(enable = "sha,avx")]
fn state((abef, cdgh): Halves) -> State {
    let feba = _mm_shuffle_epi32::<0x1b>(abef);
    let dchg = _mm_shuffle_epi32::<0xb1>(cdgh);
    let mut state = [0; 8];
    let (low, high) = state.split_at_mut(4);
    // SAFETY: each half has four words.
    unsafe {
        _mm_storeu_si128(low.as_mut_ptr().cast(), _mm_blend_epi16::<0xf0>(feba, dchg));
        _mm_storeu_si128(high.as_mut_ptr().cast(), _mm_alignr_epi8::<8>(dchg, feba));
    }
    state
}

/// Rounds `4 * group` to `4 * group + 3` with the words of the message schedule that belong to them.
#[inline]
#[target_feature(enable = "sha,avx")]
fn four_rounds((abef, cdgh): &mut Halves, words: __m128i, group: usize) {
    let sum = _mm_add_epi32(words, load_words(&ROUND_CONSTANTS[group * 4..]));
    *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, sum);
    *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32::<0x0e>(sum));
}

#[inline]
#[target_feature(enable = "sha,avx")]
fn load_words(from: &[u32]) -> __m128i {
    // SAFETY: four words, as the index has checked.
    unsafe { _mm_loadu_si128(from[..4].as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sha,avx")]
fn load_part(block: &HashBlock, part: usize) -> __m128i {
    // SAFETY: sixteen bytes, as the index has checked.
    unsafe { _mm_loadu_si128(block[part * 16..][..16].as_ptr().cast()) }
}

#[target_feature(enable = "sha,avx")]
fn interleaved<const LANES: usize>(states: &mut [State], blocks: &[&[HashBlock]], count: usize) {
    let reversal = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    let blocks: [&[HashBlock]; LANES] = array::from_fn(|lane| &blocks[lane][..count]);
    let mut now: [Halves; LANES] = [(_mm_setzero_si128(), _mm_setzero_si128()); LANES];
    for lane in 0..LANES {
        now[lane] = halves(&states[lane]);
    }
    for index in 0..count {
        let before = now;
        // The last sixteen words of each lane's message schedule, four to a vector.
        let mut words = [[_mm_setzero_si128(); 4]; LANES];
        for place in 0..4 {
            for lane in 0..LANES {
                words[lane][place] = _mm_shuffle_epi8(load_part(&blocks[lane][index], place), reversal);
                four_rounds(&mut now[lane], words[lane][place], place);
            }
        }
        for group in [4, 8, 12] {
            for place in 0..4 {
                for lane in 0..LANES {
                    let [w0, w1, w2, w3] = array::from_fn(|next| words[lane][(place + next) % 4]);
                    let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8::<4>(w3, w2));
                    words[lane][place] = _mm_sha256msg2_epu32(sum, w3);
                    four_rounds(&mut now[lane], words[lane][place], group + place);
                }
            }
        }
        for lane in 0..LANES {
            now[lane].0 = _mm_add_epi32(now[lane].0, before[lane].0);
            now[lane].1 = _mm_add_epi32(now[lane].1, before[lane].1);
        }
    }
    for lane in 0..LANES {
        states[lane] = state(now[lane]);
    }
}
