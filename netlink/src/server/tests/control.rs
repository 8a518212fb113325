use std::time::Duration;

use super::*;
use crate::client::Feed;
use crate::message::*;
use crate::transport::MemoryEnd;

#[tokio::test]
async fn a_client_learns_who_it_talks_to() {
    let (server, client) = connected().await;
    let info = client.server_info().await.unwrap();
    assert_eq!((info.epoch, info.epoch), (server.epoch(), client.epoch()));
    assert_eq!(info.pid, std::process::id());
    assert_eq!((info.role, info.workers, info.main_queue_max_ops), (Class::Admin, 1, 1024));
    assert_eq!(info.last_event_seq, server.runtime().events().last_seq());
    client.ping().await.unwrap();
}

#[tokio::test]
async fn a_device_is_added_shown_broken_repaired_and_removed() {
    let (server, client) = connected().await;
    let id = client.device_add("null0", "null", &[]).await.unwrap();
    let device = client.device("null0").await.unwrap();
    assert_eq!((device.id, device.kind.as_str(), device.state), (id, "null", DeviceState::Up));
    assert_eq!(device.uid, Credentials::own().uid);
    assert!(device.capabilities.contains(&Capability { op: OpKind::Encrypt, algorithm: "null".to_owned() }));
    let names: Vec<String> = client.devices().await.unwrap().into_iter().map(|device| device.name).collect();
    assert_eq!(names, ["soft0", "null0"]);

    client.device_break("null0", None).await.unwrap();
    assert_eq!(client.device("null0").await.unwrap().state, DeviceState::Broken);
    client.device_repair("null0").await.unwrap();
    client.device_remove("null0", Some(Duration::from_secs(1))).await.unwrap();
    server.runtime().device_gone("null0").await;
    assert_eq!(errno(client.device("null0").await), ENODEV);
}

#[tokio::test]
async fn a_device_is_drained_resumed_tested_and_shadowed() {
    let (_server, client) = connected().await;
    client.device_add("soft1", "soft", &[]).await.unwrap();
    let filter = Filter { kinds: vec![EventKind::Device, EventKind::Health] };
    let mut monitor = client.subscribe(filter, None).await.unwrap();
    client.device_drain("soft1", Some(Duration::from_secs(5))).await.unwrap();
    while next_of(&mut monitor).await.to != "drained" {}
    let drained = client.device("soft1").await.unwrap();
    let leaving = drained.leaving.unwrap();
    assert_eq!((drained.state, leaving.is_removal, leaving.remaining_ops), (DeviceState::Drained, false, 0));
    assert_eq!(errno(client.device_drain("soft1", None).await), EBUSY);
    client.device_resume("soft1").await.unwrap();
    assert_eq!(errno(client.device_resume("soft1").await), EBUSY);
    assert_eq!(client.device("soft1").await.unwrap().leaving, None);

    client.device_test("soft1").await.unwrap();
    while !next_of(&mut monitor).await.reason.starts_with("test passed") {}
    client.device_shadow("soft1", 0.01).await.unwrap();
    assert_eq!(client.device("soft1").await.unwrap().shadow_rate, 0.01);
    assert_eq!(errno(client.device_test("soft7").await), ENODEV);
}

#[tokio::test]
async fn what_a_device_refuses_names_the_object() {
    let (_server, client) = connected().await;
    assert_eq!(errno(client.device_add("soft0", "soft", &[]).await), EEXIST);
    assert_eq!(errno(client.device_add("a b", "soft", &[]).await), EINVAL);
    assert_eq!(errno(client.device_add("x", "tpu", &[]).await), EINVAL);
    let pair = [("colour".to_owned(), "red".to_owned())];
    assert_eq!(errno(client.device_add("x", "null", &pair).await), EINVAL);
    let error = client.device_break("acel1", None).await.unwrap_err();
    assert_eq!(error.to_string(), "device 'acel1' not found");
    assert_eq!(errno(client.device_repair("acel1").await), ENODEV);
}

#[tokio::test]
async fn a_fault_comes_back_as_it_was_put_on() {
    let (_server, client) = connected().await;
    let fault = FaultSpec {
        op: Some(OpKind::Encrypt),
        size_bytes: Some(16..=1024),
        session: Some(77),
        count: Some(5),
        every: Some(2),
        rate: Some(0.25),
        for_ns: Some(9_000_000_000),
        delay_ns: Some(5_000_000),
        mode: FaultMode::Late,
        seed: 3,
    };
    client.device_add("null0", "null", &[]).await.unwrap();
    client.device_break("null0", Some(fault.clone())).await.unwrap();
    assert_eq!(client.device("null0").await.unwrap().fault, Some(fault));
}

#[tokio::test]
async fn the_balancer_is_switched_and_guarded() {
    let (_server, client) = connected().await;
    client.balancer_set("round_robin_lb", Some("simple_lb")).await.unwrap();
    let balancers = client.balancers().await.unwrap();
    let current: Vec<&str> = balancers.iter().filter(|lb| lb.current).map(|lb| lb.name.as_str()).collect();
    assert_eq!(current, ["round_robin_lb"]);
    assert!(balancers.iter().any(|lb| lb.builtin && lb.name == "simple_lb"));
    assert_eq!(errno(client.balancer_set("simple_lb", Some("simple_lb")).await), EBUSY);
    assert_eq!(errno(client.balancer_set("best_lb", None).await), ENOENT);
    assert_eq!(errno(client.balancer_unregister("simple_lb").await), EBUSY);
}

#[tokio::test]
async fn a_balancer_gets_parameters_and_is_previewed_and_explained() {
    let (server, client) = connected().await;
    let set = BalancerSet {
        name: "failover_lb".to_owned(),
        if_current: Some("simple_lb".to_owned()),
        parameters: vec![("primary".to_owned(), "soft0".to_owned())],
        rehash: true,
    };
    client.balancer_set_with(&set).await.unwrap();
    client.rehash().await.unwrap();
    let balancers = client.balancers().await.unwrap();
    let current = balancers.iter().find(|balancer| balancer.current).unwrap();
    assert_eq!(current.name, "failover_lb");
    let primary = current.parameters.iter().find(|parameter| parameter.name == "primary").unwrap();
    assert!(primary.value == "soft0" && !primary.doc.is_empty(), "{primary:?}");
    let wrong = BalancerSet { parameters: vec![("speed".to_owned(), "9".to_owned())], ..set };
    assert_eq!(errno(client.balancer_set_with(&BalancerSet { if_current: None, ..wrong }).await), EINVAL);

    assert_eq!(errno(client.preview("best_lb").await), ENOENT);
    assert_eq!(errno(client.preview("simple_lb").await), EAGAIN);
    let session = acrypto_core::SessionSpec::new(acrypto_core::Algorithm::Sha256);
    let session = server.runtime().session(session, acrypto_core::Key::none()).unwrap();
    for _ in 0..1_100 {
        session.call(acrypto_core::Request::digest(vec![7; 64])).unwrap();
    }
    let preview = client.preview("simple_lb").await.unwrap();
    assert!(preview.samples >= 1_000 && preview.p99_ns >= preview.p50_ns, "{preview:?}");
    assert_eq!(preview.devices[0].0, "soft0");
    let decisions = client.decisions(5).await.unwrap();
    assert_eq!(decisions.len(), 5);
    let latest = &decisions[0];
    assert_eq!((latest.algorithm.as_str(), latest.chosen.as_str(), latest.bytes), ("sha256", "soft0", 64));
    assert_eq!((latest.balancer.as_str(), latest.candidates_all), ("failover_lb", 1));
}

async fn next_of(subscription: &mut crate::client::Subscription) -> EventRecord {
    match subscription.next().await.unwrap() {
        Feed::Event(event) => event,
        Feed::Lost(lost) => panic!("{lost} events lost"),
    }
}

#[tokio::test]
async fn a_monitor_sees_added_switched_broken_in_this_order() {
    let (_server, client) = connected().await;
    let filter = Filter { kinds: vec![EventKind::Device, EventKind::Balancer, EventKind::Health] };
    let mut monitor = client.subscribe(filter, None).await.unwrap();
    client.device_add("null0", "null", &[]).await.unwrap();
    client.balancer_set("round_robin_lb", None).await.unwrap();
    client.device_break("null0", None).await.unwrap();
    let mut seen: Vec<(String, String)> = Vec::new();
    let mut seqs = Vec::new();
    while seen.last().is_none_or(|(_, to)| to != "broken") {
        let event = next_of(&mut monitor).await;
        seqs.push(event.seq);
        seen.push((event.name, event.to));
    }
    let expect = [("null0", "up"), ("round_robin_lb", "round_robin_lb"), ("null0", "broken")];
    assert_eq!(seen, expect.map(|(name, to)| (name.to_owned(), to.to_owned())));
    assert!(seqs.is_sorted());
}

#[tokio::test]
async fn a_subscription_can_start_in_the_past_and_filters() {
    let (_server, client) = connected().await;
    client.balancer_set("round_robin_lb", None).await.unwrap();
    let mut past = client.subscribe(Filter { kinds: vec![EventKind::Balancer] }, Some(0)).await.unwrap();
    assert_eq!(next_of(&mut past).await.to, "round_robin_lb");
    let mut all = client.subscribe(Filter::all(), Some(0)).await.unwrap();
    let first = next_of(&mut all).await;
    assert_eq!((first.seq, first.name.as_str(), first.to.as_str()), (1, "soft0", "up"));
    drop(all);
    // The number of a subscription that ended is free again, and the other one goes on.
    client.ping().await.unwrap();
    client.balancer_set("simple_lb", None).await.unwrap();
    assert_eq!(next_of(&mut past).await.to, "simple_lb");
}

#[tokio::test]
async fn i7_subscriptions_have_a_limit() {
    let options = ServerOptions {
        limits: super::super::Limits { subscriptions_per_uid_max: 1, ..Default::default() },
        ..ServerOptions::default()
    };
    let server = server_with(options);
    let client = Client::over(server.memory()).await.unwrap();
    let first = client.subscribe(Filter::all(), None).await.unwrap();
    assert_eq!(errno(client.subscribe(Filter::all(), None).await), ENOBUFS);
    drop(first);
    client.ping().await.unwrap();
    // The share comes back when the task is gone, which is soon but not at once.
    while client.subscribe(Filter::all(), None).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_slow_subscriber_is_told_what_it_lost() {
    let config = Config { workers: 1, events_max: 8, ..Config::default() };
    let server = Server::new(Runtime::start(config).unwrap(), ServerOptions::default());
    server.runtime().add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    for round in 0..20 {
        let name = if round % 2 == 0 { "round_robin_lb" } else { "simple_lb" };
        server.runtime().set_balancer(name, None, 0).unwrap();
    }
    let client = Client::over(server.memory()).await.unwrap();
    let mut monitor = client.subscribe(Filter::all(), Some(0)).await.unwrap();
    let lost = server.runtime().events().oldest_seq() - 1;
    assert_eq!(monitor.next().await.unwrap(), Feed::Lost(lost));
    assert_eq!(next_of(&mut monitor).await.seq, lost + 1);
}

#[tokio::test]
async fn i1_holds_in_every_reading_while_a_load_runs() {
    let (_server, client) = connected().await;
    let spec =
        LoadSpec { algorithm: "aes-128-ctr".to_owned(), size_bytes: 64, clients: 8, ..LoadSpec::default() };
    let id = client.load_start(spec).await.unwrap();
    let (mut completed, mut readings) = (0, 0);
    while completed < 500 || readings < 100 {
        readings += 1;
        let stats = client.stats().await.unwrap();
        assert!(stats.accepted_ops >= stats.dispatched_ops, "{stats:?}");
        assert!(stats.dispatched_ops >= stats.started_ops, "{stats:?}");
        assert!(stats.started_ops >= stats.finished_ops, "{stats:?}");
        assert!(stats.finished_ops >= stats.completed_ops, "{stats:?}");
        assert_eq!(stats.accepted_ops - stats.completed_ops, stats.main_queue_ops);
        completed = stats.completed_ops;
    }
    let loads = client.loads().await.unwrap();
    assert_eq!(loads.iter().map(|load| (load.id, load.clients)).collect::<Vec<_>>(), [(id, 8)]);
    client.load_stop(Some(id)).await.unwrap();
    assert_eq!(errno(client.load_stop(Some(id)).await), ENOENT);
    client.load_stop(None).await.unwrap();
    assert!(client.loads().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_snapshot_holds_every_table() {
    let (_server, client) = connected().await;
    client.device_add("sim0", "sim", &[]).await.unwrap();
    let session = SessionNew { algorithm: "sha256".to_owned(), ..SessionNew::default() };
    let id = client.session_new(session).await.unwrap();
    let snapshot = client.snapshot().await.unwrap();
    assert_eq!(snapshot.server.epoch, client.epoch());
    assert_eq!(
        snapshot.devices.iter().map(|device| device.kind.as_str()).collect::<Vec<_>>(),
        ["soft", "sim"]
    );
    assert_eq!(snapshot.queue.devices.len(), 2);
    assert_eq!(snapshot.queue.main_queue_max_ops, 1024);
    assert_eq!((snapshot.sessions_total, snapshot.sessions[0].id), (1, id));
    assert!(snapshot.balancers.len() >= 2);
    assert_eq!(snapshot.taken_ns, snapshot.stats.now_ns);
}

#[tokio::test]
async fn a_dump_of_a_thousand_sessions_is_complete_and_comes_in_parts() {
    let (server, client) = connected().await;
    let mut ids = Vec::new();
    for number in 0..1000 {
        let session = SessionNew {
            algorithm: "aes-256-ctr".to_owned(),
            keys: vec![vec![7; 32].into()],
            name: format!("session number {number}"),
            ..SessionNew::default()
        };
        ids.push(client.session_new(session).await.unwrap());
    }
    let sessions = client.sessions(usize::MAX).await.unwrap();
    assert_eq!(sessions.iter().map(|session| session.id).collect::<Vec<_>>(), ids);
    assert_eq!(sessions[999].name, "session number 999");
    assert_eq!(client.sessions(10).await.unwrap().len(), 10);
    assert_eq!(client.snapshot().await.unwrap().sessions_total, 1000);

    let raw = server.memory();
    let mut connection = crate::conn::client::Connection::default();
    let body = crate::attr::Writer::new();
    let command = crate::family::Command::SessionGet as u8;
    let (_, request) = connection.request(crate::family::ID, command, true, body).unwrap();
    raw.send(&request).await.unwrap();
    let parts = parts_until_done(&raw).await;
    assert!(parts.len() > 5, "{} parts", parts.len());
    assert!(parts.iter().all(|part| *part <= 32 * 1024 + 64), "{parts:?}");
}

async fn parts_until_done(raw: &MemoryEnd) -> Vec<usize> {
    let mut parts = Vec::new();
    loop {
        let part = raw.receive().await.unwrap();
        let (frames, end) = crate::frame::split(&part);
        assert_eq!(end, Ok(()));
        parts.push(part.len());
        if frames.iter().any(|frame| frame.header.kind == crate::frame::DONE) {
            return parts;
        }
    }
}

#[tokio::test]
async fn shutdown_answers_what_is_under_way_and_closes() {
    let (server, client) = connected().await;
    server.shutdown().await;
    client.closed().await;
    assert_eq!(client.ping().await, Err(Error::Closed { sent_change: false }));
    assert!(server.runtime().device("soft0").is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_holds_up_neither_others_nor_the_shutdown() {
    let (server, client) = connected().await;
    let deaf = server.memory();
    let mut connection = crate::conn::client::Connection::default();
    let command = crate::family::Command::StatsGet as u8;
    loop {
        let body = crate::attr::Writer::new();
        let (_, request) = connection.request(crate::family::ID, command, false, body).unwrap();
        let sent = tokio::time::timeout(Duration::from_secs(1), deaf.send(&request)).await;
        if sent.is_err() {
            break;
        }
    }
    client.ping().await.unwrap();
    server.shutdown().await;
    client.closed().await;
}

#[tokio::test]
async fn the_end_is_asked_for_by_epoch_and_only_of_who_ends_when_asked() {
    let (_, client) = connected().await;
    assert_eq!(errno(client.shutdown().await), EOPNOTSUPP);

    let server = server_with(ServerOptions { ends_when_asked: true, ..ServerOptions::default() });
    let other = Client::over(server.memory_as(peer(stranger()))).await.unwrap();
    assert_eq!(errno(other.shutdown().await), EPERM);
    let mut asked = std::pin::pin!(server.end_asked());
    let mut now = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::future::Future::poll(asked.as_mut(), &mut now).is_pending());
    let client = Client::over(server.memory()).await.unwrap();
    client.shutdown().await.unwrap();
    asked.await;
}
