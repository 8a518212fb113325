//! What an operation reads.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::exit::Failure;

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
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::file("read", &self.name, &error)),
            }
        }
        Ok(filled)
    }

    /// Reads everything, but at most `limit_bytes`; `None` if there is more. Leaves room for a tag.
    pub fn read_all(mut self, limit_bytes: u64) -> Result<Option<Vec<u8>>, Failure> {
        if self.len_bytes().is_some_and(|len| len > limit_bytes) {
            return Ok(None);
        }
        let expected = usize::try_from(self.len_bytes().unwrap_or(0)).unwrap_or(0);
        let mut data = Vec::with_capacity(expected + 64);
        (&mut self.file)
            .take(limit_bytes + 1)
            .read_to_end(&mut data)
            .map_err(|error| Failure::file("read", &self.name, &error))?;
        Ok((data.len() as u64 <= limit_bytes).then_some(data))
    }
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
    fn more_than_the_limit_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, [1; 10]).unwrap();
        let read = |limit| Input::open(Some(&path)).unwrap().read_all(limit).unwrap();
        assert_eq!(read(10), Some(vec![1; 10]));
        assert_eq!(read(9), None);
    }
}
