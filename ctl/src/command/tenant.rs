//! `tenant`

use acrypto_netlink::Client;
use serde_json::{Value, json};

use crate::cli::TenantCommand;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::Column;
use crate::{record, suggest};

const COLUMNS: &[Column] = &[
    ("name", "NAME"),
    ("weight", "WEIGHT"),
    ("limit_ops", "LIMIT"),
    ("sessions", "SESSIONS"),
    ("accepted_ops", "ACCEPTED"),
    ("completed_ops", "DONE"),
    ("in_flight_ops", "FLIGHT"),
    ("bytes", "BYTES"),
];

const KEYS: [&str; 2] = ["weight", "limit"];

/// Runs a `tenant` command.
pub async fn run(context: &Context, client: &Client, command: &TenantCommand) -> Result<Exit, Failure> {
    let epoch = Some(client.epoch());
    match command {
        TenantCommand::List => {
            let rows: Vec<Value> = client.tenants().await?.iter().map(record::tenant).collect();
            context.printer.rows(epoch, "tenants", COLUMNS, &rows)?;
        }
        TenantCommand::Set { name, values } => {
            let (weight, limit) = read(values)?;
            client.tenant_set(name, weight, limit).await?;
            if context.printer.is_json() {
                let tenants = client.tenants().await?;
                let tenant = tenants.iter().find(|tenant| tenant.name == *name).map(record::tenant);
                context.printer.json(epoch, &json!({ "tenant": tenant }))?;
            } else {
                context.printer.note(&format!("tenant '{name}' set"));
            }
        }
    }
    Ok(Exit::Done)
}

fn read(values: &[(String, String)]) -> Result<(Option<u32>, Option<u64>), Failure> {
    let (mut weight, mut limit) = (None, None);
    for (key, value) in values {
        let wrong = || Failure::usage(format!("'{key}': '{value}' is not a whole number"));
        match key.as_str() {
            "weight" => weight = Some(value.parse().map_err(|_| wrong())?),
            "limit" => limit = Some(value.parse().map_err(|_| wrong())?),
            _ => {
                let near = suggest::nearest(key, KEYS).map_or_else(
                    || format!("known here: {}", KEYS.join(", ")),
                    |near| format!("did you mean '{near}'?"),
                );
                return Err(Failure::usage(format!("unknown parameter '{key}'")).with_hint(near));
            }
        }
    }
    Ok((weight, limit))
}
