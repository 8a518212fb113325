//! The configuration file: what can be set of a runtime, in TOML. It holds no secret.
//!
//! A setting has the name it has everywhere, but a duration is written with its unit (`deadline = "30s"` is
//! `deadline_ns`).

mod read;
mod write;

use std::path::{Path, PathBuf};

use acrypto_core::{Part, Setting, Setup, SetupError};

use crate::exit::Failure;

pub use write::write;

/// A setup that was read from a file, and where in the file its parts are.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the file says, checked as far as that goes without starting anything.
    pub setup: Setup,
    path: PathBuf,
    /// Lines, from 1.
    lines: Vec<(Part, usize)>,
}

impl Loaded {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| Failure::file("read", &name, &error))?;
        read::read(path, &text)
    }

    /// A part of the setup that cannot be as it is, with the line that says so.
    pub fn failure(&self, error: SetupError) -> Failure {
        // The last place: what is set of a part stands below its name.
        let line = self.lines.iter().rev().find(|(part, _)| *part == error.part).map(|(_, line)| *line);
        let place = self.path.display();
        let mut failure = Failure::from(error.error);
        failure.message = match line {
            Some(line) => format!("{place}:{line}: {}", failure.message),
            None => format!("{place}: {}: {}", error.part, failure.message),
        };
        failure
    }
}

/// Name of a setting in the file.
fn key(setting: &Setting) -> &'static str {
    setting.name.strip_suffix("_ns").unwrap_or(setting.name)
}

/// Whether a setting is written as a duration.
fn is_duration(setting: &Setting) -> bool {
    setting.name.ends_with("_ns")
}

#[cfg(test)]
mod tests;
