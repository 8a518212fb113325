//! Where the bytes of an operation lie: in place in one vector, in a source that is only read, or scattered over segments;
//! and pools of vectors to use again.
//!
//! | | read from | written to | copied |
//! | --- | --- | --- | --- |
//! | in place: [`Request::new`] | `data` | `data` | nothing by a direct device |
//! | out of place: [`Request::from_source`] | the [`Source`] | `data` | nothing where the device reads sources ([`DirectDevice::reads_source`]), else the source once, into `data` |
//! | scattered: [`Request::scattered`] | the segments | the segments | a hash or MAC: nothing where the device reads sources; a cipher: gathered and scattered, once each |
//!
//! The padding of a block cipher cannot be appended to what is only read: such an operation works on a copy. So do the
//! stages of a route. A queued device reads a shared source itself, and what it made is copied to the caller's vector
//! where that is large enough.
//!
//! [`Request::new`]: crate::Request::new
//! [`Request::from_source`]: crate::Request::from_source
//! [`Request::scattered`]: crate::Request::scattered
//! [`DirectDevice::reads_source`]: crate::device::DirectDevice::reads_source

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::foreign::guarded;

mod pool;
pub(crate) mod scatter;

pub use pool::{BufferPool, PoolCounts, PooledBuffer};

/// Most segments of a scattered operation.
pub const SEGMENTS_MAX: usize = 1_024;

/// Bytes that many may read at once and nobody writes: any `AsRef<[u8]>` behind an [`Arc`], or a range of it.
///
/// A clone costs a count, so a caller that keeps one loses nothing when an operation is dropped. The bytes must stay the
/// same while an operation reads them; of a memory map that is the caller's to see to.
///
/// ```
/// use std::sync::Arc;
/// use acrypto_core::Source;
///
/// let whole = Source::from(Arc::new(b"header and body".to_vec()));
/// let body = whole.slice(11..15).ok_or("no such range")?;
/// assert_eq!(&*body, b"body");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone)]
pub struct Source {
    bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
    range: Range<usize>,
}

impl Source {
    /// Of anything that gives bytes: `Vec<u8>`, `Box<[u8]>`, `Arc<[u8]>`, `&'static [u8]`, `bytes::Bytes`, a memory map.
    pub fn new(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self::from(Arc::new(bytes))
    }

    /// A part of it; `None` when it is not all there.
    pub fn slice(&self, range: Range<usize>) -> Option<Self> {
        let start = self.range.start.checked_add(range.start)?;
        let end = self.range.start.checked_add(range.end)?;
        (start <= end && end <= self.range.end)
            .then(|| Self { bytes: Arc::clone(&self.bytes), range: start..end })
    }

    /// The bytes; none if whatever gives them panics, or gives fewer than it did at first.
    pub fn as_slice(&self) -> &[u8] {
        guarded(|| self.bytes.as_ref().as_ref())
            .and_then(|bytes| bytes.get(self.range.clone()))
            .unwrap_or(&[])
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }
}

impl<T: AsRef<[u8]> + Send + Sync + 'static> From<Arc<T>> for Source {
    /// Without an allocation.
    fn from(bytes: Arc<T>) -> Self {
        let range = 0..bytes.as_ref().as_ref().len();
        Self { bytes, range }
    }
}

impl From<Arc<[u8]>> for Source {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self::new(bytes)
    }
}

impl From<Vec<u8>> for Source {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl From<&'static [u8]> for Source {
    fn from(bytes: &'static [u8]) -> Self {
        Self::new(bytes)
    }
}

impl Deref for Source {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for Source {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({} bytes)", self.len())
    }
}

/// Input that lies apart from the output, and is never written while an operation is on its way.
pub struct Input(pub(crate) Lies);

/// How it lies.
pub(crate) enum Lies {
    Shared(Source),
    Scattered(Vec<Vec<u8>>),
}

impl Input {
    /// Length in bytes, of all parts together.
    pub fn len(&self) -> usize {
        match &self.0 {
            Lies::Shared(source) => source.len(),
            Lies::Scattered(segments) => segments.iter().map(Vec::len).fold(0, usize::saturating_add),
        }
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, if they lie in one piece.
    pub fn as_slice(&self) -> Option<&[u8]> {
        match &self.0 {
            Lies::Shared(source) => Some(source),
            Lies::Scattered(_) => None,
        }
    }

    /// The parts in their order.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let segments: &[Vec<u8>] = match &self.0 {
            Lies::Shared(_) => &[],
            Lies::Scattered(segments) => segments,
        };
        self.as_slice().into_iter().chain(segments.iter().map(Vec::as_slice))
    }

    /// Copies all parts into `data`, in place of what it holds.
    pub fn copy_to(&self, data: &mut Vec<u8>) {
        data.clear();
        data.reserve(self.len());
        self.parts().for_each(|part| data.extend_from_slice(part));
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Input({} bytes in {} parts)", self.len(), self.parts().count())
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_what_it_says_and_never_more() {
        let source = Source::from(vec![0, 1, 2, 3, 4]);
        let middle = source.slice(1..4).unwrap();
        assert_eq!(&*middle, [1, 2, 3]);
        assert_eq!(&*middle.slice(1..3).unwrap(), [2, 3]);
        assert!(middle.slice(0..4).is_none() && middle.slice(usize::MAX..usize::MAX).is_none());
        assert!(middle.slice(3..3).unwrap().is_empty());
    }

    #[test]
    fn a_source_that_misbehaves_has_no_bytes() {
        struct Once(std::sync::atomic::AtomicBool);
        impl AsRef<[u8]> for Once {
            fn as_ref(&self) -> &[u8] {
                if self.0.swap(true, std::sync::atomic::Ordering::Relaxed) {
                    panic!("only once");
                }
                &[1, 2, 3]
            }
        }
        let source = Source::new(Once(false.into()));
        assert_eq!((source.len(), source.as_slice()), (3, [].as_slice()));
    }

    #[test]
    fn i5_debug_shows_lengths_and_no_byte() {
        assert_eq!(format!("{:?}", Source::from(vec![0xaa; 4])), "Source(4 bytes)");
        let input = Input(Lies::Scattered(vec![vec![0xaa; 4], vec![0xaa; 3]]));
        assert_eq!(format!("{input:?}"), "Input(7 bytes in 2 parts)");
    }
}
