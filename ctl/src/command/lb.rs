//! `lb`

use acrypto_netlink::Client;
use acrypto_netlink::message::{BalancerInfo, BalancerSet};
use serde_json::{Value, json};

use crate::cli::LbCommand;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{self, Column, Format};
use crate::{record, suggest};

const COLUMNS: &[Column] = &[
    ("name", "NAME"),
    ("current", "CURRENT"),
    ("builtin", "BUILTIN"),
    ("in_force_ns", "FOR"),
    ("moved_ops", "MOVED"),
];

const PARAMETERS: &[Column] = &[("name", "PARAMETER"), ("value", "VALUE"), ("doc", "MEANING")];

const PREVIEWS: &[Column] = &[
    ("name", "BALANCER"),
    ("samples_ops", "SAMPLES"),
    ("span_ns", "OVER"),
    ("p50_ns", "P50"),
    ("p99_ns", "P99"),
    ("imbalance_ratio", "IMBALANCE"),
];

const DECISIONS: &[Column] = &[
    ("age_ns", "AGE"),
    ("alg", "ALG"),
    ("op", "KIND"),
    ("bytes", "BYTES"),
    ("priority", "PRIO"),
    ("balancer", "BALANCER"),
    ("rule", "RULE"),
    ("chosen", "CHOSEN"),
    ("why", "WHY"),
    ("figures", "CANDIDATES"),
];

/// Runs an `lb` command.
pub async fn run(context: &Context, client: &Client, command: &LbCommand) -> Result<Exit, Failure> {
    let epoch = Some(client.epoch());
    match command {
        LbCommand::List => {
            let now_ns = client.stats().await?.now_ns;
            let balancers = client.balancers().await?;
            let rows: Vec<Value> =
                balancers.iter().map(|balancer| record::balancer(balancer, now_ns)).collect();
            context.printer.rows(epoch, "balancers", COLUMNS, &rows)?;
        }
        LbCommand::Get { name } => get(context, client, name.as_deref()).await?,
        LbCommand::Set { name, parameters, if_current, rehash } => {
            let set = BalancerSet {
                name: name.clone(),
                if_current: if_current.clone(),
                parameters: parameters.clone(),
                rehash: *rehash,
            };
            named(client, name, client.balancer_set_with(&set).await).await?;
            changed(context, client, &format!("balancer set to '{name}'")).await?;
        }
        LbCommand::Rehash => {
            client.rehash().await?;
            changed(context, client, "what was queued is placed anew").await?;
        }
        LbCommand::Preview { name, all } => return preview(context, client, name.as_deref(), *all).await,
        LbCommand::Explain { number } => {
            let now_ns = client.stats().await?.now_ns;
            let decisions = client.decisions(*number as usize).await?;
            let rows: Vec<Value> =
                decisions.iter().map(|decision| record::decision(decision, now_ns)).collect();
            context.printer.rows(epoch, "decisions", DECISIONS, &rows)?;
        }
        LbCommand::Unregister { name } => {
            named(client, name, client.balancer_unregister(name).await).await?;
            changed(context, client, &format!("balancer '{name}' unregistered")).await?;
        }
    }
    Ok(Exit::Done)
}

/// The balancer of this name, or the one in force.
async fn find(client: &Client, name: Option<&str>) -> Result<BalancerInfo, Failure> {
    let balancers = client.balancers().await?;
    let is_meant = |balancer: &&BalancerInfo| match name {
        Some(name) => balancer.name == name,
        None => balancer.current,
    };
    match (balancers.iter().find(is_meant), name) {
        (Some(found), _) => Ok(found.clone()),
        (None, Some(name)) => Err(unknown(name, &balancers)),
        (None, None) => Err(Failure::new(Exit::Bug, "no balancer is in force")),
    }
}

async fn get(context: &Context, client: &Client, name: Option<&str>) -> Result<(), Failure> {
    let epoch = Some(client.epoch());
    let now_ns = client.stats().await?.now_ns;
    let balancer = find(client, name).await?;
    let mut row = record::balancer(&balancer, now_ns);
    let parameters: Vec<Value> = balancer.parameters.iter().map(record::parameter).collect();
    if context.printer.format != Format::Table {
        row["parameters"] = parameters.into();
        return context.printer.record(epoch, &row);
    }
    context.printer.record(epoch, &row)?;
    if !parameters.is_empty() {
        output::write_line("")?;
        context.printer.rows(epoch, "parameters", PARAMETERS, &parameters)?;
    }
    Ok(())
}

async fn preview(context: &Context, client: &Client, name: Option<&str>, all: bool) -> Result<Exit, Failure> {
    let names: Vec<String> = match all {
        true => client.balancers().await?.into_iter().map(|balancer| balancer.name).collect(),
        false => vec![find(client, name).await?.name],
    };
    let (mut rows, mut failed) = (Vec::new(), None);
    for name in &names {
        match named(client, name, client.preview(name).await).await {
            Ok(preview) => rows.push(record::preview(&preview)),
            // One that cannot be copied must not hide the others.
            Err(failure) if all && failure.exit != Exit::NoServer => failed = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    match failed {
        Some(failure) if rows.is_empty() => return Err(failure),
        Some(ref failure) => output::error(failure),
        None => {}
    }
    context.printer.rows(Some(client.epoch()), "previews", PREVIEWS, &rows)?;
    Ok(if failed.is_some() { Exit::Partial } else { Exit::Done })
}

/// Says what was done; in JSON, the balancer in force now.
async fn changed(context: &Context, client: &Client, what: &str) -> Result<(), Failure> {
    if !context.printer.is_json() {
        context.printer.note(what);
        return Ok(());
    }
    let now_ns = client.stats().await?.now_ns;
    let current = record::balancer(&find(client, None).await?, now_ns);
    context.printer.json(Some(client.epoch()), &json!({ "balancer": current }))
}

async fn named<T>(
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
    Err(unknown(name, &client.balancers().await.unwrap_or_default()))
}

fn unknown(name: &str, balancers: &[BalancerInfo]) -> Failure {
    let near = suggest::nearest(name, balancers.iter().map(|balancer| balancer.name.as_str()));
    Failure::new(Exit::NotFound, format!("balancer '{name}' not found")).with_hint(match near {
        Some(near) => format!("did you mean '{near}'? see 'acrypto lb list'"),
        None => "see 'acrypto lb list'".to_owned(),
    })
}
