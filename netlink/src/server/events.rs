//! Subscriptions. The runtime's bounded ring is every subscriber's queue: each has a place in it of its own, is told
//! how many events it lost when the ring overtakes it, and costs nothing while its client does not read.

use std::sync::Arc;

use acrypto_core::{EventSubscription, Feed};
use tokio::sync::{mpsc, watch};

use super::Shared;
use super::connection::{Connection, Reply};
use super::convert;
use super::errno::{EEXIST, ENOENT, limit};
use super::limits::Share;
use crate::attr::{Fault, Reader, Writer};
use crate::conn::Datagram;
use crate::conn::server;
use crate::family::attribute::event as a;
use crate::message::Filter;

/// A subscription that waits to be started.
pub(super) struct Pump {
    number: u32,
    filter: Filter,
    events: EventSubscription,
    epoch: u32,
    out: mpsc::Sender<Datagram>,
    stopping: watch::Receiver<bool>,
    _share: Share,
}

impl Connection {
    /// Makes a subscription; it is to be started when its answer was sent.
    pub(super) fn subscribe(&self, attributes: &Reader, uid: u32) -> Result<(Writer, Pump), Fault> {
        let number = attributes.u32(a::SUBSCRIPTION)?;
        let mask = attributes.u32_if(a::KINDS)?.unwrap_or(0);
        let filter = Filter::from_mask(mask)
            .map_err(|unknown| attributes.fault(a::KINDS, format!("no kinds have bits {unknown:#x}")))?;
        {
            let subscriptions = Shared::lock(&self.subscriptions);
            let most = self.shared.options.limits.subscriptions_per_connection_max;
            if subscriptions.contains_key(&number) {
                let message = format!("subscription '{number}' exists on this connection");
                return Err(Fault { errno: EEXIST, ..attributes.fault(a::SUBSCRIPTION, message) });
            }
            if subscriptions.len() >= most {
                return Err(limit(most, "subscriptions of one connection"));
            }
        }
        let share = self.shared.shares.subscription(uid);
        let share = share.map_err(|most| limit(most, "subscriptions of one user"))?;
        let log = self.shared.runtime.events();
        let last_seq = log.last_seq();
        let since = attributes.u64_if(a::SINCE)?.unwrap_or(last_seq).min(last_seq);
        let mut body = self.body();
        body.u32(a::SUBSCRIPTION, number).u64(a::SEQ, last_seq);
        let events = log.subscribe(Some(since));
        let (epoch, out) = (self.shared.epoch, self.out.clone());
        let stopping = self.shared.stopping.subscribe();
        let pump = Pump { number, filter, events, epoch, out, stopping, _share: share };
        Ok((body, pump))
    }

    /// Starts a subscription.
    pub(super) fn start(self: &Arc<Self>, pump: Pump) {
        let number = pump.number;
        let running = tokio::spawn(pump.run());
        Shared::lock(&self.subscriptions).insert(number, running.abort_handle());
    }

    /// Ends a subscription.
    pub(super) fn unsubscribe(&self, attributes: &Reader) -> Result<Reply, Fault> {
        let number = attributes.u32(a::SUBSCRIPTION)?;
        let ended = Shared::lock(&self.subscriptions).remove(&number);
        let running = ended.ok_or_else(|| {
            Fault::new(ENOENT, format!("subscription '{number}' not found on this connection"))
        })?;
        running.abort();
        Ok(Reply::Done)
    }
}

impl Pump {
    /// Sends events until the client is gone or the subscription is ended; when the server stops, those that have happened.
    async fn run(mut self) {
        loop {
            let mut body = server::body(self.epoch);
            body.u32(a::SUBSCRIPTION, self.number);
            let happened = tokio::select! {
                biased;
                happened = self.events.next() => happened,
                _ = self.stopping.wait_for(|stopping| *stopping) => return,
            };
            match happened {
                Feed::Event(event) if !self.filter.passes(convert::event_kind(event.kind)) => continue,
                Feed::Event(event) => convert::event(&event).write(&mut body),
                Feed::Lost(lost) => {
                    body.u64(a::LOST, lost);
                }
                Feed::Closed => return,
            }
            let Ok(datagram) = server::event(body) else { continue };
            if self.out.send(datagram).await.is_err() {
                return;
            }
        }
    }
}
