//! The command grammar. Parser, help and errors all come from these definitions.

mod bench;
mod control;
mod error;
mod op;
mod session;

use std::ffi::OsString;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::exit::Failure;
use crate::units;

pub use bench::{BenchArgs, BenchCommand, Ptest};
pub use control::{
    BreakArgs, ConfigCommand, DaemonArgs, DeviceCommand, LbCommand, LoadCommand, LoadStartArgs, MonitorArgs,
    QueueArgs, QueueCommand, ServerCommand, StatsCommand, StatsSubject, TuiArgs,
};
pub use op::{CipherArgs, HashArgs, HmacArgs, KeyArgs, KeyFormat, OpCommand, RandomArgs};
pub use session::{SessionCommand, SessionKeyArgs, SessionNewArgs, TenantCommand};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default());

/// Asynchronous crypto runtime: encrypts and hashes files, serves sessions to programs, and shows what it does.
///
/// Alone on a terminal it opens the workbench.
#[derive(Debug, Parser)]
#[command(
    name = "acrypto",
    version,
    styles = STYLES,
    infer_long_args = false,
    next_help_heading = "Options",
    after_help = "Exit codes: 0 done or true, 1 false or not verified, 2 usage, 3 no server, 4 not found, 5 refused by \
                  state, 6 permission, 7 time-out or outcome unknown, 8 partial, 9 decryption failed, 10 local file, \
                  70 bug, 130 interrupted."
)]
pub struct Cli {
    /// Options that may stand anywhere.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options that may stand anywhere on the line.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Server to talk to: unix:PATH, or embedded for a runtime in this process
    #[arg(long, global = true, value_name = "ADDR", env = "ACRYPTO_CONNECT", hide_env_values = true)]
    pub connect: Option<String>,
    /// Longest wait for an answer
    #[arg(long, global = true, value_name = "DUR", default_value = "5s", value_parser = units::parse_duration, hide_short_help = true)]
    pub timeout: Duration,
    /// Print JSON: one object, or one a line
    #[arg(long, global = true)]
    pub json: bool,
    /// Print raw numbers, separated by tabs
    #[arg(long, global = true, conflicts_with = "json")]
    pub plain: bool,
    /// Fields to print, in this order
    #[arg(long, global = true, value_name = "A,B", value_delimiter = ',', hide_short_help = true)]
    pub fields: Vec<String>,
    /// Print no header line
    #[arg(long, global = true, hide_short_help = true)]
    pub no_headers: bool,
    /// Print again every DUR (list and show commands; 1s unless told)
    #[arg(long, global = true, value_name = "DUR", num_args = 0..=1, require_equals = true, default_missing_value = "1s", value_parser = units::parse_duration)]
    pub watch: Option<Duration>,
    /// Answer yes to every question
    #[arg(long, global = true, hide_short_help = true)]
    pub yes: bool,
    /// Never ask; refuse what would need an answer
    #[arg(long, global = true, hide_short_help = true)]
    pub no_input: bool,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_short_help = true)]
    pub color: Color,
    /// Say nothing but data and errors
    #[arg(short, long, global = true, hide_short_help = true)]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true, conflicts_with = "quiet", hide_short_help = true)]
    pub verbose: bool,
    /// Show each message to and from the server on stderr
    #[arg(long, global = true, hide_short_help = true)]
    pub wire: bool,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The nouns.
#[derive(Debug, Subcommand)]
#[command(subcommand_help_heading = "Commands")]
pub enum Command {
    /// Open the workbench
    Tui(TuiArgs),
    /// Run a runtime in the foreground and serve it
    Daemon(DaemonArgs),
    /// Configuration: what can be set, shown, saved and checked
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Devices: what carries out the operations
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Balancers: what spreads the operations over the devices
    #[command(subcommand)]
    Lb(LbCommand),
    /// Sessions: an algorithm and a key in use
    #[command(subcommand)]
    Session(SessionCommand),
    /// Tenants: whose work it is, and how much of the devices it may have
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Encrypt, decrypt, hash and authenticate files
    #[command(subcommand)]
    Op(OpCommand),
    /// Queues: what waits where
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Counters and latencies
    #[command(subcommand)]
    Stats(StatsCommand),
    /// Print events as they happen
    Monitor(MonitorArgs),
    /// Loads: real operations on generated data, made by the server
    #[command(subcommand)]
    Load(LoadCommand),
    /// Measure
    #[command(subcommand)]
    Bench(BenchCommand),
    /// The server itself
    #[command(subcommand)]
    Server(ServerCommand),
    /// Print the version
    Version,
}

impl Command {
    /// Whether `--watch` makes sense: the command reads and shows.
    pub fn can_watch(&self) -> bool {
        matches!(
            self,
            Self::Device(DeviceCommand::List | DeviceCommand::Show { .. })
                | Self::Lb(LbCommand::List | LbCommand::Get { .. } | LbCommand::Explain { .. })
                | Self::Session(SessionCommand::List | SessionCommand::Show { .. })
                | Self::Tenant(TenantCommand::List)
                | Self::Config(ConfigCommand::Show)
                | Self::Queue(_)
                | Self::Stats(_)
                | Self::Load(LoadCommand::List)
                | Self::Server(ServerCommand::Info)
        )
    }
}

/// How parsing ended.
#[derive(Debug)]
pub enum Parsed {
    /// Something to do.
    Run(Box<Cli>),
    /// Help or version was asked for.
    Print(clap::Error),
    /// Nothing was asked for where something must be: help, as an error.
    Usage(clap::Error),
}

/// Parses a command line.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, Failure> {
    use clap::error::ErrorKind;
    match Cli::try_parse_from(arguments) {
        Ok(cli) => Ok(Parsed::Run(Box::new(cli))),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(Parsed::Print(error)),
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Ok(Parsed::Usage(error)),
            _ => Err(error::failure(&error)),
        },
    }
}

/// The short help.
pub fn short_help() -> String {
    Cli::command().term_width(100).render_help().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Parsed, Failure> {
        parse(line.split(' ').map(OsString::from))
    }

    fn cli(line: &str) -> Cli {
        match parse_line(line) {
            Ok(Parsed::Run(cli)) => *cli,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn failure(line: &str) -> String {
        match parse_line(line) {
            Err(failure) => failure.lines(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_grammar_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_anywhere() {
        for line in [
            "acrypto --json device list --connect unix:/x",
            "acrypto --connect unix:/x device --json list",
            "acrypto device list --json --connect=unix:/x",
        ] {
            let cli = cli(line);
            assert!(cli.global.json, "{line}");
            assert_eq!(cli.global.connect.as_deref(), Some("unix:/x"), "{line}");
        }
    }

    #[test]
    fn watch_has_a_default_and_takes_no_word_after_a_space() {
        assert_eq!(cli("acrypto device list --watch").global.watch, Some(Duration::from_secs(1)));
        assert_eq!(cli("acrypto device list --watch=200ms").global.watch, Some(Duration::from_millis(200)));
        assert_eq!(cli("acrypto --watch device list").global.watch, Some(Duration::from_secs(1)));
        assert_eq!(cli("acrypto device list").global.watch, None);
    }

    #[test]
    fn errors_are_one_line_and_a_hint() {
        insta::assert_snapshot!(
            [
                "acrypto devcie list",
                "acrypto device lst",
                "acrypto device add sim0",
                "acrypto device list --jsn",
                "acrypto device list --json --plain",
                "acrypto device list --timeout 5",
                "acrypto device list --timeout",
                "acrypto device list --color blue",
                "acrypto device break sim0 --mode eror",
                "acrypto device break sim0 --count 3",
                "acrypto device add sim0 --kind sim lanes",
                "acrypto op encrypt --alg aes-256-gcm --key-file k --key-fd 3",
                "acrypto op encrypt --alg aes-256-gcm",
                "acrypto op random",
                "acrypto op random 1X",
                "acrypto monitor devices",
                "acrypto session new --key-file k",
                "acrypto session new --alg sha256 --device ,prefer",
                "acrypto session new --alg sha256 --priority 8",
                "acrypto session bind 0x1 sim0,prefre",
                "acrypto tenant set web",
                "acrypto daemon --check",
                "acrypto lb preview simple_lb --all",
                "acrypto lb set size_lb threshold",
                "acrypto load start --size 4K --rate 0",
                "acrypto bench run --for 1s --ops 100",
                "acrypto version now",
            ]
            .map(|line| format!("$ {line}\n{}", failure(line)))
            .concat()
        );
    }

    #[test]
    fn help_reads_well() {
        let mut pages = vec![short_help()];
        collect_help(&mut Cli::command().term_width(100), &mut pages);
        insta::assert_snapshot!(pages.join("\n----\n"));
    }

    fn collect_help(command: &mut clap::Command, pages: &mut Vec<String>) {
        command.build();
        for child in command.get_subcommands_mut().filter(|child| child.get_name() != "help") {
            pages.push(child.render_help().to_string());
            collect_help(child, pages);
        }
    }
}
