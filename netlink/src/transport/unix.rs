//! AF_UNIX SOCK_SEQPACKET: one netlink datagram a packet, a queue for each client, end-of-file when the peer dies.
//!
//! tokio knows stream and datagram sockets only; its `UnixStream` serves as the reactor's handle here, and every
//! packet is sent and received by rustix.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags,
    SocketAddrUnix, SocketFlags, SocketType, UCred,
};
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
        Ok(rustix::net::sockopt::socket_peercred(&self.socket)?.into())
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

fn receive_now(socket: impl AsFd, scratch: &mut [u8]) -> io::Result<Option<Packet>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = rustix::net::recvmsg(
        socket,
        &mut [IoSliceMut::new(scratch)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT,
    )?;
    let sender = control.drain().find_map(|part| match part {
        RecvAncillaryMessage::ScmCredentials(sender) => Some(sender.into()),
        _ => None,
    });
    let used = scratch.get_mut(..message.bytes).unwrap_or_default();
    if message.flags.contains(ReturnFlags::TRUNC) || used.len() > DATAGRAM_MAX_BYTES {
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

impl From<UCred> for Credentials {
    fn from(sender: UCred) -> Self {
        Self {
            pid: sender.pid.as_raw_nonzero().get().unsigned_abs(),
            uid: sender.uid.as_raw(),
            gid: sender.gid.as_raw(),
        }
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
