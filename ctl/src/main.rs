//! The command `acrypto`: workbench, daemon, and scripted control of an acrypto runtime.

mod bench;
mod cli;
mod command;
mod config;
mod context;
mod daemon;
mod embedded;
mod exit;
mod key;
mod op;
mod output;
mod record;
mod scenario;
mod suggest;
mod units;
mod watch;
mod workbench;

use std::io::IsTerminal as _;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Cli, Command, Parsed};
use crate::context::Context;
use crate::exit::{Exit, Failure};

fn main() -> ExitCode {
    let ended =
        panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(Failure::silent(Exit::Bug)));
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::error(&failure);
            failure.exit.into()
        }
    }
}

fn run() -> Result<Exit, Failure> {
    let mut cli = match cli::parse(std::env::args_os())? {
        Parsed::Run(cli) => cli,
        Parsed::Print(text) => {
            text.print().map_err(|error| Failure::stdout(&error))?;
            return Ok(Exit::Done);
        }
        Parsed::Usage(text) => {
            output::error_text(&text.render().to_string());
            return Ok(Exit::Usage);
        }
    };
    let command = cli.command.take();
    dispatch(*cli, command)
}

fn dispatch(cli: Cli, command: Option<Command>) -> Result<Exit, Failure> {
    let context = Context::new(cli.global);
    if context.global.watch.is_some() && !command.as_ref().is_some_and(Command::can_watch) {
        return Err(Failure::usage("'--watch' works with list and show commands"));
    }
    match command {
        Some(Command::Version) => {
            version(&context)?;
            Ok(Exit::Done)
        }
        Some(Command::Tui(arguments)) => workbench::run(&context, &arguments),
        None if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() => {
            workbench::run(&context, &cli::TuiArgs::default())
        }
        None => {
            output::error_text(&cli::short_help());
            Ok(Exit::Usage)
        }
        Some(Command::Config(cli::ConfigCommand::Check { file })) => command::config::check(&context, &file),
        Some(Command::Daemon(arguments)) => in_reactor(2, daemon::run(&context, &arguments)),
        Some(command) => {
            let threads = usize::from(!(matches!(command, Command::Op(_)) && context.is_embedded()));
            in_reactor(threads, until_interrupted(run_command(&context, command)))
        }
    }
}

async fn run_command(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Op(command) => op::run(context, command).await,
        Command::Bench(command) => bench::run(context, command).await,
        command => {
            let client = context.client().await?;
            watch::run(context, &client, &command).await
        }
    }
}

fn version(context: &Context) -> Result<(), Failure> {
    match context.printer.is_json() {
        true => context.printer.json(None, &serde_json::json!({ "version": env!("CARGO_PKG_VERSION") })),
        false => output::write_line(concat!("acrypto ", env!("CARGO_PKG_VERSION"))),
    }
}

/// Runs `work` on a reactor of so many threads beside this one; threads that are still blocked when it ends are left to the
/// end of the process.
fn in_reactor(threads: usize, work: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let mut builder = match threads {
        0 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let reactor = builder.worker_threads(threads.max(1)).enable_all().build().map_err(|error| {
        Failure::new(Exit::State, format!("cannot start a thread: {}", exit::reason(&error)))
    })?;
    let ended = reactor.block_on(work);
    reactor.shutdown_background();
    ended
}

/// Runs `work` until it is done or a signal asks to end; dropped work removes its temporary files.
async fn until_interrupted(work: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::new(Exit::State, exit::reason(&error)));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    tokio::select! {
        ended = work => ended,
        _ = interrupt.recv() => Ok(Exit::Interrupted),
        _ = terminate.recv() => Ok(Exit::Interrupted),
        _ = hangup.recv() => Ok(Exit::Interrupted),
    }
}
