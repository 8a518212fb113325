//! Loads: real operations on generated data, made by the server itself.

/// A load to start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadSpec {
    /// OpenSSL's name of the algorithm.
    pub algorithm: String,
    /// Length of an operation, in bytes.
    pub size_bytes: u64,
    /// Sessions that submit at once.
    pub clients: u32,
    /// Operations a second over all clients; 0 means as fast as it goes.
    pub rate_ops_per_s: u64,
    /// How long, in nanoseconds; 0 means until stopped.
    pub for_ns: u64,
}

/// A load that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadInfo {
    /// Number.
    pub id: u64,
    /// OpenSSL's name of the algorithm.
    pub algorithm: String,
    /// Length of an operation, in bytes.
    pub size_bytes: u64,
    /// Sessions that submit at once.
    pub clients: u32,
    /// Operations a second over all clients; 0 means as fast as it goes.
    pub rate_ops_per_s: u64,
    /// How long it was asked to run, in nanoseconds; 0 means until stopped.
    pub for_ns: u64,
    /// User who started it.
    pub uid: u32,
    /// Operations completed well.
    pub completed_ops: u64,
    /// Operations that failed.
    pub failed_ops: u64,
    /// Bytes processed.
    pub bytes: u64,
    /// Nanoseconds since it was started.
    pub age_ns: u64,
}
