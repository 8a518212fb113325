//! AF_NETLINK, protocol NETLINK_USERSOCK: the same datagrams, for netlink libraries that connect with no code of ours.
//!
//! What is different from a socket of one's own for each client (`linux/netlink.h`, `net/netlink/af_netlink.c`):
//!
//! - All clients share the server's receive queue; a client is known by its port, and its end is not seen. Whether a port is
//!   still bound stands in `/proc/net/netlink`.
//! - A port whose queue is full is EAGAIN, and nothing tells when there is room: whoever sends tries again, and gives up.
//! - Any user may take a port first, send to any port, and forge an event; hence whoever receives looks at the sender's
//!   credentials.

use std::fs;
use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram as StdUnixDatagram;
use std::path::Path;
#[cfg(feature = "server")]
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, NetlinkAddr, UnixCredentials};
use rustix::net::netlink::{SocketAddrNetlink, USERSOCK};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::Mutex;
#[cfg(feature = "server")]
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use zeroize::{Zeroize, Zeroizing};

use super::{Credentials, Packet};
use crate::frame::DATAGRAM_MAX_BYTES;

/// How long a sender tries to find room in a queue before it gives up.
const SEND_MAX: Duration = Duration::from_secs(5);
/// Time between two tries.
const SEND_AGAIN: Duration = Duration::from_millis(2);
/// How often a client looks whether its server is still there.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What a receive queue may hold, in bytes, if the system lets it: clients share the server's.
const QUEUE_BYTES: usize = 4 << 20;
/// Where the kernel lists netlink sockets.
const LIST: &str = "/proc/net/netlink";

/// A socket of protocol NETLINK_USERSOCK.
#[derive(Debug)]
pub(crate) struct NetlinkSocket {
    /// tokio knows no netlink sockets; its datagram socket serves as the reactor's handle here.
    socket: UnixDatagram,
    /// One byte longer than the longest datagram, so that a longer one is noticed.
    scratch: Mutex<Zeroizing<Vec<u8>>>,
}

impl NetlinkSocket {
    /// Binds to a port; 0 lets the kernel choose one. Must be called within a tokio runtime.
    pub(crate) fn bind(port: u32) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(USERSOCK))?;
        rustix::net::sockopt::set_socket_passcred(&socket, true)?;
        // The system's own limit is good enough where it is lower.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, QUEUE_BYTES);
        rustix::net::bind(&socket, &SocketAddrNetlink::new(port, 0))?;
        Ok(Self {
            socket: UnixDatagram::from_std(StdUnixDatagram::from(socket))?,
            scratch: Mutex::new(Zeroizing::new(vec![0; DATAGRAM_MAX_BYTES + 1])),
        })
    }

    /// From now on only that port can be sent to, and only it is heard.
    fn connect(&self, port: u32) -> io::Result<()> {
        Ok(rustix::net::connect(&self.socket, &SocketAddrNetlink::new(port, 0))?)
    }

    /// The next datagram and the port that it came from. What is too long for any message, or came from the kernel, is
    /// passed over; so is what was lost because the queue was full.
    ///
    /// # Cancel safety
    /// No datagram is lost.
    pub(crate) async fn receive(&self) -> io::Result<(u32, Packet)> {
        let mut scratch = self.scratch.lock().await;
        loop {
            self.socket.readable().await?;
            let received = self.socket.try_io(Interest::READABLE, || receive_now(&self.socket, &mut scratch));
            match received {
                Ok(Some(received)) => return Ok(received),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends to a port if there is room in its queue now.
    pub(crate) fn try_send_to(&self, datagram: &[u8], port: u32) -> io::Result<()> {
        self.send(datagram, &SocketAddrNetlink::new(port, 0))
    }

    /// Sends to a port, and tries for a while where its queue is full.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing was sent.
    pub(crate) async fn send_to(&self, datagram: &[u8], port: u32) -> io::Result<()> {
        let end = Instant::now() + SEND_MAX;
        loop {
            match self.try_send_to(datagram, port) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if Instant::now() >= end {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    sleep(SEND_AGAIN).await;
                }
                sent => return sent,
            }
        }
    }

    /// Sends to whoever has joined a group.
    #[cfg(feature = "server")]
    pub(crate) fn multicast(&self, datagram: &[u8], group: u32) {
        // The kernel says ECONNREFUSED, since nobody is at port 0, whether members have got it or not; and who has no room
        // for an event learns it from the gap in the numbers.
        let _ = self.send(datagram, &SocketAddrNetlink::new(0, 1 << (group - 1)));
    }

    fn send(&self, datagram: &[u8], to: &SocketAddrNetlink) -> io::Result<()> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        rustix::net::sendto(&self.socket, datagram, flags, to)?;
        Ok(())
    }
}

fn receive_now(socket: &UnixDatagram, scratch: &mut [u8]) -> io::Result<Option<(u32, Packet)>> {
    let mut space = nix::cmsg_space!(UnixCredentials);
    let mut parts = [IoSliceMut::new(scratch)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let message =
        nix::sys::socket::recvmsg::<NetlinkAddr>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let sender = message.cmsgs().ok().and_then(|mut parts| {
        parts.find_map(|part| match part {
            ControlMessageOwned::ScmCredentials(sender) => Some(sender.into()),
            _ => None,
        })
    });
    let port = message.address.map_or(0, |address| address.pid());
    let (bytes, truncated) = (message.bytes, message.flags.contains(MsgFlags::MSG_TRUNC));
    let used = scratch.get_mut(..bytes).unwrap_or_default();
    let is_good = !truncated && !used.is_empty() && used.len() <= DATAGRAM_MAX_BYTES && port != 0;
    let datagram = Zeroizing::new(if is_good { used.to_vec() } else { Vec::new() });
    used.zeroize();
    Ok(is_good.then_some((port, Packet { datagram, sender })))
}

/// A client's end.
#[derive(Debug)]
pub struct NetlinkEnd {
    socket: NetlinkSocket,
    server: u32,
    /// Of the server's socket: another one at the same port is another server.
    inode: u64,
    looks: Mutex<tokio::time::Interval>,
}

impl NetlinkEnd {
    /// Connects to the server at a port. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// `ConnectionRefused` when nobody is there.
    pub fn connect(port: u32) -> io::Result<Self> {
        let bound = bound(Path::new(LIST))?;
        let server = bound.iter().find(|socket| socket.port == port);
        let inode = server.ok_or(io::ErrorKind::ConnectionRefused)?.inode;
        // A socket that connects unbound is given a port by the kernel then, but clients of the same process would get the
        // same one.
        let socket = NetlinkSocket::bind(0)?;
        socket.connect(port)?;
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { socket, server: port, inode, looks: Mutex::new(looks) })
    }

    /// Sends one datagram; tries again while the server's queue is full, for five seconds.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing was sent.
    ///
    /// # Errors
    /// When the server is gone, or has no room.
    pub async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send_to(datagram, self.server).await
    }

    /// Sends one datagram if there is room now.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; another when the server is gone.
    pub fn try_send(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket.try_send_to(datagram, self.server)
    }

    /// The next datagram; `None` when the server is gone.
    ///
    /// # Cancel safety
    /// No datagram is lost.
    ///
    /// # Errors
    /// When the socket fails; `PermissionDenied` when the port is held by a user who is neither root nor the caller.
    pub async fn receive(&self) -> io::Result<Option<Packet>> {
        let mut looks = self.looks.lock().await;
        loop {
            tokio::select! {
                biased;
                received = self.socket.receive() => {
                    let (_, packet) = received?;
                    return match packet.sender {
                        Some(sender) if is_trusted(sender) => Ok(Some(packet)),
                        _ => Err(io::ErrorKind::PermissionDenied.into()),
                    };
                }
                _ = looks.tick() => {
                    let is_there = |socket: &Bound| (socket.port, socket.inode) == (self.server, self.inode);
                    if !bound(Path::new(LIST))?.iter().any(is_there) {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

/// Whether a server of this user may be believed.
fn is_trusted(sender: Credentials) -> bool {
    [0, Credentials::own().uid].contains(&sender.uid)
}

/// The server's end of a connection with one port. Datagrams come from whoever reads the shared socket.
#[cfg(feature = "server")]
#[derive(Debug)]
pub struct PortEnd {
    socket: Arc<NetlinkSocket>,
    port: u32,
    inbox: Mutex<mpsc::Receiver<Packet>>,
}

#[cfg(feature = "server")]
impl PortEnd {
    pub(crate) fn new(socket: Arc<NetlinkSocket>, port: u32, inbox: mpsc::Receiver<Packet>) -> Self {
        Self { socket, port, inbox: Mutex::new(inbox) }
    }

    pub(crate) async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send_to(datagram, self.port).await
    }

    pub(crate) fn try_send(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket.try_send_to(datagram, self.port)
    }

    pub(crate) async fn receive(&self) -> Option<Packet> {
        self.inbox.lock().await.recv().await
    }
}

/// A socket of protocol NETLINK_USERSOCK that is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) port: u32,
    pub(crate) inode: u64,
}

/// All that are bound now.
#[cfg(any(feature = "server", test))]
pub(crate) fn all_bound() -> io::Result<Vec<Bound>> {
    bound(Path::new(LIST))
}

fn bound(list: &Path) -> io::Result<Vec<Bound>> {
    // sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
    const PROTOCOL: &str = "2";
    let text = fs::read_to_string(list)?;
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, PROTOCOL, port, .., inode] = fields[..] else { return None };
        Some(Bound { port: port.parse().ok()?, inode: inode.parse().ok()? })
    };
    Ok(text.lines().skip(1).filter_map(row).collect())
}

/// The process that holds a port, if it can be found out.
#[cfg(any(feature = "server", test))]
pub(crate) fn holder(port: u32) -> Option<u32> {
    let inode = all_bound().ok()?.into_iter().find(|socket| socket.port == port)?.inode;
    let wanted = format!("socket:[{inode}]");
    let holds = |process: &u32| {
        let descriptors = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
        descriptors
            .into_iter()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|link| link.as_os_str() == &*wanted))
    };
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(holds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n\
            0000000000000000 0   1234       00000111 0        0        0     2        0        100\n\
            0000000000000000 2   1090519040 00000000 0        0        0     2        0        200\n\
            0000000000000000 2   77         00000000 0        0        0     2        3        300\n\
            junk\n";
        std::fs::write(file.path(), text).unwrap();
        let expected = [Bound { port: 0x4100_0000, inode: 200 }, Bound { port: 77, inode: 300 }];
        assert_eq!(bound(file.path()).unwrap(), expected);
    }

    #[test]
    fn servers_of_root_and_of_the_own_user_are_believed_and_no_others() {
        let own = Credentials::own();
        let of = |uid| Credentials { uid, ..own };
        assert!(is_trusted(own) && is_trusted(of(0)) && !is_trusted(of(own.uid + 4711)));
    }

    #[tokio::test]
    async fn datagrams_arrive_whole_with_their_port_and_sender() {
        let (left, right) = (NetlinkSocket::bind(0).unwrap(), NetlinkSocket::bind(0x4180_0001).unwrap());
        left.send_to(&[7; DATAGRAM_MAX_BYTES], 0x4180_0001).await.unwrap();
        left.send_to(&[7; DATAGRAM_MAX_BYTES + 1], 0x4180_0001).await.unwrap();
        left.send_to(b"two", 0x4180_0001).await.unwrap();
        let (port, packet) = right.receive().await.unwrap();
        assert_eq!((packet.datagram.len(), packet.sender), (DATAGRAM_MAX_BYTES, Some(Credentials::own())));
        assert!(all_bound().unwrap().iter().any(|socket| socket.port == port));
        assert_eq!(*right.receive().await.unwrap().1.datagram, b"two", "what is too long is passed over");
        assert_eq!(holder(0x4180_0001), Some(std::process::id()));
        drop(right);
        assert!(left.send_to(b"x", 0x4180_0001).await.is_err());
    }

    #[tokio::test]
    async fn a_client_sees_the_end_of_its_server() {
        let server = NetlinkSocket::bind(0x4180_0002).unwrap();
        let client = NetlinkEnd::connect(0x4180_0002).unwrap();
        client.send(b"hello").await.unwrap();
        let (port, _) = server.receive().await.unwrap();
        server.send_to(b"hello", port).await.unwrap();
        assert_eq!(*client.receive().await.unwrap().unwrap().datagram, b"hello");
        drop(server);
        assert!(client.receive().await.unwrap().is_none());
        let refused = NetlinkEnd::connect(0x4180_0002).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
