//! One callback for all operations of a session, as in the asynchronous crypto layer of 2004.

use std::cell::Cell;
use std::sync::Arc;

use super::face::{Face, Way};
use super::inline::{Caller, Inline, Order};
use crate::foreign::guarded;
use crate::op::{Completion, Refused, Request};
use crate::session::Session;
use crate::sync::atomic::Ordering;

impl Session {
    /// A way to submit whose results go to `call`. It runs on whatever thread finished the operation, which may be
    /// the submitter's own, inside `submit`; it must be short and must not wait for another operation. A panic in it is caught and dropped.
    pub fn with_callback(&self, call: impl Fn(Completion) + Send + Sync + 'static) -> CallbackSession {
        let face = self.open.shared.faces.register(Way::Callback(Box::new(call)));
        CallbackSession { session: self.clone(), face }
    }
}

/// A session with a callback. Dropping it lets operations on their way end; their results still go to the callback.
#[derive(Debug)]
pub struct CallbackSession {
    session: Session,
    face: Arc<Face>,
}

impl CallbackSession {
    /// Submits one operation; the request's `user_data` comes back with its result.
    ///
    /// # Errors
    /// [`Refused`] gives the request back with the reason; the callback does not hear of it.
    pub fn submit(&self, request: Request) -> Result<(), Refused> {
        let shared = &self.session.open.shared;
        let mut request = request;
        let picked = match self.submit_inline(&mut request) {
            Inline::Ran(_) => return Ok(()),
            Inline::Picked(device, room) | Inline::Together(device, room) => Some((device, room)),
            Inline::No => None,
        };
        self.face.live.fetch_add(1, Ordering::AcqRel);
        let mut refusal = None;
        let requests = std::iter::once(request);
        shared.accept(&self.session.open.state, None, requests, self.face.id, 0, picked, |_, result| {
            refusal = result.err();
        });
        match refusal {
            Some(refused) => {
                self.face.live.fetch_sub(1, Ordering::AcqRel);
                Err(*refused)
            }
            None => {
                shared.wake_for_backlog();
                Ok(())
            }
        }
    }
}

impl CallbackSession {
    /// Carries the operation out at once, if it may, and calls.
    fn submit_inline(&self, request: &mut Request) -> Inline {
        thread_local! {
            static IS_CALLING: Cell<bool> = const { Cell::new(false) };
        }
        if IS_CALLING.get() {
            // A callback submits: its own operation must not be carried out on top of it, and so on.
            return Inline::No;
        }
        let shared = &self.session.open.shared;
        let limit_ns = shared.config.inline_max_ns;
        let session = &*self.session.open.state;
        let order = Order {
            session,
            pinned: None,
            face: self.face.id,
            position: 0,
            limit_ns,
            count: 1,
            caller: Caller::Thread,
        };
        let mut done = None;
        let ran = shared.run_inline(
            &shared.routing.load(),
            order,
            std::slice::from_mut(request),
            &mut done,
            |_, _| {},
        );
        if let (Some(completion), Way::Callback(call)) = (done, &self.face.way) {
            IS_CALLING.set(true);
            // A panic in the caller's function is the caller's.
            guarded(|| call(completion));
            IS_CALLING.set(false);
        }
        ran
    }
}

impl Drop for CallbackSession {
    fn drop(&mut self) {
        self.session.open.shared.faces.release(&self.face, 1);
    }
}
