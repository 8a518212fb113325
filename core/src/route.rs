//! Routes: an operation that goes through several stages, each on a device of its own.
//!
//! A route names a cipher and one MAC or more. In the order given they encrypt: a MAC after the cipher covers aad, iv and
//! ciphertext (encrypt-then-MAC, as IPsec: RFC 4303 with the truncation of RFC 4868), one before it covers aad and
//! plaintext, and is encrypted with it (MAC-then-encrypt). Decryption goes the other way round. Nothing is released before
//! every stage has passed; a wrong tag and wrong padding are one error.
//!
//! MAC-then-encrypt is for old protocols: the time it takes to refuse a forgery depends on the length of what was
//! decrypted (Lucky Thirteen, AlFardan and Paterson 2013). New ones encrypt first.

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use std::sync::Arc;

use crate::algorithm::{Algorithm, Class, OpKind};
use crate::context::{Context, Part};
use crate::error::{Error, OpError};
use crate::op::{Iv, Output};
use crate::padding;
use crate::session::{Bind, SessionSpec};
use crate::submit::{Body, Shape};

/// Most stages of a route.
pub const ROUTE_STAGES_MAX: usize = 4;

/// One stage of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its algorithm: `cbc`, `ctr` or `ecb` for the cipher, `hmac` for the others.
    pub algorithm: Algorithm,
    /// What this stage is tied to; `None` takes the session's tie.
    pub bind: Option<Bind>,
}

impl Stage {
    /// A stage on any device.
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, bind: None }
    }

    /// Tied to a device or a kind of device.
    pub fn bind(mut self, bind: Bind) -> Self {
        self.bind = Some(bind);
        self
    }
}

fn is_cipher(algorithm: Algorithm) -> bool {
    matches!(algorithm.class(), Class::Cbc | Class::Ctr | Class::Ecb)
}

/// Whether the stages make sense together.
pub(crate) fn check(route: &[Stage]) -> Result<(), Error> {
    let ciphers = route.iter().filter(|stage| is_cipher(stage.algorithm)).count();
    let macs = route.iter().filter(|stage| stage.algorithm.class() == Class::Mac).count();
    if ciphers == 1 && macs >= 1 && ciphers + macs == route.len() && route.len() <= ROUTE_STAGES_MAX {
        return Ok(());
    }
    let names: Vec<&str> = route.iter().map(|stage| stage.algorithm.name()).collect();
    Err(Error::BadRoute { route: names.join(","), stages_max: ROUTE_STAGES_MAX })
}

/// Bytes of the tag that a stage adds: half the hash after the cipher (RFC 4868 section 2.6), all of it before.
fn tag_len(parts: &[Part], stage: usize) -> usize {
    let length = parts[stage].spec.algorithm.output_len();
    if is_after_cipher(parts, stage) { length / 2 } else { length }
}

fn is_after_cipher(parts: &[Part], stage: usize) -> bool {
    parts[..stage].iter().any(|part| is_cipher(part.spec.algorithm))
}

/// Bytes that an encrypted operation has at least: the tags that are added after the cipher.
pub(crate) fn sealed_len_min(route: &[Stage]) -> usize {
    let after = route.iter().skip_while(|stage| !is_cipher(stage.algorithm)).skip(1);
    after.map(|stage| stage.algorithm.output_len() / 2).sum()
}

/// Bytes of the tags that are added before the cipher, and encrypted with the data.
pub(crate) fn inner_tags_len(route: &[Stage]) -> usize {
    let before = route.iter().take_while(|stage| !is_cipher(stage.algorithm));
    before.map(|stage| stage.algorithm.output_len()).sum()
}

/// The algorithm of the cipher, which takes the iv.
pub(crate) fn cipher(route: &[Stage]) -> Option<Algorithm> {
    route.iter().map(|stage| stage.algorithm).find(|algorithm| is_cipher(*algorithm))
}

/// An operation on its way through its stages.
#[derive(Debug)]
pub(crate) struct Route {
    context: Arc<Context>,
    /// `Encrypt` or `Decrypt`.
    pub(crate) kind: OpKind,
    stage: usize,
    is_at_first: bool,
    iv: Iv,
    aad: Vec<u8>,
    is_padded: bool,
    /// Length of the input.
    input_len: usize,
    /// The data while a MAC works on a copy that has aad and iv in front.
    kept: Vec<u8>,
    /// The tag that was taken off the data.
    tag: Vec<u8>,
    /// Padding was wrong; what follows is carried out all the same.
    is_forged: bool,
}

impl Drop for Route {
    fn drop(&mut self) {
        self.kept.zeroize();
    }
}

impl Route {
    /// The stage an operation is at, from 0.
    pub(crate) fn stage(&self) -> usize {
        self.stage
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    pub(crate) fn part(&self) -> &Part {
        &self.context.parts[self.stage]
    }
}

/// Puts a filled body on its way: it is ready for its first stage then. Gives the kind and length of that.
pub(crate) fn begin(body: &mut Body, context: Arc<Context>, kind: OpKind) {
    let stage = if kind == OpKind::Encrypt { 0 } else { context.parts.len() - 1 };
    let route = Route {
        context,
        kind,
        stage,
        is_at_first: true,
        iv: body.iv,
        aad: std::mem::take(&mut body.aad),
        is_padded: std::mem::take(&mut body.is_padded),
        input_len: body.data.len(),
        kept: Vec::new(),
        tag: Vec::new(),
        is_forged: false,
    };
    body.route = Some(Box::new(route));
    prepare(body);
}

/// The shape of the stage a body is ready for.
pub(crate) fn shape(body: &Body, from: Shape) -> Shape {
    let Some(route) = &body.route else { return from };
    let algorithm = route.part().spec.algorithm;
    let kind = if is_cipher(algorithm) { route.kind } else { OpKind::Mac };
    from.with_work(algorithm, kind, body.data.len())
}

/// Arranges data, iv and aad as the stage's device is to see them.
fn prepare(body: &mut Body) {
    let Some(route) = body.route.as_deref_mut() else { return };
    body.output = Output::none();
    let algorithm = route.part().spec.algorithm;
    if is_cipher(algorithm) {
        body.iv = route.iv;
        if route.is_padded && route.kind == OpKind::Encrypt {
            padding::pad_pkcs7(&mut body.data, algorithm.block_len());
        }
        return;
    }
    let parts = &route.context.parts;
    if route.kind == OpKind::Decrypt {
        let text_len = body.data.len().checked_sub(tag_len(parts, route.stage));
        match text_len {
            Some(text_len) => route.tag = body.data.split_off(text_len),
            None => route.is_forged = true,
        }
    }
    let iv = if is_after_cipher(parts, route.stage) { route.iv.as_slice() } else { &[] };
    let mut covered = Vec::with_capacity(route.aad.len() + iv.len() + body.data.len());
    covered.extend_from_slice(&route.aad);
    covered.extend_from_slice(iv);
    covered.extend_from_slice(&body.data);
    route.kept = std::mem::replace(&mut body.data, covered);
    body.iv = Iv::NONE;
}

/// A stage has succeeded. True if another one follows, for which the body is ready then; else it is over, well or with
/// `body.error`.
pub(crate) fn advance(body: &mut Body) -> bool {
    let Some(route) = body.route.as_deref_mut() else { return false };
    let algorithm = route.part().spec.algorithm;
    if is_cipher(algorithm) {
        if route.is_padded
            && route.kind == OpKind::Decrypt
            && !padding::unpad_pkcs7_or_leave(&mut body.data, algorithm.block_len())
        {
            route.is_forged = true;
        }
    } else {
        let length = tag_len(&route.context.parts, route.stage);
        let tag = &body.output.as_slice()[..length.min(body.output.as_slice().len())];
        if route.kind == OpKind::Decrypt {
            route.is_forged |= !bool::from(tag.ct_eq(&route.tag));
        } else {
            route.kept.extend_from_slice(tag);
        }
        body.data.zeroize();
        body.data = std::mem::take(&mut route.kept);
        body.output = Output::none();
    }
    let next = match route.kind {
        OpKind::Encrypt => Some(route.stage + 1).filter(|stage| *stage < route.context.parts.len()),
        _ => route.stage.checked_sub(1),
    };
    // A cipher behind a forged MAC is not worth its work; a MAC behind wrong padding must not be skipped.
    let is_refused = route.is_forged && !is_cipher(algorithm);
    match next {
        Some(stage) if !is_refused => {
            route.stage = stage;
            route.is_at_first = false;
            prepare(body);
            true
        }
        _ => {
            if route.is_forged {
                body.data.zeroize();
                body.source_intact = false;
                body.error = Some(OpError::DecryptionFailed);
            }
            body.iv = route.iv;
            false
        }
    }
}

/// The operation failed on its way: its input comes back if no stage has passed, else nothing does.
pub(crate) fn give_back(body: &mut Body) {
    let Some(route) = body.route.as_deref_mut() else { return };
    body.iv = route.iv;
    if !route.is_at_first || !body.source_intact {
        body.data.zeroize();
        body.source_intact = false;
    } else if is_cipher(route.part().spec.algorithm) {
        body.data.truncate(route.input_len);
    } else {
        body.data.zeroize();
        body.data = std::mem::take(&mut route.kept);
        body.data.append(&mut route.tag);
    }
}

/// The operation is over: its keys are not needed while its result waits to be fetched.
pub(crate) fn end(body: &mut Body) {
    if let Some(route) = body.route.take() {
        body.stage = route.stage as u8;
    }
}

/// The specifications that the devices of each stage see.
pub(crate) fn specs(spec: &SessionSpec) -> Vec<Arc<SessionSpec>> {
    if spec.route.is_empty() {
        return vec![Arc::new(spec.clone())];
    }
    let of_stage = |stage: &Stage| {
        Arc::new(SessionSpec {
            algorithm: stage.algorithm,
            bind: stage.bind.clone().or_else(|| spec.bind.clone()),
            name: String::new(),
            route: Vec::new(),
            ..spec.clone()
        })
    };
    spec.route.iter().map(of_stage).collect()
}
