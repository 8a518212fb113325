use super::*;
use crate::family::attribute::{device, op, session, stats};
use crate::frame::{GENERIC_HEADER_BYTES, HEADER_BYTES};
use crate::message::*;

const BODY: usize = HEADER_BYTES + GENERIC_HEADER_BYTES;

/// What a reader gets of what a writer put.
fn read(set: &'static crate::family::AttributeSet, writer: Writer) -> Result<Reader, Fault> {
    let mut bytes = writer.finish().unwrap();
    Reader::read(set, &mut bytes[BODY..], BODY, Accept::Any)
}

fn histogram() -> Histogram {
    Histogram::new([(15, 3), (127, 40), (u64::MAX, 1)], 1 << 40, 99)
}

#[test]
fn a_device_reads_back_as_it_was_written() {
    let info = DeviceInfo {
        id: 7,
        name: "accel0".to_owned(),
        kind: "sim".to_owned(),
        state: DeviceState::Degraded,
        state_reason: "8 errors in 10s (budget 8)".to_owned(),
        counters: DeviceCounters { taken_ops: u64::MAX, finished_ops: 2, ..DeviceCounters::default() },
        queue_wait: histogram(),
        fault: Some(FaultSpec { rate: Some(0.125), size_bytes: Some(0..=16), ..FaultSpec::default() }),
        probation_percent: 10,
        parameters: vec![("lanes".to_owned(), "4".to_owned()), ("seed".to_owned(), String::new())],
        capabilities: vec![
            Capability { op: OpKind::Encrypt, algorithm: "aes-128-ctr".to_owned() },
            Capability { op: OpKind::Mac, algorithm: "hmac-sha256".to_owned() },
        ],
        shadow_rate: 0.01,
        leaving: Some(Leaving { is_removal: true, deadline_ns: 5, remaining_ops: 6 }),
        ..DeviceInfo::default()
    };
    let mut writer = Writer::new();
    info.write(&mut writer);
    assert_eq!(DeviceInfo::read(&read(&device::SET, writer).unwrap()).unwrap(), info);
}

#[test]
fn statistics_read_back_as_they_were_written() {
    let info = RuntimeStats {
        accepted_ops: 9,
        by_kind: [1, 2, 3, 4, 5, 6, 7],
        total: histogram(),
        ..RuntimeStats::default()
    };
    let mut writer = Writer::new();
    info.write(&mut writer);
    assert_eq!(RuntimeStats::read(&read(&stats::SET, writer).unwrap()).unwrap(), info);
}

#[test]
fn i5_a_key_is_taken_out_of_the_datagram_and_given_once() {
    let asked = SessionNew {
        algorithm: "aes-128-ctr".to_owned(),
        keys: vec![vec![0xab; 16].into(), vec![0xcd; 20].into()],
        priority: Some(7),
        persistent: true,
        ordered: true,
        bind: Some(Bind { target: Target::Kind("soft".to_owned()), only: false }),
        tenant: "web".to_owned(),
        route: vec![
            Stage { algorithm: "aes-128-cbc".to_owned(), bind: None },
            Stage {
                algorithm: "hmac-sha256".to_owned(),
                bind: Some(Bind { target: Target::Device("soft0".to_owned()), only: true }),
            },
        ],
        ..SessionNew::default()
    };
    let mut writer = Writer::new();
    asked.write(&mut writer);
    let mut bytes = writer.finish().unwrap();
    assert!(bytes.contains(&0xab) && bytes.contains(&0xcd));
    let mut reader = Reader::read(&session::SET, &mut bytes[BODY..], BODY, Accept::Any).unwrap();
    assert!(!bytes.contains(&0xab) && !bytes.contains(&0xcd));
    assert_eq!(SessionNew::read(&mut reader).unwrap(), asked);
    assert!(reader.secrets(session::KEY).is_empty());
    assert!(!format!("{asked:?} {reader:?}").contains("171"));
}

#[test]
fn an_attribute_that_nla_len_cannot_hold_is_refused() {
    let mut writer = Writer::new();
    writer.bytes(op::DATA, &vec![0; PAYLOAD_MAX_BYTES]);
    assert!(writer.finish().is_ok());
    let nested = |writer: &mut Writer| {
        writer.bytes(1, &vec![0; 40_000]).bytes(2, &vec![0; 40_000]);
    };
    let mut large = Writer::new();
    large.bytes(op::DATA, &vec![0; PAYLOAD_MAX_BYTES + 1]);
    let mut large_secret = Writer::new();
    large_secret.secret(session::KEY, &vec![0; PAYLOAD_MAX_BYTES + 1]);
    let mut large_nest = Writer::new();
    large_nest.nest(1, nested);
    for writer in [large, large_secret, large_nest] {
        assert!(matches!(writer.finish(), Err(Error::TooLarge { limit: PAYLOAD_MAX_BYTES, .. })));
    }
}

#[test]
fn a_string_with_a_nul_is_not_sent() {
    let mut writer = Writer::new();
    writer.string(device::NAME, "a\0b");
    assert_eq!(writer.finish().unwrap_err().to_string(), "malformed message: 'a\\0b' holds a NUL");
}

#[test]
fn an_empty_string_attribute_does_no_harm() {
    let mut writer = Writer::new();
    writer.bytes(device::NAME, &[]);
    let fault = read(&device::SET, writer).unwrap_err();
    assert_eq!(fault.to_string(), "'name' is no string ended by one NUL");
    assert_eq!(fault.offset, Some(BODY));
}

#[test]
fn the_strict_side_refuses_what_it_does_not_know_also_in_nests() {
    let mut writer = Writer::new();
    writer.nest(device::FAULT, |nest| {
        nest.u32(1, 1).u32(77, 1);
    });
    let mut bytes = writer.finish().unwrap();
    let accept = Accept::Only(&[device::FAULT]);
    let reader = Reader::read(&device::SET, &mut bytes[BODY..], BODY, accept).unwrap();
    let fault = reader.nest(device::FAULT).unwrap_err();
    assert_eq!(fault.to_string(), "attribute 77 ('unknown') is not taken here");
    assert_eq!(fault.offset, Some(BODY + 4 + 8));
    let lenient = Reader::read(&device::SET, &mut bytes[BODY..], BODY, Accept::Any).unwrap();
    assert!(lenient.nest(device::FAULT).is_ok());
}

#[test]
fn numbers_that_stand_for_nothing_are_faults() {
    let mut writer = Writer::new();
    writer.u32(device::STATE, 99);
    let reader = read(&device::SET, writer).unwrap();
    let fault = reader.token(device::STATE, DeviceState::from_number).unwrap_err();
    assert_eq!((fault.to_string().as_str(), fault.offset), ("'state' has no value 99", Some(BODY)));
    let missing = reader.u32(device::ID).unwrap_err();
    assert_eq!((missing.errno, missing.missing), (22, Some(device::ID)));
}
