//! Whether a request can be accepted: everything that can be said without a device.

use super::{Shape, iv};
use crate::algorithm::{Algorithm, OpKind};
use crate::buffers::SEGMENTS_MAX;
use crate::context::Context;
use crate::error::Error;
use crate::key::Uses;
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
    let got = request.input_len();
    if request.input.is_some() {
        check_input(kind, request)?;
    }
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

/// What the requests of a session without a route must be, in the form that is quickest to check.
#[derive(Debug)]
pub(crate) struct Rules {
    /// All that follows, in two words: what passes under some rules passes under equal ones.
    sum: (u64, u64),
    /// The shape of an operation, without kind and length.
    shape: Shape,
    /// The kinds of operation that there are.
    kinds: Uses,
    /// Number of the only kind, or 0.
    only_kind: u8,
    iv_len: u8,
    pub(crate) takes_aad: bool,
    /// Lengths are whole blocks of so many bytes.
    block: u8,
    /// Least length of what is decrypted.
    tag_len: u8,
    /// The runtime pads.
    pub(crate) pads: bool,
}

impl Rules {
    pub(crate) fn of(spec: &SessionSpec) -> Self {
        let algorithm = spec.algorithm;
        let kinds = algorithm.ops();
        let mut rules = Self {
            sum: (0, 0),
            shape: Shape::new(algorithm, OpKind::Encrypt, spec.priority, 0).without_kind(),
            kinds: Uses::only(kinds),
            only_kind: if let [kind] = kinds { *kind as u8 } else { 0 },
            iv_len: algorithm.iv_len() as u8,
            takes_aad: algorithm.is_authenticated(),
            block: if algorithm.needs_whole_blocks() { algorithm.block_len() as u8 } else { 1 },
            tag_len: algorithm.tag_len(OpKind::Decrypt) as u8,
            pads: spec.pads(),
        };
        let Self { sum: _, shape, kinds, only_kind, iv_len, takes_aad, block, tag_len, pads } = &rules;
        let bytes =
            [kinds.bits(), *only_kind, *iv_len, u8::from(*takes_aad), *block, *tag_len, u8::from(*pads), 0];
        rules.sum = (shape.0, u64::from_le_bytes(bytes));
        rules
    }

    /// Whether what passes under these passes under those.
    #[inline(always)]
    pub(crate) fn are_like(&self, others: &Self) -> bool {
        self.sum == others.sum
    }

    /// What a request is, unless its session has no such kind of operation or its input lies apart; nothing else is checked.
    #[inline(always)]
    pub(crate) fn rough_shape(&self, request: &Request) -> Option<Shape> {
        let kind = request.kind.map_or(self.only_kind, |kind| kind as u8);
        (kind > 0 && self.kinds.allows_number(kind) && request.input.is_none())
            .then(|| self.shape_of(kind, request.data.len(), request.chain.is_some()))
    }

    /// The shape of an operation of this kind, by number, and length.
    #[inline(always)]
    pub(crate) fn shape_of(&self, kind: u8, bytes: usize, is_chunk: bool) -> Shape {
        self.shape.with_kind_and_bytes(kind, bytes).flagged(false, is_chunk, false)
    }

    /// What a request is, if it is right beyond doubt. `None` says nothing: [`check`] decides.
    #[inline(always)]
    pub(crate) fn shape(&self, request: &Request, uses: Uses, bytes_max: usize) -> Option<Shape> {
        let shape = self.rough_shape(request)?;
        let length = request.data.len();
        let is_decrypt = shape.kind_number() == OpKind::Decrypt as u8;
        let text = if is_decrypt { length.wrapping_sub(usize::from(self.tag_len)) } else { length };
        let is_right = uses.allows_number(shape.kind_number())
            && length <= bytes_max
            && text <= length
            && !request.runtime_iv
            && request.iv.len() == usize::from(self.iv_len)
            && (self.takes_aad || request.aad.is_empty())
            && (self.block == 1 || text % usize::from(self.block) == 0);
        is_right.then_some(shape)
    }
}

fn check_input(kind: OpKind, request: &Request) -> Result<(), Error> {
    if kind == OpKind::Random && request.source().is_some() {
        return Err(Error::NothingToRead { op: kind });
    }
    match request.segments().len() {
        got if got > SEGMENTS_MAX => Err(Error::TooManySegments { got, limit: SEGMENTS_MAX }),
        _ => Ok(()),
    }
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
    let got = request.input_len();
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Config, Key, Padding, Runtime};

    #[test]
    fn what_the_short_check_passes_the_long_one_passes_alike() {
        let runtime = Runtime::unthreaded(Config { op_max_bytes: 100, ..Config::default() });
        for name in ["soft", "null"] {
            runtime.add_device_of_kind(name, name, &[], 0).unwrap();
        }
        let mut passed = 0;
        for (algorithm, padding) in
            Algorithm::ALL.iter().flat_map(|a| [(*a, Padding::None), (*a, Padding::Pkcs7)])
        {
            let spec = SessionSpec::new(algorithm).padding(padding).allow_ecb(true).allow_sha1(true);
            let session = runtime.session(spec, Key::new(vec![1; *algorithm.key_len().start()])).unwrap();
            let context = session.open.state.current.load_full().unwrap();
            let kinds = OpKind::ALL.into_iter().map(Some).chain([None]);
            for (kind, length, iv, aad) in kinds.flat_map(|kind| {
                [0, 1, 15, 16, 17, 48, 100, 101].into_iter().flat_map(move |length| {
                    [0, 12, 16].into_iter().flat_map(move |iv| [0, 5].map(move |aad| (kind, length, iv, aad)))
                })
            }) {
                let request = Request {
                    kind,
                    data: vec![0; length],
                    iv: Iv::new(&[0; 16][..iv]).unwrap(),
                    aad: vec![0; aad],
                    ..Request::default()
                };
                let quick = session.open.state.rules.shape(&request, context.uses, 100);
                if let Some(quick) = quick {
                    passed += 1;
                    assert_eq!(
                        check(&runtime.shared, &context, &request),
                        Ok(quick),
                        "{algorithm} {request:?}"
                    );
                }
            }
        }
        assert!(passed > 500, "{passed}");
    }
}
