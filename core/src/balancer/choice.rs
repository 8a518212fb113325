//! Picking one candidate of a row: the rules themselves, over real devices and over those of a preview.

use std::sync::Arc;

use super::rates::{OLD_NS, Rates};
use super::table::{Asked, Candidate, Chooser, Rule};
use crate::clock::Nanos;
use crate::device::DeviceState;
use crate::device::registry::Device;
use crate::foreign::guarded;
use crate::op::DeviceId;
use crate::submit::{Shape, Tried};
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Operations that a device is given to learn its rate.
const TRIAL_OPS: usize = 4;
/// Least work that a device gets of one batch, in nanoseconds: less is not worth picking again.
const SLICE_NS: u64 = 20_000;
/// Longest cycle of the weighted rule, in picks.
const CYCLE_MAX: u64 = 256;

/// A device as the rules see it.
pub(crate) trait Server {
    fn id(&self) -> DeviceId;
    fn state(&self) -> DeviceState;
    fn can(&self, shape: Shape) -> bool;
    /// Operations in its queue and inside it.
    fn backlog_ops(&self) -> usize;
    /// Whether it is up, can do the operation and has none.
    #[inline]
    fn is_free(&self, shape: Shape) -> bool {
        self.state() == DeviceState::Up && self.can(shape) && self.backlog_ops() == 0
    }
    /// Operations ahead of a new one, those that a thread is carrying out included; and how many of them are begun.
    fn ahead_ops(&self) -> (usize, usize);
    fn lend_max_ops(&self) -> usize;
    /// Whether a device in probation takes this one.
    fn admits(&self) -> bool;
    fn rates(&self) -> &Rates;
    /// Whether it works on the submitter's own thread.
    fn is_direct(&self) -> bool;

    fn expected_ns(&self, shape: Shape, now: Nanos) -> Option<u64> {
        let (ahead, begun) = self.ahead_ops();
        // A thread at work on a direct device cannot be silent.
        let begun = if self.is_direct() { 0 } else { begun };
        self.rates().expected_ns(shape, ahead, begun, now)
    }
}

impl Server for Arc<Device> {
    #[inline]
    fn id(&self) -> DeviceId {
        self.id
    }
    #[inline]
    fn state(&self) -> DeviceState {
        Device::state(self)
    }
    #[inline]
    fn can(&self, shape: Shape) -> bool {
        Device::can(self, shape)
    }
    #[inline]
    fn backlog_ops(&self) -> usize {
        Device::backlog_ops(self)
    }
    #[inline]
    fn ahead_ops(&self) -> (usize, usize) {
        let begun = match Device::is_direct(self) {
            // What has begun is read last, so that a run that ends meanwhile is not taken for one that has begun.
            true => {
                let finished = self.cells.finished.read();
                self.cells.started.read().saturating_sub(finished) as usize
            }
            false => self.cells.in_flight.load(Ordering::Relaxed),
        };
        (self.ring.len() + begun + self.inline_ops.load(Ordering::Relaxed), begun)
    }
    #[inline]
    fn lend_max_ops(&self) -> usize {
        self.lend_max_ops
    }
    #[inline]
    fn admits(&self) -> bool {
        Device::admits(self)
    }
    #[inline]
    fn rates(&self) -> &Rates {
        &self.rates
    }
    #[inline]
    fn is_direct(&self) -> bool {
        Device::is_direct(self)
    }
}

/// A row resolved to devices.
#[derive(Debug)]
pub(crate) struct Lane<S> {
    pub(crate) rule: Rule,
    pub(crate) candidates: Vec<S>,
    /// Candidates in the order of the weighted rule, one cycle.
    cycle: Vec<u16>,
    pub(crate) turn: AtomicUsize,
}

/// What a rule came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// This candidate, for so many operations at most, because of this.
    Found { index: usize, room: usize, why: &'static str },
    /// Each that could serve is full.
    Full,
    /// None could serve.
    None,
}

/// What has been seen of the candidates so far.
#[derive(Default)]
struct Scan {
    is_full: bool,
    held_back: Option<(usize, usize)>,
}

impl Scan {
    /// The backlog of a candidate that may take the operation, and has room for it.
    #[inline]
    fn admit<S: Server>(&mut self, index: usize, server: &S, shape: Shape, tried: &Tried) -> Option<usize> {
        let state = server.state();
        if !state.is_usable() || !server.can(shape) || tried.contains(server.id()) {
            return None;
        }
        let backlog = server.backlog_ops();
        if backlog >= server.lend_max_ops() {
            self.is_full = true;
            return None;
        }
        if state == DeviceState::Probation && !server.admits() {
            self.held_back = Some((index, backlog));
            return None;
        }
        Some(backlog)
    }

    /// Nobody took it.
    #[inline]
    fn end<S: Server>(&self, candidates: &[S]) -> Outcome {
        match self.held_back {
            // A device in probation is held back in favour of others, not in favour of nobody.
            Some((index, backlog)) if !self.is_full => Outcome::Found {
                index,
                room: candidates[index].lend_max_ops() - backlog,
                why: "in probation, and nobody else",
            },
            _ if self.is_full => Outcome::Full,
            _ => Outcome::None,
        }
    }
}

/// The shortest queue, beginning to look at `first`.
#[inline]
pub(crate) fn shortest<S: Server>(
    candidates: &[S],
    range: std::ops::Range<usize>,
    first: usize,
    shape: Shape,
    tried: &Tried,
) -> Outcome {
    let mut scan = Scan::default();
    let mut best: Option<(usize, usize)> = None;
    let begin = range.start + first % range.len().max(1);
    for index in (begin..range.end).chain(range.start..begin) {
        let Some(backlog) = scan.admit(index, &candidates[index], shape, tried) else { continue };
        if best.is_none_or(|(_, least)| backlog < least) {
            best = Some((index, backlog));
            if backlog == 0 {
                break;
            }
        }
    }
    match best {
        Some((index, backlog)) => {
            Outcome::Found { index, room: candidates[index].lend_max_ops() - backlog, why: "shortest queue" }
        }
        None => scan.end(candidates),
    }
}

impl<S: Server> Lane<S> {
    pub(crate) fn new(rule: Rule, candidates: Vec<S>, turn: usize) -> Self {
        let cycle = match &rule {
            Rule::Weighted(weights) => cycle(weights, candidates.len()),
            _ => Vec::new(),
        };
        Self { rule, candidates, cycle, turn: AtomicUsize::new(turn) }
    }

    /// What `pick` would most often find for an operation that nobody has failed: the first that is looked at has nothing
    /// to do. `None` says nothing.
    #[inline(always)]
    pub(crate) fn pick_at_once(&self, shape: Shape, spread: usize) -> Option<&S> {
        let count = self.candidates.len();
        let first = if spread < count { spread } else { spread.checked_rem(count)? };
        let server = self.candidates.get(first)?;
        (matches!(self.rule, Rule::Shortest) && server.is_free(shape)).then_some(server)
    }

    /// Picks a candidate; `spread` is where rules without an order of their own begin to look.
    #[inline]
    pub(crate) fn pick(
        &self,
        shape: Shape,
        tried: &Tried,
        spread: usize,
        now: impl Fn() -> Nanos,
        line_ops: impl Fn() -> usize,
    ) -> Outcome {
        let all = 0..self.candidates.len();
        match &self.rule {
            Rule::Shortest => shortest(&self.candidates, all, spread, shape, tried),
            Rule::Rotate => self.in_order(self.next_turn(), shape, tried, "next in turn"),
            Rule::First => self.in_order(0, shape, tried, "first with room"),
            Rule::Weighted(_) => self.weighted(shape, tried),
            Rule::LeastExpected { explore_every } => {
                self.least_expected(*explore_every, shape, tried, now(), line_ops)
            }
            Rule::BySize { threshold_bytes, small, explore_every } => {
                self.by_size(*threshold_bytes, *small, *explore_every, shape, tried, spread, now())
            }
            Rule::Choose(chooser) => self.chosen(chooser, shape, tried, now()),
        }
    }

    fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    fn in_order(&self, first: usize, shape: Shape, tried: &Tried, why: &'static str) -> Outcome {
        let mut scan = Scan::default();
        let count = self.candidates.len();
        for offset in 0..count {
            let index = (first + offset) % count;
            let server = &self.candidates[index];
            if let Some(backlog) = scan.admit(index, server, shape, tried) {
                return Outcome::Found { index, room: server.lend_max_ops() - backlog, why };
            }
        }
        scan.end(&self.candidates)
    }

    fn weighted(&self, shape: Shape, tried: &Tried) -> Outcome {
        let turn = self.next_turn();
        let (length, count) = (self.cycle.len(), self.candidates.len());
        // Those that come next in the cycle stand in for one without room, so that the others keep their shares.
        for offset in 0..length.min(4 * count) {
            let index = usize::from(self.cycle[(turn + offset) % length]);
            let server = &self.candidates[index];
            if let Some(backlog) = Scan::default().admit(index, server, shape, tried) {
                return Outcome::Found { index, room: server.lend_max_ops() - backlog, why: "its share" };
            }
        }
        self.in_order(turn, shape, tried, "those with a share have no room")
    }

    fn least_expected(
        &self,
        explore_every: u32,
        shape: Shape,
        tried: &Tried,
        now: Nanos,
        line_ops: impl Fn() -> usize,
    ) -> Outcome {
        let turn = self.next_turn();
        let count = self.candidates.len();
        let explores = explore_every > 0 && (turn as u64).is_multiple_of(u64::from(explore_every));
        let mut scan = Scan::default();
        // Index, backlog and expected time of the best; the expected time of the second.
        let mut best: Option<(usize, usize, u64)> = None;
        let mut second = u64::MAX;
        let (mut unknown, mut stale) = (None, None);
        for offset in 0..count {
            let index = (turn + offset) % count;
            let server = &self.candidates[index];
            let Some(backlog) = scan.admit(index, server, shape, tried) else { continue };
            let expected = match server.expected_ns(shape, now) {
                Some(expected) => expected,
                None => {
                    if backlog < TRIAL_OPS {
                        unknown = Some((index, backlog));
                    }
                    u64::MAX - backlog as u64
                }
            };
            if explores && backlog == 0 && is_stale(server, shape, now) {
                stale = Some(index);
            }
            match best {
                Some((_, _, least)) if expected >= least => second = second.min(expected),
                _ => {
                    second = best.map_or(second, |(_, _, least)| least);
                    best = Some((index, backlog, expected));
                }
            }
        }
        if let Some((index, backlog)) = unknown {
            return Outcome::Found {
                index,
                room: TRIAL_OPS - backlog,
                why: "explored: its rate is not known",
            };
        }
        let Some((index, backlog, expected)) = best else { return scan.end(&self.candidates) };
        if scan.is_full && stale.is_none() && self.full_expected_ns(shape, now, line_ops()) < expected {
            return Outcome::Full;
        }
        if let Some(index) = stale.filter(|stale| *stale != index) {
            return Outcome::Found { index, room: 1, why: "explored: its rate is old" };
        }
        let server = &self.candidates[index];
        let room = server.lend_max_ops() - backlog;
        // As many as it would do before the second would have done one.
        let op_ns = server.rates().of(shape).map_or(1.0, |rate| rate.op_ns.max(1.0));
        let ahead = (second - expected) as f64 / op_ns;
        let slice = SLICE_NS as f64 / op_ns;
        let room = room.min((ahead.max(slice) as usize).saturating_add(1));
        Outcome::Found { index, room, why: "least expected time" }
    }

    /// When the best of those that are full would be done with an operation at the end of the line.
    fn full_expected_ns(&self, shape: Shape, now: Nanos, line_ops: usize) -> u64 {
        let full = self.candidates.iter().filter(|server| {
            server.state().is_usable() && server.can(shape) && server.backlog_ops() >= server.lend_max_ops()
        });
        let with_line = full.filter_map(|server| {
            let op_ns = server.rates().of(shape)?.op_ns;
            Some(server.expected_ns(shape, now)?.saturating_add((line_ops as f64 * op_ns) as u64))
        });
        with_line.min().unwrap_or(u64::MAX)
    }

    /// Whether an operation had better wait: nobody who can do it has room, or none of those who have would be done
    /// before one that is full. `None` when nobody can do it.
    pub(crate) fn waits(
        &self,
        shape: Shape,
        now: impl Fn() -> Nanos,
        line_ops: impl Fn() -> usize,
    ) -> Option<bool> {
        let is_able = |server: &&S| server.state().is_usable() && server.can(shape);
        let has_room = |server: &&S| server.backlog_ops() < server.lend_max_ops();
        let (mut open, mut full) = (0, 0);
        for server in self.candidates.iter().filter(is_able) {
            *(if has_room(&server) { &mut open } else { &mut full }) += 1;
        }
        if open == 0 || full == 0 || !matches!(self.rule, Rule::LeastExpected { .. }) {
            return (open + full > 0).then_some(open == 0);
        }
        let now = now();
        let open = self.candidates.iter().filter(is_able).filter(has_room);
        let best = open.map(|server| server.expected_ns(shape, now).unwrap_or(0)).min();
        Some(best.is_some_and(|best| self.full_expected_ns(shape, now, line_ops()) < best))
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of the rule and of the pick")]
    fn by_size(
        &self,
        threshold_bytes: usize,
        small: usize,
        explore_every: u32,
        shape: Shape,
        tried: &Tried,
        spread: usize,
        now: Nanos,
    ) -> Outcome {
        let count = self.candidates.len();
        let small = small.min(count);
        let is_small = shape.bytes() <= threshold_bytes;
        let (own, other) = if is_small { (0..small, small..count) } else { (small..count, 0..small) };
        if explore_every > 0 && (self.next_turn() as u64).is_multiple_of(u64::from(explore_every)) {
            let mut scan = Scan::default();
            let mut idle = other.clone().filter(|index| is_stale(&self.candidates[*index], shape, now));
            let idle = idle.find(|i| scan.admit(*i, &self.candidates[*i], shape, tried) == Some(0));
            if let Some(index) = idle {
                return Outcome::Found { index, room: 1, why: "explored: its rate is old" };
            }
        }
        let why = if is_small { "size up to the threshold" } else { "size above the threshold" };
        match shortest(&self.candidates, own, spread, shape, tried) {
            Outcome::Found { index, room, .. } => Outcome::Found { index, room, why },
            without => match shortest(&self.candidates, other, spread, shape, tried) {
                Outcome::Found { index, room, .. } => {
                    Outcome::Found { index, room, why: "spilled: no room among those for its size" }
                }
                Outcome::Full => Outcome::Full,
                Outcome::None => without,
            },
        }
    }

    fn chosen(&self, chooser: &Chooser, shape: Shape, tried: &Tried, now: Nanos) -> Outcome {
        let mut scan = Scan::default();
        let mut candidates = Vec::with_capacity(self.candidates.len());
        let mut places = Vec::with_capacity(self.candidates.len());
        for (index, server) in self.candidates.iter().enumerate() {
            let Some(backlog_ops) = scan.admit(index, server, shape, tried) else { continue };
            places.push(index);
            candidates.push(Candidate {
                device: server.id(),
                state: server.state(),
                backlog_ops,
                room_ops: server.lend_max_ops() - backlog_ops,
                expected_ns: server.expected_ns(shape, now),
            });
        }
        if candidates.is_empty() {
            return scan.end(&self.candidates);
        }
        let asked = Asked {
            algorithm: shape.algorithm(),
            kind: shape.kind(),
            bytes: shape.bytes(),
            priority: shape.priority() as u8,
            candidates: &candidates,
        };
        // A panic is no choice; the watchdog counts it like one that cannot serve.
        let choice = guarded(|| (chooser.0)(&asked)).flatten();
        match choice.and_then(|choice| Some((places.get(choice)?, candidates.get(choice)?))) {
            Some((index, candidate)) => {
                Outcome::Found { index: *index, room: candidate.room_ops, why: "chosen by the policy" }
            }
            None => Outcome::None,
        }
    }
}

fn is_stale<S: Server>(server: &S, shape: Shape, now: Nanos) -> bool {
    server.rates().of(shape).is_none_or(|rate| now.since(Nanos(rate.noted_ns)) > OLD_NS)
}

/// One cycle of smooth weighted round robin: each candidate as often as its weight, spread out evenly.
fn cycle(weights: &[u32], count: usize) -> Vec<u16> {
    let weights: Vec<u64> =
        (0..count).map(|index| weights.get(index).copied().map_or(0, u64::from)).collect();
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let total: u64 = weights.iter().sum::<u64>() / divisor;
    let scaled: Vec<i64> = weights
        .iter()
        .map(|weight| match weight / divisor {
            0 => 0,
            weight if total <= CYCLE_MAX => weight as i64,
            weight => ((weight * CYCLE_MAX / total) as i64).max(1),
        })
        .collect();
    let sum: i64 = scaled.iter().sum();
    let mut credit = vec![0; count];
    let mut cycle = Vec::with_capacity(sum as usize);
    for _ in 0..sum {
        credit.iter_mut().zip(&scaled).for_each(|(credit, weight)| *credit += weight);
        // The first of those with most credit.
        let next = (0..count).rev().max_by_key(|index| credit[*index]).unwrap_or(0);
        credit[next] -= sum;
        cycle.push(next as u16);
    }
    cycle
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_holds_each_candidate_as_often_as_its_weight_and_spread_out() {
        assert_eq!(cycle(&[3, 1], 2), [0, 0, 1, 0]);
        assert_eq!(cycle(&[30, 10], 2), [0, 0, 1, 0]);
        assert_eq!(cycle(&[0, 2], 2), [1]);
        assert_eq!(cycle(&[1], 2), [0], "one without a weight has none");
        assert!(cycle(&[0, 0], 2).is_empty());
        let long = cycle(&[1_000_000, 1, 1], 3);
        assert!(long.len() <= 2 + CYCLE_MAX as usize && long.contains(&1) && long.contains(&2));
    }
}
