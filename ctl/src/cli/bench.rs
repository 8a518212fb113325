//! `bench`: measuring.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::units;

/// `bench`
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Run a measurement on a runtime of its own, or with --connect through a daemon
    Run(BenchArgs),
    /// Print how many times one measurement is the other; both are what 'bench run --json' printed
    Compare {
        /// What is divided
        #[arg(value_name = "A.json")]
        a: PathBuf,
        /// What it is divided by
        #[arg(value_name = "B.json")]
        b: PathBuf,
    },
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ptest {
    /// Operations and bytes a second; percentiles are the runtime's own, of the granularity of a run, but through a
    /// daemon the client's
    Throughput,
    /// Time from before submission until the result is in the client's hands, by the client's clock
    Latency,
    /// Every byte of every result against the reference, whose time counts too; exit code 1 if one differs
    Verify,
}

impl Ptest {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Latency => "latency",
            Self::Verify => "verify",
        }
    }
}

/// `bench run`
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// What to measure
    #[arg(long, value_name = "P", default_value = "throughput")]
    pub ptest: Ptest,
    /// Algorithm; may be given several times (null measures the framework)
    #[arg(long, value_name = "A", default_values = ["aes-128-ctr", "aes-256-gcm", "aes-256-cbc", "chacha20-poly1305", "sha256", "hmac-sha256"])]
    pub alg: Vec<String>,
    /// Bytes an operation, through a daemon at most 32K; may be given several times [default: 64 4K 64K, through a daemon
    /// 32K at last]
    #[arg(long, value_name = "N", value_parser = units::parse_size)]
    pub size: Vec<usize>,
    /// Operations submitted together, through a daemon in flight at once; 1 awaits each; may be given several times
    #[arg(long, value_name = "N", default_values = ["32"], value_parser = burst)]
    pub burst: Vec<usize>,
    /// Sessions, each with a key of its own, that each client uses in turn
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub sessions: u32,
    /// Clients submitting side by side, each on a thread of its own, and with a connection of its own to a daemon
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub clients: u32,
    /// Length of each measurement
    #[arg(long = "for", value_name = "DUR", default_value = "1s", value_parser = length)]
    pub for_duration: Duration,
    /// Operations of each measurement, instead of a length
    #[arg(long, value_name = "N", conflicts_with = "for_duration", value_parser = clap::value_parser!(u64).range(1..))]
    pub ops: Option<u64>,
    /// Kind of device, one a core, two of null; of a daemon, a device or kind that alone is used [default: the best one that
    /// is built in; what the daemon picks]
    #[arg(long, value_name = "D")]
    pub device: Option<String>,
    /// Balancer of a runtime of its own [default: simple_lb]
    #[arg(long, value_name = "NAME")]
    pub lb: Option<String>,
    /// Time to run before measuring
    #[arg(long, value_name = "DUR", default_value = "100ms", value_parser = units::parse_duration)]
    pub warmup: Duration,
    /// Print comma-separated values, with a header
    #[arg(long, conflicts_with_all = ["json", "plain"])]
    pub csv: bool,
    /// Fail unless this holds for every result, such as 'ops_per_s>1e6'; may be given several times
    #[arg(long, value_name = "EXPR")]
    pub assert: Vec<String>,
}

fn burst(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=1024) => Ok(count),
        _ => Err("is not a number from 1 to 1024".to_owned()),
    }
}

fn length(text: &str) -> Result<Duration, String> {
    match units::parse_duration(text)? {
        Duration::ZERO => Err("is no time to measure".to_owned()),
        length => Ok(length),
    }
}
