//! What carries out the operations: a runtime in this process, or a daemon.

use std::time::Duration;

use acrypto_core::{
    Algorithm, Class, Completion, Iv, Key, OpKind, Padding, Request, Runtime, SessionSpec, StreamError,
    block_on,
};
use acrypto_netlink::message::{OpSubmit, SessionNew};
use acrypto_netlink::{Client, Error as NetlinkError};
use rustix::io::Errno;
use tokio::runtime::Handle;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::embedded;
use crate::exit::{Exit, Failure};

/// Bytes a chunk in this process: so large that handing it from thread to thread costs nothing beside the work.
pub const EMBEDDED_CHUNK_BYTES: usize = 1 << 20;
/// Bytes a chunk through a daemon: what a control message carries.
const DAEMON_CHUNK_BYTES: usize = 32 << 10;
/// Chunks under way at once through a daemon.
const DAEMON_LANES: usize = 16;
/// Largest one-shot operation in this process, in bytes.
const ONE_SHOT_MAX_BYTES: u64 = 1 << 30;
/// How long to wait before asking again a daemon whose queue was full.
const FULL_RETRY: Duration = Duration::from_millis(2);

/// What a session is made from.
#[derive(Clone, Debug)]
pub struct SessionPlan {
    /// Algorithm.
    pub algorithm: Algorithm,
    /// Key; empty where the algorithm takes none.
    pub key: Zeroizing<Vec<u8>>,
    /// PKCS#7 padding where the algorithm works on whole blocks.
    pub padding: bool,
    /// ECB was allowed.
    pub allow_ecb: bool,
    /// SHA-1 was allowed.
    pub allow_sha1: bool,
}

impl SessionPlan {
    /// A session that takes no key.
    pub fn keyless(algorithm: Algorithm) -> Self {
        Self { algorithm, key: Zeroizing::default(), padding: false, allow_ecb: false, allow_sha1: false }
    }
}

/// Where operations are carried out.
#[derive(Clone, Debug)]
pub enum Engine {
    /// In this process.
    Embedded(Runtime),
    /// By a daemon.
    Daemon(Client, Handle),
}

impl Engine {
    /// The daemon that the options name, else a runtime of our own that is at its best with one algorithm and at most so
    /// many operations at once.
    pub async fn start(context: &Context, algorithm: Algorithm, at_once: usize) -> Result<Self, Failure> {
        match context.named_server().await? {
            Some(client) => Ok(Self::Daemon(client, Handle::current())),
            None => {
                // How many cores there are takes time to find out.
                let lanes = if at_once <= 1 { 1 } else { at_once.min(embedded::cores()) };
                embedded::for_files(algorithm, lanes).map(Self::Embedded)
            }
        }
    }

    /// The daemon's epoch.
    pub fn epoch(&self) -> Option<u32> {
        match self {
            Self::Embedded(_) => None,
            Self::Daemon(client, _) => Some(client.epoch()),
        }
    }

    /// Bytes a chunk; a whole number of blocks.
    pub fn chunk_bytes(&self) -> usize {
        match self {
            Self::Embedded(_) => EMBEDDED_CHUNK_BYTES,
            Self::Daemon(..) => DAEMON_CHUNK_BYTES,
        }
    }

    /// Chunks worth having under way at once.
    pub fn lanes(&self) -> usize {
        match self {
            Self::Embedded(_) => embedded::cores().min(DAEMON_LANES),
            Self::Daemon(..) => DAEMON_LANES,
        }
    }

    /// Longest plaintext of an operation that cannot be split, in bytes.
    pub fn one_shot_max_bytes(&self) -> u64 {
        match self {
            Self::Embedded(_) => ONE_SHOT_MAX_BYTES,
            Self::Daemon(..) => DAEMON_CHUNK_BYTES as u64,
        }
    }

    /// Ends when the daemon is gone; never, if there is none.
    pub async fn lost(&self) -> Failure {
        match self {
            Self::Embedded(_) => std::future::pending().await,
            Self::Daemon(client, _) => {
                client.closed().await;
                lost()
            }
        }
    }

    /// Allocates a session. Blocks.
    pub fn session(&self, plan: &SessionPlan) -> Result<Session, Failure> {
        match self {
            Self::Embedded(runtime) => {
                let padding = if plan.padding { Padding::Pkcs7 } else { Padding::None };
                let spec = SessionSpec::new(plan.algorithm)
                    .padding(padding)
                    .allow_ecb(plan.allow_ecb)
                    .allow_sha1(plan.allow_sha1);
                Ok(Session::Embedded(runtime.session(spec, Key::new(plan.key.to_vec()))?))
            }
            Self::Daemon(client, reactor) => {
                let session = SessionNew {
                    algorithm: plan.algorithm.name().to_owned(),
                    keys: vec![plan.key.clone()],
                    padding: plan.padding,
                    allow_ecb: plan.allow_ecb,
                    allow_sha1: plan.allow_sha1,
                    name: "op".to_owned(),
                    ..SessionNew::default()
                };
                let id = reactor.block_on(client.session_new(session)).map_err(remote)?;
                Ok(Session::Daemon { client: client.clone(), reactor: reactor.clone(), id })
            }
        }
    }
}

/// A session on either.
#[derive(Clone, Debug)]
pub enum Session {
    /// In this process.
    Embedded(acrypto_core::Session),
    /// With a daemon; freed there when the connection ends.
    Daemon {
        /// The connection.
        client: Client,
        /// Drives the connection.
        reactor: Handle,
        /// The session's id.
        id: u64,
    },
}

/// One operation.
#[derive(Debug)]
pub struct Job {
    /// What to do.
    pub kind: OpKind,
    /// Input.
    pub data: Vec<u8>,
    /// Initialisation vector.
    pub iv: Iv,
    /// Associated data.
    pub aad: Vec<u8>,
}

/// An input, and its digest or MAC.
pub type Answer = (Vec<u8>, Result<Vec<u8>, Failure>);

impl Session {
    /// Carries out one operation and gives its output. Blocks.
    pub fn call(&self, job: Job) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Embedded(session) => {
                let mut request = Request::new(job.kind, job.data).with_aad(job.aad);
                request.iv = job.iv;
                let completion = session.call(request).map_err(|refused| refused.error)?;
                completion.result?;
                Ok(completion.data)
            }
            Self::Daemon { client, reactor, id } => {
                let op = OpSubmit {
                    session: *id,
                    kind: wire_kind(job.kind),
                    data: job.data,
                    iv: job.iv.as_slice().to_vec(),
                    aad: job.aad,
                };
                reactor.block_on(submit(client, &op)).map(|reply| reply.data)
            }
        }
    }

    /// Digest or MAC of each input, in their order; the inputs come back with them. Blocks.
    pub fn digest_all(&self, kind: OpKind, inputs: Vec<Vec<u8>>) -> Vec<Answer> {
        match self {
            Self::Embedded(session) => {
                let requests = inputs.into_iter().map(|data| Request::new(kind, data)).collect();
                let answers = block_on(session.submit_batch(requests));
                let result = |completion: &Completion| match &completion.result {
                    Ok(()) => Ok(completion.output.as_slice().to_vec()),
                    Err(error) => Err(error.clone().into()),
                };
                let each = answers.into_iter().map(|answer| match answer {
                    Ok(completion) => {
                        let result = result(&completion);
                        (completion.data, result)
                    }
                    Err(refused) => (refused.request.data, Err(refused.error.into())),
                });
                each.collect()
            }
            Self::Daemon { client, reactor, id } => {
                let one = |data: Vec<u8>| {
                    let (iv, aad) = (Vec::new(), Vec::new());
                    let op = OpSubmit { session: *id, kind: wire_kind(kind), data, iv, aad };
                    let answer = reactor.block_on(submit(client, &op));
                    (op.data, answer.map(|reply| reply.output))
                };
                inputs.into_iter().map(one).collect()
            }
        }
    }

    /// Begins a stream. Blocks.
    pub fn stream(&self, kind: OpKind, iv: Iv) -> Result<Stream, Failure> {
        match self {
            Self::Embedded(session) => Ok(Stream::Embedded(session.stream(kind, iv)?)),
            Self::Daemon { client, reactor, id } => {
                let stream = reactor
                    .block_on(client.stream_start(*id, wire_kind(kind), iv.as_slice()))
                    .map_err(remote)?;
                Ok(Stream::Daemon { client: client.clone(), reactor: reactor.clone(), id: stream })
            }
        }
    }
}

/// A stream on either; every chunk but the last is a whole number of blocks.
#[derive(Debug)]
pub enum Stream {
    /// In this process.
    Embedded(acrypto_core::Stream),
    /// With a daemon.
    Daemon {
        /// The connection.
        client: Client,
        /// Drives the connection.
        reactor: Handle,
        /// The stream's id.
        id: u64,
    },
}

impl Stream {
    /// Passes a chunk through. Blocks.
    pub fn update(&mut self, chunk: Vec<u8>) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Embedded(stream) => stream.update_blocking(chunk).map_err(stream_failure),
            Self::Daemon { client, reactor, id } => {
                reactor.block_on(client.stream_next(*id, &chunk)).map_err(remote)
            }
        }
    }

    /// Passes the last chunk through; gives what is left to write, and the digest or MAC. Blocks.
    pub fn finish(self, last: Vec<u8>) -> Result<(Vec<u8>, Vec<u8>), Failure> {
        match self {
            Self::Embedded(mut stream) => {
                let (data, output) = stream.finish_blocking(last).map_err(stream_failure)?;
                Ok((data, output.as_slice().to_vec()))
            }
            Self::Daemon { client, reactor, id } => {
                reactor.block_on(client.stream_finish(id, &last)).map_err(remote)
            }
        }
    }
}

/// Submits, and again while the daemon's queue is full; the client's time-out bounds each answer.
async fn submit(client: &Client, op: &OpSubmit) -> Result<acrypto_netlink::message::OpReply, Failure> {
    loop {
        match client.op_submit(op.clone()).await {
            Err(error) if is_full(&error) => tokio::time::sleep(FULL_RETRY).await,
            answer => return answer.map_err(remote),
        }
    }
}

/// Whether the daemon had no room, so that it can be asked again.
pub fn is_full(error: &NetlinkError) -> bool {
    let full = [Errno::AGAIN, Errno::NOBUFS].map(Errno::raw_os_error);
    matches!(error, NetlinkError::Refused { errno, .. } if full.contains(errno))
}

fn stream_failure(error: StreamError) -> Failure {
    match error {
        StreamError::Refused { error, .. } => error.into(),
        StreamError::Op(error) => error.into(),
        other => Failure::new(Exit::State, other.to_string()),
    }
}

/// A daemon's answer in the middle of a file.
fn remote(error: NetlinkError) -> Failure {
    match error {
        NetlinkError::Closed { .. } => lost(),
        other => other.into(),
    }
}

fn lost() -> Failure {
    Failure::new(Exit::Unknown, "server went away in the middle of the operation")
        .with_hint("nothing was written to the output; start the command again")
}

/// The protocol's name of an operation.
pub fn wire_kind(kind: OpKind) -> acrypto_netlink::message::OpKind {
    acrypto_netlink::message::OpKind::from_number(kind as u32).unwrap_or_default()
}

/// The iv of the chunk that begins `offset_bytes` into the data: the counter moves by one a block (SP 800-38A B.1).
pub fn counter_iv(iv: &Iv, offset_bytes: u64) -> Iv {
    match <[u8; 16]>::try_from(iv.as_slice()) {
        Ok(bytes) => {
            Iv::from(u128::from_be_bytes(bytes).wrapping_add(u128::from(offset_bytes / 16)).to_be_bytes())
        }
        Err(_) => *iv,
    }
}

/// Whether the chunks of one file are independent of each other.
pub fn is_parallel(algorithm: Algorithm) -> bool {
    matches!(algorithm.class(), Class::Ctr | Class::Null)
}

/// Whether a file goes through as a stream, one chunk after the other.
pub fn is_stream(algorithm: Algorithm) -> bool {
    algorithm.streams() && !is_parallel(algorithm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_carries_through_all_its_bytes_and_wraps() {
        let iv = |value: u128| Iv::from(value.to_be_bytes());
        assert_eq!(counter_iv(&iv(5), 48), iv(8));
        assert_eq!(counter_iv(&iv((1 << 64) - 1), 16), iv(1 << 64));
        assert_eq!(counter_iv(&iv(u128::MAX), 32), iv(1));
        assert_eq!(counter_iv(&Iv::NONE, 4096), Iv::NONE);
    }
}
