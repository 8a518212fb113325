//! Sessions: an algorithm, a key and preferences, allocated once and used for many operations.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwapOption;
use crossbeam_utils::CachePadded;

use crate::algorithm::{Algorithm, Class};
use crate::binding::Binding;
use crate::clock::Nanos;
use crate::context::Context;
use crate::device::registry::Device;
use crate::error::Error;
use crate::key::{Key, Uses};
use crate::keys;
use crate::order::Order;
use crate::route::Stage;
use crate::shared::Shared;
use crate::stats::SessionStatus;
use crate::stats::counter::{Counter, EndCounts};
use crate::stats::tally::Tallies;
use crate::submit::check::Rules;
use crate::sync::Lock;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::tenant::Tenant;

/// Who pads a block mode's last block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Padding {
    /// The caller gives whole blocks.
    #[default]
    None,
    /// PKCS#7 (RFC 5652 section 6.3), as `openssl enc` does.
    Pkcs7,
}

/// What a session may be tied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The device of this name, whether it is there now or comes later.
    Device(String),
    /// The devices of this kind.
    Kind(String),
}

/// A tie to a device or a kind of device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The device or kind.
    pub target: Target,
    /// Never another one: while none is in service, operations wait until their deadline and are broken then. Otherwise it
    /// is a preference, and any device may serve when none of these can.
    pub only: bool,
}

impl Bind {
    /// Only this device.
    pub fn only(device: impl Into<String>) -> Self {
        Self { target: Target::Device(device.into()), only: true }
    }

    /// This device if it can.
    pub fn prefer(device: impl Into<String>) -> Self {
        Self { target: Target::Device(device.into()), only: false }
    }

    /// Only devices of this kind.
    pub fn only_kind(kind: impl Into<String>) -> Self {
        Self { target: Target::Kind(kind.into()), only: true }
    }

    /// Devices of this kind if one of them can.
    pub fn prefer_kind(kind: impl Into<String>) -> Self {
        Self { target: Target::Kind(kind.into()), only: false }
    }

    /// Whether a session with this tie may use the device. It compares names: looking leaves no number behind.
    pub(crate) fn allows(&self, device: &Device) -> bool {
        !self.only
            || match &self.target {
                Target::Device(name) => device.name == *name,
                Target::Kind(kind) => device.info.kind == kind.as_str(),
            }
    }
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
    /// Results are handed over in the order of submission.
    pub ordered: bool,
    /// What the session is tied to.
    pub bind: Option<Bind>,
    /// Whose share of the devices its work counts in; empty for the user's own, `uid:N`.
    pub tenant: String,
    /// What may be done with it; [`Uses::ALL`] leaves it to the algorithm.
    pub uses: Uses,
    /// Stages that an operation goes through, in the order of encryption; empty for the algorithm alone. See
    /// [`Stage`].
    pub route: Vec<Stage>,
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
            ordered: false,
            bind: None,
            tenant: String::new(),
            uses: Uses::ALL,
            route: Vec::new(),
        }
    }

    /// A session whose operations go through these stages, at most [`ROUTE_STAGES_MAX`](crate::route::ROUTE_STAGES_MAX).
    pub fn with_route(stages: impl Into<Vec<Stage>>) -> Self {
        let route = stages.into();
        let algorithm = route.first().map_or(Algorithm::Null, |stage| stage.algorithm);
        Self { route, ..Self::new(algorithm) }
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

    /// With results in the order of submission.
    pub fn ordered(mut self, ordered: bool) -> Self {
        self.ordered = ordered;
        self
    }

    /// Tied to a device or a kind of device.
    pub fn bind(mut self, bind: Bind) -> Self {
        self.bind = Some(bind);
        self
    }

    /// Counting in this tenant's share.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// For these uses only.
    pub fn uses(mut self, uses: Uses) -> Self {
        self.uses = uses;
        self
    }

    /// Name of the tenant it counts for.
    pub(crate) fn tenant_name(&self) -> String {
        if self.tenant.is_empty() { format!("uid:{}", self.uid) } else { self.tenant.clone() }
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
        let cipher = crate::route::cipher(&self.route).unwrap_or(self.algorithm);
        self.padding == Padding::Pkcs7 && cipher.needs_whole_blocks()
    }
}

/// What handles, operations and devices share of a session.
///
/// In memory what is looked at for each operation that is carried out at once comes first, in one cache line: of a burst of
/// many sessions each has a line fetched for it.
#[repr(C)]
pub(crate) struct SessionState {
    /// What its requests must be, if it has no route.
    pub(crate) rules: Rules,
    pub(crate) tenant: Arc<Tenant>,
    /// Number of the current context, 0 when the session is closed.
    pub(crate) current_number: AtomicU64,
    /// Where it was found last among the contexts that are open on a device.
    pub(crate) place: AtomicU32,
    /// [`Binding`] in force.
    pub(crate) binding: AtomicU32,
    /// No route and no order: a submitter may carry its operations out at once.
    pub(crate) is_plain: bool,
    pub(crate) closed: AtomicBool,
    pub(crate) id: u64,
    pub(crate) spec: Arc<SessionSpec>,
    pub(crate) created: Nanos,
    /// The handles, once there are any.
    pub(crate) handles: OnceLock<Weak<OpenSession>>,
    /// Contexts that have not ended, plus one while a handle is open.
    pub(crate) live: AtomicU64,
    pub(crate) order: Option<Arc<Order>>,
    /// What operations are submitted under; nothing when the session is closed.
    pub(crate) current: ArcSwapOption<Context>,
    /// Contexts that were current, with operations on their way.
    pub(crate) old: Lock<Vec<Arc<Context>>>,
    pub(crate) rekeys: AtomicU64,
    pub(crate) submitted: Counter,
    /// Submitted and completed at once.
    pub(crate) inline: Tallies,
    /// Last, since nothing is behind it that would have to be padded.
    pub(crate) ended: CachePadded<EndCounts>,
}

#[cfg(not(loom))]
const _: () = assert!(std::mem::offset_of!(SessionState, closed) < 64 && align_of::<SessionState>() >= 64);

impl fmt::Debug for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionState").field("id", &self.id).field("algorithm", &self.spec.algorithm).finish()
    }
}

impl SessionState {
    #[inline]
    pub(crate) fn binding(&self) -> Binding {
        Binding(self.binding.load(Ordering::Relaxed))
    }

    /// The context that operations are submitted under now, with `count` counted into it.
    pub(crate) fn hold_current(&self, count: u64) -> Result<Arc<Context>, Error> {
        loop {
            let context = self.current.load_full().ok_or(Error::UnknownSession { id: self.id })?;
            // One that was replaced meanwhile, and has ended, is not for new operations.
            if context.hold(count) {
                return Ok(context);
            }
        }
    }

    /// Counts operations that were not carried out at once, and are over.
    #[inline]
    pub(crate) fn count_ended(&self, ops: u64, bytes: u64, failed: u64) {
        let (own, tenant) = (&self.ended, &self.tenant.ended);
        if bytes > 0 {
            own.bytes.add(bytes);
            tenant.bytes.add(bytes);
        }
        if failed > 0 {
            own.failed.add(failed);
        }
        own.completed.add(ops);
        tenant.completed.add(ops);
    }

    /// The context with this number, whatever its stage.
    pub(crate) fn context(&self, number: u64) -> Option<Arc<Context>> {
        let number = crate::context::at_stage(number, 0);
        // Old ones first: a context is put there before it stops being current.
        let find_old = || self.old.lock().iter().find(|context| context.number == number).cloned();
        let current = self.current.load_full().filter(|context| context.number == number);
        current.or_else(find_old)
    }

    /// The row; the tie is in words that only the runtime knows.
    pub(crate) fn status(&self, bind: Option<Bind>) -> SessionStatus {
        let (inline_ops, inline_bytes) = self.inline.read();
        let completed_ops = self.ended.completed.read() + inline_ops;
        let submitted_ops = self.submitted.read() + inline_ops;
        SessionStatus {
            id: self.id,
            algorithm: self.spec.algorithm,
            name: self.spec.name.clone(),
            priority: self.spec.priority,
            uid: self.spec.uid,
            submitted_ops,
            completed_ops,
            failed_ops: self.ended.failed.read(),
            bytes: self.ended.bytes.read() + inline_bytes,
            in_flight_ops: submitted_ops.saturating_sub(completed_ops),
            created_ns: self.created.0,
            device: match &bind {
                Some(Bind { target: Target::Device(name), .. }) => Some(name.clone()),
                _ => None,
            },
            bind,
            is_ordered: self.order.is_some(),
            tenant: self.tenant.name.clone(),
            uses: self.current.load().as_ref().map_or(self.spec.uses, |context| context.uses),
            route: self.spec.route.iter().map(|stage| stage.algorithm).collect(),
            rekeys: self.rekeys.load(Ordering::Relaxed),
            handles: self.handles.get().map_or(0, Weak::strong_count),
        }
    }
}

/// A handle on a session. Clones share it; the session ends with the last handle and the last operation, and its key
/// is wiped then.
pub struct Session {
    /// One pointer, for each operation that is awaited takes a handle along.
    pub(crate) open: Arc<OpenSession>,
}

/// What all handles on a session share.
#[derive(Debug)]
pub(crate) struct OpenSession {
    pub(crate) shared: Arc<Shared>,
    pub(crate) state: Arc<SessionState>,
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.shared.close_session(&self.state);
    }
}

impl Session {
    /// Number within the runtime.
    pub fn id(&self) -> u64 {
        self.open.state.id
    }

    /// What it was allocated with.
    pub fn spec(&self) -> &SessionSpec {
        &self.open.state.spec
    }

    /// Its counters.
    pub fn status(&self) -> SessionStatus {
        self.open.shared.session_status(&self.open.state)
    }

    /// Another key from now on, for each stage of a route; what is on its way goes on under the old one, which is wiped with the last of it.
    /// What a named key did not allow is allowed again, within [`SessionSpec::uses`].
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::KeyCount`]; the session goes on with its key then.
    pub fn rekey(&self, keys: impl Into<Vec<Key>>, uid: u32) -> Result<(), Error> {
        self.open.shared.rekey_session(&self.open.state, keys::unrestricted(keys.into()), uid)
    }

    /// Ties the session to another device or kind of device, or to none. Operations that wait already keep the tie they
    /// were submitted with.
    ///
    /// # Errors
    /// [`Error::BadName`].
    pub fn bind(&self, bind: Option<Bind>, uid: u32) -> Result<(), Error> {
        self.open.shared.bind_session(&self.open.state, bind, uid)
    }
}

impl Clone for Session {
    fn clone(&self) -> Self {
        Self { open: Arc::clone(&self.open) }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id())
            .field("algorithm", &self.open.state.spec.algorithm)
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
