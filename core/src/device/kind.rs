//! The built-in kinds of device, made from a name and parameters.

use std::sync::Arc;

use super::Engine;
#[cfg(feature = "aws-lc")]
use super::aws_lc::AwsLc;
use super::multi::Multi;
use super::null::Null;
use super::sim::{Profile, Sim};
use super::soft::Soft;
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

fn none(parameters: &[(String, String)]) -> Result<(), Error> {
    match parameters.first() {
        None => Ok(()),
        Some((name, _)) => Err(Error::UnknownParameter { name: name.clone(), known: "none".to_owned() }),
    }
}
