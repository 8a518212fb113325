//! Commands that talk to a server: once, or again and again with `--watch`.

use std::io::IsTerminal as _;

use acrypto_netlink::Client;

use crate::cli::Command;
use crate::command::{config, device, lb, load, monitor, queue, server, session, stats, tenant};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};

/// Cursor home, and everything below it erased.
const HOME_AND_ERASE: &str = "\x1b[H\x1b[J";

/// Runs a command once, or until interrupted if it is to be watched; events and watched rows end with their reader.
pub async fn run(context: &Context, client: &Client, command: &Command) -> Result<Exit, Failure> {
    if context.global.watch.is_none() && !matches!(command, Command::Monitor(_)) {
        return once(context, client, command).await;
    }
    tokio::select! {
        ended = again(context, client, command) => ended,
        failure = output::reader_gone() => Err(failure),
    }
}

async fn again(context: &Context, client: &Client, command: &Command) -> Result<Exit, Failure> {
    let Some(every) = context.global.watch else { return once(context, client, command).await };
    let redraw = context.printer.format == Format::Table && std::io::stdout().is_terminal();
    let mut ticks = tokio::time::interval(every.max(std::time::Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if redraw {
            output::write_text(HOME_AND_ERASE)?;
        }
        once(context, client, command).await?;
    }
}

async fn once(context: &Context, client: &Client, command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Device(command) => device::run(context, client, command).await,
        Command::Lb(command) => lb::run(context, client, command).await,
        Command::Session(command) => session::run(context, client, command).await,
        Command::Tenant(command) => tenant::run(context, client, command).await,
        Command::Config(command) => config::run(context, client, command).await,
        Command::Queue(command) => queue::run(context, client, command).await,
        Command::Stats(command) => stats::run(context, client, command).await,
        Command::Monitor(arguments) => monitor::run(context, client, arguments).await,
        Command::Load(command) => load::run(context, client, command).await,
        Command::Server(command) => server::run(context, client, command).await,
        Command::Tui(_) | Command::Daemon(_) | Command::Op(_) | Command::Bench(_) | Command::Version => {
            Err(Failure::new(Exit::Bug, "this command does not talk to a server"))
        }
    }
}
