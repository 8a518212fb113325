//! A policy that fails is taken out of force, with the reason; no operation waits for it.

use std::sync::mpsc::{Receiver, Sender, channel};

use acrypto_core::balancer::{Balancer, Chooser, Row, Rule, Table, View};
use acrypto_core::{
    Algorithm, Config, DeviceId, Error, Key, Parameter, Request, Runtime, Session, SessionSpec,
};

use crate::ranch::{MS, OWNER, Ranch, even};

/// A policy made of a function.
struct Made<F>(&'static str, F);

impl<F: FnMut(&View, &mut Table) + Send> Balancer for Made<F> {
    fn name(&self) -> &str {
        self.0
    }

    fn plan(&mut self, view: &View, table: &mut Table) {
        (self.1)(view, table);
    }
}

fn register(ranch: &Ranch, plan: impl FnMut(&View, &mut Table) + Send + 'static) {
    ranch.runtime().register_balancer(Box::new(Made("own_lb", plan)), OWNER).unwrap();
}

fn ejection(runtime: &Runtime) -> String {
    let status = runtime.balancer();
    assert_eq!(status.current, "simple_lb");
    let ejection = status.ejection.unwrap();
    assert_eq!(ejection.name, "own_lb");
    let events = runtime.events().since(0, 1_000);
    let event = events.iter().find(|event| event.from == "own_lb" && event.to == "simple_lb").unwrap();
    assert_eq!(event.reason, ejection.reason);
    ejection.reason
}

fn all(rule: &Rule, candidates: &[DeviceId], table: &mut Table) {
    for algorithm in Algorithm::ALL {
        table.set_all(*algorithm, rule, candidates);
    }
}

#[test]
fn a_plan_that_panics_is_replaced_at_once() {
    let ranch = Ranch::new("simple_lb").with("a", even(MS, 1));
    register(&ranch, |_, _| panic!("as planned"));
    let error = ranch.runtime().set_balancer("own_lb", None, OWNER).unwrap_err();
    assert_eq!(error.to_string(), "balancer 'own_lb' was ejected: its plan panicked");
    assert_eq!(ejection(ranch.runtime()), "its plan panicked");
}

#[test]
fn a_plan_that_panics_later_is_replaced_and_operations_go_on() {
    let mut ranch = Ranch::new("simple_lb").with("a", even(MS, 1));
    let mut plans = 0;
    register(&ranch, move |view, table| {
        plans += 1;
        assert!(plans < 4, "as planned");
        all(&Rule::Rotate, &view.candidates(Algorithm::Aes128Ctr), table);
    });
    ranch.runtime().set_balancer("own_lb", None, OWNER).unwrap();
    ranch.stream(200, 64, 2 * MS);
    ranch.settle();
    assert_eq!(ejection(ranch.runtime()), "its plan panicked");
}

#[test]
fn a_policy_that_never_picks_is_ejected_with_the_figures() {
    let ranch = Ranch::new("simple_lb").with("a", even(MS, 1));
    register(&ranch, |_, _| {});
    let error = ranch.runtime().set_balancer("own_lb", None, OWNER).unwrap_err();
    assert!(matches!(&error, Error::BalancerEjected { name, .. } if name == "own_lb"));
    let reason = ejection(ranch.runtime());
    assert!(reason.starts_with("its table serves 0 of ") && reason.contains("1 usable device"), "{reason}");
}

#[test]
fn a_policy_that_picks_what_cannot_serve_is_ejected_and_every_operation_is_served() {
    let mut ranch = Ranch::new("simple_lb").with("a", even(MS, 1));
    register(&ranch, |view, table| {
        // It serves one algorithm only, and names a device that is not there for the others.
        all(&Rule::Shortest, &[DeviceId(999)], table);
        table.set_all(Algorithm::Sha256, &Rule::Shortest, &view.candidates(Algorithm::Sha256));
    });
    ranch.runtime().set_balancer("own_lb", None, OWNER).unwrap();
    ranch.stream(300, 64, 2 * MS);
    ranch.settle();
    let reason = ejection(ranch.runtime());
    assert!(reason.contains("could not serve 50 of 50 picks"), "{reason}");
}

#[test]
fn a_choice_that_panics_or_points_beyond_the_candidates_is_no_choice() {
    for choice in [|| None, || Some(7), || panic!("as planned")] {
        let mut ranch = Ranch::new("simple_lb").with("a", even(MS, 1)).with("b", even(MS, 1));
        register(&ranch, move |view, table| {
            let chooser = Chooser::new(move |_| choice());
            all(&Rule::Choose(chooser), &view.candidates(Algorithm::Aes128Ctr), table);
        });
        ranch.runtime().set_balancer("own_lb", None, OWNER).unwrap();
        ranch.stream(300, 64, 2 * MS);
        ranch.settle();
        assert!(ejection(ranch.runtime()).contains("although a usable device could"));
    }
}

#[test]
fn a_choice_is_followed() {
    let mut ranch = Ranch::new("simple_lb").with("a", even(MS, 1)).with("b", even(MS, 1));
    let last = Chooser::new(|asked| Some(asked.candidates.len() - 1));
    register(&ranch, move |view, table| {
        for algorithm in Algorithm::ALL {
            let row = Row { rule: Rule::Choose(last.clone()), candidates: view.candidates(*algorithm) };
            (0..4).for_each(|class| table.set(*algorithm, class, row.clone()));
        }
    });
    ranch.runtime().set_balancer("own_lb", None, OWNER).unwrap();
    ranch.stream(300, 64, 2 * MS);
    ranch.settle();
    assert_eq!((ranch.ops_of("a"), ranch.ops_of("b")), (0, 300));
    assert_eq!(ranch.runtime().balancer().current, "own_lb");
}

#[test]
fn a_device_that_comes_or_goes_is_not_held_against_the_policy() {
    let mut ranch = Ranch::new("latency_lb").with("a", even(MS, 1));
    for round in 0..10 {
        let name = format!("extra{round}");
        ranch.add(&name, even(MS, 1));
        ranch.stream(80, 64, MS);
        ranch.runtime().remove_device(&name, 100 * MS, OWNER).unwrap();
        ranch.stream(80, 64, MS);
    }
    ranch.settle();
    let status = ranch.runtime().balancer();
    assert_eq!((status.current.as_str(), status.ejection), ("latency_lb", None));
}

#[test]
fn unregistering_the_current_one_installs_the_built_in_one_which_refuses() {
    let ranch = Ranch::new("simple_lb").with("a", even(MS, 1));
    register(&ranch, |view, table| all(&Rule::First, &view.candidates(Algorithm::Aes128Ctr), table));
    ranch.runtime().set_balancer("own_lb", None, OWNER).unwrap();
    ranch.runtime().unregister_balancer("own_lb", OWNER).unwrap();
    let status = ranch.runtime().balancer();
    assert_eq!(status.current, "simple_lb");
    assert!(!status.available.contains(&"own_lb".to_owned()));
    let error = ranch.runtime().unregister_balancer("simple_lb", OWNER).unwrap_err();
    assert_eq!(error.to_string(), "balancer 'simple_lb' is built in and cannot be unregistered");
}

/// Waits in its plan until the test lets it go.
struct Stalls {
    entered: Sender<()>,
    gate: Receiver<()>,
}

impl Balancer for Stalls {
    fn name(&self) -> &str {
        "own_lb"
    }

    fn plan(&mut self, _: &View, _: &mut Table) {
        let _ = self.entered.send(());
        let _ = self.gate.recv();
    }

    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }
}

fn encrypts(session: &Session) {
    let completion = session.call(Request::encrypt(vec![1; 64], [9; 16])).unwrap();
    assert_eq!(completion.result, Ok(()));
}

#[test]
fn i6_a_plan_that_stalls_holds_up_nobody_and_is_given_up() {
    let config = Config { workers: 1, plan_max_ns: 200 * MS, ..Config::default() };
    let runtime = Runtime::start(config).unwrap();
    runtime.add_device_of_kind("soft0", "soft", &[], OWNER).unwrap();
    let session = runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![7; 16])).unwrap();
    let (entered, in_plan) = channel();
    let (let_go, gate) = channel();
    runtime.register_balancer(Box::new(Stalls { entered, gate }), OWNER).unwrap();
    let error = std::thread::scope(|scope| {
        let switch = scope.spawn(|| runtime.set_balancer("own_lb", None, OWNER));
        in_plan.recv().unwrap();
        // Operations, health and questions do not wait for it.
        encrypts(&session);
        runtime.break_device("soft0", None, OWNER).unwrap();
        runtime.repair_device("soft0", OWNER).unwrap();
        assert_eq!(runtime.balancer().current, "own_lb");
        switch.join().unwrap().unwrap_err()
    });
    assert_eq!(error.to_string(), "balancer 'own_lb' was ejected: it did not return within 200 ms");
    assert_eq!(ejection(&runtime), "it did not return within 200 ms");
    assert!(!runtime.balancer().available.contains(&"own_lb".to_owned()), "it is gone with its thread");
    // The next planner is in charge.
    runtime.set_balancer("round_robin_lb", None, OWNER).unwrap();
    runtime.add_device_of_kind("soft1", "soft", &[], OWNER).unwrap();
    encrypts(&session);
    let_go.send(()).unwrap();
    encrypts(&session);
    assert_eq!(runtime.balancer().current, "round_robin_lb");
}

#[test]
fn a_runtime_ends_though_a_plan_never_does() {
    let config = Config { workers: 1, plan_max_ns: 50 * MS, ..Config::default() };
    let runtime = Runtime::start(config).unwrap();
    let (entered, in_plan) = channel();
    let (let_go, gate) = channel();
    runtime.register_balancer(Box::new(Stalls { entered, gate }), OWNER).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| runtime.set_balancer("own_lb", None, OWNER));
        in_plan.recv().unwrap();
    });
    drop(runtime);
    drop(let_go);
}
