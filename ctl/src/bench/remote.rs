//! Clients of a daemon: each a connection of its own, with a number of operations in flight.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use acrypto_core::{Clock, OpKind};
use acrypto_netlink::family::OP_DATA_MAX_BYTES;
use acrypto_netlink::message::{Bind, DeviceInfo, OpReply, OpSubmit, SessionNew, Target};
use acrypto_netlink::{Address, Client, Error as NetlinkError};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustix::io::Errno;
use tokio::runtime::Runtime as Reactor;
use zeroize::Zeroizing;

use super::client::{Clients, Order, Worker};
use super::reference::Reference;
use super::tally::Tally;
use super::work::Work;
use crate::cli::{BenchArgs, Ptest};
use crate::context::Context;
use crate::exit::{self, Exit, Failure};
use crate::op::{is_full, wire_kind};
use crate::units::{Tie, parse_bind};

/// A daemon that is measured.
pub struct Daemon {
    context: Context,
    address: Address,
    /// Drives the connection that asks; those of clients drive themselves.
    reactor: Reactor,
    client: Client,
    /// Balancer it has.
    pub balancer: String,
    devices: Vec<DeviceInfo>,
    bind: Option<Bind>,
    /// Names of the devices that have carried something out since they were last asked for.
    used: Arc<Mutex<BTreeSet<String>>>,
}

impl Daemon {
    /// Connects, and finds out what is there.
    pub fn connect(context: &Context, address: &Address, arguments: &BenchArgs) -> Result<Self, Failure> {
        if arguments.lb.is_some() {
            return Err(Failure::usage("'--lb' would switch the balancer of everybody who uses the daemon")
                .with_hint("leave it out; 'acrypto lb set NAME' switches"));
        }
        let reactor = reactor()?;
        let (client, devices, balancers) = reactor.block_on(async {
            let client = context.connect(address).await?;
            let (devices, balancers) = tokio::try_join!(client.devices(), client.balancers())?;
            Ok::<_, Failure>((client, devices, balancers))
        })?;
        let current = balancers.into_iter().find(|balancer| balancer.current);
        let bind = arguments.device.as_deref().map(|text| tie(text, &devices)).transpose()?;
        Ok(Self {
            context: context.clone(),
            address: address.clone(),
            reactor,
            client,
            balancer: current.map(|balancer| balancer.name).unwrap_or_default(),
            devices,
            bind,
            used: Arc::default(),
        })
    }

    /// The daemon's epoch.
    pub fn epoch(&self) -> u32 {
        self.client.epoch()
    }

    /// Whether the daemon can do it: by doing it once.
    pub fn check(&self, work: &Work) -> Result<(), Failure> {
        if work.size_bytes > OP_DATA_MAX_BYTES {
            return Err(Failure::usage(format!(
                "{} bytes are too many for an operation through a daemon: at most 32 KiB",
                work.size_bytes
            ))
            .with_hint("without --connect the limit is 1 GiB"));
        }
        self.check_devices(work)?;
        self.reactor.block_on(async {
            let id = self.client.session_new(session(work, 0, &self.bind)).await?;
            let answer = self.client.op_submit(submission(work, id, 0, work.input(0))).await;
            self.client.session_free(id).await?;
            answer.map(drop).map_err(Failure::from)
        })
    }

    /// An operation that no device can do would wait for one.
    fn check_devices(&self, work: &Work) -> Result<(), Failure> {
        let only = self.bind.as_ref().filter(|bind| bind.only);
        let fits = |device: &&DeviceInfo| match only.map(|bind| &bind.target) {
            None => true,
            Some(Target::Device(name)) => device.name == *name,
            Some(Target::Kind(kind)) => device.kind == *kind,
        };
        let fitting: Vec<&DeviceInfo> = self.devices.iter().filter(fits).collect();
        let has = |device: &&&DeviceInfo| {
            let mut capabilities = device.capabilities.iter();
            device.state.is_usable() && capabilities.any(|can| can.algorithm == work.algorithm.name())
        };
        if fitting.iter().find(has).is_some() {
            return Ok(());
        }
        let (algorithm, text) = (work.algorithm, only.map(Bind::to_string).unwrap_or_default());
        Err(match fitting.is_empty() && only.is_some() {
            true => Failure::new(Exit::NotFound, format!("device '{text}' not found"))
                .with_hint("see 'acrypto device list'"),
            false if only.is_some() => Failure::new(
                Exit::State,
                format!("device '{text}' is not in service or does not have {algorithm}"),
            ),
            false => Failure::new(
                Exit::State,
                format!("no device of the daemon that is in service has {algorithm}"),
            ),
        })
    }

    /// Connects clients, opens their sessions, which end with the connections, and starts their threads.
    pub fn clients(&self, work: &Work, ptest: Ptest, count: u32) -> Result<Clients, Failure> {
        Clients::start_with(work, count, |first, stop| {
            let reactor = reactor()?;
            let (client, sessions) = reactor.block_on(async {
                let client = self.context.connect(&self.address).await?;
                let mut sessions = Vec::new();
                for number in first..first + u64::from(work.sessions) {
                    let new = session(work, number, &self.bind);
                    sessions.push(client.session_new(new).await?);
                }
                Ok::<_, Failure>((client, sessions))
            })?;
            let desk = Desk {
                work: work.clone(),
                reference: (ptest == Ptest::Verify).then(|| Reference::new(work, first)).transpose()?,
                tally: Tally::default(),
                seen: BTreeSet::new(),
                used: Arc::clone(&self.used),
            };
            let inputs = (0..work.burst_ops).map(|place| work.input(place)).collect();
            let line = Line { client, sessions, work: work.clone(), inputs, clock: Clock::monotonic() };
            Ok(Remote { reactor, line, stop, next: 0, desk })
        })
    }

    /// What has carried out operations since this was last asked: kinds of device, or what they are tied to.
    pub fn devices_used(&self) -> String {
        let names = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(Bind { target: Target::Device(name) | Target::Kind(name), .. }) = &self.bind {
            return name.clone();
        }
        let used = self.devices.iter().filter(|device| names.contains(&device.name));
        let kinds: BTreeSet<&str> = used.map(|device| device.kind.as_str()).collect();
        kinds.into_iter().collect::<Vec<_>>().join("+")
    }
}

/// A reactor for one thread.
fn reactor() -> Result<Reactor, Failure> {
    let started = tokio::runtime::Builder::new_current_thread().enable_all().build();
    started.map_err(|error| Failure::new(Exit::State, exit::reason(&error)))
}

/// What `--device` names: a device, else a kind of which there is one, else what a session's tie names.
fn tie(text: &str, devices: &[DeviceInfo]) -> Result<Bind, Failure> {
    let is_name = devices.iter().any(|device| device.name == text);
    if !is_name && devices.iter().any(|device| device.kind == text) {
        return Ok(Bind { target: Target::Kind(text.to_owned()), only: true });
    }
    match parse_bind(text) {
        Ok(Tie(Some(bind))) => Ok(bind),
        Ok(Tie(None)) => Err(Failure::usage(format!("'{text}' names no device"))),
        Err(reason) => Err(Failure::usage(format!("'{text}' {reason}"))),
    }
}

fn session(work: &Work, number: u64, bind: &Option<Bind>) -> SessionNew {
    let key = work.key(number);
    let keys = if key.expose().is_empty() { Vec::new() } else { vec![Zeroizing::new(key.expose().to_vec())] };
    SessionNew {
        algorithm: work.algorithm.name().to_owned(),
        keys,
        allow_ecb: true,
        allow_sha1: true,
        name: "bench".to_owned(),
        bind: bind.clone(),
        ..SessionNew::default()
    }
}

/// Operation number `number`, in session `session`.
fn submission(work: &Work, session: u64, number: u64, data: Vec<u8>) -> OpSubmit {
    OpSubmit {
        session,
        kind: wire_kind(work.kind),
        data,
        iv: work.iv(number).as_slice().to_vec(),
        aad: Vec::new(),
    }
}

/// What the daemon's answer to an operation says.
#[derive(Debug)]
enum Verdict {
    Done(OpReply),
    /// It ended, but not well.
    Failed,
    /// There was no room: it is to be sent again.
    Full,
}

fn verdict(answer: Result<OpReply, NetlinkError>) -> Result<Verdict, Failure> {
    match answer {
        Ok(reply) => Ok(Verdict::Done(reply)),
        Err(error) if is_full(&error) => Ok(Verdict::Full),
        Err(NetlinkError::Refused { errno, .. }) if is_failure(errno) => Ok(Verdict::Failed),
        Err(error) => Err(error.into()),
    }
}

fn is_failure(errno: i32) -> bool {
    [Errno::IO, Errno::BADMSG, Errno::TIMEDOUT, Errno::CANCELED].map(Errno::raw_os_error).contains(&errno)
}

/// One client.
struct Remote {
    /// Drives its connection, on its thread.
    reactor: Reactor,
    line: Line,
    stop: Arc<AtomicBool>,
    /// Number of the next operation.
    next: u64,
    desk: Desk,
}

/// The way to the daemon.
struct Line {
    client: Client,
    sessions: Vec<u64>,
    work: Work,
    /// The input at each place of a burst.
    inputs: Vec<Vec<u8>>,
    clock: Clock,
}

/// An operation's number, the nanoseconds until its answer, and the answer.
type Answered = (u64, u64, Result<OpReply, NetlinkError>);

impl Line {
    async fn carry_out(&self, number: u64) -> Answered {
        let session = self.sessions[(number % self.sessions.len() as u64) as usize];
        let input = &self.inputs[(number % self.inputs.len() as u64) as usize];
        let op = submission(&self.work, session, number, input.clone());
        let start = self.clock.now();
        let answer = self.client.op_submit(op).await;
        (number, self.clock.now().since(start), answer)
    }
}

/// Looks at what comes back.
struct Desk {
    work: Work,
    /// What every byte is held against, if asked for.
    reference: Option<Reference>,
    tally: Tally,
    /// Devices that this client has told of.
    seen: BTreeSet<String>,
    used: Arc<Mutex<BTreeSet<String>>>,
}

impl Desk {
    fn take(&mut self, number: u64, took_ns: u64, reply: &OpReply) {
        let is_hash = matches!(self.work.kind, OpKind::Digest | OpKind::Mac);
        // The daemon does not send back what a hash has only read.
        let data_len = if is_hash { 0 } else { self.work.data_len() };
        let is_right = reply.data.len() == data_len && reply.output.len() == self.work.output_len();
        let is_right = is_right
            && self.reference.as_mut().is_none_or(|reference| match is_hash {
                true => reference.digests_to(number, &reply.output),
                false => reference.agrees(number, &reply.data, &reply.output),
            });
        self.tally.ops += 1;
        self.tally.errors += u64::from(!is_right);
        // Not what the reply tells: a daemon does not measure every operation.
        self.tally.note(took_ns, 1);
        if !self.seen.contains(&reply.device) {
            self.seen.insert(reply.device.clone());
            self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(reply.device.clone());
        }
    }
}

impl Worker for Remote {
    fn run(&mut self, order: Order) -> Result<Tally, Failure> {
        let Self { reactor, line, stop, next, desk } = self;
        let limit = order.unwrap_or(u64::MAX);
        desk.tally = Tally::default();
        reactor.block_on(async {
            let mut in_flight = FuturesUnordered::new();
            let mut begun = 0;
            loop {
                while in_flight.len() < line.work.burst_ops && begun < limit && !stop.load(Ordering::Relaxed)
                {
                    in_flight.push(line.carry_out(*next));
                    *next += 1;
                    begun += 1;
                }
                let Some((number, took_ns, answer)) = in_flight.next().await else { break };
                match verdict(answer)? {
                    Verdict::Done(reply) => desk.take(number, took_ns, &reply),
                    Verdict::Failed => {
                        desk.tally.ops += 1;
                        desk.tally.errors += 1;
                    }
                    // That counts; asking again takes long enough for others to be done.
                    Verdict::Full => {
                        desk.tally.errors += 1;
                        in_flight.push(line.carry_out(number));
                    }
                }
            }
            Ok::<_, Failure>(())
        })?;
        Ok(std::mem::take(&mut desk.tally))
    }
}

#[cfg(test)]
mod tests {
    use acrypto_core::Algorithm;

    use super::*;

    fn device(name: &str, kind: &str) -> DeviceInfo {
        DeviceInfo { name: name.to_owned(), kind: kind.to_owned(), ..DeviceInfo::default() }
    }

    #[test]
    fn a_device_is_named_by_its_name_or_by_its_kind() {
        let devices = [device("soft0", "soft"), device("multi", "sim"), device("m1", "multi")];
        let named = |text: &str| tie(text, &devices).map(|bind| bind.to_string());
        assert_eq!(named("soft0").unwrap(), "soft0");
        assert_eq!(named("soft").unwrap(), "kind:soft");
        assert_eq!(named("multi").unwrap(), "multi", "a name goes first");
        assert_eq!(named("kind:multi,prefer").unwrap(), "kind:multi,prefer");
        assert_eq!(named("none").unwrap(), "none", "the daemon will say that there is none");
        assert_eq!(named("any").unwrap_err().exit, Exit::Usage);
        assert_eq!(named("soft0,often").unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn a_full_daemon_is_asked_again_and_a_lost_operation_is_an_error() {
        let refused = |errno: Errno| {
            let (message, attribute) = ("no".to_owned(), None);
            verdict(Err(NetlinkError::Refused { errno: errno.raw_os_error(), message, attribute }))
        };
        assert!(matches!(refused(Errno::AGAIN), Ok(Verdict::Full)));
        assert!(matches!(refused(Errno::IO), Ok(Verdict::Failed)));
        assert!(matches!(refused(Errno::TIMEDOUT), Ok(Verdict::Failed)));
        assert_eq!(refused(Errno::NOENT).unwrap_err().exit, Exit::NotFound);
        assert!(verdict(Err(NetlinkError::Closed { sent_change: false })).is_err());
    }

    #[test]
    fn a_wrong_byte_from_a_daemon_is_an_error_and_so_is_a_wrong_length() {
        for (algorithm, wrong_data) in
            [(Algorithm::Aes128Ctr, true), (Algorithm::Sha256, false), (Algorithm::HmacSha256, false)]
        {
            let work = Work::new(algorithm, 64, 2, 1);
            let mut desk = Desk {
                reference: Some(Reference::new(&work, 0).unwrap()),
                work: work.clone(),
                tally: Tally::default(),
                seen: BTreeSet::new(),
                used: Arc::default(),
            };
            let (data, output) = Reference::new(&work, 0).unwrap().expected(1);
            let data = if wrong_data { data } else { Vec::new() };
            let mut reply = OpReply { data, output, ..OpReply::default() };
            desk.take(1, 5, &reply);
            assert_eq!((desk.tally.ops, desk.tally.errors), (1, 0), "{algorithm}");
            let byte = if wrong_data { &mut reply.data[3] } else { &mut reply.output[3] };
            *byte ^= 1;
            desk.take(1, 5, &reply);
            reply.data.push(0);
            desk.take(1, 5, &reply);
            assert_eq!((desk.tally.ops, desk.tally.errors, desk.tally.times().count()), (3, 2, 3));
        }
    }
}
