//! Subscriptions: events as they happen, with a bounded queue and no silent loss.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Client;
use crate::attr::Writer;
use crate::error::Error;
use crate::family::Command;
use crate::family::attribute::event as a;
use crate::message::{EventRecord, Filter};

/// Most events held for a reader that is slow.
const QUEUE_MAX_EVENTS: usize = 8192;

/// What a subscription yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// The next event.
    Event(EventRecord),
    /// So many events were lost here because the reader was too slow.
    Lost(u64),
}

/// Events as they happen, in order, each once. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    client: Client,
    number: u32,
    feeds: Arc<Feeds>,
}

impl Subscription {
    /// The next event.
    ///
    /// # Cancel safety
    /// No event is lost.
    ///
    /// # Errors
    /// [`Error::Closed`] when the server is gone and everything it sent was read.
    pub async fn next(&mut self) -> Result<Feed, Error> {
        self.feeds.next().await.ok_or(Error::Closed { sent_change: false })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let link = &self.client.shared.link;
        link.remove_feeds(self.number);
        let mut body = Writer::new();
        body.u32(a::SUBSCRIPTION, self.number);
        link.send_and_forget(self.client.family, Command::EventUnsubscribe as u8, body);
    }
}

impl Client {
    /// Subscribes to events; with `since`, first those after that number which the server still has.
    ///
    /// # Errors
    /// When the server refuses or is gone.
    pub async fn subscribe(&self, filter: Filter, since: Option<u64>) -> Result<Subscription, Error> {
        let feeds = Arc::new(Feeds::default());
        let number = self.shared.link.add_feeds(&feeds);
        // Made first: dropped on any way out, it undoes what was done.
        let subscription = Subscription { client: self.clone(), number, feeds };
        let mut body = Writer::new();
        body.u32(a::SUBSCRIPTION, number).u64_if(a::SINCE, since);
        if !filter.kinds.is_empty() {
            body.u32(a::KINDS, filter.mask());
        }
        self.one(Command::EventSubscribe, body).await?;
        Ok(subscription)
    }
}

/// The queue between the connection and the reader.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    feeds: VecDeque<Feed>,
    /// Lost behind the last of `feeds`.
    lost: u64,
    closed: bool,
}

impl Feeds {
    pub(super) fn push(&self, event: EventRecord) {
        let mut queue = self.queue();
        if queue.feeds.len() >= QUEUE_MAX_EVENTS {
            queue.lost = queue.lost.saturating_add(1);
        } else {
            if queue.lost > 0 {
                let lost = std::mem::take(&mut queue.lost);
                queue.feeds.push_back(Feed::Lost(lost));
            }
            queue.feeds.push_back(Feed::Event(event));
        }
        self.filled.notify_one();
    }

    pub(super) fn lose(&self, count: u64) {
        let mut queue = self.queue();
        queue.lost = queue.lost.saturating_add(count);
        self.filled.notify_one();
    }

    pub(super) fn close(&self) {
        self.queue().closed = true;
        self.filled.notify_one();
    }

    async fn next(&self) -> Option<Feed> {
        loop {
            {
                let mut queue = self.queue();
                if let Some(feed) = queue.feeds.pop_front() {
                    return Some(feed);
                }
                match std::mem::take(&mut queue.lost) {
                    0 if queue.closed => return None,
                    0 => {}
                    lost => return Some(Feed::Lost(lost)),
                }
            }
            self.filled.notified().await;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_reader_is_told_how_many_events_it_lost_and_where() {
        let feeds = Feeds::default();
        for seq in 1..=8198 {
            feeds.push(EventRecord { seq, ..EventRecord::default() });
        }
        for seq in 1..=8192 {
            assert!(matches!(feeds.next().await, Some(Feed::Event(event)) if event.seq == seq));
        }
        feeds.push(EventRecord { seq: 8199, ..EventRecord::default() });
        assert_eq!(feeds.next().await, Some(Feed::Lost(6)));
        assert!(matches!(feeds.next().await, Some(Feed::Event(event)) if event.seq == 8199));
        feeds.lose(3);
        feeds.close();
        assert_eq!(feeds.next().await, Some(Feed::Lost(3)));
        assert_eq!(feeds.next().await, None);
    }
}
