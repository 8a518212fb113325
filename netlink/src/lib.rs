//! The acrypto control protocol: generic netlink messages, a client, and (feature `server`) serving a runtime.
//!
//! [`client::Client`] is the way in for programs; `message` holds the nouns it returns. The codec (`frame`, `attr`,
//! `family`, `conn`) names neither a socket nor an executor. `spec/acrypto.yaml` is the source of truth.

pub mod address;
pub mod attr;
pub mod client;
pub mod conn;
pub mod error;
pub mod family;
pub mod frame;
pub mod message;
#[cfg(feature = "server")]
pub mod server;
pub mod snapshot;
pub mod trace;
pub mod transport;

pub use address::Address;
pub use client::{Client, Feed, Subscription};
pub use error::Error;
pub use snapshot::Snapshot;
pub use transport::MemoryEnd;
