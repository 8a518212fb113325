//! `session`

use acrypto_netlink::Client;
use serde_json::Value;

use crate::cli::SessionCommand;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::Column;
use crate::record;

const COLUMNS: &[Column] = &[
    ("id", "ID"),
    ("alg", "ALG"),
    ("name", "NAME"),
    ("device", "DEVICE"),
    ("priority", "PRIO"),
    ("refs", "REFS"),
    ("completed_ops", "DONE"),
    ("failed_ops", "FAILED"),
    ("in_flight_ops", "FLIGHT"),
    ("bytes", "BYTES"),
    ("uid", "UID"),
    ("age_ns", "AGE"),
];

/// Runs a `session` command.
pub async fn run(context: &Context, client: &Client, command: &SessionCommand) -> Result<Exit, Failure> {
    match command {
        SessionCommand::List => {
            let sessions = client.sessions(usize::MAX).await?;
            let rows: Vec<Value> = sessions.iter().map(record::session).collect();
            context.printer.rows(Some(client.epoch()), "sessions", COLUMNS, &rows)?;
            Ok(Exit::Done)
        }
    }
}
