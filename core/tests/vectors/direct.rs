//! One operation on a direct device, whole or as a stream.

use acrypto_core::algorithm::{Algorithm, Class, OpKind};
use acrypto_core::device::{DeviceError, DirectDevice, DirectOp};
use acrypto_core::key::Key;
use acrypto_core::op::{Chain, Iv, Output, Request};
use acrypto_core::session::SessionSpec;

/// The request for a runtime.
pub fn request(kind: OpKind, data: Vec<u8>, iv: &[u8], aad: &[u8]) -> Request {
    let mut request = Request::new(kind, data).with_aad(aad.to_vec());
    request.iv = Iv::new(iv).unwrap();
    request
}

/// What goes in.
#[derive(Clone, Debug)]
pub struct Operation {
    pub algorithm: Algorithm,
    pub kind: OpKind,
    pub key: Vec<u8>,
    pub iv: Vec<u8>,
    pub aad: Vec<u8>,
    pub input: Vec<u8>,
}

/// What comes out.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    pub result: Result<(), DeviceError>,
    pub data: Vec<u8>,
    pub output: Output,
}

impl Operation {
    /// In a session of its own.
    pub fn run(&self, device: &dyn DirectDevice) -> Outcome {
        self.run_chunk(device, &self.iv, &self.input, None)
    }

    /// As a stream cut after so many blocks each (16 bytes where the algorithm has no larger ones), the rest in one
    /// last chunk. Every chunk has a session of its own, as if it went to another device.
    pub fn run_in_chunks(&self, device: &dyn DirectDevice, chunk_blocks: &[usize]) -> Outcome {
        let unit = self.algorithm.block_len().max(16);
        let chunk_lens: Vec<usize> = chunk_blocks.iter().map(|blocks| blocks * unit).collect();
        self.run_cut(device, &chunk_lens)
    }

    /// As a stream of chunks of these lengths, the rest in one last chunk.
    pub fn run_cut(&self, device: &dyn DirectDevice, chunk_lens: &[usize]) -> Outcome {
        let mut chain = Chain { first: true, ..Chain::default() };
        let (mut iv, mut data, mut rest) = (self.iv.clone(), Vec::new(), self.input.as_slice());
        let mut chunk_lens = chunk_lens.iter();
        loop {
            let (chunk, after) =
                rest.split_at(chunk_lens.next().map_or(rest.len(), |len| rest.len().min(*len)));
            chain.last = after.is_empty();
            let done = self.run_chunk(device, &iv, chunk, Some(&mut chain));
            assert_eq!(done.result, Ok(()));
            self.advance(&mut iv, chunk, &done.data);
            data.extend_from_slice(&done.data);
            if chain.last {
                return Outcome { data, ..done };
            }
            (chain.first, rest) = (false, after);
        }
    }

    fn run_chunk(
        &self,
        device: &dyn DirectDevice,
        iv: &[u8],
        chunk: &[u8],
        chain: Option<&mut Chain>,
    ) -> Outcome {
        let spec = SessionSpec::new(self.algorithm);
        let handle = device.open(&spec, &Key::new(self.key.clone())).unwrap();
        let (mut data, mut output) = (chunk.to_vec(), Output::none());
        let mut ops = [DirectOp {
            handle,
            algorithm: self.algorithm,
            kind: self.kind,
            iv: &Iv::new(iv).unwrap(),
            aad: &self.aad,
            data: &mut data,
            source: None,
            output: &mut output,
            chain,
            result: None,
        }];
        device.execute(&mut ops);
        let result = ops[0].result.unwrap();
        device.close(handle);
        Outcome { result, data, output }
    }

    /// The iv of the next chunk, as the runtime works it out.
    fn advance(&self, iv: &mut Vec<u8>, input: &[u8], output: &[u8]) {
        match self.algorithm.class() {
            Class::Cbc => {
                let ciphertext = if self.kind == OpKind::Encrypt { output } else { input };
                if let Some(block) = ciphertext.last_chunk::<16>() {
                    *iv = block.to_vec();
                }
            }
            Class::Ctr => {
                let counter = u128::from_be_bytes(iv.as_slice().try_into().unwrap());
                *iv = counter.wrapping_add(input.len() as u128 / 16).to_be_bytes().to_vec();
            }
            _ => {}
        }
    }
}
