//! The client against a scripted server: two ends in memory, simulated time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::server::{Ask, Dump, Received, body, event, receive, reply};
use super::*;
use crate::client::{Client, Feed};
use crate::frame::{DONE, FLAG_DUMP_INTERRUPTED, FLAG_MULTI, GENERIC_HEADER_BYTES, split};
use crate::message::{BalancerInfo, EventRecord, Filter, LoadSpec, SessionNew};
use crate::transport::MemoryEnd;

const SERVER_EPOCH: u32 = 0x7f3a;

/// A server by hand.
struct Script(MemoryEnd);

impl Script {
    fn start() -> (Self, MemoryEnd) {
        let (theirs, ours) = MemoryEnd::pair();
        (Self(ours), theirs)
    }

    async fn next(&self) -> Received {
        let mut datagram = self.0.receive().await.unwrap();
        let (mut received, end) = receive(&mut datagram);
        assert_eq!((received.len(), end), (1, Ok(())));
        received.remove(0)
    }

    async fn send(&self, datagram: &[u8]) {
        self.0.send(datagram).await.unwrap();
    }

    async fn answer(&self, received: &Received, fill: Writer) {
        let command = match received.request.as_ref().unwrap().ask {
            Ask::Command { spec, .. } => spec.command as u8,
            _ => control::NEW_FAMILY,
        };
        self.send(&reply(received.header, command, fill).unwrap()).await;
        self.send(&extack::acknowledge(received.header)).await;
    }

    async fn greet(&self, version: u32) {
        let lookup = self.next().await;
        let mut family = Writer::new();
        family.u16(control::ctrl::FAMILY_ID, family::ID).u32(control::ctrl::VERSION, version);
        self.answer(&lookup, family).await;
    }

    async fn welcome(&self) {
        self.greet(1).await;
        let ping = self.next().await;
        self.answer(&ping, body(SERVER_EPOCH)).await;
    }
}

async fn connected() -> (Script, Client) {
    let (script, end) = Script::start();
    let (client, ()) = tokio::join!(Client::over(end), script.welcome());
    (script, client.unwrap())
}

#[tokio::test]
async fn the_epoch_is_learnt_and_answers_of_another_are_not_mixed_in() {
    let (script, client) = connected().await;
    assert_eq!(client.epoch(), SERVER_EPOCH);
    let (pinged, ()) = tokio::join!(client.ping(), async {
        let ping = script.next().await;
        script.answer(&ping, body(SERVER_EPOCH + 1)).await;
    });
    assert!(matches!(pinged, Err(Error::Malformed(_))), "{pinged:?}");
}

#[tokio::test]
async fn another_version_is_refused() {
    let (script, end) = Script::start();
    let (client, ()) = tokio::join!(Client::over(end), script.greet(2));
    assert_eq!(client.unwrap_err(), Error::Version { theirs: 2, ours: 1 });
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_a_timeout_and_a_change_may_have_been_made() {
    let (_script, client) = connected().await;
    let client = client.with_timeout(Duration::from_millis(50));
    assert_eq!(client.ping().await, Err(Error::Timeout { sent_change: false }));
    assert_eq!(client.balancer_set("x", None).await, Err(Error::Timeout { sent_change: true }));
}

#[tokio::test]
async fn a_server_that_dies_leaves_the_outcome_of_a_change_open() {
    let (script, client) = connected().await;
    let change = {
        let client = client.clone();
        tokio::spawn(async move { client.device_repair("soft0").await })
    };
    script.next().await;
    drop(script);
    assert_eq!(change.await.unwrap(), Err(Error::Closed { sent_change: true }));
    client.closed().await;
    assert_eq!(client.device_repair("soft0").await, Err(Error::Closed { sent_change: false }));
}

#[tokio::test]
async fn answers_find_their_requests_in_any_order_and_late_ones_are_ignored() {
    let (script, client) = connected().await;
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.load_start(LoadSpec::default()).await }
    });
    let one = script.next().await;
    let second = tokio::spawn({
        let client = client.clone();
        async move { client.load_start(LoadSpec::default()).await }
    });
    let two = script.next().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    for (received, id) in [(&two, 2), (&one, 1)] {
        let mut answer = body(SERVER_EPOCH);
        answer.u64(family::attribute::load::ID, id);
        script.answer(received, answer).await;
    }
    assert_eq!(second.await.unwrap(), Ok(2));
    let (pinged, ()) = tokio::join!(client.ping(), async {
        let ping = script.next().await;
        script.answer(&ping, body(SERVER_EPOCH)).await;
    });
    assert_eq!(pinged, Ok(()));
}

#[tokio::test]
async fn a_dump_that_was_interrupted_is_asked_for_again() {
    let (script, client) = connected().await;
    let row = |name: &str| {
        let mut row = body(SERVER_EPOCH);
        BalancerInfo { name: name.to_owned(), ..BalancerInfo::default() }.write(&mut row);
        row
    };
    let serve = async {
        for (name, flag) in [("stale", FLAG_DUMP_INTERRUPTED), ("fresh", 0)] {
            let asked = script.next().await;
            let flags = FLAG_MULTI | flag;
            let header = Header { kind: family::ID, flags, seq: asked.header.seq, ..Header::default() };
            script.send(&seal(row(name), header, Command::BalancerGet as u8).unwrap()).await;
            // An acknowledgement in between means nothing.
            script.send(&extack::acknowledge(asked.header)).await;
            script.send(&Dump::new(asked.header).finish()).await;
        }
    };
    let (balancers, ()) = tokio::join!(client.balancers(), serve);
    assert_eq!(balancers.unwrap().iter().map(|lb| lb.name.as_str()).collect::<Vec<_>>(), ["fresh"]);
}

#[tokio::test]
async fn a_dump_may_end_with_an_error() {
    let (script, client) = connected().await;
    let serve = async {
        let asked = script.next().await;
        let done = Header { len: 20, kind: DONE, flags: FLAG_MULTI, seq: asked.header.seq, port: 0 };
        script.send(&[&done.bytes()[..], &(-13i32).to_ne_bytes()].concat()).await;
    };
    let (loads, ()) = tokio::join!(client.loads(), serve);
    assert!(matches!(loads, Err(Error::Refused { errno: 13, .. })), "{loads:?}");
}

#[tokio::test]
async fn a_refusal_names_the_attribute_whether_echoed_or_missing() {
    let (script, client) = connected().await;
    let offset_of_kind = HEADER_BYTES + GENERIC_HEADER_BYTES + 8;
    for (fault, expect) in [
        (Fault { offset: Some(offset_of_kind), ..Fault::new(22, "no such kind") }, "kind"),
        (Fault { missing: Some(family::attribute::device::NAME), ..Fault::new(22, "no name") }, "name"),
    ] {
        let serve = async {
            let asked = script.next().await;
            script.send(&extack::refuse(asked.header, &asked.frame, &fault, false)).await;
        };
        let (added, ()) = tokio::join!(client.device_add("x", "tpu", &[]), serve);
        let expect =
            Error::Refused { errno: 22, message: fault.message.clone(), attribute: Some(expect.to_owned()) };
        assert_eq!(added, Err(expect));
    }
}

#[tokio::test]
async fn events_are_not_lost_between_answer_and_subscription() {
    let (script, client) = connected().await;
    let serve = async {
        let asked = script.next().await;
        let number =
            asked.request.as_ref().unwrap().attributes.u32(family::attribute::event::SUBSCRIPTION).unwrap();
        let mut early = body(SERVER_EPOCH);
        early.u32(family::attribute::event::SUBSCRIPTION, number);
        EventRecord { seq: 5, ..EventRecord::default() }.write(&mut early);
        script.send(&event(early).unwrap()).await;
        let mut lost = body(SERVER_EPOCH);
        lost.u32(family::attribute::event::SUBSCRIPTION, number).u64(family::attribute::event::LOST, 3);
        script.send(&event(lost).unwrap()).await;
        script.answer(&asked, body(SERVER_EPOCH)).await;
    };
    let (subscription, ()) = tokio::join!(client.subscribe(Filter::all(), None), serve);
    let mut subscription = subscription.unwrap();
    assert!(matches!(subscription.next().await, Ok(Feed::Event(event)) if event.seq == 5));
    assert_eq!(subscription.next().await, Ok(Feed::Lost(3)));
}

#[tokio::test]
async fn a_server_that_sends_noise_is_left() {
    let (script, client) = connected().await;
    script.send(&[1, 2, 3]).await;
    client.closed().await;
    assert_eq!(client.ping().await, Err(Error::Closed { sent_change: false }));
}

#[tokio::test]
async fn i5_the_trace_tells_everything_but_the_key() {
    let (script, client) = connected().await;
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&lines);
    let client = client.with_trace(Arc::new(move |line| seen.lock().unwrap().push(line.to_owned())));
    let session = SessionNew {
        algorithm: "aes-128-ctr".to_owned(),
        keys: vec![vec![0xab; 16].into()],
        ..SessionNew::default()
    };
    let serve = async {
        let asked = script.next().await;
        let mut answer = body(SERVER_EPOCH);
        answer.u64(family::attribute::session::ID, 31);
        script.answer(&asked, answer).await;
    };
    let (opened, ()) = tokio::join!(client.session_new(session), serve);
    assert_eq!(opened, Ok(31));
    assert_eq!(
        *lines.lock().unwrap(),
        [
            "-> seq 3 session-new algorithm='aes-128-ctr' key=(16 bytes)",
            "<- seq 3 session-new epoch=32570 id=31",
            "<- seq 3 ack",
        ]
    );
}

#[test]
fn a_dump_is_cut_at_its_limit() {
    let request = Header { kind: family::ID, seq: 9, port: 4, ..Header::default() };
    let mut dump = Dump::new(request);
    let mut parts = Vec::new();
    for _ in 0..100 {
        let mut row = body(1);
        row.bytes(family::attribute::op::DATA, &[0; 1000]);
        parts.extend(dump.row(Command::OpGet as u8, row).unwrap());
    }
    parts.push(dump.finish());
    let rows: usize = parts.iter().map(|part| split(part).0.len()).sum();
    assert_eq!(rows, 100 + 1);
    assert!(parts.len() > 3 && parts.iter().all(|part| part.len() <= server::DUMP_PART_BYTES + 20));
}
