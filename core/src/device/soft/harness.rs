//! One operation on a device of its own, for tests.

use crate::algorithm::{Algorithm, OpKind};
use crate::device::{DeviceError, DirectDevice, DirectOp};
use crate::key::Key;
use crate::op::{Chain, Iv, Output};
use crate::session::SessionSpec;

use super::Soft;

/// What goes in.
#[derive(Clone)]
pub(crate) struct Case<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kind: OpKind,
    pub(crate) key: &'a [u8],
    pub(crate) iv: &'a [u8],
    pub(crate) aad: &'a [u8],
    pub(crate) input: &'a [u8],
}

/// What comes out.
#[derive(Debug, PartialEq)]
pub(crate) struct Attempt {
    pub(crate) result: Result<(), DeviceError>,
    pub(crate) data: Vec<u8>,
    pub(crate) output: Output,
}

impl Case<'_> {
    pub(crate) fn new(algorithm: Algorithm, kind: OpKind) -> Self {
        Self { algorithm, kind, key: &[], iv: &[], aad: &[], input: &[] }
    }

    pub(crate) fn run(&self) -> Attempt {
        self.run_in(None)
    }

    /// As a chunk of a stream, if there is a chain.
    pub(crate) fn run_in(&self, chain: Option<&mut Chain>) -> Attempt {
        self.run_on(&Soft::new(), chain)
    }

    /// On another device.
    pub(crate) fn run_on(&self, device: &dyn DirectDevice, chain: Option<&mut Chain>) -> Attempt {
        let handle = device.open(&SessionSpec::new(self.algorithm), &Key::new(self.key.to_vec())).unwrap();
        let (mut data, mut output) = (self.input.to_vec(), Output::none());
        let mut ops = [DirectOp {
            handle,
            algorithm: self.algorithm,
            kind: self.kind,
            iv: &Iv::new(self.iv).unwrap(),
            aad: self.aad,
            data: &mut data,
            source: None,
            output: &mut output,
            chain,
            result: None,
        }];
        device.execute(&mut ops);
        let result = ops[0].result.unwrap();
        device.close(handle);
        Attempt { result, data, output }
    }
}
