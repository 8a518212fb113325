//! Operations: submitted through the protocol, and the census of live ones.

use crate::attr::{Fault, Reader, Writer};
use crate::family::attribute::op as a;

use super::token::tokens;

tokens! {
    /// What an operation does.
    OpKind, default Encrypt {
        /// Plaintext to ciphertext; an AEAD appends its tag.
        Encrypt = 1 "encrypt",
        /// Ciphertext to plaintext; an AEAD verifies before it releases a byte.
        Decrypt = 2 "decrypt",
        /// Message digest.
        Digest = 3 "digest",
        /// Message authentication code.
        Mac = 4 "mac",
        /// Random bytes.
        Random = 5 "random",
        /// Signature over a message.
        Sign = 6 "sign",
        /// Check of a signature.
        Verify = 7 "verify",
    }
}

/// One operation to submit to a session the caller owns.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OpSubmit {
    /// The session's id.
    pub session: u64,
    /// What to do.
    pub kind: OpKind,
    /// Input, at most 32 KiB; for `random` as many bytes as are wanted, their content is ignored.
    pub data: Vec<u8>,
    /// Initialisation vector, of the algorithm's length.
    pub iv: Vec<u8>,
    /// Associated data of an AEAD.
    pub aad: Vec<u8>,
}

impl std::fmt::Debug for OpSubmit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpSubmit")
            .field("session", &self.session)
            .field("kind", &self.kind)
            .field("data_bytes", &self.data.len())
            .field("iv_bytes", &self.iv.len())
            .field("aad_bytes", &self.aad.len())
            .finish()
    }
}

/// What a submitted operation came to.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OpReply {
    /// Output of encrypt, decrypt and random.
    pub data: Vec<u8>,
    /// Digest or MAC.
    pub output: Vec<u8>,
    /// Name of the device of the last attempt; empty when it is gone.
    pub device: String,
    /// Attempts made.
    pub attempts: u32,
    /// Nanoseconds from submission to the start of the last attempt.
    pub queue_ns: u64,
    /// Nanoseconds of the last attempt.
    pub service_ns: u64,
}

impl std::fmt::Debug for OpReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpReply")
            .field("data_bytes", &self.data.len())
            .field("output_bytes", &self.output.len())
            .field("device", &self.device)
            .field("attempts", &self.attempts)
            .field("queue_ns", &self.queue_ns)
            .field("service_ns", &self.service_ns)
            .finish()
    }
}

/// One live operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpInfo {
    /// Number.
    pub id: u64,
    /// Its session.
    pub session: u64,
    /// What it does.
    pub kind: OpKind,
    /// OpenSSL's name of the algorithm.
    pub algorithm: String,
    /// Length, in bytes.
    pub bytes: u64,
    /// `waiting`, `queued` or `running`.
    pub state: String,
    /// Device that has it; empty if none.
    pub device: String,
    /// Attempts made so far.
    pub attempts: u32,
    /// Nanoseconds since submission.
    pub age_ns: u64,
}

impl OpSubmit {
    /// Adds the attributes of `op-submit`.
    pub fn write(&self, out: &mut Writer) {
        out.u64(a::SESSION, self.session)
            .u32(a::KIND, self.kind as u32)
            .bytes(a::IV, &self.iv)
            .bytes(a::AAD, &self.aad)
            .bytes(a::DATA, &self.data);
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        Ok(Self {
            session: from.u64(a::SESSION)?,
            kind: from.token(a::KIND, OpKind::from_number)?,
            data: from.bytes(a::DATA),
            iv: from.bytes(a::IV),
            aad: from.bytes(a::AAD),
        })
    }
}

impl OpReply {
    /// Adds the attributes of the answer to `op-submit`.
    pub fn write(&self, out: &mut Writer) {
        out.string(a::DEVICE, &self.device)
            .u32(a::ATTEMPTS, self.attempts)
            .u64(a::QUEUE_NS, self.queue_ns)
            .u64(a::SERVICE_NS, self.service_ns)
            .bytes(a::DATA, &self.data)
            .bytes(a::OUTPUT, &self.output);
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        Ok(Self {
            data: from.bytes(a::DATA),
            output: from.bytes(a::OUTPUT),
            device: from.string(a::DEVICE)?,
            attempts: from.u32(a::ATTEMPTS)?,
            queue_ns: from.u64(a::QUEUE_NS)?,
            service_ns: from.u64(a::SERVICE_NS)?,
        })
    }
}

impl OpInfo {
    /// Adds the attributes of `op-get`.
    pub fn write(&self, out: &mut Writer) {
        out.u64(a::ID, self.id)
            .u64(a::SESSION, self.session)
            .u32(a::KIND, self.kind as u32)
            .string(a::ALGORITHM, &self.algorithm)
            .u64(a::BYTES, self.bytes)
            .string(a::STATE, &self.state)
            .string(a::DEVICE, &self.device)
            .u32(a::ATTEMPTS, self.attempts)
            .u64(a::AGE_NS, self.age_ns);
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        Ok(Self {
            id: from.u64(a::ID)?,
            session: from.u64(a::SESSION)?,
            kind: from.token(a::KIND, OpKind::from_number)?,
            algorithm: from.string(a::ALGORITHM)?,
            bytes: from.u64(a::BYTES)?,
            state: from.string(a::STATE)?,
            device: from.string(a::DEVICE)?,
            attempts: from.u32(a::ATTEMPTS)?,
            age_ns: from.u64(a::AGE_NS)?,
        })
    }
}
