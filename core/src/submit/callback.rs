//! One callback for all operations of a session, as in the asynchronous crypto layer of 2004.

use std::sync::Arc;

use super::face::{Face, Way};
use crate::op::{Completion, Refused, Request};
use crate::session::Session;
use crate::sync::atomic::Ordering;

impl Session {
    /// A way to submit whose results go to `call`. It runs on whatever thread finished the operation, which may be
    /// the submitter's own, inside `submit`; it must be short and must not wait for another operation. A panic in it is caught and dropped.
    pub fn with_callback(&self, call: impl Fn(Completion) + Send + Sync + 'static) -> CallbackSession {
        let face = self.shared.faces.register(Way::Callback(Box::new(call)));
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
        let shared = &self.session.shared;
        self.face.live.fetch_add(1, Ordering::AcqRel);
        let mut refusal = None;
        shared.accept(&self.session.state, std::iter::once(request), self.face.id, 0, |_, result| {
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

impl Drop for CallbackSession {
    fn drop(&mut self) {
        self.session.shared.faces.release(&self.face, 1);
    }
}
