//! Attributes: written and read with their types, by neli's `Nlattr` behind the guard.
//!
//! Secrets never pass through neli, whose buffers cannot be wiped: they are written in place, and taken out of the
//! datagram (leaving zeros) before neli reads it.

use std::io::Cursor;

use neli::genl::{AttrTypeBuilder, Nlattr, NlattrBuilder};
use neli::types::{Buffer, GenlBuffer};
use neli::{FromBytes, FromBytesWithInput, Size, ToBytes};
use zeroize::{Zeroize, Zeroizing};

use crate::error::Error;
use crate::family::{Attribute, AttributeSet, Shape};
use crate::frame::{self, GENERIC_HEADER_BYTES, HEADER_BYTES};

/// Longest payload of an attribute: `nla_len` has 16 bits, counts the 4 of the header, and is padded to 4.
pub const PAYLOAD_MAX_BYTES: usize = 65_531;

const EINVAL: i32 = 22;

/// What is wrong with the attributes of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// Positive errno.
    pub errno: i32,
    /// In words.
    pub message: String,
    /// Offset of the attribute at fault, in bytes from the start of the message.
    pub offset: Option<usize>,
    /// Number of the attribute that is missing.
    pub missing: Option<u16>,
}

impl Fault {
    /// A fault of no attribute in particular.
    pub fn new(errno: i32, message: impl Into<String>) -> Self {
        Self { errno, message: message.into(), ..Self::default() }
    }

    fn at(offset: usize, message: impl Into<String>) -> Self {
        Self { offset: Some(offset), ..Self::new(EINVAL, message) }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Error::Malformed(fault.message)
    }
}

/// Builds a message: room for both headers, then attributes.
#[derive(Debug)]
pub struct Writer {
    bytes: Zeroizing<Vec<u8>>,
    error: Option<Error>,
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// An empty message.
    pub fn new() -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.resize(HEADER_BYTES + GENERIC_HEADER_BYTES, 0);
        Self { bytes: Zeroizing::new(bytes), error: None }
    }

    /// Length so far, in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no attribute yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == HEADER_BYTES + GENERIC_HEADER_BYTES
    }

    /// Adds 16 bits.
    pub fn u16(&mut self, number: u16, value: u16) -> &mut Self {
        self.put(number, false, value)
    }

    /// Adds 32 bits.
    pub fn u32(&mut self, number: u16, value: u32) -> &mut Self {
        self.put(number, false, value)
    }

    /// Adds 64 bits.
    pub fn u64(&mut self, number: u16, value: u64) -> &mut Self {
        self.put(number, false, value)
    }

    /// Adds 64 bits if there is a value.
    pub fn u64_if(&mut self, number: u16, value: Option<u64>) -> &mut Self {
        match value {
            Some(value) => self.u64(number, value),
            None => self,
        }
    }

    /// Adds a flag if `value` is true.
    pub fn flag(&mut self, number: u16, value: bool) -> &mut Self {
        if value { self.put(number, false, ()) } else { self }
    }

    /// Adds a string; it must hold no NUL.
    pub fn string(&mut self, number: u16, value: &str) -> &mut Self {
        if value.contains('\0') {
            self.error
                .get_or_insert_with(|| Error::Malformed(format!("'{}' holds a NUL", value.escape_debug())));
            return self;
        }
        self.put(number, false, value)
    }

    /// Adds a string unless it is empty.
    pub fn string_if(&mut self, number: u16, value: &str) -> &mut Self {
        if value.is_empty() { self } else { self.string(number, value) }
    }

    /// Adds bytes.
    pub fn bytes(&mut self, number: u16, value: &[u8]) -> &mut Self {
        self.put(number, false, value)
    }

    /// Adds an array.
    pub fn u64s(&mut self, number: u16, values: &[u64]) -> &mut Self {
        self.put(number, false, values.to_vec())
    }

    /// Adds attributes of another set.
    pub fn nest(&mut self, number: u16, fill: impl FnOnce(&mut Writer)) -> &mut Self {
        let mut inner = Writer { bytes: Zeroizing::new(Vec::with_capacity(256)), error: None };
        fill(&mut inner);
        if let Some(error) = inner.error {
            self.error.get_or_insert(error);
        }
        self.put(number, true, inner.bytes.as_slice())
    }

    /// Adds secret bytes without leaving a copy anywhere but in the message.
    pub fn secret(&mut self, number: u16, value: &[u8]) -> &mut Self {
        if self.too_large(number, value.len()) {
            return self;
        }
        let padded = value.len().next_multiple_of(4);
        if self.bytes.capacity() - self.bytes.len() < padded + 4 {
            let mut roomy = Zeroizing::new(Vec::with_capacity(self.bytes.len() + padded + 256));
            roomy.extend_from_slice(&self.bytes);
            self.bytes = roomy;
        }
        // Checked above: the length fits.
        let len = (value.len() + 4) as u16;
        self.bytes.extend_from_slice(&len.to_ne_bytes());
        self.bytes.extend_from_slice(&number.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        let aligned = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(aligned, 0);
        self
    }

    /// The message, its headers still zero.
    ///
    /// # Errors
    /// The first attribute that did not fit.
    pub fn finish(self) -> Result<Zeroizing<Vec<u8>>, Error> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.bytes),
        }
    }

    fn put<P: Size + ToBytes>(&mut self, number: u16, nested: bool, payload: P) -> &mut Self {
        if !self.too_large(number, payload.unpadded_size())
            && let Err(message) = self.append(number, nested, payload)
        {
            self.error.get_or_insert(Error::Malformed(message));
        }
        self
    }

    fn append<P: Size + ToBytes>(&mut self, number: u16, nested: bool, payload: P) -> Result<(), String> {
        let kind = AttrTypeBuilder::default()
            .nla_type(number)
            .nla_nested(nested)
            .build()
            .map_err(|error| error.to_string())?;
        let attribute = NlattrBuilder::default()
            .nla_type(kind)
            .nla_payload(payload)
            .build()
            .map_err(|error| error.to_string())?;
        let mut cursor = Cursor::new(std::mem::take(&mut *self.bytes));
        cursor.set_position(cursor.get_ref().len() as u64);
        let written = attribute.to_bytes(&mut cursor).map_err(|error| error.to_string());
        *self.bytes = cursor.into_inner();
        written
    }

    fn too_large(&mut self, number: u16, len: usize) -> bool {
        let large = len > PAYLOAD_MAX_BYTES;
        if large {
            self.error.get_or_insert_with(|| Error::TooLarge {
                name: format!("attribute {number}"),
                got: len,
                limit: PAYLOAD_MAX_BYTES,
            });
        }
        large
    }
}

/// Attributes that may stand in a message.
#[derive(Clone, Copy, Debug)]
pub enum Accept<'a> {
    /// What is not known is ignored: the other end may be newer.
    Any,
    /// Those of the set only, also in nests.
    Known,
    /// These only, and in nests those of the set; anything else is refused.
    Only(&'a [u16]),
}

impl Accept<'_> {
    fn takes(self, set: &AttributeSet, number: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Known => set.find(number).is_some(),
            Self::Only(allowed) => allowed.contains(&number),
        }
    }

    fn is_strict(self) -> bool {
        !matches!(self, Self::Any)
    }
}

/// Attributes of one level, checked against their set.
#[derive(Debug)]
pub struct Reader {
    set: &'static AttributeSet,
    /// Offset of the first attribute in the message.
    base: usize,
    strict: bool,
    places: Vec<(u16, usize)>,
    attributes: GenlBuffer<u16, Buffer>,
    secrets: Vec<(u16, Zeroizing<Vec<u8>>)>,
}

impl Reader {
    /// Checks and reads the attributes in `bytes`, which start at offset `base` of their message. Secrets are taken
    /// out of `bytes` and leave zeros.
    ///
    /// # Errors
    /// The attribute at fault.
    pub fn read(
        set: &'static AttributeSet,
        bytes: &mut [u8],
        base: usize,
        accept: Accept<'_>,
    ) -> Result<Self, Fault> {
        let places = frame::walk(bytes)
            .map_err(|offset| Fault::at(base + offset, "attribute length does not fit its message"))?;
        let mut secrets = Vec::new();
        for (index, place) in places.iter().enumerate() {
            let at = |message: String| Fault::at(base + place.start, message);
            if !accept.takes(set, place.number) {
                return Err(at(format!(
                    "attribute {} ('{}') is not taken here",
                    place.number,
                    set.name_of(place.number)
                )));
            }
            let Some(attribute) = set.find(place.number) else { continue };
            let payload = bytes.get_mut(place.payload..place.end).unwrap_or_default();
            check(attribute, payload).map_err(&at)?;
            let again = places.iter().take(index).any(|earlier| earlier.number == place.number);
            if again && !attribute.multi && accept.is_strict() {
                return Err(at(format!("attribute '{}' is given twice", attribute.name)));
            }
            if matches!(attribute.shape, Shape::Secret(_)) {
                secrets.push((place.number, Zeroizing::new(payload.to_vec())));
                payload.zeroize();
            }
        }
        let attributes = GenlBuffer::from_bytes_with_input(&mut Cursor::new(&*bytes), bytes.len())
            .map_err(|error| Fault::new(EINVAL, error.to_string()))?;
        let places = places.iter().map(|place| (place.number, place.start)).collect();
        Ok(Self { set, base, strict: accept.is_strict(), places, attributes, secrets })
    }

    /// Whether the attribute is there.
    pub fn has(&self, number: u16) -> bool {
        self.find(number).is_some()
    }

    /// 16 bits.
    ///
    /// # Errors
    /// When missing.
    pub fn u16(&self, number: u16) -> Result<u16, Fault> {
        self.int(number)?.ok_or_else(|| self.missing(number))
    }

    /// 32 bits.
    ///
    /// # Errors
    /// When missing.
    pub fn u32(&self, number: u16) -> Result<u32, Fault> {
        self.int(number)?.ok_or_else(|| self.missing(number))
    }

    /// 64 bits.
    ///
    /// # Errors
    /// When missing.
    pub fn u64(&self, number: u16) -> Result<u64, Fault> {
        self.int(number)?.ok_or_else(|| self.missing(number))
    }

    /// 32 bits, if there.
    ///
    /// # Errors
    /// When shorter than that.
    pub fn u32_if(&self, number: u16) -> Result<Option<u32>, Fault> {
        self.int(number)
    }

    /// 64 bits, if there.
    ///
    /// # Errors
    /// When shorter than that.
    pub fn u64_if(&self, number: u16) -> Result<Option<u64>, Fault> {
        self.int(number)
    }

    /// A number that stands for one of a few values.
    ///
    /// # Errors
    /// When missing, or none of them.
    pub fn token<T>(&self, number: u16, from_number: fn(u32) -> Option<T>) -> Result<T, Fault> {
        self.token_if(number, from_number)?.ok_or_else(|| self.missing(number))
    }

    /// The same, if there.
    ///
    /// # Errors
    /// When none of the values.
    pub fn token_if<T>(&self, number: u16, from_number: fn(u32) -> Option<T>) -> Result<Option<T>, Fault> {
        let Some(value) = self.u32_if(number)? else { return Ok(None) };
        match from_number(value) {
            Some(token) => Ok(Some(token)),
            None => Err(self.fault(number, format!("'{}' has no value {value}", self.set.name_of(number)))),
        }
    }

    /// A string.
    ///
    /// # Errors
    /// When missing, or not UTF-8.
    pub fn string(&self, number: u16) -> Result<String, Fault> {
        self.string_if(number)?.ok_or_else(|| self.missing(number))
    }

    /// A string, if there.
    ///
    /// # Errors
    /// When not UTF-8.
    pub fn string_if(&self, number: u16) -> Result<Option<String>, Fault> {
        self.strings(number).map(|strings| strings.into_iter().next())
    }

    /// Every string of an attribute that may be given more than once.
    ///
    /// # Errors
    /// When one is not UTF-8.
    pub fn strings(&self, number: u16) -> Result<Vec<String>, Fault> {
        self.all(number)
            .map(|attribute| {
                let payload = attribute.nla_payload().as_ref();
                let text = payload.strip_suffix(&[0]).unwrap_or(payload);
                String::from_utf8(text.to_vec())
                    .map_err(|_| self.fault(number, format!("'{}' is not UTF-8", self.set.name_of(number))))
            })
            .collect()
    }

    /// Bytes; empty when missing.
    pub fn bytes(&self, number: u16) -> Vec<u8> {
        self.find(number).map(|attribute| attribute.nla_payload().as_ref().to_vec()).unwrap_or_default()
    }

    /// Takes a secret out; empty when missing.
    pub fn secret(&mut self, number: u16) -> Zeroizing<Vec<u8>> {
        let index = self.secrets.iter().position(|(secret, _)| *secret == number);
        index.map(|index| self.secrets.swap_remove(index).1).unwrap_or_default()
    }

    /// An array; empty when missing.
    pub fn u64s(&self, number: u16) -> Vec<u64> {
        let bytes = self.bytes(number);
        bytes.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok().map(u64::from_ne_bytes)).collect()
    }

    /// The attributes nested in an attribute.
    ///
    /// # Errors
    /// When missing or malformed.
    pub fn nest(&self, number: u16) -> Result<Reader, Fault> {
        self.nest_if(number)?.ok_or_else(|| self.missing(number))
    }

    /// The same, if there.
    ///
    /// # Errors
    /// When malformed.
    pub fn nest_if(&self, number: u16) -> Result<Option<Reader>, Fault> {
        self.nests(number).map(|nests| nests.into_iter().next())
    }

    /// The attributes nested in each of an attribute that may be given more than once.
    ///
    /// # Errors
    /// When one is malformed.
    pub fn nests(&self, number: u16) -> Result<Vec<Reader>, Fault> {
        let Some(Attribute { shape: Shape::Nest(set), .. }) = self.set.find(number) else {
            return Ok(Vec::new());
        };
        self.all(number)
            .zip(self.places.iter().filter(|(other, _)| *other == number))
            .map(|(attribute, (_, start))| {
                let mut bytes = attribute.nla_payload().as_ref().to_vec();
                let accept = if self.strict { Accept::Known } else { Accept::Any };
                Reader::read(set, &mut bytes, self.base + start + 4, accept)
            })
            .collect()
    }

    /// A fault of the attribute.
    pub fn fault(&self, number: u16, message: impl Into<String>) -> Fault {
        let start =
            self.places.iter().find(|(other, _)| *other == number).map(|(_, start)| self.base + start);
        Fault { offset: start, ..Fault::new(EINVAL, message) }
    }

    /// That the attribute is missing.
    pub fn missing(&self, number: u16) -> Fault {
        let message = format!("attribute '{}' is missing", self.set.name_of(number));
        Fault { missing: Some(number), ..Fault::new(EINVAL, message) }
    }

    /// The raw attributes, in order: (number, payload).
    pub(crate) fn raw(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.attributes
            .iter()
            .map(|attribute| (*attribute.nla_type().nla_type(), attribute.nla_payload().as_ref()))
    }

    /// The set they belong to.
    pub(crate) fn set(&self) -> &'static AttributeSet {
        self.set
    }

    fn int<T: FromBytes>(&self, number: u16) -> Result<Option<T>, Fault> {
        let Some(attribute) = self.find(number) else { return Ok(None) };
        T::from_bytes(&mut Cursor::new(attribute.nla_payload().as_ref()))
            .map(Some)
            .map_err(|_| self.fault(number, format!("'{}' is too short", self.set.name_of(number))))
    }

    fn find(&self, number: u16) -> Option<&Nlattr<u16, Buffer>> {
        self.all(number).next()
    }

    fn all(&self, number: u16) -> impl Iterator<Item = &Nlattr<u16, Buffer>> {
        self.attributes.iter().filter(move |attribute| *attribute.nla_type().nla_type() == number)
    }
}

/// Whether the payload has the shape of the attribute.
fn check(attribute: &Attribute, payload: &[u8]) -> Result<(), String> {
    let name = attribute.name;
    let exactly = |want: usize| {
        if payload.len() == want {
            Ok(())
        } else {
            Err(format!("'{name}' has {} bytes, not {want}", payload.len()))
        }
    };
    let at_most = |limit: usize| {
        if payload.len() <= limit {
            Ok(())
        } else {
            Err(format!("'{name}' has {} bytes, at most {limit} are taken", payload.len()))
        }
    };
    match attribute.shape {
        Shape::Flag => exactly(0),
        Shape::U16 => exactly(2),
        Shape::U32 => exactly(4),
        Shape::U64 => exactly(8),
        Shape::Binary(limit) | Shape::Secret(limit) => at_most(limit),
        Shape::U64Array(limit) if payload.len() % 8 == 0 => at_most(limit * 8),
        Shape::U64Array(_) => Err(format!("'{name}' is no array of 64-bit numbers")),
        Shape::Nest(_) => Ok(()),
        Shape::String(limit) => match payload.split_last() {
            Some((0, text)) if !text.contains(&0) && text.len() <= limit => Ok(()),
            Some((0, text)) if text.len() > limit => at_most(limit + 1),
            _ => Err(format!("'{name}' is no string ended by one NUL")),
        },
    }
}

#[cfg(test)]
mod tests;
