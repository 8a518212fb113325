//! The contexts that are open on a device, and what submitters carried out under them at once.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::Handle;
use crate::context::Context;
use crate::key::Uses;
use crate::stats::tally::Tally;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::tenant::Tenant;

/// A context, at one of its stages, that is open on the device; in a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Open {
    /// Of the context, at this stage.
    number: u64,
    pub(crate) context: Arc<Context>,
    pub(crate) handle: Handle,
    /// As the context has them.
    pub(crate) uses: Uses,
    pub(crate) used: u64,
    /// Of the session, on this device under this context.
    tally: Arc<Tally>,
    /// Of the tenant, on this device.
    tenant_tally: Arc<Tally>,
}

impl Open {
    /// Counts operations that were submitted and completed at once; the caller holds the device's run token.
    #[inline]
    pub(crate) fn count(&self, ops: u64, bytes: u64) {
        self.tally.add(ops, bytes);
        self.tenant_tally.add(ops, bytes);
    }
}

/// A tenant with sessions on the device.
#[derive(Debug)]
struct Share {
    tenant: Arc<Tenant>,
    tally: Arc<Tally>,
    sessions: usize,
}

/// Numbers of contexts are the runtime's own: nobody can choose them so that they collide.
#[derive(Debug, Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }
    #[inline]
    fn write_u64(&mut self, number: u64) {
        // The multiplier of Fibonacci hashing: 2^64 divided by the golden ratio.
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
}

/// Open contexts by number.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    places: HashMap<u64, usize, BuildHasherDefault<NumberHasher>>,
    entries: Vec<Option<Open>>,
    free: Vec<usize>,
    /// The one found last, so that a run of one session looks it up once.
    last: Option<(u64, usize)>,
    shares: Vec<Share>,
}

impl Opened {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Where the context with this number is.
    #[inline]
    pub(crate) fn find(&mut self, number: u64) -> Option<usize> {
        match self.last {
            Some((last, place)) if last == number => Some(place),
            _ => {
                let place = *self.places.get(&number)?;
                self.last = Some((number, place));
                Some(place)
            }
        }
    }

    /// As [`Opened::find`], for one that was most likely found at this place before.
    #[inline]
    pub(crate) fn find_near(&mut self, number: u64, place: &AtomicU32) -> Option<usize> {
        let near = place.load(Ordering::Relaxed) as usize;
        if self.at(near).is_some_and(|open| open.number == number) {
            return Some(near);
        }
        let found = self.find(number)?;
        place.store(found as u32, Ordering::Relaxed);
        Some(found)
    }

    /// The context at a place that was just found.
    #[inline]
    pub(crate) fn at(&self, place: usize) -> Option<&Open> {
        self.entries.get(place)?.as_ref()
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, place: usize) -> Option<&mut Open> {
        self.entries.get_mut(place)?.as_mut()
    }

    /// The context with this number.
    pub(crate) fn get(&self, number: u64) -> Option<&Open> {
        self.at(*self.places.get(&number)?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Open)> {
        self.places.iter().filter_map(|(number, place)| Some((*number, self.at(*place)?)))
    }

    pub(crate) fn insert(&mut self, number: u64, context: Arc<Context>, handle: Handle, used: u64) -> usize {
        let tally = context.session.inline.part();
        let tenant_tally = self.join(&context.session.tenant);
        let uses = context.uses;
        let open = Some(Open { number, context, handle, uses, used, tally, tenant_tally });
        let place = match self.free.pop() {
            Some(place) => {
                self.entries[place] = open;
                place
            }
            None => {
                self.entries.push(open);
                self.entries.len() - 1
            }
        };
        self.places.insert(number, place);
        self.last = Some((number, place));
        place
    }

    /// Takes a context out; its handle is the caller's to close.
    pub(crate) fn remove(&mut self, number: u64) -> Option<Handle> {
        let place = self.places.remove(&number)?;
        self.last = None;
        let open = self.entries.get_mut(place)?.take()?;
        self.free.push(place);
        open.context.session.inline.retire(&open.tally);
        self.leave(&open.context.session.tenant);
        Some(open.handle)
    }

    /// Takes all out.
    pub(crate) fn drain(&mut self) -> Vec<Handle> {
        let numbers: Vec<u64> = self.places.keys().copied().collect();
        numbers.into_iter().filter_map(|number| self.remove(number)).collect()
    }

    fn join(&mut self, tenant: &Arc<Tenant>) -> Arc<Tally> {
        let share = match self.shares.iter_mut().position(|share| Arc::ptr_eq(&share.tenant, tenant)) {
            Some(place) => &mut self.shares[place],
            None => {
                let tally = tenant.inline.part();
                self.shares.push(Share { tenant: Arc::clone(tenant), tally, sessions: 0 });
                let last = self.shares.len() - 1;
                &mut self.shares[last]
            }
        };
        share.sessions += 1;
        Arc::clone(&share.tally)
    }

    fn leave(&mut self, tenant: &Arc<Tenant>) {
        let Some(place) = self.shares.iter().position(|share| Arc::ptr_eq(&share.tenant, tenant)) else {
            return;
        };
        self.shares[place].sessions -= 1;
        if self.shares[place].sessions == 0 {
            let share = self.shares.swap_remove(place);
            share.tenant.inline.retire(&share.tally);
        }
    }
}
