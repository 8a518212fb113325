//! Authenticated encryption: "The Galois/Counter Mode of Operation" (McGrew and Viega), appendix B; RFC 8439;
//! RFC 3602 section 4 case 5 with the MAC of RFC 4868 under its key of section 2.7.2.1, over SPI, sequence number, iv
//! and ciphertext, computed with OpenSSL.
//! Each comes with a forgery.

use crate::algorithm::Algorithm;

use super::{KnownAnswer, both_ways, flip_last_bit, forged, hex};

/// Sealing, opening, and opening with one bit of the tag flipped.
macro_rules! aead {
    ($name:literal, $algorithm:ident, $key:expr, $nonce:expr, $aad:expr, $plaintext:expr, $ciphertext:expr,) => {{
        const CIPHERTEXT: &[u8] = $ciphertext;
        const FORGERY: [u8; CIPHERTEXT.len()] = flip_last_bit(CIPHERTEXT);
        const GENUINE: [KnownAnswer; 2] =
            both_ways($name, Algorithm::$algorithm, $key, $nonce, $aad, $plaintext, CIPHERTEXT);
        let [seal, open] = GENUINE;
        [seal, open, forged(&GENUINE[1], &FORGERY)]
    }};
}

pub(super) static AEADS: [[KnownAnswer; 3]; 5] = [
    aead!(
        "GCM specification, test case 4",
        Aes128Gcm,
        hex!("feffe9928665731c6d6a8f9467308308"),
        hex!("cafebabefacedbaddecaf888"),
        hex!("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
        hex!(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
        ),
        hex!(
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
            "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc"
            "3221a5db94fae95ae7121a47"
        ),
    ),
    aead!(
        "GCM specification, test case 10",
        Aes192Gcm,
        hex!("feffe9928665731c6d6a8f9467308308feffe9928665731c"),
        hex!("cafebabefacedbaddecaf888"),
        hex!("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
        hex!(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
        ),
        hex!(
            "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c"
            "7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda27102519498e"
            "80f1478f37ba55bd6d27618c"
        ),
    ),
    aead!(
        "GCM specification, test case 16",
        Aes256Gcm,
        hex!("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
        hex!("cafebabefacedbaddecaf888"),
        hex!("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
        hex!(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
        ),
        hex!(
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece"
            "0f4e1768cddf8853bb2d551b"
        ),
    ),
    aead!(
        "RFC 8439 section 2.8.2",
        ChaCha20Poly1305,
        hex!("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"),
        hex!("070000004041424344454647"),
        hex!("50515253c0c1c2c3c4c5c6c7"),
        hex!(
            "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
            "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
            "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
            "637265656e20776f756c642062652069742e"
        ),
        hex!(
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
            "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
            "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
            "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd060"
            "0691"
        ),
    ),
    aead!(
        "RFC 3602 section 4 case 5, RFC 4868",
        Aes128CbcHmacSha256,
        hex!(
            "90d382b410eeba7ad938c46cec1a82bf"
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"
        ),
        hex!("e96e8c08ab465763fd098d45dd3ff893"),
        hex!("0000432100000001"),
        hex!(
            "08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f1011121314151617"
            "18191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637"
            "0102030405060708090a0b0c0d0e0e01"
        ),
        hex!(
            "f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856"
            "a4699e523a55db080b59ec3a8e4b7e52775b07d1db34ed9c538ab50c551b874a"
            "a269add047ad2d5913ac19b7cfbad4a6"
            "1731896e10aaf60f5e4bd414d67e268d"
        ),
    ),
];
