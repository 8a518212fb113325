//! `session` and `tenant`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::KeyFormat;
use crate::units::{self, Tie};

/// `session`
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List sessions
    List,
    /// Show everything about a session
    Show {
        /// Its id
        #[arg(value_parser = units::parse_id)]
        id: u64,
    },
    /// Open a session that stays until it is freed; prints its id
    New(SessionNewArgs),
    /// Give a session another key; what is on its way goes on under the old one
    Rekey {
        /// Its id
        #[arg(value_parser = units::parse_id)]
        id: u64,
        /// Keys.
        #[command(flatten)]
        keys: SessionKeyArgs,
    },
    /// Tie a session to a device, or to none
    Bind {
        /// Its id
        #[arg(value_parser = units::parse_id)]
        id: u64,
        /// NAME or kind:KIND, with ,prefer unless only that will do; any for no tie
        #[arg(value_name = "DEVICE", value_parser = units::parse_bind)]
        device: Tie,
    },
    /// Close sessions; what is on its way ends
    Free {
        /// Their ids
        #[arg(required = true, value_name = "ID", value_parser = units::parse_id)]
        ids: Vec<u64>,
    },
}

/// `session new`
#[derive(Args, Debug)]
pub struct SessionNewArgs {
    /// Algorithm, by OpenSSL's name
    #[arg(long, value_name = "A", required_unless_present = "route")]
    pub alg: Option<String>,
    /// Stages instead of one algorithm, in the order of encryption; @DEVICE ties one to a device
    #[arg(long, value_name = "A,B", value_delimiter = ',', conflicts_with = "alg")]
    pub route: Vec<String>,
    /// Keys.
    #[command(flatten)]
    pub keys: SessionKeyArgs,
    /// Tie to a device, NAME or kind:KIND; with ,prefer any other may serve when it cannot
    #[arg(long, value_name = "D[,prefer]", value_parser = units::parse_bind)]
    pub device: Option<Tie>,
    /// 0 to 7, 7 highest
    #[arg(long, value_name = "N", value_parser = units::parse_priority)]
    pub priority: Option<u8>,
    /// Give results in the order of submission
    #[arg(long)]
    pub ordered: bool,
    /// Longest life of an operation
    #[arg(long, value_name = "DUR", value_parser = units::parse_duration)]
    pub deadline: Option<Duration>,
    /// Count in this tenant's share
    #[arg(long, value_name = "T")]
    pub tenant: Option<String>,
    /// Name to show
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Take and give whole blocks (cbc pads by PKCS#7 otherwise, as openssl enc)
    #[arg(long)]
    pub no_padding: bool,
    /// Allow ecb, which leaks equal blocks
    #[arg(long)]
    pub allow_ecb: bool,
}

/// Where the keys of a session come from, one for each stage.
#[derive(Args, Clone, Debug)]
pub struct SessionKeyArgs {
    /// File that holds the key; once for each stage of a route
    #[arg(long, value_name = "F")]
    pub key_file: Vec<PathBuf>,
    /// Descriptor to read the key from
    #[arg(long, value_name = "N", conflicts_with = "key_file")]
    pub key_fd: Option<u32>,
    /// How the key is written; auto takes it as hex if the whole file is hex digits
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub key_format: KeyFormat,
}

/// `tenant`
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// List tenants: whose work it is, and how much of the devices it may have
    List,
    /// Set a tenant's weight or its limit of operations on their way
    Set {
        /// Its name, or uid:N for a user's own
        name: String,
        /// weight=1..1000, limit=N (0 for none)
        #[arg(required = true, value_name = "K=V", value_parser = units::parse_parameter)]
        values: Vec<(String, String)>,
    },
}
