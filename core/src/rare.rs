//! What few operations have.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

/// A box that mostly is not there. To find it missing is all that its end costs then; what it takes to drop one that is
/// there stands apart, so that compilers put the comparison where the owner ends instead of a call. Nothing is left to
/// drop should that panic: else the owner would have to lie in memory for it.
pub(crate) struct Rare<T>(ManuallyDrop<Option<Box<T>>>);

impl<T> Rare<T> {
    /// Not there.
    #[inline(always)]
    pub(crate) fn none() -> Self {
        Self(ManuallyDrop::new(None))
    }
}

impl<T: fmt::Debug> fmt::Debug for Rare<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, formatter)
    }
}

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self::none()
    }
}

impl<T> From<Option<Box<T>>> for Rare<T> {
    #[inline(always)]
    fn from(held: Option<Box<T>>) -> Self {
        Self(ManuallyDrop::new(held))
    }
}

impl<T> From<T> for Rare<T> {
    fn from(held: T) -> Self {
        Self(ManuallyDrop::new(Some(Box::new(held))))
    }
}

impl<T> Deref for Rare<T> {
    type Target = Option<Box<T>>;
    #[inline(always)]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for Rare<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<T> Drop for Rare<T> {
    #[inline(always)]
    fn drop(&mut self) {
        #[cold]
        #[inline(never)]
        fn end<T>(held: Box<T>) {
            drop(held);
        }
        if let Some(held) = self.0.take() {
            end(held);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_is_held_is_dropped_once_and_what_is_taken_is_not() {
        let witness = Arc::new(());
        let held = Rare::from(Arc::clone(&witness));
        assert_eq!((Arc::strong_count(&witness), format!("{held:?}")), (2, "Some(())".to_owned()));
        drop(held);
        assert_eq!(Arc::strong_count(&witness), 1);
        let mut held = Rare::from(Arc::clone(&witness));
        let taken = held.take();
        drop(held);
        assert_eq!((Arc::strong_count(&witness), taken.is_some()), (2, true));
    }
}
