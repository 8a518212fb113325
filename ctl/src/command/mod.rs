//! The commands that talk to a server, one module a noun.

pub mod config;
pub mod device;
pub mod lb;
pub mod load;
pub mod monitor;
pub mod queue;
pub mod server;
pub mod session;
pub mod stats;
pub mod tenant;
