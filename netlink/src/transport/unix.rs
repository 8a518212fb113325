//! AF_UNIX SOCK_SEQPACKET: one netlink datagram a packet, a queue for each client, end-of-file when the peer dies.
//!
//! tokio knows stream and datagram sockets only; its `UnixStream` serves as the reactor's handle here, and every
//! packet is sent by rustix and received by nix.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixCredentials};
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use zeroize::{Zeroize, Zeroizing};

use super::{Credentials, Packet};
use crate::frame::DATAGRAM_MAX_BYTES;

/// One end of a connection over a unix socket.
#[derive(Debug)]
pub struct UnixEnd {
    socket: UnixStream,
    /// One byte longer than the longest datagram, so that a longer one is noticed.
    scratch: Mutex<Zeroizing<Vec<u8>>>,
}

impl UnixEnd {
    /// Connects to the socket at `path`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When nobody listens there, or the caller may not open it.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let socket = socket()?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        Self::over(socket)
    }

    /// Takes over a connected SOCK_SEQPACKET socket that does not block.
    ///
    /// # Errors
    /// When the reactor refuses it.
    pub fn over(socket: OwnedFd) -> io::Result<Self> {
        UnixStream::from_std(StdUnixStream::from(socket)).map(Self::over_accepted)
    }

    /// Takes over what a listener of such sockets accepted.
    pub(crate) fn over_accepted(socket: UnixStream) -> Self {
        Self { socket, scratch: Mutex::new(Zeroizing::new(vec![0; DATAGRAM_MAX_BYTES + 1])) }
    }

    /// Who connected, as of then (SO_PEERCRED).
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn peer(&self) -> io::Result<Credentials> {
        let peer = self.socket.peer_cred()?;
        let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
        Ok(Credentials { pid, uid: peer.uid(), gid: peer.gid() })
    }

    /// The socket.
    pub fn socket(&self) -> impl AsFd {
        &self.socket
    }

    /// Sends one datagram; waits while the peer's queue is full.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing was sent.
    ///
    /// # Errors
    /// When the peer is gone.
    pub async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        loop {
            self.socket.writable().await?;
            match self.try_send(datagram) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return sent,
            }
        }
    }

    /// Sends one datagram if there is room now.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; another when the peer is gone.
    pub fn try_send(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket.try_io(Interest::WRITABLE, || {
            rustix::net::send(&self.socket, datagram, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
            Ok(())
        })
    }

    /// The next datagram with its sender's credentials if SO_PASSCRED is set; `None` at the end.
    ///
    /// # Cancel safety
    /// No datagram is lost.
    ///
    /// # Errors
    /// When the socket fails, or a datagram is longer than the limit.
    pub async fn receive(&self) -> io::Result<Option<Packet>> {
        let mut scratch = self.scratch.lock().await;
        loop {
            self.socket.readable().await?;
            match self.socket.try_io(Interest::READABLE, || receive_now(&self.socket, &mut scratch)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => return received,
            }
        }
    }
}

/// A socket of the right sort.
///
/// # Errors
/// When the kernel has none to give.
pub(crate) fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

fn receive_now(socket: &UnixStream, scratch: &mut [u8]) -> io::Result<Option<Packet>> {
    // Room for the sender only: descriptors that a peer attaches are not taken.
    let mut space = nix::cmsg_space!(UnixCredentials);
    let mut parts = [IoSliceMut::new(scratch)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = nix::sys::socket::recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let sender = message.cmsgs().ok().and_then(|mut parts| {
        parts.find_map(|part| match part {
            ControlMessageOwned::ScmCredentials(sender) => Some(sender.into()),
            _ => None,
        })
    });
    let (bytes, truncated) = (message.bytes, message.flags.contains(MsgFlags::MSG_TRUNC));
    let used = scratch.get_mut(..bytes).unwrap_or_default();
    if truncated || used.len() > DATAGRAM_MAX_BYTES {
        used.zeroize();
        return Err(io::Error::new(io::ErrorKind::InvalidData, "datagram exceeds 64 KiB"));
    }
    if used.is_empty() {
        return Ok(None);
    }
    let datagram = Zeroizing::new(used.to_vec());
    used.zeroize();
    Ok(Some(Packet { datagram, sender }))
}

impl From<UnixCredentials> for Credentials {
    fn from(sender: UnixCredentials) -> Self {
        Self { pid: u32::try_from(sender.pid()).unwrap_or(0), uid: sender.uid(), gid: sender.gid() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (UnixEnd, UnixEnd) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (left, right) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        rustix::net::sockopt::set_socket_passcred(&right, true).unwrap();
        (UnixEnd::over(left).unwrap(), UnixEnd::over(right).unwrap())
    }

    #[tokio::test]
    async fn datagrams_arrive_whole_with_their_sender_and_the_end_is_seen() {
        let (left, right) = pair();
        left.send(&[7; DATAGRAM_MAX_BYTES]).await.unwrap();
        left.send(b"two").await.unwrap();
        let first = right.receive().await.unwrap().unwrap();
        assert_eq!(first.datagram.len(), DATAGRAM_MAX_BYTES);
        assert_eq!(first.sender, Some(Credentials::own()));
        assert_eq!(*right.receive().await.unwrap().unwrap().datagram, b"two");
        drop(left);
        assert!(right.receive().await.unwrap().is_none());
        assert!(right.send(b"x").await.is_err());
    }

    #[tokio::test]
    async fn a_datagram_over_the_limit_is_an_error() {
        let (left, right) = pair();
        left.send(&[7; DATAGRAM_MAX_BYTES + 1]).await.unwrap();
        assert_eq!(right.receive().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
