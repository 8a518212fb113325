//! A file to a file, chunks side by side: each lane reads, transforms and writes its own, while they are in its cache.

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use super::input::Input;
use super::pipeline::Outcome;
use super::spawn;
use super::target::Writer;
use crate::exit::{Exit, Failure};

/// Bytes a chunk: small enough for a core's own cache.
const CHUNK_BYTES: u64 = 128 << 10;

/// Transforms the bytes at an offset into as many others.
pub type Transform = Arc<dyn Fn(u64, Vec<u8>) -> Result<Vec<u8>, Failure> + Send + Sync>;

struct Job {
    input: Input,
    input_bytes: u64,
    writer: Writer,
    transform: Transform,
    next_chunk: AtomicU64,
}

/// Passes the `input_bytes` of a file through `lanes` threads to the same places of another file.
pub fn run(
    input: Input,
    input_bytes: u64,
    lanes: usize,
    writer: Writer,
    transform: Transform,
) -> Result<Outcome, Failure> {
    let job = Arc::new(Job { input, input_bytes, writer, transform, next_chunk: AtomicU64::new(0) });
    let (done, ended) = mpsc::channel();
    for _ in 0..lanes {
        let (job, done) = (Arc::clone(&job), done.clone());
        spawn("lane", move || drop(done.send(job.work())))?;
    }
    drop(done);
    for _ in 0..lanes {
        ended.recv().unwrap_or_else(|_| Err(Failure::new(Exit::Bug, "a thread of this command panicked")))?;
    }
    Ok(Outcome { input_bytes, output_bytes: input_bytes, output: Vec::new() })
}

impl Job {
    /// Takes chunks until none is left, or until another lane has failed.
    fn work(&self) -> Result<(), Failure> {
        let mut data = Vec::new();
        loop {
            let offset = self.next_chunk.fetch_add(1, Ordering::Relaxed).saturating_mul(CHUNK_BYTES);
            if offset >= self.input_bytes {
                return Ok(());
            }
            let length = CHUNK_BYTES.min(self.input_bytes - offset);
            data.resize(usize::try_from(length).unwrap_or(0), 0);
            let written = self
                .input
                .fill_at(&mut data, offset)
                .and_then(|()| (self.transform)(offset, data))
                .and_then(|made| self.writer.write_at(&made, offset).map(|()| made));
            data = written.inspect_err(|_| self.next_chunk.store(self.input_bytes, Ordering::Relaxed))?;
        }
    }
}

impl Input {
    fn fill_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), Failure> {
        self.file().read_exact_at(buffer, offset).map_err(|error| Failure::file("read", self.name(), &error))
    }
}

impl Writer {
    fn write_at(&self, data: &[u8], offset: u64) -> Result<(), Failure> {
        self.file().write_all_at(data, offset).map_err(|error| Failure::file("write", self.name(), &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::target::Target;

    fn through(content: &[u8], input_bytes: u64, transform: Transform) -> Result<Vec<u8>, Failure> {
        let directory = tempfile::tempdir().unwrap();
        let (source, sink) = (directory.path().join("in"), directory.path().join("out"));
        std::fs::write(&source, content).unwrap();
        let target = Target::create(Some(&sink), &[]).unwrap();
        let input = Input::open(Some(&source)).unwrap();
        run(input, input_bytes, 3, target.writer().unwrap(), transform)?;
        target.commit().unwrap();
        Ok(std::fs::read(&sink).unwrap())
    }

    #[test]
    fn every_chunk_goes_to_its_own_place() {
        let chunk = usize::try_from(CHUNK_BYTES).unwrap();
        for length in [1, chunk - 1, chunk, chunk + 1, 7 * chunk + 5] {
            let content: Vec<u8> = (0..length).map(|at| (at / 1000) as u8).collect();
            let numbered: Transform = Arc::new(|offset, data| {
                let key = (offset / CHUNK_BYTES) as u8;
                Ok(data.into_iter().map(|byte| byte ^ key).collect())
            });
            let expected: Vec<u8> =
                content.iter().enumerate().map(|(at, byte)| byte ^ (at / chunk) as u8).collect();
            assert!(through(&content, length as u64, numbered).unwrap() == expected, "{length} bytes");
        }
    }

    #[test]
    fn a_failing_lane_or_a_file_that_shrinks_ends_it() {
        let failing: Transform = Arc::new(|_, _| Err(Failure::new(Exit::Forged, "decryption failed")));
        assert_eq!(through(&[1; 1000], 1000, failing).unwrap_err().exit, Exit::Forged);
        let same: Transform = Arc::new(|_, data| Ok(data));
        assert_eq!(through(&[1; 1000], 2000, same).unwrap_err().exit, Exit::File);
    }
}
