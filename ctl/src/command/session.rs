//! `session`

use acrypto_core::Algorithm;
use acrypto_netlink::Client;
use acrypto_netlink::message::{SessionNew, Stage};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::cli::{SessionCommand, SessionKeyArgs, SessionNewArgs};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{self, Column, Format};
use crate::{key, record, units};

const COLUMNS: &[Column] = &[
    ("id", "ID"),
    ("alg", "ALG"),
    ("name", "NAME"),
    ("device", "DEVICE"),
    ("priority", "PRIO"),
    ("ordered", "ORDERED"),
    ("tenant", "TENANT"),
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
    let epoch = Some(client.epoch());
    match command {
        SessionCommand::List => {
            let sessions = client.sessions(usize::MAX).await?;
            let rows: Vec<Value> = sessions.iter().map(record::session).collect();
            context.printer.rows(epoch, "sessions", COLUMNS, &rows)?;
        }
        SessionCommand::Show { id } => {
            let session = found(client.session(*id).await)?;
            context.printer.record(epoch, &record::session(&session))?;
        }
        SessionCommand::New(arguments) => {
            let id = client.session_new(asked(arguments)?).await?;
            match context.printer.is_json() {
                true => context.printer.json(epoch, &json!({ "id": written(id) }))?,
                false => output::write_line(&written(id))?,
            }
        }
        SessionCommand::Rekey { id, keys } => {
            found(client.session_rekey(*id, read(keys)?).await)?;
            changed(context, client, *id, "has another key").await?;
        }
        SessionCommand::Bind { id, device } => {
            found(client.session_bind(*id, device.0.clone()).await)?;
            changed(context, client, *id, "is bound").await?;
        }
        SessionCommand::Free { ids } => return free(context, client, ids).await,
    }
    Ok(Exit::Done)
}

fn asked(arguments: &SessionNewArgs) -> Result<SessionNew, Failure> {
    let route: Vec<Stage> = arguments.route.iter().map(|text| stage(text)).collect::<Result<_, _>>()?;
    let algorithm = match (&arguments.alg, route.first()) {
        // Parsed here too, for the hint.
        (Some(name), _) => name.parse::<Algorithm>()?.name().to_owned(),
        (None, Some(first)) => first.algorithm.clone(),
        (None, None) => return Err(Failure::usage("missing --alg or --route")),
    };
    Ok(SessionNew {
        algorithm,
        keys: read(&arguments.keys)?,
        padding: !arguments.no_padding,
        allow_ecb: arguments.allow_ecb,
        allow_sha1: false,
        priority: arguments.priority,
        persistent: true,
        name: arguments.name.clone().unwrap_or_default(),
        ordered: arguments.ordered,
        bind: arguments.device.clone().and_then(|device| device.0),
        tenant: arguments.tenant.clone().unwrap_or_default(),
        deadline_ns: arguments.deadline.map(units::nanos),
        route,
    })
}

/// `aes-128-cbc` or `aes-128-cbc@accel0`.
fn stage(text: &str) -> Result<Stage, Failure> {
    let (name, device) = text.split_once('@').map_or((text, None), |(name, device)| (name, Some(device)));
    let algorithm = name.parse::<Algorithm>()?.name().to_owned();
    let wrong = |reason| Failure::usage(format!("'--route': '{text}' {reason}"));
    let bind = device.map(|device| units::parse_bind(device).map_err(wrong)).transpose()?;
    Ok(Stage { algorithm, bind: bind.and_then(|tie| tie.0) })
}

/// The keys that the arguments name, in their order.
fn read(arguments: &SessionKeyArgs) -> Result<Vec<Zeroizing<Vec<u8>>>, Failure> {
    let from_file = |path: &std::path::PathBuf| key::read_file(path, arguments.key_format);
    match arguments.key_fd {
        Some(descriptor) => Ok(vec![key::read_descriptor(descriptor, arguments.key_format)?]),
        None => arguments.key_file.iter().map(from_file).collect(),
    }
}

async fn free(context: &Context, client: &Client, ids: &[u64]) -> Result<Exit, Failure> {
    let mut freed: Vec<String> = Vec::new();
    let mut failed = None;
    for id in ids {
        match found(client.session_free(*id).await) {
            Ok(()) => freed.push(written(*id)),
            Err(failure) if ids.len() > 1 && failure.exit != Exit::NoServer => {
                output::error(&failure);
                failed = Some(failure.exit);
            }
            Err(failure) => return Err(failure),
        }
    }
    match context.printer.format {
        Format::Json => context.printer.json(Some(client.epoch()), &json!({ "freed": freed }))?,
        _ => context.printer.note(&format!("freed {}", freed.join(", "))),
    }
    Ok(match failed {
        None => Exit::Done,
        Some(exit) if freed.is_empty() => exit,
        Some(_) => Exit::Partial,
    })
}

async fn changed(context: &Context, client: &Client, id: u64, what: &str) -> Result<(), Failure> {
    if !context.printer.is_json() {
        context.printer.note(&format!("session '{}' {what}", written(id)));
        return Ok(());
    }
    let session = found(client.session(id).await)?;
    context.printer.json(Some(client.epoch()), &json!({ "session": record::session(&session) }))
}

fn found<T>(answer: Result<T, acrypto_netlink::Error>) -> Result<T, Failure> {
    answer.map_err(|error| {
        let failure = Failure::from(error);
        match failure.exit {
            Exit::NotFound => failure.with_hint("see 'acrypto session list'"),
            _ => failure,
        }
    })
}

fn written(id: u64) -> String {
    format!("{id:#x}")
}
