//! `aws-lc`: AWS-LC by way of the crate aws-lc-rs, on the calling thread.
//!
//! It is there for what one operation at a time gains from assembler of a single author: AES-GCM with AES and GHASH
//! interleaved, ChaCha20-Poly1305 likewise, SHA-384 and SHA-512. It takes the other modes, hashes and MACs whose calls
//! work in place and expand the key once:
//!
//! | | here | why |
//! | --- | --- | --- |
//! | aes-gcm, chacha20-poly1305 | yes | `LessSafeKey`: nonce by value, tag apart, in place |
//! | aes-cbc, aes-ctr | yes | `EncryptingKey` and `DecryptingKey`: in place, no padding, no allocation |
//! | sha1, sha256, sha384, sha512, hmac | yes, but not in chunks | the library does not take in the midstate that streams carry |
//! | aes-ecb | no | the library goes block by block |
//! | aes-128-cbc-hmac-sha256 | no | its combined form is TLS's, MAC first; a route has both stages |
//! | random | no | random bytes come from the operating system, which `soft` asks |
//!
//! Keys are wiped by the library when a session is closed and the run that may still use it has ended; copies that its
//! constructors leave on the stack are out of our reach.

use crate::algorithm::{Algorithm, Class, OpKind};
use crate::device::lane::Lane;
use crate::device::{
    Capability, DeviceError, DeviceInfo, DirectDevice, DirectOp, Handle, RUN_MAX_OPS, Run, Score, best,
};
use crate::error::{Error, Progress};
use crate::key::Key;
use crate::session::SessionSpec;

use self::context::Context;

mod aead;
mod cipher;
mod context;
mod hash;
#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests;

const QUEUE_MAX_OPS: usize = 512;
const SESSIONS_MAX: usize = 1 << 20;

/// What it can do.
const ALGORITHMS: [Algorithm; 17] = [
    Algorithm::Aes128Cbc,
    Algorithm::Aes192Cbc,
    Algorithm::Aes256Cbc,
    Algorithm::Aes128Ctr,
    Algorithm::Aes192Ctr,
    Algorithm::Aes256Ctr,
    Algorithm::Aes128Gcm,
    Algorithm::Aes192Gcm,
    Algorithm::Aes256Gcm,
    Algorithm::ChaCha20Poly1305,
    Algorithm::Sha1,
    Algorithm::Sha256,
    Algorithm::Sha384,
    Algorithm::Sha512,
    Algorithm::HmacSha256,
    Algorithm::HmacSha384,
    Algorithm::HmacSha512,
];

/// The device.
///
/// ```
/// use acrypto_core::device::{DirectDevice, aws_lc::AwsLc};
/// assert_eq!(AwsLc::new().info().kind, "aws-lc");
/// ```
pub struct AwsLc {
    sessions: Lane<Session>,
}

/// A session as this device holds it.
struct Session {
    algorithm: Algorithm,
    context: Context,
}

impl AwsLc {
    /// A device with no session open.
    pub fn new() -> Self {
        Self { sessions: Lane::new(SESSIONS_MAX) }
    }
}

impl Default for AwsLc {
    fn default() -> Self {
        Self::new()
    }
}

impl DirectDevice for AwsLc {
    fn info(&self) -> DeviceInfo {
        let mut capabilities = Capability::all_of(&ALGORITHMS);
        for capability in &mut capabilities {
            capability.stream &= matches!(capability.algorithm.class(), Class::Cbc | Class::Ctr);
        }
        DeviceInfo {
            kind: "aws-lc",
            capabilities,
            queue_max_ops: QUEUE_MAX_OPS,
            run_max_ops: RUN_MAX_OPS,
            sessions_max: SESSIONS_MAX,
        }
    }

    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        best::score("aws-lc", spec.algorithm)
    }

    fn open(&self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        let context = Context::new(spec.algorithm, key)?;
        self.sessions.open(Session { algorithm: spec.algorithm, context })
    }

    fn close(&self, handle: Handle) {
        self.sessions.close(handle);
    }

    fn execute(&self, run: &mut Run<'_>) {
        self.sessions.with(|sessions| {
            for op in run {
                op.result = Some(answer(sessions, op));
            }
        });
    }

    /// The library's ciphers work in place.
    fn reads_source(&self, kind: OpKind) -> bool {
        matches!(kind, OpKind::Digest | OpKind::Mac)
    }
}

fn answer(sessions: &[Option<Session>], op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
    match sessions.get(op.handle.0 as usize) {
        Some(Some(session)) if session.algorithm == op.algorithm => session.context.execute(op),
        Some(Some(_)) => Err(refused("the session has another algorithm")),
        _ => Err(refused("no such session on the device")),
    }
}

/// An operation that was not begun because it makes no sense; the runtime lets none of these through.
fn refused(reason: &'static str) -> DeviceError {
    DeviceError::Failed { reason, progress: Progress::NotStarted, source_intact: true }
}
