//! The body of tests that every device must pass, for devices written elsewhere too.
//!
//! ```
//! use acrypto_core::conformance;
//! use acrypto_core::device::{Engine, soft::Soft};
//!
//! let report = conformance::check(|| Engine::Direct(std::sync::Arc::new(Soft::new())))?;
//! assert!(report.operations > 1_000);
//! # Ok::<(), conformance::Failure>(())
//! ```
//!
//! A device is made anew for each check. The reference is the built-in software engine.

mod checks;
mod stand;

use std::fmt;

use crate::device::Engine;

/// What was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The device's kind.
    pub kind: &'static str,
    /// The checks that passed, by name.
    pub checks: Vec<&'static str>,
    /// Operations that the device carried out for them, known answers not counted.
    pub operations: usize,
}

/// The first check that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its name.
    pub check: &'static str,
    /// What was wrong.
    pub detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "check '{}': {}", self.check, self.detail)
    }
}

impl std::error::Error for Failure {}

/// Checks a device.
///
/// # Errors
/// The first check that fails.
pub fn check(make: impl Fn() -> Engine) -> Result<Report, Failure> {
    let mut report = Report { kind: "", checks: Vec::new(), operations: 0 };
    for (name, check) in checks::ALL {
        let mut stand = stand::Stand::new(make());
        let info = stand.mount.info();
        report.kind = info.kind;
        let operations = check(&mut stand, &info).map_err(|detail| Failure { check: name, detail })?;
        report.operations += operations;
        report.checks.push(name);
    }
    Ok(report)
}
