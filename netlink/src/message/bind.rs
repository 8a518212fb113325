//! What sessions and the stages of their routes are tied to.

use std::fmt;

use crate::attr::{Fault, Reader, Writer};
use crate::family::attribute::{bind as a, stage};

/// What something is tied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The device with this name.
    Device(String),
    /// The devices of this kind.
    Kind(String),
}

/// A tie to a device or a kind of device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The device or kind.
    pub target: Target,
    /// Never another one; otherwise it is preferred.
    pub only: bool,
}

/// A stage of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// OpenSSL's name of the algorithm.
    pub algorithm: String,
    /// What it is tied to; `None` for what the session is tied to.
    pub bind: Option<Bind>,
}

impl Bind {
    /// Adds the attributes of the set `bind`.
    pub fn write(&self, out: &mut Writer) {
        match &self.target {
            Target::Device(name) => out.string(a::DEVICE, name),
            Target::Kind(kind) => out.string(a::KIND, kind),
        }
        .flag(a::ONLY, self.only);
    }

    /// Reads what `write` adds; nothing stands for no tie.
    pub fn read(from: &Reader) -> Result<Option<Self>, Fault> {
        let target = match (from.string_if(a::DEVICE)?, from.string_if(a::KIND)?) {
            (None, None) => return Ok(None),
            (Some(name), None) => Target::Device(name),
            (None, Some(kind)) => Target::Kind(kind),
            (Some(_), Some(_)) => return Err(from.fault(a::KIND, "'device' and 'kind' exclude each other")),
        };
        Ok(Some(Self { target, only: from.has(a::ONLY) }))
    }
}

/// As commands write it: `accel0`, `kind:soft`, each with `,prefer` unless only that will do.
impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Device(name) => f.write_str(name)?,
            Target::Kind(kind) => write!(f, "kind:{kind}")?,
        }
        if self.only { Ok(()) } else { f.write_str(",prefer") }
    }
}

impl Stage {
    /// Adds the attributes of the set `stage`.
    pub fn write(&self, out: &mut Writer) {
        out.string(stage::ALGORITHM, &self.algorithm);
        if let Some(bind) = &self.bind {
            out.nest(stage::BIND, |nest| bind.write(nest));
        }
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        let bind = from.nest_if(stage::BIND)?.map(|nest| Bind::read(&nest)).transpose()?;
        Ok(Self { algorithm: from.string(stage::ALGORITHM)?, bind: bind.flatten() })
    }
}
