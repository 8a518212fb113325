//! `op hash` and `op hmac`.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use acrypto_core::{Algorithm, BufferPool, Class, Error, Iv, OpKind};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;
use tokio::sync::mpsc;

use super::engine::{Engine, Session, SessionPlan};
use super::input::Input;
use super::pipeline::{self, Lane, Made};
use super::sums;
use crate::cli::{HashArgs, HmacArgs};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::{key, output, units};

/// Most files at once: each has a few chunks in memory.
const FILES_MAX: usize = 8;

/// Digest or MAC of a file.
#[derive(Clone, Debug)]
pub struct Digested {
    /// Digest or MAC.
    pub output: Vec<u8>,
    /// Length of the file, in bytes.
    pub bytes: u64,
}

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
    let engine = Engine::start(context, plan.algorithm).await?;
    let epoch = engine.epoch();
    let files = Files::new(engine, plan, vec![path.clone()]);
    let digested = files.each(|_, result| result).await?;
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
    let engine = Engine::start(context, plan.algorithm).await?;
    let epoch = engine.epoch();
    let (total, algorithm) = (paths.len(), plan.algorithm);
    let mut failed = Vec::new();
    let mut results: Vec<Value> = Vec::new();
    Files::new(engine, plan, paths)
        .each(|path, result| {
            match result {
                Ok(file) if context.printer.is_json() => results.push(json!({
                    "alg": algorithm.name(),
                    "file": path.to_string_lossy(),
                    "digest": units::hex(&file.output),
                    "bytes": file.bytes,
                })),
                Ok(file) => output::write_bytes(&sums::line(&file.output, path.as_os_str().as_bytes()))?,
                Err(failure) if failure.exit == Exit::File => {
                    output::error(&failure);
                    failed.push(failure);
                }
                Err(failure) => return Err(failure),
            }
            Ok(())
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

/// Files to digest side by side, and to report on in their order.
pub struct Files {
    engine: Engine,
    plan: SessionPlan,
    paths: Arc<Vec<PathBuf>>,
    /// Chunks of all files that are under way.
    pool: BufferPool,
}

impl Files {
    /// Files to pass through sessions made from `plan`.
    pub fn new(engine: Engine, plan: SessionPlan, paths: Vec<PathBuf>) -> Self {
        let pool = BufferPool::new(FILES_MAX * pipeline::chunks(1), engine.chunk_bytes());
        Self { engine, plan, paths: Arc::new(paths), pool }
    }

    /// Digests every file and hands each result over in the order of the paths; the last answer is returned.
    pub async fn each<T>(
        self,
        mut take: impl FnMut(&Path, Result<Digested, Failure>) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        let next = Arc::new(AtomicUsize::new(0));
        let (done, mut results) = mpsc::unbounded_channel();
        for _ in 0..self.engine.lanes().min(FILES_MAX).min(self.paths.len()) {
            let (engine, plan, paths) = (self.engine.clone(), self.plan.clone(), Arc::clone(&self.paths));
            let (next, done, pool) = (Arc::clone(&next), done.clone(), self.pool.clone());
            super::spawn("hash", move || {
                let mut session = None;
                while let Some((index, path)) = claim(&next, &paths) {
                    let result = digest_one(&engine, &plan, &mut session, path, &pool);
                    if done.send((index, result)).is_err() {
                        return;
                    }
                }
            })?;
        }
        drop(done);
        let mut early = BTreeMap::new();
        let mut last = None;
        for (index, path) in self.paths.iter().enumerate() {
            let result = loop {
                if let Some(result) = early.remove(&index) {
                    break result;
                }
                let received = tokio::select! {
                    received = results.recv() => received,
                    failure = self.engine.lost() => return Err(failure),
                };
                match received {
                    Some((at, result)) => early.insert(at, result),
                    None => return Err(Failure::new(Exit::Bug, "a thread of this command panicked")),
                };
            };
            last = Some(take(path, result)?);
        }
        Ok(last)
    }
}

fn claim<'a>(next: &AtomicUsize, paths: &'a [PathBuf]) -> Option<(usize, &'a Path)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    paths.get(index).map(|path| (index, path.as_path()))
}

fn digest_one(
    engine: &Engine,
    plan: &SessionPlan,
    session: &mut Option<Session>,
    path: &Path,
    pool: &BufferPool,
) -> Result<Digested, Failure> {
    let input = Input::open(Some(path))?;
    let session = match session {
        Some(session) => session,
        None => session.insert(engine.session(plan)?),
    };
    let kind = if plan.algorithm.class() == Class::Mac { OpKind::Mac } else { OpKind::Digest };
    let mut stream = Some(session.stream(kind, Iv::NONE)?);
    let lane: Lane = Box::new(move |chunk| {
        let (data, output) = match (&mut stream, chunk.last) {
            (Some(stream), false) => (stream.update(chunk.data)?, Vec::new()),
            (taken, _) => match taken.take() {
                Some(stream) => stream.finish(chunk.data)?,
                None => (Vec::new(), Vec::new()),
            },
        };
        Ok(Made { data, output })
    });
    let outcome = pipeline::run(input, pool, vec![lane], None)?;
    Ok(Digested { output: outcome.output, bytes: outcome.input_bytes })
}
