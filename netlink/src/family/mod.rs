//! The family `acrypto` as tables: commands, attributes, enumerations. `spec/acrypto.yaml` is the source of truth; a
//! test holds the tables to it.

pub mod attribute;
pub mod command;
pub mod control;

pub use attribute::{Attribute, AttributeSet, Shape};
pub use command::{COMMANDS, Command, CommandSpec, Form};

/// Family name.
pub const NAME: &str = "acrypto";
/// Family id, which is the message type of every command.
pub const ID: u16 = 0x20;
/// Family version.
pub const VERSION: u8 = 1;
/// Multicast group of state changes: (name, id).
pub const GROUP_EVENTS: (&str, u32) = ("events", 3);
/// Multicast group of periodic samples: (name, id).
pub const GROUP_STATS: (&str, u32) = ("stats", 4);
/// Longest data of one operation through the protocol, in bytes.
pub const OP_DATA_MAX_BYTES: usize = 32 * 1024;
/// Number of the attribute `epoch`, the same in every set of messages.
pub const EPOCH: u16 = 1;

#[cfg(test)]
mod tests;
