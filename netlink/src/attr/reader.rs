//! Reading attributes.

use std::io::Cursor;

use neli::genl::Nlattr;
use neli::types::{Buffer, GenlBuffer};
use neli::{FromBytes, FromBytesWithInput};
use zeroize::{Zeroize, Zeroizing};

use super::{EINVAL, Fault};
use crate::family::{Attribute, AttributeSet, Shape};
use crate::frame;

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

    /// Takes out every secret of an attribute that may be given more than once, in their order.
    pub fn secrets(&mut self, number: u16) -> Vec<Zeroizing<Vec<u8>>> {
        let taken = self.secrets.extract_if(.., |(secret, _)| *secret == number);
        taken.map(|(_, bytes)| bytes).collect()
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
        Shape::U64Array(limit) if payload.len().is_multiple_of(8) => at_most(limit * 8),
        Shape::U64Array(_) => Err(format!("'{name}' is no array of 64-bit numbers")),
        Shape::Nest(_) => Ok(()),
        Shape::String(limit) => match payload.split_last() {
            Some((0, text)) if !text.contains(&0) && text.len() <= limit => Ok(()),
            Some((0, text)) if text.len() > limit => at_most(limit + 1),
            _ => Err(format!("'{name}' is no string ended by one NUL")),
        },
    }
}
