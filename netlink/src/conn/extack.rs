//! NLMSG_ERROR and its extended acknowledgement: what was wrong, in words, and where.

use super::{Datagram, set_of};
use crate::attr::Fault;
use crate::error::Error;
use crate::family::Shape;
use crate::frame::{
    self, ERROR, FLAG_ACK_TLVS, FLAG_CAPPED, GENERIC_HEADER_BYTES, HEADER_BYTES, Header, Place, array,
};

/// `NLMSGERR_ATTR_MSG`
const MESSAGE: u16 = 1;
/// `NLMSGERR_ATTR_OFFS`
const OFFSET: u16 = 2;
/// `NLMSGERR_ATTR_MISS_TYPE`
const MISSING: u16 = 5;
/// Most bytes of the text.
const MESSAGE_MAX_BYTES: usize = 1024;
/// Largest request that is echoed whole, so that the answer stays within a datagram.
const ECHO_MAX_BYTES: usize = frame::DATAGRAM_MAX_BYTES - 2048;

/// The acknowledgement of `request`: error 0, capped, no attributes (rule R3).
pub fn acknowledge(request: Header) -> Datagram {
    finish(request, FLAG_CAPPED, [&0i32.to_ne_bytes()[..], &request.bytes()].concat())
}

/// The refusal of `request` (its whole frame): echoed whole, then the extended acknowledgement. With `capped`, or when
/// the request is too long, only its header is echoed (rule R3).
pub fn refuse(request: Header, frame: &[u8], fault: &Fault, capped: bool) -> Datagram {
    let errno = if fault.errno > 0 { fault.errno } else { 22 };
    let mut body = (-errno).to_ne_bytes().to_vec();
    let mut flags = FLAG_ACK_TLVS;
    if capped
        || frame.len() > ECHO_MAX_BYTES
        || frame.len() < HEADER_BYTES
        || frame.len() != request.len as usize
    {
        flags |= FLAG_CAPPED;
        body.extend(request.bytes());
    } else {
        let echo = body.len();
        body.extend(frame);
        blank_secrets(request, body.get_mut(echo..).unwrap_or_default());
    }
    let mut text: String = fault.message.chars().filter(|letter| *letter != '\0').collect();
    while text.len() > MESSAGE_MAX_BYTES {
        text.pop();
    }
    put(&mut body, MESSAGE, &[text.as_bytes(), &[0]].concat());
    if let Some(offset) = fault.offset.and_then(|offset| u32::try_from(offset).ok()) {
        put(&mut body, OFFSET, &offset.to_ne_bytes());
    }
    if let Some(missing) = fault.missing {
        put(&mut body, MISSING, &u32::from(missing).to_ne_bytes());
    }
    finish(request, flags, body)
}

fn finish(request: Header, flags: u16, body: Vec<u8>) -> Datagram {
    // At most an echo of 62 KiB, and a text of 1 KiB.
    let len = (HEADER_BYTES + body.len()) as u32;
    let header = Header { len, kind: ERROR, flags, seq: request.seq, port: request.port };
    Datagram::new([&header.bytes()[..], &body].concat())
}

fn put(body: &mut Vec<u8>, number: u16, payload: &[u8]) {
    // At most the text.
    body.extend(((payload.len() + 4) as u16).to_ne_bytes());
    body.extend(number.to_ne_bytes());
    body.extend(payload);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// Zeroes key bytes in a message that is shown or echoed.
pub(crate) fn blank_secrets(header: Header, frame: &mut [u8]) {
    const BODY: usize = HEADER_BYTES + GENERIC_HEADER_BYTES;
    let Some(set) = frame.get(HEADER_BYTES).and_then(|command| set_of(header.kind, *command)) else { return };
    let Some(body) = frame.get_mut(BODY..) else { return };
    let secret =
        |place: &Place| matches!(set.find(place.number).map(|found| found.shape), Some(Shape::Secret(_)));
    match frame::walk(body) {
        Ok(places) => {
            for place in places.iter().filter(|place| secret(place)) {
                body.get_mut(place.payload..place.end).unwrap_or_default().fill(0);
            }
        }
        // Nobody can tell where a key lies.
        Err(_) if set.attributes.iter().any(|attribute| matches!(attribute.shape, Shape::Secret(_))) => {
            body.fill(0)
        }
        Err(_) => {}
    }
}

/// Reads the body of an NLMSG_ERROR: `Ok` for an acknowledgement.
///
/// # Errors
/// The refusal, or that it is malformed.
pub fn read(header: Header, body: &[u8]) -> Result<(), Error> {
    let malformed = || Error::Malformed("error message is too short".to_owned());
    let errno = i32::from_ne_bytes(array(body, 0).ok_or_else(malformed)?);
    if errno == 0 {
        return Ok(());
    }
    let request = Header::read(body.get(4..).unwrap_or_default()).ok_or_else(malformed)?;
    let echo_len = if header.flags & FLAG_CAPPED != 0 { HEADER_BYTES } else { request.len as usize };
    let echo = 4usize.checked_add(echo_len).and_then(|end| body.get(4..end)).ok_or_else(malformed)?;
    let details = body.get(4 + echo.len()..).unwrap_or_default();
    Err(refusal(errno, request, echo, if header.flags & FLAG_ACK_TLVS != 0 { details } else { &[] }))
}

/// The refusal with `errno` (negative, as on the wire) and what the attributes in `details` say of it.
pub(super) fn refusal(errno: i32, request: Header, echo: &[u8], details: &[u8]) -> Error {
    let mut message = None;
    let mut attribute = None;
    let set = echo.get(HEADER_BYTES).and_then(|command| set_of(request.kind, *command));
    for place in frame::walk(details).unwrap_or_default() {
        let payload = details.get(place.payload..place.end).unwrap_or_default();
        let number = array(payload, 0).map(u32::from_ne_bytes);
        match place.number {
            MESSAGE => {
                message =
                    Some(String::from_utf8_lossy(payload.strip_suffix(&[0]).unwrap_or(payload)).into_owned());
            }
            OFFSET => attribute = number.and_then(|offset| attribute_at(echo, offset as usize)).or(attribute),
            MISSING => attribute = number.and_then(|missing| u16::try_from(missing).ok()).or(attribute),
            _ => {}
        }
    }
    let errno = errno.checked_neg().filter(|errno| *errno > 0).unwrap_or(71);
    let message = message
        .filter(|message| !message.is_empty())
        .unwrap_or_else(|| std::io::Error::from_raw_os_error(errno).to_string());
    let attribute = set.zip(attribute).map(|(set, number)| set.name_of(number).to_owned());
    Error::Refused { errno, message, attribute }
}

/// Number of the attribute of the top level that covers `offset` of the message.
fn attribute_at(echo: &[u8], offset: usize) -> Option<u16> {
    const BODY: usize = HEADER_BYTES + GENERIC_HEADER_BYTES;
    let places = frame::walk(echo.get(BODY..)?).ok()?;
    places
        .iter()
        .find(|place| (BODY + place.start..BODY + place.end).contains(&offset))
        .map(|place| place.number)
}
