//! `op`: operations on files and standard input, in this process or through a daemon.

mod check;
mod cipher;
mod engine;
mod files;
mod hash;
mod input;
mod pipeline;
mod positional;
mod random;
mod sums;
pub mod target;
mod whole;

pub use engine::{is_full, is_stream, wire_kind};

use tokio::sync::oneshot;

use self::engine::Engine;
use self::target::Target;
use crate::cli::OpCommand;
use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Runs an `op` command.
///
/// # Cancel safety
/// Dropping the future removes what was written so far; threads that still wait for input are left to the process's end.
pub async fn run(context: &Context, command: OpCommand) -> Result<Exit, Failure> {
    match command {
        OpCommand::Encrypt(arguments) => cipher::run(context, acrypto_core::OpKind::Encrypt, arguments).await,
        OpCommand::Decrypt(arguments) => cipher::run(context, acrypto_core::OpKind::Decrypt, arguments).await,
        OpCommand::Hash(arguments) => match &arguments.check {
            Some(sums) => check::run(context, &arguments.alg, sums).await,
            None => hash::digest(context, arguments).await,
        },
        OpCommand::Hmac(arguments) => hash::hmac(context, arguments).await,
        OpCommand::Random(arguments) => random::run(context, arguments).await,
    }
}

/// Runs blocking work on a thread of its own, so that neither an interrupt nor the loss of the daemon need wait for it.
async fn on_thread<T: Send + 'static>(
    engine: &Engine,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let (done, result) = oneshot::channel();
    spawn("op", move || {
        let _ = done.send(work());
    })?;
    tokio::select! {
        result = result => {
            result.unwrap_or_else(|_| Err(Failure::new(Exit::Bug, "a thread of this command panicked")))
        }
        failure = engine.lost() => Err(failure),
    }
}

/// Standard output cannot carry the data and the report on them.
fn refuse_json(context: &Context, target: &Target) -> Result<(), Failure> {
    match target.is_stdout() && context.printer.is_json() {
        true => Err(Failure::usage("'--json' cannot be used while standard output carries the data")
            .with_hint("pass -o FILE")),
        false => Ok(()),
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop).map_err(|error| {
        Failure::new(Exit::State, format!("cannot start a thread: {}", crate::exit::reason(&error)))
    })
}
