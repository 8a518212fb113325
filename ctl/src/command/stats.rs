//! `stats`

use acrypto_netlink::Client;
use serde_json::Value;

use crate::cli::{StatsCommand, StatsSubject};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::record;

/// Runs a `stats` command.
pub async fn run(context: &Context, client: &Client, command: &StatsCommand) -> Result<Exit, Failure> {
    let StatsCommand::Show(arguments) = command;
    let epoch = Some(client.epoch());
    let is_table = context.printer.format == Format::Table;
    let record = match &arguments.subject {
        Some(StatsSubject::Runtime) => record::stats(&client.stats().await?),
        None => {
            let stats = client.stats().await?;
            let devices: Vec<Value> =
                client.devices().await?.iter().map(|device| record::device(device, stats.now_ns)).collect();
            let mut record = record::stats(&stats);
            record["devices"] = devices.into();
            record
        }
        Some(StatsSubject::Device { name }) => {
            let now_ns = client.stats().await?.now_ns;
            let device = super::device::named(client, name, client.device(name).await).await?;
            record::device(&device, now_ns)
        }
        Some(StatsSubject::Session { id }) => {
            let sessions = client.sessions(usize::MAX).await?;
            let session = sessions.iter().find(|session| session.id == *id);
            record::session(session.ok_or_else(|| {
                Failure::new(Exit::NotFound, format!("session '{id:#x}' not found"))
                    .with_hint("see 'acrypto session list'")
            })?)
        }
    };
    context.printer.record(epoch, &record)?;
    if let (true, Some(devices)) = (is_table, record["devices"].as_array()) {
        output::write_line("")?;
        context.printer.rows(epoch, "devices", super::device::COLUMNS, devices)?;
    }
    Ok(Exit::Done)
}
