//! PKCS#7 padding (RFC 5652 section 6.3).

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater};
use zeroize::Zeroize;

/// Fills `data` up to the next multiple of `block` bytes (1 to 255); a whole block is added when it is one already.
pub(crate) fn pad_pkcs7(data: &mut Vec<u8>, block: usize) {
    debug_assert!((1..=255).contains(&block));
    let pad_len = block - data.len() % block;
    data.resize(data.len() + pad_len, pad_len as u8);
}

/// Removes the padding. When it is wrong, `data` is wiped and emptied and the answer is false.
///
/// The time taken to judge depends on the lengths only, never on the bytes: which byte of a padding is wrong must
/// not show.
#[must_use]
pub(crate) fn unpad_pkcs7(data: &mut Vec<u8>, block: usize) -> bool {
    debug_assert!((1..=255).contains(&block));
    match judge(data, block) {
        (good, pad_len) if bool::from(good) => {
            data.truncate(data.len() - usize::from(pad_len));
            true
        }
        _ => {
            data.zeroize();
            false
        }
    }
}

/// As [`unpad_pkcs7`], but leaves the data as it is when the padding is wrong: whoever goes on to verify it must take as
/// long as if it were right.
#[must_use]
pub(crate) fn unpad_pkcs7_or_leave(data: &mut Vec<u8>, block: usize) -> bool {
    let (good, pad_len) = judge(data, block);
    let kept = data.len() - usize::from(u8::conditional_select(&0, &pad_len, good));
    data.truncate(kept);
    bool::from(good)
}

fn judge(data: &[u8], block: usize) -> (Choice, u8) {
    let whole = data.chunks_exact(block);
    let (true, Some(last_block), Some(&pad_len)) = (whole.remainder().is_empty(), whole.last(), data.last())
    else {
        return (Choice::from(0), 0);
    };
    let mut good = pad_len.ct_gt(&0) & !pad_len.ct_gt(&(block as u8));
    for (byte, from_end) in last_block.iter().rev().zip(0u8..) {
        let is_padding = pad_len.ct_gt(&from_end);
        good &= !is_padding | byte.ct_eq(&pad_len);
    }
    (good, pad_len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_pad_length_comes_off_again() {
        for len in 0..=48 {
            let text: Vec<u8> = (0..len).collect();
            let mut data = text.clone();
            pad_pkcs7(&mut data, 16);
            assert_eq!(data.len(), (usize::from(len) / 16 + 1) * 16);
            assert_eq!(data.last(), Some(&(16 - len % 16)));
            assert!(unpad_pkcs7(&mut data, 16));
            assert_eq!(data, text);
        }
    }

    #[test]
    fn pad_values_outside_the_block_are_wrong() {
        for value in [0, 17, 18, 127, 128, 255] {
            let mut data = vec![value; 32];
            assert!(!unpad_pkcs7(&mut data, 16), "{value}");
            assert!(data.is_empty());
        }
    }

    #[test]
    fn each_byte_of_a_padding_counts_and_no_byte_before_it() {
        for pad_len in 1..=16usize {
            for index in 0..16 {
                let mut data = vec![0xa5; 16];
                data[16 - pad_len..].fill(pad_len as u8);
                data[index] ^= 0x80;
                let is_padding = index >= 16 - pad_len;
                assert_eq!(unpad_pkcs7(&mut data, 16), !is_padding, "pad {pad_len}, byte {index}");
                assert_eq!(data.len(), if is_padding { 0 } else { 16 - pad_len });
            }
        }
    }

    #[test]
    fn nothing_and_partial_blocks_are_wrong() {
        for len in [0, 1, 15, 17, 31] {
            assert!(!unpad_pkcs7(&mut vec![1; len], 16), "{len}");
        }
    }

    proptest! {
        #[test]
        fn padding_is_undone_for_every_block_length(
            text in proptest::collection::vec(any::<u8>(), 0..600), block in 1usize..=255,
        ) {
            let mut data = text.clone();
            pad_pkcs7(&mut data, block);
            prop_assert!(data.len() > text.len() && data.len() % block == 0);
            prop_assert!(unpad_pkcs7(&mut data, block));
            prop_assert_eq!(data, text);
        }

        #[test]
        fn the_verdict_is_that_of_a_plain_reading(data in proptest::collection::vec(0u8..=3, 16..=64)) {
            let pad_len = usize::from(*data.last().unwrap());
            let expected = data.len() % 16 == 0
                && (1..=16).contains(&pad_len)
                && data[data.len() - pad_len..].iter().all(|byte| usize::from(*byte) == pad_len);
            prop_assert_eq!(unpad_pkcs7(&mut data.clone(), 16), expected);
        }
    }
}
