//! `device`

use acrypto_netlink::Client;
use acrypto_netlink::message::{DeviceInfo, FaultSpec};
use serde_json::{Value, json};

use crate::cli::{BreakArgs, DeviceCommand};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Column, Format};
use crate::{record, suggest, units};

/// Columns of a list of devices.
pub const COLUMNS: &[Column] = &[
    ("name", "NAME"),
    ("kind", "KIND"),
    ("state", "STATE"),
    ("queued_ops", "QUEUED"),
    ("queue_max_ops", "LIMIT"),
    ("in_flight_ops", "FLIGHT"),
    ("finished_ops", "DONE"),
    ("bytes", "BYTES"),
    ("total_p50_ns", "P50"),
    ("total_p99_ns", "P99"),
    ("errors_ops", "ERRORS"),
    ("state_reason", "REASON"),
];

/// Runs a `device` command.
pub async fn run(context: &Context, client: &Client, command: &DeviceCommand) -> Result<Exit, Failure> {
    match command {
        DeviceCommand::List => {
            let now_ns = client.stats().await?.now_ns;
            let rows: Vec<Value> =
                client.devices().await?.iter().map(|device| record::device(device, now_ns)).collect();
            context.printer.rows(Some(client.epoch()), "devices", COLUMNS, &rows)?;
            Ok(Exit::Done)
        }
        DeviceCommand::Show { names } => show(context, client, names).await,
        DeviceCommand::Add { name, kind, parameters } => {
            client.device_add(name, kind, parameters).await?;
            changed(context, client, name, "added").await
        }
        DeviceCommand::Remove { name, deadline, confirm } => {
            confirm_last(context, client, name, "remove", confirm.as_deref()).await?;
            named(client, name, client.device_remove(name, *deadline).await).await?;
            changed(context, client, name, "is being removed").await
        }
        DeviceCommand::Break(arguments) => {
            confirm_last(context, client, &arguments.name, "break", arguments.confirm.as_deref()).await?;
            let broken = client.device_break(&arguments.name, fault(arguments)?).await;
            named(client, &arguments.name, broken).await?;
            let what = if arguments.mode.is_some() { "has the fault" } else { "is broken" };
            changed(context, client, &arguments.name, what).await
        }
        DeviceCommand::Repair { name } => {
            named(client, name, client.device_repair(name).await).await?;
            changed(context, client, name, "is being repaired").await
        }
    }
}

async fn show(context: &Context, client: &Client, names: &[String]) -> Result<Exit, Failure> {
    let now_ns = client.stats().await?.now_ns;
    let mut rows = Vec::new();
    let mut failure = None;
    for name in names {
        match named(client, name, client.device(name).await).await {
            Ok(device) => rows.push(detail(&device, now_ns)),
            Err(missing) if missing.exit == Exit::NotFound && names.len() > 1 => {
                crate::output::error(&missing);
                failure = Some(missing.exit);
            }
            Err(other) => return Err(other),
        }
    }
    if context.printer.format == Format::Json {
        context.printer.rows(Some(client.epoch()), "devices", COLUMNS, &rows)?;
    } else {
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                crate::output::write_line("")?;
            }
            context.printer.record(Some(client.epoch()), row)?;
        }
    }
    Ok(match failure {
        None => Exit::Done,
        Some(exit) if rows.is_empty() => exit,
        Some(_) => Exit::Partial,
    })
}

fn detail(device: &DeviceInfo, now_ns: u64) -> Value {
    let mut row = record::device(device, now_ns);
    row["capabilities"] = record::capabilities(device);
    row
}

/// Says what became of the device; in JSON, the device as it is now, `null` when it is gone.
async fn changed(context: &Context, client: &Client, name: &str, what: &str) -> Result<Exit, Failure> {
    if context.printer.is_json() {
        let now_ns = client.stats().await?.now_ns;
        let device = match client.device(name).await {
            Ok(device) => record::device(&device, now_ns),
            Err(_) => Value::Null,
        };
        context.printer.json(Some(client.epoch()), &json!({ "device": device }))?;
    } else {
        context.printer.note(&format!("device '{name}' {what}"));
    }
    Ok(Exit::Done)
}

/// An answer about the device `name`; one that is not found gets the nearest name as a hint.
pub async fn named<T>(
    client: &Client,
    name: &str,
    answer: Result<T, acrypto_netlink::Error>,
) -> Result<T, Failure> {
    let failure = match answer {
        Ok(value) => return Ok(value),
        Err(error) => Failure::from(error),
    };
    if failure.exit != Exit::NotFound {
        return Err(failure);
    }
    let devices = client.devices().await.unwrap_or_default();
    let near = suggest::nearest(name, devices.iter().map(|device| device.name.as_str()));
    Err(failure.with_hint(match near {
        Some(near) => format!("did you mean '{near}'? see 'acrypto device list'"),
        None => "see 'acrypto device list'".to_owned(),
    }))
}

/// The last usable device is not taken out of service by accident.
async fn confirm_last(
    context: &Context,
    client: &Client,
    name: &str,
    verb: &str,
    confirmed: Option<&str>,
) -> Result<(), Failure> {
    let devices = client.devices().await?;
    let mut usable = devices.iter().filter(|device| device.state.is_usable());
    let is_last = usable.next().is_some_and(|device| device.name == name) && usable.next().is_none();
    match is_last {
        true => context.confirm(
            &format!("'{name}' is the last usable device, will not {verb} it"),
            name,
            confirmed,
        ),
        false => Ok(()),
    }
}

fn fault(arguments: &BreakArgs) -> Result<Option<FaultSpec>, Failure> {
    let Some(mode) = arguments.mode else { return Ok(None) };
    if arguments.rate.is_some_and(|rate| !(0.0..=1.0).contains(&rate)) {
        return Err(Failure::usage("'--rate' is a share from 0 to 1"));
    }
    Ok(Some(FaultSpec {
        mode,
        op: arguments.op,
        size_bytes: arguments.size.as_ref().map(|size| *size.start() as u64..=*size.end() as u64),
        session: arguments.session,
        count: arguments.count,
        every: arguments.every,
        rate: arguments.rate,
        for_ns: arguments.for_duration.map(units::nanos),
        delay_ns: arguments.delay.map(units::nanos),
        seed: arguments.seed,
    }))
}
