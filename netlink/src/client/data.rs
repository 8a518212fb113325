//! Requests of class use: sessions, operations, streams.

use zeroize::Zeroizing;

use super::Client;
use crate::attr::Writer;
use crate::error::Error;
use crate::family::attribute::{session, stream};
use crate::family::{Command, OP_DATA_MAX_BYTES};
use crate::message::{Bind, OpKind, OpReply, OpSubmit, SessionNew, SessionSet};

/// What decryption may take beyond the limit: the longest tag, and padding.
const TAG_MAX_BYTES: usize = 64;

impl Client {
    /// Opens a session; returns its number. It ends with the connection unless it is persistent.
    ///
    /// # Errors
    /// Refused when the algorithm is unknown, the key does not fit, or a limit is reached.
    pub async fn session_new(&self, session: SessionNew) -> Result<u64, Error> {
        let mut body = Writer::new();
        session.write(&mut body);
        Ok(self.one(Command::SessionNew, body).await?.u64(session::ID)?)
    }

    /// Closes a session.
    ///
    /// # Errors
    /// Refused when there is none, or it belongs to another user.
    pub async fn session_free(&self, id: u64) -> Result<(), Error> {
        let mut body = Writer::new();
        body.u64(session::ID, id);
        self.done(Command::SessionDel, body).await
    }

    /// Gives a session other keys, one for each stage; what is on its way goes on under the old ones.
    ///
    /// # Errors
    /// Refused when there is no such session, it belongs to another user, or a key does not fit.
    pub async fn session_rekey(&self, id: u64, keys: Vec<Zeroizing<Vec<u8>>>) -> Result<(), Error> {
        self.session_set(SessionSet { id, bind: None, keys }).await
    }

    /// Ties a session to another device or kind of device, or to none.
    ///
    /// # Errors
    /// Refused when there is no such session, or it belongs to another user.
    pub async fn session_bind(&self, id: u64, bind: Option<Bind>) -> Result<(), Error> {
        self.session_set(SessionSet { id, bind: Some(bind), keys: Vec::new() }).await
    }

    async fn session_set(&self, set: SessionSet) -> Result<(), Error> {
        let mut body = Writer::new();
        set.write(&mut body);
        self.done(Command::SessionSet, body).await
    }

    /// Carries out one operation, of at most 32 KiB.
    ///
    /// # Errors
    /// Refused with EBADMSG for "decryption failed", with EIO when it broke; [`Error::TooLarge`] before it is sent.
    pub async fn op_submit(&self, op: OpSubmit) -> Result<OpReply, Error> {
        let limit =
            if op.kind == OpKind::Decrypt { OP_DATA_MAX_BYTES + TAG_MAX_BYTES } else { OP_DATA_MAX_BYTES };
        fits(op.data.len(), limit)?;
        let mut body = Writer::new();
        op.write(&mut body);
        Ok(OpReply::read(&self.one(Command::OpSubmit, body).await?)?)
    }

    /// Starts a stream of chunks; returns its number. It ends with the connection.
    ///
    /// # Errors
    /// Refused when the session's algorithm cannot be streamed.
    pub async fn stream_start(&self, session: u64, kind: OpKind, iv: &[u8]) -> Result<u64, Error> {
        let mut body = Writer::new();
        body.u64(stream::SESSION, session).u32(stream::KIND, kind as u32).bytes(stream::IV, iv);
        Ok(self.one(Command::StreamStart, body).await?.u64(stream::ID)?)
    }

    /// Carries out a chunk of at most 32 KiB; one at a time. Returns its output, empty for a hash or MAC.
    ///
    /// # Errors
    /// Refused when the chunk is no whole number of blocks; the stream is over after an error.
    pub async fn stream_next(&self, id: u64, data: &[u8]) -> Result<Vec<u8>, Error> {
        fits(data.len(), OP_DATA_MAX_BYTES)?;
        let mut body = Writer::new();
        body.u64(stream::ID, id).bytes(stream::DATA, data);
        Ok(self.one(Command::StreamNext, body).await?.bytes(stream::DATA))
    }

    /// Carries out the last chunk, which may be empty. Returns its output, and the digest or MAC.
    ///
    /// # Errors
    /// Refused with EBADMSG for "decryption failed".
    pub async fn stream_finish(&self, id: u64, data: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Error> {
        fits(data.len(), OP_DATA_MAX_BYTES)?;
        let mut body = Writer::new();
        body.u64(stream::ID, id).bytes(stream::DATA, data);
        let answer = self.one(Command::StreamFinish, body).await?;
        Ok((answer.bytes(stream::DATA), answer.bytes(stream::OUTPUT)))
    }
}

fn fits(got: usize, limit: usize) -> Result<(), Error> {
    if got > limit { Err(Error::TooLarge { name: "data".to_owned(), got, limit }) } else { Ok(()) }
}
