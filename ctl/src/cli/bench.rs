//! `bench`: measuring.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::units;

/// `bench`
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Run a measurement on a runtime of its own
    Run(BenchArgs),
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ptest {
    /// Operations and bytes a second.
    Throughput,
}

impl Ptest {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
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
    /// Bytes an operation; may be given several times
    #[arg(long, value_name = "N", default_values = ["64", "4K", "64K"], value_parser = units::parse_size)]
    pub size: Vec<usize>,
    /// Operations submitted together; 1 submits and waits; may be given several times
    #[arg(long, value_name = "N", default_values = ["32"], value_parser = burst)]
    pub burst: Vec<usize>,
    /// Sessions used in turn by each client
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub sessions: u32,
    /// Clients submitting side by side
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub clients: u32,
    /// Length of each measurement
    #[arg(long = "for", value_name = "DUR", default_value = "1s", value_parser = units::parse_duration)]
    pub for_duration: Duration,
    /// Operations of each measurement, instead of a length
    #[arg(long, value_name = "N", conflicts_with = "for_duration", value_parser = clap::value_parser!(u64).range(1..))]
    pub ops: Option<u64>,
    /// Time to run before measuring
    #[arg(long, value_name = "DUR", default_value = "100ms", value_parser = units::parse_duration)]
    pub warmup: Duration,
    /// Balancer
    #[arg(long, value_name = "NAME", default_value = "simple_lb")]
    pub lb: String,
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
