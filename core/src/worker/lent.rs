//! What was lent to a device comes back: its queue moves, what it holds is taken away from it or ends.

use crate::device::registry::Device;
use crate::device::{DeviceState, Ticket};
use crate::error::Progress;
use crate::queue::word::{State, Word};
use crate::shared::Shared;

impl Shared {
    /// Sends what is in a device's queue elsewhere: it is out of service. False when the queue was empty.
    pub(crate) fn evacuate(&self, device: &Device) -> bool {
        let mut worked = false;
        while let Some(entry) = device.ring.pop() {
            worked = true;
            let Some((index, word)) =
                self.slab.current(entry).filter(|(_, word)| word.state() == State::Queued)
            else {
                continue;
            };
            if let Some(held) = self.slab.claim(index, word, State::Held) {
                for held in self.unpack(held) {
                    device.cells.moved_out.add(1);
                    self.requeue(held);
                }
            }
        }
        worked
    }

    /// Takes back what a queued device has not answered. The device may still read its input, never write to it.
    pub(crate) fn take_back_lent(&self, device: &Device) -> u64 {
        let mut count = 0;
        for (index, word, _) in self.slab.iter() {
            if word.state() == State::Lent && word.device() == device.id {
                count +=
                    u64::from(self.take_back_slot(device, index, word, "device was taken out of service"));
            }
        }
        count
    }

    /// Takes one operation back from a queued device, if it still has it, and tries it elsewhere.
    pub(crate) fn take_back(&self, device: &Device, ticket: Ticket, reason: &'static str) -> bool {
        let lent = self.slab.current(ticket.0).filter(|(_, word)| word.state() == State::Lent);
        lent.is_some_and(|(index, word)| self.take_back_slot(device, index, word, reason))
    }

    /// As `take_back`, for a slot whose word said that it is lent to this device.
    pub(crate) fn take_back_slot(
        &self,
        device: &Device,
        index: u32,
        word: Word,
        reason: &'static str,
    ) -> bool {
        let Some(mut held) = self.slab.claim(index, word, State::Held) else { return false };
        device.cells.abandoned_running.add(1);
        held.body().tried.add(device.id);
        held.body().last_reason = reason;
        self.requeue(held);
        true
    }

    /// Ends the operations still lent to a device whose removal has run out of time.
    pub(crate) fn break_lent(&self, device: &Device) {
        for (index, word, _) in self.slab.iter() {
            if word.state() == State::Lent
                && word.device() == device.id
                && let Some(held) = self.slab.claim(index, word, State::Held)
            {
                device.cells.abandoned_running.add(1);
                let attempts = u16::from(word.attempt());
                let (reason, progress) = ("device was removed", Progress::MaybeExecuted);
                self.give_up(held, crate::error::OpError::Broken { attempts, reason, progress });
            }
        }
    }

    /// Whether a device holds nothing that is still wanted.
    pub(crate) fn is_empty_of_work(&self, device: &Device) -> bool {
        device.ring.is_empty() && device.counters().in_flight_ops == 0
    }

    /// The state a device is in, for those that must not act on a stale one.
    pub(crate) fn is_leaving(device: &Device) -> bool {
        matches!(device.state(), DeviceState::Draining | DeviceState::Drained | DeviceState::Gone)
    }
}
