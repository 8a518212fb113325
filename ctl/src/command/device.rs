//! `device`

use std::time::Duration;

use acrypto_netlink::message::{DeviceInfo, DeviceState, EventKind, FaultSpec, Filter};
use acrypto_netlink::{Client, Feed, Subscription};
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

/// Time that a device has to drain unless told otherwise, as the runtime has it.
const DRAIN_DEFAULT: Duration = Duration::from_secs(30);

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
        DeviceCommand::Drain { name, wait, deadline, confirm } => {
            confirm_last(context, client, name, "drain", confirm.as_deref()).await?;
            // Before the change, so that its end is not missed.
            let events = client.subscribe(Filter { kinds: vec![EventKind::Device] }, None).await?;
            named(client, name, client.device_drain(name, *deadline).await).await?;
            if *wait {
                drained(context, client, name, events, deadline.unwrap_or(DRAIN_DEFAULT)).await?;
            }
            changed(context, client, name, if *wait { "is drained" } else { "is draining" }).await
        }
        DeviceCommand::Resume { name } => {
            named(client, name, client.device_resume(name).await).await?;
            changed(context, client, name, "is back in service").await
        }
        DeviceCommand::Test { name } => {
            let events = client.subscribe(Filter { kinds: vec![EventKind::Health] }, None).await?;
            named(client, name, client.device_test(name).await).await?;
            let figures = tested(context, name, events).await?;
            changed(context, client, name, &figures).await
        }
        DeviceCommand::Set { name, values } => {
            let rate = shadow(values)?;
            named(client, name, client.device_shadow(name, rate).await).await?;
            changed(context, client, name, "is set").await
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

/// Waits until the device is drained, and as much longer as an answer may take.
async fn drained(
    context: &Context,
    client: &Client,
    name: &str,
    mut events: Subscription,
    deadline: Duration,
) -> Result<(), Failure> {
    let ended = async {
        loop {
            let Feed::Event(event) = events.next().await? else {
                // What was lost may have been the end; the state tells.
                if client.device(name).await?.state == DeviceState::Drained {
                    return Ok(());
                }
                continue;
            };
            match (event.name == name, event.to.as_str()) {
                (true, "drained") => return Ok(()),
                (true, "draining") | (false, _) => {}
                (true, other) => {
                    return Err(Failure::new(
                        Exit::State,
                        format!("device '{name}' is {other}, not drained"),
                    ));
                }
            }
        }
    };
    let in_time = tokio::time::timeout(deadline.saturating_add(context.global.timeout), ended).await;
    in_time.unwrap_or_else(|_| Err(late(name, "drained")))
}

/// Waits for what the known answers came to.
async fn tested(context: &Context, name: &str, mut events: Subscription) -> Result<String, Failure> {
    let ended = async {
        loop {
            let event = match events.next().await? {
                Feed::Event(event) if event.name == name => event,
                Feed::Event(_) => continue,
                // What was lost may have been the outcome.
                Feed::Lost(_) => return Err(late(name, "tested")),
            };
            if event.reason.starts_with("test passed") {
                return Ok(event.reason);
            }
            if event.to == "broken" {
                return Err(Failure::new(
                    Exit::State,
                    format!("device '{name}' is broken: {}", event.reason),
                ));
            }
        }
    };
    let in_time = tokio::time::timeout(context.global.timeout, ended).await;
    in_time.unwrap_or_else(|_| Err(late(name, "tested")))
}

fn late(name: &str, what: &str) -> Failure {
    Failure::new(Exit::Unknown, format!("device '{name}' is not {what} in time"))
        .with_hint(format!("see 'acrypto device show {name}'"))
}

fn shadow(values: &[(String, String)]) -> Result<f64, Failure> {
    let mut rate = None;
    for (key, value) in values {
        if key != "shadow" {
            return Err(Failure::usage(format!("unknown parameter '{key}'")).with_hint("known here: shadow"));
        }
        let share = value.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        let wrong = || Failure::usage(format!("'shadow': '{value}' is not a share from 0 to 1"));
        rate = Some(share.ok_or_else(wrong)?);
    }
    rate.ok_or_else(|| Failure::usage("missing K=V"))
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
