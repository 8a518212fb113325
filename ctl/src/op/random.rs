//! `op random`.

use acrypto_core::{Algorithm, Iv, OpKind};
use serde_json::json;

use super::engine::{Engine, Job, SessionPlan};
use super::target::{Target, Writer};
use crate::cli::RandomArgs;
use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Writes random bytes.
pub async fn run(context: &Context, arguments: RandomArgs) -> Result<Exit, Failure> {
    let target = Target::create(arguments.output.as_deref(), &[])?;
    super::refuse_json(context, &target)?;
    let engine = Engine::start(context, Algorithm::Random, 1).await?;
    let (epoch, bytes) = (engine.epoch(), arguments.bytes);
    let (on, writer) = (engine.clone(), target.writer()?);
    super::on_thread(&engine, move || draw(&on, bytes, writer)).await?;
    let (name, is_stdout) = (target.name().to_owned(), target.is_stdout());
    target.commit()?;
    if context.printer.is_json() && !is_stdout {
        context.printer.json(epoch, &json!({ "output": name, "output_bytes": bytes }))?;
    }
    Ok(Exit::Done)
}

fn draw(engine: &Engine, bytes: usize, mut writer: Writer) -> Result<(), Failure> {
    let session = engine.session(&SessionPlan::keyless(Algorithm::Random))?;
    let mut left = bytes;
    let mut buffer = Vec::new();
    while left > 0 {
        buffer.resize(left.min(engine.chunk_bytes()), 0);
        buffer = session.call(Job { kind: OpKind::Random, data: buffer, iv: Iv::NONE, aad: Vec::new() })?;
        writer.write(&buffer)?;
        left -= buffer.len();
    }
    Ok(())
}
