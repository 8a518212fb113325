//! `op encrypt` and `op decrypt`.

use std::io::{IsTerminal as _, stdout};
use std::sync::Arc;

use acrypto_core::{Algorithm, BufferPool, Error, Iv, OpKind};
use serde_json::json;

use super::engine::{
    EMBEDDED_CHUNK_BYTES, Engine, Job, Session, SessionPlan, counter_iv, is_parallel, is_stream,
};
use super::input::{Identity, Input};
use super::pipeline::{self, Chunk, Lane, Made, Outcome};
use super::positional::{self, Transform};
use super::target::{Kept, Target, Writer};
use crate::cli::CipherArgs;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::{key, units};

/// A file to pass through a session.
struct Task {
    engine: Engine,
    plan: SessionPlan,
    kind: OpKind,
    iv: Iv,
    aad: Vec<u8>,
    input: Input,
    writer: Writer,
}

/// Encrypts or decrypts.
pub async fn run(context: &Context, kind: OpKind, arguments: CipherArgs) -> Result<Exit, Failure> {
    let algorithm: Algorithm = arguments.alg.parse()?;
    if !algorithm.ops().contains(&kind) {
        return Err(Error::NotSupported { algorithm, op: kind }.into());
    }
    let iv = iv(algorithm, kind, &arguments)?;
    if arguments.aad.is_some() && !algorithm.is_authenticated() {
        return Err(Error::NoAad { algorithm }.into());
    }
    let plan = SessionPlan {
        algorithm,
        key: key::read(&arguments.key)?,
        padding: !arguments.no_padding && algorithm.needs_whole_blocks(),
        allow_ecb: arguments.allow_ecb,
        allow_sha1: false,
    };
    check_key_len(&plan)?;
    let input = Input::open(arguments.input.as_deref())?;
    check_len(&plan, &input)?;
    let mut kept = Vec::new();
    kept.extend(input.identity().map(|identity| Kept { identity, role: "input" }));
    kept.extend(Identity::of(&key::path(&arguments.key)).map(|identity| Kept { identity, role: "key file" }));
    let target = Target::create(arguments.output.as_deref(), &kept)?;
    super::refuse_json(context, &target)?;
    if target.is_stdout() && kind == OpKind::Encrypt && arguments.output.is_none() && stdout().is_terminal() {
        return Err(Failure::usage("ciphertext would go to the terminal")
            .with_hint("pass -o FILE, or -o - to insist"));
    }

    let is_long = input.len_bytes().is_none_or(|len| len >= EMBEDDED_CHUNK_BYTES as u64);
    let at_once = if is_long && is_parallel(algorithm) { usize::MAX } else { 1 };
    let engine = Engine::start(context, algorithm, at_once).await?;
    let epoch = engine.epoch();
    let input_name = input.name().to_owned();
    let aad = arguments.aad.map(|hex| hex.0).unwrap_or_default();
    let mut task = Task { engine: engine.clone(), plan, kind, iv, aad, input, writer: target.writer()? };
    // Plain files keep nobody waiting, so that a signal can wait for them.
    let here = match task.writer.is_positional() {
        true => task.short()?,
        false => None,
    };
    let outcome = match here {
        Some(outcome) => outcome,
        None => super::on_thread(&engine, move || task.run()).await?,
    };
    let output_name = target.name().to_owned();
    let is_stdout = target.is_stdout();
    target.commit()?;
    if arguments.iv_random {
        crate::output::error_line(&format!("iv {}", units::hex(iv.as_slice())));
    }
    if context.printer.is_json() && !is_stdout {
        let mut data = json!({
            "alg": algorithm.name(),
            "op": kind.name(),
            "input": input_name,
            "output": output_name,
            "input_bytes": outcome.input_bytes,
            "output_bytes": outcome.output_bytes,
        });
        if !iv.is_empty() {
            data["iv"] = units::hex(iv.as_slice()).into();
        }
        context.printer.json(epoch, &data)?;
    }
    Ok(Exit::Done)
}

/// The iv asked for; its length is the algorithm's.
fn iv(algorithm: Algorithm, kind: OpKind, arguments: &CipherArgs) -> Result<Iv, Failure> {
    let want = algorithm.iv_len();
    let given = match &arguments.iv {
        Some(hex) => hex.0.clone(),
        None if arguments.iv_random && kind == OpKind::Decrypt => {
            return Err(Failure::usage("'--iv-random' cannot decrypt")
                .with_hint("pass the iv of the encryption: --iv HEX"));
        }
        None if arguments.iv_random => {
            let mut bytes = vec![0; want];
            rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
                .map_err(|error| Failure::file("read", "the system's random numbers", &error.into()))?;
            bytes
        }
        None if want == 0 => Vec::new(),
        None => {
            let hint = match kind {
                OpKind::Encrypt => "pass --iv HEX, or --iv-random to draw one",
                _ => "pass the iv of the encryption: --iv HEX",
            };
            return Err(Failure::usage(format!("{algorithm} needs an iv of {want} bytes")).with_hint(hint));
        }
    };
    match Iv::new(&given) {
        Some(iv) if given.len() == want => Ok(iv),
        _ => Err(Error::IvLength { algorithm, want, got: given.len() }.into()),
    }
}

fn check_key_len(plan: &SessionPlan) -> Result<(), Failure> {
    let want = plan.algorithm.key_len();
    if want.contains(&plan.key.len()) {
        return Ok(());
    }
    let want = match want.start() == want.end() {
        true => want.start().to_string(),
        false => format!("{} to {}", want.start(), want.end()),
    };
    Err(Error::KeyLength { algorithm: plan.algorithm, want, got: plan.key.len() }.into())
}

/// What can be known to be wrong before a byte is read.
fn check_len(plan: &SessionPlan, input: &Input) -> Result<(), Failure> {
    let (algorithm, block) = (plan.algorithm, plan.algorithm.block_len());
    match input.len_bytes() {
        Some(len) if algorithm.needs_whole_blocks() && !plan.padding && len % block as u64 != 0 => {
            Err(partial_block(algorithm, len))
        }
        _ => Ok(()),
    }
}

fn partial_block(algorithm: Algorithm, len: u64) -> Failure {
    let got = usize::try_from(len).unwrap_or(usize::MAX);
    Error::PartialBlock { algorithm, block: algorithm.block_len(), got }.into()
}

impl Task {
    /// A short plain file in this process, in one piece and by this thread; `None` if it is none.
    fn short(&mut self) -> Result<Option<Outcome>, Failure> {
        if !matches!(self.engine, Engine::Embedded(_)) {
            return Ok(None);
        }
        let Some(data) = self.input.read_short(EMBEDDED_CHUNK_BYTES)? else { return Ok(None) };
        let session = self.engine.session(&self.plan)?;
        let input_bytes = data.len() as u64;
        let made = match is_stream(self.plan.algorithm) {
            true => {
                let mut lane = self.lane(&session)?;
                lane(Chunk { index: 0, data, last: true })?.data
            }
            false => {
                let aad = std::mem::take(&mut self.aad);
                session.call(Job { kind: self.kind, data, iv: self.iv, aad })?
            }
        };
        self.writer.write(&made)?;
        Ok(Some(Outcome { input_bytes, output_bytes: made.len() as u64, output: Vec::new() }))
    }

    fn run(mut self) -> Result<Outcome, Failure> {
        if let Some(outcome) = self.short()? {
            return Ok(outcome);
        }
        let session = self.engine.session(&self.plan)?;
        match self.plan.algorithm {
            algorithm if algorithm.is_authenticated() => self.one_shot(&session),
            algorithm if is_parallel(algorithm) => self.parallel(&session),
            _ => self.stream(&session),
        }
    }

    /// The whole input as one operation; nothing is written before it has succeeded.
    fn one_shot(mut self, session: &Session) -> Result<Outcome, Failure> {
        let algorithm = self.plan.algorithm;
        let plaintext_max = self.engine.one_shot_max_bytes();
        let limit = match self.kind {
            OpKind::Decrypt if self.plan.padding => {
                plaintext_max + (algorithm.tag_len(self.kind) + algorithm.block_len()) as u64
            }
            kind => plaintext_max + algorithm.tag_len(kind) as u64,
        };
        let name = self.input.name().to_owned();
        let too_large = || {
            let failure = Failure::usage(format!(
                "'{name}' is too large for {} in one piece: at most {}",
                self.plan.algorithm,
                units::human_bytes(plaintext_max as f64)
            ));
            match self.engine {
                Engine::Daemon(..) => {
                    failure.with_hint("without --connect the limit is 1 GiB; ctr and cbc have none")
                }
                Engine::Embedded(_) => failure.with_hint("ctr and cbc have no limit"),
            }
        };
        let data = self.input.read_all(limit)?.ok_or_else(too_large)?;
        let input_bytes = data.len() as u64;
        let data = session.call(Job { kind: self.kind, data, iv: self.iv, aad: self.aad })?;
        self.writer.write(&data)?;
        Ok(Outcome { input_bytes, output_bytes: data.len() as u64, output: Vec::new() })
    }

    /// Chunks side by side, each with its own counter.
    fn parallel(self, session: &Session) -> Result<Outcome, Failure> {
        let chunk_bytes = self.engine.chunk_bytes();
        let (kind, iv) = (self.kind, self.iv);
        if let (Engine::Embedded(_), Some(input_bytes)) = (&self.engine, self.input.positional_len())
            && self.writer.is_positional()
        {
            let session = session.clone();
            let transform: Transform = Arc::new(move |offset, data| {
                session.call(Job { kind, data, iv: counter_iv(&iv, offset), aad: Vec::new() })
            });
            return positional::run(self.input, input_bytes, self.engine.lanes(), self.writer, transform);
        }
        let lane = || -> Lane {
            let session = session.clone();
            Box::new(move |chunk| {
                if chunk.data.is_empty() {
                    return Ok(Made { data: chunk.data, output: Vec::new() });
                }
                let iv = counter_iv(&iv, chunk.index * chunk_bytes as u64);
                let data = session.call(Job { kind, data: chunk.data, iv, aad: Vec::new() })?;
                Ok(Made { data, output: Vec::new() })
            })
        };
        let lanes = (0..self.engine.lanes()).map(|_| lane()).collect();
        let pool = BufferPool::new(pipeline::chunks(self.engine.lanes()), chunk_bytes);
        pipeline::run(self.input, &pool, lanes, Some(self.writer))
    }

    /// Chunk after chunk, each from the state the one before left.
    fn stream(self, session: &Session) -> Result<Outcome, Failure> {
        let lane = self.lane(session)?;
        let pool = BufferPool::new(pipeline::chunks(1), self.engine.chunk_bytes());
        pipeline::run(self.input, &pool, vec![lane], Some(self.writer))
    }

    /// What passes the chunks on.
    fn lane(&self, session: &Session) -> Result<Lane, Failure> {
        let chunk_bytes = self.engine.chunk_bytes();
        let mut through = pipeline::in_order(session.stream(self.kind, self.iv)?);
        let algorithm = self.plan.algorithm;
        let whole_blocks_only = !self.plan.padding;
        Ok(Box::new(move |chunk| {
            let partial = chunk.data.len() % algorithm.block_len() != 0;
            if partial && whole_blocks_only {
                return Err(partial_block(
                    algorithm,
                    chunk.index * chunk_bytes as u64 + chunk.data.len() as u64,
                ));
            }
            through(chunk)
        }))
    }
}
