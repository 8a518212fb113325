//! The workbench: a live terminal view of an acrypto runtime, and the hands to steer it.
//!
//! It talks to a runtime only through the client of `acrypto-netlink`. [`update::update`] is pure: a message changes
//! the model and gives back effects as data. [`view::view`] only reads. `run` and `terminal` are the only modules
//! that do I/O.

use std::io;

use acrypto_netlink::message::{FaultSpec, LoadSpec};
use acrypto_netlink::{Client, Error as NetlinkError};
use futures_util::future::BoxFuture;

pub mod data;
#[cfg(test)]
mod fixture;
pub mod format;
pub mod history;
pub mod keymap;
pub mod layout;
pub mod lint;
pub mod log;
pub mod message;
pub mod model;
pub mod rows;
mod run;
mod terminal;
pub mod theme;
pub mod update;
pub mod view;

pub use run::run;
pub use theme::Theme;

/// How the workbench looks and what it may do.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Draws with ASCII characters only.
    pub ascii: bool,
    /// The theme; [`Theme::Mono`] when NO_COLOR is set.
    pub theme: Theme,
    /// Refuses every change, and cannot be unlocked from within.
    pub read_only: bool,
    /// Takes the mouse: a click focuses and selects, the wheel moves.
    pub mouse: bool,
}

/// The way to a server. It is asked again whenever the connection is lost.
pub trait Connect: Send + Sync {
    /// Makes a connection. Called within the workbench's own tokio runtime (one thread).
    fn connect(&self) -> BoxFuture<'_, Result<Client, NetlinkError>>;

    /// Where that is, to show: `unix:/run/acrypto/control.sock`, `embedded`.
    fn address(&self) -> String;
}

/// The command grammar, as far as the workbench needs it.
pub trait Commands {
    /// The command that does the same: `acrypto lb set simple_lb`.
    fn equal_command(&self, action: &Action) -> String;
}

/// A change the operator asks for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Puts a balancer in force.
    SetBalancer {
        /// Its name.
        name: String,
        /// Only if this one is in force now.
        if_current: Option<String>,
    },
    /// Marks a device broken by hand, or puts a fault on it that health must find.
    BreakDevice {
        /// Its name.
        name: String,
        /// The fault; `None` breaks it by hand.
        fault: Option<FaultSpec>,
    },
    /// Clears faults and brings a device back through selftest and probation.
    RepairDevice {
        /// Its name.
        name: String,
    },
    /// Removes a device.
    RemoveDevice {
        /// Its name.
        name: String,
    },
    /// Starts a load.
    StartLoad {
        /// Which.
        spec: LoadSpec,
    },
    /// Stops every load.
    StopLoads,
}

/// Why the workbench ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Standard input or output is no terminal.
    #[error("no terminal on standard {stream}")]
    NoTerminal {
        /// `input` or `output`.
        stream: &'static str,
    },
    /// The terminal failed.
    #[error("terminal: {0}")]
    Terminal(#[from] io::Error),
    /// The workbench itself failed; the report was printed after the terminal was restored.
    #[error("the workbench panicked")]
    Panicked,
}
