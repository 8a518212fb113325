//! Key bytes: wiped when the last user is gone, never shown.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::algorithm::OpKind;
use crate::error::Error;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Key material, reference counted. The bytes are wiped when the last clone is dropped; `Debug` shows the length only.
#[derive(Clone)]
pub struct Key(Arc<Material>);

struct Material {
    bytes: Zeroizing<Vec<u8>>,
    /// Initialisation vectors that the runtime made for it.
    ivs: AtomicU64,
}

impl Key {
    /// Takes over `bytes`; the vector's memory is the one that will be wiped.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Material { bytes: Zeroizing::new(bytes), ivs: AtomicU64::new(0) }))
    }

    /// The key of algorithms that take none.
    pub fn none() -> Self {
        Self::new(Vec::new())
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.bytes.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.bytes.is_empty()
    }

    /// The bytes, for a device that sets up its own key schedule. Never store or print them.
    pub fn expose(&self) -> &[u8] {
        &self.0.bytes
    }

    /// Counts one initialisation vector more, at most `limit` in the life of the key, whichever sessions share it.
    pub(crate) fn count_iv(&self, limit: u64) -> Result<(), Error> {
        let add = |ivs: u64| (ivs < limit).then_some(ivs + 1);
        self.0
            .ivs
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .map(|_| ())
            .map_err(|_| Error::KeyUsedUp { limit })
    }
}

impl From<Key> for Vec<Key> {
    fn from(key: Key) -> Self {
        vec![key]
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bytes)", self.len())
    }
}

/// Kinds of operation that a key or a session may be used for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Uses(u8);

impl Uses {
    /// Whatever the algorithm has.
    pub const ALL: Uses = Uses(0xff);

    /// These kinds only.
    pub fn only(kinds: &[OpKind]) -> Self {
        Self(kinds.iter().fold(0, |bits, kind| bits | 1 << *kind as u8))
    }

    /// One bit for each kind, by its number.
    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    /// Whether a kind is among them.
    #[inline]
    pub fn allows(self, kind: OpKind) -> bool {
        self.allows_number(kind as u8)
    }

    /// Whether the kind with this number, 1 to 7, is among them.
    #[inline]
    pub(crate) fn allows_number(self, kind: u8) -> bool {
        self.0 & 1 << kind != 0
    }

    /// What both allow.
    pub fn and(self, other: Uses) -> Self {
        Self(self.0 & other.0)
    }

    /// The kinds, in the order of their numbers.
    pub fn kinds(self) -> impl Iterator<Item = OpKind> {
        OpKind::ALL.into_iter().filter(move |kind| self.allows(*kind))
    }
}

impl fmt::Debug for Uses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.kinds().map(OpKind::name)).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn i5_debug_shows_no_key_byte() {
        let key = Key::new(b"\xab\xcd\xef secret".to_vec());
        assert_eq!(format!("{key:?}"), "Key(10 bytes)");
    }

    #[test]
    fn i7_a_key_has_as_many_ivs_as_its_limit_and_not_one_more() {
        let key = Key::new(vec![0; 16]);
        let clone = key.clone();
        assert!(key.count_iv(2).is_ok() && clone.count_iv(2).is_ok());
        assert_eq!(key.count_iv(2), Err(Error::KeyUsedUp { limit: 2 }));
    }
}
