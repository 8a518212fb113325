//! One case on every device and by every way in: alone, in a batch, through a burst ring, and as a stream cut at every
//! place. Buffers have no spare room beyond a tag, so that a byte written past an output leaves the allocation: that
//! is what AddressSanitizer watches for when it runs this suite.

use std::time::Duration;

use acrypto_core::{
    Algorithm, Class, Completion, Error, Iv, OpError, OpKind, Refused, Request, Session, StreamError,
};

use crate::devices::Bench;
use crate::direct::{Operation, request};

/// An operation, and what must come of it.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub operation: Operation,
    /// Whether the runtime pads and unpads (PKCS#7).
    pub pads: bool,
    pub expected: Expected,
}

#[derive(Clone, Debug)]
pub enum Expected {
    /// This in the data.
    Data(Vec<u8>),
    /// A digest or MAC that begins so.
    Output(Vec<u8>),
    /// A MAC that does not begin so.
    OtherOutput(Vec<u8>),
    /// A forgery or wrong padding: typed, and nothing released.
    DecryptionFailed,
    /// No whole number of blocks: refused at the door.
    PartialBlock,
}

/// Runs a case on every bench that claims it; returns on how many.
pub fn check_everywhere(benches: &[Bench], case: &Case) -> usize {
    let Operation { algorithm, kind, .. } = case.operation;
    let mut count = 0;
    for bench in benches {
        if let Some(streams) = bench.claims(algorithm, kind) {
            let session = bench.session(algorithm, &case.operation.key, case.pads);
            let what = format!("{} on {}", case.name, bench.name);
            case.check_call(&session, bench.is_direct, &what);
            case.check_batch(&session, &what);
            case.check_burst(&session, &what);
            if streams && !matches!(case.expected, Expected::PartialBlock) {
                case.check_streams(&session, &what);
            }
            count += 1;
        }
    }
    count
}

impl Case {
    /// A request whose buffer has room for a block of padding and a tag where they are appended, and no more.
    fn request(&self) -> Request {
        let Operation { algorithm, kind, iv, aad, input, .. } = &self.operation;
        let appended = match kind {
            OpKind::Encrypt if self.pads => 16 - input.len() % 16 + algorithm.output_len(),
            OpKind::Encrypt => algorithm.output_len(),
            _ => 0,
        };
        let mut data = Vec::with_capacity(input.len() + appended);
        data.extend_from_slice(input);
        request(*kind, data, iv, aad)
    }

    fn check_call(&self, session: &Session, in_place: bool, what: &str) {
        let request = self.request();
        let buffer = request.data.as_ptr();
        let result = session.call(request);
        if let (true, Ok(completion), Expected::Data(_) | Expected::Output(_)) =
            (in_place, &result, &self.expected)
        {
            assert!(completion.data.as_ptr() == buffer, "{what}: a direct device works in place");
        }
        self.judge(&result, &format!("{what}, alone"));
    }

    /// With others of its session before, between and after, one of them refused.
    fn check_batch(&self, session: &Session, what: &str) {
        let companion = Companion::of(self);
        let mut refused = companion.request();
        refused.iv = Iv::new(&[0; 5]).unwrap();
        let requests =
            vec![companion.request(), self.request(), refused, self.request(), companion.request()];
        let results = acrypto_core::block_on(session.submit_batch(requests));
        let [before, first, refused, second, after] = results.as_slice() else {
            panic!("{what}: {} results of 5", results.len());
        };
        companion.judge(before, what);
        companion.judge(after, what);
        self.judge(first, &format!("{what}, in a batch"));
        self.judge(second, &format!("{what}, in a batch"));
        let error = refused.as_ref().map_err(|refused| &refused.error);
        assert!(matches!(error, Err(Error::IvLength { .. })), "{what}: {error:?}");
    }

    /// Carried out by a worker, while this thread only waits.
    fn check_burst(&self, session: &Session, what: &str) {
        let what = format!("{what}, in a burst");
        let mut burst = session.burst(4);
        let mut requests: Vec<Request> = (0..4).map(|_| self.request()).collect();
        let accepted = burst.submit(&mut requests);
        let mut completions = Vec::new();
        while completions.len() < accepted {
            if burst.poll(&mut completions, 4) == 0 {
                burst.wait(Duration::from_secs(60));
            }
        }
        let refused = burst.refused();
        assert_eq!(completions.len() + refused.len(), 4, "{what}");
        completions.into_iter().map(Ok).chain(refused.into_iter().map(Err)).for_each(|result| {
            self.judge(&result, &what);
        });
    }

    /// Two chunks, cut at every place a chunk may end; then a chunk for each block.
    fn check_streams(&self, session: &Session, what: &str) {
        let (len, quantum) = (self.operation.input.len(), quantum(self.operation.algorithm));
        for cut in (0..=len).step_by(quantum) {
            self.check_stream(session, &[cut], &format!("{what}, cut after {cut} bytes"));
        }
        self.check_stream(session, &vec![quantum; len / quantum], &format!("{what}, a block a chunk"));
    }

    fn check_stream(&self, session: &Session, chunk_lens: &[usize], what: &str) {
        let Operation { kind, iv, input, .. } = &self.operation;
        let mut stream = session.stream(*kind, Iv::new(iv).unwrap()).unwrap();
        let (mut data, mut rest) = (Vec::new(), input.as_slice());
        for len in chunk_lens {
            let (chunk, after) = rest.split_at(*len);
            data.extend(stream.update_blocking(chunk.to_vec()).unwrap());
            rest = after;
        }
        match (&self.expected, stream.finish_blocking(rest.to_vec())) {
            (Expected::Data(expected), Ok((last, _))) => {
                data.extend(last);
                assert!(data == *expected, "{what}: other data");
            }
            (Expected::Output(expected), Ok((_, output))) => {
                assert!(output.as_slice().starts_with(expected), "{what}: another output");
            }
            (Expected::OtherOutput(forged), Ok((_, output))) => {
                assert!(!output.as_slice().starts_with(forged), "{what}: the forged output");
            }
            (Expected::DecryptionFailed, Err(StreamError::Op(OpError::DecryptionFailed))) => {}
            (expected, other) => panic!("{what}: {:?} instead of {expected:?}", other.map(|_| "success")),
        }
    }

    fn judge(&self, result: &Result<Completion, Refused>, what: &str) {
        let (Operation { algorithm, input, .. }, expected) = (&self.operation, &self.expected);
        match (expected, result) {
            (Expected::Data(expected), Ok(Completion { result: Ok(()), data, .. })) => {
                assert!(data == expected, "{what}: other data");
            }
            (
                Expected::Output(bytes) | Expected::OtherOutput(bytes),
                Ok(Completion { result: Ok(()), data, output, .. }),
            ) => {
                let is_alike = output.as_slice().starts_with(bytes);
                assert_eq!(is_alike, matches!(expected, Expected::Output(_)), "{what}");
                assert_eq!(output.as_slice().len(), algorithm.output_len(), "{what}");
                assert!(data == input, "{what}: the input was changed");
            }
            (
                Expected::DecryptionFailed,
                Ok(Completion { result: Err(OpError::DecryptionFailed), data, .. }),
            ) => {
                assert!(data.is_empty(), "{what}: {} bytes were released", data.len());
            }
            (Expected::PartialBlock, Err(Refused { error: Error::PartialBlock { .. }, request })) => {
                assert!(request.data == *input, "{what}: the refused request was changed");
            }
            _ => panic!("{what}: {result:?} instead of {expected:?}"),
        }
    }
}

/// A quiet neighbour in a batch: the same session and kind, input and expectation of its own.
struct Companion(Operation, Vec<u8>, Vec<u8>);

impl Companion {
    fn of(case: &Case) -> Self {
        let soft = acrypto_core::device::soft::Soft::new();
        let Operation { algorithm, kind, key, .. } = &case.operation;
        let forward = if *kind == OpKind::Decrypt { OpKind::Encrypt } else { *kind };
        let mut operation = Operation {
            algorithm: *algorithm,
            kind: forward,
            key: key.clone(),
            iv: vec![0x3c; algorithm.iv_len()],
            aad: Vec::new(),
            input: vec![0x77; 48],
        };
        let plain = operation.input.clone();
        if case.pads {
            operation.input.extend([16; 16]);
        }
        let made = operation.run(&soft);
        if *kind == OpKind::Decrypt {
            (operation.kind, operation.input) = (OpKind::Decrypt, made.data);
            return Self(operation, plain, Vec::new());
        }
        operation.input = plain;
        Self(operation, made.data, made.output.as_slice().to_vec())
    }

    fn request(&self) -> Request {
        request(self.0.kind, self.0.input.clone(), &self.0.iv, &[])
    }

    fn judge(&self, result: &Result<Completion, Refused>, what: &str) {
        let completion = result.as_ref().unwrap();
        assert_eq!(completion.result, Ok(()), "{what}: its neighbour failed");
        let expected = if self.2.is_empty() { &self.1 } else { &self.0.input };
        assert!(completion.data == *expected, "{what}: its neighbour has other data");
        assert!(completion.output.as_slice() == self.2, "{what}: its neighbour has another output");
    }
}

/// What a chunk's length must be a multiple of.
fn quantum(algorithm: Algorithm) -> usize {
    if algorithm.class() == Class::Ctr { 16 } else { algorithm.block_len() }
}
