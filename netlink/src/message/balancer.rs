//! Balancers.

/// One registered balancer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BalancerInfo {
    /// Its name.
    pub name: String,
    /// Whether it is the one in force.
    pub current: bool,
    /// Server time at which it came into force, in nanoseconds since the server's start; 0 if not in force.
    pub since_ns: u64,
    /// Operations moved between devices since the server's start; 0 if not in force.
    pub moved_ops: u64,
    /// Whether it is built in and cannot be unregistered.
    pub builtin: bool,
}
