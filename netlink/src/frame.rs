//! The guard: every length in a datagram is checked here before neli or anything else looks at its content.
//!
//! Needed because neli 0.7.5 computes with `nl_len` and `nla_len` as they come, and panics on hostile ones.

/// Longest datagram, in bytes.
pub const DATAGRAM_MAX_BYTES: usize = 64 * 1024;
/// Length of a netlink header.
pub const HEADER_BYTES: usize = 16;
/// Length of a generic netlink header, which follows it.
pub const GENERIC_HEADER_BYTES: usize = 4;
/// Deepest nesting of attributes.
const DEPTH_MAX: usize = 4;

/// `nl_type` of an acknowledgement or error.
pub const ERROR: u16 = 2;
/// `nl_type` of the end of a dump.
pub const DONE: u16 = 3;
/// Lowest `nl_type` that is not a control message.
pub const TYPE_MIN: u16 = 0x10;

/// `NLM_F_REQUEST`
pub const FLAG_REQUEST: u16 = 0x001;
/// `NLM_F_MULTI`
pub const FLAG_MULTI: u16 = 0x002;
/// `NLM_F_ACK`
pub const FLAG_ACK: u16 = 0x004;
/// `NLM_F_DUMP_INTR`
pub const FLAG_DUMP_INTERRUPTED: u16 = 0x010;
/// `NLM_F_CAPPED`, on errors
pub const FLAG_CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS`, on errors
pub const FLAG_ACK_TLVS: u16 = 0x200;
/// `NLM_F_DUMP`: root and match
pub const FLAG_DUMP: u16 = 0x300;

/// The attribute holds attributes (`NLA_F_NESTED`).
const ATTRIBUTE_NESTED: u16 = 0x8000;
/// The bits of an attribute's type that are its number.
const ATTRIBUTE_NUMBER: u16 = 0x3fff;

/// A netlink header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Length of the message with this header, in bytes.
    pub len: u32,
    /// Family id, or a control message.
    pub kind: u16,
    /// `NLM_F_*`
    pub flags: u16,
    /// Sequence number of the request.
    pub seq: u32,
    /// Port id of the client.
    pub port: u32,
}

impl Header {
    /// The header at the start of `bytes`, whatever it says; `None` when there are less than 16 bytes.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            len: u32::from_ne_bytes(array(bytes, 0)?),
            kind: u16::from_ne_bytes(array(bytes, 4)?),
            flags: u16::from_ne_bytes(array(bytes, 6)?),
            seq: u32::from_ne_bytes(array(bytes, 8)?),
            port: u32::from_ne_bytes(array(bytes, 12)?),
        })
    }

    /// The header's bytes.
    pub fn bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&self.len.to_ne_bytes());
        bytes[4..6].copy_from_slice(&self.kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&self.flags.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.seq.to_ne_bytes());
        bytes[12..16].copy_from_slice(&self.port.to_ne_bytes());
        bytes
    }
}

/// One message of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its header.
    pub header: Header,
    /// Offset of the header in the datagram.
    pub start: usize,
    /// Offset behind the message; `end - start == header.len`.
    pub end: usize,
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Shorter than a header, or empty.
    #[error("datagram of {got} bytes is shorter than a header")]
    Short {
        /// Bytes left.
        got: usize,
    },
    /// Longer than the limit.
    #[error("datagram of {got} bytes exceeds {DATAGRAM_MAX_BYTES}")]
    Long {
        /// Bytes.
        got: usize,
    },
    /// The length in the header does not fit.
    #[error("message length {} is not 16 to {left} in steps of 4", header.len)]
    Length {
        /// The header, so that the sender can be told.
        header: Header,
        /// Bytes left in the datagram.
        left: usize,
    },
}

/// Splits a datagram into messages: `16 <= nl_len <= remaining`, aligned to 4. What is left of a bad message is not
/// looked at.
///
/// # Errors
/// The messages before the bad one are returned with the error.
pub fn split(datagram: &[u8]) -> (Vec<Frame>, Result<(), FrameError>) {
    let mut frames = Vec::new();
    if datagram.len() > DATAGRAM_MAX_BYTES {
        return (frames, Err(FrameError::Long { got: datagram.len() }));
    }
    let mut start = 0;
    while start < datagram.len() || frames.is_empty() {
        let rest = datagram.get(start..).unwrap_or_default();
        let Some(header) = Header::read(rest) else {
            return (frames, Err(FrameError::Short { got: rest.len() }));
        };
        let len = header.len as usize;
        if len < HEADER_BYTES || len > rest.len() || !len.is_multiple_of(4) {
            return (frames, Err(FrameError::Length { header, left: rest.len() }));
        }
        frames.push(Frame { header, start, end: start + len });
        start += len;
    }
    (frames, Ok(()))
}

/// Where an attribute lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number, without flags.
    pub number: u16,
    /// Whether it says of itself that it holds attributes.
    pub nested: bool,
    /// Offset of its header.
    pub start: usize,
    /// Offset of its payload.
    pub payload: usize,
    /// Offset behind its payload, before padding.
    pub end: usize,
}

/// Walks the attributes of `bytes`, and those inside of every one that says it is nested. Returns those of the top
/// level, with offsets in `bytes`.
///
/// # Errors
/// Offset of the attribute whose length does not fit, or that nests too deep.
pub fn walk(bytes: &[u8]) -> Result<Vec<Place>, usize> {
    let places = walk_level(bytes)?;
    for place in places.iter().filter(|place| place.nested) {
        walk_below(bytes.get(place.payload..place.end).unwrap_or_default(), place.payload, 1)?;
    }
    Ok(places)
}

fn walk_below(bytes: &[u8], base: usize, depth: usize) -> Result<(), usize> {
    if depth >= DEPTH_MAX {
        return Err(base);
    }
    for place in walk_level(bytes).map_err(|offset| base + offset)?.iter().filter(|place| place.nested) {
        walk_below(bytes.get(place.payload..place.end).unwrap_or_default(), base + place.payload, depth + 1)?;
    }
    Ok(())
}

fn walk_level(bytes: &[u8]) -> Result<Vec<Place>, usize> {
    let mut places = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let header = array(bytes, start).zip(array(bytes, start + 2));
        let (len, kind) =
            header.map(|(len, kind)| (u16::from_ne_bytes(len), u16::from_ne_bytes(kind))).ok_or(start)?;
        let end = start + usize::from(len);
        let next = end.next_multiple_of(4);
        if len < 4 || next > bytes.len() {
            return Err(start);
        }
        places.push(Place {
            number: kind & ATTRIBUTE_NUMBER,
            nested: kind & ATTRIBUTE_NESTED != 0,
            start,
            payload: start + 4,
            end,
        });
        start = next;
    }
    Ok(places)
}

/// `N` bytes at `offset`.
pub(crate) fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(len: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = Header { len, kind: 0x20, flags: 1, seq: 7, port: 9 }.bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn a_header_reads_back_as_it_was_written() {
        let header = Header { len: 20, kind: 0x20, flags: 5, seq: 0xdead_beef, port: 1 };
        assert_eq!(Header::read(&header.bytes()), Some(header));
        assert_eq!(Header::read(&[0; 15]), None);
    }

    #[test]
    fn two_messages_in_one_datagram_are_split() {
        let mut bytes = message(20, &[0; 4]);
        bytes.extend(message(16, &[]));
        let (frames, end) = split(&bytes);
        assert_eq!(end, Ok(()));
        assert_eq!(
            frames.iter().map(|frame| (frame.start, frame.end)).collect::<Vec<_>>(),
            [(0, 20), (20, 36)]
        );
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused_and_what_came_before_is_kept() {
        for len in [0, 15, 17, 18, 24, u32::MAX] {
            let mut bytes = message(16, &[]);
            bytes.extend(message(len, &[0; 4]));
            let (frames, end) = split(&bytes);
            assert_eq!(frames.len(), 1, "{len}");
            assert!(matches!(end, Err(FrameError::Length { left: 20, .. })), "{len}: {end:?}");
        }
        assert_eq!(split(&[]).1, Err(FrameError::Short { got: 0 }));
        assert_eq!(
            split(&[0; DATAGRAM_MAX_BYTES + 4]).1,
            Err(FrameError::Long { got: DATAGRAM_MAX_BYTES + 4 })
        );
    }

    #[test]
    fn attribute_lengths_are_walked_also_inside_of_nests() {
        let inner_bad =
            [12u16.to_ne_bytes(), 0x8001u16.to_ne_bytes(), 3u16.to_ne_bytes(), 1u16.to_ne_bytes()];
        let mut bytes: Vec<u8> = inner_bad.concat();
        bytes.extend([0; 4]);
        assert_eq!(walk(&bytes), Err(4));
        assert_eq!(walk(&[3, 0, 1, 0]), Err(0));
        assert_eq!(walk(&[5, 0, 1, 0, 9]), Err(0), "padding missing");
        assert_eq!(walk(&[4, 0, 1]), Err(0));
    }

    #[test]
    fn nests_without_end_are_refused() {
        let mut bytes = Vec::new();
        for _ in 0..100 {
            let mut outer = Vec::from(u16::try_from(bytes.len() + 4).unwrap().to_ne_bytes());
            outer.extend(0x8001u16.to_ne_bytes());
            outer.extend(bytes);
            bytes = outer;
        }
        assert!(walk(&bytes).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_guard_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (frames, _) = split(&bytes);
            for frame in frames {
                prop_assert_eq!(frame.end - frame.start, frame.header.len as usize);
            }
            let _ = walk(&bytes);
        }
    }
}
