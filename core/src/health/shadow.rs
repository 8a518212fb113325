//! Shadow execution: a sample of a device's operations is carried out once more by the built-in software engine, and
//! held until both agree. At a rate of 1 no wrong byte gets out; below, detection is bounded by the rate, and the
//! event names the operations since the last sample that agreed. Random bytes have no second opinion.

use std::sync::Arc;

use super::{Cause, span};
use crate::algorithm::{Algorithm, OpKind};
use crate::clock::Nanos;
use crate::context::Part;
use crate::device::fault::Lot;
use crate::device::registry::{Device, Exec};
use crate::device::soft::Soft;
use crate::device::{DeviceError, DirectDevice, DirectOp, Handle};
use crate::error::Progress;
use crate::op::{Chain, Iv, Output};
use crate::shared::Shared;
use crate::submit::Shape;
use crate::sync::atomic::Ordering;

/// An attempt that gave other bytes than the reference. It was not handed out, and its input is whole.
pub(crate) const WRONG: DeviceError =
    DeviceError::Failed { reason: "wrong result", progress: Progress::Executed, source_intact: true };

/// The reference engine of one device.
pub(crate) struct Shadow {
    soft: Soft,
    lot: Lot,
    /// The session sampled last, with its number.
    open: Option<(u64, Handle)>,
    /// When a sample last agreed, or sampling began.
    agreed: Nanos,
    /// Operations that ended since then without a sample of their own.
    suspects: u64,
    /// Operations compared, and all that ended, since sampling began.
    compared: u64,
    ended: u64,
}

impl std::fmt::Debug for Shadow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shadow").field("suspects", &self.suspects).finish_non_exhaustive()
    }
}

/// The input of a sampled operation, as it was.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) data: Vec<u8>,
    pub(crate) chain: Option<Box<Chain>>,
}

/// What is compared: the request, its input, and what the device made of it.
pub(crate) struct Compared<'a> {
    pub(crate) shape: Shape,
    pub(crate) iv: &'a Iv,
    pub(crate) aad: &'a [u8],
    pub(crate) input: &'a [u8],
    pub(crate) chain_before: Option<&'a Chain>,
    /// `None` where the device makes no data.
    pub(crate) data: Option<&'a [u8]>,
    pub(crate) output: &'a Output,
    pub(crate) chain_after: Option<&'a Chain>,
    pub(crate) result: Result<(), DeviceError>,
}

impl Shadow {
    pub(crate) fn new(seed: u64, now: Nanos) -> Self {
        Self {
            soft: Soft::new(),
            lot: Lot::new(seed),
            open: None,
            agreed: now,
            suspects: 0,
            compared: 0,
            ended: 0,
        }
    }

    /// Whether an operation is one of the sample.
    pub(crate) fn draws(&mut self, rate: f64, algorithm: Algorithm) -> bool {
        algorithm.is_deterministic() && (rate >= 1.0 || self.lot.unit() < rate)
    }

    /// The session ended: its key is forgotten.
    pub(crate) fn forget(&mut self, id: u64) {
        if let Some((_, handle)) = self.open.take_if(|(open, _)| *open == id) {
            self.soft.close(handle);
        }
    }

    /// Whether device and reference agree; `None` where there is no reference.
    fn agrees(&mut self, id: u64, part: &Part, this: &Compared<'_>) -> Option<bool> {
        if this.shape.algorithm() == Algorithm::Null {
            return Some(this.result.is_ok() && this.data.is_none_or(|data| data == this.input));
        }
        let handle = self.handle(id, part)?;
        let mut data = Vec::with_capacity(this.input.len() + 16);
        data.extend_from_slice(this.input);
        let mut chain = this.chain_before.cloned();
        let mut output = Output::none();
        let mut run = [DirectOp {
            handle,
            algorithm: this.shape.algorithm(),
            kind: this.shape.kind(),
            iv: this.iv,
            aad: this.aad,
            data: &mut data,
            source: None,
            output: &mut output,
            chain: chain.as_mut(),
            result: None,
        }];
        self.soft.execute(&mut run);
        match (run[0].result?, this.result) {
            (Err(DeviceError::Failed { .. }), _) => None,
            (Ok(()), Ok(())) => {
                let writes = matches!(this.shape.kind(), OpKind::Encrypt | OpKind::Decrypt);
                let same_data = !writes || this.data.is_some_and(|made| made == data);
                let is_hash = matches!(this.shape.kind(), OpKind::Digest | OpKind::Mac);
                let midstate = |chain: Option<&Chain>| {
                    chain
                        .filter(|chain| is_hash && !chain.last)
                        .map(|chain| chain.midstate.as_slice().to_vec())
                };
                let same_chain = midstate(chain.as_ref()) == midstate(this.chain_after);
                Some(same_data && *this.output == output && same_chain)
            }
            (Err(DeviceError::DecryptionFailed), Err(DeviceError::DecryptionFailed)) => Some(true),
            _ => Some(false),
        }
    }

    fn handle(&mut self, id: u64, part: &Part) -> Option<Handle> {
        if let Some((open, handle)) = self.open
            && open == id
        {
            return Some(handle);
        }
        self.soft.probe(&part.spec)?;
        let handle = self.soft.open(&part.spec, &part.key).ok()?;
        if let Some((_, old)) = self.open.replace((id, handle)) {
            self.soft.close(old);
        }
        Some(handle)
    }
}

impl Shared {
    /// Compares one result with the reference. False when it is wrong: the device is broken then, and the result must
    /// not get out.
    pub(crate) fn stands_up(
        &self,
        device: &Arc<Device>,
        exec: &mut Exec,
        context: u64,
        this: &Compared<'_>,
    ) -> bool {
        let now = self.now();
        if matches!(this.result, Err(DeviceError::Failed { .. })) {
            return true;
        }
        let of = self.context_on(exec, context);
        let part = of.as_ref().and_then(|of| of.part(context));
        let (Some(part), Some(shadow)) = (part, &mut exec.shadow) else { return true };
        match shadow.agrees(context, part, this) {
            None => {
                shadow.suspects += 1;
                shadow.ended += 1;
                true
            }
            Some(true) => {
                (shadow.compared, shadow.ended) = (shadow.compared + 1, shadow.ended + 1);
                (shadow.agreed, shadow.suspects) = (now, 0);
                device.shadowed.add(1);
                true
            }
            Some(false) => {
                (shadow.compared, shadow.ended) = (shadow.compared + 1, shadow.ended + 1);
                let (compared, ended) = (shadow.compared, shadow.ended);
                let (suspects, since) = (shadow.suspects, span(now.since(shadow.agreed)));
                device.shadowed.add(1);
                let (algorithm, kind) = (this.shape.algorithm(), this.shape.kind());
                let reason = format!(
                    "wrong result: {algorithm} {kind} of {} bytes differs from the reference; {suspects} operations in \
                     the {since} since the last sample that agreed are suspect, and more if it fails now and then: \
                     {compared} of {ended} were compared",
                    this.input.len()
                );
                self.device_broke(device, Cause::WrongBytes, reason);
                false
            }
        }
    }

    /// The rate in force, and the engine for it. 0 where none of the next operations is sampled.
    #[inline(always)]
    pub(crate) fn shadow_rate(&self, device: &Device, exec: &mut Exec) -> f64 {
        let bits = device.shadow_rate.load(Ordering::Relaxed);
        // No bit of 0.0 is set.
        if bits == 0 && exec.shadow.is_none() { 0.0 } else { self.begin_or_end_shadow(bits, exec, device) }
    }

    #[cold]
    fn begin_or_end_shadow(&self, bits: u64, exec: &mut Exec, device: &Device) -> f64 {
        let rate = f64::from_bits(bits);
        if rate > 0.0 && exec.shadow.is_none() {
            let seed = self.config.seed ^ u64::from(device.id.0) << 32;
            exec.shadow = Some(Box::new(Shadow::new(seed, self.now())));
        } else if rate == 0.0 && exec.shadow.is_some() {
            exec.shadow = None;
        }
        rate
    }

    /// Counts operations that ended without a second opinion.
    pub(crate) fn note_unsampled(exec: &mut Exec, ops: u64) {
        if let Some(shadow) = &mut exec.shadow {
            shadow.suspects += ops;
            shadow.ended += ops;
        }
    }
}
