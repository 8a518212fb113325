//! Listening on a netlink socket: one queue for all, from which each client's datagrams go to a connection of its own.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use acrypto_core::Feed;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{MissedTickBehavior, interval};

use super::auth::Peer;
use super::errno::limit;
use super::{Server, Shared, connection, convert};
use crate::address::Address;
use crate::conn::extack;
use crate::conn::server::{body, event, receive};
use crate::error::Error;
use crate::family::GROUP_EVENTS;
use crate::message::Class;
use crate::transport::netlink::{NetlinkSocket, all_bound, holder};
use crate::transport::{Credentials, End, Packet, PortEnd};

/// Datagrams of one client that wait to be read.
const INBOX_MAX: usize = 64;
/// How often it is looked whether clients are still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A netlink socket that is bound.
#[derive(Debug)]
pub struct NetlinkListener {
    server: Server,
    socket: Arc<NetlinkSocket>,
    address: String,
    most: Class,
    clients: HashMap<u32, Client>,
}

/// Who is behind a port.
#[derive(Debug)]
struct Client {
    credentials: Credentials,
    inbox: mpsc::Sender<Packet>,
}

impl Server {
    /// Binds a netlink socket of protocol NETLINK_USERSOCK to a port, so that clients find the server when this returns.
    /// Nobody gets more than class `most` there: [`Class::Read`] unless somebody asked for more, since the transport lets any
    /// user take the port while no server has it. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::AddressTaken`] with the holder, [`Error::Listen`].
    pub fn listen_netlink(&self, port: u32, most: Class) -> Result<NetlinkListener, Error> {
        let address = format!("{}{}", Address::Netlink(port), if most > Class::Read { ",rw" } else { "" });
        let socket = NetlinkSocket::bind(port).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => {
                Error::AddressTaken { address: address.clone(), pid: holder(port).unwrap_or(0) }
            }
            _ => Error::Listen { address: address.clone(), reason: error.to_string() },
        })?;
        Shared::lock(&self.shared.listen).push(address.clone());
        let (server, socket) = (self.clone(), Arc::new(socket));
        Ok(NetlinkListener { server, socket, address, most, clients: HashMap::new() })
    }
}

impl NetlinkListener {
    /// Serves every client that comes, and sends events to the group `events`, until [`Server::shutdown`].
    pub async fn serve(mut self) {
        let shared = Arc::clone(&self.server.shared);
        let mut stopping = shared.stopping.subscribe();
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mirror = tokio::spawn(mirror(Arc::clone(&shared), Arc::clone(&self.socket)));
        loop {
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping) => break,
                _ = looks.tick() => self.forget_who_left(),
                received = self.socket.receive() => match received {
                    Ok((port, packet)) => self.hand_on(port, packet),
                    // Nothing more can be read; those who are served are told so by silence.
                    Err(_) => break,
                },
            }
        }
        mirror.abort();
    }

    /// Gives a datagram to its client's connection, which is made for the first of them.
    fn hand_on(&mut self, port: u32, packet: Packet) {
        let Some(sender) = packet.sender else { return };
        // A port that was given up may be another process's now, and then of another user.
        let is_known = self
            .clients
            .get(&port)
            .is_some_and(|client| client.credentials == sender && !client.inbox.is_closed());
        if !is_known {
            self.clients.insert(port, self.begin(port, sender));
        }
        let Some(client) = self.clients.get(&port) else { return };
        if let Err(TrySendError::Full(mut packet)) = client.inbox.try_send(packet) {
            // It would have to wait while others are read.
            for received in receive(&mut packet.datagram).0 {
                let fault = limit(INBOX_MAX, "requests of one client that wait");
                let refusal = extack::refuse(received.header, &received.frame, &fault, false);
                let _ = self.socket.try_send_to(&refusal, port);
            }
        }
    }

    fn begin(&self, port: u32, credentials: Credentials) -> Client {
        let (inbox, packets) = mpsc::channel(INBOX_MAX);
        let end = End::Port(PortEnd::new(Arc::clone(&self.socket), port, packets));
        let (shared, most) = (Arc::clone(&self.server.shared), self.most);
        tokio::spawn(async move {
            let peer = Peer::with(credentials, &shared).await;
            connection::serve(shared, end, peer, most).await;
        });
        Client { credentials, inbox }
    }

    /// Ends the connections of ports that nobody is bound to any more.
    fn forget_who_left(&mut self) {
        self.clients.retain(|_, client| !client.inbox.is_closed());
        if self.clients.is_empty() {
            return;
        }
        let Ok(bound) = all_bound() else { return };
        self.clients.retain(|port, _| bound.iter().any(|socket| socket.port == *port));
    }
}

impl Drop for NetlinkListener {
    fn drop(&mut self) {
        Shared::lock(&self.server.shared.listen).retain(|listening| *listening != self.address);
    }
}

/// Sends every event to its group. Who misses some sees it by the numbers, and asks by a connection of its own.
async fn mirror(shared: Arc<Shared>, socket: Arc<NetlinkSocket>) {
    let mut events = shared.runtime.events().subscribe(None);
    loop {
        let mut row = body(shared.epoch);
        match events.next().await {
            Feed::Event(happened) => convert::event(&happened).write(&mut row),
            Feed::Lost(lost) => drop(row.u64(crate::family::attribute::event::LOST, lost)),
            Feed::Closed => return,
        }
        if let Ok(datagram) = event(row) {
            socket.multicast(&datagram, GROUP_EVENTS.1);
        }
    }
}
