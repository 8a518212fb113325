//! The nouns of the protocol as plain data: what the client returns and the server sends.

mod balancer;
mod device;
mod event;
mod fault;
mod histogram;
mod load;
mod op;
mod queue;
mod server;
mod session;
mod stats;
mod token;

pub use balancer::BalancerInfo;

pub use device::{Capability, DeviceCounters, DeviceInfo, DeviceState, read_parameters, write_parameters};
pub use event::{EventKind, EventRecord, Filter, Severity};
pub use fault::{FaultMode, FaultSpec};
pub use histogram::Histogram;
pub use load::{LoadInfo, LoadSpec};
pub use op::{OpInfo, OpKind, OpReply, OpSubmit};
pub use queue::{DeviceQueue, QueueInfo};
pub use server::{Class, ServerInfo};
pub use session::{SessionInfo, SessionNew};
pub use stats::RuntimeStats;
