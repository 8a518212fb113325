//! A direct device served as a queued one: it works on memory of its own instead of the caller's.

use std::sync::Arc;

use super::{
    Answer, DeviceError, DeviceInfo, DirectDevice, DirectOp, Handle, Product, QueuedDevice, QueuedOp, Run,
    Score,
};
use crate::algorithm::OpKind;
use crate::clock::Nanos;
use crate::error::{Error, Progress};
use crate::key::Key;
use crate::op::Output;
use crate::session::SessionSpec;

/// Carries one operation out in memory of its own.
pub(crate) fn carry_out(op: QueuedOp, execute: impl FnOnce(&mut Run<'_>)) -> Answer {
    let QueuedOp { ticket, handle, algorithm, kind, iv, aad, source, mut chain } = op;
    let writes = matches!(kind, OpKind::Encrypt | OpKind::Decrypt | OpKind::Random);
    // Room for a tag, so that appending it does not move the data.
    let mut data = Vec::with_capacity(source.len() + 16);
    data.extend_from_slice(&source);
    drop(source);
    let mut output = Output::none();
    let mut run = [DirectOp {
        handle,
        algorithm,
        kind,
        iv: &iv,
        aad: &aad,
        data: &mut data,
        source: None,
        output: &mut output,
        chain: chain.as_deref_mut(),
        result: None,
    }];
    execute(&mut run);
    let no_answer =
        DeviceError::Failed { reason: "no answer", progress: Progress::NotStarted, source_intact: true };
    // The source is whole whatever became of the copy.
    let result = match run[0].result.unwrap_or(Err(no_answer)) {
        Err(DeviceError::Failed { reason, progress, .. }) => {
            Err(DeviceError::Failed { reason, progress, source_intact: true })
        }
        result => result,
    };
    let product = |()| Product { data: writes.then_some(data), output, chain };
    Answer { ticket, result: result.map(product) }
}

/// The adapter.
pub(crate) struct Staged {
    device: Arc<dyn DirectDevice>,
    ready: Vec<Answer>,
    room: usize,
}

impl Staged {
    pub(crate) fn new(device: Arc<dyn DirectDevice>) -> Self {
        let room = device.info().run_max_ops;
        Self { device, ready: Vec::new(), room }
    }

    pub(crate) fn into_inner(self) -> Arc<dyn DirectDevice> {
        self.device
    }
}

impl QueuedDevice for Staged {
    fn info(&self) -> DeviceInfo {
        self.device.info()
    }

    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        self.device.probe(spec)
    }

    fn open(&mut self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        self.device.open(spec, key)
    }

    fn close(&mut self, handle: Handle) {
        self.device.close(handle);
    }

    fn submit(&mut self, _now: Nanos, ops: &mut Vec<QueuedOp>) {
        let device = &self.device;
        self.ready.extend(ops.drain(..).map(|op| carry_out(op, |run| device.execute(run))));
    }

    fn room(&self) -> usize {
        self.room.saturating_sub(self.ready.len())
    }

    fn in_flight(&self) -> usize {
        self.ready.len()
    }

    fn poll(&mut self, _now: Nanos, done: &mut Vec<Answer>) -> Option<Nanos> {
        done.append(&mut self.ready);
        None
    }

    fn reset(&mut self) -> Result<(), Error> {
        self.ready.clear();
        Ok(())
    }
}
