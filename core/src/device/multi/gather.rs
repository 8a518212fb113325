//! CBC encryption where vector instructions for AES blocks are missing, by the `aes` crate's calls for several blocks.
//!
//! One block of each message under one key is gathered, chained, encrypted with the others' and scattered. The crate
//! keeps as many blocks in flight as the processor takes. A key that only one message has goes the plain way.
//! **Constant time:** as the crate's block calls; which messages go together depends on their sessions alone.

use std::ptr;

use aes::cipher::{Array, BlockCipherEncrypt, KeyInit, consts::U16};
use aes::{Aes128, Aes192, Aes256};
use arrayvec::ArrayVec;

use super::Job;
use super::vector::Block;

/// Most messages at once: what fills the crate's widest calls.
const STREAMS_MAX: usize = 64;

/// The `aes` crate's key schedule; wiped when dropped.
pub(super) enum Cipher {
    Aes128(Aes128),
    Aes192(Aes192),
    Aes256(Aes256),
}

impl Cipher {
    pub(super) fn new(key: &[u8]) -> Option<Box<Self>> {
        Some(Box::new(match key.len() {
            16 => Self::Aes128(Aes128::new_from_slice(key).ok()?),
            24 => Self::Aes192(Aes192::new_from_slice(key).ok()?),
            32 => Self::Aes256(Aes256::new_from_slice(key).ok()?),
            _ => return None,
        }))
    }

    fn encrypt(&self, blocks: &mut [Array<u8, U16>]) {
        match self {
            Self::Aes128(cipher) => cipher.encrypt_blocks(blocks),
            Self::Aes192(cipher) => cipher.encrypt_blocks(blocks),
            Self::Aes256(cipher) => cipher.encrypt_blocks(blocks),
        }
    }
}

/// Encrypts every job.
pub(super) fn encrypt<'a>(mut jobs: impl Iterator<Item = Job<'a, Cipher>>) {
    loop {
        let mut waiting: ArrayVec<Job<'a, Cipher>, STREAMS_MAX> = jobs.by_ref().take(STREAMS_MAX).collect();
        if waiting.is_empty() {
            return;
        }
        while let Some(first) = waiting.pop() {
            let cipher = first.keys;
            let mut streams = ArrayVec::<_, STREAMS_MAX>::new();
            streams.push(first);
            let mut index = 0;
            while index < waiting.len() {
                if ptr::eq(waiting[index].keys, cipher) {
                    streams.push(waiting.swap_remove(index));
                } else {
                    index += 1;
                }
            }
            together(cipher, streams);
        }
    }
}

/// Encrypts messages under one key.
fn together(cipher: &Cipher, jobs: ArrayVec<Job<'_, Cipher>, STREAMS_MAX>) {
    let mut chain = ArrayVec::<Array<u8, U16>, STREAMS_MAX>::new();
    let mut texts = ArrayVec::<&mut [Block], STREAMS_MAX>::new();
    for job in jobs {
        let text = job.text.as_chunks_mut().0;
        if !text.is_empty() {
            chain.push((*job.iv).into());
            texts.push(text);
        }
    }
    while let Some(steps) = texts.iter().map(|text| text.len()).min() {
        for step in 0..steps {
            for (chain, text) in chain.iter_mut().zip(&texts) {
                chain.iter_mut().zip(&text[step]).for_each(|(byte, plain)| *byte ^= plain);
            }
            cipher.encrypt(&mut chain);
            for (chain, text) in chain.iter().zip(&mut texts) {
                text[step] = (*chain).into();
            }
        }
        let mut index = 0;
        while index < texts.len() {
            texts[index] = &mut std::mem::take(&mut texts[index])[steps..];
            if texts[index].is_empty() {
                texts.swap_remove(index);
                chain.swap_remove(index);
            } else {
                index += 1;
            }
        }
    }
}
