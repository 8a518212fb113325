//! `tui`: opens the workbench on a daemon, or on the DEMO scenario in this process.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use acrypto_netlink::message::FaultSpec;
use acrypto_netlink::server::Server;
use acrypto_netlink::{Address, Client, Error as NetlinkError};
use acrypto_tui::{Action, Commands, Connect, Options, Theme};

use crate::cli::{Color, TuiArgs};
use crate::context::Context;
use crate::exit::{self, Exit, Failure};
use crate::{scenario, units};

/// Runs the workbench until the operator quits.
pub fn run(context: &Context, arguments: &TuiArgs) -> Result<Exit, Failure> {
    if context.printer.is_json() {
        return Err(Failure::usage("'--json' cannot be used with the workbench"));
    }
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let mono = context.global.color == Color::Never || no_color && context.global.color == Color::Auto;
    let options = Options {
        ascii: arguments.ascii,
        theme: if mono { Theme::Mono } else { Theme::Colour },
        read_only: arguments.read_only,
        mouse: !arguments.no_mouse,
    };
    match acrypto_tui::run(options, connector(context)?, &Grammar) {
        Ok(()) => Ok(Exit::Done),
        Err(error @ acrypto_tui::Error::NoTerminal { .. }) => Err(Failure::usage(error.to_string())),
        Err(acrypto_tui::Error::Terminal(error)) => Err(Failure::file("use", "the terminal", &error)),
        Err(error) => Err(Failure::new(Exit::Bug, error.to_string())),
    }
}

/// The daemon that was named; else the one that answers now; else a scenario of our own.
fn connector(context: &Context) -> Result<Arc<dyn Connect>, Failure> {
    let timeout = context.global.timeout;
    match context.named_address()? {
        Some(Address::Embedded) => scenario_connector(),
        Some(address) => Ok(Arc::new(Daemon { address, timeout })),
        None => match answering(timeout)? {
            Some(address) => Ok(Arc::new(Daemon { address, timeout })),
            None => scenario_connector(),
        },
    }
}

fn scenario_connector() -> Result<Arc<dyn Connect>, Failure> {
    Ok(Arc::new(Scenario { server: scenario::demo()? }))
}

/// The first of the usual addresses at which a server answers.
fn answering(timeout: Duration) -> Result<Option<Address>, Failure> {
    let reactor = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::State, exit::reason(&error)))?;
    Ok(reactor.block_on(async {
        for address in Address::default_candidates() {
            if matches!(tokio::time::timeout(timeout, Client::connect(&address)).await, Ok(Ok(_))) {
                return Some(address);
            }
        }
        None
    }))
}

type Connecting<'a> = Pin<Box<dyn Future<Output = Result<Client, NetlinkError>> + Send + 'a>>;

/// Connects to a daemon.
struct Daemon {
    address: Address,
    timeout: Duration,
}

impl Connect for Daemon {
    fn connect(&self) -> Connecting<'_> {
        Box::pin(async { Ok(Client::connect(&self.address).await?.with_timeout(self.timeout)) })
    }

    fn address(&self) -> String {
        self.address.to_string()
    }
}

/// Connects to a runtime in this process.
struct Scenario {
    server: Server,
}

impl Connect for Scenario {
    fn connect(&self) -> Connecting<'_> {
        Box::pin(async { Client::over(self.server.memory()).await })
    }

    fn address(&self) -> String {
        Address::Embedded.to_string()
    }
}

/// The command grammar, as the workbench speaks it.
struct Grammar;

impl Commands for Grammar {
    fn equal_command(&self, action: &Action) -> String {
        match action {
            Action::SetBalancer { name, if_current: None } => format!("acrypto lb set {name}"),
            Action::SetBalancer { name, if_current: Some(current) } => {
                format!("acrypto lb set {name} --if-current {current}")
            }
            Action::BreakDevice { name, fault } => {
                format!(
                    "acrypto device break {name}{}",
                    fault.as_ref().map(fault_options).unwrap_or_default()
                )
            }
            Action::RepairDevice { name } => format!("acrypto device repair {name}"),
            Action::RemoveDevice { name } => format!("acrypto device remove {name}"),
            Action::StartLoad { spec } => {
                let mut line = format!(
                    "acrypto load start --alg {} --size {} --clients {}",
                    spec.algorithm, spec.size_bytes, spec.clients
                );
                if spec.rate_ops_per_s > 0 {
                    line.push_str(&format!(" --rate {}", spec.rate_ops_per_s));
                }
                if spec.for_ns > 0 {
                    line.push_str(&format!(" --for {}ns", spec.for_ns));
                }
                line
            }
            Action::StopLoads => "acrypto load stop all".to_owned(),
            _ => String::new(),
        }
    }
}

fn fault_options(fault: &FaultSpec) -> String {
    let mut line = format!(" --mode {}", fault.mode.name());
    let mut option = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            line.push_str(&format!(" --{name} {value}"));
        }
    };
    option("op", fault.op.map(|op| op.name().to_owned()));
    option("size", fault.size_bytes.as_ref().map(|size| format!("{}-{}", size.start(), size.end())));
    option("session", fault.session.map(|id| format!("{id:#x}")));
    option("count", fault.count.map(|count| count.to_string()));
    option("every", fault.every.map(|every| every.to_string()));
    option("rate", fault.rate.map(|rate| rate.to_string()));
    option("for", fault.for_ns.map(units::exact_duration));
    option("delay", fault.delay_ns.map(units::exact_duration));
    option("seed", (fault.seed != 0).then(|| fault.seed.to_string()));
    line
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use acrypto_netlink::message::{FaultMode, LoadSpec, OpKind};

    use super::*;
    use crate::cli::{self, BreakArgs, Command, DeviceCommand, Parsed};
    use crate::units;

    fn parsed(line: &str) -> Command {
        match cli::parse(line.split(' ').map(OsString::from)) {
            Ok(Parsed::Run(cli)) => cli.command.unwrap(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn every_equal_command_is_in_the_grammar() {
        let name = || "accel0".to_owned();
        let actions = [
            Action::SetBalancer { name: name(), if_current: None },
            Action::SetBalancer { name: name(), if_current: Some(name()) },
            Action::BreakDevice { name: name(), fault: None },
            Action::RepairDevice { name: name() },
            Action::RemoveDevice { name: name() },
            Action::StartLoad {
                spec: LoadSpec {
                    algorithm: "aes-128-ctr".to_owned(),
                    size_bytes: 4096,
                    clients: 2,
                    rate_ops_per_s: 1000,
                    for_ns: 5_000_000_000,
                },
            },
            Action::StopLoads,
        ];
        for action in &actions {
            parsed(&Grammar.equal_command(action));
        }
    }

    #[test]
    fn an_equal_command_gives_the_same_fault() {
        let fault = FaultSpec {
            mode: FaultMode::Late,
            op: Some(OpKind::Encrypt),
            size_bytes: Some(1..=4096),
            session: Some(0x1f),
            count: Some(3),
            every: Some(2),
            rate: Some(0.25),
            for_ns: Some(30_000_000_000),
            delay_ns: Some(2_000_000),
            seed: 7,
        };
        let line =
            Grammar.equal_command(&Action::BreakDevice { name: "accel0".to_owned(), fault: Some(fault) });
        assert_eq!(
            line,
            "acrypto device break accel0 --mode late --op encrypt --size 1-4096 --session 0x1f --count 3 --every 2 \
             --rate 0.25 --for 30s --delay 2ms --seed 7"
        );
        let Command::Device(DeviceCommand::Break(BreakArgs { session, for_duration, size, .. })) =
            parsed(&line)
        else {
            panic!("{line}");
        };
        assert_eq!((session, size), (Some(0x1f), Some(1..=4096)));
        assert_eq!(for_duration.map(units::nanos), Some(30_000_000_000));
    }
}
