//! What happened: numbered events in a bounded ring, for readers at their own pace.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::clock::Clock;
use crate::foreign::guarded;
use crate::sync::Lock;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EventKind {
    /// A device was added, drained or removed.
    Device = 1,
    /// The balancer was switched, registered or unregistered.
    Balancer = 2,
    /// A session was opened or closed.
    Session = 3,
    /// A device's health changed.
    Health = 4,
    /// A fault was put on a device or taken off.
    Fault = 5,
    /// A load was started or stopped.
    Load = 6,
    /// The runtime itself.
    Server = 7,
}

impl EventKind {
    /// Every kind, in the order of its number.
    pub const ALL: [EventKind; 7] =
        [Self::Device, Self::Balancer, Self::Session, Self::Health, Self::Fault, Self::Load, Self::Server];

    /// Lower-case name, as the commands take it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Balancer => "lb",
            Self::Session => "session",
            Self::Health => "health",
            Self::Fault => "fault",
            Self::Load => "load",
            Self::Server => "server",
        }
    }
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Severity {
    /// As wished.
    Info = 1,
    /// Worth a look.
    Warn = 2,
    /// Something is lost or out of service.
    Error = 3,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Number, from 1, without gaps.
    pub seq: u64,
    /// Nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// What it is about.
    pub kind: EventKind,
    /// How much it matters.
    pub severity: Severity,
    /// Sort of object: `device`, `lb`, `session`, `load`, `server`.
    pub object: &'static str,
    /// The object's name.
    pub name: String,
    /// State or value before; may be empty.
    pub from: String,
    /// State or value after.
    pub to: String,
    /// Why, with figures; may be empty.
    pub reason: String,
    /// User who caused it; the runtime's own acts carry the user that runs it.
    pub uid: u32,
}

/// An event that has no number yet.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) kind: EventKind,
    pub(crate) severity: Severity,
    pub(crate) object: &'static str,
    pub(crate) name: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) reason: String,
    pub(crate) uid: u32,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    last_seq: u64,
    readers: Sleepers,
    is_closed: bool,
}

/// Tasks that wait for something, by number: a future that is dropped takes its own off.
#[derive(Debug, Default)]
pub(crate) struct Sleepers {
    wakers: BTreeMap<u64, Waker>,
    last: u64,
}

impl Sleepers {
    /// Puts a task on the list, under the number it has from then on. What it gave before is returned, to be dropped when
    /// no lock is held.
    #[must_use]
    pub(crate) fn put(&mut self, number: &mut Option<u64>, waker: Waker) -> Option<Waker> {
        let number = *number.get_or_insert_with(|| {
            self.last += 1;
            self.last
        });
        self.wakers.insert(number, waker)
    }

    /// Takes a task off, for the same reason.
    #[must_use]
    pub(crate) fn remove(&mut self, number: u64) -> Option<Waker> {
        self.wakers.remove(&number)
    }

    /// Takes all off, to be woken.
    pub(crate) fn take(&mut self) -> Wakers {
        Wakers(std::mem::take(&mut self.wakers).into_values().collect())
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn len(&self) -> usize {
        self.wakers.len()
    }
}

/// Tasks to be woken. Their code is the caller's own, so it must not run while a lock is held.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    /// Wakes all; a panic in one of them is its owner's affair.
    pub(crate) fn wake(self) {
        for waker in self.0 {
            guarded(|| waker.wake());
        }
    }

    pub(crate) fn extend(&mut self, more: Wakers) {
        self.0.extend(more.0);
    }
}

/// The ring.
#[derive(Debug)]
pub struct EventLog {
    ring: Lock<Ring>,
    limit: usize,
    clock: Clock,
}

impl EventLog {
    pub(crate) fn new(limit: usize, clock: Clock) -> Self {
        Self { ring: Lock::new(Ring::default()), limit: limit.max(1), clock }
    }

    /// Adds an event and wakes whoever waits for one.
    pub(crate) fn push(&self, draft: Draft) {
        self.append(draft).wake();
    }

    /// Adds an event; whoever waits for one is woken by the caller, when no lock is held.
    pub(crate) fn append(&self, draft: Draft) -> Wakers {
        let Draft { kind, severity, object, name, from, to, reason, uid } = draft;
        let time_ns = self.clock.wall_ns();
        let mut ring = self.ring.lock();
        ring.last_seq += 1;
        let seq = ring.last_seq;
        if ring.events.len() == self.limit {
            ring.events.pop_front();
        }
        let event = Event { seq, time_ns, kind, severity, object, name, from, to, reason, uid };
        ring.events.push_back(Arc::new(event));
        ring.readers.take()
    }

    /// Nothing more will happen: readers are told when they have read the rest.
    pub(crate) fn close(&self) {
        let wakers = {
            let mut ring = self.ring.lock();
            ring.is_closed = true;
            ring.readers.take()
        };
        wakers.wake();
    }

    /// Number of the newest event, 0 when there was none.
    pub fn last_seq(&self) -> u64 {
        self.ring.lock().last_seq
    }

    /// Number of the oldest event kept; one more than the newest when none is.
    pub fn oldest_seq(&self) -> u64 {
        let ring = self.ring.lock();
        ring.events.front().map_or(ring.last_seq + 1, |event| event.seq)
    }

    /// At most `max` events numbered above `seq`, oldest first.
    pub fn since(&self, seq: u64, max: usize) -> Vec<Arc<Event>> {
        let ring = self.ring.lock();
        let oldest = ring.events.front().map_or(ring.last_seq + 1, |event| event.seq);
        let skip = seq.saturating_add(1).saturating_sub(oldest) as usize;
        ring.events.iter().skip(skip).take(max).cloned().collect()
    }

    /// Reads events from the one after `seq` on; `None` starts with the next event to come.
    pub fn subscribe(self: &Arc<Self>, seq: Option<u64>) -> EventSubscription {
        let next = seq.unwrap_or_else(|| self.last_seq()).saturating_add(1);
        EventSubscription { log: Arc::clone(self), next }
    }
}

/// What a subscription gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// The next event.
    Event(Arc<Event>),
    /// The reader was too slow: that many events are gone.
    Lost(u64),
    /// The runtime has ended, and everything was read.
    Closed,
}

/// A reader of events; it costs the runtime nothing while it does not read.
#[derive(Debug)]
pub struct EventSubscription {
    log: Arc<EventLog>,
    /// Number of the event to give next.
    next: u64,
}

impl EventSubscription {
    /// Waits for the next event.
    ///
    /// # Cancel safety
    /// Safe: a dropped future has taken nothing.
    #[allow(clippy::should_implement_trait, reason = "an asynchronous `next`, as streams have it")]
    pub fn next(&mut self) -> NextEvent<'_> {
        NextEvent { reader: self, number: None }
    }

    /// The next event, if there is one.
    pub fn try_next(&mut self) -> Option<Feed> {
        let log = Arc::clone(&self.log);
        let ring = log.ring.lock();
        self.take(&ring)
    }

    fn take(&mut self, ring: &Ring) -> Option<Feed> {
        if self.next > ring.last_seq {
            return ring.is_closed.then_some(Feed::Closed);
        }
        let oldest = ring.events.front().map_or(ring.last_seq + 1, |event| event.seq);
        if self.next < oldest {
            let lost = oldest - self.next;
            self.next = oldest;
            return Some(Feed::Lost(lost));
        }
        let event = ring.events.get((self.next - oldest) as usize).cloned()?;
        self.next += 1;
        Some(Feed::Event(event))
    }
}

/// Future of [`EventSubscription::next`].
#[derive(Debug)]
pub struct NextEvent<'a> {
    reader: &'a mut EventSubscription,
    /// Its number among those who wait.
    number: Option<u64>,
}

impl Future for NextEvent<'_> {
    type Output = Feed;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Feed> {
        let log = Arc::clone(&self.reader.log);
        let waker = context.waker().clone();
        let mut ring = log.ring.lock();
        if let Some(feed) = self.reader.take(&ring) {
            return Poll::Ready(feed);
        }
        let before = ring.readers.put(&mut self.number, waker);
        // What it may free then must not find the ring taken.
        drop(ring);
        drop(before);
        Poll::Pending
    }
}

impl Drop for NextEvent<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let waker = self.reader.log.ring.lock().readers.remove(number);
            drop(waker);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn log_of(count: usize, limit: usize) -> Arc<EventLog> {
        let log = Arc::new(EventLog::new(limit, Clock::simulated()));
        for number in 0..count {
            log.push(Draft {
                kind: EventKind::Device,
                severity: Severity::Info,
                object: "device",
                name: number.to_string(),
                from: String::new(),
                to: "up".to_owned(),
                reason: String::new(),
                uid: 0,
            });
        }
        log
    }

    #[test]
    fn i7_the_ring_keeps_its_limit_and_a_slow_reader_is_told_what_it_lost() {
        let log = log_of(10, 4);
        assert_eq!((log.oldest_seq(), log.last_seq()), (7, 10));
        let mut reader = log.subscribe(Some(0));
        assert_eq!(reader.try_next(), Some(Feed::Lost(6)));
        let seqs: Vec<u64> = std::iter::from_fn(|| reader.try_next())
            .map(|feed| match feed {
                Feed::Event(event) => event.seq,
                Feed::Lost(_) | Feed::Closed => 0,
            })
            .collect();
        assert_eq!(seqs, [7, 8, 9, 10]);
    }

    #[test]
    fn a_reader_that_gave_up_leaves_nothing_behind_and_the_end_is_told() {
        let log = log_of(1, 8);
        let mut reader = log.subscribe(Some(0));
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(std::pin::pin!(reader.next()).poll(&mut context), Poll::Ready(Feed::Event(_))));
        assert!(std::pin::pin!(reader.next()).poll(&mut context).is_pending());
        assert_eq!(log.ring.lock().readers.len(), 0);
        log.close();
        assert_eq!(std::pin::pin!(reader.next()).poll(&mut context), Poll::Ready(Feed::Closed));
    }

    #[test]
    fn since_gives_the_events_after_a_number() {
        let log = log_of(5, 8);
        let seqs: Vec<u64> = log.since(3, 10).iter().map(|event| event.seq).collect();
        assert_eq!(seqs, [4, 5]);
        assert!(log.since(5, 10).is_empty());
    }
}
