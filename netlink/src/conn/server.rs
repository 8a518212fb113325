//! The server's end: takes requests apart, puts answers together by the rules R1 to R4 that stock clients need.

use zeroize::Zeroizing;

use super::{Datagram, epoch, seal};
use crate::attr::{Accept, Fault, Reader, Writer};
use crate::error::Error;
use crate::family::{self, Command, CommandSpec, Form, control};
use crate::frame::{
    self, DONE, FLAG_ACK, FLAG_DUMP, FLAG_MULTI, FLAG_REQUEST, FrameError, GENERIC_HEADER_BYTES,
    HEADER_BYTES, Header, TYPE_MIN,
};

/// Parts of a dump are sent when they reach this length, so that a datagram stays well within its limit.
pub const DUMP_PART_BYTES: usize = 32 * 1024;

const ENOENT: i32 = 2;
const EINVAL: i32 = 22;
const EOPNOTSUPP: i32 = 95;

/// What is asked.
#[derive(Debug)]
pub enum Ask {
    /// A command of the family.
    Command {
        /// Its row of the table.
        spec: &'static CommandSpec,
        /// Whether many answers are asked for.
        dump: bool,
    },
    /// `CTRL_CMD_GETFAMILY`
    Family {
        /// Whether all families are asked for.
        dump: bool,
    },
    /// `CTRL_CMD_GETPOLICY`
    Policy,
}

/// A request that makes sense.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub ask: Ask,
    /// Its attributes, checked: only those the command takes, and all it needs.
    pub attributes: Reader,
}

/// One message of a datagram, and what is to be done about it.
#[derive(Debug)]
pub struct Received {
    /// Its header.
    pub header: Header,
    /// The whole frame with secrets zeroed, to be echoed when it is refused.
    pub frame: Zeroizing<Vec<u8>>,
    /// The request, or why it is none.
    pub request: Result<Request, Fault>,
}

impl Received {
    /// Whether the client asked for an acknowledgement.
    pub fn wants_ack(&self) -> bool {
        self.header.flags & FLAG_ACK != 0
    }
}

/// Takes a datagram apart. Messages that ask for nothing are skipped, as the kernel does.
///
/// # Errors
/// The datagram cannot be understood to its end, and there is nobody to tell: the connection must be closed after the
/// messages returned with the error are answered.
pub fn receive(datagram: &mut [u8]) -> (Vec<Received>, Result<(), FrameError>) {
    let (frames, end) = frame::split(datagram);
    let mut received = Vec::with_capacity(frames.len());
    for frame in frames.iter().filter(|frame| is_request(frame.header)) {
        let bytes = datagram.get_mut(frame.start..frame.end).unwrap_or_default();
        let request = read_request(frame.header, bytes);
        received.push(Received { header: frame.header, frame: Zeroizing::new(bytes.to_vec()), request });
    }
    match end {
        Err(FrameError::Length { header, .. }) if is_request(header) => {
            let message = end.map_or_else(|error| error.to_string(), |()| String::new());
            let request = Err(Fault::new(EINVAL, message));
            received.push(Received { header, frame: Zeroizing::default(), request });
            (received, Ok(()))
        }
        end => (received, end),
    }
}

fn is_request(header: Header) -> bool {
    header.flags & FLAG_REQUEST != 0 && header.kind >= TYPE_MIN
}

fn read_request(header: Header, bytes: &mut [u8]) -> Result<Request, Fault> {
    const BODY: usize = HEADER_BYTES + GENERIC_HEADER_BYTES;
    let Some((command, body)) = bytes.get(HEADER_BYTES).copied().zip(bytes.get_mut(BODY..)) else {
        return Err(Fault::new(EINVAL, "message is shorter than its headers"));
    };
    let dump = header.flags & FLAG_DUMP == FLAG_DUMP;
    match header.kind {
        family::ID => read_command(command, dump, body),
        control::ID => read_control(command, dump, body),
        kind => Err(Fault::new(ENOENT, format!("no family has id {kind:#x}"))),
    }
}

fn read_command(number: u8, dump: bool, body: &mut [u8]) -> Result<Request, Fault> {
    let unknown = || Fault::new(EOPNOTSUPP, format!("unknown command {number}"));
    let spec = Command::from_number(number).ok_or_else(unknown)?.spec();
    let form: Form = if dump { spec.form_dump } else { spec.form_do }.ok_or_else(|| {
        let way = if dump { "a dump" } else { "a do" };
        Fault::new(EOPNOTSUPP, format!("command '{}' cannot be asked as {way}", spec.name))
    })?;
    let base = HEADER_BYTES + GENERIC_HEADER_BYTES;
    let attributes = Reader::read(spec.set, body, base, Accept::Only(form.request))?;
    match form.required.iter().find(|number| !attributes.has(**number)) {
        Some(missing) => Err(attributes.missing(*missing)),
        None => Ok(Request { ask: Ask::Command { spec, dump }, attributes }),
    }
}

fn read_control(number: u8, dump: bool, body: &mut [u8]) -> Result<Request, Fault> {
    let ask = match number {
        control::GET_FAMILY => Ask::Family { dump },
        control::GET_POLICY if dump => Ask::Policy,
        _ => return Err(Fault::new(EOPNOTSUPP, format!("unknown command {number} of family 'nlctrl'"))),
    };
    let attributes =
        Reader::read(&control::ctrl::SET, body, HEADER_BYTES + GENERIC_HEADER_BYTES, Accept::Any)?;
    Ok(Request { ask, attributes })
}

/// The answer to a request, addressed to whom it came from (rule R4).
///
/// # Errors
/// When it does not fit into a message.
pub fn reply(request: Header, command: u8, body: Writer) -> Result<Datagram, Error> {
    seal(
        body,
        Header { kind: request.kind, seq: request.seq, port: request.port, ..Header::default() },
        command,
    )
}

/// An event: sequence number 0 (rule R4).
///
/// # Errors
/// When it does not fit into a message.
pub fn event(body: Writer) -> Result<Datagram, Error> {
    seal(body, Header { kind: family::ID, ..Header::default() }, Command::EventNotify as u8)
}

/// A body that begins with the epoch.
pub fn body(server_epoch: u32) -> Writer {
    let mut body = Writer::new();
    epoch(&mut body, server_epoch);
    body
}

/// Packs the rows of a dump into datagrams; the last one ends with NLMSG_DONE, and no acknowledgement follows, also
/// when one was asked for (rule R2).
#[derive(Debug)]
pub struct Dump {
    request: Header,
    part: Datagram,
}

impl Dump {
    /// The dump that `request` asks for.
    pub fn new(request: Header) -> Self {
        Self { request, part: Datagram::default() }
    }

    /// Adds a row; returns a part that is full.
    ///
    /// # Errors
    /// When the row does not fit into a message.
    pub fn row(&mut self, command: u8, body: Writer) -> Result<Option<Datagram>, Error> {
        let Header { kind, seq, port, .. } = self.request;
        let row = seal(body, Header { len: 0, kind, flags: FLAG_MULTI, seq, port }, command)?;
        let full = !self.part.is_empty() && self.part.len() + row.len() > DUMP_PART_BYTES;
        let part = full.then(|| std::mem::take(&mut self.part));
        self.part.extend_from_slice(&row);
        Ok(part)
    }

    /// The last part.
    pub fn finish(mut self) -> Datagram {
        let Header { seq, port, .. } = self.request;
        let done = Header { len: HEADER_BYTES as u32 + 4, kind: DONE, flags: FLAG_MULTI, seq, port };
        self.part.extend_from_slice(&done.bytes());
        self.part.extend_from_slice(&0i32.to_ne_bytes());
        self.part
    }
}
