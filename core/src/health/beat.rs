//! Heartbeats: a device that is idle is asked a known answer from time to time, so that its failure is found before
//! the next operation finds it. They are no operations and count in no sum.

use std::sync::Arc;

use super::selftest::answers_for;
use super::{Asked, Cause, Probe, span};
use crate::clock::Nanos;
use crate::device::DeviceInfo;
use crate::device::known_answers::KnownAnswer;
use crate::device::registry::{Device, Exec, Mail};
use crate::shared::Shared;
use crate::sync::atomic::Ordering;

/// So many heartbeats in a row without an answer break a device: its error budget may be too wide for their pace.
const MISSED_MAX: u32 = 3;

/// The heartbeat of one device.
#[derive(Debug)]
pub(crate) struct Beat {
    answers: Vec<&'static KnownAnswer>,
    turn: usize,
    asked: Option<Probe>,
}

impl Beat {
    pub(crate) fn new(info: &DeviceInfo) -> Self {
        Self { answers: answers_for(info), turn: 0, asked: None }
    }

    /// When the one that is out is given up.
    pub(crate) fn until(&self) -> Option<Nanos> {
        self.asked.as_ref().map(|asked| asked.until)
    }

    /// Whether one is out.
    pub(crate) fn is_out(&self) -> bool {
        self.asked.is_some()
    }
}

impl Shared {
    /// Asks for a heartbeat of a device that had nothing to do for a while. Called by the control machine.
    pub(crate) fn mind_idle(&self, device: &Arc<Device>, now: Nanos) {
        let period = self.config.heartbeat_ns;
        let active = Nanos(device.active_ns.load(Ordering::Relaxed));
        if period == 0 || now.since(active) < period || !device.state().is_usable() {
            return;
        }
        if !self.is_empty_of_work(device) || device.attention.load(Ordering::Acquire) {
            return;
        }
        device.active_ns.store(now.0, Ordering::Relaxed);
        device.post(Mail::Beat);
        self.look_after(device);
    }

    /// Sends a heartbeat, unless the device has something better to do. True if it waits for the answer.
    pub(crate) fn send_beat(&self, device: &Arc<Device>, exec: &mut Exec) -> bool {
        let is_idle = self.is_empty_of_work(device) && exec.selftest.is_none() && !exec.beat.is_out();
        if !is_idle || !device.state().is_usable() || exec.beat.answers.is_empty() {
            return false;
        }
        if device.is_full_of_sessions(exec) {
            self.close_idle_session(exec);
        }
        let turn = exec.beat.turn;
        exec.beat.turn = turn.wrapping_add(1);
        let answer = exec.beat.answers[turn % exec.beat.answers.len()];
        exec.probes += 1;
        device.beats_sent.add(1);
        let limit = self.silence_limit_ns(device, 0);
        match Probe::ask(answer, exec.probes, &mut exec.engine, self.now(), limit) {
            Asked::Waits(probe) => {
                exec.beat.asked = Some(probe);
                true
            }
            Asked::Done(verdict) => {
                self.note_beat(device, verdict, false);
                false
            }
        }
    }

    /// Looks for the answer to a heartbeat among those that came.
    pub(crate) fn look_for_beat(&self, device: &Arc<Device>, exec: &mut Exec) -> bool {
        let Some(asked) = &exec.beat.asked else { return false };
        let now = self.now();
        let Some(verdict) = asked.look(&mut exec.probed, now) else { return false };
        let is_missed = verdict.is_err() && now >= asked.until;
        if let Some(asked) = exec.beat.asked.take() {
            asked.close(&mut exec.engine);
        }
        device.active_ns.store(now.0, Ordering::Relaxed);
        self.note_beat(device, verdict, is_missed);
        true
    }

    /// Forgets the heartbeat that is out: the device is reset.
    pub(crate) fn drop_beat(exec: &mut Exec) {
        if let Some(asked) = exec.beat.asked.take() {
            asked.close(&mut exec.engine);
        }
    }

    fn note_beat(&self, device: &Arc<Device>, verdict: Result<(), String>, is_missed: bool) {
        let Err(reason) = verdict else {
            return self.change(device, |change| change.health.missed_beats = 0);
        };
        device.beats_failed.add(1);
        if reason.contains("is wrong at byte") || reason.contains("forgery") {
            let reason = format!("heartbeat: {reason}");
            self.device_broke(device, Cause::WrongBytes, reason);
            return;
        }
        let missed = self.change(device, |change| {
            change.health.missed_beats = if is_missed { change.health.missed_beats + 1 } else { 0 };
            change.health.missed_beats
        });
        if missed >= MISSED_MAX {
            let wait = span(self.silence_limit_ns(device, 0));
            let reason = format!("{missed} heartbeats in a row without an answer in {wait} each");
            self.device_broke(device, Cause::Evidence, reason);
        } else {
            self.device_failed(device, 1, &format!("heartbeat: {reason}"));
        }
    }
}
