//! The one error type of the crate, and the outcome of an operation that failed.

use crate::algorithm::{Algorithm, OpKind};
use crate::device::DeviceState;

/// Why a call was refused. Nothing was changed by a call that returns it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No algorithm has this name.
    #[error("unknown algorithm '{name}'")]
    UnknownAlgorithm {
        /// The name asked for.
        name: String,
    },
    /// No device has this name.
    #[error("device '{name}' not found")]
    UnknownDevice {
        /// The name asked for.
        name: String,
    },
    /// No kind of device has this name.
    #[error("unknown device kind '{kind}'")]
    UnknownKind {
        /// The kind asked for.
        kind: String,
    },
    /// No balancer has this name.
    #[error("balancer '{name}' not found")]
    UnknownBalancer {
        /// The name asked for.
        name: String,
    },
    /// A balancer with this name is registered already.
    #[error("balancer '{name}' exists")]
    BalancerExists {
        /// Its name.
        name: String,
    },
    /// The built-in balancer stays.
    #[error("balancer '{name}' is built in and cannot be unregistered")]
    BalancerBuiltIn {
        /// Its name.
        name: String,
    },
    /// The balancer in force is not the one the caller expected.
    #[error("balancer is '{current}', not '{expected}'")]
    BalancerChanged {
        /// The balancer in force.
        current: String,
        /// The one expected.
        expected: String,
    },
    /// The balancer could not stay in force.
    #[error("balancer '{name}' was ejected: {reason}")]
    BalancerEjected {
        /// Its name.
        name: String,
        /// Why, with the figures.
        reason: String,
    },
    /// There are too few samples for a figure.
    #[error("{samples} operations sampled, a preview needs {min}")]
    TooFewSamples {
        /// Operations sampled so far.
        samples: u64,
        /// Fewest that give a figure.
        min: u64,
    },
    /// The balancer cannot be previewed.
    #[error("no preview of balancer '{name}': {reason}")]
    NoPreview {
        /// Its name.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// No session has this id.
    #[error("session '{id:#x}' not found")]
    UnknownSession {
        /// The id asked for.
        id: u64,
    },
    /// No load has this id.
    #[error("load '{id}' not found")]
    UnknownLoad {
        /// The id asked for.
        id: u64,
    },
    /// A device with this name is there already.
    #[error("device '{name}' exists")]
    DeviceExists {
        /// Its name.
        name: String,
    },
    /// The device's state does not allow the action.
    #[error("device '{name}' is {state}, cannot {action}")]
    DeviceState {
        /// Its name.
        name: String,
        /// Its state.
        state: DeviceState,
        /// What was asked.
        action: &'static str,
    },
    /// A parameter's name is not known.
    #[error("unknown parameter '{name}' (known: {known})")]
    UnknownParameter {
        /// The parameter.
        name: String,
        /// Those that exist, separated by commas.
        known: String,
    },
    /// A parameter's value does not fit.
    #[error("parameter '{name}': '{value}' is not {expected}")]
    BadParameter {
        /// The parameter.
        name: String,
        /// Its value.
        value: String,
        /// What would fit.
        expected: String,
    },
    /// A name is empty, too long or has characters that are not allowed.
    #[error("name '{name}' is not 1 to 63 of a-z A-Z 0-9 . _ -")]
    BadName {
        /// The name.
        name: String,
    },
    /// The key's length does not fit the algorithm.
    #[error("{algorithm} needs a key of {want} bytes, got {got}")]
    KeyLength {
        /// The algorithm.
        algorithm: Algorithm,
        /// Lengths that fit, in bytes.
        want: String,
        /// The length given, in bytes.
        got: usize,
    },
    /// The iv's length does not fit the algorithm.
    #[error("{algorithm} needs an iv of {want} bytes, got {got}")]
    IvLength {
        /// The algorithm.
        algorithm: Algorithm,
        /// The length that fits, in bytes.
        want: usize,
        /// The length given, in bytes.
        got: usize,
    },
    /// The data is not a whole number of blocks and no padding is in force.
    #[error("{algorithm} without padding needs a multiple of {block} bytes, got {got}")]
    PartialBlock {
        /// The algorithm.
        algorithm: Algorithm,
        /// Block length, in bytes.
        block: usize,
        /// The length given, in bytes.
        got: usize,
    },
    /// The input is shorter than the tag it must contain.
    #[error("{algorithm} needs at least {want} bytes (the tag), got {got}")]
    TooShort {
        /// The algorithm.
        algorithm: Algorithm,
        /// Shortest length, in bytes.
        want: usize,
        /// The length given, in bytes.
        got: usize,
    },
    /// The operation is larger than the runtime's limit.
    #[error("operation of {got} bytes exceeds the limit of {limit}")]
    OpTooLarge {
        /// The length given, in bytes.
        got: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The operation makes its bytes from nothing: it has no source.
    #[error("{op} reads no source")]
    NothingToRead {
        /// The operation.
        op: OpKind,
    },
    /// The operation is scattered over more segments than the runtime takes.
    #[error("operation of {got} segments exceeds the limit of {limit}")]
    TooManySegments {
        /// The number given.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// The algorithm has no such operation, or the session does not allow it.
    #[error("{algorithm} cannot {op}")]
    NotSupported {
        /// The algorithm.
        algorithm: Algorithm,
        /// The operation.
        op: OpKind,
    },
    /// The algorithm cannot be used in a stream of chunks.
    #[error("{algorithm} cannot be streamed")]
    NoStream {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// Associated data was given to an algorithm that has none.
    #[error("{algorithm} takes no associated data")]
    NoAad {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// ECB leaks equal blocks; it must be allowed by name.
    #[error("{algorithm} leaks equal blocks and must be allowed explicitly")]
    EcbNotAllowed {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// SHA-1 has collisions; it serves to check old digests only.
    #[error("sha1 is for checking only and must be allowed explicitly")]
    Sha1NotAllowed,
    /// The main queue is full; `Runtime::ready` tells when there is room again.
    #[error("main queue is full ({limit} operations)")]
    Full {
        /// The limit, in operations.
        limit: usize,
    },
    /// A table is full.
    #[error("limit of {limit} {what} reached")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// No device that is in service can do this.
    #[error("no usable device for {algorithm}")]
    NoDevice {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// A known answer came out wrong; the device got no work.
    #[error("device '{device}' failed its known answers: {reason}")]
    SelfTest {
        /// The device.
        device: String,
        /// What came out wrong.
        reason: String,
    },
    /// The device cannot do what was asked of it (open a session, be built, be reset).
    #[error("device '{device}': {reason}")]
    Device {
        /// The device.
        device: String,
        /// Its own words.
        reason: String,
    },
    /// The key may not be used for this.
    #[error("session may not {op}")]
    NotAllowed {
        /// The operation.
        op: OpKind,
    },
    /// A route that makes no sense.
    #[error(
        "route '{route}' is not one cipher (ecb, cbc, ctr) and at least one hmac, at most {stages_max} stages"
    )]
    BadRoute {
        /// Its algorithms.
        route: String,
        /// Most stages.
        stages_max: usize,
    },
    /// A route's stage has no device in service.
    #[error("no usable device for stage {stage} ({algorithm})")]
    NoDeviceForStage {
        /// The stage, from 1.
        stage: usize,
        /// Its algorithm.
        algorithm: Algorithm,
    },
    /// Not one key for each stage.
    #[error("session needs {want} keys, got {got}")]
    KeyCount {
        /// As many as there are stages.
        want: usize,
        /// As many as were given.
        got: usize,
    },
    /// No key has this name.
    #[error("key '{name}' not found")]
    UnknownKey {
        /// The name asked for.
        name: String,
    },
    /// A key with this name is there already.
    #[error("key '{name}' exists")]
    KeyExists {
        /// Its name.
        name: String,
    },
    /// The runtime has made as many initialisation vectors for this key as are safe.
    #[error("key is used up: {limit} initialisation vectors were made for it")]
    KeyUsedUp {
        /// The limit.
        limit: u64,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system")]
    NoRandom,
    /// An iv was asked of the runtime and given as well, or asked for an operation that takes none.
    #[error("a runtime-made iv is for encryption without an iv of the caller's")]
    RuntimeIv,
    /// The tenant has as many operations on their way as it may have.
    #[error("tenant '{tenant}' has its limit of {limit} operations on their way")]
    TenantFull {
        /// The tenant.
        tenant: String,
        /// Its limit, in operations.
        limit: u64,
    },
    /// A tenant's name is empty, too long or has characters that are not allowed.
    #[error("tenant '{name}' is not uid:N or 1 to 63 of a-z A-Z 0-9 . _ -")]
    BadTenant {
        /// The name.
        name: String,
    },
    /// The runtime is shutting down.
    #[error("runtime is shutting down")]
    ShuttingDown,
    /// The operating system would not start a thread.
    #[error("cannot start thread '{name}'")]
    Thread {
        /// The thread's name.
        name: String,
    },
}

/// How far a failed operation got on its last device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// No device began it.
    NotStarted,
    /// A device had it, and whether it was carried out is not known.
    MaybeExecuted,
    /// A device carried it out; the result was lost or wrong.
    Executed,
}

/// How an accepted operation failed. Each accepted operation ends with success or one of these, once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    /// Authentication or padding failed. One error for both, so that it tells an attacker nothing;
    /// no plaintext is released (the buffer comes back empty).
    #[error("decryption failed")]
    DecryptionFailed,
    /// No device could do it: each that was tried broke, or none is left.
    #[error("operation broken after {attempts} attempts: {reason}")]
    Broken {
        /// Attempts made.
        attempts: u16,
        /// The last device's reason.
        reason: &'static str,
        /// How far the last attempt got.
        progress: Progress,
    },
    /// The deadline passed.
    #[error("operation timed out")]
    TimedOut {
        /// How far the last attempt got.
        progress: Progress,
    },
    /// The caller cancelled it, or the runtime shut down.
    #[error("operation cancelled")]
    Cancelled,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_padding_error_and_a_tag_error_are_one() {
        assert_eq!(OpError::DecryptionFailed.to_string(), "decryption failed");
    }
}
