//! A file through the runtime in bounded memory: one thread reads ahead, lanes transform, the caller writes in order.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use acrypto_core::{BufferPool, PooledBuffer};

use super::engine::Stream;
use super::input::Input;
use super::spawn;
use super::target::Writer;
use crate::exit::Failure;

/// Most chunks in memory, whatever the number of lanes.
pub const CHUNKS_MAX: usize = 40;

/// A piece of the input. Every chunk but the last is full; the last may be empty.
#[derive(Debug)]
pub struct Chunk {
    /// Position, from 0.
    pub index: u64,
    /// The bytes.
    pub data: Vec<u8>,
    /// Nothing comes after.
    pub last: bool,
}

/// What a lane made of a chunk.
#[derive(Debug)]
pub struct Made {
    /// Bytes to write; the buffer goes back to its pool.
    pub data: Vec<u8>,
    /// Digest or MAC, with the last chunk.
    pub output: Vec<u8>,
}

/// Transforms chunks. With several lanes each chunk goes to one of them; with one lane they come in order.
pub type Lane = Box<dyn FnMut(Chunk) -> Result<Made, Failure> + Send>;

/// Passes the chunks through a stream, which ends with the last of them: the only lane of its input.
pub fn in_order(stream: Stream) -> Lane {
    let mut stream = Some(stream);
    Box::new(move |chunk| {
        let (data, output) = match (&mut stream, chunk.last) {
            (Some(stream), false) => (stream.update(chunk.data)?, Vec::new()),
            (taken, _) => match taken.take() {
                Some(stream) => stream.finish(chunk.data)?,
                None => (Vec::new(), Vec::new()),
            },
        };
        Ok(Made { data, output })
    })
}

/// What came of the whole input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes read.
    pub input_bytes: u64,
    /// Bytes written.
    pub output_bytes: u64,
    /// Digest or MAC.
    pub output: Vec<u8>,
}

enum Report {
    Made { index: u64, input_bytes: u64, last: bool, buffer: PooledBuffer, output: Vec<u8> },
    Failed(Failure),
}

/// Chunks in memory for so many lanes.
pub fn chunks(lanes: usize) -> usize {
    (2 * lanes + 2).min(CHUNKS_MAX)
}

/// Passes `input` through the lanes to `writer`, in chunks as long as the buffers of `pool`; without a writer the bytes are
/// dropped. It takes as many buffers as it has use for, and makes do with those there are.
///
/// A failure ends it at once: threads that are still waiting for input are not waited for.
pub fn run(
    input: Input,
    pool: &BufferPool,
    lanes: Vec<Lane>,
    mut writer: Option<Writer>,
) -> Result<Outcome, Failure> {
    let chunk_bytes = pool.counts().bytes_each;
    let (give_back, buffers) = mpsc::channel();
    let mut taken: Vec<PooledBuffer> = (0..chunks(lanes.len())).map_while(|_| pool.take()).collect();
    if taken.is_empty() {
        // Threads that nobody waits for may still hold theirs.
        taken.extend(BufferPool::new(1, chunk_bytes).take());
    }
    for buffer in taken {
        let _ = give_back.send(buffer);
    }
    let (to_lanes, chunks) = mpsc::channel();
    let (to_caller, reports) = mpsc::channel();
    let reader_reports = to_caller.clone();
    spawn("read", move || read(input, chunk_bytes, &buffers, &to_lanes, &reader_reports))?;
    let chunks = Arc::new(Mutex::new(chunks));
    for lane in lanes {
        let (chunks, to_caller) = (Arc::clone(&chunks), to_caller.clone());
        spawn("lane", move || transform(lane, &chunks, &to_caller))?;
    }
    drop(to_caller);
    drop(chunks);

    let mut outcome = Outcome::default();
    let mut early = BTreeMap::new();
    let mut next = 0;
    while let Ok(report) = reports.recv() {
        let (index, made) = match report {
            Report::Made { index, input_bytes, last, buffer, output } => {
                outcome.input_bytes += input_bytes;
                (index, (buffer, output, last))
            }
            Report::Failed(failure) => return Err(failure),
        };
        early.insert(index, made);
        while let Some((buffer, output, last)) = early.remove(&next) {
            next += 1;
            if let Some(writer) = &mut writer {
                writer.write(&buffer)?;
                outcome.output_bytes += buffer.len() as u64;
            }
            if last {
                outcome.output = output;
                return Ok(outcome);
            }
            let _ = give_back.send(buffer);
        }
    }
    Err(Failure::new(crate::exit::Exit::Bug, "a thread of this command panicked"))
}

fn read(
    mut input: Input,
    chunk_bytes: usize,
    buffers: &Receiver<PooledBuffer>,
    to_lanes: &Sender<(Chunk, PooledBuffer)>,
    reports: &Sender<Report>,
) {
    // One more than there is: then the end shows without another round.
    let of_file = |len: u64| usize::try_from(len).unwrap_or(usize::MAX).saturating_add(1);
    let mut expected = input.len_bytes().map_or(usize::MAX, of_file);
    for index in 0.. {
        let Ok(mut buffer) = buffers.recv() else { return };
        match fill(&mut input, &mut buffer, expected.min(chunk_bytes), chunk_bytes) {
            Ok(()) => {
                let last = buffer.len() < chunk_bytes;
                if expected < usize::MAX {
                    expected = expected.saturating_sub(buffer.len()).max(1);
                }
                let chunk = Chunk { index, data: buffer.lend(), last };
                if to_lanes.send((chunk, buffer)).is_err() || last {
                    return;
                }
            }
            Err(failure) => {
                let _ = reports.send(Report::Failed(failure));
                return;
            }
        }
    }
}

/// Reads a chunk: what is expected, and if the input goes on, the rest. A short input touches little memory.
fn fill(input: &mut Input, data: &mut Vec<u8>, expected: usize, chunk_bytes: usize) -> Result<(), Failure> {
    data.resize(expected, 0);
    let mut filled = input.fill(data)?;
    if filled == expected && expected < chunk_bytes {
        data.resize(chunk_bytes, 0);
        filled += input.fill(&mut data[expected..])?;
    }
    data.truncate(filled);
    Ok(())
}

fn transform(mut lane: Lane, chunks: &Mutex<Receiver<(Chunk, PooledBuffer)>>, reports: &Sender<Report>) {
    loop {
        let received = chunks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((chunk, mut buffer)) = received else { return };
        let (index, last, input_bytes) = (chunk.index, chunk.last, chunk.data.len() as u64);
        let report = match lane(chunk) {
            Ok(Made { data, output }) => {
                buffer.restore(data);
                Report::Made { index, input_bytes, last, buffer, output }
            }
            Err(failure) => Report::Failed(failure),
        };
        if reports.send(report).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::op::target::Target;

    fn through(content: &[u8], chunk_bytes: usize, lanes: Vec<Lane>) -> Result<(Outcome, Vec<u8>), Failure> {
        let directory = tempfile::tempdir().unwrap();
        let (source, sink) = (directory.path().join("in"), directory.path().join("out"));
        std::fs::write(&source, content).unwrap();
        let target = Target::create(Some(&sink), &[]).unwrap();
        let pool = BufferPool::new(chunks(lanes.len()), chunk_bytes);
        let outcome = run(Input::open(Some(&source)).unwrap(), &pool, lanes, Some(target.writer().unwrap()))?;
        target.commit().unwrap();
        Ok((outcome, std::fs::read(&sink).unwrap()))
    }

    fn inverting() -> Lane {
        Box::new(|chunk| {
            let data = chunk.data.iter().map(|byte| !byte).collect();
            Ok(Made { data, output: chunk.index.to_be_bytes().to_vec() })
        })
    }

    #[test]
    fn chunks_come_out_in_order_whatever_the_lanes() {
        let content: Vec<u8> = (0..100_003_u32).map(|i| (i * 7 % 251) as u8).collect();
        let inverted: Vec<u8> = content.iter().map(|byte| !byte).collect();
        for lanes in [1, 2, 7] {
            let (outcome, written) =
                through(&content, 1000, (0..lanes).map(|_| inverting()).collect()).unwrap();
            assert!(written == inverted);
            assert_eq!((outcome.input_bytes, outcome.output_bytes), (100_003, 100_003));
            assert_eq!(outcome.output, 100_u64.to_be_bytes());
        }
    }

    #[test]
    fn the_last_chunk_of_a_whole_number_of_chunks_is_empty() {
        for (len, chunks) in [(0, 1), (10, 2), (9, 1), (11, 2), (20, 3)] {
            let (outcome, _) = through(&vec![1; len], 10, vec![inverting()]).unwrap();
            assert_eq!(outcome.output, (chunks - 1_u64).to_be_bytes(), "{len} bytes");
        }
    }

    #[test]
    fn inputs_one_after_the_other_use_the_same_buffers() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("in");
        let pool = BufferPool::new(1, 1000);
        let mut places = std::collections::BTreeSet::new();
        for length in [0, 1, 999, 1000, 1001, 5000] {
            std::fs::write(&source, vec![7; length]).unwrap();
            let (to_test, seen) = mpsc::channel();
            let lane: Lane = Box::new(move |chunk| {
                let _ = to_test.send(chunk.data.as_ptr() as usize);
                Ok(Made { data: chunk.data, output: Vec::new() })
            });
            let outcome = run(Input::open(Some(&source)).unwrap(), &pool, vec![lane], None).unwrap();
            assert_eq!(outcome.input_bytes, length as u64);
            places.extend(seen);
            assert_eq!(pool.counts().taken, 0);
        }
        assert_eq!(places.len(), 1, "one buffer, and always the same memory");
    }

    #[test]
    fn a_failing_lane_ends_it() {
        let failing: Lane = Box::new(|chunk| match chunk.index {
            3 => Err(Failure::new(Exit::Forged, "decryption failed")),
            _ => Ok(Made { data: chunk.data, output: Vec::new() }),
        });
        let failure = through(&[1; 1000], 10, vec![failing]).unwrap_err();
        assert_eq!(failure.exit, Exit::Forged);
    }
}
