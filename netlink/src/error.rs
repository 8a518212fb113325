//! The one error type of the crate.

/// Why a request came to nothing, or its outcome is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused; nothing was changed.
    #[error("{message}")]
    Refused {
        /// Positive errno of Linux (2 is ENOENT).
        errno: i32,
        /// The server's words, or the errno's when it gave none.
        message: String,
        /// Name of the attribute at fault, if the server named one.
        attribute: Option<String>,
    },
    /// Nobody answers at the address.
    #[error("no server at '{address}': {reason}")]
    NoServer {
        /// The address tried.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// No answer in time.
    #[error("{}", if *sent_change { "no answer in time; the change may have been made" } else { "no answer in time" })]
    Timeout {
        /// Whether a change was asked for, so that its outcome is not known.
        sent_change: bool,
    },
    /// The server went away.
    #[error("{}", if *sent_change { "server went away; the change may have been made" } else { "server went away" })]
    Closed {
        /// Whether a change was asked for, so that its outcome is not known.
        sent_change: bool,
    },
    /// Bytes that are no message of this protocol.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// The server speaks another version.
    #[error("server speaks version {theirs} of family 'acrypto', this program speaks {ours}")]
    Version {
        /// The server's version.
        theirs: u32,
        /// Our version.
        ours: u32,
    },
    /// What was asked does not fit into a message; nothing was sent.
    #[error("'{name}' is too large: {got} bytes, at most {limit}")]
    TooLarge {
        /// The attribute.
        name: String,
        /// Its length, in bytes.
        got: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A word that is none of those known.
    #[error("'{token}' is none of: {known}")]
    UnknownToken {
        /// The word.
        token: String,
        /// Those that are known.
        known: String,
    },
    /// An address that cannot be parsed.
    #[error("'{address}' is no address: unix:PATH, netlink[:PORT] or embedded")]
    BadAddress {
        /// The text.
        address: String,
    },
    /// A server could not start to listen.
    #[error("cannot listen on '{address}': {reason}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// Another server owns the address.
    #[error("'{address}' is served by process {pid} already")]
    AddressTaken {
        /// The address.
        address: String,
        /// The owner's process id; 0 if it is not known.
        pid: u32,
    },
}
