//! The nouns of the protocol as plain data: what the client returns and the server sends.

mod balancer;
mod bind;
mod config;
mod device;
mod event;
mod fault;
mod histogram;
mod load;
mod op;
mod preview;
mod queue;
mod server;
mod session;
mod stats;
mod tenant;
mod token;

pub use balancer::{Accuracy, BalancerInfo, BalancerSet, Ejection, Parameter};
pub use bind::{Bind, Stage, Target};
pub use config::SettingInfo;
pub use device::{
    Capability, DeviceCounters, DeviceInfo, DeviceState, Leaving, read_parameters, write_parameters,
};
pub use event::{EventKind, EventRecord, Filter, Severity};
#[cfg(feature = "server")]
pub(crate) use fault::read_ppb;
pub(crate) use fault::write_ppb;
pub use fault::{FaultMode, FaultSpec};
pub use histogram::Histogram;
pub use load::{LoadInfo, LoadSpec};
pub use op::{OpInfo, OpKind, OpReply, OpSubmit};
pub use preview::{Candidate, DecisionInfo, PreviewInfo};
pub use queue::{DeviceQueue, QueueInfo};
pub use server::{Class, ServerInfo};
pub use session::{SessionInfo, SessionNew, SessionSet};
pub use stats::RuntimeStats;
pub use tenant::TenantInfo;
