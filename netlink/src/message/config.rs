//! Limits and time-outs of the runtime.

use crate::attr::{Fault, Reader, Writer};
use crate::family::attribute::config as a;

/// One limit or time-out. Its unit is the end of its name: `_ns`, `_ops`, `_bytes`, `_percent`, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingInfo {
    /// Name.
    pub name: String,
    /// Its value.
    pub value: u64,
    /// Its value unless it was set.
    pub default: u64,
    /// Its least value.
    pub least: u64,
    /// Its greatest value.
    pub most: u64,
}

impl SettingInfo {
    /// Adds the attributes of `config-get`.
    pub fn write(&self, out: &mut Writer) {
        out.string(a::NAME, &self.name)
            .u64(a::VALUE, self.value)
            .u64(a::DEFAULT, self.default)
            .u64(a::LEAST, self.least)
            .u64(a::MOST, self.most);
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        Ok(Self {
            name: from.string(a::NAME)?,
            value: from.u64(a::VALUE)?,
            default: from.u64(a::DEFAULT)?,
            least: from.u64(a::LEAST)?,
            most: from.u64(a::MOST)?,
        })
    }
}
