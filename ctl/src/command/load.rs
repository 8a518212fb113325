//! `load`

use acrypto_netlink::Client;
use acrypto_netlink::message::LoadSpec;
use serde_json::{Value, json};

use crate::cli::{LoadCommand, LoadStartArgs};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{self, Column};
use crate::{record, units};

const COLUMNS: &[Column] = &[
    ("id", "ID"),
    ("alg", "ALG"),
    ("size_bytes", "SIZE"),
    ("clients", "CLIENTS"),
    ("rate_ops_per_s", "RATE"),
    ("completed_ops", "DONE"),
    ("failed_ops", "FAILED"),
    ("bytes", "BYTES"),
    ("for_ns", "FOR"),
    ("age_ns", "AGE"),
];

/// Runs a `load` command.
pub async fn run(context: &Context, client: &Client, command: &LoadCommand) -> Result<Exit, Failure> {
    let epoch = Some(client.epoch());
    match command {
        LoadCommand::Start(arguments) => {
            let id = client.load_start(spec(arguments)?).await?;
            match context.printer.is_json() {
                true => context.printer.json(epoch, &json!({ "id": id }))?,
                false => output::write_line(&id.to_string())?,
            }
        }
        LoadCommand::Stop { id } => {
            let stopped = match id.as_str() {
                "all" => None,
                id => {
                    Some(id.parse().map_err(|_| Failure::usage(format!("'{id}' is neither an id nor all")))?)
                }
            };
            client.load_stop(stopped).await.map_err(|error| {
                let failure = Failure::from(error);
                if failure.exit == Exit::NotFound {
                    failure.with_hint("see 'acrypto load list'")
                } else {
                    failure
                }
            })?;
            match context.printer.is_json() {
                true => context.printer.json(epoch, &json!({ "stopped": id }))?,
                false => context.printer.note(&format!("load '{id}' stopped")),
            }
        }
        LoadCommand::List => {
            let rows: Vec<Value> = client.loads().await?.iter().map(record::load).collect();
            context.printer.rows(epoch, "loads", COLUMNS, &rows)?;
        }
    }
    Ok(Exit::Done)
}

fn spec(arguments: &LoadStartArgs) -> Result<LoadSpec, Failure> {
    // Parsed here too, for the hint.
    let algorithm: acrypto_core::Algorithm = arguments.alg.parse()?;
    Ok(LoadSpec {
        algorithm: algorithm.name().to_owned(),
        size_bytes: arguments.size as u64,
        clients: arguments.clients,
        rate_ops_per_s: arguments.rate.map_or(0, |rate| rate.ceil() as u64),
        for_ns: arguments.for_duration.map_or(0, units::nanos),
    })
}
