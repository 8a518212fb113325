//! Commands that talk to a server, and the two that are one: `daemon` and `tui`.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use acrypto_netlink::message::{EventKind, FaultMode, OpKind};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use crate::units;

/// Tokens as the only values an argument takes.
macro_rules! tokens {
    ($kind:ty) => {
        PossibleValuesParser::new(<$kind>::ALL.iter().map(|value| value.name()))
            .try_map(|name| name.parse::<$kind>())
    };
}

/// `tui`
#[derive(Args, Debug, Default)]
pub struct TuiArgs {
    /// Change nothing on the server
    #[arg(long)]
    pub read_only: bool,
    /// Draw with ASCII characters only
    #[arg(long)]
    pub ascii: bool,
    /// Leave the mouse to the terminal
    #[arg(long)]
    pub no_mouse: bool,
}

/// `daemon`
#[derive(Args, Debug)]
pub struct DaemonArgs {
    /// Address to listen on: unix:PATH; netlink or netlink:PORT for netlink libraries, where only reading is allowed unless
    /// ',rw' follows; may be given several times
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<String>,
    /// File that says what the runtime is like, instead of the best software devices; see 'acrypto config save'
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check the file, then end
    #[arg(long, requires = "config")]
    pub check: bool,
}

/// `config`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show limits and time-outs; with --json devices, balancer and tenants too
    Show,
    /// Save everything that can be set, as a file for 'acrypto daemon --config'
    Save {
        /// The file; - is standard output
        file: PathBuf,
    },
    /// Check a file without a server
    Check {
        /// The file
        file: PathBuf,
    },
}

/// `device`
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// List devices
    List,
    /// Show everything about devices
    Show {
        /// Devices
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Add a device; it takes work when its known answers have passed
    Add {
        /// Its name
        name: String,
        /// What it is: soft, aws-lc, multi, sim or null
        #[arg(long, value_name = "K")]
        kind: String,
        /// Parameters of its kind
        #[arg(value_name = "K=V", value_parser = units::parse_parameter)]
        parameters: Vec<(String, String)>,
    },
    /// Remove a device: move what can move, drain, complete the rest as broken
    Remove {
        /// Its name
        name: String,
        /// Longest time to drain
        #[arg(long, value_name = "DUR", value_parser = units::parse_duration)]
        deadline: Option<Duration>,
        /// The name once more, to remove the last usable device without being asked
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
    /// Let a device finish what it has; it stays, and takes nothing new until it is resumed
    Drain {
        /// Its name
        name: String,
        /// Wait until it is drained
        #[arg(long)]
        wait: bool,
        /// Longest time to drain; what it has then is tried elsewhere
        #[arg(long, value_name = "DUR", value_parser = units::parse_duration)]
        deadline: Option<Duration>,
        /// The name once more, to drain the last usable device without being asked
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
    /// Put a draining or drained device back into service
    Resume {
        /// Its name
        name: String,
    },
    /// Ask a device its known answers now
    Test {
        /// Its name
        name: String,
    },
    /// Set what can be set of a device while it works
    Set {
        /// Its name
        name: String,
        /// shadow=P: share of its operations, 0 to 1, carried out once more and held until both agree
        #[arg(required = true, value_name = "K=V", value_parser = units::parse_parameter)]
        values: Vec<(String, String)>,
    },
    /// Mark a device broken, or give it a fault for health to find
    Break(BreakArgs),
    /// Clear faults, test the device and take it back into service
    Repair {
        /// Its name
        name: String,
    },
}

/// `device break`
#[derive(Args, Debug)]
pub struct BreakArgs {
    /// The device
    pub name: String,
    /// Fault to inject; without it the device is marked broken by hand
    #[arg(long, value_name = "M", value_parser = tokens!(FaultMode))]
    pub mode: Option<FaultMode>,
    /// Only operations of this kind
    #[arg(long, value_name = "O", requires = "mode", value_parser = tokens!(OpKind))]
    pub op: Option<OpKind>,
    /// Only operations of this size
    #[arg(long, value_name = "A-B", requires = "mode", value_parser = units::parse_size_range)]
    pub size: Option<RangeInclusive<usize>>,
    /// Only operations of this session
    #[arg(long, value_name = "ID", requires = "mode", value_parser = units::parse_id)]
    pub session: Option<u64>,
    /// Only so many operations
    #[arg(long, value_name = "N", requires = "mode")]
    pub count: Option<u64>,
    /// Only every Nth operation
    #[arg(long, value_name = "N", requires = "mode")]
    pub every: Option<u64>,
    /// Only this share of the operations, 0 to 1
    #[arg(long, value_name = "P", requires = "mode")]
    pub rate: Option<f64>,
    /// Only for this long
    #[arg(long = "for", value_name = "DUR", requires = "mode", value_parser = units::parse_duration)]
    pub for_duration: Option<Duration>,
    /// How much later delayed and late answers come
    #[arg(long, value_name = "DUR", requires = "mode", value_parser = units::parse_duration)]
    pub delay: Option<Duration>,
    /// Seed of what is drawn by lot
    #[arg(long, value_name = "N", requires = "mode", default_value_t = 0)]
    pub seed: u64,
    /// The name once more, to break the last usable device without being asked
    #[arg(long, value_name = "NAME")]
    pub confirm: Option<String>,
}

/// `lb`
#[derive(Debug, Subcommand)]
pub enum LbCommand {
    /// List balancers
    List,
    /// Show a balancer and what can be set of it
    Get {
        /// Its name; the one in force unless told
        name: Option<String>,
    },
    /// Switch to another balancer
    Set {
        /// Its name
        name: String,
        /// Parameters to set first; 'acrypto lb get NAME' tells them
        #[arg(value_name = "K=V", value_parser = units::parse_parameter)]
        parameters: Vec<(String, String)>,
        /// Switch only if this one is in force
        #[arg(long, value_name = "NAME")]
        if_current: Option<String>,
        /// Place what is queued on devices anew
        #[arg(long)]
        rehash: bool,
    },
    /// Place what is queued on devices anew, by the balancer in force
    Rehash,
    /// Tell what a balancer would have done with the latest arrivals
    Preview {
        /// Its name; the one in force unless told
        name: Option<String>,
        /// Every balancer
        #[arg(long, conflicts_with = "name")]
        all: bool,
    },
    /// Show the latest decisions, with the figures they were made on
    Explain {
        /// At most so many
        #[arg(short, value_name = "OPS", default_value_t = 20)]
        number: u32,
    },
    /// Remove a balancer; if it is in force, simple_lb takes over
    Unregister {
        /// Its name
        name: String,
    },
}

/// `queue`
#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// Show the main queue and the device queues
    Show(QueueArgs),
}

/// `queue show`
#[derive(Args, Debug)]
pub struct QueueArgs {
    /// Only this device's queue and operations
    #[arg(long, value_name = "D")]
    pub device: Option<String>,
    /// List operations of this session
    #[arg(long, value_name = "ID", value_parser = units::parse_id)]
    pub session: Option<u64>,
    /// List at most N operations, oldest first
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
}

/// `stats`
#[derive(Debug, Subcommand)]
pub enum StatsCommand {
    /// Show counters and latencies of the runtime, a device or a session
    Show(StatsArgs),
}

/// `stats show`
#[derive(Args, Debug)]
pub struct StatsArgs {
    /// runtime, device or session
    #[command(subcommand)]
    pub subject: Option<StatsSubject>,
}

/// Whose statistics.
#[derive(Clone, Debug, Subcommand)]
pub enum StatsSubject {
    /// The runtime alone
    Runtime,
    /// One device
    Device {
        /// Its name
        name: String,
    },
    /// One session
    Session {
        /// Its id
        #[arg(value_parser = units::parse_id)]
        id: u64,
    },
}

/// `monitor`
#[derive(Args, Debug)]
pub struct MonitorArgs {
    /// Only these kinds of event
    #[arg(value_name = "KIND", value_parser = tokens!(EventKind))]
    pub kinds: Vec<EventKind>,
    /// Begin after the event with this number; 0 for every event still kept
    #[arg(long, value_name = "SEQ")]
    pub since: Option<u64>,
    /// End after N events
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// End after this long
    #[arg(long = "for", value_name = "DUR", value_parser = units::parse_duration)]
    pub for_duration: Option<Duration>,
}

/// `load`
#[derive(Debug, Subcommand)]
pub enum LoadCommand {
    /// Start a load; prints its id
    Start(LoadStartArgs),
    /// Stop a load, or all
    Stop {
        /// Its id, or all
        #[arg(value_name = "ID|all")]
        id: String,
    },
    /// List loads
    List,
}

/// `load start`
#[derive(Args, Debug)]
pub struct LoadStartArgs {
    /// Algorithm
    #[arg(long, value_name = "A", default_value = "aes-128-ctr")]
    pub alg: String,
    /// Bytes an operation
    #[arg(long, value_name = "N", default_value = "4K", value_parser = units::parse_size)]
    pub size: usize,
    /// Clients submitting side by side
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub clients: u32,
    /// Operations a second, all clients together; as many as possible unless told
    #[arg(long, value_name = "R", value_parser = units::parse_rate)]
    pub rate: Option<f64>,
    /// End after this long
    #[arg(long = "for", value_name = "DUR", value_parser = units::parse_duration)]
    pub for_duration: Option<Duration>,
}

/// `server`
#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// Ask whether the server answers
    Ping,
    /// Show what the server says of itself
    Info,
    /// End the daemon: it completes what it has accepted, and takes nothing new; asks first, or takes --yes
    Shutdown {
        /// The epoch of the daemon that is meant, instead of being asked for it
        #[arg(long, value_name = "EPOCH")]
        confirm: Option<String>,
    },
}
