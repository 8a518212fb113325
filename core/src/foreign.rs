//! Calls into code that is not ours: devices, policies, callbacks, wakers, destructors. A panic there is its owner's affair.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls it; `None` when it panicked. Whatever it left behind is its own: a device gets no further work until it has been
/// reset and has passed its known answers, a policy is replaced, a callback or waker is done with.
pub(crate) fn guarded<R>(call: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}
