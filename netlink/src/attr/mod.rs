//! Attributes: written and read with their types, by neli's `Nlattr` behind the guard.
//!
//! Secrets never pass through neli, whose buffers cannot be wiped: they are written in place, and taken out of the
//! datagram (leaving zeros) before neli reads it.

mod reader;
mod writer;

use crate::error::Error;

pub use reader::{Accept, Reader};
pub use writer::Writer;

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

#[cfg(test)]
mod tests;
