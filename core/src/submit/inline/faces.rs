//! What a submitter hands in, and where it wants what is there at once.

use crate::op::{Completion, Request};
use crate::session::Session;

/// What a submitter hands in: a request, and its session.
pub(crate) trait Entry<'s> {
    /// Whether a request that was accepted is the runtime's to change.
    const MAY_CHANGE: bool = true;
    fn request(&self) -> &Request;
    fn request_mut(&mut self) -> &mut Request;
    /// Its own session, if it does not go to that of the face.
    fn session(&self) -> Option<&'s Session>;
}

impl<'s> Entry<'s> for Request {
    #[inline]
    fn request(&self) -> &Request {
        self
    }
    #[inline]
    fn request_mut(&mut self) -> &mut Request {
        self
    }
    #[inline]
    fn session(&self) -> Option<&'s Session> {
        None
    }
}

impl<'s, 'a: 's> Entry<'s> for (&'a Session, Request) {
    #[inline]
    fn request(&self) -> &Request {
        &self.1
    }
    #[inline]
    fn request_mut(&mut self) -> &mut Request {
        &mut self.1
    }
    #[inline]
    fn session(&self) -> Option<&'s Session> {
        Some(self.0)
    }
}

/// Where completions go that are there at once.
pub(crate) trait Done {
    /// Adds all of them. They are built where they are to stay: copying what was just written stalls the processor.
    fn put(&mut self, completions: impl Iterator<Item = Completion>);
    /// The latest `count`.
    fn latest(&mut self, count: usize) -> &mut [Completion];
    /// Takes one of the latest `count` out.
    fn take_out(&mut self, count: usize, place: usize);
}

impl Done for Vec<Completion> {
    #[inline]
    fn put(&mut self, completions: impl Iterator<Item = Completion>) {
        self.extend(completions);
    }
    #[inline]
    fn latest(&mut self, count: usize) -> &mut [Completion] {
        let start = self.len().saturating_sub(count);
        &mut self[start..]
    }
    fn take_out(&mut self, count: usize, place: usize) {
        let start = self.len().saturating_sub(count);
        self.remove(start + place);
    }
}

impl Done for Option<Completion> {
    #[inline]
    fn put(&mut self, mut completions: impl Iterator<Item = Completion>) {
        *self = completions.next();
    }
    #[inline]
    fn latest(&mut self, _count: usize) -> &mut [Completion] {
        self.as_mut_slice()
    }
    fn take_out(&mut self, _count: usize, _place: usize) {
        *self = None;
    }
}
