//! How much of what it hands in a submitter carries out itself, by the device's measured rate.
//!
//! Short work: nobody else is worth waking for it. Longer work is for others, since the caller may have something better to
//! do; but one that polls has not, and then it goes to a queue only where another device could take a part of it.

use std::sync::Arc;

use super::{Caller, Order};
use crate::balancer::choice::Server;
use crate::balancer::routing::Routing;
use crate::binding::Binding;
use crate::clock::Nanos;
use crate::device::registry::Device;
use crate::shared::Shared;
use crate::stats::counter::{ANY_WORKER, submitter_number};
use crate::submit::Shape;
use crate::submit::future::INLINE_MAX_BYTES;
use crate::sync::atomic::Ordering;

/// A submitter that was at work on a device comes back within this time, in nanoseconds, or is not expected.
const AWAY_NS: u64 = 200_000;
/// Longest operation that a caller who polls carries out to learn how fast the device is, in bytes.
const TRIAL_MAX_BYTES: usize = 64 << 10;

impl Shared {
    /// How many operations at most the caller carries out itself, if the device lets it.
    #[inline(always)]
    pub(super) fn how_many_here(
        &self,
        order: &Order<'_>,
        routing: &Routing,
        device: &Arc<Device>,
        shape: Shape,
        binding: Binding,
    ) -> usize {
        let limit_ns = order.limit_ns as f64;
        let cost_ns = device.rates.cost_ns(shape);
        let is_short = match cost_ns {
            _ if order.limit_ns == u64::MAX => true,
            Some(cost_ns) => cost_ns * order.count as f64 <= limit_ns,
            // Nothing is known yet: a short one tells how fast it is.
            None => shape.bytes() * order.count <= INLINE_MAX_BYTES,
        };
        if is_short {
            return usize::MAX;
        }
        // The caller would poll for it meanwhile: it may as well work, unless others could take a part of it.
        let few = match cost_ns {
            _ if !matches!(order.caller, Caller::Poller) => 0,
            Some(cost_ns) if cost_ns <= limit_ns => usize::MAX,
            None if shape.bytes() <= TRIAL_MAX_BYTES => 1,
            _ => 0,
        };
        if few > 0 && self.has_idle_beside(routing, device, shape, binding) { 0 } else { few }
    }

    /// Whether another device that has nothing to do could take a part.
    #[cold]
    fn has_idle_beside(
        &self,
        routing: &Routing,
        device: &Arc<Device>,
        shape: Shape,
        binding: Binding,
    ) -> bool {
        let (now, own) = (self.now(), submitter_number());
        binding.is_none()
            && routing.candidates(shape).iter().any(|other| {
                // Another submitter that was at work there a moment ago is about to come back.
                let is_expected = ![own, ANY_WORKER].contains(&other.served_by.load(Ordering::Relaxed))
                    && now.since(Nanos(other.active_ns.load(Ordering::Relaxed))) < AWAY_NS;
                other.id != device.id && other.is_free(shape) && other.ahead_ops().0 == 0 && !is_expected
            })
    }
}
