//! What the runtime counts, and the copies of it that it hands out.

pub mod histogram;

mod collect;
pub(crate) mod counter;
mod report;
pub(crate) mod tally;
pub(crate) mod timing;

pub use histogram::Histogram;
pub use report::{
    BalancerStatus, DeviceCounters, DeviceQueue, DeviceStatus, DeviceSupport, KeyStatus, LeavingStatus,
    OpStatus, QueueStatus, RuntimeStats, SessionStatus, StageSupport, TenantStatus,
};
