//! Queued work that is placed anew: at a policy's wish, or when a switch asks for it.

use crate::balancer::table::Move;
use crate::device::registry::{Device, Mail};
use crate::event::{Draft, EventKind, Severity};
use crate::queue::slab::Held;
use crate::queue::word::State;
use crate::runtime::Runtime;
use crate::shared::Shared;
use crate::submit::accept::NO_DEVICE;
use crate::submit::{Body, Shape};
use crate::sync::atomic::Ordering;

impl Device {
    /// Asks whoever holds the run token next to put queued operations back into line. The latest wish counts.
    fn ask_back(&self, keep_ops: usize) {
        {
            let mut mail = self.mail.lock();
            mail.retain(|letter| !matches!(letter, Mail::Return { .. }));
            mail.push(Mail::Return { keep_ops, mark: self.ring.mark() });
        }
        self.attention.store(true, Ordering::Release);
    }
}

impl Shared {
    /// Carries out a plan's moves.
    pub(crate) fn carry_out(&self, moves: &[Move]) {
        let devices = self.devices.load();
        for Move { from, keep_ops } in moves {
            if let Some(device) = devices.iter().find(|device| device.id == *from && !device.ring.is_empty())
            {
                device.ask_back(*keep_ops);
                self.look_after(device);
            }
        }
    }

    /// Puts what lies in a device's queue beyond `keep_ops` back into line, but not what was put there after the mark:
    /// that has been placed anew already. Called by the holder of the run token.
    pub(crate) fn return_queued(&self, device: &Device, keep_ops: usize, mark: u64) {
        let excess = device.ring.len().saturating_sub(keep_ops).min(device.ring.len_before(mark));
        // An entry may stand for several operations.
        let end = device.ring.taken() + excess as u64;
        while device.ring.taken() < end {
            let Some(entry) = device.ring.pop() else { return };
            let queued = self.slab.current(entry).filter(|(_, word)| word.state() == State::Queued);
            if let Some((index, word)) = queued
                && let Some(held) = self.slab.claim(index, word, State::Held)
            {
                for held in self.unpack(held) {
                    device.cells.moved_out.add(1);
                    self.place_anew(held);
                }
            }
        }
    }

    /// Back into line; the attempt was never begun and does not count.
    pub(crate) fn place_anew(&self, held: Held<'_, Body>) {
        if self.is_stopped() {
            return self.cancel_held(held);
        }
        let priority = Shape(held.meta().shape.load(Ordering::Relaxed)).priority();
        let attempt = held.word().attempt().saturating_sub(1);
        self.shards.mine().moved.add(1);
        match held.repost(State::Waiting, attempt, NO_DEVICE) {
            Ok(entry) => self.wait_in_line(priority, entry, true),
            Err(held) => self.cancel_held(held),
        }
    }

    pub(crate) fn rehash(&self, uid: u32) {
        let devices = self.devices.load();
        let queued: usize = devices.iter().map(|device| device.ring.len()).sum();
        let moves: Vec<_> = devices.iter().map(|device| Move { from: device.id, keep_ops: 0 }).collect();
        self.carry_out(&moves);
        self.events.push(Draft {
            kind: EventKind::Balancer,
            severity: Severity::Info,
            object: "lb",
            name: self.routing.load().policy.to_string(),
            from: String::new(),
            to: "rehashed".to_owned(),
            reason: format!("{queued} queued operations are placed anew"),
            uid,
        });
    }
}

impl Runtime {
    /// Places what is queued on devices anew, by the policy in force. What a device has begun stays with it.
    pub fn rehash(&self, uid: u32) {
        self.shared.rehash(uid);
    }
}
