//! Key bytes: wiped when the last user is gone, never shown.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// Key material, reference counted. The bytes are wiped when the last clone is dropped; `Debug` shows the length only.
#[derive(Clone)]
pub struct Key(Arc<Zeroizing<Vec<u8>>>);

impl Key {
    /// Takes over `bytes`; the vector's memory is the one that will be wiped.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// The key of algorithms that take none.
    pub fn none() -> Self {
        Self::new(Vec::new())
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes, for a device that sets up its own key schedule. Never store or print them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i5_debug_shows_no_key_byte() {
        let key = Key::new(b"\xab\xcd\xef secret".to_vec());
        assert_eq!(format!("{key:?}"), "Key(10 bytes)");
    }
}
