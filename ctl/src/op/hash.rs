//! `op hash` and `op hmac`.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use acrypto_core::{Algorithm, Class, Error, OpKind};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use super::engine::{Engine, SessionPlan};
use super::files::Files;
use super::sums;
use crate::cli::{HashArgs, HmacArgs};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::{key, output, units};

/// Prints digests.
pub async fn digest(context: &Context, arguments: HashArgs) -> Result<Exit, Failure> {
    let algorithm = algorithm_of(&arguments.alg, Class::Digest, OpKind::Digest)?;
    if algorithm == Algorithm::Sha1 {
        return Err(Error::Sha1NotAllowed.into());
    }
    print_all(context, SessionPlan::keyless(algorithm), arguments.files).await
}

/// Prints or verifies MACs.
pub async fn hmac(context: &Context, arguments: HmacArgs) -> Result<Exit, Failure> {
    let algorithm = algorithm_of(&arguments.alg, Class::Mac, OpKind::Mac)?;
    let key = key::read(&arguments.key)?;
    if key.is_empty() {
        let want = format!("{} to {}", algorithm.key_len().start(), algorithm.key_len().end());
        return Err(Error::KeyLength { algorithm, want, got: 0 }.into());
    }
    let plan = SessionPlan { key, ..SessionPlan::keyless(algorithm) };
    match arguments.verify {
        Some(expected) => verify(context, plan, &arguments.files, &expected.0).await,
        None => print_all(context, plan, arguments.files).await,
    }
}

/// The algorithm of this name, if it is of this class.
pub fn algorithm_of(name: &str, class: Class, kind: OpKind) -> Result<Algorithm, Failure> {
    let algorithm: Algorithm = name.parse()?;
    match algorithm.class() == class {
        true => Ok(algorithm),
        false => Err(Error::NotSupported { algorithm, op: kind }.into()),
    }
}

async fn verify(
    context: &Context,
    plan: SessionPlan,
    files: &[PathBuf],
    expected: &[u8],
) -> Result<Exit, Failure> {
    let path = match files {
        [] => PathBuf::from("-"),
        [one] => one.clone(),
        _ => return Err(Failure::usage("'--verify' takes one file")),
    };
    if expected.len() != plan.algorithm.output_len() {
        let want = plan.algorithm.output_len();
        return Err(Failure::usage(format!(
            "{} is {want} bytes long, '--verify' has {}",
            plan.algorithm,
            expected.len()
        )));
    }
    let engine = Engine::start(context, plan.algorithm, 1).await?;
    let epoch = engine.epoch();
    let files = Files::new(engine, plan, vec![path.clone()]);
    let digested = files.each(|_, result, _| result).await?;
    let matches = digested.is_some_and(|file| bool::from(file.output.ct_eq(expected)));
    if context.printer.is_json() {
        let name = path.to_string_lossy();
        context.printer.json(epoch, &json!({ "results": [{ "file": name, "matches": matches }] }))?;
    }
    if matches {
        return Ok(Exit::Done);
    }
    Err(Failure::new(Exit::False, format!("'{}' does not match the code", path.display())))
}

async fn print_all(context: &Context, plan: SessionPlan, mut paths: Vec<PathBuf>) -> Result<Exit, Failure> {
    if paths.is_empty() {
        paths.push(PathBuf::from("-"));
    }
    let engine = Engine::start(context, plan.algorithm, paths.len()).await?;
    let epoch = engine.epoch();
    let (total, algorithm) = (paths.len(), plan.algorithm);
    let mut failed = Vec::new();
    let mut results: Vec<Value> = Vec::new();
    let mut lines = output::Lines::default();
    Files::new(engine, plan, paths)
        .each(|path, result, more| {
            match result {
                Ok(file) if context.printer.is_json() => results.push(json!({
                    "alg": algorithm.name(),
                    "file": path.to_string_lossy(),
                    "digest": units::hex(&file.output),
                    "bytes": file.bytes,
                })),
                Ok(file) => {
                    lines.write(&sums::line(&file.output, path.as_os_str().as_bytes()))?;
                }
                Err(failure) if failure.exit == Exit::File => {
                    lines.flush()?;
                    output::error(&failure);
                    failed.push(failure);
                }
                Err(failure) => {
                    lines.flush()?;
                    return Err(failure);
                }
            }
            if more { Ok(()) } else { lines.flush() }
        })
        .await?;
    if context.printer.is_json() {
        context.printer.json(epoch, &json!({ "results": results }))?;
    }
    match failed.len() {
        0 => Ok(Exit::Done),
        count if count == total => Ok(Exit::File),
        _ => Ok(Exit::Partial),
    }
}
