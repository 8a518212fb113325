//! The main queue's slots. One thread at a time owns a slot's body, and the slot's word says which.
//!
//! All of the crate's reasoning about exclusive access is here: a [`Held`] exists only for the thread that took the
//! slot from the free list or won a compare-and-exchange on its word, and it is the only way to the body.

#![allow(
    unsafe_code,
    reason = "the body of a slot belongs to whoever won the exchange on its word; loom-tested"
)]

use std::sync::OnceLock;

use atomic_waker::AtomicWaker;
use crossbeam_utils::CachePadded;

use super::word::{State, Word, entry, split};
use crate::op::DeviceId;
use crate::sync::UnsafeCell;
use crate::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Slots are allocated a page at a time, when first needed.
#[cfg(not(loom))]
const PAGE_SLOTS: usize = 512;
#[cfg(loom)]
const PAGE_SLOTS: usize = 2;
const NIL: u32 = u32::MAX;

/// What may be read of an operation without owning it. A reader checks the word before and after.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Meta {
    /// Number of the [`crate::context::Context`] it was submitted under, and the stage of its route.
    pub(crate) context: AtomicU64,
    /// Operations beyond the first (16 bits), tenant (16 bits) and [`crate::binding::Binding`] (low half).
    pub(crate) ties: AtomicU64,
    /// [`crate::submit::Shape`] of the request.
    pub(crate) shape: AtomicU64,
    /// When it was submitted, ns.
    pub(crate) submitted: AtomicU64,
    /// When it expires, ns.
    pub(crate) deadline: AtomicU64,
    /// Task that waits for it. A stale one is woken for nothing and registers again.
    pub(crate) waker: AtomicWaker,
}

/// One slot. Whoever places, scans or claims an operation touches its first cache line only; no two slots share one.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Slot<B> {
    word: AtomicU64,
    next: AtomicU32,
    pub(crate) meta: Meta,
    body: UnsafeCell<B>,
}

#[cfg(not(loom))]
const _: () = assert!(std::mem::offset_of!(Slot<u64>, meta) + std::mem::offset_of!(Meta, waker) <= 64);

type Page<B> = Box<[Slot<B>]>;

/// A fixed number of slots and their free list.
#[derive(Debug)]
pub(crate) struct Slab<B> {
    pages: Box<[OnceLock<Page<B>>]>,
    limit: u32,
    /// Slots never used so far start here.
    fresh: CachePadded<AtomicU32>,
    /// Head of the free list (low 32 bits) and a tag against ABA (high 32 bits).
    free: CachePadded<AtomicU64>,
    /// Slots that are taken or reserved: whoever takes one has counted himself in, so that there is one for him.
    in_use: CachePadded<AtomicUsize>,
}

// SAFETY: the word hands a slot's body from thread to thread (Release on publishing, Acquire on claiming), never to
// two at once; so sharing the slab moves bodies between threads, which `B: Send` allows.
unsafe impl<B: Send> Sync for Slab<B> {}
// SAFETY: as above.
unsafe impl<B: Send> Send for Slab<B> {}

impl<B: Default> Slab<B> {
    /// A slab of `limit` slots, 1 to 2^28.
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.clamp(1, 1 << 28);
        Self {
            pages: (0..limit.div_ceil(PAGE_SLOTS)).map(|_| OnceLock::new()).collect(),
            limit: limit as u32,
            fresh: CachePadded::new(AtomicU32::new(0)),
            free: CachePadded::new(AtomicU64::new(u64::from(NIL))),
            in_use: CachePadded::new(AtomicUsize::new(0)),
        }
    }

    fn page(&self, index: u32) -> &[Slot<B>] {
        self.pages[index as usize / PAGE_SLOTS].get_or_init(|| {
            (0..PAGE_SLOTS)
                .map(|_| Slot {
                    word: AtomicU64::new(0),
                    next: AtomicU32::new(NIL),
                    meta: Meta::default(),
                    body: UnsafeCell::new(B::default()),
                })
                .collect()
        })
    }

    #[inline]
    pub(crate) fn slot(&self, index: u32) -> &Slot<B> {
        &self.page(index)[index as usize % PAGE_SLOTS]
    }

    /// How many slots there are.
    pub(crate) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Takes up to `count` slots and hands each to `take`; returns how many there were.
    #[inline]
    pub(crate) fn allocate<'a>(&'a self, count: usize, take: impl FnMut(Held<'a, B>)) -> usize {
        let count = self.reserve(count);
        self.take_reserved(count, take);
        count
    }

    /// Reserves up to `count` slots, and returns how many: they can be taken now or later.
    #[inline]
    pub(crate) fn reserve(&self, count: usize) -> usize {
        let mut used = self.in_use.load(Ordering::Relaxed);
        loop {
            let count = count.min(self.limit().saturating_sub(used));
            if count == 0 {
                return 0;
            }
            // Acquire: what was given back before is on the free list.
            match self.in_use.compare_exchange_weak(used, used + count, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return count,
                Err(current) => used = current,
            }
        }
    }

    /// Gives a reservation back.
    #[inline]
    pub(crate) fn end_reservation(&self, count: usize) {
        if count > 0 {
            self.in_use.fetch_sub(count, Ordering::Release);
        }
    }

    /// Takes slots that the caller has reserved, and hands each to `take`.
    #[inline]
    pub(crate) fn take_reserved<'a>(&'a self, count: usize, mut take: impl FnMut(Held<'a, B>)) {
        let mut taken = 0;
        while taken < count {
            let (mut index, mut left) = self.pop_free((count - taken) as u32);
            if left == 0 {
                // Others took the fresh ones, and gave back what was not there a moment ago.
                crate::sync::spin_loop();
                continue;
            }
            taken += left as usize;
            while left > 0 {
                let slot = self.slot(index);
                let next = slot.next.load(Ordering::Relaxed);
                let word = Word(slot.word.load(Ordering::Acquire)).with_state(State::Held);
                slot.word.store(word.0, Ordering::Relaxed);
                take(Held { slab: self, slot, index, word });
                left -= 1;
                index = if next == NIL { index + 1 } else { next };
            }
        }
    }

    /// First slot and length of a chain that was taken. A chain of fresh slots has no links: they follow each other.
    #[inline]
    fn pop_free(&self, count: u32) -> (u32, u32) {
        let mut head = self.free.load(Ordering::Acquire);
        while head as u32 != NIL {
            let first = head as u32;
            let (mut last, mut length) = (first, 1);
            while length < count {
                let next = self.slot(last).next.load(Ordering::Relaxed);
                if next == NIL || next >= self.limit {
                    break;
                }
                last = next;
                length += 1;
            }
            let rest = self.slot(last).next.load(Ordering::Relaxed);
            let tag = (head >> 32).wrapping_add(1) << 32;
            match self.free.compare_exchange_weak(
                head,
                tag | u64::from(rest),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return (first, length),
                Err(current) => head = current,
            }
        }
        let mut fresh = self.fresh.load(Ordering::Relaxed);
        loop {
            let length = count.min(self.limit - fresh);
            if length == 0 {
                return (0, 0);
            }
            match self.fresh.compare_exchange_weak(fresh, fresh + length, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return (fresh, length),
                Err(current) => fresh = current,
            }
        }
    }

    /// Gives a chain of free slots back.
    #[inline]
    pub(crate) fn give_back(&self, chain: FreeChain) {
        let Some(FreeLinks { first, last, count }) = chain.0 else { return };
        let slot = self.slot(last);
        let mut head = self.free.load(Ordering::Relaxed);
        loop {
            slot.next.store(head as u32, Ordering::Relaxed);
            let tag = (head >> 32).wrapping_add(1) << 32;
            match self.free.compare_exchange_weak(
                head,
                tag | u64::from(first),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return self.end_reservation(count),
                Err(current) => head = current,
            }
        }
    }

    /// The slot's word at this moment.
    #[inline]
    pub(crate) fn word(&self, index: u32) -> Word {
        Word(self.slot(index).word.load(Ordering::Acquire))
    }

    /// The word behind a ring entry or ticket, unless it is stale or names no slot.
    #[inline]
    pub(crate) fn current(&self, entry: u64) -> Option<(u32, Word)> {
        let (index, stamp) = split(entry);
        if index >= self.limit {
            return None;
        }
        let word = self.word(index);
        (word.stamp() == stamp).then_some((index, word))
    }

    /// What is behind a ring entry, unless it is stale or names no slot.
    #[inline]
    pub(crate) fn find(&self, entry: u64) -> Option<Found<'_, B>> {
        let (index, stamp) = split(entry);
        if index >= self.limit {
            return None;
        }
        let slot = self.slot(index);
        let word = Word(slot.word.load(Ordering::Acquire));
        (word.stamp() == stamp).then_some(Found { slab: self, slot, index, word })
    }

    /// Takes the slot over, if its word is still `from` and nobody owns it: the body is the caller's then. `to` is
    /// `Held` or `Running`.
    #[inline]
    pub(crate) fn claim(&self, index: u32, from: Word, to: State) -> Option<Held<'_, B>> {
        Found { slab: self, slot: self.slot(index), index, word: from }.claim(to)
    }

    /// A completed slot, for the face that owns it: its ring entry or its future is the only one there is.
    #[inline]
    pub(crate) fn adopt(&self, index: u32, word: Word) -> Option<Held<'_, B>> {
        Found { slab: self, slot: self.slot(index), index, word }.adopt()
    }

    /// Takes a parked slot back.
    pub(crate) fn unpark(&self, parked: Parked) -> Held<'_, B> {
        let slot = self.slot(parked.0);
        let mut word = Word(slot.word.load(Ordering::Acquire));
        loop {
            let held = word.with_state(State::Held);
            match slot.word.compare_exchange(word.0, held.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Held { slab: self, slot, index: parked.0, word: held },
                Err(current) => word = Word(current),
            }
        }
    }

    /// Tells the slot's owner that the submitter has given up interest. False when the word changed meanwhile.
    pub(crate) fn detach(&self, index: u32, from: Word) -> bool {
        matches!(from.state(), State::Held | State::Running | State::Parked)
            && self
                .slot(index)
                .word
                .compare_exchange(from.0, from.detached().0, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    }

    /// Every slot ever used, with its word and what may be read of it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, Word, &Meta)> {
        (0..self.fresh.load(Ordering::Acquire)).map(|index| {
            let slot = self.slot(index);
            (index, Word(slot.word.load(Ordering::Acquire)), &slot.meta)
        })
    }

    /// Whether a slot is free at this moment.
    pub(crate) fn has_free(&self) -> bool {
        self.in_use.load(Ordering::Acquire) < self.limit()
    }

    /// Slots taken or reserved; a moment old.
    pub(crate) fn in_use(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    /// Slots ever used.
    pub(crate) fn used(&self) -> u32 {
        self.fresh.load(Ordering::Acquire)
    }
}

/// A slot that nobody here owns, as it was when it was looked at.
#[derive(Debug)]
pub(crate) struct Found<'a, B> {
    slab: &'a Slab<B>,
    slot: &'a Slot<B>,
    index: u32,
    word: Word,
}

impl<'a, B> Found<'a, B> {
    #[inline]
    pub(crate) fn word(&self) -> Word {
        self.word
    }

    #[inline]
    pub(crate) fn meta(&self) -> &'a Meta {
        &self.slot.meta
    }

    /// As [`Slab::claim`].
    #[inline]
    pub(crate) fn claim(self, to: State) -> Option<Held<'a, B>> {
        let Self { slab, slot, index, word: from } = self;
        debug_assert!(matches!(to, State::Held | State::Running));
        if !matches!(from.state(), State::Waiting | State::Queued | State::Lent) {
            return None;
        }
        let word = from.with_state(to);
        slot.word
            .compare_exchange(from.0, word.0, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
            .then_some(Held { slab, slot, index, word })
    }

    /// As [`Slab::adopt`].
    #[inline]
    pub(crate) fn adopt(self) -> Option<Held<'a, B>> {
        let Self { slab, slot, index, word } = self;
        (word.state() == State::Done).then_some(Held { slab, slot, index, word })
    }
}

/// Free slots, linked, on their way back to the free list.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct FreeChain(Option<FreeLinks>);

#[derive(Debug)]
struct FreeLinks {
    first: u32,
    last: u32,
    count: usize,
}

/// A finished slot that waits for its turn to be handed over. There is one for each, and it is owned as a [`Held`] is.
#[derive(Debug)]
#[must_use]
pub(crate) struct Parked(u32);

/// Exclusive ownership of one slot. Dropping it without a word leaves the slot owned by nobody, so every path ends in
/// `post`, `repost`, `lend`, `finish` or `free`.
#[derive(Debug)]
#[must_use]
pub(crate) struct Held<'a, B> {
    slab: &'a Slab<B>,
    slot: &'a Slot<B>,
    index: u32,
    word: Word,
}

impl<'a, B: Default> Held<'a, B> {
    #[inline]
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    #[inline]
    pub(crate) fn word(&self) -> Word {
        self.word
    }

    #[inline]
    pub(crate) fn meta(&self) -> &'a Meta {
        &self.slot.meta
    }

    /// The ticket of the current attempt.
    #[inline]
    pub(crate) fn entry(&self) -> u64 {
        entry(self.index, self.word.stamp())
    }

    /// The body.
    #[inline]
    pub(crate) fn body(&mut self) -> &mut B {
        // SAFETY: `self` is the only `Held` of this slot (it was made by taking the slot from the free list or by
        // winning the exchange on its word, and no other transition leaves `Held` or `Running`), and the returned
        // borrow keeps `self` borrowed, so no second reference to the body can be made while it lives.
        self.slot.body.with_mut(|body| unsafe { &mut *body })
    }

    /// As a slot that has had attempts, `Held` or `Running`; nobody but its owner knows it yet.
    pub(crate) fn attempted(mut self, state: State, attempts: u8, device: DeviceId) -> Self {
        debug_assert!(matches!(state, State::Held | State::Running));
        self.word = Word::new(state, attempts, device, self.word.stamp());
        self.slot.word.store(self.word.0, Ordering::Relaxed);
        self
    }

    /// Puts a slot that only its submitter knows into a ring's hands; returns the ring entry to push.
    #[inline]
    pub(crate) fn post(self, state: State, attempt: u8, device: DeviceId) -> u64 {
        let stamp = self.word.stamp().wrapping_add(1);
        self.slot.word.store(Word::new(state, attempt, device, stamp).0, Ordering::Release);
        entry(self.index, stamp)
    }

    /// As `post`, for a slot that is on its way already.
    ///
    /// # Errors
    /// The slot, still owned, when the submitter has given up interest.
    #[inline]
    pub(crate) fn repost(self, state: State, attempt: u8, device: DeviceId) -> Result<u64, Self> {
        let stamp = self.word.stamp().wrapping_add(1);
        self.exchange(Word::new(state, attempt, device, stamp))?;
        Ok(entry(self.index, stamp))
    }

    /// Lends the slot to a queued device, which answers with the ticket that is returned.
    ///
    /// # Errors
    /// The slot, still owned, when the submitter has given up interest.
    #[inline]
    pub(crate) fn lend(self) -> Result<u64, Self> {
        let entry = self.entry();
        self.exchange(self.word.with_state(State::Lent))?;
        Ok(entry)
    }

    /// Leaves a finished slot to whoever hands it over when its turn has come; [`Slab::unpark`] takes it back.
    pub(crate) fn park(mut self) -> Parked {
        // Only `detach` writes the word of an owned slot, and it sets one bit.
        while let Err(held) = self.exchange(self.word.with_state(State::Parked)) {
            self = held;
        }
        Parked(self.index)
    }

    /// Remembers that the submitter has given up interest.
    pub(crate) fn detach(&mut self) {
        self.word = self.word.detached();
        self.slot.word.store(self.word.0, Ordering::Release);
    }

    /// Hands the body to the submitter's face.
    ///
    /// # Errors
    /// The slot, still owned, when the submitter has given up interest.
    #[inline]
    pub(crate) fn finish(self) -> Result<(), Self> {
        if self.word.is_detached() {
            return Err(self);
        }
        self.exchange(self.word.with_state(State::Done))
    }

    #[inline]
    fn exchange(&self, to: Word) -> Result<(), Self> {
        // Only `detach` writes the word of an owned slot.
        self.slot
            .word
            .compare_exchange(self.word.0, to.0, Ordering::AcqRel, Ordering::Acquire)
            .map(|_| ())
            .map_err(|current| Held { word: Word(current), ..*self })
    }

    /// Empties the body and gives the slot back.
    #[inline]
    pub(crate) fn free(mut self) {
        *self.body() = B::default();
        self.recycle();
    }

    /// Gives the slot back with whatever the body holds.
    #[inline]
    pub(crate) fn recycle(self) {
        let (slab, mut chain) = (self.slab, FreeChain::default());
        self.recycle_into(&mut chain);
        slab.give_back(chain);
    }

    /// As `recycle`, many at a time.
    #[inline]
    pub(crate) fn recycle_into(self, chain: &mut FreeChain) {
        let word = Word::new(State::Free, 0, DeviceId(0), self.word.stamp().wrapping_add(1));
        let slot = self.slot;
        slot.word.store(word.0, Ordering::Release);
        chain.0 = match chain.0.take() {
            None => Some(FreeLinks { first: self.index, last: self.index, count: 1 }),
            Some(FreeLinks { first, last, count }) => {
                slot.next.store(first, Ordering::Relaxed);
                Some(FreeLinks { first: self.index, last, count: count + 1 })
            }
        };
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn take(slab: &Slab<u64>, count: usize) -> Vec<Held<'_, u64>> {
        let mut held = Vec::new();
        slab.allocate(count, |slot| held.push(slot));
        held
    }

    #[test]
    fn i7_a_slab_gives_its_limit_and_not_one_more() {
        let slab = Slab::new(1000);
        let held = take(&slab, 1001);
        assert_eq!(held.len(), 1000);
        let mut indices: Vec<u32> = held.iter().map(Held::index).collect();
        indices.dedup();
        assert_eq!(indices.len(), 1000);
        assert!(take(&slab, 1).is_empty());
        held.into_iter().for_each(Held::free);
        assert_eq!(take(&slab, 2000).len(), 1000);
    }

    #[test]
    fn a_ring_entry_of_an_earlier_attempt_is_stale() {
        let slab = Slab::new(4);
        let first = take(&slab, 1).remove(0).post(State::Queued, 1, DeviceId(3));
        let (index, word) = slab.current(first).unwrap();
        assert_eq!((word.state(), word.attempt(), word.device()), (State::Queued, 1, DeviceId(3)));
        let second =
            slab.claim(index, word, State::Held).unwrap().repost(State::Waiting, 1, DeviceId(3)).unwrap();
        assert!(slab.current(first).is_none());
        assert!(slab.current(second).is_some());
    }

    #[test]
    fn a_detached_slot_comes_back_to_its_owner() {
        let slab = Slab::new(4);
        let entry = take(&slab, 1).remove(0).post(State::Queued, 1, DeviceId(0));
        let (index, word) = slab.current(entry).unwrap();
        let held = slab.claim(index, word, State::Running).unwrap();
        assert!(slab.detach(index, held.word()));
        let held = held.finish().unwrap_err();
        assert!(held.word().is_detached());
        held.free();
        assert_eq!(take(&slab, 4).len(), 4);
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
