//! The compression function of SHA-256 over as many messages as a vector has words, one message to a word.
//!
//! Written once for every width: [`Words`] is what differs. **Constant time:** additions, rotations, logic and shuffles.

use super::hash::{HashBlock, State};

/// FIPS 180-4 section 4.2.2.
#[rustfmt::skip]
pub(super) const ROUND_CONSTANTS: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// Vectors of 32-bit words, one for each lane. A value is the proof that the processor has the instructions.
pub(super) trait Words: Copy {
    /// [`Self::LANES`] words side by side.
    type Word: Copy;
    /// Words in a vector.
    const LANES: usize;

    /// One word in every place.
    fn broadcast(self, word: u32) -> Self::Word;
    /// Sum modulo 2^32.
    fn add(self, one: Self::Word, other: Self::Word) -> Self::Word;
    /// Exclusive or of three.
    fn xor3(self, one: Self::Word, two: Self::Word, three: Self::Word) -> Self::Word;
    /// Ch: bits of `yes` where `mask` has ones, else of `no`.
    fn choose(self, mask: Self::Word, yes: Self::Word, no: Self::Word) -> Self::Word;
    /// Maj: what most of the three have.
    fn majority(self, one: Self::Word, two: Self::Word, three: Self::Word) -> Self::Word;
    /// Shifted right by `RIGHT`.
    fn shift<const RIGHT: i32>(self, word: Self::Word) -> Self::Word;
    /// Rotated right by `RIGHT`; `LEFT` is the rest to 32.
    fn rotate<const RIGHT: i32, const LEFT: i32>(self, word: Self::Word) -> Self::Word;

    /// Words of states: vector `w` holds word `w` of every lane.
    fn gather_states(self, states: &[State]) -> [Self::Word; 8];
    /// The same back.
    fn scatter_states(self, words: [Self::Word; 8], states: &mut [State]);
    /// The sixteen big-endian words of every lane's block.
    fn gather_blocks(self, blocks: &[&HashBlock]) -> [Self::Word; 16];
}

/// Takes the first `count` blocks of every lane into its state.
///
/// Loops, here and in the vectors, not closures handed to functions of the standard library: those lack the features of
/// the caller, and what is not made part of it passes its vectors through memory.
#[inline(always)]
pub(super) fn compress<V: Words, const LANES: usize>(
    vector: V,
    states: &mut [State; LANES],
    blocks: &[&[HashBlock]; LANES],
    count: usize,
) {
    const { assert!(V::LANES == LANES) };
    let mut state = vector.gather_states(states);
    for index in 0..count {
        let mut block = [&blocks[0][index]; LANES];
        for lane in 1..LANES {
            block[lane] = &blocks[lane][index];
        }
        let mut words = vector.gather_blocks(&block);
        let mut after = state;
        let (first, later) = ROUND_CONSTANTS.as_chunks().0.split_at(1);
        sixteen_rounds::<V, false>(vector, &mut after, &mut words, &first[0]);
        for constants in later {
            sixteen_rounds::<V, true>(vector, &mut after, &mut words, constants);
        }
        for word in 0..8 {
            state[word] = vector.add(state[word], after[word]);
        }
    }
    vector.scatter_states(state, states);
}

/// A quarter of the rounds (section 6.2.2), with the words of the message schedule that belong to them: those of the
/// quarter before, which are replaced if `NEXT`.
#[inline(always)]
fn sixteen_rounds<V: Words, const NEXT: bool>(
    vector: V,
    state: &mut [V::Word; 8],
    words: &mut [V::Word; 16],
    constants: &[u32; 16],
) {
    macro_rules! rounds {
        ($($place:literal)*) => { $(round::<V, $place, NEXT>(vector, state, words, constants[$place]);)* };
    }
    // One by one: every index is known, so that states and words stay in registers.
    rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
}

/// One round. Instead of the words, their names move: `a` is at `-PLACE`, modulo 8.
#[inline(always)]
fn round<V: Words, const PLACE: usize, const NEXT: bool>(
    vector: V,
    state: &mut [V::Word; 8],
    words: &mut [V::Word; 16],
    constant: u32,
) {
    let add = |one, other| vector.add(one, other);
    if NEXT {
        let (w15, w2) = (words[(PLACE + 1) % 16], words[(PLACE + 14) % 16]);
        let sigma0 =
            vector.xor3(vector.rotate::<7, 25>(w15), vector.rotate::<18, 14>(w15), vector.shift::<3>(w15));
        let sigma1 =
            vector.xor3(vector.rotate::<17, 15>(w2), vector.rotate::<19, 13>(w2), vector.shift::<10>(w2));
        words[PLACE] = add(add(words[PLACE], sigma0), add(words[(PLACE + 9) % 16], sigma1));
    }
    let at = |name: usize| (16 - PLACE + name) % 8;
    let [a, b, c, d] = [state[at(0)], state[at(1)], state[at(2)], state[at(3)]];
    let [e, f, g, h] = [state[at(4)], state[at(5)], state[at(6)], state[at(7)]];
    let sum1 = vector.xor3(vector.rotate::<6, 26>(e), vector.rotate::<11, 21>(e), vector.rotate::<25, 7>(e));
    let known = add(h, add(words[PLACE], vector.broadcast(constant)));
    let first = add(add(known, vector.choose(e, f, g)), sum1);
    let sum0 = vector.xor3(vector.rotate::<2, 30>(a), vector.rotate::<13, 19>(a), vector.rotate::<22, 10>(a));
    let second = add(sum0, vector.majority(a, b, c));
    state[at(3)] = add(d, first);
    state[at(7)] = add(first, second);
}
