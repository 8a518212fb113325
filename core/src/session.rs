//! Sessions: an algorithm, a key and preferences, allocated once and used for many operations.

use std::fmt;
use std::sync::Arc;

use crate::algorithm::{Algorithm, Class};
use crate::clock::Nanos;
use crate::error::Error;
use crate::key::Key;
use crate::shared::Shared;
use crate::stats::SessionStatus;
use crate::stats::counter::Counter;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Who pads a block mode's last block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Padding {
    /// The caller gives whole blocks.
    #[default]
    None,
    /// PKCS#7 (RFC 5652 section 6.3), as `openssl enc` does.
    Pkcs7,
}

/// What a session is allocated with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionSpec {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Padding of a block mode; other algorithms ignore it.
    pub padding: Padding,
    /// 0 to 7, 7 highest.
    pub priority: u8,
    /// Time to live of an operation that names none, in nanoseconds; 0 takes the runtime's.
    pub deadline_ns: u64,
    /// ECB must be allowed by name.
    pub allow_ecb: bool,
    /// SHA-1 must be allowed by name; it is for checking old digests only.
    pub allow_sha1: bool,
    /// The user the session belongs to.
    pub uid: u32,
    /// A name for people; may be empty.
    pub name: String,
}

/// Priority of a session that names none.
pub const PRIORITY_DEFAULT: u8 = 3;
/// Number of priorities.
pub const PRIORITIES: usize = 8;

impl SessionSpec {
    /// A session of `algorithm` with default preferences.
    pub fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            padding: Padding::None,
            priority: PRIORITY_DEFAULT,
            deadline_ns: 0,
            allow_ecb: false,
            allow_sha1: false,
            uid: 0,
            name: String::new(),
        }
    }

    /// With this padding.
    pub fn padding(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }

    /// With this priority, 0 to 7.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// With this time to live, in nanoseconds.
    pub fn deadline_ns(mut self, deadline_ns: u64) -> Self {
        self.deadline_ns = deadline_ns;
        self
    }

    /// Allows ECB.
    pub fn allow_ecb(mut self, allow: bool) -> Self {
        self.allow_ecb = allow;
        self
    }

    /// Allows SHA-1.
    pub fn allow_sha1(mut self, allow: bool) -> Self {
        self.allow_sha1 = allow;
        self
    }

    /// Owned by this user.
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = uid;
        self
    }

    /// With a name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    pub(crate) fn check(&self, key: &Key) -> Result<(), Error> {
        let algorithm = self.algorithm;
        let lengths = algorithm.key_len();
        if !lengths.contains(&key.len()) {
            let want = if lengths.start() == lengths.end() {
                lengths.start().to_string()
            } else {
                format!("{} to {}", lengths.start(), lengths.end())
            };
            return Err(Error::KeyLength { algorithm, want, got: key.len() });
        }
        if usize::from(self.priority) >= PRIORITIES {
            return Err(Error::BadParameter {
                name: "priority".to_owned(),
                value: self.priority.to_string(),
                expected: "from 0 to 7".to_owned(),
            });
        }
        match algorithm.class() {
            Class::Ecb if !self.allow_ecb => Err(Error::EcbNotAllowed { algorithm }),
            Class::Digest if algorithm == Algorithm::Sha1 && !self.allow_sha1 => Err(Error::Sha1NotAllowed),
            _ => Ok(()),
        }
    }

    /// Whether the runtime pads operations of this session.
    pub(crate) fn pads(&self) -> bool {
        self.padding == Padding::Pkcs7 && self.algorithm.needs_whole_blocks()
    }
}

/// What handles, operations and devices share of a session.
pub(crate) struct SessionState {
    pub(crate) id: u64,
    pub(crate) spec: SessionSpec,
    pub(crate) key: Key,
    pub(crate) created: Nanos,
    pub(crate) handles: AtomicUsize,
    /// Operations accepted and not completed, plus one while a handle is open.
    pub(crate) live: AtomicU64,
    pub(crate) closed: AtomicBool,
    pub(crate) submitted: Counter,
    pub(crate) completed: Counter,
    pub(crate) failed: Counter,
    pub(crate) bytes: Counter,
}

impl fmt::Debug for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionState").field("id", &self.id).field("algorithm", &self.spec.algorithm).finish()
    }
}

impl SessionState {
    pub(crate) fn status(&self) -> SessionStatus {
        let completed_ops = self.completed.read();
        let submitted_ops = self.submitted.read();
        SessionStatus {
            id: self.id,
            algorithm: self.spec.algorithm,
            name: self.spec.name.clone(),
            priority: self.spec.priority,
            uid: self.spec.uid,
            submitted_ops,
            completed_ops,
            failed_ops: self.failed.read(),
            bytes: self.bytes.read(),
            in_flight_ops: submitted_ops.saturating_sub(completed_ops),
            created_ns: self.created.0,
            device: None,
            handles: self.handles.load(Ordering::Relaxed),
        }
    }
}

/// A handle on a session. Clones share it; the session ends with the last handle and the last operation, and its key
/// is wiped then.
pub struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) state: Arc<SessionState>,
}

impl Session {
    /// Number within the runtime.
    pub fn id(&self) -> u64 {
        self.state.id
    }

    /// What it was allocated with.
    pub fn spec(&self) -> &SessionSpec {
        &self.state.spec
    }

    /// Its counters.
    pub fn status(&self) -> SessionStatus {
        self.state.status()
    }
}

impl Clone for Session {
    fn clone(&self) -> Self {
        self.state.handles.fetch_add(1, Ordering::AcqRel);
        Self { shared: Arc::clone(&self.shared), state: Arc::clone(&self.state) }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.state.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.state.closed.store(true, Ordering::Release);
            self.shared.release_session(&self.state, 1);
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id())
            .field("algorithm", &self.state.spec.algorithm)
            .finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_the_wrong_length_is_refused_with_both_lengths() {
        let spec = SessionSpec::new(Algorithm::Aes128Gcm);
        let error = spec.check(&Key::new(vec![0; 15])).unwrap_err();
        assert_eq!(error.to_string(), "aes-128-gcm needs a key of 16 bytes, got 15");
        let error = SessionSpec::new(Algorithm::HmacSha256).check(&Key::new(vec![0; 4097])).unwrap_err();
        assert_eq!(error.to_string(), "hmac-sha256 needs a key of 1 to 4096 bytes, got 4097");
    }

    #[test]
    fn ecb_and_sha1_must_be_allowed_by_name() {
        let key = Key::new(vec![0; 16]);
        assert!(SessionSpec::new(Algorithm::Aes128Ecb).check(&key).is_err());
        assert!(SessionSpec::new(Algorithm::Aes128Ecb).allow_ecb(true).check(&key).is_ok());
        assert_eq!(SessionSpec::new(Algorithm::Sha1).check(&Key::none()), Err(Error::Sha1NotAllowed));
        assert!(SessionSpec::new(Algorithm::Sha1).allow_sha1(true).check(&Key::none()).is_ok());
    }

    #[test]
    fn priority_seven_fits_and_eight_does_not() {
        let spec = SessionSpec::new(Algorithm::Sha256);
        assert!(spec.clone().priority(7).check(&Key::none()).is_ok());
        assert!(spec.priority(8).check(&Key::none()).is_err());
    }
}
