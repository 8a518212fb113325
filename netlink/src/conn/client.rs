//! The client's end: numbers requests, gathers the parts of an answer, tells when it is complete.

use std::collections::HashMap;

use super::{Datagram, Message, extack, seal};
use crate::attr::Writer;
use crate::error::Error;
use crate::family::{self, Command, control};
use crate::frame::{
    self, DONE, ERROR, FLAG_ACK, FLAG_DUMP, FLAG_DUMP_INTERRUPTED, FLAG_REQUEST, Frame, HEADER_BYTES, Header,
    TYPE_MIN, array,
};

/// Most bytes of one answer, all its parts together: what a hostile server could make a client hold.
const ANSWER_MAX_BYTES: usize = 256 * 1024 * 1024;

/// State of a connection.
#[derive(Debug, Default)]
pub struct Connection {
    last_seq: u32,
    pending: HashMap<u32, Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    dump: bool,
    parts: Vec<Message>,
    bytes: usize,
    interrupted: bool,
}

/// A complete answer.
#[derive(Debug)]
pub struct Answer {
    /// Its messages, in order.
    pub parts: Vec<Message>,
    /// Whether the table changed under a dump, so that rows may be missing or double (`NLM_F_DUMP_INTR`).
    pub interrupted: bool,
}

/// What came in.
#[derive(Debug)]
pub enum Incoming {
    /// A request is answered.
    Answered {
        /// The request.
        seq: u32,
        /// Its answer, or the refusal.
        result: Result<Answer, Error>,
    },
    /// An event.
    Event(Message),
}

impl Connection {
    /// Numbers a request and makes it a datagram. It is pending until it is answered or forgotten.
    ///
    /// # Errors
    /// When it does not fit into a message.
    pub fn request(
        &mut self,
        kind: u16,
        command: u8,
        dump: bool,
        body: Writer,
    ) -> Result<(u32, Datagram), Error> {
        let mut seq = self.last_seq;
        loop {
            seq = seq.wrapping_add(1);
            // 0 is for events.
            if seq != 0 && !self.pending.contains_key(&seq) {
                break;
            }
        }
        // A dump ends with NLMSG_DONE; everything else with its acknowledgement.
        let flags = FLAG_REQUEST | if dump { FLAG_DUMP } else { FLAG_ACK };
        let datagram = seal(body, Header { kind, flags, seq, ..Header::default() }, command)?;
        self.last_seq = seq;
        self.pending.insert(seq, Pending { dump, ..Pending::default() });
        Ok((seq, datagram))
    }

    /// Drops what is known of a request; its answer will be ignored.
    pub fn forget(&mut self, seq: u32) {
        self.pending.remove(&seq);
    }

    /// Requests that wait for their answer.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Takes in a datagram.
    ///
    /// # Errors
    /// When the bytes make no sense; the connection should be given up.
    pub fn receive(&mut self, datagram: &mut [u8]) -> Result<Vec<Incoming>, Error> {
        let (frames, end) = frame::split(datagram);
        end.map_err(|error| Error::Malformed(error.to_string()))?;
        let mut incoming = Vec::new();
        for frame in frames {
            let bytes = datagram.get_mut(frame.start..frame.end).unwrap_or_default();
            incoming.extend(self.receive_one(frame, bytes)?);
        }
        Ok(incoming)
    }

    fn receive_one(&mut self, frame: Frame, bytes: &mut [u8]) -> Result<Option<Incoming>, Error> {
        let header = frame.header;
        let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
        match header.kind {
            ERROR => Ok(self.acknowledged(header.seq, extack::read(header, body))),
            DONE => Ok(self.complete(header.seq, read_done(header, body))),
            kind if kind < TYPE_MIN => Ok(None),
            _ if header.seq == 0 => {
                let event = Message::read(header, bytes)?;
                Ok((event.command == Command::EventNotify as u8).then_some(Incoming::Event(event)))
            }
            _ => self.part(header, bytes).map(|()| None),
        }
    }

    fn part(&mut self, header: Header, bytes: &mut [u8]) -> Result<(), Error> {
        let Some(pending) = self.pending.get_mut(&header.seq) else { return Ok(()) };
        pending.interrupted |= header.flags & FLAG_DUMP_INTERRUPTED != 0;
        pending.bytes += bytes.len();
        if pending.bytes > ANSWER_MAX_BYTES {
            return Err(Error::Malformed(format!("answer of more than {ANSWER_MAX_BYTES} bytes")));
        }
        pending.parts.push(Message::read(header, bytes)?);
        Ok(())
    }

    fn acknowledged(&mut self, seq: u32, outcome: Result<(), Error>) -> Option<Incoming> {
        // A dump is over at NLMSG_DONE; an acknowledgement before it says nothing.
        let of_dump = self.pending.get(&seq).is_some_and(|pending| pending.dump);
        if of_dump && outcome.is_ok() { None } else { self.complete(seq, outcome) }
    }

    fn complete(&mut self, seq: u32, outcome: Result<(), Error>) -> Option<Incoming> {
        let Pending { parts, interrupted, .. } = self.pending.remove(&seq)?;
        Some(Incoming::Answered { seq, result: outcome.map(|()| Answer { parts, interrupted }) })
    }
}

/// Body of an NLMSG_DONE: 0, or a negative errno and its extended acknowledgement.
fn read_done(header: Header, body: &[u8]) -> Result<(), Error> {
    match array(body, 0).map_or(0, i32::from_ne_bytes) {
        0 => Ok(()),
        errno => Err(extack::refusal(errno, header, &[], body.get(4..).unwrap_or_default())),
    }
}

/// Finds id and version of the family in the answer to `CTRL_CMD_GETFAMILY`.
///
/// # Errors
/// When there is no such family, or it is of another version.
pub fn read_family(answer: &Answer) -> Result<u16, Error> {
    use control::ctrl as a;
    let family =
        answer.parts.first().ok_or_else(|| Error::Malformed("family lookup without an answer".to_owned()))?;
    let version = family.attributes.u32(a::VERSION)?;
    if version != u32::from(family::VERSION) {
        return Err(Error::Version { theirs: version, ours: u32::from(family::VERSION) });
    }
    Ok(family.attributes.u16(a::FAMILY_ID)?)
}

/// The lookup itself.
pub fn family_lookup() -> Writer {
    let mut body = Writer::new();
    body.string(control::ctrl::FAMILY_NAME, family::NAME);
    body
}
