//! Commands of class use: sessions, operations, streams.

use std::sync::atomic::Ordering;

use acrypto_core::{
    Algorithm, Iv, Key, Padding, Request, Session, SessionSpec, Stage as CoreStage, Stream, StreamError,
};
use zeroize::Zeroizing;

use super::Shared;
use super::connection::{Caller, Connection, Reply};
use super::convert::{core_bind, core_op_kind};
use super::errno::{EBUSY, EINVAL, EMSGSIZE, ENOENT, EOPNOTSUPP, EPERM, broken_off, failed, limit, refused};
use crate::attr::{Fault, Reader};
use crate::conn::server::Received;
use crate::family::attribute::{session, stream};
use crate::family::{Command, OP_DATA_MAX_BYTES};
use crate::message::{Class, OpKind, OpReply, OpSubmit, SessionNew, SessionSet, Stage};

impl Connection {
    /// Opens a session. The keys' bytes move into core, which wipes them with the session.
    pub(super) fn session_new(&self, attributes: &mut Reader, caller: Caller) -> Result<Reply, Fault> {
        let asked = SessionNew::read(attributes)?;
        let algorithm: Algorithm = asked
            .algorithm
            .parse()
            .map_err(|error: acrypto_core::Error| attributes.fault(session::ALGORITHM, error.to_string()))?;
        if !(asked.tenant.is_empty()
            || caller.class == Class::Admin
            || asked.tenant == format!("uid:{}", caller.uid))
        {
            return Err(Fault::new(EPERM, format!("tenant '{}' is for class admin to give", asked.tenant)));
        }
        let mut spec = match asked.route.is_empty() {
            true => SessionSpec::new(algorithm),
            false => SessionSpec::with_route(route(&asked.route)?),
        };
        spec = spec
            .padding(if asked.padding { Padding::Pkcs7 } else { Padding::None })
            .allow_ecb(asked.allow_ecb)
            .allow_sha1(asked.allow_sha1)
            .uid(caller.uid)
            .name(asked.name)
            .ordered(asked.ordered)
            .tenant(asked.tenant)
            .deadline_ns(asked.deadline_ns.unwrap_or(0));
        spec.bind = asked.bind.map(core_bind);
        if let Some(priority) = asked.priority {
            spec = spec.priority(priority);
        }
        let mut keys = keys(asked.keys);
        if keys.is_empty() && spec.route.is_empty() {
            keys.push(Key::none());
        }
        let connection = (!asked.persistent).then_some(self.id);
        let runtime = &self.shared.runtime;
        let open = || runtime.session_with_keys(spec, keys).map_err(|error| refused(&error));
        let id = self.shared.sessions.open(caller.uid, connection, open)?;
        let mut out = self.body();
        out.u64(session::ID, id);
        Ok(Reply::One(out))
    }

    /// Gives a session of the caller's, or anybody's for an admin, other keys or another tie.
    pub(super) fn session_set(&self, attributes: &mut Reader, caller: Caller) -> Result<Reply, Fault> {
        let set = SessionSet::read(attributes)?;
        let exists = || self.shared.runtime.sessions().iter().any(|session| session.id == set.id);
        let is_admin = caller.class == Class::Admin;
        let session = self.shared.sessions.steer(set.id, caller.uid, is_admin, exists)?;
        let done = match (set.bind, keys(set.keys)) {
            (Some(bind), keys) if keys.is_empty() => session.bind(bind.map(core_bind), caller.uid),
            (None, keys) if !keys.is_empty() => session.rekey(keys, caller.uid),
            // Either may be refused, and then nothing must have changed.
            _ => return Err(Fault::new(EINVAL, "one of 'bind' and 'key' is needed")),
        };
        done.map(|()| Reply::Done).map_err(|error| refused(&error))
    }

    /// Closes a session of the caller's, or anybody's for an admin.
    pub(super) fn session_del(&self, attributes: &Reader, caller: Caller) -> Result<Reply, Fault> {
        let id = attributes.u64(session::ID)?;
        let runtime = &self.shared.runtime;
        let exists = || runtime.sessions().iter().any(|session| session.id == id);
        self.shared.sessions.close(id, caller.uid, caller.class == Class::Admin, exists)?;
        Ok(Reply::Done)
    }

    /// Starts a stream.
    pub(super) fn stream_start(&self, attributes: &Reader, caller: Caller) -> Result<Reply, Fault> {
        let session = self.shared.sessions.get(attributes.u64(stream::SESSION)?, caller.uid)?;
        let kind = attributes.token(stream::KIND, OpKind::from_number)?;
        let iv = iv(&attributes.bytes(stream::IV))?;
        let started = session.stream(core_op_kind(kind), iv).map_err(|error| refused(&error))?;
        let mut streams = Shared::lock(&self.streams);
        let most = self.shared.options.limits.streams_per_connection_max;
        if streams.len() >= most {
            return Err(limit(most, "streams of one connection"));
        }
        let id = self.last_stream.fetch_add(1, Ordering::Relaxed) + 1;
        streams.insert(id, Some(started));
        let mut out = self.body();
        out.u64(stream::ID, id);
        Ok(Reply::One(out))
    }

    /// Carries out an operation or a chunk.
    pub(super) async fn work(
        &self,
        command: Command,
        received: &mut Received,
        caller: Caller,
    ) -> Result<Reply, Fault> {
        let attributes = match &received.request {
            Ok(request) => &request.attributes,
            Err(fault) => return Err(fault.clone()),
        };
        match command {
            Command::OpSubmit => {
                let op = OpSubmit::read(attributes)?;
                let session = self.shared.sessions.get(op.session, caller.uid)?;
                self.op_submit(op, session).await
            }
            Command::StreamNext => {
                let (id, data) = chunk(attributes)?;
                self.stream_next(id, data).await
            }
            Command::StreamFinish => {
                let (id, data) = chunk(attributes)?;
                self.stream_finish(id, data).await
            }
            other => Err(Fault::new(EOPNOTSUPP, format!("'{}' is no work", other.spec().name))),
        }
    }

    async fn op_submit(&self, op: OpSubmit, session: Session) -> Result<Reply, Fault> {
        let kind = core_op_kind(op.kind);
        let algorithm = session.spec().algorithm;
        let block = if algorithm.needs_whole_blocks() { algorithm.block_len() } else { 0 };
        if op.data.len() > OP_DATA_MAX_BYTES + algorithm.tag_len(kind) + block {
            return Err(Fault::new(
                EMSGSIZE,
                format!(
                    "operation of {} bytes exceeds the protocol's limit of {OP_DATA_MAX_BYTES}",
                    op.data.len()
                ),
            ));
        }
        let mut request = Request::new(kind, op.data).with_aad(op.aad);
        request.iv = iv(&op.iv)?;
        let completion = session.submit(request).await.map_err(|refusal| refused(&refusal.error))?;
        completion.result.as_ref().map_err(failed)?;
        let answer = OpReply {
            // A digest leaves its input alone; there is no need to send it back.
            data: if matches!(op.kind, OpKind::Digest | OpKind::Mac) { Vec::new() } else { completion.data },
            output: completion.output.as_slice().to_vec(),
            device: completion.device.map(|id| self.shared.device_name(id)).unwrap_or_default(),
            attempts: u32::from(completion.attempts),
            queue_ns: completion.queue_ns,
            service_ns: completion.service_ns,
        };
        let mut out = self.body();
        answer.write(&mut out);
        Ok(Reply::One(out))
    }

    async fn stream_next(&self, id: u64, data: Vec<u8>) -> Result<Reply, Fault> {
        let mut taken = self.take_stream(id)?;
        let outcome = taken.update(data).await;
        self.give_back(id, taken, outcome.as_ref().err(), false);
        let data = outcome.map_err(|error| broken_off(&error))?;
        let mut out = self.body();
        out.bytes(stream::DATA, &data);
        Ok(Reply::One(out))
    }

    async fn stream_finish(&self, id: u64, data: Vec<u8>) -> Result<Reply, Fault> {
        let mut taken = self.take_stream(id)?;
        let outcome = taken.finish(data).await;
        self.give_back(id, taken, outcome.as_ref().err(), true);
        let (data, output) = outcome.map_err(|error| broken_off(&error))?;
        let mut out = self.body();
        out.bytes(stream::DATA, &data).bytes(stream::OUTPUT, output.as_slice());
        Ok(Reply::One(out))
    }

    /// Puts a stream back after a chunk, unless it is over. A chunk that was refused has left it as it was.
    fn give_back(&self, id: u64, stream: Stream, error: Option<&StreamError>, is_last: bool) {
        let mut streams = Shared::lock(&self.streams);
        match error {
            None if !is_last => drop(streams.insert(id, Some(stream))),
            Some(StreamError::Refused { .. }) => drop(streams.insert(id, Some(stream))),
            _ => drop(streams.remove(&id)),
        }
    }

    /// Takes a stream for one chunk.
    fn take_stream(&self, id: u64) -> Result<Stream, Fault> {
        match Shared::lock(&self.streams).get_mut(&id) {
            Some(stream) => stream
                .take()
                .ok_or_else(|| Fault::new(EBUSY, format!("stream '{id}' has a chunk outstanding"))),
            None => Err(Fault::new(ENOENT, format!("stream '{id}' not found on this connection"))),
        }
    }
}

/// The keys, their bytes moved and not copied.
fn keys(bytes: Vec<Zeroizing<Vec<u8>>>) -> Vec<Key> {
    bytes.into_iter().map(|mut bytes| Key::new(std::mem::take(&mut *bytes))).collect()
}

fn route(stages: &[Stage]) -> Result<Vec<CoreStage>, Fault> {
    let stage = |stage: &Stage| {
        let algorithm = stage.algorithm.parse().map_err(|error| refused(&error))?;
        let bind = stage.bind.clone().map(core_bind);
        Ok(CoreStage { bind, ..CoreStage::new(algorithm) })
    };
    stages.iter().map(stage).collect()
}

fn chunk(attributes: &Reader) -> Result<(u64, Vec<u8>), Fault> {
    Ok((attributes.u64(stream::ID)?, attributes.bytes(stream::DATA)))
}

fn iv(bytes: &[u8]) -> Result<Iv, Fault> {
    Iv::new(bytes).ok_or_else(|| Fault::new(EINVAL, format!("iv of {} bytes is longer than 16", bytes.len())))
}
