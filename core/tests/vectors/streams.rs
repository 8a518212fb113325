//! A stream gives what one operation gives, however it is cut.

use acrypto_core::algorithm::{Algorithm, Class, OpKind};
use acrypto_core::device::soft::Soft;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::direct::Operation;

fn operation(algorithm: Algorithm, kind: OpKind, iv: &[u8], input: &[u8]) -> Operation {
    let whole = if algorithm.needs_whole_blocks() { input.len() / 16 * 16 } else { input.len() };
    Operation {
        algorithm,
        kind,
        key: vec![0x5a; (*algorithm.key_len().end()).min(48)],
        iv: iv[..algorithm.iv_len()].to_vec(),
        aad: Vec::new(),
        input: input[..whole].to_vec(),
    }
}

fn of_class(classes: &[Class]) -> impl Iterator<Item = Algorithm> {
    Algorithm::ALL.iter().copied().filter(|algorithm| classes.contains(&algorithm.class()))
}

proptest! {
    #[test]
    fn a_stream_of_whole_blocks_equals_one_operation(
        input in vec(any::<u8>(), 0..2000), chunk_blocks in vec(0usize..5, 0..12), iv in any::<[u8; 16]>(),
    ) {
        let soft = Soft::new();
        for algorithm in of_class(&[Class::Ecb, Class::Cbc, Class::Ctr, Class::Digest, Class::Mac]) {
            for kind in algorithm.ops() {
                let operation = operation(algorithm, *kind, &iv, &input);
                prop_assert_eq!(operation.run_in_chunks(&soft, &chunk_blocks), operation.run(&soft));
            }
        }
    }

    #[test]
    fn a_hash_stream_of_odd_chunks_equals_one_operation(
        input in vec(any::<u8>(), 0..1000), chunk_lens in vec(0usize..300, 0..8),
    ) {
        let soft = Soft::new();
        for algorithm in of_class(&[Class::Digest, Class::Mac]) {
            let operation = operation(algorithm, algorithm.ops()[0], &[], &input);
            prop_assert_eq!(operation.run_cut(&soft, &chunk_lens), operation.run(&soft));
        }
    }

    #[test]
    fn what_is_encrypted_decrypts(input in vec(any::<u8>(), 0..2000), iv in any::<[u8; 16]>()) {
        let soft = Soft::new();
        for algorithm in of_class(&[Class::Ecb, Class::Cbc, Class::Ctr, Class::Aead, Class::EncryptThenMac]) {
            let plain = operation(algorithm, OpKind::Encrypt, &iv, &input);
            let sealed = Operation { kind: OpKind::Decrypt, input: plain.run(&soft).data, ..plain.clone() };
            prop_assert_eq!(sealed.run(&soft).data, plain.input);
        }
    }
}
