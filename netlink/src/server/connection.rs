//! One connection: a reader that hands requests on, a writer, and a lane for changes so that they keep their order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acrypto_core::Stream;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::Shared;
use super::auth::{Peer, permit};
use super::errno::{EMSGSIZE, limit};
use crate::attr::{Fault, Reader, Writer};
use crate::conn::server::{Ask, Dump, Received, body, receive, reply};
use crate::conn::{Datagram, extack, nlctrl};
use crate::error::Error;
use crate::family::{Command, CommandSpec, control};
use crate::message::Class;
use crate::transport::{Credentials, End, Packet};

/// Datagrams that wait to be sent; whoever has more waits.
const OUT_MAX_DATAGRAMS: usize = 64;
/// Changes that wait their turn; the reader waits beyond.
const CHANGES_MAX: usize = 64;
/// How long a client that is one too many has to say what it wants, so that it can be told.
const TURN_AWAY: Duration = Duration::from_secs(1);

/// How long a connection may take to answer what is under way when the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// What is known of one connection.
pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    pub(super) id: u64,
    pub(super) streams: Mutex<HashMap<u64, Option<Stream>>>,
    pub(super) last_stream: AtomicU64,
    pub(super) subscriptions: Mutex<HashMap<u32, AbortHandle>>,
    pub(super) out: mpsc::Sender<Datagram>,
    peer: Peer,
    most: Class,
    cap_ack: AtomicBool,
}

/// Who asks, and with what right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) uid: u32,
    pub(super) class: Class,
}

/// What a command comes to.
pub(super) enum Reply {
    /// The acknowledgement only.
    Done,
    /// One answer.
    One(Writer),
    /// The rows of a dump.
    Rows(Box<dyn Iterator<Item = Writer> + Send>),
}

/// The client is gone.
struct Gone;

/// Serves a connection until it ends; nobody gets more than class `most` on it.
pub(super) async fn serve(shared: Arc<Shared>, end: End, peer: Peer, most: Class) {
    let mut stopping = shared.stopping.subscribe();
    let is_admin = shared.class_of(&peer, Some(peer.credentials)) == Class::Admin;
    let _share = match shared.shares.connection(peer.credentials.uid, is_admin) {
        Ok(share) => share,
        Err(most) => return turn_away(&end, most).await,
    };
    let end = Arc::new(end);
    let (out, inbox) = mpsc::channel(OUT_MAX_DATAGRAMS);
    let writer = tokio::spawn(write(Arc::clone(&end), inbox));
    let connection = Arc::new(Connection {
        id: shared.next_connection(),
        shared,
        streams: Mutex::default(),
        last_stream: AtomicU64::new(0),
        subscriptions: Mutex::default(),
        out,
        peer,
        most,
        cap_ack: AtomicBool::new(false),
    });
    let mut tasks = JoinSet::new();
    let mut lanes = Lanes::start(&connection, &mut tasks);
    let stopped = loop {
        let packet = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => break true,
            packet = end.receive() => packet,
        };
        let Ok(Some(packet)) = packet else { break false };
        let overdue = overdue(stopping.clone());
        let taken_in = tokio::select! {
            biased;
            taken_in = connection.take_in(packet, &mut lanes, &mut tasks) => taken_in,
            () = overdue => break true,
        };
        if taken_in.is_err() {
            break false;
        }
        while tasks.try_join_next().is_some() {}
    };
    drop(lanes);
    let stop_writing = writer.abort_handle();
    if stopped {
        let drain = async {
            while tasks.join_next().await.is_some() {}
            connection.let_go();
            drop(connection);
            // The writer ends when the last sender is dropped and everything is sent.
            let _ = writer.await;
        };
        // A client that does not read must not hold the server up.
        let _ = tokio::time::timeout(DRAIN, drain).await;
    } else {
        tasks.shutdown().await;
        connection.end_subscriptions();
        connection.let_go();
    }
    stop_writing.abort();
}

/// Waits until the server has been stopping for as long as a connection may take.
async fn overdue(mut stopping: watch::Receiver<bool>) {
    // The sender lives as long as the connection.
    let _ = stopping.wait_for(|stopping| *stopping).await;
    tokio::time::sleep(DRAIN).await;
}

async fn write(end: Arc<End>, mut inbox: mpsc::Receiver<Datagram>) {
    while let Some(datagram) = inbox.recv().await {
        if end.send(&datagram).await.is_err() {
            break;
        }
    }
}

/// Tells a client that it is one too many.
async fn turn_away(end: &End, most: usize) {
    let Ok(Ok(Some(mut packet))) = tokio::time::timeout(TURN_AWAY, end.receive()).await else { return };
    for received in receive(&mut packet.datagram).0 {
        let refusal = extack::refuse(received.header, &received.frame, &limit(most, "connections"), false);
        if end.try_send(&refusal).is_err() {
            return;
        }
    }
}

/// Where requests go that are not answered at once.
struct Lanes {
    changes: mpsc::Sender<(Received, Caller)>,
    work: Arc<Semaphore>,
}

impl Lanes {
    fn start(connection: &Arc<Connection>, tasks: &mut JoinSet<()>) -> Self {
        let (changes, mut queue) = mpsc::channel::<(Received, Caller)>(CHANGES_MAX);
        let changing = Arc::clone(connection);
        tasks.spawn(async move {
            while let Some((received, caller)) = queue.recv().await {
                changing.change(received, caller).await;
            }
        });
        let most = connection.shared.options.limits.ops_per_connection_max;
        Self { changes, work: Arc::new(Semaphore::new(most)) }
    }
}

impl Connection {
    async fn take_in(
        self: &Arc<Self>,
        mut packet: Packet,
        lanes: &mut Lanes,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), Gone> {
        let (received, end) = receive(&mut packet.datagram);
        let caller = self.caller(packet.sender);
        for one in received {
            self.dispatch(one, caller, lanes, tasks).await?;
        }
        // What cannot be understood to its end came from nobody who could make sense of an answer.
        end.map_err(|_| Gone)
    }

    fn caller(&self, sender: Option<Credentials>) -> Caller {
        let class = self.shared.class_of(&self.peer, sender).min(self.most);
        Caller { uid: sender.map_or(self.peer.credentials.uid, |sender| sender.uid), class }
    }

    async fn dispatch(
        self: &Arc<Self>,
        mut received: Received,
        caller: Caller,
        lanes: &mut Lanes,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), Gone> {
        let request = match &mut received.request {
            Ok(request) => request,
            Err(fault) => {
                let fault = std::mem::take(fault);
                return self.answer(&received, Err(fault)).await;
            }
        };
        let (spec, dump) = match request.ask {
            Ask::Command { spec, dump } => (spec, dump),
            Ask::Family { .. } | Ask::Policy => {
                let outcome = control(&request.ask, &request.attributes);
                return self.answer(&received, outcome).await;
            }
        };
        if let Err(fault) = permit(caller.class, spec.class, spec.name, caller.uid) {
            return self.answer(&received, Err(fault)).await;
        }
        match spec.command {
            Command::ServerSet => {
                let cap_ack = request.attributes.u32(crate::family::attribute::server::CAP_ACK);
                let outcome = cap_ack.map(|cap_ack| {
                    self.cap_ack.store(cap_ack != 0, Ordering::Relaxed);
                    Reply::Done
                });
                self.answer(&received, outcome).await
            }
            Command::EventSubscribe => {
                let (outcome, pump) = match self.subscribe(&request.attributes, caller.uid) {
                    Ok((body, pump)) => (Ok(Reply::One(body)), Some(pump)),
                    Err(fault) => (Err(fault), None),
                };
                self.answer(&received, outcome).await?;
                if let Some(pump) = pump {
                    self.start(pump);
                }
                Ok(())
            }
            Command::OpSubmit | Command::StreamNext | Command::StreamFinish => {
                let permit = Arc::clone(&lanes.work).acquire_owned().await.map_err(|_| Gone)?;
                let working = Arc::clone(self);
                tasks.spawn(async move {
                    let outcome = working.work(spec.command, &mut received, caller).await;
                    // A client that is gone needs no answer; the reader will see it too.
                    let _ = working.answer(&received, outcome).await;
                    drop(permit);
                });
                Ok(())
            }
            // A preview takes its time as well, and one after the other is enough.
            _ if spec.command == Command::PreviewGet || spec.changes && spec.class == Class::Admin => {
                lanes.changes.send((received, caller)).await.map_err(|_| Gone)
            }
            _ => {
                let outcome = self.at_once(spec, dump, &mut request.attributes, caller);
                self.answer(&received, outcome).await
            }
        }
    }

    fn at_once(
        &self,
        spec: &CommandSpec,
        dump: bool,
        attributes: &mut Reader,
        caller: Caller,
    ) -> Result<Reply, Fault> {
        match spec.command {
            Command::SessionNew => self.session_new(attributes, caller),
            Command::SessionDel => self.session_del(attributes, caller),
            Command::SessionSet => self.session_set(attributes, caller),
            Command::StreamStart => self.stream_start(attributes, caller),
            Command::EventUnsubscribe => self.unsubscribe(attributes),
            _ => self.shared.show(spec.command, dump, attributes, caller),
        }
    }

    /// Carries out a change where it may block, for example for known answers.
    async fn change(&self, mut received: Received, caller: Caller) {
        let shared = Arc::clone(&self.shared);
        let changed = tokio::task::spawn_blocking(move || {
            let outcome = match &mut received.request {
                Ok(request) => shared.change(request, caller),
                Err(fault) => Err(std::mem::take(fault)),
            };
            (received, outcome)
        })
        .await;
        if let Ok((received, outcome)) = changed {
            // A client that is gone needs no answer; the reader will see it too.
            let _ = self.answer(&received, outcome).await;
        }
    }

    async fn answer(&self, received: &Received, outcome: Result<Reply, Fault>) -> Result<(), Gone> {
        let sent = match outcome {
            Ok(reply) => self.send_reply(received, reply).await?,
            Err(fault) => Err(fault),
        };
        match sent {
            Ok(()) => Ok(()),
            Err(fault) => {
                let capped = self.cap_ack.load(Ordering::Relaxed);
                self.send(extack::refuse(received.header, &received.frame, &fault, capped)).await
            }
        }
    }

    /// Sends a reply and, as a datagram of its own, the acknowledgement (rule R1); a dump has none (rule R2).
    async fn send_reply(&self, received: &Received, outcome: Reply) -> Result<Result<(), Fault>, Gone> {
        let header = received.header;
        let command = received.reply_command();
        match outcome {
            Reply::Done => {}
            Reply::One(body) => match reply(header, command, body) {
                Ok(datagram) => self.send(datagram).await?,
                Err(error) => return Ok(Err(unfit(&error))),
            },
            Reply::Rows(rows) => {
                let mut dump = Dump::new(header);
                for row in rows {
                    match dump.row(command, row) {
                        Ok(Some(part)) => self.send(part).await?,
                        Ok(None) => {}
                        Err(error) => return Ok(Err(unfit(&error))),
                    }
                }
                self.send(dump.finish()).await?;
                return Ok(Ok(()));
            }
        }
        if received.wants_ack() {
            self.send(extack::acknowledge(header)).await?;
        }
        Ok(Ok(()))
    }

    async fn send(&self, datagram: Datagram) -> Result<(), Gone> {
        self.out.send(datagram).await.map_err(|_| Gone)
    }

    /// A body that begins with the epoch.
    pub(super) fn body(&self) -> Writer {
        body(self.shared.epoch)
    }

    /// Without what has happened and was not sent yet.
    fn end_subscriptions(&self) {
        for (_, subscription) in Shared::lock(&self.subscriptions).drain() {
            subscription.abort();
        }
    }

    /// Streams and sessions end with their connection.
    fn let_go(&self) {
        Shared::lock(&self.streams).clear();
        self.shared.sessions.end_connection(self.id);
    }
}

impl Received {
    fn reply_command(&self) -> u8 {
        match self.request.as_ref().map(|request| &request.ask) {
            Ok(Ask::Command { spec, .. }) => spec.command as u8,
            Ok(Ask::Policy) => control::GET_POLICY,
            Ok(Ask::Family { .. }) | Err(_) => control::NEW_FAMILY,
        }
    }
}

fn control(ask: &Ask, attributes: &Reader) -> Result<Reply, Fault> {
    match ask {
        Ask::Family { dump: true } => Ok(Reply::Rows(Box::new(nlctrl::all_families().into_iter()))),
        Ask::Family { dump: false } => nlctrl::one_family(attributes).map(Reply::One),
        _ => nlctrl::policies(attributes).map(|rows| Reply::Rows(Box::new(rows.into_iter()))),
    }
}

fn unfit(error: &Error) -> Fault {
    Fault::new(EMSGSIZE, format!("answer does not fit into a message: {error}"))
}
