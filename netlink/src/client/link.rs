//! What the clones of a client share: the transport, the requests under way, the subscriptions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::{oneshot, watch};

use super::Trace;
use super::subscription::Feeds;
use crate::attr::Writer;
use crate::conn::client::{Answer, Connection, Incoming};
use crate::conn::{Datagram, Message};
use crate::error::Error;
use crate::family::attribute::event;
use crate::message::EventRecord;
use crate::trace;
use crate::transport::{End, Packet};

type Outcome = Result<Answer, Error>;

/// The shared part. Its reader task ends with the connection, or when the last client is dropped.
pub(super) struct Link {
    pub(super) end: End,
    state: Mutex<State>,
    closed: watch::Sender<bool>,
    trace: RwLock<Option<Trace>>,
}

#[derive(Default)]
struct State {
    connection: Connection,
    waiting: HashMap<u32, oneshot::Sender<Outcome>>,
    feeds: HashMap<u32, Arc<Feeds>>,
    last_subscription: u32,
}

/// A request that was numbered; dropping it forgets the request.
pub(super) struct Ticket<'a> {
    link: &'a Link,
    seq: u32,
    pub(super) datagram: Datagram,
    pub(super) outcome: oneshot::Receiver<Outcome>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = self.link.state();
        state.connection.forget(self.seq);
        state.waiting.remove(&self.seq);
    }
}

impl Link {
    pub(super) fn new(end: End, trace: Option<Trace>) -> Self {
        Self { end, state: Mutex::default(), closed: watch::Sender::new(false), trace: RwLock::new(trace) }
    }

    pub(super) fn set_trace(&self, trace: Trace) {
        *self.trace.write().unwrap_or_else(PoisonError::into_inner) = Some(trace);
    }

    /// Shows a datagram to the trace, if there is one.
    pub(super) fn show(&self, direction: &str, datagram: &[u8]) {
        let trace = self.trace.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(trace) = trace {
            trace::describe(direction, datagram).iter().for_each(|line| trace(line));
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    pub(super) async fn closed(&self) {
        // The sender lives as long as `self`.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Numbers a request.
    pub(super) fn ticket(
        &self,
        kind: u16,
        command: u8,
        dump: bool,
        body: Writer,
    ) -> Result<Ticket<'_>, Error> {
        let mut state = self.state();
        if self.is_closed() {
            return Err(Error::Closed { sent_change: false });
        }
        let (seq, datagram) = state.connection.request(kind, command, dump, body)?;
        let (sender, outcome) = oneshot::channel();
        state.waiting.insert(seq, sender);
        Ok(Ticket { link: self, seq, datagram, outcome })
    }

    /// Sends a request whose answer is of no interest, if there is room.
    pub(super) fn send_and_forget(&self, kind: u16, command: u8, body: Writer) {
        if let Ok(ticket) = self.ticket(kind, command, false, body) {
            self.show("->", &ticket.datagram);
            // A server that is gone has forgotten it too.
            let _ = self.end.try_send(&ticket.datagram);
        }
    }

    /// Makes room for a subscription's events; returns its number.
    pub(super) fn add_feeds(&self, feeds: &Arc<Feeds>) -> u32 {
        let mut state = self.state();
        state.last_subscription = state.last_subscription.wrapping_add(1).max(1);
        let number = state.last_subscription;
        state.feeds.insert(number, Arc::clone(feeds));
        if self.is_closed() {
            feeds.close();
        }
        number
    }

    pub(super) fn remove_feeds(&self, number: u32) {
        self.state().feeds.remove(&number);
    }

    /// Reads until the connection ends.
    pub(super) async fn read(&self) {
        while let Ok(Some(Packet { mut datagram, .. })) = self.end.receive().await {
            self.show("<-", &datagram);
            if self.take_in(&mut datagram).is_err() {
                break;
            }
        }
        self.close();
    }

    fn take_in(&self, datagram: &mut [u8]) -> Result<(), Error> {
        let mut state = self.state();
        for incoming in state.connection.receive(datagram)? {
            match incoming {
                Incoming::Answered { seq, result } => {
                    if let Some(waiting) = state.waiting.remove(&seq) {
                        // Whoever asked may have gone away meanwhile.
                        let _ = waiting.send(result);
                    }
                }
                Incoming::Event(message) => {
                    if let Some(feeds) = state.feeds.get(&message.attributes.u32(event::SUBSCRIPTION)?) {
                        feed(feeds, &message)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn close(&self) {
        let mut state = self.state();
        self.closed.send_replace(true);
        state.waiting.clear();
        for feeds in state.feeds.values() {
            feeds.close();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn feed(feeds: &Feeds, message: &Message) -> Result<(), Error> {
    match message.attributes.u64_if(event::LOST)? {
        Some(lost) => feeds.lose(lost),
        None => feeds.push(EventRecord::read(&message.attributes)?),
    }
    Ok(())
}
