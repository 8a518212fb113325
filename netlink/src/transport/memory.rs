//! Datagrams through bounded channels, for a runtime in the same process and for tests.

use std::io;

use tokio::sync::{Mutex, mpsc};
use zeroize::Zeroizing;

use super::Credentials;

/// Datagrams a direction holds before the sender waits.
const QUEUE_MAX_DATAGRAMS: usize = 64;

/// One end of a connection in memory. Datagrams arrive whole, in order; dropping one end closes the other.
#[derive(Debug)]
pub struct MemoryEnd {
    out: mpsc::Sender<Zeroizing<Vec<u8>>>,
    inbox: Mutex<mpsc::Receiver<Zeroizing<Vec<u8>>>>,
    peer: Credentials,
}

impl MemoryEnd {
    /// Two connected ends; each sees the other as this process.
    pub fn pair() -> (Self, Self) {
        Self::pair_between(Credentials::own(), Credentials::own())
    }

    /// Two connected ends; the first belongs to `first`, the second to `second`.
    pub fn pair_between(first: Credentials, second: Credentials) -> (Self, Self) {
        let (to_second, second_inbox) = mpsc::channel(QUEUE_MAX_DATAGRAMS);
        let (to_first, first_inbox) = mpsc::channel(QUEUE_MAX_DATAGRAMS);
        (
            Self { out: to_second, inbox: Mutex::new(first_inbox), peer: second },
            Self { out: to_first, inbox: Mutex::new(second_inbox), peer: first },
        )
    }

    /// Who holds the other end.
    pub fn peer(&self) -> Credentials {
        self.peer
    }

    /// Sends one datagram; waits while the other end is full.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing was sent.
    ///
    /// # Errors
    /// `BrokenPipe` when the other end is gone.
    pub async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        let slot = self.out.reserve().await.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        slot.send(Zeroizing::new(datagram.to_vec()));
        Ok(())
    }

    /// Sends one datagram if there is room now.
    ///
    /// # Errors
    /// `WouldBlock` when there is none, `BrokenPipe` when the other end is gone.
    pub fn try_send(&self, datagram: &[u8]) -> io::Result<()> {
        self.out.try_send(Zeroizing::new(datagram.to_vec())).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => io::ErrorKind::WouldBlock.into(),
            mpsc::error::TrySendError::Closed(_) => io::ErrorKind::BrokenPipe.into(),
        })
    }

    /// The next datagram; `None` when the other end is gone and everything it sent was read.
    ///
    /// # Cancel safety
    /// No datagram is lost.
    pub async fn receive(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.inbox.lock().await.recv().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn datagrams_arrive_whole_and_the_end_is_seen() {
        let (left, right) = MemoryEnd::pair();
        left.send(b"one").await.unwrap();
        left.send(b"").await.unwrap();
        drop(left);
        assert_eq!(right.receive().await.as_deref().map(Vec::as_slice), Some(&b"one"[..]));
        assert_eq!(right.receive().await.as_deref().map(Vec::as_slice), Some(&b""[..]));
        assert!(right.receive().await.is_none());
        assert_eq!(right.send(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
