//! Operations that no device has room for: a line for each (priority, tenant, lane), in weighted fair order.
//!
//! Submitters put tickets into an inbox without a lock; whoever holds the token sorts them into the lines and lends from
//! there. A lane is what competes for the same devices, so that nobody waits behind an operation that he could pass.

use std::collections::{BTreeMap, VecDeque};
use std::sync::OnceLock;

use arrayvec::ArrayVec;
use crossbeam_utils::CachePadded;

use super::fair::Fair;
use super::ring::Ring;
use crate::binding::Binding;
use crate::session::PRIORITIES;
use crate::submit::{Shape, size_class};
use crate::sync::Lock;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// In the inbox a ticket carries its priority in the top three bits of its slot's number, so that it can be counted off
/// when it is stale and nothing else is known of it.
const TICKET_PRIORITY: u32 = 29;
const TICKET_MASK: u64 = 7 << TICKET_PRIORITY;

/// Work that every operation costs beside its bytes, in the unit of fair shares.
const COST_BASE: u64 = 256;

/// What a tenant is charged for an operation: a constant and its bytes.
#[inline]
pub(crate) fn cost(shape: Shape) -> u64 {
    COST_BASE + shape.bytes() as u64
}

/// What competes for the same devices: algorithm, kind, size class, chunk or not, binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lane(u64);

impl Lane {
    pub(crate) fn of(shape: Shape, binding: Binding) -> Self {
        let class = size_class(shape.bytes()) as u64;
        Self(
            (shape.0 >> 40 & 0xfff) << 40
                | u64::from(shape.is_chunk()) << 36
                | class << 32
                | u64::from(binding.0),
        )
    }
}

/// Where a ticket waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) priority: usize,
    pub(crate) tenant: u16,
    pub(crate) lane: Lane,
}

/// The inbox, and the lines behind their token.
#[derive(Debug)]
pub(crate) struct Waiting {
    inbox: OnceLock<Ring>,
    /// Operations that have been on a device: they go to the front of their line.
    returned: OnceLock<Ring>,
    limit: usize,
    counts: [AtomicUsize; PRIORITIES],
    /// Their sum: a submitter's first look.
    total: CachePadded<AtomicUsize>,
    /// The token admits one dispatcher at a time.
    pub(crate) lines: Lock<Lines>,
    /// Somebody found the token taken: its holder looks once more.
    pub(crate) wanted: AtomicBool,
}

impl Waiting {
    /// Lines for `slots` operations and as many stale tickets.
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            inbox: OnceLock::new(),
            returned: OnceLock::new(),
            limit: slots * 2,
            counts: std::array::from_fn(|_| AtomicUsize::new(0)),
            total: CachePadded::new(AtomicUsize::new(0)),
            lines: Lock::new(Lines::default()),
            wanted: AtomicBool::new(false),
        }
    }

    /// Puts a ticket into the inbox, unless it is full, which it can be only of stale ones.
    pub(crate) fn push(&self, priority: usize, entry: u64, were_out: bool) -> bool {
        let ring = if were_out { &self.returned } else { &self.inbox };
        self.enters(priority);
        let ticket = entry | (priority as u64) << TICKET_PRIORITY;
        let is_in = ring.get_or_init(|| Ring::new(self.limit)).push(&[ticket]) == 1;
        if !is_in {
            self.left(priority);
        }
        is_in
    }

    /// As `push`, for the holder of the token: straight into its line.
    pub(crate) fn put(&self, lines: &mut Lines, place: Place, entry: u64, were_out: bool) {
        self.enters(place.priority);
        lines.push(place, entry, were_out);
    }

    fn enters(&self, priority: usize) {
        self.total.fetch_add(1, Ordering::SeqCst);
        self.counts[priority].fetch_add(1, Ordering::SeqCst);
    }

    /// Sorts the inbox into the lines. `place` says where a ticket belongs, or nothing if it is stale.
    pub(crate) fn sort(&self, lines: &mut Lines, place: impl Fn(u64) -> Option<Place>) {
        let split = |ticket: u64| (ticket & !TICKET_MASK, (ticket & TICKET_MASK) >> TICKET_PRIORITY);
        let mut returned = Vec::new();
        for (ring, were_out) in [(&self.inbox, false), (&self.returned, true)] {
            let Some(ring) = ring.get() else { continue };
            while let Some((entry, priority)) = ring.pop().map(split) {
                let priority = priority as usize;
                // It is counted under the ticket's priority, whatever its slot holds by now.
                match place(entry).map(|place| Place { priority, ..place }) {
                    Some(place) if were_out => returned.push((place, entry)),
                    Some(place) => lines.push(place, entry, false),
                    None => self.left(priority),
                }
            }
        }
        // The one that came first goes to the very front.
        for (place, entry) in returned.into_iter().rev() {
            lines.push(place, entry, true);
        }
    }

    /// A ticket of this priority left the lines.
    #[inline]
    pub(crate) fn left(&self, priority: usize) {
        self.counts[priority].fetch_sub(1, Ordering::SeqCst);
        self.total.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether there are more stale tickets than operations can be.
    pub(crate) fn is_crowded(&self, lines: &Lines) -> bool {
        lines.total() > self.limit
    }

    /// Tickets of all priorities, stale ones included.
    pub(crate) fn total_ops(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.total.load(Ordering::Relaxed) == 0
    }

    /// Whether something of this or a higher priority waits.
    #[inline]
    pub(crate) fn blocks(&self, priority: usize) -> bool {
        !self.is_empty() && self.counts[priority..].iter().any(|count| count.load(Ordering::Relaxed) > 0)
    }
}

/// The lines of one tenant at one priority.
#[derive(Debug, Default)]
struct Tenancy {
    order: Fair<Lane>,
    lines: BTreeMap<Lane, VecDeque<u64>>,
}

/// The lines of one priority.
#[derive(Debug, Default)]
struct Level {
    order: Fair<u16>,
    tenants: BTreeMap<u16, Tenancy>,
    total: usize,
    /// What this priority may still be served of its floor, in cost units; below 0 when it had more than that.
    credit: i64,
}

/// Most of a floor that is saved up, in cost units. A priority may go into debt by one operation, whatever its size.
const CREDIT_MAX: i64 = COST_BASE as i64;

/// All lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    levels: [Level; PRIORITIES],
}

impl Lines {
    pub(crate) fn push(&mut self, place: Place, entry: u64, at_front: bool) {
        let level = &mut self.levels[place.priority];
        level.total += 1;
        let tenancy = level.tenants.entry(place.tenant).or_insert_with(|| {
            level.order.enter(place.tenant);
            Tenancy::default()
        });
        let line = tenancy.lines.entry(place.lane).or_insert_with(|| {
            tenancy.order.enter(place.lane);
            VecDeque::new()
        });
        if at_front {
            line.push_front(entry);
        } else {
            line.push_back(entry);
        }
    }

    fn total(&self) -> usize {
        self.levels.iter().map(|level| level.total).sum()
    }

    /// Priorities with work in the order to serve them: those whose floor is due first, then the highest.
    pub(crate) fn priorities(&self) -> ArrayVec<usize, { 2 * PRIORITIES }> {
        let due = (0..PRIORITIES).filter(|priority| self.levels[*priority].credit > 0);
        due.chain((0..PRIORITIES).rev()).filter(|priority| self.levels[*priority].total > 0).collect()
    }

    /// The lines of a priority in the order to serve them, each with its first ticket.
    pub(crate) fn heads(&self, priority: usize) -> impl Iterator<Item = (Place, u64)> {
        let level = &self.levels[priority];
        level
            .order
            .iter()
            .filter_map(|tenant| level.tenants.get(&tenant).map(|lines| (tenant, lines)))
            .flat_map(move |(tenant, tenancy)| {
                tenancy.order.iter().filter_map(move |lane| {
                    let entry = tenancy.lines.get(&lane)?.front()?;
                    Some((Place { priority, tenant, lane }, *entry))
                })
            })
    }

    /// Takes the first ticket of a line.
    pub(crate) fn pop(&mut self, place: Place) {
        let level = &mut self.levels[place.priority];
        let Some(tenancy) = level.tenants.get_mut(&place.tenant) else { return };
        let Some(line) = tenancy.lines.get_mut(&place.lane) else { return };
        if line.pop_front().is_some() {
            level.total -= 1;
        }
        if line.is_empty() {
            tenancy.lines.remove(&place.lane);
            tenancy.order.leave(place.lane);
        }
        if tenancy.lines.is_empty() {
            level.tenants.remove(&place.tenant);
            level.order.leave(place.tenant);
        }
    }

    /// Charges what was just lent from a line, before it is taken from it. Lower priorities that wait gain on their floor,
    /// but save up next to nothing: whose devices were full for long gets no burst.
    pub(crate) fn charge(&mut self, place: Place, cost: u64, weight: u64, floor_percent: u64) {
        for lower in self.levels[..place.priority].iter_mut().filter(|lower| lower.total > 0) {
            let gain = (cost.saturating_mul(floor_percent) / 100) as i64;
            lower.credit = lower.credit.saturating_add(gain).min(CREDIT_MAX);
        }
        let has_higher = self.levels[place.priority + 1..].iter().any(|higher| higher.total > 0);
        let level = &mut self.levels[place.priority];
        if has_higher {
            level.credit = level.credit.saturating_sub(cost as i64);
        }
        level.order.charge(place.tenant, cost, weight);
        if let Some(tenancy) = level.tenants.get_mut(&place.tenant) {
            tenancy.order.charge(place.lane, cost, 1);
        }
    }

    /// Drops stale tickets; `left` hears the priority of each.
    pub(crate) fn sweep(&mut self, is_current: impl Fn(u64) -> bool, left: impl Fn(usize)) {
        for (priority, level) in self.levels.iter_mut().enumerate() {
            for tenancy in level.tenants.values_mut() {
                tenancy.lines.retain(|lane, line| {
                    let before = line.len();
                    line.retain(|entry| is_current(*entry));
                    (line.len()..before).for_each(|_| left(priority));
                    level.total -= before - line.len();
                    if line.is_empty() {
                        tenancy.order.leave(*lane);
                    }
                    !line.is_empty()
                });
            }
            level.tenants.retain(|tenant, tenancy| {
                if tenancy.lines.is_empty() {
                    level.order.leave(*tenant);
                }
                !tenancy.lines.is_empty()
            });
        }
    }
}
