//! Both ends of a connection without any I/O: bytes in, messages out, and the other way round.

pub mod client;
pub mod extack;
pub mod nlctrl;
pub mod server;

use zeroize::Zeroizing;

use crate::attr::{Accept, Fault, Reader, Writer};
use crate::error::Error;
use crate::family::{self, AttributeSet, Command, attribute, control};
use crate::frame::{DATAGRAM_MAX_BYTES, GENERIC_HEADER_BYTES, HEADER_BYTES, Header};

/// Bytes of one or more whole messages; wiped when dropped, because a request may hold a key.
pub type Datagram = Zeroizing<Vec<u8>>;

/// A generic netlink message.
#[derive(Debug)]
pub struct Message {
    /// Its netlink header.
    pub header: Header,
    /// Its command.
    pub command: u8,
    /// Its attributes.
    pub attributes: Reader,
}

impl Message {
    /// Reads a message of a known family; `bytes` is one whole frame. Secrets are taken out and leave zeros.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(header: Header, bytes: &mut [u8]) -> Result<Self, Fault> {
        const BODY: usize = HEADER_BYTES + GENERIC_HEADER_BYTES;
        let Some((command, body)) =
            bytes.get(HEADER_BYTES).copied().zip(bytes.get_mut(BODY..)).filter(|_| header.kind >= 0x10)
        else {
            return Err(Fault::new(22, "message is shorter than its headers"));
        };
        let set = set_of(header.kind, command)
            .ok_or_else(|| Fault::new(95, format!("unknown command {command}")))?;
        Ok(Self { header, command, attributes: Reader::read(set, body, BODY, Accept::Any)? })
    }
}

/// The attribute set of a command.
pub(crate) fn set_of(kind: u16, command: u8) -> Option<&'static AttributeSet> {
    match kind {
        control::ID => Some(&control::ctrl::SET),
        family::ID => Command::from_number(command).map(|command| command.spec().set),
        _ => None,
    }
}

/// Fills in both headers of a message.
///
/// # Errors
/// When an attribute or the whole does not fit.
pub fn seal(body: Writer, mut header: Header, command: u8) -> Result<Datagram, Error> {
    let mut datagram = body.finish()?;
    if datagram.len() > DATAGRAM_MAX_BYTES {
        return Err(Error::TooLarge {
            name: "message".to_owned(),
            got: datagram.len(),
            limit: DATAGRAM_MAX_BYTES,
        });
    }
    // Checked: at most 64 KiB.
    header.len = datagram.len() as u32;
    let version = if header.kind == control::ID { control::VERSION } else { family::VERSION };
    let generic = [command, version, 0, 0];
    datagram.splice(..HEADER_BYTES + GENERIC_HEADER_BYTES, header.bytes().into_iter().chain(generic));
    Ok(datagram)
}

/// Adds the epoch, which every answer and event carries.
pub fn epoch(body: &mut Writer, epoch: u32) {
    body.u32(attribute::server::EPOCH, epoch);
}

#[cfg(test)]
mod tests;
