//! The life of a session: allocation, re-key, another tie, its end.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use crossbeam_utils::CachePadded;

use crate::algorithm::{Class, OpKind};
use crate::binding::Binding;
use crate::context::{Context, Part};
use crate::device::registry::Mail;
use crate::error::Error;
use crate::event::{Draft, EventKind, Severity};
use crate::key::{Key, Uses};
use crate::keys;
use crate::order::Order;
use crate::route;
use crate::runtime::{Runtime, check_name};
use crate::session::{Bind, OpenSession, Session, SessionSpec, SessionState, Target};
use crate::shared::Shared;
use crate::stats::counter::Counter;
use crate::stats::tally::Tallies;
use crate::stats::{DeviceSupport, SessionStatus, StageSupport, TenantStatus};
use crate::submit::check::Rules;
use crate::sync::Lock;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

impl Runtime {
    /// Allocates a session.
    ///
    /// # Errors
    /// A wrong key length, an algorithm that must be allowed by name, [`Error::NoDevice`] or [`Error::Limit`].
    pub fn session(&self, spec: SessionSpec, key: Key) -> Result<Session, Error> {
        self.session_with_keys(spec, [key])
    }

    /// Allocates a session with a route: a key for each stage, in the order of the route.
    ///
    /// # Errors
    /// As [`Runtime::session`], and [`Error::BadRoute`], [`Error::KeyCount`], [`Error::NoDeviceForStage`].
    pub fn session_with_keys(&self, spec: SessionSpec, keys: impl Into<Vec<Key>>) -> Result<Session, Error> {
        self.session_with(spec, keys::unrestricted(keys.into()))
    }

    pub(crate) fn session_with(&self, spec: SessionSpec, keys: Vec<(Key, Uses)>) -> Result<Session, Error> {
        let shared = &self.shared;
        if shared.is_stopping() {
            return Err(Error::ShuttingDown);
        }
        let (parts, uses) = shared.parts_of(&spec, keys)?;
        for (stage, part) in parts.iter().enumerate() {
            let algorithm = part.spec.algorithm;
            let may_come = part.spec.bind.as_ref().is_some_and(|bind| bind.only);
            if may_come || shared.serves(algorithm) {
                continue;
            }
            return Err(match spec.route.is_empty() {
                true => Error::NoDevice { algorithm },
                false => Error::NoDeviceForStage { stage: stage + 1, algorithm },
            });
        }
        let state = shared.open_session(spec, parts, uses)?;
        let open = Arc::new(OpenSession { shared: Arc::clone(shared), state });
        let _ = open.state.handles.set(Arc::downgrade(&open));
        Ok(Session { open })
    }

    /// All sessions, by number.
    pub fn sessions(&self) -> Vec<SessionStatus> {
        self.shared.sessions.all().iter().map(|state| self.shared.session_status(state)).collect()
    }

    /// What each device lacks of what a session like this needs, stage by stage.
    pub fn explain_session(&self, spec: &SessionSpec) -> Vec<StageSupport> {
        let devices = self.shared.devices.load();
        route::specs(spec)
            .iter()
            .enumerate()
            .map(|(index, part)| {
                let algorithm = part.algorithm;
                let support = devices.iter().map(|device| DeviceSupport {
                    name: device.name.clone(),
                    obstacle: match device.state() {
                        _ if !device.knows(algorithm) => Some(format!("has no {algorithm}")),
                        state if !state.is_usable() => Some(format!("is {state}")),
                        _ if part.bind.as_ref().is_some_and(|bind| !bind.allows(device)) => {
                            Some("is not what the session is tied to".to_owned())
                        }
                        _ => None,
                    },
                });
                StageSupport { stage: index + 1, algorithm, devices: support.collect() }
            })
            .collect()
    }

    /// The tenants, in the order they came.
    pub fn tenants(&self) -> Vec<TenantStatus> {
        self.shared.tenants.all()
    }

    /// Sets a tenant's weight (1 to [`TENANT_WEIGHT_MAX`](crate::tenant::TENANT_WEIGHT_MAX)) or its limit of operations on their way (0 for none); it need not have a session yet.
    ///
    /// # Errors
    /// [`Error::BadParameter`], [`Error::BadTenant`], [`Error::Limit`].
    pub fn set_tenant(
        &self,
        name: &str,
        weight: Option<u32>,
        limit_ops: Option<u64>,
        uid: u32,
    ) -> Result<(), Error> {
        check_tenant(name)?;
        self.shared.tenants.set(name, weight, limit_ops)?;
        let value = |name: &str, value: Option<String>| value.map(|value| format!("{name}={value}"));
        let changes = [
            value("weight", weight.map(|weight| weight.to_string())),
            value("limit", limit_ops.map(|limit| limit.to_string())),
        ];
        let changes: Vec<String> = changes.into_iter().flatten().collect();
        self.shared.events.push(Draft {
            kind: EventKind::Session,
            severity: Severity::Info,
            object: "tenant",
            name: name.to_owned(),
            from: String::new(),
            to: changes.join(" "),
            reason: String::new(),
            uid,
        });
        Ok(())
    }
}

/// A tenant's name: like others, or `uid:N`.
pub(crate) fn check_tenant(name: &str) -> Result<(), Error> {
    let bare = name.strip_prefix("uid:").unwrap_or(name);
    check_name(bare).map_err(|_| Error::BadTenant { name: name.chars().take(64).collect() })
}

impl Shared {
    /// A part for each stage, and what the session may be used for with these keys.
    fn parts_of(&self, spec: &SessionSpec, keys: Vec<(Key, Uses)>) -> Result<(Box<[Part]>, Uses), Error> {
        if !spec.route.is_empty() {
            route::check(&spec.route)?;
        }
        if !spec.tenant.is_empty() {
            check_tenant(&spec.tenant)?;
        }
        let specs = route::specs(spec);
        if specs.len() != keys.len() {
            return Err(Error::KeyCount { want: specs.len(), got: keys.len() });
        }
        let mut session_uses = spec.uses;
        let part = |(stage, (part, (key, uses))): (usize, (Arc<SessionSpec>, (Key, Uses)))| {
            part.check(&key)?;
            // A route's MAC is made whichever way its operations go; their kind is the cipher's.
            match part.algorithm.class() {
                Class::Mac if !spec.route.is_empty() => {
                    uses.allows(OpKind::Mac).then_some(()).ok_or(Error::NotAllowed { op: OpKind::Mac })?;
                }
                _ => session_uses = session_uses.and(uses),
            }
            let of_stage = spec.route.get(stage).and_then(|stage| stage.bind.as_ref());
            let binding = of_stage.map(|bind| self.binding(bind, spec.uid)).transpose()?;
            Ok(Part { spec: part, key, binding })
        };
        let parts = specs.into_iter().zip(keys).enumerate().map(part).collect::<Result<_, Error>>()?;
        Ok((parts, session_uses))
    }

    fn open_session(
        &self,
        spec: SessionSpec,
        parts: Box<[Part]>,
        uses: Uses,
    ) -> Result<Arc<SessionState>, Error> {
        let binding = spec.bind.as_ref().map_or(Ok(Binding::NONE), |bind| self.binding(bind, spec.uid))?;
        let tenant = self.tenants.join(&spec.tenant_name())?;
        let created = self.now();
        // A session without a route shares its specification with its only stage.
        let spec = match spec.route.is_empty() {
            true => Arc::clone(&parts[0].spec),
            false => Arc::new(spec),
        };
        let opened = self.sessions.insert(|id| {
            let state = Arc::new(SessionState {
                id,
                order: spec.ordered.then(|| Arc::new(Order::default())),
                rules: Rules::of(&spec),
                is_plain: spec.route.is_empty() && !spec.ordered,
                spec,
                tenant: Arc::clone(&tenant),
                created,
                handles: OnceLock::new(),
                place: AtomicU32::new(0),
                live: AtomicU64::new(2),
                closed: AtomicBool::new(false),
                binding: AtomicU32::new(binding.0),
                current: ArcSwapOption::empty(),
                old: Lock::new(Vec::new()),
                rekeys: AtomicU64::new(0),
                current_number: AtomicU64::new(crate::context::number(id, 0)),
                inline: Tallies::default(),
                submitted: Counter::default(),
                ended: CachePadded::default(),
            });
            state.current.store(Some(Arc::new(Context::new(Arc::clone(&state), 0, parts, uses))));
            state
        });
        let state = opened.inspect_err(|_| {
            tenant.sessions.fetch_sub(1, Ordering::Relaxed);
        })?;
        self.session_event(&state, "", "opened", "", state.spec.uid);
        Ok(state)
    }

    /// The word for a tie of this user's.
    fn binding(&self, bind: &Bind, uid: u32) -> Result<Binding, Error> {
        let (name, is_kind) = match &bind.target {
            Target::Device(name) => (name, false),
            Target::Kind(kind) => (kind, true),
        };
        check_name(name)?;
        Ok(Binding::new(self.names.tie(name, uid)?, is_kind, bind.only))
    }

    /// A tie in words.
    fn bind_of(&self, binding: Binding) -> Option<Bind> {
        let (number, is_kind) = binding.target()?;
        let name = self.names.name(number)?;
        let target = if is_kind { Target::Kind(name) } else { Target::Device(name) };
        Some(Bind { target, only: binding.is_only() })
    }

    pub(crate) fn session_status(&self, state: &SessionState) -> SessionStatus {
        state.status(self.bind_of(state.binding()))
    }

    pub(crate) fn bind_session(
        &self,
        state: &SessionState,
        bind: Option<Bind>,
        uid: u32,
    ) -> Result<(), Error> {
        let binding = bind.as_ref().map_or(Ok(Binding::NONE), |bind| self.binding(bind, uid))?;
        let words = |binding| match self.bind_of(binding) {
            None => "any".to_owned(),
            Some(Bind { target: Target::Device(name) | Target::Kind(name), only: true }) => name,
            Some(Bind { target: Target::Device(name) | Target::Kind(name), only: false }) => {
                format!("{name},prefer")
            }
        };
        let from = Binding(state.binding.swap(binding.0, Ordering::Relaxed));
        self.session_event(state, &words(from), &words(binding), "bound", uid);
        Ok(())
    }

    pub(crate) fn rekey_session(
        &self,
        state: &Arc<SessionState>,
        keys: Vec<(Key, Uses)>,
        uid: u32,
    ) -> Result<(), Error> {
        let (parts, uses) = self.parts_of(&state.spec, keys)?;
        let replaced = {
            // One re-key at a time; it also keeps a context findable while it changes from current to old.
            let mut old = state.old.lock();
            let Some(current) = state.current.load_full() else {
                return Err(Error::UnknownSession { id: state.id });
            };
            state.rekeys.fetch_add(1, Ordering::Relaxed);
            old.push(Arc::clone(&current));
            state.live.fetch_add(1, Ordering::AcqRel);
            // Generations come round after a million; one that has operations on their way keeps its number.
            let is_taken = |generation| {
                old.iter().any(|context| context.number == crate::context::number(state.id, generation))
            };
            let mut generation = crate::context::generation_of(current.number) + 1;
            while is_taken(generation) {
                generation += 1;
            }
            let next = Context::new(Arc::clone(state), generation, parts, uses);
            let number = next.number;
            state.current.store(Some(Arc::new(next)));
            state.current_number.store(number, Ordering::Release);
            current
        };
        self.release_context(&replaced, 1);
        self.session_event(state, "", "re-keyed", "", uid);
        Ok(())
    }

    /// The last handle is gone: nothing more is submitted, what is on its way ends.
    pub(crate) fn close_session(&self, state: &SessionState) {
        state.closed.store(true, Ordering::Release);
        let last = {
            let mut old = state.old.lock();
            let last = state.current.load_full();
            old.extend(last.clone());
            state.current.store(None);
            state.current_number.store(0, Ordering::Release);
            last
        };
        if let Some(last) = last {
            self.release_context(&last, 1);
        }
        self.release_session(state);
    }

    /// Counts operations (or the session's own hold) out of a context; with the last, devices forget it and its keys.
    #[inline]
    pub(crate) fn release_context(&self, context: &Context, count: u64) {
        if context.release(count) {
            self.end_context(context);
        }
    }

    fn end_context(&self, context: &Context) {
        let session = &context.session;
        let ended = {
            let mut old = session.old.lock();
            let place = old.iter().position(|other| other.number == context.number);
            place.map(|place| old.swap_remove(place))
        };
        for device in self.devices.load().iter() {
            for stage in 0..context.parts.len() {
                device.post(Mail::Close(crate::context::at_stage(context.number, stage)));
            }
        }
        drop(ended);
        self.release_session(session);
    }

    fn release_session(&self, session: &SessionState) {
        if session.live.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.sessions.remove(session.id);
            session.tenant.sessions.fetch_sub(1, Ordering::Relaxed);
            self.session_event(session, "opened", "closed", "", session.spec.uid);
        }
    }

    fn session_event(&self, session: &SessionState, from: &str, to: &str, reason: &str, uid: u32) {
        let algorithms = match session.spec.route.as_slice() {
            [] => session.spec.algorithm.name().to_owned(),
            route => route.iter().map(|stage| stage.algorithm.name()).collect::<Vec<_>>().join(","),
        };
        let reason = if reason.is_empty() { algorithms } else { format!("{reason}, {algorithms}") };
        self.events.push(Draft {
            kind: EventKind::Session,
            severity: Severity::Info,
            object: "session",
            name: format!("{:#x}", session.id),
            from: from.to_owned(),
            to: to.to_owned(),
            reason,
            uid,
        });
    }

    /// The context with this number.
    pub(crate) fn context(&self, number: u64) -> Option<Arc<Context>> {
        self.sessions.find(crate::context::session_of(number))?.context(number)
    }
}
