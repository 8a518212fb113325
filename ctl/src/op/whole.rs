//! Short files: read as a whole, and carried out many at once.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use acrypto_core::OpKind;

use super::engine::Session;
use super::files::{Digested, Results};
use super::input;
use crate::exit::Failure;

/// Most files carried out together: enough for every lane of a device that interleaves.
const FILES_MAX: usize = 32;
/// Bytes of the files that all threads together have in hand.
const TOTAL_BYTES: usize = 32 << 20;
/// Files of the greatest length in a batch: as many as an interleaving device needs to gain.
const LONGEST_FILES: usize = 4;
/// Bytes of so many files that are enough: more would only touch more memory.
const ENOUGH_BYTES: usize = 4 << 20;
/// Room for a file that says it is empty, which those of `/proc` do whatever they have.
const UNKNOWN_BYTES: usize = 4 << 10;

/// What became of a file.
#[derive(Debug)]
pub enum Found {
    /// It has been read, and waits for the others.
    Taken,
    /// It is too long, or no plain file: to be read in chunks.
    Long,
    /// It cannot be read.
    Failed(Failure),
}

/// Files that have been read.
#[derive(Debug)]
pub struct Batch {
    files: Vec<(usize, Vec<u8>)>,
    files_max: usize,
    bytes: usize,
    /// Bytes at which they are carried out.
    bytes_max: usize,
    /// Longest file that is read, in bytes.
    file_max_bytes: usize,
    /// Buffers of earlier files, of `bytes_max` bytes together at most.
    idle: Vec<Vec<u8>>,
    idle_bytes: usize,
}

impl Batch {
    /// The batch of one thread of `threads` that have `files` to share, where an operation has at most `op_max_bytes`.
    pub fn new(threads: usize, files: usize, op_max_bytes: u64) -> Self {
        let bytes_max = TOTAL_BYTES / threads.max(1);
        Self {
            files: Vec::new(),
            // Nobody takes more than his share of a few.
            files_max: files.div_ceil(threads.max(1)).min(FILES_MAX),
            bytes: 0,
            bytes_max,
            file_max_bytes: (bytes_max / LONGEST_FILES)
                .min(usize::try_from(op_max_bytes).unwrap_or(usize::MAX)),
            idle: Vec::new(),
            idle_bytes: 0,
        }
    }

    /// Reads the file at `path`, the caller's number `index`, if it is a plain one and not too long. No other is opened: a
    /// pipe would keep us waiting.
    pub fn read(&mut self, index: usize, path: &Path) -> Found {
        // Names standard input.
        if path == Path::new("-") {
            return Found::Long;
        }
        let mut read = || {
            let metadata = path.metadata()?;
            let len = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
            if !metadata.is_file() || len > self.file_max_bytes {
                return Ok(None);
            }
            self.read_plain(path, len)
        };
        match read() {
            Ok(Some(data)) => {
                self.bytes += data.len();
                self.files.push((index, data));
                Found::Taken
            }
            Ok(None) => Found::Long,
            Err(error) => Found::Failed(Failure::file("read", &path.display().to_string(), &error)),
        }
    }

    /// Reads a file that should have `len` bytes; `None` if it has more.
    fn read_plain(&mut self, path: &Path, len: usize) -> io::Result<Option<Vec<u8>>> {
        let mut file = File::open(path)?;
        let mut data = self.idle.pop().unwrap_or_default();
        self.idle_bytes -= data.capacity();
        // One more than there is: then the end shows without another call.
        let room = if len == 0 { UNKNOWN_BYTES } else { len + 1 };
        data.clear();
        data.resize(room, 0);
        let enough = if len == 0 { room } else { len };
        match input::fill(&mut data, enough, |rest, _| file.read(rest)) {
            Ok(filled) if filled < room => {
                data.truncate(filled);
                Ok(Some(data))
            }
            ended => {
                self.keep(data);
                ended.map(|_| None)
            }
        }
    }

    /// Whether it is time to carry them out.
    pub fn is_full(&self) -> bool {
        let files = self.files.len();
        files >= self.files_max
            || self.bytes >= self.bytes_max
            || files >= LONGEST_FILES && self.bytes >= ENOUGH_BYTES
    }

    /// Whether no file waits.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Carries them out in `session`, and gives each result with the file's number, in any order. Blocks.
    pub fn digest(&mut self, kind: OpKind, session: &Result<Session, Failure>) -> Results {
        let mut files = std::mem::take(&mut self.files);
        self.bytes = 0;
        let session = match session {
            Ok(session) => session,
            Err(failure) => {
                return files.into_iter().map(|(index, _)| (index, Err(failure.clone()))).collect();
            }
        };
        // Those of like length can be worked on side by side.
        files.sort_unstable_by_key(|(_, data)| data.len());
        let (indices, inputs): (Vec<usize>, Vec<Vec<u8>>) = files.into_iter().unzip();
        let results = session.digest_all(kind, inputs);
        let results = indices.into_iter().zip(results).map(|(index, (data, output))| {
            let bytes = data.len() as u64;
            self.keep(data);
            (index, output.map(|output| Digested { output, bytes }))
        });
        results.collect()
    }

    /// Keeps a buffer for another file.
    fn keep(&mut self, data: Vec<u8>) {
        if self.idle_bytes + data.capacity() <= self.bytes_max {
            self.idle_bytes += data.capacity();
            self.idle.push(data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_of_the_right_length_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: usize| {
            let path = folder.path().join(name);
            std::fs::write(&path, vec![7; bytes]).unwrap();
            path
        };
        let mut batch = Batch::new(2, 4, 100);
        assert!(matches!(batch.read(0, &file("empty", 0)), Found::Taken));
        assert!(matches!(batch.read(1, &file("whole", 100)), Found::Taken));
        assert!(matches!(batch.read(2, &file("long", 101)), Found::Long));
        assert!(matches!(batch.read(3, Path::new("-")), Found::Long));
        assert!(matches!(batch.read(4, folder.path()), Found::Long));
        let Found::Failed(failure) = batch.read(5, &folder.path().join("none")) else { panic!() };
        let name = folder.path().join("none");
        assert_eq!(failure.message, format!("cannot read '{}': no such file or directory", name.display()));
        let lengths: Vec<_> = batch.files.iter().map(|(index, data)| (*index, data.len())).collect();
        assert_eq!(lengths, [(0, 0), (1, 100)]);
        assert!(batch.is_full());
    }

    #[test]
    fn what_a_file_does_not_say_is_read_all_the_same() {
        let mut batch = Batch::new(1, 9, 100);
        assert!(matches!(batch.read(0, Path::new("/proc/self/comm")), Found::Taken));
        assert!(!batch.files[0].1.is_empty());
    }

    #[test]
    fn a_file_longer_than_it_says_is_left_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grown");
        std::fs::write(&path, [7; 10]).unwrap();
        let mut batch = Batch::new(1, 9, 100);
        assert!(batch.read_plain(&path, 5).unwrap().is_none());
        assert_eq!(batch.read_plain(&path, 10).unwrap().unwrap(), [7; 10]);
        assert_eq!(batch.read_plain(&path, 20).unwrap().unwrap(), [7; 10]);
    }

    #[test]
    fn buffers_are_kept_up_to_a_bound() {
        let mut batch = Batch::new(1, 9, 100);
        for _ in 0..5 {
            batch.keep(Vec::with_capacity(TOTAL_BYTES / 4));
        }
        assert_eq!((batch.idle.len(), batch.idle_bytes), (4, TOTAL_BYTES));
    }
}
