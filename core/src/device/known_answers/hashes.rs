//! Hashes: FIPS 180-4, NIST's example values. HMAC: RFC 4231.

use crate::algorithm::Algorithm;

use super::{KnownAnswer, digest, hex, mac};

const ONE_BLOCK: &[u8] = b"abc";
const TWO_BLOCKS_OF_64: &[u8] = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
const TWO_BLOCKS_OF_128: &[u8] = b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno\
    ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";

const JEFE: &[u8] = b"Jefe";
const QUESTION: &[u8] = b"what do ya want for nothing?";
const LONG_KEY: &[u8] = &[0xaa; 131];
const LONG_KEY_TEXT: &[u8] = b"Test Using Larger Than Block-Size Key - Hash Key First";

pub(super) const HASHES: &[KnownAnswer] = &[
    digest(
        "FIPS 180-4 example, one block",
        Algorithm::Sha1,
        ONE_BLOCK,
        hex!("a9993e364706816aba3e25717850c26c9cd0d89d"),
    ),
    digest(
        "FIPS 180-4 example, two blocks",
        Algorithm::Sha1,
        TWO_BLOCKS_OF_64,
        hex!("84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
    ),
    digest(
        "FIPS 180-4 example, one block",
        Algorithm::Sha256,
        ONE_BLOCK,
        hex!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ),
    digest(
        "FIPS 180-4 example, two blocks",
        Algorithm::Sha256,
        TWO_BLOCKS_OF_64,
        hex!("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
    ),
    digest(
        "FIPS 180-4 example, one block",
        Algorithm::Sha384,
        ONE_BLOCK,
        hex!(
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
            "8086072ba1e7cc2358baeca134c825a7"
        ),
    ),
    digest(
        "FIPS 180-4 example, two blocks",
        Algorithm::Sha384,
        TWO_BLOCKS_OF_128,
        hex!(
            "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712"
            "fcc7c71a557e2db966c3e9fa91746039"
        ),
    ),
    digest(
        "FIPS 180-4 example, one block",
        Algorithm::Sha512,
        ONE_BLOCK,
        hex!(
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ),
    ),
    digest(
        "FIPS 180-4 example, two blocks",
        Algorithm::Sha512,
        TWO_BLOCKS_OF_128,
        hex!(
            "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
            "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909"
        ),
    ),
    mac(
        "RFC 4231 test case 2",
        Algorithm::HmacSha256,
        JEFE,
        QUESTION,
        hex!("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    ),
    mac(
        "RFC 4231 test case 6",
        Algorithm::HmacSha256,
        LONG_KEY,
        LONG_KEY_TEXT,
        hex!("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
    ),
    mac(
        "RFC 4231 test case 2",
        Algorithm::HmacSha384,
        JEFE,
        QUESTION,
        hex!(
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
            "8e2240ca5e69e2c78b3239ecfab21649"
        ),
    ),
    mac(
        "RFC 4231 test case 6",
        Algorithm::HmacSha384,
        LONG_KEY,
        LONG_KEY_TEXT,
        hex!(
            "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"
            "0c2ef6ab4030fe8296248df163f44952"
        ),
    ),
    mac(
        "RFC 4231 test case 2",
        Algorithm::HmacSha512,
        JEFE,
        QUESTION,
        hex!(
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
            "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
        ),
    ),
    mac(
        "RFC 4231 test case 6",
        Algorithm::HmacSha512,
        LONG_KEY,
        LONG_KEY_TEXT,
        hex!(
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
            "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"
        ),
    ),
];
