//! A file through the runtime in bounded memory: one thread reads ahead, lanes transform, the caller writes in order.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use super::input::Input;
use super::spawn;
use super::target::Writer;
use crate::exit::Failure;

/// Most chunks in memory, whatever the number of lanes.
const CHUNKS_MAX: usize = 40;

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
    /// Bytes to write; the buffer is used again.
    pub data: Vec<u8>,
    /// Digest or MAC, with the last chunk.
    pub output: Vec<u8>,
}

/// Transforms chunks. With several lanes each chunk goes to one of them; with one lane they come in order.
pub type Lane = Box<dyn FnMut(Chunk) -> Result<Made, Failure> + Send>;

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
    Made { index: u64, input_bytes: u64, last: bool, made: Made },
    Failed(Failure),
}

/// Passes `input` in chunks of `chunk_bytes` through the lanes to `writer`; without a writer the bytes are dropped.
///
/// A failure ends it at once: threads that are still waiting for input are not waited for.
pub fn run(
    input: Input,
    chunk_bytes: usize,
    lanes: Vec<Lane>,
    mut writer: Option<Writer>,
) -> Result<Outcome, Failure> {
    let (give_back, buffers) = mpsc::channel();
    for _ in 0..(2 * lanes.len() + 2).min(CHUNKS_MAX) {
        let _ = give_back.send(Vec::new());
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
        let (index, input_bytes, last, made) = match report {
            Report::Made { index, input_bytes, last, made } => (index, input_bytes, last, made),
            Report::Failed(failure) => return Err(failure),
        };
        outcome.input_bytes += input_bytes;
        early.insert(index, (made, last));
        while let Some((made, last)) = early.remove(&next) {
            next += 1;
            if let Some(writer) = &mut writer {
                writer.write(&made.data)?;
                outcome.output_bytes += made.data.len() as u64;
            }
            if last {
                outcome.output = made.output;
                return Ok(outcome);
            }
            let _ = give_back.send(made.data);
        }
    }
    Err(Failure::new(crate::exit::Exit::Bug, "a thread of this command panicked"))
}

fn read(
    mut input: Input,
    chunk_bytes: usize,
    buffers: &Receiver<Vec<u8>>,
    to_lanes: &Sender<Chunk>,
    reports: &Sender<Report>,
) {
    for index in 0.. {
        let Ok(mut data) = buffers.recv() else { return };
        data.resize(chunk_bytes, 0);
        match input.fill(&mut data) {
            Ok(filled) => {
                data.truncate(filled);
                let last = filled < chunk_bytes;
                if to_lanes.send(Chunk { index, data, last }).is_err() || last {
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

fn transform(mut lane: Lane, chunks: &Mutex<Receiver<Chunk>>, reports: &Sender<Report>) {
    loop {
        let received = chunks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(chunk) = received else { return };
        let (index, last, input_bytes) = (chunk.index, chunk.last, chunk.data.len() as u64);
        let report = match lane(chunk) {
            Ok(made) => Report::Made { index, input_bytes, last, made },
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
        let outcome =
            run(Input::open(Some(&source)).unwrap(), chunk_bytes, lanes, Some(target.writer().unwrap()))?;
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
    fn a_failing_lane_ends_it() {
        let failing: Lane = Box::new(|chunk| match chunk.index {
            3 => Err(Failure::new(Exit::Forged, "decryption failed")),
            _ => Ok(Made { data: chunk.data, output: Vec::new() }),
        });
        let failure = through(&[1; 1000], 10, vec![failing]).unwrap_err();
        assert_eq!(failure.exit, Exit::Forged);
    }
}
