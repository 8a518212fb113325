//! One life: what is done in it, and what must hold after every step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use acrypto_core::simulation::Simulation;
use acrypto_core::{
    Bind, Burst, Completion, Config, DeviceState, Error, FaultMode, FaultSpec, OpFuture, Runtime, Session,
};

use super::chance::Chance;
use super::reference::{Op, SECRET, SORTS, Sort};

const MAIN_QUEUE_MAX_OPS: usize = 256;
const DEVICES: [(&str, &str); 5] =
    [("soft0", "soft"), ("sim0", "sim"), ("sim1", "sim"), ("soft1", "soft"), ("sim2", "sim")];
const BALANCERS: [&str; 6] =
    ["simple_lb", "round_robin_lb", "weighted_lb", "latency_lb", "size_lb", "failover_lb"];
const SESSIONS_MAX: usize = 6;
const ACTS: u64 = 80;
const REMOVAL_NS: u64 = 20_000_000;

/// How results come back: by a future each, or, in an ordered session, by a ring.
enum Face {
    Futures(Vec<(Op, OpFuture<'static>)>),
    Ring { burst: Box<Burst>, expected: VecDeque<Op> },
}

struct Client {
    session: Session,
    sort: Sort,
    key: u8,
    face: Face,
}

pub struct Life {
    simulation: Simulation,
    chance: Chance,
    is_told: bool,
    clients: Vec<Client>,
    /// Futures of sessions that were closed.
    orphans: Vec<(Op, OpFuture<'static>)>,
    removals: BTreeMap<&'static str, u64>,
    /// Devices that had a fault which corrupts.
    corrupted: BTreeSet<&'static str>,
    numbers: u64,
    accepted: u64,
    refused: u64,
    completed: u64,
    dropped: u64,
}

impl Life {
    pub fn new(seed: u64, is_told: bool) -> Self {
        let mut chance = Chance(seed);
        let config = Config {
            workers: 1 + chance.below(3) as usize,
            main_queue_max_ops: MAIN_QUEUE_MAX_OPS,
            deadline_ns: 1_500_000_000,
            attempt_max_ns: 400_000_000,
            silence_ns: 150_000_000,
            heartbeat_ns: *chance.of(&[0, 200_000_000]),
            repair_backoff_ns: *chance.of(&[0, 100_000_000]),
            seed,
            // Half of the lives go through slots and queues always.
            inline_max_ns: if seed.is_multiple_of(2) { Config::default().inline_max_ns } else { 0 },
            ..Config::default()
        };
        let mut life = Self {
            simulation: Simulation::new(config),
            chance,
            is_told,
            clients: Vec::new(),
            orphans: Vec::new(),
            removals: BTreeMap::new(),
            corrupted: BTreeSet::new(),
            numbers: 0,
            accepted: 0,
            refused: 0,
            completed: 0,
            dropped: 0,
        };
        life.runtime().add_device_of_kind("soft0", "soft", &[], 0).unwrap();
        life.open();
        life
    }

    pub fn runtime(&self) -> Runtime {
        self.simulation.runtime().clone()
    }

    pub fn live(mut self) {
        for _ in 0..ACTS {
            self.act();
            self.check();
        }
        self.end();
    }

    /// Says in a life that is told what happens.
    fn tell(&self, what: impl FnOnce() -> String) {
        if self.is_told {
            println!("{:>13} {}", self.simulation.runtime().now().0, what());
        }
    }

    pub fn act(&mut self) {
        let runtime = self.runtime();
        let draw = self.chance.below(100);
        let (name, kind) = *self.chance.of(&DEVICES);
        match draw {
            0..25 => self.submit(),
            25..40 => self.fetch(),
            40..46 => self.drop_one(),
            46..62 => {
                let nanoseconds = *self.chance.of(&[1_000, 100_000, 5_000_000, 50_000_000, 400_000_000]);
                self.tell(|| format!("advance {nanoseconds}"));
                self.simulation.advance(nanoseconds);
            }
            62..68 => {
                self.simulation.step();
            }
            68..74 => {
                let seed = self.chance.below(100).to_string();
                let parameters = if kind == "sim" { vec![("seed".to_owned(), seed)] } else { Vec::new() };
                // What the state does not allow is refused, which is tested elsewhere; so below.
                let added = runtime.add_device_of_kind(name, kind, &parameters, 0);
                self.tell(|| format!("add {name}: {added:?}"));
            }
            74..76 => {
                if runtime.remove_device(name, REMOVAL_NS, 0).is_ok() {
                    self.tell(|| format!("remove {name}"));
                    self.removals.insert(name, runtime.now().0 + REMOVAL_NS);
                }
            }
            76..84 => self.fault(name),
            84..87 => {
                let repaired = runtime.repair_device(name, 0);
                self.tell(|| format!("repair {name}: {repaired:?}"));
            }
            87..89 => {
                let drained = match self.chance.one_in(2) {
                    true => runtime.drain_device(name, REMOVAL_NS, 0),
                    false => runtime.resume_device(name, 0),
                };
                self.tell(|| format!("drain or resume {name}: {drained:?}"));
            }
            89..93 => {
                let balancer = *self.chance.of(&BALANCERS);
                let switched = match self.chance.one_in(3) {
                    true => {
                        runtime.rehash(0);
                        Ok(())
                    }
                    false => runtime.set_balancer(balancer, None, 0),
                };
                self.tell(|| format!("balancer {balancer}: {switched:?}"));
            }
            93..96 => self.rekey_or_tie(name),
            _ if self.clients.len() < SESSIONS_MAX => self.open(),
            _ => self.close(),
        }
    }

    fn open(&mut self) {
        let sort = *self.chance.of(&SORTS);
        let ordered = self.chance.one_in(3);
        let tenant = *self.chance.of(&["", "a", "b"]);
        let mut spec = sort.spec().ordered(ordered).tenant(tenant).priority(self.chance.below(8) as u8);
        if self.chance.one_in(5) {
            spec = spec.bind(self.tie());
        }
        let Ok(session) = self.runtime().session_with_keys(spec, sort.keys(0)) else { return };
        self.tell(|| format!("open {:#x} {sort:?} ordered {ordered}", session.id()));
        let face = match ordered {
            true => {
                Face::Ring { burst: Box::new(session.burst(MAIN_QUEUE_MAX_OPS)), expected: VecDeque::new() }
            }
            false => Face::Futures(Vec::new()),
        };
        self.clients.push(Client { session, sort, key: 0, face });
    }

    fn close(&mut self) {
        // A ring takes results with it that nobody has fetched: those sessions stay open until the end.
        let of_futures = |client: &Client| matches!(client.face, Face::Futures(_));
        if let Some(place) = self.clients.iter().position(of_futures)
            && let Face::Futures(futures) = self.clients.remove(place).face
        {
            self.orphans.extend(futures);
        }
    }

    fn tie(&mut self) -> Bind {
        let (name, kind) = *self.chance.of(&DEVICES);
        match self.chance.below(4) {
            0 => Bind::only(name),
            1 => Bind::prefer(name),
            2 => Bind::only_kind(kind),
            _ => Bind::prefer_kind(kind),
        }
    }

    fn rekey_or_tie(&mut self, name: &'static str) {
        let tie = self.tie();
        let change = self.chance.below(4);
        let rate = *self.chance.of(&[0.3, 1.0]);
        let weight = 1 + self.chance.below(5) as u32;
        let place = self.chance.below(self.clients.len() as u64) as usize;
        let Some(client) = self.clients.get_mut(place) else { return };
        match change {
            0 => client.session.bind(self.accepted.is_multiple_of(2).then_some(tie), 0).unwrap(),
            1 => {
                client.key = client.key.wrapping_add(1);
                client.session.rekey(client.sort.keys(client.key), 0).unwrap();
            }
            2 => self.runtime().set_tenant("a", Some(weight), None, 0).unwrap(),
            _ => {
                if !self.corrupted.contains(name) {
                    let _ = self.runtime().set_shadow(name, rate, 0);
                }
            }
        }
    }

    fn fault(&mut self, name: &'static str) {
        let runtime = self.runtime();
        if self.chance.one_in(8) {
            let broken = runtime.break_device(name, None, 0);
            return self.tell(|| format!("break {name}: {broken:?}"));
        }
        let mode = *self.chance.of(&FaultMode::ALL);
        let mut spec = FaultSpec::new(mode);
        match self.chance.below(4) {
            0 => spec.every = Some(1 + self.chance.below(4)),
            1 => spec.rate = Some(0.3),
            2 => spec.count = Some(1 + self.chance.below(5)),
            _ => {}
        }
        spec.seed = self.chance.below(1_000);
        spec.for_ns = self.chance.one_in(3).then_some(50_000_000);
        // Wrong bytes are found out before they get out only where every operation is compared. Once it is, a device
        // stays so for the rest of its life here: what it has in hand may still be wrong after the fault.
        if mode == FaultMode::Corrupt {
            if runtime.set_shadow(name, 1.0, 0).is_err() {
                return;
            }
            self.corrupted.insert(name);
        }
        let broken = runtime.break_device(name, Some(spec.clone()), 0);
        self.tell(|| format!("fault {name} {spec:?}: {broken:?}"));
    }

    fn submit(&mut self) {
        let place = self.chance.below(self.clients.len() as u64) as usize;
        let count = 1 + self.chance.below(60);
        let bytes = *self.chance.of(&[0, 64, 100, 300, 5_000, 70_000]);
        // Large ones cost more time to check than to carry out, and a few show as much as many.
        let count = if bytes > 10_000 { count.min(8) } else { count };
        let Some(client) = self.clients.get_mut(place) else { return };
        if self.is_told {
            println!(
                "{:>13} submit {count} of {bytes} to {:#x}",
                self.simulation.runtime().now().0,
                client.session.id()
            );
        }
        for _ in 0..count {
            let op = Op { sort: client.sort, key: client.key, number: self.numbers, bytes };
            self.numbers += 1;
            match &mut client.face {
                Face::Ring { burst, expected } => {
                    let mut requests = vec![op.request()];
                    // A full ring does not ask the runtime.
                    let is_asked = burst.outstanding_ops() < MAIN_QUEUE_MAX_OPS;
                    let taken = burst.submit(&mut requests);
                    requests.extend(burst.refused().into_iter().map(|refused| refused.request));
                    self.accepted += taken as u64;
                    self.refused += u64::from(is_asked) * requests.len() as u64;
                    assert_eq!(taken + requests.len(), 1, "taken or handed back");
                    match requests.first() {
                        Some(request) => {
                            assert_eq!(request.data, op.input(), "a refused request comes back whole")
                        }
                        None => expected.push_back(op),
                    }
                }
                Face::Futures(futures) => {
                    let mut future = client.session.submit_owned(op.request());
                    match poll(&mut future) {
                        Poll::Ready(Err(refused)) => {
                            assert_eq!(
                                refused.request.data,
                                op.input(),
                                "a refused request comes back whole"
                            );
                            let is_typed =
                                matches!(refused.error, Error::Full { .. } | Error::NoDevice { .. });
                            assert!(is_typed, "{}", refused.error);
                            self.refused += 1;
                        }
                        Poll::Ready(Ok(completion)) => {
                            self.accepted += 1;
                            self.completed += 1;
                            op.check(&completion);
                        }
                        Poll::Pending => {
                            self.accepted += 1;
                            futures.push((op, future));
                        }
                    }
                }
            }
        }
    }

    fn fetch(&mut self) {
        let mut completed = fetch_futures(&mut self.orphans);
        for client in &mut self.clients {
            match &mut client.face {
                Face::Futures(futures) => completed += fetch_futures(futures),
                Face::Ring { burst, expected } => {
                    let mut done: Vec<Completion> = Vec::new();
                    burst.poll(&mut done, MAIN_QUEUE_MAX_OPS);
                    for completion in done {
                        // I3: the next result is that of the next operation.
                        let op = expected.pop_front().expect("a result for each operation and no more");
                        op.check(&completion);
                        completed += 1;
                    }
                }
            }
        }
        self.completed += completed;
    }

    fn drop_one(&mut self) {
        let draw = self.chance.below(1_000) as usize;
        for client in &mut self.clients {
            if let Face::Futures(futures) = &mut client.face
                && !futures.is_empty()
            {
                drop(futures.swap_remove(draw % futures.len()));
                self.dropped += 1;
                return;
            }
        }
    }

    /// I1, I7 and I8: the counters equal the census, for the runtime and for each device; no limit is exceeded; removals
    /// have ended in time.
    pub fn check(&mut self) {
        let stats = self.simulation.runtime().stats();
        let census = self.simulation.census();
        assert_eq!((stats.accepted_ops, stats.refused_ops), (self.accepted, self.refused));
        assert_eq!(stats.accepted_ops, stats.completed_ops + stats.main_queue_ops);
        assert_eq!(stats.waiting_ops, census.waiting_ops, "{stats:?} {census:?}");
        assert_eq!(stats.queued_ops, census.queued_ops, "{stats:?} {census:?}");
        assert_eq!(stats.held_back_ops, census.held_back_ops, "{stats:?} {census:?}");
        assert_eq!(stats.in_flight_ops, census.in_flight_ops + census.held_back_ops, "{stats:?} {census:?}");
        assert!(stats.main_queue_ops + census.done_ops <= MAIN_QUEUE_MAX_OPS as u64);
        let counted = self.simulation.device_census();
        let devices = self.simulation.runtime().devices();
        for device in &devices {
            let counters = device.counters;
            let parts = counters.finished_ops
                + counters.moved_out_ops
                + counters.abandoned_ops
                + counters.queued_ops
                + counters.in_flight_ops;
            assert_eq!(counters.taken_ops, parts, "{}", device.name);
            let lent = (counters.queued_ops, counters.in_flight_ops);
            assert_eq!(lent, counted[&device.name], "{}", device.name);
            assert!(device.counters.queued_ops <= device.queue_max_ops as u64);
        }
        let now = self.simulation.runtime().now().0;
        let is_there = |name: &str| devices.iter().any(|device| device.name == name);
        self.removals.retain(|name, deadline| {
            is_there(name) && {
                // The control machine looks every 10 ms; a step may have stopped short of it.
                assert!(now < *deadline + 21_000_000 || self.simulation.is_due(), "{name} does not go");
                true
            }
        });
    }

    /// I2: in the end every operation that was accepted has completed, once. I5: nobody told a key.
    fn end(mut self) {
        let runtime = self.runtime();
        // The deadline, and as much again for whatever comes late.
        for _ in 0..7 {
            self.simulation.advance(500_000_000);
            self.fetch();
            self.check();
        }
        let left: usize = self.orphans.len()
            + self
                .clients
                .iter()
                .map(|client| match &client.face {
                    Face::Futures(futures) => futures.len(),
                    Face::Ring { expected, .. } => expected.len(),
                })
                .sum::<usize>();
        assert_eq!(left, 0, "operations never came back: {:?}", runtime.queue());
        let stats = runtime.stats();
        assert_eq!((stats.completed_ops, stats.main_queue_ops), (self.accepted, 0));
        assert_eq!(self.completed + self.dropped, self.accepted);
        assert_eq!(self.simulation.census(), Default::default(), "every slot is free again");
        let told =
            format!("{:?} {:?} {:?}", runtime.events().since(0, usize::MAX), runtime.sessions(), runtime);
        let secret: Vec<String> = SECRET.bytes().map(|byte| byte.to_string()).collect();
        assert!(!told.contains(SECRET) && !told.contains(&secret.join(", ")));
        self.clients.clear();
        self.simulation.advance(1_000_000_000);
        assert!(runtime.sessions().is_empty());
        assert!(runtime.tenants().iter().all(|tenant| (tenant.in_flight_ops, tenant.sessions) == (0, 0)));
        assert!(runtime.devices().iter().all(|device| device.state != DeviceState::Draining));
    }
}

fn fetch_futures(futures: &mut Vec<(Op, OpFuture<'static>)>) -> u64 {
    let before = futures.len();
    futures.retain_mut(|(op, future)| match poll(future) {
        Poll::Pending => true,
        Poll::Ready(result) => {
            op.check(&result.expect("an accepted operation is not refused later"));
            false
        }
    });
    (before - futures.len()) as u64
}

fn poll<'s>(future: &mut OpFuture<'s>) -> Poll<<OpFuture<'s> as Future>::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}
