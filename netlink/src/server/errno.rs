//! Core's errors as errno and words.

use acrypto_core::{Error, OpError, StreamError};

use crate::attr::Fault;

pub(super) const EPERM: i32 = 1;
pub(super) const ENOENT: i32 = 2;
pub(super) const EIO: i32 = 5;
pub(super) const EAGAIN: i32 = 11;
pub(super) const EBUSY: i32 = 16;
pub(super) const EEXIST: i32 = 17;
pub(super) const ENODEV: i32 = 19;
pub(super) const EINVAL: i32 = 22;
pub(super) const EMSGSIZE: i32 = 90;
pub(super) const EOPNOTSUPP: i32 = 95;
pub(super) const ENOBUFS: i32 = 105;
pub(super) const ETIMEDOUT: i32 = 110;
pub(super) const EBADMSG: i32 = 74;
const ECANCELED: i32 = 125;
const ESHUTDOWN: i32 = 108;

/// The refusal that tells of `error`.
pub(super) fn refused(error: &Error) -> Fault {
    let errno = match error {
        Error::UnknownDevice { .. } => ENODEV,
        Error::UnknownBalancer { .. }
        | Error::UnknownSession { .. }
        | Error::UnknownLoad { .. }
        | Error::UnknownKey { .. } => ENOENT,
        Error::DeviceExists { .. } | Error::BalancerExists { .. } | Error::KeyExists { .. } => EEXIST,
        Error::BalancerChanged { .. } | Error::BalancerBuiltIn { .. } | Error::DeviceState { .. } => EBUSY,
        Error::TooFewSamples { .. } => EAGAIN,
        Error::NoPreview { .. } => EOPNOTSUPP,
        Error::BalancerEjected { .. } => EIO,
        Error::OpTooLarge { .. } | Error::TooManySegments { .. } => EMSGSIZE,
        Error::NotSupported { .. } | Error::NoStream { .. } => EOPNOTSUPP,
        Error::NotAllowed { .. } => EPERM,
        Error::Full { .. } | Error::TenantFull { .. } => EAGAIN,
        Error::Limit { .. } | Error::Thread { .. } => ENOBUFS,
        Error::NoDevice { .. }
        | Error::NoDeviceForStage { .. }
        | Error::SelfTest { .. }
        | Error::Device { .. }
        | Error::KeyUsedUp { .. }
        | Error::NoRandom => EIO,
        Error::ShuttingDown => ESHUTDOWN,
        _ => EINVAL,
    };
    Fault::new(errno, error.to_string())
}

/// The refusal that tells of an operation's end.
pub(super) fn failed(error: &OpError) -> Fault {
    let errno = match error {
        OpError::DecryptionFailed => EBADMSG,
        OpError::TimedOut { .. } => ETIMEDOUT,
        OpError::Cancelled => ECANCELED,
        _ => EIO,
    };
    Fault::new(errno, error.to_string())
}

/// The refusal that tells of a stream's end.
pub(super) fn broken_off(error: &StreamError) -> Fault {
    match error {
        StreamError::Refused { error, .. } => refused(error),
        StreamError::Op(error) => failed(error),
        other => Fault::new(EIO, other.to_string()),
    }
}

/// That a limit is reached.
pub(super) fn limit(limit: usize, what: &str) -> Fault {
    Fault::new(ENOBUFS, format!("limit of {limit} {what} reached"))
}
