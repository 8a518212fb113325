//! The rules learnt by breaking stock clients (R6 is checked with the specification).

use super::*;
use crate::attr::Writer;
use crate::conn::client::{Connection, Incoming};
use crate::conn::{Datagram, seal};
use crate::family::attribute::{device, server as server_attribute};
use crate::family::{self, Command, control};
use crate::frame::*;
use crate::transport::MemoryEnd;

const PORT: u32 = 0xabcd;
const SEQ: u32 = 77;

fn request(kind: u16, command: u8, flags: u16, body: Writer) -> Datagram {
    seal(body, Header { len: 0, kind, flags: FLAG_REQUEST | flags, seq: SEQ, port: PORT }, command).unwrap()
}

fn ask(command: Command, flags: u16, body: Writer) -> Datagram {
    request(family::ID, command as u8, flags, body)
}

async fn next(raw: &MemoryEnd) -> (Datagram, Vec<Frame>) {
    let datagram = raw.receive().await.unwrap();
    let (frames, end) = split(&datagram);
    assert_eq!(end, Ok(()));
    (datagram, frames)
}

fn errno_of(datagram: &[u8]) -> i32 {
    i32::from_ne_bytes(array(datagram, HEADER_BYTES).unwrap())
}

#[tokio::test]
async fn r1_a_reply_and_its_acknowledgement_are_separate_datagrams() {
    let raw = server().memory();
    let mut lookup = Writer::new();
    lookup.string(control::ctrl::FAMILY_NAME, "acrypto");
    for datagram in [
        request(control::ID, control::GET_FAMILY, FLAG_ACK, lookup),
        ask(Command::ServerGet, FLAG_ACK, Writer::new()),
    ] {
        raw.send(&datagram).await.unwrap();
        let (_, frames) = next(&raw).await;
        assert_eq!(frames.len(), 1);
        assert!(frames[0].header.kind >= TYPE_MIN);
        let (ack, frames) = next(&raw).await;
        assert_eq!((frames.len(), frames[0].header.kind, errno_of(&ack)), (1, ERROR, 0));
    }
}

#[tokio::test]
async fn r2_a_dump_ends_with_done_and_no_acknowledgement() {
    let raw = server().memory();
    for flags in [FLAG_DUMP, FLAG_DUMP | FLAG_ACK] {
        raw.send(&ask(Command::DeviceGet, flags, Writer::new())).await.unwrap();
        let (_, frames) = next(&raw).await;
        let kinds: Vec<u16> = frames.iter().map(|frame| frame.header.kind).collect();
        assert_eq!(kinds, [family::ID, DONE]);
        assert!(frames.iter().all(|frame| frame.header.flags & FLAG_MULTI != 0));
    }
    raw.send(&ask(Command::ServerPing, FLAG_ACK, Writer::new())).await.unwrap();
    assert_eq!(next(&raw).await.1[0].header.kind, family::ID, "nothing came in between");
}

#[tokio::test]
async fn r3_a_refusal_echoes_the_request_whole_then_tells_more() {
    let raw = server().memory();
    let mut body = Writer::new();
    body.string(device::NAME, "x").u32(device::STATE, 3);
    let sent = ask(Command::DeviceGet, FLAG_ACK, body);
    raw.send(&sent).await.unwrap();
    let (refusal, frames) = next(&raw).await;
    assert_eq!(frames[0].header.kind, ERROR);
    assert_eq!(frames[0].header.flags & (FLAG_ACK_TLVS | FLAG_CAPPED), FLAG_ACK_TLVS);
    assert_eq!(errno_of(&refusal), -EINVAL);
    assert_eq!(refusal[20..20 + sent.len()], sent[..]);
    let details = walk(&refusal[20 + sent.len()..]).unwrap();
    assert_eq!(details.iter().map(|place| place.number).collect::<Vec<_>>(), [1, 2], "message and offset");
    let offset = &refusal[20 + sent.len() + details[1].payload..][..4];
    assert_eq!(u32::from_ne_bytes(offset.try_into().unwrap()), 28, "headers, and the name of 6 padded to 8");

    let mut cap = Writer::new();
    cap.u32(server_attribute::CAP_ACK, 1);
    raw.send(&ask(Command::ServerSet, FLAG_ACK, cap)).await.unwrap();
    let (ack, frames) = next(&raw).await;
    assert_eq!(
        (frames[0].header.flags, ack.len()),
        (FLAG_CAPPED, 36),
        "an ACK has the header only, and no TLVs"
    );
    raw.send(&sent).await.unwrap();
    let (refusal, frames) = next(&raw).await;
    assert_eq!(frames[0].header.flags & (FLAG_ACK_TLVS | FLAG_CAPPED), FLAG_ACK_TLVS | FLAG_CAPPED);
    assert_eq!(walk(&refusal[36..]).unwrap().len(), 2);
}

#[tokio::test]
async fn r4_replies_carry_port_and_sequence_and_events_have_sequence_zero() {
    let server = server();
    let raw = server.memory();
    let mut body = Writer::new();
    body.u32(family::attribute::event::SUBSCRIPTION, 9);
    for datagram in [
        ask(Command::ServerPing, FLAG_ACK, Writer::new()),
        ask(Command::DeviceGet, FLAG_DUMP, Writer::new()),
        request(family::ID, 250, FLAG_ACK, Writer::new()),
        ask(Command::EventSubscribe, FLAG_ACK, body),
    ] {
        raw.send(&datagram).await.unwrap();
    }
    // Ping, its ACK, the dump, the refusal, the subscription, its ACK.
    for _ in 0..6 {
        for frame in next(&raw).await.1 {
            assert_eq!((frame.header.port, frame.header.seq), (PORT, SEQ));
        }
    }
    server.runtime().set_balancer("round_robin_lb", None, 0).unwrap();
    let (_, frames) = next(&raw).await;
    assert_eq!((frames[0].header.kind, frames[0].header.seq), (family::ID, 0));
}

async fn dump_of(raw: &MemoryEnd, kind: u16, command: u8, body: Writer) -> Vec<crate::conn::Message> {
    let mut connection = Connection::default();
    let (_, datagram) = connection.request(kind, command, true, body).unwrap();
    raw.send(&datagram).await.unwrap();
    loop {
        let mut datagram = raw.receive().await.unwrap();
        for incoming in connection.receive(&mut datagram).unwrap() {
            if let Incoming::Answered { result, .. } = incoming {
                return result.unwrap().parts;
            }
        }
    }
}

#[tokio::test]
async fn r5_nlctrl_lists_families_operations_groups_and_policies() {
    use control::ctrl;
    let raw = server().memory();
    let families = dump_of(&raw, control::ID, control::GET_FAMILY, Writer::new()).await;
    let names: Vec<String> =
        families.iter().map(|family| family.attributes.string(ctrl::FAMILY_NAME).unwrap()).collect();
    assert_eq!(names, ["nlctrl", "acrypto"]);
    let own = &families[1].attributes;
    assert_eq!(
        (own.u16(ctrl::FAMILY_ID), own.u32(ctrl::VERSION), own.u32(ctrl::HEADER_SIZE)),
        (Ok(0x20), Ok(1), Ok(0))
    );
    let operations = walk(&own.bytes(ctrl::OPS)).unwrap();
    let asked = family::command::COMMANDS.iter().filter(|spec| spec.notify.is_none()).count();
    assert_eq!(operations.len(), asked);
    assert_eq!(walk(&own.bytes(ctrl::GROUPS)).unwrap().len(), 2);

    let mut body = Writer::new();
    body.string(ctrl::FAMILY_NAME, "acrypto");
    let rows = dump_of(&raw, control::ID, control::GET_POLICY, body).await;
    assert_eq!(rows.iter().filter(|row| row.attributes.has(ctrl::OP_POLICY)).count(), asked);
    assert!(rows.iter().filter(|row| row.attributes.has(ctrl::POLICY)).count() > asked);
    let mut body = Writer::new();
    body.u16(ctrl::FAMILY_ID, family::ID).u32(ctrl::OP, Command::DeviceNew as u32);
    let rows = dump_of(&raw, control::ID, control::GET_POLICY, body).await;
    // One operation, its three attributes, and the three of the nested set.
    assert_eq!(rows.len(), 1 + 3 + 3);
}

#[tokio::test]
async fn what_is_unknown_is_refused_and_the_connection_kept() {
    let raw = server().memory();
    let mut foreign = Writer::new();
    foreign.string(control::ctrl::FAMILY_NAME, "nl80211");
    let mut unknown_attribute = Writer::new();
    unknown_attribute.u32(999, 1);
    let mut wrong_size = Writer::new();
    wrong_size.u32(device::NAME, 7);
    let mut empty_name = Writer::new();
    empty_name.bytes(device::NAME, &[]);
    let mut nul_inside = Writer::new();
    nul_inside.bytes(device::NAME, b"a\0b\0");
    let mut twice = Writer::new();
    twice.string(device::NAME, "a").string(device::NAME, "b");
    for (datagram, expect) in [
        (request(family::ID, 250, FLAG_ACK, Writer::new()), EOPNOTSUPP),
        (ask(Command::EventNotify, FLAG_ACK, Writer::new()), EOPNOTSUPP),
        (ask(Command::BalancerGet, FLAG_ACK, Writer::new()), EOPNOTSUPP),
        (ask(Command::StatsGet, FLAG_DUMP, Writer::new()), EOPNOTSUPP),
        (request(0x99, 1, FLAG_ACK, Writer::new()), ENOENT),
        (request(control::ID, control::GET_FAMILY, FLAG_ACK, foreign), ENOENT),
        (request(control::ID, 200, FLAG_ACK, Writer::new()), EOPNOTSUPP),
        (ask(Command::ServerPing, FLAG_ACK, unknown_attribute), EINVAL),
        (ask(Command::DeviceGet, FLAG_ACK, Writer::new()), EINVAL),
        (ask(Command::DeviceGet, FLAG_ACK, wrong_size), EINVAL),
        (ask(Command::DeviceGet, FLAG_ACK, empty_name), EINVAL),
        (ask(Command::DeviceGet, FLAG_ACK, nul_inside), EINVAL),
        (ask(Command::DeviceGet, FLAG_ACK, twice), EINVAL),
    ] {
        raw.send(&datagram).await.unwrap();
        let (refusal, frames) = next(&raw).await;
        assert_eq!((frames[0].header.kind, errno_of(&refusal)), (ERROR, -expect), "{datagram:?}");
    }
    raw.send(&ask(Command::ServerPing, FLAG_ACK, Writer::new())).await.unwrap();
    assert_eq!(next(&raw).await.1[0].header.kind, family::ID);
}

#[tokio::test]
async fn a_missing_attribute_is_named_by_its_number() {
    let raw = server().memory();
    raw.send(&ask(Command::DeviceNew, FLAG_ACK, Writer::new())).await.unwrap();
    let (refusal, _) = next(&raw).await;
    let details = walk(&refusal[20 + 20..]).unwrap();
    assert_eq!(
        details.iter().map(|place| place.number).collect::<Vec<_>>(),
        [1, 5],
        "message and missing type"
    );
}

#[tokio::test]
async fn i5_a_refused_key_is_not_echoed() {
    use family::attribute::session;
    let raw = server().memory();
    let mut body = Writer::new();
    body.string(session::ALGORITHM, "aes-128-cbc").secret(session::KEY, b"seventeen bytes!!");
    let sent = ask(Command::SessionNew, FLAG_ACK, body);
    raw.send(&sent).await.unwrap();
    let (refusal, _) = next(&raw).await;
    assert_eq!(errno_of(&refusal), -EINVAL);
    assert!(refusal.len() > sent.len());
    assert!(!refusal.windows(5).any(|window| window == b"seven"));
    // Also when nobody can tell where the key lies.
    let mut broken = sent.clone();
    broken[20] = 3;
    raw.send(&broken).await.unwrap();
    let (refusal, _) = next(&raw).await;
    assert!(!refusal.windows(5).any(|window| window == b"seven"));
}

#[tokio::test]
async fn several_requests_in_one_datagram_are_answered_in_order() {
    let raw = server().memory();
    let mut both = ask(Command::ServerPing, 0, Writer::new()).to_vec();
    both.extend_from_slice(&ask(Command::StatsGet, 0, Writer::new()));
    raw.send(&both).await.unwrap();
    assert!(next(&raw).await.0.len() < next(&raw).await.0.len());
}

#[tokio::test]
async fn a_stray_request_to_end_ends_nothing() {
    let server = server_with(ServerOptions { ends_when_asked: true, ..ServerOptions::default() });
    let raw = server.memory();
    let mut body = Writer::new();
    body.u32(server_attribute::EPOCH, server.epoch().wrapping_add(1));
    for body in [body, Writer::new()] {
        raw.send(&ask(Command::ServerShutdown, FLAG_ACK, body)).await.unwrap();
        assert_eq!(errno_of(&next(&raw).await.0), -EINVAL);
    }
    let mut asked = std::pin::pin!(server.end_asked());
    let mut now = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::future::Future::poll(asked.as_mut(), &mut now).is_pending());
}
