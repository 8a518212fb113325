//! Many files through one algorithm: as many at once as there are lanes, reported on in their order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use acrypto_core::{BufferPool, Class, Iv, OpKind};
use tokio::sync::mpsc;

use super::engine::{EMBEDDED_CHUNK_BYTES, Engine, Session, SessionPlan, Stream};
use super::input::Input;
use super::pipeline;
use super::whole::{Batch, Found};
use crate::exit::{Exit, Failure};

/// Long files at once that have all the buffers they can use; more make do with one each.
const LONG_FILES_MAX: usize = 8;

/// Bytes a chunk of a file that one thread reads and digests: small enough for a core's own cache.
const HERE_CHUNK_BYTES: usize = 256 << 10;

/// Digest or MAC of a file.
#[derive(Clone, Debug)]
pub struct Digested {
    /// Digest or MAC.
    pub output: Vec<u8>,
    /// Length of the file, in bytes.
    pub bytes: u64,
}

/// What came of files, by their numbers.
pub type Results = Vec<(usize, Result<Digested, Failure>)>;

/// Files to digest side by side, and to report on in their order.
pub struct Files {
    engine: Engine,
    plan: SessionPlan,
    paths: Arc<Vec<PathBuf>>,
    /// Chunks of all long files that are under way.
    pool: BufferPool,
}

impl Files {
    /// Files to pass through sessions made from `plan`.
    pub fn new(engine: Engine, plan: SessionPlan, paths: Vec<PathBuf>) -> Self {
        let pool = BufferPool::new(LONG_FILES_MAX * pipeline::chunks(1), engine.chunk_bytes());
        Self { engine, plan, paths: Arc::new(paths), pool }
    }

    /// Digests every file and hands each result over in the order of the paths, and whether the next one is there already;
    /// the last answer is returned.
    pub async fn each<T>(
        self,
        mut take: impl FnMut(&Path, Result<Digested, Failure>, bool) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        let mut results = self.start()?;
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
                    Some(several) => early.extend(several),
                    None => return Err(Failure::new(Exit::Bug, "a thread of this command panicked")),
                }
            };
            while let Ok(several) = results.try_recv() {
                early.extend(several);
            }
            last = Some(take(path, result, early.contains_key(&(index + 1)))?);
        }
        Ok(last)
    }

    /// Starts a thread for each lane; what they find out comes in any order. A short file that is alone needs none.
    fn start(&self) -> Result<mpsc::UnboundedReceiver<Results>, Failure> {
        let (done, results) = mpsc::unbounded_channel();
        let next = Arc::new(AtomicUsize::new(0));
        if let ([path], Engine::Embedded(_)) = (self.paths.as_slice(), &self.engine)
            && is_short(path)
            && self.digester(1, false, &done).add_short(0, path)
        {
            return Ok(results);
        }
        let lanes = self.engine.lanes().min(self.paths.len());
        // Else there are threads to spare.
        let reads_itself = self.paths.len() >= self.engine.lanes();
        for _ in 0..lanes {
            let mut digester = self.digester(lanes, reads_itself, &done);
            let (next, paths) = (Arc::clone(&next), Arc::clone(&self.paths));
            super::spawn("hash", move || {
                while let Some((index, path)) = claim(&next, &paths) {
                    if digester.add(index, path).is_none() {
                        return;
                    }
                }
                let _ = digester.flush();
            })?;
        }
        Ok(results)
    }

    fn digester(&self, lanes: usize, reads_itself: bool, done: &mpsc::UnboundedSender<Results>) -> Digester {
        Digester {
            engine: self.engine.clone(),
            plan: self.plan.clone(),
            session: None,
            batch: Batch::new(lanes, self.paths.len(), self.engine.one_shot_max_bytes()),
            pool: self.pool.clone(),
            reads_itself,
            chunk: Vec::new(),
            done: done.clone(),
        }
    }
}

/// Whether this is a plain file that keeps nobody waiting, so that a signal can wait for it. Those of `/proc` may.
fn is_short(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| {
        metadata.is_file() && (1..EMBEDDED_CHUNK_BYTES as u64).contains(&metadata.len())
    })
}

fn claim<'a>(next: &AtomicUsize, paths: &'a [PathBuf]) -> Option<(usize, &'a Path)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    paths.get(index).map(|path| (index, path.as_path()))
}

/// One thread's part.
struct Digester {
    engine: Engine,
    plan: SessionPlan,
    session: Option<Result<Session, Failure>>,
    batch: Batch,
    pool: BufferPool,
    /// Reads long files, and does not leave that to another thread.
    reads_itself: bool,
    /// What it reads them into.
    chunk: Vec<u8>,
    done: mpsc::UnboundedSender<Results>,
}

impl Digester {
    /// Digests a file, sooner or later; `None` when nobody wants to know any more.
    fn add(&mut self, index: usize, path: &Path) -> Option<()> {
        match self.batch.read(index, path) {
            Found::Taken if self.batch.is_full() => self.flush(),
            Found::Taken => Some(()),
            Found::Failed(failure) => self.done.send(vec![(index, Err(failure))]).ok(),
            Found::Long => {
                // Those before it need not wait for it.
                self.flush()?;
                let result = self.digest_long(path);
                self.done.send(vec![(index, result)]).ok()
            }
        }
    }

    /// Digests a file now, if it is a plain one and not too long.
    fn add_short(&mut self, index: usize, path: &Path) -> bool {
        match self.batch.read(index, path) {
            Found::Taken => drop(self.flush()),
            Found::Failed(failure) => drop(self.done.send(vec![(index, Err(failure))])),
            Found::Long => return false,
        }
        true
    }

    /// Digests the files that have been read.
    fn flush(&mut self) -> Option<()> {
        if self.batch.is_empty() {
            return Some(());
        }
        let kind = self.kind();
        let session = self.session.get_or_insert_with(|| self.engine.session(&self.plan));
        let results = self.batch.digest(kind, session);
        self.done.send(results).ok()
    }

    fn kind(&self) -> OpKind {
        if self.plan.algorithm.class() == Class::Mac { OpKind::Mac } else { OpKind::Digest }
    }

    /// Digests a file in chunks.
    fn digest_long(&mut self, path: &Path) -> Result<Digested, Failure> {
        let input = Input::open(Some(path))?;
        let kind = self.kind();
        let session = self.session.get_or_insert_with(|| self.engine.session(&self.plan));
        let stream = session.as_ref().map_err(Failure::clone)?.stream(kind, Iv::NONE)?;
        match self.reads_itself {
            true => self.digest_here(input, stream),
            false => self.digest_ahead(input, stream),
        }
    }

    /// Reads a chunk and digests it while it is in the core's cache, and so on.
    fn digest_here(&mut self, mut input: Input, mut stream: Stream) -> Result<Digested, Failure> {
        let chunk_bytes = self.engine.chunk_bytes().min(HERE_CHUNK_BYTES);
        let mut bytes = 0;
        loop {
            let mut chunk = std::mem::take(&mut self.chunk);
            chunk.resize(chunk_bytes, 0);
            let filled = input.fill(&mut chunk)?;
            bytes += filled as u64;
            chunk.truncate(filled);
            if filled < chunk_bytes {
                let (chunk, output) = stream.finish(chunk)?;
                self.chunk = chunk;
                return Ok(Digested { output, bytes });
            }
            self.chunk = stream.update(chunk)?;
        }
    }

    /// Another thread reads ahead.
    fn digest_ahead(&self, input: Input, stream: Stream) -> Result<Digested, Failure> {
        let outcome = pipeline::run(input, &self.pool, vec![pipeline::in_order(stream)], None)?;
        Ok(Digested { output: outcome.output, bytes: outcome.input_bytes })
    }
}
