//! `queue`

use acrypto_netlink::Client;
use serde_json::{Value, json};

use crate::cli::{QueueArgs, QueueCommand};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Column, Format};
use crate::record;

const QUEUES: &[Column] = &[
    ("queue", "QUEUE"),
    ("state", "STATE"),
    ("depth_ops", "DEPTH"),
    ("queue_max_ops", "LIMIT"),
    ("queued_ops", "WAITING"),
    ("in_flight_ops", "FLIGHT"),
];

const OPS: &[Column] = &[
    ("id", "OP"),
    ("session", "SESSION"),
    ("op", "KIND"),
    ("alg", "ALG"),
    ("bytes", "BYTES"),
    ("state", "STATE"),
    ("device", "DEVICE"),
    ("attempts", "ATTEMPTS"),
    ("age_ns", "AGE"),
];

/// Operations listed when only a session was named.
const OPS_DEFAULT: u32 = 100;

/// Runs a `queue` command.
pub async fn run(context: &Context, client: &Client, command: &QueueCommand) -> Result<Exit, Failure> {
    let QueueCommand::Show(arguments) = command;
    let queue = client.queue().await?;
    let mut queues: Vec<Value> = Vec::new();
    if arguments.device.is_none() {
        queues.push(record::main_queue(&queue));
    }
    queues.extend(
        queue
            .devices
            .iter()
            .filter(|device| arguments.device.as_ref().is_none_or(|name| *name == device.name))
            .map(record::device_queue),
    );
    if queues.is_empty() {
        let name = arguments.device.as_deref().unwrap_or_default();
        super::device::named(client, name, client.device(name).await).await?;
    }
    let ops = ops(client, arguments).await?;
    let epoch = Some(client.epoch());
    if context.printer.format == Format::Json {
        let mut data = json!({ "queues": queues });
        if let Some(ops) = ops {
            data["ops"] = ops.into();
        }
        context.printer.json(epoch, &data)?;
        return Ok(Exit::Done);
    }
    match ops {
        None => context.printer.rows(epoch, "queues", QUEUES, &queues)?,
        Some(ops) => context.printer.rows(epoch, "ops", OPS, &ops)?,
    }
    Ok(Exit::Done)
}

/// Live operations, if the arguments ask for any.
async fn ops(client: &Client, arguments: &QueueArgs) -> Result<Option<Vec<Value>>, Failure> {
    let limit = match (arguments.limit, arguments.session) {
        (Some(limit), _) => limit,
        (None, Some(_)) => OPS_DEFAULT,
        (None, None) => return Ok(None),
    };
    let narrowed = arguments.session.is_some() || arguments.device.is_some();
    let limit = limit as usize;
    let ops = client.ops(if narrowed { usize::MAX } else { limit }).await?;
    Ok(Some(
        ops.iter()
            .filter(|op| arguments.session.is_none_or(|session| session == op.session))
            .filter(|op| arguments.device.as_ref().is_none_or(|device| *device == op.device))
            .take(limit)
            .map(record::op)
            .collect(),
    ))
}
