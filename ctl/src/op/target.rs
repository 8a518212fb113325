//! Where an operation writes: a file replaced at the end, standard output, or a device.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::input::Identity;
use crate::exit::Failure;

/// A target. Dropped without [`Target::commit`], it leaves what was there before untouched and nothing behind.
#[derive(Debug)]
pub struct Target {
    place: Place,
    name: String,
}

#[derive(Debug)]
enum Place {
    Stdout,
    /// A pipe or a device: there is nothing to replace.
    Device(File),
    File {
        temporary: NamedTempFile,
        path: PathBuf,
    },
}

/// A file that must not be overwritten, and what it is to the command.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Which file.
    pub identity: Identity,
    /// `input`, `key file`.
    pub role: &'static str,
}

impl Target {
    /// Prepares to write to `path`; `-` or none is standard output.
    pub fn create(path: Option<&Path>, kept: &[Kept]) -> Result<Self, Failure> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            let name = "standard output".to_owned();
            if let Ok(metadata) = File::from(stdout_descriptor()?).metadata()
                && metadata.is_file()
            {
                refuse_kept(&name, Identity::from(&metadata), kept)?;
            }
            return Ok(Self { place: Place::Stdout, name });
        };
        let name = path.display().to_string();
        if let Some(identity) = Identity::of(path) {
            refuse_kept(&name, identity, kept)?;
        }
        let place = Place::open(path).map_err(|error| Failure::file("write", &name, &error))?;
        Ok(Self { place, name })
    }

    /// Whether the data goes to standard output.
    pub fn is_stdout(&self) -> bool {
        matches!(self.place, Place::Stdout)
    }

    /// Name for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A writer; what it writes is seen under the target's name after [`Target::commit`].
    pub fn writer(&self) -> Result<Writer, Failure> {
        let file = match &self.place {
            Place::Stdout => stdout_descriptor().map(File::from)?,
            Place::Device(file) => self.cloned(file)?,
            Place::File { temporary, .. } => self.cloned(temporary.as_file())?,
        };
        Ok(Writer {
            file,
            name: self.name.clone(),
            is_stdout: self.is_stdout(),
            is_positional: matches!(self.place, Place::File { .. }),
        })
    }

    fn cloned(&self, file: &File) -> Result<File, Failure> {
        file.try_clone().map_err(|error| Failure::file("write", &self.name, &error))
    }

    /// Puts what was written in the target's place, at once.
    pub fn commit(self) -> Result<(), Failure> {
        match self.place {
            Place::File { temporary, path } => temporary
                .persist(path)
                .map(drop)
                .map_err(|error| Failure::file("write", &self.name, &error.error)),
            Place::Stdout | Place::Device(_) => Ok(()),
        }
    }
}

impl Place {
    fn open(path: &Path) -> io::Result<Self> {
        let path = match std::fs::symlink_metadata(path) {
            // The file the link names is replaced, not the link.
            Ok(metadata) if metadata.is_symlink() => std::fs::canonicalize(path)?,
            _ => path.to_owned(),
        };
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory)),
            Ok(metadata) if !metadata.is_file() => {
                Ok(Self::Device(OpenOptions::new().write(true).open(&path)?))
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => {
                let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                let temporary = tempfile::Builder::new()
                    .prefix(".acrypto-")
                    .permissions(Permissions::from_mode(0o666))
                    .tempfile_in(directory.unwrap_or(Path::new(".")))
                    .map_err(plain_error)?;
                Ok(Self::File { temporary, path })
            }
        }
    }
}

/// Without the temporary file's name, which means nothing to the user.
fn plain_error(error: io::Error) -> io::Error {
    let cause = error.get_ref().and_then(|wrapped| wrapped.source());
    let cause = cause.and_then(|cause| cause.downcast_ref::<io::Error>());
    match cause.unwrap_or(&error).raw_os_error() {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => error,
    }
}

fn refuse_kept(name: &str, identity: Identity, kept: &[Kept]) -> Result<(), Failure> {
    match kept.iter().find(|kept| kept.identity == identity) {
        Some(kept) => Err(Failure::usage(format!("output '{name}' is the {}", kept.role))),
        None => Ok(()),
    }
}

fn stdout_descriptor() -> Result<std::os::fd::OwnedFd, Failure> {
    io::stdout().as_fd().try_clone_to_owned().map_err(|error| Failure::stdout(&error))
}

/// Writes to a target.
#[derive(Debug)]
pub struct Writer {
    file: File,
    name: String,
    is_stdout: bool,
    is_positional: bool,
}

impl Writer {
    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Name for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether any part may be written at any time.
    pub fn is_positional(&self) -> bool {
        self.is_positional
    }

    /// Writes all of `data`.
    pub fn write(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.file.write_all(data).map_err(|error| match self.is_stdout {
            true => Failure::stdout(&error),
            false => Failure::file("write", &self.name, &error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    fn listing(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_target_changes_only_at_commit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        std::fs::write(&path, "before").unwrap();
        let target = Target::create(Some(&path), &[]).unwrap();
        target.writer().unwrap().write(b"after").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"before");
        target.commit().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"after");
        assert_eq!(listing(directory.path()), ["out"]);
    }

    #[test]
    fn a_target_that_is_dropped_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let target = Target::create(Some(&directory.path().join("out")), &[]).unwrap();
        target.writer().unwrap().write(b"half").unwrap();
        drop(target);
        assert_eq!(listing(directory.path()), [""; 0]);
    }

    #[test]
    fn a_link_stays_and_the_file_it_names_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        std::fs::write(&file, "before").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        let target = Target::create(Some(&link), &[]).unwrap();
        target.writer().unwrap().write(b"after").unwrap();
        target.commit().unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"after");
    }

    #[test]
    fn the_input_is_refused_by_whatever_name() {
        let directory = tempfile::tempdir().unwrap();
        let (file, other) = (directory.path().join("file"), directory.path().join("other"));
        std::fs::write(&file, "data").unwrap();
        std::fs::hard_link(&file, &other).unwrap();
        let kept = Kept { identity: Identity::of(&file).unwrap(), role: "input" };
        let failure = Target::create(Some(&other), &[kept]).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.message, format!("output '{}' is the input", other.display()));
    }

    #[test]
    fn a_full_device_is_a_file_error() {
        let target = Target::create(Some(Path::new("/dev/full")), &[]).unwrap();
        let failure = target.writer().unwrap().write(b"data").unwrap_err();
        assert_eq!(failure.lines(), "acrypto: cannot write '/dev/full': no space left on device\n");
        assert_eq!(failure.exit, Exit::File);
    }
}
