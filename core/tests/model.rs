//! A random life of a runtime in simulated time, checked after every step against an independent census.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use acrypto_core::simulation::Simulation;
use acrypto_core::{
    Algorithm, Completion, Config, DeviceState, FaultMode, FaultSpec, Key, OpError, OpFuture, Request,
    Session, SessionSpec,
};
use ctr::cipher::{KeyIvInit, StreamCipher};
use proptest::prelude::*;

const KEY: [u8; 16] = [0x2b; 16];
const DEVICES: [(&str, &str); 4] = [("soft0", "soft"), ("sim0", "sim"), ("sim1", "sim"), ("soft1", "soft")];

#[derive(Clone, Debug)]
enum Act {
    Submit { count: usize, bytes: usize },
    PollAll,
    DropOne(usize),
    Advance(u64),
    Step,
    Add(usize),
    Remove(usize),
    BreakByHand(usize),
    Fault { device: usize, every: u64 },
    Repair(usize),
    Switch(bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (1_usize..80, prop_oneof![0_usize..300, Just(5_000), Just(100_000)])
            .prop_map(|(count, bytes)| Act::Submit { count, bytes }),
        4 => Just(Act::PollAll),
        2 => (0_usize..1_000).prop_map(Act::DropOne),
        4 => (1_u64..50_000_000).prop_map(Act::Advance),
        4 => Just(Act::Step),
        2 => (0_usize..4).prop_map(Act::Add),
        1 => (0_usize..4).prop_map(Act::Remove),
        1 => (0_usize..4).prop_map(Act::BreakByHand),
        2 => (0_usize..4, 1_u64..4).prop_map(|(device, every)| Act::Fault { device, every }),
        2 => (0_usize..4).prop_map(Act::Repair),
        1 => any::<bool>().prop_map(Act::Switch),
    ]
}

struct Flying {
    future: OpFuture,
    number: u64,
    bytes: usize,
}

fn iv(number: u64) -> [u8; 16] {
    let mut iv = [0; 16];
    iv[..8].copy_from_slice(&number.to_be_bytes());
    iv
}

/// I4: a success carries the bytes of the direct library call, and nothing else is called a success.
fn check(completion: &Completion, flying: &Flying) {
    let mut expected = vec![0x11; flying.bytes];
    match &completion.result {
        Ok(()) => {
            ctr::Ctr128BE::<aes::Aes128>::new(&KEY.into(), &iv(flying.number).into())
                .apply_keystream(&mut expected);
            assert_eq!(completion.data, expected);
        }
        Err(OpError::Broken { .. } | OpError::TimedOut { .. }) => {
            assert!(completion.source_intact, "a queued or untouched source is always whole");
            assert_eq!(completion.data, expected);
        }
        Err(error) => panic!("unexpected end: {error}"),
    }
    assert_eq!(completion.user_data, flying.number);
}

struct Life {
    simulation: Simulation,
    session: Option<Session>,
    flying: Vec<Flying>,
    accepted: u64,
    completed: u64,
    dropped: u64,
}

impl Life {
    fn new(seed: u64) -> Self {
        let config = Config { workers: 2, main_queue_max_ops: 256, seed, ..Config::default() };
        let simulation = Simulation::new(config);
        simulation.runtime().add_device_of_kind("soft0", "soft", &[], 0).unwrap();
        let session = simulation
            .runtime()
            .session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(KEY.to_vec()))
            .unwrap();
        Self { simulation, session: Some(session), flying: Vec::new(), accepted: 0, completed: 0, dropped: 0 }
    }

    fn submit(&mut self, count: usize, bytes: usize) {
        let Some(session) = self.session.clone() else { return };
        for _ in 0..count {
            let number = self.accepted;
            let request = Request::encrypt(vec![0x11; bytes], iv(number)).with_user_data(number);
            let mut flying = Flying { future: session.submit(request), number, bytes };
            match poll(&mut flying.future) {
                Poll::Ready(Err(refused)) => {
                    assert_eq!(refused.request.data, vec![0x11; bytes], "a refused request comes back whole");
                }
                Poll::Ready(Ok(completion)) => {
                    self.accepted += 1;
                    self.completed += 1;
                    check(&completion, &flying);
                }
                Poll::Pending => {
                    self.accepted += 1;
                    self.flying.push(flying);
                }
            }
        }
    }

    fn poll_all(&mut self) {
        let mut left = Vec::new();
        for mut flying in self.flying.drain(..) {
            match poll(&mut flying.future) {
                Poll::Pending => left.push(flying),
                Poll::Ready(result) => {
                    self.completed += 1;
                    check(&result.expect("an accepted operation is not refused later"), &flying);
                }
            }
        }
        self.flying = left;
    }

    fn act(&mut self, act: &Act) {
        let runtime = self.simulation.runtime().clone();
        match act {
            Act::Submit { count, bytes } => self.submit(*count, *bytes),
            Act::PollAll => self.poll_all(),
            Act::DropOne(number) => {
                if !self.flying.is_empty() {
                    self.flying.swap_remove(number % self.flying.len());
                    self.dropped += 1;
                }
            }
            Act::Advance(nanoseconds) => self.simulation.advance(*nanoseconds),
            Act::Step => {
                self.simulation.step();
            }
            // What the state does not allow is refused, which is tested elsewhere.
            Act::Add(device) => {
                let (name, kind) = DEVICES[*device];
                let _ = runtime.add_device_of_kind(name, kind, &[], 0);
            }
            Act::Remove(device) => {
                let _ = runtime.remove_device(DEVICES[*device].0, 20_000_000, 0);
            }
            Act::BreakByHand(device) => {
                let _ = runtime.break_device(DEVICES[*device].0, None, 0);
            }
            Act::Fault { device, every } => {
                let fault = FaultSpec { every: Some(*every), ..FaultSpec::new(FaultMode::Error) };
                let _ = runtime.break_device(DEVICES[*device].0, Some(fault), 0);
            }
            Act::Repair(device) => {
                let _ = runtime.repair_device(DEVICES[*device].0, 0);
            }
            Act::Switch(rotate) => {
                let name = if *rotate { "round_robin_lb" } else { "simple_lb" };
                runtime.set_balancer(name, None, 0).unwrap();
            }
        }
    }

    /// I1: the counters equal the census, for the runtime and for each device.
    fn check_sums(&self) {
        let stats = self.simulation.runtime().stats();
        let census = self.simulation.census();
        assert_eq!(stats.accepted_ops, self.accepted);
        assert_eq!(stats.accepted_ops, stats.completed_ops + stats.main_queue_ops);
        assert_eq!(stats.waiting_ops, census.waiting_ops, "{stats:?} {census:?}");
        assert_eq!(stats.queued_ops, census.queued_ops, "{stats:?} {census:?}");
        assert_eq!(stats.in_flight_ops, census.in_flight_ops, "{stats:?} {census:?}");
        let counted = self.simulation.device_census();
        for device in self.simulation.runtime().devices() {
            let counters = device.counters;
            assert_eq!(
                counters.taken_ops,
                counters.finished_ops
                    + counters.moved_out_ops
                    + counters.abandoned_ops
                    + counters.queued_ops
                    + counters.in_flight_ops
            );
            assert_eq!(
                (counters.queued_ops, counters.in_flight_ops),
                counted[&device.name],
                "{}",
                device.name
            );
            assert!(device.counters.queued_ops <= device.queue_max_ops as u64);
        }
    }

    /// I2: in the end every operation that was accepted has completed, once.
    fn end(mut self) {
        let runtime = self.simulation.runtime().clone();
        for _ in 0..35 {
            self.simulation.advance(1_000_000_000);
            self.poll_all();
        }
        assert!(self.flying.is_empty(), "operations never came back: {:?}", runtime.queue());
        let stats = runtime.stats();
        assert_eq!((stats.completed_ops, stats.main_queue_ops), (self.accepted, 0));
        assert_eq!(self.completed + self.dropped, self.accepted);
        assert_eq!(self.simulation.census(), Default::default(), "every slot is free again");
        self.session = None;
        self.simulation.advance(1_000_000_000);
        assert!(runtime.sessions().is_empty());
        assert!(runtime.devices().iter().all(|device| device.state != DeviceState::Draining));
    }
}

fn poll(future: &mut OpFuture) -> Poll<<OpFuture as Future>::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn i1_i2_i4_hold_in_any_life(seed in any::<u64>(), acts in prop::collection::vec(act(), 1..120)) {
        let mut life = Life::new(seed);
        for act in &acts {
            life.act(act);
            life.check_sums();
        }
        life.end();
    }
}
