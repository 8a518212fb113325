//! Operations whose input lies apart from their output: what a device is given, and where its output goes. None of it is on
//! the way of an operation in place.

use std::sync::Arc;

use zeroize::Zeroize;

use super::{Input, Lies, Source};
use crate::algorithm::OpKind;
use crate::device::mount::Mount;
use crate::padding;
use crate::submit::{Body, Shape};

/// A body that was just filled: stages of a route work on a copy.
#[cold]
pub(crate) fn begin(body: &mut Body, is_routed: bool) {
    if let (Some(input), true) = (&body.input, is_routed) {
        input.copy_to(&mut body.data);
    }
}

/// Arranges `data` for an attempt of a direct device. True if the device is to read the input itself.
#[cold]
pub(crate) fn prepare(body: &mut Body, shape: Shape, engine: &Mount) -> bool {
    let Some(input) = body.input.as_deref().filter(|_| body.route.is_none()) else { return false };
    let is_padded_now = body.is_padded && shape.kind() == OpKind::Encrypt;
    let can_read = match shape.kind() {
        OpKind::Digest | OpKind::Mac => true,
        OpKind::Random => false,
        _ => !is_padded_now && input.as_slice().is_some(),
    };
    if can_read && engine.reads_source(shape.kind()) {
        return true;
    }
    input.copy_to(&mut body.data);
    if is_padded_now {
        padding::pad_pkcs7(&mut body.data, shape.algorithm().block_len());
    }
    false
}

/// What an attempt reads, as a queued device or a second opinion is given it: the source itself where that can be, else a
/// copy. `None` where `data` is what is read.
#[cold]
pub(crate) fn lend(body: &Body, shape: Shape) -> Option<Source> {
    let input = body.input.as_deref().filter(|_| body.route.is_none())?;
    let is_padded_now = body.is_padded && shape.kind() == OpKind::Encrypt;
    if let (Lies::Shared(source), false) = (&input.0, is_padded_now) {
        return Some(source.clone());
    }
    let mut copy = Vec::with_capacity(input.len() + shape.algorithm().block_len());
    input.copy_to(&mut copy);
    if is_padded_now {
        padding::pad_pkcs7(&mut copy, shape.algorithm().block_len());
    }
    Some(Source::from(Arc::new(copy)))
}

/// Takes over what a queued device has made: into the caller's vector where there is room.
#[cold]
pub(crate) fn receive(data: &mut Vec<u8>, made: Vec<u8>) {
    if data.capacity() < made.len() {
        *data = made;
    } else {
        data.clear();
        data.extend_from_slice(&made);
    }
}

/// The operation is over: output goes to its place, and of a failed one there is none.
#[cold]
pub(crate) fn end(body: &mut Body) {
    let Some(input) = body.input.as_deref_mut() else { return };
    body.source_intact = true;
    if body.error.is_some() {
        body.data.zeroize();
        return;
    }
    let kind = OpKind::ALL[usize::from(body.asked.clamp(1, 7)) - 1];
    match &mut input.0 {
        _ if matches!(kind, OpKind::Digest | OpKind::Mac) => body.data.clear(),
        Lies::Shared(_) => {}
        Lies::Scattered(segments) => {
            scatter(segments, &body.data);
            body.source_intact = false;
            if kind == OpKind::Encrypt {
                body.data.clear();
            } else {
                // The caller has it elsewhere, and does not look for a copy here.
                body.data.zeroize();
            }
        }
    }
}

/// Each segment gets as many bytes as it had; what is over, a tag or padding, goes to the last.
fn scatter(segments: &mut Vec<Vec<u8>>, made: &[u8]) {
    if segments.is_empty() {
        segments.push(Vec::new());
    }
    let last = segments.len() - 1;
    let mut rest = made;
    for (place, segment) in segments.iter_mut().enumerate() {
        let count = if place == last { rest.len() } else { segment.len().min(rest.len()) };
        let (here, later) = rest.split_at(count);
        segment.clear();
        segment.extend_from_slice(here);
        rest = later;
    }
}

impl Input {
    pub(crate) fn source(&self) -> Option<&Source> {
        match &self.0 {
            Lies::Shared(source) => Some(source),
            Lies::Scattered(_) => None,
        }
    }

    pub(crate) fn segments(&self) -> &[Vec<u8>] {
        match &self.0 {
            Lies::Shared(_) => &[],
            Lies::Scattered(segments) => segments,
        }
    }

    pub(crate) fn into_source(self) -> Option<Source> {
        match self.0 {
            Lies::Shared(source) => Some(source),
            Lies::Scattered(_) => None,
        }
    }

    pub(crate) fn into_segments(self) -> Vec<Vec<u8>> {
        match self.0 {
            Lies::Shared(_) => Vec::new(),
            Lies::Scattered(segments) => segments,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn scattered(lens: &[usize], made: &[u8]) -> Vec<Vec<u8>> {
        let mut segments = lens.iter().map(|len| vec![0; *len]).collect();
        scatter(&mut segments, made);
        segments
    }

    #[test]
    fn what_is_over_goes_to_the_last_segment_and_what_is_short_ends_early() {
        assert_eq!(scattered(&[1, 2], &[1, 2, 3, 4]), [vec![1], vec![2, 3, 4]]);
        assert_eq!(scattered(&[2, 2, 2], &[1, 2, 3]), [vec![1, 2], vec![3], vec![]]);
        assert_eq!(scattered(&[0, 1, 0], &[1]), [vec![], vec![1], vec![]]);
        assert_eq!(scattered(&[], &[1]), [vec![1]]);
    }
}
