//! The built-in kinds of device, made from a name and parameters.

use std::sync::Arc;

#[cfg(feature = "aws-lc")]
use super::aws_lc::AwsLc;
use super::multi::Multi;
use super::null::Null;
use super::sim::{Profile, Sim};
use super::soft::Soft;
use super::{DirectDevice, Engine};
use crate::error::Error;

/// Their names.
pub(crate) const KINDS: &[&str] = &[
    "soft",
    #[cfg(feature = "aws-lc")]
    "aws-lc",
    "multi",
    "sim",
    "null",
];

pub(crate) fn build(kind: &str, parameters: &[(String, String)]) -> Result<Engine, Error> {
    match kind {
        "soft" => none(parameters).map(|()| Engine::Direct(Arc::new(Soft::new()))),
        #[cfg(feature = "aws-lc")]
        "aws-lc" => none(parameters).map(|()| Engine::Direct(Arc::new(AwsLc::new()))),
        "multi" => none(parameters).map(|()| Engine::Direct(Arc::new(Multi::new()))),
        "null" => none(parameters).map(|()| Engine::Direct(Arc::new(Null))),
        "sim" => Profile::parse(parameters).map(|profile| Engine::Queued(Box::new(Sim::new(profile)))),
        _ => Err(Error::UnknownKind { kind: kind.to_owned() }),
    }
}

/// A device of a built-in kind that works at once, to be called without a runtime; `None` for other kinds.
pub fn direct(kind: &str) -> Option<Arc<dyn DirectDevice>> {
    match build(kind, &[]) {
        Ok(Engine::Direct(device)) => Some(device),
        _ => None,
    }
}

fn none(parameters: &[(String, String)]) -> Result<(), Error> {
    match parameters.first() {
        None => Ok(()),
        Some((name, _)) => Err(Error::UnknownParameter { name: name.clone(), known: "none".to_owned() }),
    }
}
