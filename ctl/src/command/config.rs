//! `config`: what can be set of a runtime.

use std::path::Path;

use acrypto_core::setup::AUTO;
use acrypto_core::{DeviceSetup, Setting, Setup, TenantSetup};
use acrypto_netlink::Client;
use serde_json::{Value, json};

use crate::cli::ConfigCommand;
use crate::config::{self, Loaded};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::op::target::Target;
use crate::output::Column;
use crate::record;

const COLUMNS: &[Column] =
    &[("name", "NAME"), ("value", "VALUE"), ("default", "DEFAULT"), ("least", "LEAST"), ("most", "MOST")];

/// Checks a file, without a server.
pub fn check(context: &Context, file: &Path) -> Result<Exit, Failure> {
    let Setup { devices, tenants, balancer, .. } = Loaded::read(file)?.setup;
    let file = file.display().to_string();
    match context.printer.is_json() {
        true => context.printer.json(
            None,
            &json!({ "file": file, "devices": devices.len(), "balancer": balancer, "tenants": tenants.len() }),
        )?,
        false => context.printer.note(&format!("'{file}' is good")),
    }
    Ok(Exit::Done)
}

/// Runs a `config` command that talks to a server.
pub async fn run(context: &Context, client: &Client, command: &ConfigCommand) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Show => show(context, client).await,
        ConfigCommand::Save { file } => save(context, client, file).await,
        ConfigCommand::Check { file } => check(context, file),
    }
}

async fn show(context: &Context, client: &Client) -> Result<Exit, Failure> {
    let settings: Vec<Value> = client.settings().await?.iter().map(record::setting).collect();
    let epoch = Some(client.epoch());
    if !context.printer.is_json() {
        context.printer.rows(epoch, "limits", COLUMNS, &settings)?;
        return Ok(Exit::Done);
    }
    let setup = setup(client).await?;
    context.printer.json(epoch, &record::setup(&setup, settings))?;
    Ok(Exit::Done)
}

async fn save(context: &Context, client: &Client, file: &Path) -> Result<Exit, Failure> {
    let target = Target::create(Some(file), &[])?;
    if target.is_stdout() && context.printer.is_json() {
        return Err(Failure::usage("'--json' cannot be used where standard output carries the file")
            .with_hint("'acrypto config show --json' prints the same as JSON"));
    }
    let text = config::write(&setup(client).await?);
    let name = target.name().to_owned();
    target.writer()?.write(text.as_bytes())?;
    let is_stdout = target.is_stdout();
    target.commit()?;
    match context.printer.is_json() {
        true => context.printer.json(Some(client.epoch()), &json!({ "file": name }))?,
        false if is_stdout => {}
        false => context.printer.note(&format!("saved to '{name}'")),
    }
    Ok(Exit::Done)
}

/// What is set of the server's runtime, put together from its tables.
async fn setup(client: &Client) -> Result<Setup, Failure> {
    let (settings, devices, balancers, tenants) =
        tokio::try_join!(client.settings(), client.devices(), client.balancers(), client.tenants())?;
    let mut setup = Setup::default();
    for theirs in settings {
        let setting = Setting::find(&theirs.name).ok_or_else(|| {
            Failure::new(
                Exit::NoServer,
                format!("server has a setting '{}', this program does not", theirs.name),
            )
            .with_hint("use the version of 'acrypto' that the server has")
        })?;
        setting.set(&mut setup.config, theirs.value)?;
    }
    setup.devices = devices
        .into_iter()
        .filter(|device| device.leaving.is_none_or(|leaving| !leaving.is_removal))
        .map(|device| DeviceSetup {
            name: device.name,
            kind: device.kind,
            parameters: device.parameters,
            shadow_rate: device.shadow_rate,
        })
        .collect();
    for balancer in balancers {
        if balancer.current {
            setup.balancer.clone_from(&balancer.name);
        }
        let set = balancer.parameters.into_iter().filter(|one| one.value != AUTO);
        let parameters: Vec<_> = set.map(|one| (one.name, one.value)).collect();
        if !parameters.is_empty() {
            setup.balancer_parameters.push((balancer.name, parameters));
        }
    }
    setup.tenants = tenants
        .into_iter()
        .filter(|tenant| tenant.weight != 1 || tenant.limit_ops != 0)
        .map(|tenant| TenantSetup { name: tenant.name, weight: tenant.weight, limit_ops: tenant.limit_ops })
        .collect();
    Ok(setup)
}
