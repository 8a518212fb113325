//! What must come out, by the software device called directly.

use acrypto_core::device::soft::Soft;
use acrypto_core::device::{DirectDevice, DirectOp, Handle};
use acrypto_core::{Algorithm, Output};

use super::work::Work;
use crate::exit::Failure;

/// Carries out each operation once more.
pub struct Reference {
    soft: Soft,
    /// One for each session; none for `null`, whose output is its input.
    handles: Vec<Handle>,
    work: Work,
    inputs: Vec<Vec<u8>>,
    data: Vec<u8>,
}

impl Reference {
    /// For the sessions from `first_session` on.
    pub fn new(work: &Work, first_session: u64) -> Result<Self, Failure> {
        let soft = Soft::new();
        let sessions = match work.algorithm {
            Algorithm::Null => 0,
            _ => u64::from(work.sessions),
        };
        let handles = (first_session..first_session + sessions)
            .map(|session| soft.open(&work.spec(), &work.key(session)))
            .collect::<Result<_, _>>()?;
        let inputs = (0..work.burst_ops).map(|place| work.input(place)).collect();
        Ok(Self { soft, handles, work: work.clone(), inputs, data: Vec::with_capacity(work.data_len()) })
    }

    /// The input at this place of a burst.
    pub fn input(&self, place: usize) -> &[u8] {
        &self.inputs[place]
    }

    /// Whether operation number `operation` gave what it must.
    pub fn agrees(&mut self, operation: u64, data: &[u8], output: &[u8]) -> bool {
        self.carry_out(operation).is_some_and(|expected| self.data == data && expected.as_slice() == output)
    }

    /// The same of a digest or MAC, whose input was not sent back.
    pub fn digests_to(&mut self, operation: u64, output: &[u8]) -> bool {
        self.carry_out(operation).is_some_and(|expected| expected.as_slice() == output)
    }

    /// What operation number `operation` must give.
    #[cfg(test)]
    pub fn expected(&mut self, operation: u64) -> (Vec<u8>, Vec<u8>) {
        let output = self.carry_out(operation).unwrap();
        (self.data.clone(), output.as_slice().to_vec())
    }

    /// Carries an operation out: what it leaves is in `data`, and what it gives beside is returned.
    fn carry_out(&mut self, operation: u64) -> Option<Output> {
        let input = &self.inputs[(operation % self.work.burst_ops as u64) as usize];
        let session = (operation % u64::from(self.work.sessions)) as usize;
        self.data.clear();
        self.data.extend_from_slice(input);
        let mut expected = Output::none();
        let Some(handle) = self.handles.get(session) else { return Some(expected) };
        let mut ops = [DirectOp {
            handle: *handle,
            algorithm: self.work.algorithm,
            kind: self.work.kind,
            iv: &self.work.iv(operation),
            aad: &[],
            data: &mut self.data,
            source: None,
            output: &mut expected,
            chain: None,
            result: None,
        }];
        self.soft.execute(&mut ops);
        let is_done = ops[0].result == Some(Ok(()));
        is_done.then_some(expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_byte_of_data_or_output_is_seen_and_so_is_another_session() {
        let work = Work::new(Algorithm::Aes128Gcm, 40, 3, 2);
        let mut reference = Reference::new(&work, 0).unwrap();
        // The reference is right about itself.
        assert!(!reference.agrees(4, &[], &[]));
        let mut right = reference.data.clone();
        assert!(reference.agrees(4, &right, &[]));
        assert!(!reference.agrees(4, &right, &[0]) && !reference.agrees(5, &right, &[]));
        right[17] ^= 1;
        assert!(!reference.agrees(4, &right, &[]));
        let mut null = Reference::new(&Work::new(Algorithm::Null, 8, 2, 1), 0).unwrap();
        let input = null.input(1).to_vec();
        assert!(null.agrees(3, &input, &[]) && !null.agrees(2, &input, &[]));
    }
}
