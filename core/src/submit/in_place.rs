//! Operations that are handed in, carried out and handed back where they lie, to be used again.
//!
//! What most of a short operation's way costs in the other faces is that its request becomes a completion, and the caller
//! makes a request of that again. Here both are one, and it stays where it is. Work that cannot be carried out at once goes
//! the other way all the same, and its results come back to the same places.

use std::mem::take;
use std::sync::Arc;

use super::blocking::block_on;
use super::face::FUTURE;
use super::future::OpFuture;
use super::inline::{Caller, Entry, Order};
use crate::balancer::routing::Routing;
use crate::device::RUN_MAX_OPS;
use crate::error::{Error, OpError};
use crate::op::{Completion, DeviceId, Iv, Output, Refused, Request};
use crate::runtime::Runtime;
use crate::session::Session;
use crate::shared::Shared;

/// An operation that is used again and again: what is asked, and after each call what came of it.
///
/// ```
/// use acrypto_core::{Algorithm, Config, Key, Op, OpKind, Request, Runtime, SessionSpec};
///
/// # let runtime = Runtime::start(Config::default())?;
/// # runtime.add_device_of_kind("soft0", "soft", &[], 0)?;
/// let session = runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![7; 16]))?;
/// let mut ops: Vec<Op> = (0..32).map(|n| Op::new(Request::encrypt(vec![n; 64], [n; 16]))).collect();
/// for _packets in 0..3 {
///     // ... fill `request.data` and `request.iv` of each ...
///     assert_eq!(session.call_each(&mut ops), 32);
///     assert!(ops.iter().all(|op| op.result.is_ok()));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Op {
    /// What to do. After the call `data` and, of an operation that is scattered or out of place, its input are as a
    /// [`Completion`] has them; the rest is as it was.
    pub request: Request,
    /// How it ended.
    pub result: Result<(), CallError>,
    /// Digest or MAC; empty for other kinds.
    pub output: Output,
    /// Device of the last attempt; `None` when no device had it.
    pub device: Option<DeviceId>,
    /// Attempts made.
    pub attempts: u16,
    /// Nanoseconds from submission to the start of the last attempt (granularity: the run).
    pub queue_ns: u64,
    /// Nanoseconds of the last attempt, as [`Completion::service_ns`].
    pub service_ns: u64,
    /// Nanoseconds from submission to the end; 0 as `service_ns`.
    pub total_ns: u64,
    made_iv: Iv,
}

/// Why an operation of a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It was not accepted; its request is as it was.
    #[error(transparent)]
    Refused(Box<Error>),
    /// It was accepted, and failed.
    #[error(transparent)]
    Op(#[from] OpError),
}

impl Op {
    /// An operation to be called.
    pub fn new(request: Request) -> Self {
        Self {
            request,
            result: Ok(()),
            output: Output::none(),
            device: None,
            attempts: 0,
            queue_ns: 0,
            service_ns: 0,
            total_ns: 0,
            made_iv: Iv::NONE,
        }
    }

    /// The iv that it was carried out with: that of the request, or the one that the runtime made.
    pub fn iv(&self) -> Iv {
        if self.request.runtime_iv { self.made_iv } else { self.request.iv }
    }

    /// Takes over what came of it; of the request there is what was asked.
    fn end(&mut self, asked: Request, completion: Completion) {
        if asked.runtime_iv {
            self.made_iv = completion.iv;
        }
        self.request =
            Request { data: completion.data, chain: completion.chain, input: completion.input, ..asked };
        self.result = completion.result.map_err(CallError::Op);
        self.output = completion.output;
        self.device = completion.device;
        self.attempts = completion.attempts;
        self.queue_ns = completion.queue_ns;
        self.service_ns = completion.service_ns;
        self.total_ns = completion.total_ns;
    }

    fn refuse(&mut self, refused: Refused) {
        self.request = refused.request;
        self.result = Err(CallError::Refused(Box::new(refused.error)));
        (self.output, self.device, self.attempts) = (Output::none(), None, 0);
        (self.queue_ns, self.service_ns, self.total_ns) = (0, 0, 0);
    }

    /// It was carried out at once, and succeeded.
    #[inline(always)]
    pub(super) fn succeed(&mut self, device: DeviceId, service_ns: u64) {
        self.result = Ok(());
        self.device = Some(device);
        self.attempts = 1;
        self.queue_ns = 0;
        self.service_ns = service_ns;
        self.total_ns = service_ns;
    }
}

/// What stays of a request when its data and input go away.
pub(super) fn asked(request: &Request) -> Request {
    Request {
        iv: request.iv,
        aad: request.aad.clone(),
        user_data: request.user_data,
        deadline_ns: request.deadline_ns,
        runtime_iv: request.runtime_iv,
        kind: request.kind,
        ..Request::default()
    }
}

impl Session {
    /// Carries out many operations on this thread, if a direct device is idle, else waits for them; returns how many
    /// succeeded. Each has its [result](Op::result).
    ///
    /// For loops over packets: nothing is allocated, moved or copied for an operation that is carried out at once. Those that
    /// the runtime pads, makes an iv for or reads elsewhere take the way of [`Session::submit_batch`], and so does work that
    /// is longer than [`Config::inline_max_ns`](crate::Config::inline_max_ns) while other devices are idle. It blocks: not for
    /// use in a task.
    pub fn call_each(&self, ops: &mut [Op]) -> usize {
        self.open.shared.call_each(Some(self), ops, &*self.open.shared)
    }
}

impl Runtime {
    /// As [`Session::call_each`], each in a session of its own. Operations of different sessions, and hence keys, may be
    /// worked on at once: put those of one algorithm next to each other.
    pub fn call_each(&self, ops: &mut [(&Session, Op)]) -> usize {
        self.shared.call_each(None, ops, &*self.shared)
    }
}

/// Where the balancer's table comes from.
pub(super) trait Tables {
    /// Calls with the table in force.
    fn with<R>(&mut self, call: impl FnOnce(&Routing) -> R) -> R;
}

impl Tables for &Shared {
    #[inline(always)]
    fn with<R>(&mut self, call: impl FnOnce(&Routing) -> R) -> R {
        call(&self.routing.load())
    }
}

/// What became of operations at the front.
#[derive(Default)]
pub(super) struct Ran {
    /// So many were carried out; none if they are not for here and now.
    pub(super) count: usize,
    pub(super) succeeded: usize,
    /// What there is to do for them, if not all succeeded.
    pub(super) failed: Option<Box<Failed>>,
}

/// A run of which operations failed.
pub(super) struct Failed {
    /// What was asked of each.
    pub(super) asked: Vec<Request>,
    /// The completions of all that are over.
    pub(super) over: Vec<Completion>,
    /// Places of the others, and the slots in which they go on.
    pub(super) elsewhere: Vec<(usize, u32)>,
}

/// What is called in place: an operation, with its session or without.
pub(super) trait Called<'s>: Entry<'s> {
    fn op_mut(&mut self) -> &mut Op;
}

impl<'s> Called<'s> for Op {
    #[inline]
    fn op_mut(&mut self) -> &mut Op {
        self
    }
}

impl<'s, 'a: 's> Called<'s> for (&'a Session, Op) {
    #[inline]
    fn op_mut(&mut self) -> &mut Op {
        &mut self.1
    }
}

impl<'s> Entry<'s> for Op {
    const MAY_CHANGE: bool = false;
    #[inline]
    fn request(&self) -> &Request {
        &self.request
    }
    #[inline]
    fn request_mut(&mut self) -> &mut Request {
        &mut self.request
    }
    #[inline]
    fn session(&self) -> Option<&'s Session> {
        None
    }
}

impl<'s, 'a: 's> Entry<'s> for (&'a Session, Op) {
    const MAY_CHANGE: bool = false;
    #[inline]
    fn request(&self) -> &Request {
        &self.1.request
    }
    #[inline]
    fn request_mut(&mut self) -> &mut Request {
        &mut self.1.request
    }
    #[inline]
    fn session(&self) -> Option<&'s Session> {
        Some(self.0)
    }
}

impl Shared {
    /// Carries out `ops`, of the session `own` unless each has its own.
    pub(super) fn call_each<'s, C: Called<'s>>(
        self: &Arc<Self>,
        own: Option<&'s Session>,
        mut ops: &mut [C],
        mut tables: impl Tables,
    ) -> usize {
        let mut succeeded = 0;
        while let Some(session) = ops.first().and_then(|first| first.session().or(own)) {
            let order = Order {
                session: &session.open.state,
                pinned: None,
                face: FUTURE,
                position: 0,
                limit_ns: self.config.inline_max_ns,
                count: ops.len(),
                caller: Caller::Poller,
            };
            let is_ours = Arc::ptr_eq(&session.open.shared, self);
            let run = ops.len().min(RUN_MAX_OPS);
            let ran = match is_ours {
                true => tables.with(|routing| self.run_in_place(routing, order, &mut ops[..run])),
                false => Ran::default(),
            };
            succeeded += ran.succeeded;
            let (these, rest) = match ran.count {
                0 => {
                    let is_same = |op: &C| {
                        op.session()
                            .or(own)
                            .is_some_and(|other| std::ptr::eq(&*other.open.state, order.session))
                    };
                    ops.split_at_mut(ops.iter().take_while(|op| is_same(op)).count())
                }
                count => ops.split_at_mut(count),
            };
            succeeded += match ran.failed {
                _ if !is_ours => refuse_all(these, order.session.id),
                _ if ran.count == 0 => call_apart(session, these),
                Some(failed) => self.await_failed(*failed, these),
                None => 0,
            };
            ops = rest;
        }
        succeeded
    }

    /// Waits for those of a run that go on elsewhere, and gives each its end.
    #[cold]
    fn await_failed<'s, C: Called<'s>>(self: &Arc<Self>, failed: Failed, ops: &mut [C]) -> usize {
        let Failed { asked, over, elsewhere } = failed;
        let (mut over, mut elsewhere) = (over.into_iter(), elsewhere.into_iter().peekable());
        let mut succeeded = 0;
        for (place, (op, asked)) in ops.iter_mut().zip(asked).enumerate() {
            let completion = match elsewhere.next_if(|(other, _)| *other == place) {
                Some((_, slot)) => block_on(OpFuture::pending(self, slot)).ok(),
                None => over.next(),
            };
            if let Some(completion) = completion {
                op.op_mut().end(asked, completion);
                succeeded += usize::from(op.op_mut().result.is_ok());
            }
        }
        succeeded
    }
}

/// What is not for here: submitted as a batch, and waited for.
#[cold]
fn call_apart<'s, C: Called<'s>>(session: &Session, ops: &mut [C]) -> usize {
    let asked: Vec<Request> = ops.iter().map(|op| asked(op.request())).collect();
    let requests = ops.iter_mut().map(|op| take(op.request_mut())).collect();
    let results = block_on(session.submit_batch(requests));
    let mut succeeded = 0;
    for ((op, asked), result) in ops.iter_mut().zip(asked).zip(results) {
        match result {
            Ok(completion) => op.op_mut().end(asked, completion),
            Err(refused) => op.op_mut().refuse(refused),
        }
        succeeded += usize::from(op.op_mut().result.is_ok());
    }
    succeeded
}

/// Refuses operations of another runtime's session.
#[cold]
fn refuse_all<'s, C: Called<'s>>(ops: &mut [C], id: u64) -> usize {
    for op in ops {
        let request = take(op.request_mut());
        op.op_mut().refuse(Refused { error: Error::UnknownSession { id }, request });
    }
    0
}
