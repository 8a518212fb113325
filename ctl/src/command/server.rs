//! `server`

use acrypto_core::Clock;
use acrypto_netlink::Client;
use serde_json::json;

use crate::cli::ServerCommand;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::{output, record, units};

/// Runs a `server` command.
pub async fn run(context: &Context, client: &Client, command: &ServerCommand) -> Result<Exit, Failure> {
    let epoch = Some(client.epoch());
    match command {
        ServerCommand::Ping => {
            let clock = Clock::system();
            client.ping().await?;
            let took_ns = clock.now().0;
            match context.printer.is_json() {
                true => context.printer.json(epoch, &json!({ "round_trip_ns": took_ns }))?,
                false => output::write_line(&format!("alive, {}", units::human_ns(took_ns)))?,
            }
        }
        ServerCommand::Info => {
            context.printer.record(epoch, &record::server(&client.server_info().await?))?
        }
        ServerCommand::Shutdown { confirm } => {
            let stats = client.stats().await?;
            let question = format!("{} operations are under way; the daemon ends", stats.main_queue_ops);
            context.confirm(&question, &output::epoch_text(client.epoch()), confirm.as_deref())?;
            client.shutdown().await?;
        }
    }
    Ok(Exit::Done)
}
