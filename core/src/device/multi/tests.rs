//! Every kernel that the processor has, against RustCrypto.

use std::cell::RefCell;

use aes::cipher::consts::U16;
use aes::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser, KeyInit,
    KeyIvInit, StreamCipher,
};
use aes::{Aes128, Aes192, Aes256};
use hmac::Mac;
use proptest::collection::vec;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::op::{Chain, Iv, Output};

#[cfg(target_arch = "x86_64")]
mod four;

/// Keys that tests have.
const KEYS: usize = 5;

/// An operation as a test wants it.
#[derive(Clone, Debug)]
struct Case {
    /// Number of its key.
    key: usize,
    iv: [u8; 16],
    len: usize,
}

fn key(algorithm: Algorithm, number: usize) -> Vec<u8> {
    let len = if algorithm == Algorithm::HmacSha256 { 1 + number * 29 } else { *algorithm.key_len().end() };
    (0..len).map(|index| (index * 3 + number * 71 + 5) as u8).collect()
}

fn text(case: &Case) -> Vec<u8> {
    (0..case.len)
        .map(|index| (index * 5 + index / 256 + case.key * 13 + usize::from(case.iv[0])) as u8)
        .collect()
}

/// What RustCrypto makes of it.
fn expected(algorithm: Algorithm, kind: OpKind, case: &Case) -> Vec<u8> {
    expected_of(algorithm, kind, case, &text(case))
}

fn expected_of(algorithm: Algorithm, kind: OpKind, case: &Case, text: &[u8]) -> Vec<u8> {
    let (key, mut data) = (key(algorithm, case.key), text.to_vec());
    match algorithm {
        Algorithm::Aes128Cbc => cbc::<Aes128>(kind, &key, case, &mut data),
        Algorithm::Aes192Cbc => cbc::<Aes192>(kind, &key, case, &mut data),
        Algorithm::Aes256Cbc => cbc::<Aes256>(kind, &key, case, &mut data),
        Algorithm::Aes128Ctr => {
            ::ctr::Ctr128BE::<Aes128>::new_from_slices(&key, &case.iv).unwrap().apply_keystream(&mut data);
        }
        Algorithm::Aes192Ctr => {
            ::ctr::Ctr128BE::<Aes192>::new_from_slices(&key, &case.iv).unwrap().apply_keystream(&mut data);
        }
        Algorithm::Aes256Ctr => {
            ::ctr::Ctr128BE::<Aes256>::new_from_slices(&key, &case.iv).unwrap().apply_keystream(&mut data);
        }
        Algorithm::Sha256 => return Sha256::digest(&data).to_vec(),
        _ => {
            let mac = hmac::Hmac::<Sha256>::new_from_slice(&key).unwrap();
            return mac.chain_update(&data).finalize().into_bytes().to_vec();
        }
    }
    data
}

fn cbc<C>(kind: OpKind, key: &[u8], case: &Case, data: &mut [u8])
where
    C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
{
    let blocks = aes::cipher::Array::slice_as_chunks_mut(data).0;
    if kind == OpKind::Encrypt {
        ::cbc::Encryptor::<C>::new_from_slices(key, &case.iv).unwrap().encrypt_blocks(blocks);
    } else {
        ::cbc::Decryptor::<C>::new_from_slices(key, &case.iv).unwrap().decrypt_blocks(blocks);
    }
}

/// What a device with these kernels makes of the cases in one run.
fn by_device(kernels: Kernels, algorithm: Algorithm, kind: OpKind, cases: &[Case]) -> Vec<Vec<u8>> {
    let device = Multi::with_kernels(kernels);
    let spec = SessionSpec::new(algorithm);
    let handles: Vec<Handle> =
        (0..KEYS).map(|number| device.open(&spec, &Key::new(key(algorithm, number))).unwrap()).collect();
    let iv = |case: &Case| if algorithm.iv_len() == 0 { Iv::NONE } else { Iv::from(case.iv) };
    let ivs: Vec<Iv> = cases.iter().map(iv).collect();
    let mut outputs = vec![Output::none(); cases.len()];
    let mut data: Vec<Vec<u8>> = cases.iter().map(text).collect();
    let mut run: Vec<DirectOp<'_>> = (cases.iter().zip(&ivs).zip(&mut data).zip(&mut outputs))
        .map(|(((case, iv), data), output)| DirectOp {
            handle: handles[case.key],
            algorithm,
            kind,
            iv,
            aad: &[],
            data,
            source: None,
            output,
            chain: None,
            result: None,
        })
        .collect();
    device.execute(&mut run);
    assert!(run.iter().all(|op| op.result == Some(Ok(()))));
    drop(run);
    let made = data.into_iter().zip(outputs);
    made.map(|(data, output)| if output == Output::none() { data } else { output.as_slice().to_vec() })
        .collect()
}

const GUARD: u8 = 0xa5;

/// How texts lie in memory.
#[derive(Clone, Copy, Debug)]
enum Layout {
    /// At any distance from a line's beginning, with guard bytes between them.
    Apart,
    /// Each so many bytes after the one before, or before it.
    Stride(usize, bool),
}

/// What a kernel makes of the cases; around their texts nothing may change.
fn by_kernel<K>(
    algorithm: Algorithm,
    cases: &[Case],
    layout: Layout,
    schedule: impl Fn(&[u8]) -> Option<Box<K>>,
    kernel: impl Fn(&mut dyn Iterator<Item = Job<'_, K>>),
) -> Vec<Vec<u8>> {
    let keys: Vec<Box<K>> = (0..KEYS).map(|number| schedule(&key(algorithm, number)).unwrap()).collect();
    let mut end = 0;
    let mut fronts: Vec<usize> = (cases.iter().enumerate())
        .map(|(index, case)| match layout {
            Layout::Apart => {
                let front = end + 64 + usize::from(case.iv[1] % 64);
                end = front + case.len;
                front
            }
            Layout::Stride(bytes, _) => index * bytes,
        })
        .collect();
    if matches!(layout, Layout::Stride(_, true)) {
        fronts.reverse();
    }
    let last = fronts.iter().zip(cases).map(|(front, case)| front + case.len).max().unwrap_or(0);
    let mut memory = vec![GUARD; last + 64];
    for (case, front) in cases.iter().zip(&fronts) {
        memory[*front..][..case.len].copy_from_slice(&text(case));
    }
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_by_key(|index| fronts[*index]);
    let (mut rest, mut at, mut texts) = (memory.as_mut_slice(), 0, Vec::new());
    for index in order {
        let (text, after) = rest.split_at_mut(fronts[index] + cases[index].len - at);
        texts.push((index, &mut text[fronts[index] - at..]));
        (rest, at) = (after, fronts[index] + cases[index].len);
    }
    texts.sort_by_key(|(index, _)| *index);
    // Nothing is not a message for a kernel.
    let messages = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let mut jobs =
        messages.map(|(index, text)| Job { keys: &*keys[cases[index].key], iv: &cases[index].iv, text });
    kernel(&mut jobs);
    assert!(jobs.next().is_none());
    drop(jobs);
    let made = cases.iter().zip(&fronts).map(|(case, front)| {
        let text = &mut memory[*front..][..case.len];
        let made = text.to_vec();
        text.fill(GUARD);
        made
    });
    let made = made.collect();
    assert!(memory.iter().all(|byte| *byte == GUARD), "wrote beside a text");
    made
}

/// Each kernel by itself and in a device.
fn check(algorithm: Algorithm, cases: &[Case]) {
    // Counter mode decrypts as it encrypts.
    let kinds = if algorithm.class() == Class::Cbc { algorithm.ops() } else { &algorithm.ops()[..1] };
    for kind in kinds.iter().copied() {
        let right: Vec<Vec<u8>> = cases.iter().map(|case| expected(algorithm, kind, case)).collect();
        for kernels in Kernels::all_available() {
            let made = by_device(kernels, algorithm, kind, cases);
            assert!(made == right, "{kernels:?} {algorithm} {kind} {cases:?}");
            check_kernel(kernels.aes, (algorithm, kind), cases, Layout::Apart, &right);
        }
    }
}

fn check_kernel(
    kernel: AesKernel,
    (algorithm, kind): (Algorithm, OpKind),
    cases: &[Case],
    layout: Layout,
    right: &[Vec<u8>],
) {
    if algorithm.class() == Class::Ctr && cases.iter().any(|case| ctr::carries(&case.iv, case.len)) {
        // The device's affair.
        return;
    }
    let table = RefCell::new(KeyTable::new());
    #[cfg(target_arch = "x86_64")]
    macro_rules! parallel {
        ($mode:ty, $vector:ident, $schedule:ident) => {
            by_kernel(
                algorithm,
                cases,
                layout,
                |key| $vector.$schedule(key),
                |jobs| $vector.parallel::<$mode>(rounds(algorithm), jobs),
            )
        };
    }
    let made = match (kernel, algorithm.class(), kind) {
        #[cfg(target_arch = "x86_64")]
        (AesKernel::Vaes512(vector), Class::Cbc, OpKind::Decrypt) => {
            parallel!(CbcDecrypt, vector, inverse_schedule)
        }
        #[cfg(target_arch = "x86_64")]
        (AesKernel::Vaes256(vector), Class::Cbc, OpKind::Decrypt) => {
            parallel!(CbcDecrypt, vector, inverse_schedule)
        }
        #[cfg(target_arch = "x86_64")]
        (AesKernel::Vaes512(vector), Class::Ctr, _) => parallel!(Ctr, vector, schedule),
        #[cfg(target_arch = "x86_64")]
        (AesKernel::Vaes256(vector), Class::Ctr, _) => parallel!(Ctr, vector, schedule),
        #[cfg(target_arch = "x86_64")]
        (AesKernel::Vaes512(vector), Class::Cbc, _) => {
            // Few lanes and many.
            let [few, many] = [1, 64].map(|count| {
                by_kernel(
                    algorithm,
                    cases,
                    layout,
                    |key| vector.schedule(key),
                    |jobs| {
                        vector.cbc_encrypt(rounds(algorithm), jobs, &mut table.borrow_mut(), count);
                    },
                )
            });
            assert!(few == right, "few lanes: {algorithm} {layout:?} {cases:?}");
            many
        }
        #[cfg(target_arch = "x86_64")]
        (AesKernel::Vaes256(vector), Class::Cbc, _) => by_kernel(
            algorithm,
            cases,
            layout,
            |key| vector.schedule(key),
            |jobs| {
                vector.cbc_encrypt(rounds(algorithm), jobs, &mut table.borrow_mut());
            },
        ),
        (AesKernel::Gather, Class::Cbc, OpKind::Encrypt) => {
            by_kernel(algorithm, cases, layout, Cipher::new, |jobs| gather::encrypt(jobs))
        }
        _ => return,
    };
    assert!(made == right, "{kernel:?} {algorithm} {kind} {layout:?} {cases:?}");
    assert!(table.borrow().rows.as_flattened().iter().all(|key| *key == [0; 16]), "keys stay in the table");
}

/// Lengths of `algorithm` near `lens`.
fn fit(algorithm: Algorithm, mut cases: Vec<Case>) -> Vec<Case> {
    if algorithm.needs_whole_blocks() {
        cases.iter_mut().for_each(|case| case.len = case.len / 16 * 16);
    }
    cases
}

#[test]
fn every_count_of_operations_gives_what_each_gives_alone() {
    for algorithm in ALGORITHMS {
        for count in 0..=RUN_MAX_OPS {
            for same_key in [true, false] {
                let case = |index: usize| Case {
                    key: if same_key { 0 } else { index % KEYS },
                    iv: [index as u8; 16],
                    len: 48,
                };
                check(algorithm, &(0..count).map(case).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn every_length_gives_what_it_gives_alone() {
    for algorithm in ALGORITHMS {
        // Around the blocks of hashes and the vectors of counters, and long enough for lanes to be staggered.
        let lens = (0..300).chain([511, 512, 1_023, 1_040, 4_095, 4_096, 4_111]);
        let cases =
            lens.enumerate().map(|(index, len)| Case { key: index % KEYS, iv: [index as u8; 16], len });
        let cases = fit(algorithm, cases.collect());
        cases.chunks(RUN_MAX_OPS).for_each(|cases| check(algorithm, cases));
        let alike: Vec<Case> = cases.iter().map(|case| Case { key: 1, ..case.clone() }).collect();
        alike.chunks(RUN_MAX_OPS).for_each(|cases| check(algorithm, cases));
    }
}

#[test]
fn long_messages_whose_lanes_start_one_after_the_other_come_out_right() {
    let layouts = [4_096, 4_112, 4_160, 8_176, 16_384]
        .into_iter()
        .flat_map(|bytes| [Layout::Stride(bytes, false), Layout::Stride(bytes, true)]);
    for (layout, count) in
        layouts.flat_map(|layout| [1, 2, 5, 15, 16, 17, 33, 40].map(|count| (layout, count)))
    {
        for (same_key, algorithm) in [(true, Algorithm::Aes128Cbc), (false, Algorithm::Aes256Cbc)] {
            let case = |index: usize| Case {
                key: if same_key { 0 } else { index % KEYS },
                iv: [index as u8; 16],
                // The first of a lane at least as long as it takes to be held back; then also short ones.
                len: [2_048, 4_096, 3_008, if index < 32 { 4_080 } else { 16 }][index % 4],
            };
            let cases: Vec<Case> = (0..count).map(case).collect();
            let kind = OpKind::Encrypt;
            let right: Vec<Vec<u8>> = cases.iter().map(|case| expected(algorithm, kind, case)).collect();
            for kernels in Kernels::all_available() {
                check_kernel(kernels.aes, (algorithm, kind), &cases, layout, &right);
            }
        }
    }
}

#[test]
fn counters_carry_over_every_boundary() {
    let edges = [u128::from(u32::MAX), u128::from(u64::MAX), u128::MAX >> 32, u128::MAX];
    for algorithm in [Algorithm::Aes128Ctr, Algorithm::Aes192Ctr, Algorithm::Aes256Ctr] {
        for edge in edges {
            let case = |index: usize| Case {
                key: index % KEYS,
                // Some so far that they do not get there.
                iv: edge.wrapping_sub((index * index) as u128).to_be_bytes(),
                len: [40, 64, 530, 1_100][index / 16 % 4],
            };
            check(algorithm, &(0..64).map(case).collect::<Vec<_>>());
        }
    }
}

#[test]
fn round_keys_are_those_of_the_standard() {
    // FIPS 197 appendix A: the last round key of each length.
    #[cfg(target_arch = "x86_64")]
    if let Some(vector) = super::vaes::Vaes256::detect() {
        let known: [(&str, &str); 3] = [
            ("2b7e151628aed2a6abf7158809cf4f3c", "d014f9a8c9ee2589e13f0cc8b6630ca6"),
            ("8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b", "e98ba06f448c773c8ecc720401002202"),
            (
                "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
                "fe4890d1e6188d0b046df344706c631e",
            ),
        ];
        let bytes = |hex: &str| -> Vec<u8> {
            (0..hex.len() / 2).map(|index| u8::from_str_radix(&hex[2 * index..][..2], 16).unwrap()).collect()
        };
        for (key, last) in known {
            let schedule = vector.schedule(&bytes(key)).unwrap();
            assert_eq!(schedule.key(key.len() / 8 + 6).to_vec(), bytes(last));
        }
        assert!(vector.schedule(&[0; 15]).is_none() && vector.inverse_schedule(&[0; 15]).is_none());
        // FIPS 197 appendix C.1: the first key of the equivalent inverse cipher, one that is mixed, and the last.
        let inverse = vector.inverse_schedule(&bytes("000102030405060708090a0b0c0d0e0f")).unwrap();
        for (round, key) in [
            (0, "13111d7fe3944a17f307a78b4d2b30c5"),
            (1, "13aa29be9c8faff6f770f58000f7bf03"),
            (10, "000102030405060708090a0b0c0d0e0f"),
        ] {
            assert_eq!(inverse.key(round).to_vec(), bytes(key));
        }
    }
}

#[test]
fn what_a_kernel_does_not_do_is_done_one_by_one_or_refused() {
    let device = Multi::new();
    let open = |algorithm| device.open(&SessionSpec::new(algorithm), &Key::new(key(algorithm, 1))).unwrap();
    let (cbc, ctr) = (open(Algorithm::Aes128Cbc), open(Algorithm::Aes128Ctr));
    let iv = Iv::from([1; 16]);
    let plain: Vec<u8> = (0..64).collect();
    let closed = open(Algorithm::Aes128Cbc);
    device.close(closed);
    let wanted = [
        (cbc, Algorithm::Aes128Cbc, OpKind::Encrypt, 64, None),
        (cbc, Algorithm::Aes128Cbc, OpKind::Encrypt, 63, Some("the data is not a whole number of blocks")),
        (cbc, Algorithm::Aes128Cbc, OpKind::Decrypt, 64, None),
        (ctr, Algorithm::Aes128Ctr, OpKind::Encrypt, 64, None),
        (ctr, Algorithm::Aes128Cbc, OpKind::Encrypt, 64, Some("the session has another algorithm")),
        (closed, Algorithm::Aes128Cbc, OpKind::Encrypt, 64, Some("no such session on the device")),
        (Handle(77), Algorithm::Aes128Cbc, OpKind::Encrypt, 64, Some("no such session on the device")),
        (cbc, Algorithm::Aes128Cbc, OpKind::Digest, 64, Some("a cipher encrypts and decrypts only")),
        (cbc, Algorithm::Aes128Cbc, OpKind::Encrypt, 64, None),
    ];
    // In any order, since the first operation of a run decides for which kernel it is.
    for turn in 0..wanted.len() {
        let mut data: Vec<Vec<u8>> = wanted.iter().map(|wanted| plain[..wanted.3].to_vec()).collect();
        let mut outputs = vec![Output::none(); wanted.len()];
        let mut run: Vec<DirectOp<'_>> = (wanted.iter().zip(&mut data).zip(&mut outputs))
            .map(|(((handle, algorithm, kind, ..), data), output)| DirectOp {
                handle: *handle,
                algorithm: *algorithm,
                kind: *kind,
                iv: &iv,
                aad: &[],
                data,
                source: None,
                output,
                chain: None,
                result: None,
            })
            .collect();
        run.rotate_left(turn);
        device.execute(&mut run);
        run.rotate_right(turn);
        let results: Vec<_> = run.iter().map(|op| op.result).collect();
        for ((.., reason), result) in wanted.iter().zip(results) {
            assert_eq!(result, Some(reason.map_or(Ok(()), |reason| Err(refused(reason)))), "turn {turn}");
        }
        let case = Case { key: 1, iv: [1; 16], len: 64 };
        assert_eq!(data[0], data[8]);
        assert_ne!(data[0], plain);
        assert_eq!(expected_of(Algorithm::Aes128Cbc, OpKind::Encrypt, &case, &plain), data[0]);
        assert_eq!(expected_of(Algorithm::Aes128Cbc, OpKind::Decrypt, &case, &plain), data[2]);
    }
}

#[test]
fn chunks_of_a_hash_have_the_midstate_of_soft() {
    use crate::device::soft::Soft;
    for algorithm in [Algorithm::Sha256, Algorithm::HmacSha256] {
        let key = Key::new(if algorithm == Algorithm::Sha256 { Vec::new() } else { vec![9; 20] });
        let chunk = |device: &dyn DirectDevice, chain: &mut Chain| {
            let handle = device.open(&SessionSpec::new(algorithm), &key).unwrap();
            let (mut data, mut output) = (vec![3; 100], Output::none());
            let mut run = [DirectOp {
                handle,
                algorithm,
                kind: algorithm.ops()[0],
                iv: &Iv::NONE,
                aad: &[],
                data: &mut data,
                source: None,
                output: &mut output,
                chain: Some(chain),
                result: None,
            }];
            device.execute(&mut run);
            assert_eq!(run[0].result, Some(Ok(())));
            output
        };
        let (mut ours, mut theirs) =
            (Chain { first: true, ..Chain::default() }, Chain { first: true, ..Chain::default() });
        for round in 0..3 {
            (ours.last, theirs.last) = (round == 2, round == 2);
            assert_eq!(chunk(&Multi::new(), &mut ours), chunk(&Soft::new(), &mut theirs));
            assert_eq!(ours.midstate.as_slice(), theirs.midstate.as_slice());
            (ours.first, theirs.first) = (false, false);
        }
    }
}

#[test]
fn a_key_of_the_wrong_length_or_algorithm_is_refused() {
    let device = Multi::new();
    let open = |algorithm, len| device.open(&SessionSpec::new(algorithm), &Key::new(vec![0; len]));
    for algorithm in Algorithm::ALL.iter().copied() {
        for len in 0..=48 {
            let wanted = ALGORITHMS.contains(&algorithm) && algorithm.key_len().contains(&len);
            assert_eq!(open(algorithm, len).is_ok(), wanted, "{algorithm}, {len}");
        }
    }
    let error = open(Algorithm::Aes128Cbc, 5).unwrap_err().to_string();
    assert_eq!(error, "aes-128-cbc needs a key of 16 bytes, got 5");
}

fn ragged() -> impl Strategy<Value = Vec<Case>> {
    let case =
        (0..KEYS, any::<[u8; 16]>(), 0usize..=70 * 16).prop_map(|(key, iv, len)| Case { key, iv, len });
    vec(case, 1..=RUN_MAX_OPS)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_mixture_gives_what_each_gives_alone(cases in ragged(), same_key in any::<bool>()) {
        let cases: Vec<Case> =
            cases.into_iter().map(|case| Case { key: if same_key { 0 } else { case.key }, ..case }).collect();
        for algorithm in ALGORITHMS {
            check(algorithm, &fit(algorithm, cases.clone()));
        }
    }
}
