//! Ways for a datagram to travel: a unix socket, a netlink socket, or channels in memory.

pub mod memory;
pub mod netlink;
pub mod unix;

use std::io;

use crate::conn::Datagram;

pub use memory::MemoryEnd;
pub use netlink::NetlinkEnd;
#[cfg(feature = "server")]
pub use netlink::PortEnd;
pub use unix::UnixEnd;

/// Who sent a datagram, vouched for by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Process id; for showing only, never trusted.
    pub pid: u32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Credentials {
    /// Those of this process.
    pub fn own() -> Self {
        Self {
            pid: rustix::process::getpid().as_raw_nonzero().get().unsigned_abs(),
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        }
    }
}

/// A datagram that came in.
#[derive(Debug)]
pub struct Packet {
    /// Its bytes.
    pub datagram: Datagram,
    /// Who sent it; `None` where the kernel was not asked.
    pub sender: Option<Credentials>,
}

/// One end of a connection, over whatever transport.
#[derive(Debug)]
pub enum End {
    /// Channels in this process.
    Memory(MemoryEnd),
    /// A unix socket.
    Unix(UnixEnd),
    /// A client's netlink socket.
    Netlink(NetlinkEnd),
    /// A port that a server's netlink socket serves.
    #[cfg(feature = "server")]
    Port(PortEnd),
}

impl End {
    /// Sends one datagram; waits while there is no room.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing was sent.
    ///
    /// # Errors
    /// When the other end is gone.
    pub async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(end) => end.send(datagram).await,
            Self::Unix(end) => end.send(datagram).await,
            Self::Netlink(end) => end.send(datagram).await,
            #[cfg(feature = "server")]
            Self::Port(end) => end.send(datagram).await,
        }
    }

    /// Sends one datagram if there is room now.
    ///
    /// # Errors
    /// When there is none, or the other end is gone.
    pub fn try_send(&self, datagram: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(end) => end.try_send(datagram),
            Self::Unix(end) => end.try_send(datagram),
            Self::Netlink(end) => end.try_send(datagram),
            #[cfg(feature = "server")]
            Self::Port(end) => end.try_send(datagram),
        }
    }

    /// The next datagram; `None` when the other end is gone. One reader at a time.
    ///
    /// # Cancel safety
    /// No datagram is lost.
    ///
    /// # Errors
    /// When the socket fails, or a datagram is longer than the limit.
    pub async fn receive(&self) -> io::Result<Option<Packet>> {
        match self {
            Self::Memory(end) => {
                let sender = Some(end.peer());
                Ok(end.receive().await.map(|datagram| Packet { datagram, sender }))
            }
            Self::Unix(end) => end.receive().await,
            Self::Netlink(end) => end.receive().await,
            #[cfg(feature = "server")]
            Self::Port(end) => Ok(end.receive().await),
        }
    }
}
