//! `lb`

use acrypto_netlink::Client;
use acrypto_netlink::message::BalancerInfo;
use serde_json::{Value, json};

use crate::cli::LbCommand;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::Column;
use crate::{record, suggest};

const COLUMNS: &[Column] = &[
    ("name", "NAME"),
    ("current", "CURRENT"),
    ("builtin", "BUILTIN"),
    ("in_force_ns", "FOR"),
    ("moved_ops", "MOVED"),
];

/// Runs an `lb` command.
pub async fn run(context: &Context, client: &Client, command: &LbCommand) -> Result<Exit, Failure> {
    let epoch = Some(client.epoch());
    match command {
        LbCommand::List => {
            let rows = rows(client, |_| true).await?;
            context.printer.rows(epoch, "balancers", COLUMNS, &rows)?;
        }
        LbCommand::Get => {
            let rows = rows(client, |balancer| balancer.current).await?;
            let current = rows.first().ok_or_else(|| Failure::new(Exit::Bug, "no balancer is in force"))?;
            context.printer.record(epoch, current)?;
        }
        LbCommand::Set { name, if_current } => {
            let set = client.balancer_set(name, if_current.as_deref()).await;
            named(client, name, set).await?;
            if context.printer.is_json() {
                let rows = rows(client, |balancer| balancer.current).await?;
                context.printer.json(epoch, &json!({ "balancer": rows.first() }))?;
            } else {
                context.printer.note(&format!("balancer set to '{name}'"));
            }
        }
    }
    Ok(Exit::Done)
}

async fn rows(client: &Client, wanted: impl Fn(&BalancerInfo) -> bool) -> Result<Vec<Value>, Failure> {
    let now_ns = client.stats().await?.now_ns;
    let balancers = client.balancers().await?;
    Ok(balancers
        .iter()
        .filter(|balancer| wanted(balancer))
        .map(|balancer| record::balancer(balancer, now_ns))
        .collect())
}

async fn named(
    client: &Client,
    name: &str,
    answer: Result<(), acrypto_netlink::Error>,
) -> Result<(), Failure> {
    let Err(error) = answer else { return Ok(()) };
    let failure = Failure::from(error);
    if failure.exit != Exit::NotFound {
        return Err(failure);
    }
    let balancers = client.balancers().await.unwrap_or_default();
    let near = suggest::nearest(name, balancers.iter().map(|balancer| balancer.name.as_str()));
    Err(failure.with_hint(match near {
        Some(near) => format!("did you mean '{near}'? see 'acrypto lb list'"),
        None => "see 'acrypto lb list'".to_owned(),
    }))
}
