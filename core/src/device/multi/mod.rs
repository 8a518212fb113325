//! `multi`: independent operations of one run side by side in the vector units of one core.
//!
//! AES-CBC encryption and SHA-256 are chains: each block waits for the one before, and a core that works on one message
//! at a time is idle for most of it. A run has up to [`RUN_MAX_OPS`] operations that do not wait for each other, each
//! with its own session, iv and length; here they go through the core together. AES-CTR and CBC decryption, which are parallel
//! within an operation, are here for their wider vectors and for what they gain on short operations. Chunks of a hash
//! stream go the way `soft` goes.
//!
//! Which instructions are used is found out when the device is made: VAES on 512 or 256 bits, else the `aes` crate's
//! calls for several blocks; AVX-512 or SHA-NI, else AVX2, else the `sha2` crate. Each kernel's file says why its time
//! does not depend on secrets.

#![allow(
    clippy::needless_range_loop,
    reason = "kernels go over several arrays at the same place, known when they are compiled"
)]

use std::slice;

use crate::algorithm::{Algorithm, Class, OpKind};
use crate::buffers::Input;
use crate::device::lane::Lane;
use crate::device::soft::open;
use crate::device::soft::{SharedContext, refused};
use crate::device::{Capability, DeviceInfo, DirectDevice, DirectOp, Handle, RUN_MAX_OPS, Run, Score, best};
use crate::error::Error;
use crate::key::Key;
use crate::session::SessionSpec;
use crate::sync::Lock;

use self::cbc_decrypt::CbcDecrypt;
use self::ctr::Ctr;
use self::gather::Cipher;
use self::hash::{HashJob, Start};
use self::kernels::{AesKernel, AesKeys, Kernels};
use self::parallel::Mode;
#[cfg(target_arch = "x86_64")]
use self::schedule::Rounds;
use self::schedule::{KeyTable, Schedule};
use self::vector::Block;

#[cfg(target_arch = "x86_64")]
mod avx;
#[cfg(target_arch = "x86_64")]
mod cbc;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no kernel of ours"))]
mod cbc_decrypt;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no kernel of ours"))]
mod ctr;
mod gather;
mod hash;
mod kernels;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no kernel of ours"))]
mod parallel;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no kernel of ours"))]
mod schedule;
#[cfg(target_arch = "x86_64")]
mod sha_ni;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod vaes;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no kernel of ours"))]
mod vector;
#[cfg(target_arch = "x86_64")]
mod wide;

const QUEUE_MAX_OPS: usize = 512;
const SESSIONS_MAX: usize = 1 << 20;

const ALGORITHMS: [Algorithm; 8] = [
    Algorithm::Aes128Cbc,
    Algorithm::Aes192Cbc,
    Algorithm::Aes256Cbc,
    Algorithm::Aes128Ctr,
    Algorithm::Aes192Ctr,
    Algorithm::Aes256Ctr,
    Algorithm::Sha256,
    Algorithm::HmacSha256,
];

/// A message under an AES key: blocks, or any bytes in counter mode.
struct Job<'a, K> {
    keys: &'a K,
    iv: &'a Block,
    text: &'a mut [u8],
}

/// A session as this device holds it.
struct Session {
    algorithm: Algorithm,
    keys: Keys,
    /// For what goes one by one.
    plain: SharedContext,
}

enum Keys {
    Aes(AesKeys),
    Hash(Start),
}

/// The interleaving device. Keys are wiped when a session closes, or when the run under way then ends.
///
/// ```
/// use acrypto_core::device::{DirectDevice, multi::Multi};
/// assert_eq!(Multi::new().info().kind, "multi");
/// ```
pub struct Multi {
    kernels: Kernels,
    sessions: Lane<Box<Session>>,
    /// Where keys of several lanes stand side by side during a run.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no kernel of ours"))]
    table: Lock<Box<KeyTable>>,
}

/// The sessions that a run finds.
#[derive(Clone, Copy)]
struct Open<'a>(&'a [Option<Box<Session>>]);

impl<'a> Open<'a> {
    /// The session of this handle if it is one of `algorithm`.
    #[inline(always)]
    fn get(self, handle: Handle, algorithm: Algorithm) -> Result<&'a Session, &'static str> {
        match self.0.get(handle.0 as usize) {
            Some(Some(session)) if session.algorithm == algorithm => Ok(session),
            Some(Some(_)) => Err("the session has another algorithm"),
            _ => Err("no such session on the device"),
        }
    }
}

impl Multi {
    /// A device with no session open, with the best kernels the processor has.
    pub fn new() -> Self {
        Self::with_kernels(Kernels::detect())
    }

    fn with_kernels(kernels: Kernels) -> Self {
        Self { kernels, sessions: Lane::new(SESSIONS_MAX), table: Lock::new(KeyTable::new()) }
    }
}

impl Default for Multi {
    fn default() -> Self {
        Self::new()
    }
}

impl DirectDevice for Multi {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            kind: "multi",
            capabilities: Capability::all_of(&ALGORITHMS),
            queue_max_ops: QUEUE_MAX_OPS,
            run_max_ops: RUN_MAX_OPS,
            sessions_max: SESSIONS_MAX,
        }
    }

    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        best::score("multi", spec.algorithm)
    }

    fn open(&self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        let algorithm = spec.algorithm;
        let unknown = Error::NoDevice { algorithm };
        if !ALGORITHMS.contains(&algorithm) {
            return Err(unknown);
        }
        let plain = open::context(algorithm, key)?;
        let keys = match algorithm.class() {
            Class::Digest => Some(Keys::Hash(Start::hash())),
            Class::Mac => Some(Keys::Hash(Start::hmac(key.expose()))),
            class => self.kernels.aes.keys(key.expose(), class == Class::Cbc).map(Keys::Aes),
        };
        self.sessions.open(Box::new(Session { algorithm, keys: keys.ok_or(unknown)?, plain }))
    }

    fn close(&self, handle: Handle) {
        self.sessions.close(handle);
    }

    fn reads_source(&self, kind: OpKind) -> bool {
        matches!(kind, OpKind::Digest | OpKind::Mac)
    }

    fn execute(&self, run: &mut Run<'_>) {
        let Some(first) = run.first() else { return };
        let (algorithm, kind) = (first.algorithm, first.kind);
        self.sessions.with(|sessions| {
            let sessions = Open(sessions);
            match (algorithm.class(), kind) {
                (Class::Cbc, OpKind::Encrypt) if run.len() > 1 => self.cbc_encrypt(algorithm, run, sessions),
                (Class::Cbc, OpKind::Decrypt) => self.cbc_decrypt(algorithm, run, sessions),
                (Class::Ctr, OpKind::Encrypt | OpKind::Decrypt) => self.ctr(algorithm, run, sessions),
                (Class::Digest, OpKind::Digest) | (Class::Mac, OpKind::Mac) => {
                    self.kernels
                        .hash
                        .run(run.iter_mut().filter_map(|op| hash_job(algorithm, kind, op, sessions)));
                }
                _ => run.iter_mut().for_each(|op| plain(op, sessions)),
            }
        });
    }

    fn gains(&self, kind: OpKind, algorithm: Algorithm) -> bool {
        matches!(
            (algorithm.class(), kind),
            (Class::Cbc, OpKind::Encrypt) | (Class::Digest, OpKind::Digest) | (Class::Mac, OpKind::Mac)
        )
    }
}

/// Whether an operation is one of whole blocks, at least one, and not more than lanes count (64 GiB).
#[inline(always)]
fn is_of_blocks(op: &DirectOp<'_>, algorithm: Algorithm, kind: OpKind) -> bool {
    (op.algorithm, op.kind) == (algorithm, kind)
        && op.data.len().is_multiple_of(size_of::<Block>())
        && (1..u32::MAX as usize).contains(&(op.data.len() / size_of::<Block>()))
}

impl Multi {
    fn cbc_encrypt(&self, algorithm: Algorithm, run: &mut Run<'_>, sessions: Open<'_>) {
        let is_wanted = |op: &DirectOp<'_>| is_of_blocks(op, algorithm, OpKind::Encrypt);
        match self.kernels.aes {
            #[cfg(target_arch = "x86_64")]
            AesKernel::Vaes512(vector) => {
                let count = run.len();
                let jobs = Jobs { ops: run.iter_mut(), sessions, is_wanted, keys: scheduled };
                vector.cbc_encrypt(rounds(algorithm), jobs, &mut self.table.lock(), count);
            }
            #[cfg(target_arch = "x86_64")]
            AesKernel::Vaes256(vector) => {
                let jobs = Jobs { ops: run.iter_mut(), sessions, is_wanted, keys: scheduled };
                vector.cbc_encrypt(rounds(algorithm), jobs, &mut self.table.lock());
            }
            AesKernel::Gather => {
                gather::encrypt(Jobs { ops: run.iter_mut(), sessions, is_wanted, keys: ciphered });
            }
        }
    }

    fn cbc_decrypt(&self, algorithm: Algorithm, run: &mut Run<'_>, sessions: Open<'_>) {
        let is_wanted = |op: &DirectOp<'_>| is_of_blocks(op, algorithm, OpKind::Decrypt);
        self.parallel::<CbcDecrypt>(algorithm, run, sessions, is_wanted, inverse);
    }

    fn ctr(&self, algorithm: Algorithm, run: &mut Run<'_>, sessions: Open<'_>) {
        let is_wanted = |op: &DirectOp<'_>| {
            op.algorithm == algorithm
                && matches!(op.kind, OpKind::Encrypt | OpKind::Decrypt)
                && op.iv.as_slice().try_into().is_ok_and(|iv| !ctr::carries(iv, op.data.len()))
        };
        self.parallel::<Ctr>(algorithm, run, sessions, is_wanted, scheduled);
    }

    /// Blocks that do not wait for each other.
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables, reason = "no kernel of ours"))]
    fn parallel<M: Mode>(
        &self,
        algorithm: Algorithm,
        run: &mut Run<'_>,
        sessions: Open<'_>,
        is_wanted: impl Fn(&DirectOp<'_>) -> bool,
        keys: impl Fn(&Keys) -> Option<&Schedule>,
    ) {
        match self.kernels.aes {
            #[cfg(target_arch = "x86_64")]
            AesKernel::Vaes512(vector) => {
                vector.parallel::<M>(
                    rounds(algorithm),
                    Jobs { ops: run.iter_mut(), sessions, is_wanted, keys },
                );
            }
            #[cfg(target_arch = "x86_64")]
            AesKernel::Vaes256(vector) => {
                vector.parallel::<M>(
                    rounds(algorithm),
                    Jobs { ops: run.iter_mut(), sessions, is_wanted, keys },
                );
            }
            // The crate goes by as many blocks of one message as the processor takes.
            AesKernel::Gather => run.iter_mut().for_each(|op| plain(op, sessions)),
        }
    }
}

/// Those of an AES algorithm.
#[cfg(target_arch = "x86_64")]
fn rounds(algorithm: Algorithm) -> Rounds {
    match algorithm {
        Algorithm::Aes128Cbc | Algorithm::Aes128Ctr => Rounds::Ten,
        Algorithm::Aes192Cbc | Algorithm::Aes192Ctr => Rounds::Twelve,
        _ => Rounds::Fourteen,
    }
}

fn scheduled(keys: &Keys) -> Option<&Schedule> {
    match keys {
        Keys::Aes(AesKeys::Schedules(schedule, _)) => Some(schedule),
        _ => None,
    }
}

fn inverse(keys: &Keys) -> Option<&Schedule> {
    match keys {
        Keys::Aes(AesKeys::Schedules(_, Some(inverse))) => Some(inverse),
        _ => None,
    }
}

fn ciphered(keys: &Keys) -> Option<&Cipher> {
    match keys {
        Keys::Aes(AesKeys::Cipher(cipher)) => Some(cipher),
        _ => None,
    }
}

/// The operations of a run as messages for a kernel. What the kernel does not do, or nobody should, is answered on the
/// way; whatever is handed out will be done.
struct Jobs<'a, 'r, W, F> {
    ops: slice::IterMut<'a, DirectOp<'r>>,
    sessions: Open<'a>,
    is_wanted: W,
    keys: F,
}

impl<'a, 'r, K, W, F> Iterator for Jobs<'a, 'r, W, F>
where
    K: 'a,
    W: Fn(&DirectOp<'r>) -> bool,
    F: Fn(&'a Keys) -> Option<&'a K>,
{
    type Item = Job<'a, K>;

    /// An adapter's `next` would be a call for each operation, with the message passed through memory.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let op = self.ops.next()?;
            let keys = self
                .sessions
                .get(op.handle, op.algorithm)
                .ok()
                .and_then(|session| (self.keys)(&session.keys));
            let parts = keys.zip(op.iv.as_slice().try_into().ok());
            let Some((keys, iv)) = parts.filter(|_| (self.is_wanted)(op)) else {
                plain(op, self.sessions);
                continue;
            };
            op.result = Some(Ok(()));
            return Some(Job { keys, iv, text: op.data });
        }
    }
}

fn hash_job<'a>(
    algorithm: Algorithm,
    kind: OpKind,
    op: &'a mut DirectOp<'_>,
    sessions: Open<'a>,
) -> Option<HashJob<'a>> {
    if op.source.is_some_and(|source| source.as_slice().is_none()) {
        // The lanes go through one text each.
        op.load_source();
    }
    match sessions.get(op.handle, op.algorithm).ok().map(|session| &session.keys) {
        Some(Keys::Hash(start)) if op.chain.is_none() && (op.algorithm, op.kind) == (algorithm, kind) => {
            op.result = Some(Ok(()));
            Some(HashJob { start, text: text(op.source, op.data), output: op.output })
        }
        _ => {
            plain(op, sessions);
            None
        }
    }
}

/// What a hash reads.
fn text<'a>(source: Option<&'a Input>, data: &'a [u8]) -> &'a [u8] {
    source.and_then(Input::as_slice).unwrap_or(data)
}

/// One operation by itself, or its refusal.
#[cold]
fn plain(op: &mut DirectOp<'_>, sessions: Open<'_>) {
    let result = match sessions.get(op.handle, op.algorithm) {
        Ok(session) => session.plain.execute(op),
        Err(reason) => Err(refused(reason)),
    };
    op.result = Some(result);
}
