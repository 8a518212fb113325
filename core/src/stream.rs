//! One file or flow, a chunk at a time: the chain (iv, counter, midstate) lives here, so that any device may take the
//! next chunk.

use std::future::Future;
use std::sync::Arc;

use crate::algorithm::{Class, OpKind};
use crate::context::Context;
use crate::error::{Error, OpError};
use crate::op::{Chain, Completion, Iv, Output, Refused, Request};
use crate::session::Session;
use crate::submit::OpFuture;
use crate::submit::blocking::block_on;

/// Why a chunk came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The chunk was refused. The stream is as it was: the chunk can be given to it again.
    #[error("{error}")]
    Refused {
        /// The reason.
        error: Error,
        /// The chunk, as it was given.
        chunk: Vec<u8>,
    },
    /// The chunk's operation failed. It was not committed, and the stream takes no further chunk.
    #[error(transparent)]
    Op(#[from] OpError),
    /// An earlier chunk failed, was dropped half-way, or was the last.
    #[error("stream is over: an earlier chunk was the last, or broke it off")]
    BrokenOff,
}

impl Session {
    /// Begins a stream of `kind` with this iv ([`Iv::NONE`] where the algorithm takes none). All its chunks are carried
    /// out under the key in force now, whatever the session is re-keyed to meanwhile.
    ///
    /// # Errors
    /// [`Error::NoStream`] for an AEAD or random, [`Error::NotSupported`], [`Error::IvLength`].
    pub fn stream(&self, kind: OpKind, iv: Iv) -> Result<Stream, Error> {
        let algorithm = self.spec().algorithm;
        if !algorithm.streams() || !self.spec().route.is_empty() {
            return Err(Error::NoStream { algorithm });
        }
        if !algorithm.ops().contains(&kind) {
            return Err(Error::NotSupported { algorithm, op: kind });
        }
        if iv.len() != algorithm.iv_len() {
            return Err(Error::IvLength { algorithm, want: algorithm.iv_len(), got: iv.len() });
        }
        Ok(Stream {
            context: self.open.state.hold_current(1)?,
            session: self.clone(),
            kind,
            iv,
            chain: Some(Box::new(Chain { first: true, ..Chain::default() })),
            held_back: Vec::new(),
        })
    }
}

/// A chunk on its way.
enum Begun {
    /// Nothing to carry out yet.
    Nothing(Vec<u8>),
    Chunk {
        future: OpFuture<'static>,
        chain: Box<Chain>,
        next_iv: Option<Iv>,
    },
}

/// A stream: one chunk outstanding at a time.
#[derive(Debug)]
pub struct Stream {
    session: Session,
    /// Held: it is the stream's until it is dropped.
    context: Arc<Context>,
    kind: OpKind,
    iv: Iv,
    /// Taken while a chunk is out; a chunk that fails does not bring it back.
    chain: Option<Box<Chain>>,
    /// The last block of a padded decryption, until it is known whether it is the last of all.
    held_back: Vec<u8>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.session.open.shared.release_context(&self.context, 1);
    }
}

impl Stream {
    /// Carries out one chunk and returns it. Its length is a multiple of the algorithm's block (16 for cbc, ecb and
    /// ctr; 64 or 128 for hash and MAC, see [`Algorithm::block_len`](crate::Algorithm::block_len)). A padded
    /// decryption holds the last block back until the next call.
    ///
    /// # Errors
    /// [`StreamError::Refused`] gives the chunk back: [`Error::PartialBlock`] for another length, [`Error::Full`] and
    /// the like. Else as the operation ends.
    ///
    /// # Cancel safety
    /// The chunk is taken when this is called. Not safe to drop from then on: it breaks the stream off, so that no chunk
    /// can be skipped unnoticed.
    pub fn update(
        &mut self,
        chunk: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, StreamError>> + Send + '_ {
        let begun = self.begin(chunk, false);
        async move { self.end(begun?).await.map(|(data, _)| data) }
    }

    /// Carries out the last chunk, of any length that the algorithm takes (it may be empty), and returns it with the
    /// digest or MAC. Padding is added or removed here. The stream takes no further chunk then, unless this one was
    /// refused.
    ///
    /// # Errors
    /// As [`Stream::update`]; [`OpError::DecryptionFailed`] for wrong padding.
    ///
    /// # Cancel safety
    /// As [`Stream::update`].
    pub fn finish(
        &mut self,
        last: Vec<u8>,
    ) -> impl Future<Output = Result<(Vec<u8>, Output), StreamError>> + Send + '_ {
        let begun = self.begin(last, true);
        async move {
            let ended = self.end(begun?).await?;
            self.chain = None;
            Ok(ended)
        }
    }

    /// [`Stream::update`] without an executor.
    ///
    /// # Errors
    /// As [`Stream::update`].
    pub fn update_blocking(&mut self, chunk: Vec<u8>) -> Result<Vec<u8>, StreamError> {
        block_on(self.update(chunk))
    }

    /// [`Stream::finish`] without an executor.
    ///
    /// # Errors
    /// As [`Stream::finish`].
    pub fn finish_blocking(&mut self, last: Vec<u8>) -> Result<(Vec<u8>, Output), StreamError> {
        block_on(self.finish(last))
    }

    fn quantum(&self) -> usize {
        match self.session.spec().algorithm.class() {
            Class::Ctr => 16,
            _ => self.session.spec().algorithm.block_len(),
        }
    }

    /// Submits a chunk.
    fn begin(&mut self, mut chunk: Vec<u8>, is_last: bool) -> Result<Begun, StreamError> {
        let spec = self.session.spec();
        let (algorithm, block) = (spec.algorithm, self.quantum());
        if self.chain.is_none() {
            return Err(StreamError::BrokenOff);
        }
        if !is_last && !chunk.len().is_multiple_of(block) {
            let error = Error::PartialBlock { algorithm, block, got: chunk.len() };
            return Err(StreamError::Refused { error, chunk });
        }
        let held_before = self.held_back.clone();
        if spec.pads() && self.kind == OpKind::Decrypt {
            self.hold_back(&mut chunk, is_last);
        }
        if chunk.is_empty() && !is_last {
            return Ok(Begun::Nothing(chunk));
        }
        let mut chain = self.chain.take().ok_or(StreamError::BrokenOff)?;
        chain.last = is_last;
        let next_iv = self.next_iv_from_input(&chunk);
        let mut request = Request { kind: Some(self.kind), data: chunk, iv: self.iv, ..Request::default() };
        request.chain = Some(chain.clone()).into();
        match self.session.submit_now(&self.context, request) {
            Ok(future) => Ok(Begun::Chunk { future, chain, next_iv }),
            Err(Refused { error, request }) => {
                // Nothing happened to the stream, and the chunk comes back as it was.
                self.chain = Some(chain);
                let mut chunk = request.data;
                chunk.append(&mut self.held_back);
                chunk.drain(..held_before.len());
                self.held_back = held_before;
                Err(StreamError::Refused { error, chunk })
            }
        }
    }

    /// Waits for a chunk and commits it.
    async fn end(&mut self, begun: Begun) -> Result<(Vec<u8>, Output), StreamError> {
        let (future, chain, next_iv) = match begun {
            Begun::Nothing(chunk) => return Ok((chunk, Output::none())),
            Begun::Chunk { future, chain, next_iv } => (future, chain, next_iv),
        };
        let refused = |Refused { error, request }| StreamError::Refused { error, chunk: request.data };
        let completion = future.await.map_err(refused)?;
        let Completion { result, data, output, chain: mut after, .. } = completion;
        result?;
        if let Some(iv) = next_iv.or_else(|| self.next_iv_from_output(&data)) {
            self.iv = iv;
        }
        let is_hash = matches!(self.session.spec().algorithm.class(), Class::Digest | Class::Mac);
        let mut after = if is_hash { after.take().unwrap_or(chain) } else { chain };
        after.first = false;
        self.chain = Some(after);
        Ok((data, output))
    }

    /// Puts what was held back in front, and holds the last block back unless this is the end.
    fn hold_back(&mut self, chunk: &mut Vec<u8>, is_last: bool) {
        if !self.held_back.is_empty() {
            chunk.splice(0..0, self.held_back.drain(..));
        }
        if !is_last && !chunk.is_empty() {
            self.held_back = chunk.split_off(chunk.len() - 16);
        }
    }

    /// The chaining value that the input alone decides: counter, or last ciphertext block.
    fn next_iv_from_input(&self, chunk: &[u8]) -> Option<Iv> {
        match (self.session.spec().algorithm.class(), self.kind) {
            (Class::Ctr, _) => advance_counter(self.iv, chunk.len().div_ceil(16)),
            (Class::Cbc, OpKind::Decrypt) => last_block(chunk),
            _ => None,
        }
    }

    fn next_iv_from_output(&self, data: &[u8]) -> Option<Iv> {
        match (self.session.spec().algorithm.class(), self.kind) {
            (Class::Cbc, OpKind::Encrypt) => last_block(data),
            _ => None,
        }
    }
}

fn last_block(bytes: &[u8]) -> Option<Iv> {
    bytes.last_chunk::<16>().map(|block| Iv::from(*block))
}

/// The counter block `blocks` further on: a 128-bit big-endian number (NIST SP 800-38A appendix B.1).
pub fn advance_counter(iv: Iv, blocks: usize) -> Option<Iv> {
    let block: [u8; 16] = iv.as_slice().try_into().ok()?;
    Some(Iv::from(u128::from_be_bytes(block).wrapping_add(blocks as u128).to_be_bytes()))
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::algorithm::Algorithm;
    use crate::config::Config;
    use crate::key::Key;
    use crate::runtime::Runtime;
    use crate::session::SessionSpec;

    #[test]
    fn a_counter_carries_through_all_its_bytes() {
        let next = advance_counter(Iv::from([0xff; 16]), 2).unwrap();
        assert_eq!(next.as_slice(), [[0; 15].as_slice(), &[1]].concat());
    }

    fn session() -> (Runtime, Session) {
        let runtime = Runtime::start(Config { workers: 1, ..Config::default() }).unwrap();
        runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
        let session =
            runtime.session(SessionSpec::new(Algorithm::HmacSha256), Key::new(vec![1; 32])).unwrap();
        (runtime, session)
    }

    fn mac(stream: &mut Stream) -> Vec<u8> {
        stream.finish_blocking(b"text".to_vec()).unwrap().1.as_slice().to_vec()
    }

    #[test]
    fn i7_a_key_that_was_replaced_ends_with_the_last_stream_under_it() {
        let (_runtime, session) = session();
        let first = session.stream(OpKind::Mac, Iv::NONE).unwrap();
        let mut second = session.stream(OpKind::Mac, Iv::NONE).unwrap();
        session.rekey(Key::new(vec![2; 32]), 0).unwrap();
        drop(first);
        assert_eq!(session.open.state.old.lock().len(), 1);
        mac(&mut second);
        drop(second);
        assert!(session.open.state.old.lock().is_empty());
    }
}
