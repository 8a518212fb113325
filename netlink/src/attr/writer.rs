//! Writing attributes.

use std::io::Cursor;

use neli::genl::{AttrTypeBuilder, NlattrBuilder};
use neli::{Size, ToBytes};
use zeroize::Zeroizing;

use super::PAYLOAD_MAX_BYTES;
use crate::error::Error;
use crate::frame::{GENERIC_HEADER_BYTES, HEADER_BYTES};

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
