//! Sessions that are tied to a device or a kind of device.

use acrypto_core::{
    Algorithm, Bind, Config, DeviceId, Error, FaultMode, FaultSpec, OpError, Request, Session, SessionSpec,
};

use super::{add_sim, add_soft, ctr, simulation};

fn devices(session: &Session, simulation: &mut acrypto_core::simulation::Simulation) -> Vec<DeviceId> {
    let mut burst = session.burst(64);
    burst.submit(&mut (0..40).map(|_| Request::encrypt(vec![0; 64], [1; 16])).collect());
    simulation.advance(100_000_000);
    let mut done = Vec::new();
    burst.poll(&mut done, 64);
    assert_eq!(done.len(), 40);
    let mut devices: Vec<DeviceId> = done.iter().map(|completion| completion.device.unwrap()).collect();
    devices.sort_unstable();
    devices.dedup();
    devices
}

#[test]
fn a_session_stays_on_its_device_or_kind_and_goes_where_it_is_sent() {
    let (mut simulation, runtime) = simulation(Config::default());
    add_sim(&runtime, "sim0", 1);
    add_sim(&runtime, "sim1", 2);
    add_soft(&runtime, "soft0");
    let id = |name: &str| runtime.device(name).unwrap().id;
    let session = ctr(&runtime, |spec| spec.bind(Bind::only("sim1")));
    assert_eq!(devices(&session, &mut simulation), [id("sim1")]);
    assert_eq!(session.status().device.as_deref(), Some("sim1"));
    session.bind(Some(Bind::only_kind("sim")), 0).unwrap();
    assert_eq!(devices(&session, &mut simulation), [id("sim0"), id("sim1")]);
    session.bind(Some(Bind::prefer("soft0")), 0).unwrap();
    assert_eq!(devices(&session, &mut simulation), [id("soft0")]);
    runtime.break_device("soft0", None, 0).unwrap();
    assert_eq!(devices(&session, &mut simulation), [id("sim0"), id("sim1")], "a preference gives way");
    session.bind(None, 0).unwrap();
    assert_eq!(session.status().bind, None);
}

#[test]
fn operations_wait_for_their_only_device_until_it_comes() {
    let (mut simulation, runtime) = simulation(Config::default());
    add_soft(&runtime, "soft0");
    let session = ctr(&runtime, |spec| spec.bind(Bind::only("hsm")));
    let other = ctr(&runtime, |spec| spec);
    let mut burst = session.burst(8);
    burst.submit(&mut vec![Request::encrypt(vec![0; 64], [1; 16])]);
    simulation.advance(1_000_000_000);
    let mut done = Vec::new();
    assert_eq!(burst.poll(&mut done, 8), 0);
    assert_eq!(devices(&other, &mut simulation).len(), 1, "nobody waits behind it");
    add_soft(&runtime, "hsm");
    simulation.advance(100_000_000);
    assert_eq!(burst.poll(&mut done, 8), 1);
    assert_eq!(done[0].device, Some(runtime.device("hsm").unwrap().id));
}

#[test]
fn operations_whose_only_device_does_not_come_are_broken_at_their_deadline() {
    let (mut simulation, runtime) = simulation(Config::default());
    add_soft(&runtime, "soft0");
    let session = ctr(&runtime, |spec| spec.bind(Bind::only("hsm")).deadline_ns(2_000_000_000));
    let mut burst = session.burst(8);
    burst.submit(&mut vec![Request::encrypt(vec![6; 64], [1; 16])]);
    let mut done = Vec::new();
    simulation.advance(1_900_000_000);
    assert_eq!(burst.poll(&mut done, 8), 0);
    simulation.advance(500_000_000);
    assert_eq!(burst.poll(&mut done, 8), 1);
    let reason = "its only device is not in service";
    assert!(matches!(done[0].result, Err(OpError::Broken { reason: this, .. }) if this == reason));
    assert_eq!((done[0].source_intact, done[0].data.as_slice()), (true, [6; 64].as_slice()));
}

#[test]
fn i7_a_user_ties_sessions_to_as_many_names_of_no_device_as_the_limit_and_not_one_more() {
    let (_simulation, runtime) = simulation(Config::default());
    add_soft(&runtime, "soft0");
    let session = ctr(&runtime, |spec| spec);
    let tie = |name: &str, uid| session.bind(Some(Bind::prefer(name)), uid);
    for number in 0..1_024 {
        tie(&format!("none{number}"), 1_000).unwrap();
    }
    assert!(matches!(tie("one-more", 1_000), Err(Error::Limit { limit: 1_024, .. })));
    tie("none7", 1_000).unwrap();
    tie("soft0", 1_000).unwrap();
    tie("one-more", 1_001).unwrap();
}

#[test]
fn i7_whoever_only_looks_uses_up_no_names() {
    let (_simulation, runtime) = simulation(Config::default());
    add_soft(&runtime, "soft0");
    let session = ctr(&runtime, |spec| spec);
    let obstacle = |bind: Bind| {
        let spec = SessionSpec::new(Algorithm::Aes128Ctr).uid(1_000).bind(bind);
        runtime.explain_session(&spec).remove(0).devices.remove(0).obstacle
    };
    for number in 0..2_000 {
        assert!(obstacle(Bind::only(format!("none{number}"))).is_some());
    }
    for bind in [Bind::only("soft0"), Bind::only_kind("soft"), Bind::prefer("none0")] {
        assert_eq!(obstacle(bind), None);
    }
    session.bind(Some(Bind::prefer("none2000")), 1_000).unwrap();
}

#[test]
fn an_operation_comes_back_to_its_only_device_when_it_failed_once() {
    let (mut simulation, runtime) = simulation(Config::default());
    add_soft(&runtime, "soft0");
    add_sim(&runtime, "hsm", 1);
    let fault = FaultSpec { count: Some(1), ..FaultSpec::new(FaultMode::Error) };
    runtime.break_device("hsm", Some(fault), 0).unwrap();
    simulation.advance(1_000_000);
    let session = ctr(&runtime, |spec| spec.bind(Bind::only("hsm")));
    let mut burst = session.burst(1);
    burst.submit(&mut vec![Request::encrypt(vec![0; 64], [1; 16])]);
    simulation.advance(100_000_000);
    let mut done = Vec::new();
    assert_eq!(burst.poll(&mut done, 1), 1);
    assert_eq!((&done[0].result, done[0].attempts), (&Ok(()), 2));
}
