//! What an operation reads.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use crate::exit::Failure;

/// Room for a tag or padding.
const TAG_ROOM_BYTES: usize = 64;

/// Device and inode: two names of one file have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(u64, u64);

impl Identity {
    /// The identity of the file at `path`, if there is one.
    pub fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|metadata| Self::from(&metadata))
    }
}

impl From<&Metadata> for Identity {
    fn from(metadata: &Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }
}

/// An open input.
#[derive(Debug)]
pub struct Input {
    file: File,
    name: String,
    metadata: Metadata,
    is_named: bool,
}

impl Input {
    /// Opens `path`; `-` or none is standard input.
    pub fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let path = path.filter(|path| *path != Path::new("-"));
        let name = path.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
        match Self::open_file(path) {
            Ok((file, metadata)) => Ok(Self { file, name, metadata, is_named: path.is_some() }),
            Err(error) => Err(Failure::file("read", &name, &error)),
        }
    }

    fn open_file(path: Option<&Path>) -> io::Result<(File, Metadata)> {
        let file = match path {
            Some(path) => File::open(path)?,
            None => File::from(io::stdin().as_fd().try_clone_to_owned()?),
        };
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        Ok((file, metadata))
    }

    /// Name for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes to come, if that is known before reading.
    pub fn len_bytes(&self) -> Option<u64> {
        // Files of /proc and the like say 0 and have content.
        (self.metadata.is_file() && self.metadata.len() > 0).then_some(self.metadata.len())
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Length in bytes, if any part may be read at any time: of a file we opened ourselves, from its beginning.
    pub fn positional_len(&self) -> Option<u64> {
        self.len_bytes().filter(|_| self.is_named)
    }

    /// Which file this is, if it is one that can be overwritten.
    pub fn identity(&self) -> Option<Identity> {
        self.metadata.is_file().then(|| Identity::from(&self.metadata))
    }

    /// Fills `buffer` as far as there is input.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let enough = buffer.len();
        fill(buffer, enough, |rest, _| self.file.read(rest))
            .map_err(|error| Failure::file("read", &self.name, &error))
    }

    /// Reads everything, if it is a file of our own that is shorter than `limit_bytes`; else nothing is taken from it. Leaves
    /// room for a tag.
    pub fn read_short(&self, limit_bytes: usize) -> Result<Option<Vec<u8>>, Failure> {
        let len = self.positional_len().and_then(|len| usize::try_from(len).ok());
        let Some(len) = len.filter(|len| *len < limit_bytes) else { return Ok(None) };
        let mut data = Vec::with_capacity(len + TAG_ROOM_BYTES);
        // One more than there is: then the end shows without another call.
        data.resize(len + 1, 0);
        let filled = fill(&mut data, len, |rest, filled| self.file.read_at(rest, filled as u64))
            .map_err(|error| Failure::file("read", &self.name, &error))?;
        data.truncate(filled);
        // One that grows may never end.
        Ok((filled == len).then_some(data))
    }

    /// Reads everything, but at most `limit_bytes`; `None` if there is more. Leaves room for a tag.
    pub fn read_all(mut self, limit_bytes: u64) -> Result<Option<Vec<u8>>, Failure> {
        if self.len_bytes().is_some_and(|len| len > limit_bytes) {
            return Ok(None);
        }
        let expected = usize::try_from(self.len_bytes().unwrap_or(0)).unwrap_or(0);
        let mut data = Vec::with_capacity(expected + TAG_ROOM_BYTES);
        (&mut self.file)
            .take(limit_bytes + 1)
            .read_to_end(&mut data)
            .map_err(|error| Failure::file("read", &self.name, &error))?;
        Ok((data.len() as u64 <= limit_bytes).then_some(data))
    }
}

/// Calls `read` with the rest of the buffer, and how much is filled, until that is `enough` or the input ends.
pub fn fill(
    buffer: &mut [u8],
    enough: usize,
    mut read: impl FnMut(&mut [u8], usize) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut filled = 0;
    while filled < enough {
        match read(&mut buffer[filled..], filled) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_refused_before_reading() {
        let directory = tempfile::tempdir().unwrap();
        let failure = Input::open(Some(directory.path())).unwrap_err();
        assert_eq!(failure.message, format!("cannot read '{}': is a directory", directory.path().display()));
    }

    #[test]
    fn a_short_file_is_read_whole_and_any_other_left_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let short = |said: usize, has: usize| {
            std::fs::write(&path, vec![1; said]).unwrap();
            let mut input = Input::open(Some(&path)).unwrap();
            std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(has as u64).unwrap();
            let data = input.read_short(10).unwrap();
            // What others read afterwards begins where the file does.
            assert_eq!(input.fill(&mut [0; 30]).unwrap(), has);
            data
        };
        assert_eq!(short(9, 9), Some(vec![1; 9]));
        assert_eq!(short(1, 1), Some(vec![1]));
        assert_eq!((short(10, 10), short(11, 11)), (None, None), "as long as a chunk");
        assert_eq!(short(0, 0), None, "those of /proc say so too");
        assert_eq!((short(5, 6), short(5, 20)), (None, None), "it grows");
        assert_eq!(short(5, 4), None, "it shrinks");
    }

    #[test]
    fn more_than_the_limit_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, [1; 10]).unwrap();
        let read = |limit| Input::open(Some(&path)).unwrap().read_all(limit).unwrap();
        assert_eq!(read(10), Some(vec![1; 10]));
        assert_eq!(read(9), None);
    }
}
