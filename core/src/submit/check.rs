//! Whether a request can be accepted: everything that can be said without a device.

use super::{Shape, iv};
use crate::algorithm::{Algorithm, OpKind};
use crate::context::Context;
use crate::error::Error;
use crate::op::{Iv, Request};
use crate::route;
use crate::session::SessionSpec;
use crate::shared::Shared;

/// What a request is, or why it can't be accepted.
pub(super) fn check(shared: &Shared, context: &Context, request: &Request) -> Result<Shape, Error> {
    let spec = &context.session.spec;
    let kind = kind(spec, request.kind)?;
    if !context.uses.allows(kind) {
        return Err(Error::NotAllowed { op: kind });
    }
    let got = request.data.len();
    if got > shared.config.op_max_bytes {
        return Err(Error::OpTooLarge { got, limit: shared.config.op_max_bytes });
    }
    // The algorithm that takes the iv and the blocks, and the bytes of tags around its data.
    let (algorithm, inner, outer) = match route::cipher(&spec.route) {
        Some(cipher) => (cipher, route::inner_tags_len(&spec.route), route::sealed_len_min(&spec.route)),
        None => (spec.algorithm, 0, 0),
    };
    let is_made = request.runtime_iv;
    if is_made && (kind != OpKind::Encrypt || algorithm.iv_len() == 0 || !request.iv.is_empty()) {
        return Err(Error::RuntimeIv);
    }
    if !is_made && request.iv.len() != algorithm.iv_len() {
        return Err(Error::IvLength { algorithm, want: algorithm.iv_len(), got: request.iv.len() });
    }
    let takes_aad = algorithm.is_authenticated() || !spec.route.is_empty();
    if !takes_aad && !request.aad.is_empty() {
        return Err(Error::NoAad { algorithm });
    }
    check_length(spec, algorithm, kind, request, (inner, outer))?;
    Ok(Shape::new(spec.algorithm, kind, spec.priority, got))
}

/// What a request is, unless its session has no such kind of operation; nothing else is checked.
#[inline]
pub(super) fn shape(spec: &SessionSpec, request: &Request) -> Option<Shape> {
    let kind = kind(spec, request.kind).ok()?;
    let shape = Shape::new(spec.algorithm, kind, spec.priority, request.data.len());
    Some(shape.flagged(false, request.chain.is_some(), false))
}

/// The iv of a request that leaves it to the runtime, for the context that it is carried out under.
pub(super) fn make_iv(shared: &Shared, context: &Context) -> Result<Iv, Error> {
    let spec = &context.session.spec;
    let algorithm = route::cipher(&spec.route).unwrap_or(spec.algorithm);
    let part = context.parts.iter().find(|part| part.spec.algorithm == algorithm);
    part.map_or(Ok(()), |part| part.key.count_iv(shared.config.ivs_per_key_max))?;
    iv::make(algorithm)
}

fn kind(spec: &SessionSpec, asked: Option<OpKind>) -> Result<OpKind, Error> {
    let algorithm = spec.algorithm;
    let kinds = if spec.route.is_empty() { algorithm.ops() } else { &[OpKind::Encrypt, OpKind::Decrypt] };
    match (asked, kinds) {
        (Some(kind), kinds) if kinds.contains(&kind) => Ok(kind),
        (None, [kind]) => Ok(*kind),
        (kind, _) => Err(Error::NotSupported { algorithm, op: kind.unwrap_or(OpKind::Encrypt) }),
    }
}

/// `tags`: bytes of the tags that are encrypted with the data, and of those around the ciphertext.
fn check_length(
    spec: &SessionSpec,
    algorithm: Algorithm,
    kind: OpKind,
    request: &Request,
    tags: (usize, usize),
) -> Result<(), Error> {
    let got = request.data.len();
    let (inner, outer) = if algorithm.is_authenticated() { (0, algorithm.tag_len(kind)) } else { tags };
    let text = match kind {
        OpKind::Decrypt => got.checked_sub(outer).ok_or(Error::TooShort { algorithm, want: outer, got })?,
        _ => got + inner,
    };
    let block = algorithm.block_len();
    let is_last = request.chain.as_ref().is_none_or(|chain| chain.last);
    let is_padded_now = spec.pads() && kind == OpKind::Encrypt && is_last;
    if algorithm.needs_whole_blocks() && !is_padded_now && !text.is_multiple_of(block) {
        return Err(Error::PartialBlock { algorithm, block, got });
    }
    Ok(())
}
