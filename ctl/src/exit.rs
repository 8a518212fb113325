//! Exit codes, and the one shape in which a command fails.

use std::io;
use std::process::ExitCode;

use acrypto_core::{Algorithm, Error, OpError};

use crate::suggest;

/// Every way the command can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or the predicate is true.
    Done = 0,
    /// The predicate is false: `--verify`, `--check` or `--assert` failed.
    False = 1,
    /// Bad argument or usage; nothing changed.
    Usage = 2,
    /// No server, or one of another version.
    NoServer = 3,
    /// No such object.
    NotFound = 4,
    /// Refused by state: exists, busy, draining, full, socket taken.
    State = 5,
    /// Permission.
    Permission = 6,
    /// Time-out, or the server was lost after a change was sent: the outcome is unknown.
    Unknown = 7,
    /// Some objects done, others not; each one's result was printed.
    Partial = 8,
    /// Decryption failed, or a signature is wrong.
    Forged = 9,
    /// Local file or disk; the target is untouched.
    File = 10,
    /// A bug in this program.
    Bug = 70,
    /// Interrupted by a signal.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command failed: an exit code, one line, at most one hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The code to exit with.
    pub exit: Exit,
    /// One line; empty when everything was said already.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with one line to say.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// A bad argument.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// An end that has nothing more to say.
    pub fn silent(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// With what to do about it.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A local file that cannot be used.
    pub fn file(verb: &str, name: &str, error: &io::Error) -> Self {
        Self::new(Exit::File, format!("cannot {verb} '{}': {}", one_line(name), reason(error)))
    }

    /// Standard output that cannot be written; a reader that went away ends the command quietly.
    pub fn stdout(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::silent(Exit::Done),
            _ => Self::file("write", "standard output", error),
        }
    }

    /// The failure, written for a person: message, then hint.
    pub fn lines(&self) -> String {
        let mut text = String::new();
        if !self.message.is_empty() {
            text.push_str(&format!("acrypto: {}\n", one_line(&self.message)));
            if let Some(hint) = &self.hint {
                text.push_str(&format!("hint: {}\n", one_line(hint)));
            }
        }
        text
    }
}

/// What the system says, without "(os error 2)", lower case as all our messages.
pub fn reason(error: &io::Error) -> String {
    lowered(&error.to_string())
}

/// The system's words in the style of ours.
pub fn lowered(text: &str) -> String {
    let text = text.split(" (os error").next().unwrap_or(text);
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => text.to_owned(),
    }
}

/// Control characters would break the line or the terminal; they are shown escaped.
pub fn one_line(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control();
            let plain = (!escaped).then_some(c);
            escaped.then(|| c.escape_default()).into_iter().flatten().chain(plain)
        })
        .collect()
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::UnknownDevice { .. }
            | Error::UnknownBalancer { .. }
            | Error::UnknownSession { .. }
            | Error::UnknownLoad { .. }
            | Error::UnknownKey { .. } => Exit::NotFound,
            Error::BalancerChanged { .. }
            | Error::BalancerEjected { .. }
            | Error::TooFewSamples { .. }
            | Error::NoPreview { .. }
            | Error::DeviceExists { .. }
            | Error::DeviceState { .. }
            | Error::KeyExists { .. }
            | Error::Full { .. }
            | Error::TenantFull { .. }
            | Error::Limit { .. }
            | Error::NoDevice { .. }
            | Error::NoDeviceForStage { .. }
            | Error::KeyUsedUp { .. }
            | Error::NoRandom
            | Error::SelfTest { .. }
            | Error::Device { .. }
            | Error::ShuttingDown
            | Error::Thread { .. } => Exit::State,
            Error::NotAllowed { .. } => Exit::Permission,
            _ => Exit::Usage,
        };
        let failure = Self::new(exit, error.to_string());
        match &error {
            Error::UnknownAlgorithm { name } => failure.with_hint(algorithm_hint(name)),
            Error::EcbNotAllowed { .. } => failure.with_hint("pass --allow-ecb"),
            Error::Sha1NotAllowed => failure.with_hint("sha1 works with 'op hash --check' only"),
            _ => failure,
        }
    }
}

/// What to say to someone who mistyped an algorithm.
fn algorithm_hint(name: &str) -> String {
    let names = Algorithm::ALL.iter().map(|algorithm| algorithm.name());
    match suggest::nearest(name, names) {
        Some(near) => format!("did you mean '{near}'?"),
        None => "names are OpenSSL's, such as aes-256-gcm, chacha20-poly1305, sha256, hmac-sha256".to_owned(),
    }
}

impl From<OpError> for Failure {
    fn from(error: OpError) -> Self {
        let exit = match &error {
            OpError::DecryptionFailed => Exit::Forged,
            OpError::TimedOut { .. } => Exit::Unknown,
            OpError::Cancelled => Exit::Interrupted,
            _ => Exit::State,
        };
        Self::new(exit, error.to_string())
    }
}

/// The exit code of an error number sent by a server.
pub fn exit_of_errno(errno: i32) -> Exit {
    use rustix::io::Errno;
    match Errno::from_raw_os_error(errno) {
        Errno::NOENT | Errno::NODEV => Exit::NotFound,
        Errno::EXIST | Errno::BUSY | Errno::AGAIN | Errno::NOBUFS | Errno::IO => Exit::State,
        Errno::PERM | Errno::ACCESS => Exit::Permission,
        Errno::TIMEDOUT => Exit::Unknown,
        Errno::BADMSG | Errno::KEYREJECTED => Exit::Forged,
        Errno::CONNREFUSED => Exit::NoServer,
        _ => Exit::Usage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_and_a_hint() {
        let failure =
            Failure::new(Exit::NotFound, "device 'acel1' not found").with_hint("did you mean 'accel1'?");
        assert_eq!(failure.lines(), "acrypto: device 'acel1' not found\nhint: did you mean 'accel1'?\n");
        assert_eq!(Failure::silent(Exit::Done).lines(), "");
    }

    #[test]
    fn a_name_with_a_newline_stays_one_line() {
        let failure = Failure::file("read", "a\nb\u{1b}[2J", &io::Error::from_raw_os_error(2));
        assert_eq!(failure.lines(), "acrypto: cannot read 'a\\nb\\u{1b}[2J': no such file or directory\n");
    }

    #[test]
    fn a_mistyped_algorithm_is_recognised() {
        let failure = Failure::from("aes-265-gcm".parse::<Algorithm>().unwrap_err());
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.hint.as_deref(), Some("did you mean 'aes-256-gcm'?"));
    }

    #[test]
    fn error_numbers_have_their_codes() {
        for (errno, code) in
            [(2, 4), (17, 5), (16, 5), (1, 6), (13, 6), (110, 7), (74, 9), (22, 2), (111, 3), (5, 5)]
        {
            assert_eq!(exit_of_errno(errno) as u8, code, "errno {errno}");
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let failure = Failure::stdout(&io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((failure.exit, failure.message.as_str()), (Exit::Done, ""));
    }
}
