//! The checks, one by one. Each gives the number of operations it needed.

use std::sync::Arc;

use super::stand::{Made, Stand, Task};
use crate::algorithm::{Algorithm, Class, OpKind};
use crate::device::soft::Soft;
use crate::device::{Capability, DeviceError, DeviceInfo, Engine, Handle, RUN_MAX_OPS};
use crate::health::selftest;
use crate::op::{Chain, Iv};
use crate::stream::advance_counter;

type Check = fn(&mut Stand, &DeviceInfo) -> Result<usize, String>;

pub(super) const ALL: [(&str, Check); 9] = [
    ("info is consistent", info_is_consistent),
    ("known answers", known_answers),
    ("same bytes as the reference", same_bytes),
    ("streams in chunks", streams),
    ("forgeries release nothing", forgeries),
    ("unknown handles", unknown_handles),
    ("sessions up to the limit", sessions),
    ("a reset forgets", reset),
    ("idle at the end", idle),
];

/// Lengths around every block, run and page boundary, in bytes.
const LENGTHS: [usize; 16] = [0, 1, 15, 16, 17, 31, 64, 65, 127, 128, 255, 256, 257, 1_000, 4_096, 4_113];
/// Sessions opened at once, at most.
const SESSIONS: usize = 64;

fn bytes(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|index| (seed.wrapping_mul(131) + index * 7 + index / 256) as u8).collect()
}

fn key(algorithm: Algorithm, seed: usize) -> Vec<u8> {
    let lengths = algorithm.key_len();
    bytes(seed + 1, (*lengths.end()).min(32).max(*lengths.start()))
}

fn iv(algorithm: Algorithm, seed: usize) -> Iv {
    Iv::new(&bytes(seed + 2, algorithm.iv_len())).unwrap_or_default()
}

/// An input of about this length that the operation takes as it is.
fn length(algorithm: Algorithm, len: usize) -> usize {
    if algorithm.needs_whole_blocks() { len / algorithm.block_len() * algorithm.block_len() } else { len }
}

fn task(can: &Capability, handle: Handle, seed: usize, len: usize) -> Task {
    let aad = if can.algorithm.class() == Class::Aead { bytes(seed + 3, seed % 40) } else { Vec::new() };
    Task {
        handle,
        algorithm: can.algorithm,
        kind: can.kind,
        iv: iv(can.algorithm, seed),
        aad,
        input: bytes(seed, length(can.algorithm, len)),
        chain: None,
    }
}

fn reference() -> Stand {
    Stand::new(Engine::Direct(Arc::new(Soft::new())))
}

/// What the reference makes of tasks whose handles are a device's.
fn expected(tasks: &[Task], key: &[u8]) -> Result<Vec<Made>, String> {
    let Some(first) = tasks.first() else { return Ok(Vec::new()) };
    let mut reference = reference();
    if first.algorithm == Algorithm::Null {
        let same = |task: &Task| Made {
            result: Ok(()),
            data: task.input.clone(),
            output: crate::op::Output::none(),
            chain: task.chain.clone(),
        };
        return Ok(tasks.iter().map(same).collect());
    }
    let handle = reference.open(first.algorithm, key)?;
    let tasks: Vec<Task> = tasks.iter().map(|task| Task { handle, ..task.clone() }).collect();
    reference.carry_out(&tasks, RUN_MAX_OPS)
}

fn same(task: &Task, made: &Made, expected: &Made) -> Result<(), String> {
    let what = format!("{} {} of {} bytes", task.algorithm, task.kind, task.input.len());
    if made.result != expected.result {
        return Err(format!("{what}: {:?} instead of {:?}", made.result, expected.result));
    }
    if !task.algorithm.is_deterministic() {
        let is_stuck = made.data.len() > 8 && made.data.iter().all(|byte| *byte == made.data[0]);
        let fits = made.data.len() == task.input.len() && !is_stuck;
        return if fits { Ok(()) } else { Err(format!("{what}: not as many random bytes as asked for")) };
    }
    if made.data != expected.data && made.result.is_ok() {
        return Err(format!("{what}: the data is wrong"));
    }
    if made.output != expected.output {
        return Err(format!("{what}: the output is wrong"));
    }
    Ok(())
}

fn info_is_consistent(stand: &mut Stand, info: &DeviceInfo) -> Result<usize, String> {
    let again = stand.mount.info();
    if again.kind != info.kind || again.capabilities != info.capabilities {
        return Err("info changes from call to call".to_owned());
    }
    if info.kind.is_empty() || info.capabilities.is_empty() {
        return Err("no kind or no capability".to_owned());
    }
    if !(1..=RUN_MAX_OPS).contains(&info.run_max_ops) || info.queue_max_ops == 0 || info.sessions_max == 0 {
        return Err("a limit is out of range".to_owned());
    }
    for (index, can) in info.capabilities.iter().enumerate() {
        let what = format!("{} {}", can.algorithm, can.kind);
        if info.capabilities[..index]
            .iter()
            .any(|other| (other.algorithm, other.kind) == (can.algorithm, can.kind))
        {
            return Err(format!("{what} is there twice"));
        }
        if !can.algorithm.ops().contains(&can.kind) {
            return Err(format!("{what} does not exist"));
        }
        if can.stream && !can.algorithm.streams() {
            return Err(format!("{what} cannot be streamed"));
        }
    }
    Ok(0)
}

fn known_answers(stand: &mut Stand, info: &DeviceInfo) -> Result<usize, String> {
    let clock = stand.clock().clone();
    selftest::run(&mut stand.mount, info, info.kind, &clock).map(|_| 0).map_err(|error| error.to_string())
}

fn same_bytes(stand: &mut Stand, info: &DeviceInfo) -> Result<usize, String> {
    let mut count = 0;
    for can in &info.capabilities {
        let key = key(can.algorithm, count);
        let handle = stand.open(can.algorithm, &key)?;
        let mut tasks: Vec<Task> =
            LENGTHS.iter().enumerate().map(|(seed, len)| task(can, handle, seed, *len)).collect();
        if can.algorithm.class() == Class::Aead && can.kind == OpKind::Decrypt {
            let seals: Vec<Task> =
                tasks.iter().map(|task| Task { kind: OpKind::Encrypt, ..task.clone() }).collect();
            for (task, sealed) in tasks.iter_mut().zip(expected(&seals, &key)?) {
                task.input = sealed.data;
            }
        }
        let expected = expected(&tasks, &key)?;
        for run_max in [1, info.run_max_ops] {
            let made = stand.carry_out(&tasks, run_max)?;
            for ((task, made), expected) in tasks.iter().zip(&made).zip(&expected) {
                same(task, made, expected)?;
            }
            count += tasks.len();
        }
        stand.mount.close(handle);
    }
    Ok(count)
}

/// The iv of the chunk after this one.
fn next_iv(task: &Task, made: &Made) -> Iv {
    let last = |bytes: &[u8]| bytes.last_chunk::<16>().map(|block| Iv::from(*block));
    let next = match (task.algorithm.class(), task.kind) {
        (Class::Ctr, _) => advance_counter(task.iv, task.input.len() / 16),
        (Class::Cbc, OpKind::Decrypt) => last(&task.input),
        (Class::Cbc, _) => last(&made.data),
        _ => None,
    };
    next.unwrap_or(task.iv)
}

fn streams(stand: &mut Stand, info: &DeviceInfo) -> Result<usize, String> {
    let mut count = 0;
    for can in info.capabilities.iter().filter(|can| can.stream) {
        let key = key(can.algorithm, count);
        let handle = stand.open(can.algorithm, &key)?;
        let block = can.algorithm.block_len().max(16);
        let whole = task(can, handle, 5, 6 * block);
        let expected = expected(std::slice::from_ref(&whole), &key)?;
        for cuts in [[1, 2], [2, 5], [3, 3]] {
            let cuts = cuts.map(|blocks| blocks * block);
            let (mut iv, mut chain) = (whole.iv, Chain { first: true, ..Chain::default() });
            let mut all = Vec::new();
            let pieces = [0..cuts[0], cuts[0]..cuts[1], cuts[1]..whole.input.len()];
            for (index, piece) in pieces.into_iter().enumerate() {
                chain.last = index == 2;
                let chunk = Task {
                    iv,
                    input: whole.input[piece].to_vec(),
                    chain: Some(chain.clone()),
                    ..whole.clone()
                };
                let made = stand.carry_out(std::slice::from_ref(&chunk), 1)?.remove(0);
                count += 1;
                if let Err(error) = made.result {
                    return Err(format!("{} {} of a chunk: {error:?}", can.algorithm, can.kind));
                }
                iv = next_iv(&chunk, &made);
                all.extend_from_slice(&made.data);
                if index == 2 {
                    same(&whole, &Made { data: all.clone(), ..made }, &expected[0])?;
                } else {
                    chain = made.chain.unwrap_or(chain);
                    chain.first = false;
                }
            }
        }
        stand.mount.close(handle);
    }
    Ok(count)
}

fn forgeries(stand: &mut Stand, info: &DeviceInfo) -> Result<usize, String> {
    let mut count = 0;
    let opens = |can: &&Capability| can.algorithm.class() == Class::Aead && can.kind == OpKind::Decrypt;
    for can in info.capabilities.iter().filter(opens) {
        let key = key(can.algorithm, count);
        let handle = stand.open(can.algorithm, &key)?;
        let plain = task(can, handle, 7, 100);
        let seal = Task { kind: OpKind::Encrypt, ..plain.clone() };
        let sealed = expected(std::slice::from_ref(&seal), &key)?.remove(0).data;
        let mut forged = Vec::new();
        for place in [0, 99, 100, 115] {
            let mut input = sealed.clone();
            input[place] ^= 0x10;
            forged.push(Task { input, ..plain.clone() });
        }
        forged.push(Task { aad: b"other".to_vec(), input: sealed.clone(), ..plain.clone() });
        forged.push(Task { iv: iv(can.algorithm, 99), input: sealed.clone(), ..plain.clone() });
        for made in stand.carry_out(&forged, info.run_max_ops)? {
            if made.result != Err(DeviceError::DecryptionFailed) {
                return Err(format!("{}: a forgery gave {:?}", can.algorithm, made.result));
            }
            if made.data.iter().any(|byte| *byte != 0) {
                return Err(format!("{}: the data of a forgery was not wiped", can.algorithm));
            }
        }
        count += forged.len();
        stand.mount.close(handle);
    }
    Ok(count)
}

fn unknown_handles(stand: &mut Stand, info: &DeviceInfo) -> Result<usize, String> {
    stand.mount.close(Handle(u32::MAX - 7));
    let mut count = 0;
    // What takes no key may do without a session.
    for can in info.capabilities.iter().filter(|can| *can.algorithm.key_len().end() > 0) {
        let closed = stand.open(can.algorithm, &key(can.algorithm, 1))?;
        stand.mount.close(closed);
        stand.mount.close(closed);
        for handle in [Handle(u32::MAX - 7), closed] {
            let made = stand.carry_out(&[task(can, handle, 3, 64)], 1)?.remove(0);
            if made.result.is_ok() {
                return Err(format!("{} {} without a session was carried out", can.algorithm, can.kind));
            }
            count += 1;
        }
    }
    Ok(count)
}

fn sessions(stand: &mut Stand, info: &DeviceInfo) -> Result<usize, String> {
    let keyed = |can: &&Capability| *can.algorithm.key_len().end() > 0 && can.kind != OpKind::Decrypt;
    let Some(can) = info.capabilities.iter().find(keyed) else { return Ok(0) };
    let mut open = Vec::new();
    for seed in 0..info.sessions_max.min(SESSIONS) {
        let key = key(can.algorithm, seed * 3);
        let handle = stand.open(can.algorithm, &key)?;
        if open.iter().any(|(other, _)| *other == handle) {
            return Err("two open sessions have one handle".to_owned());
        }
        open.push((handle, key));
    }
    let tasks: Vec<Task> = open.iter().map(|(handle, _)| task(can, *handle, 11, 96)).collect();
    let made = stand.carry_out(&tasks, info.run_max_ops)?;
    for ((task, made), (_, key)) in tasks.iter().zip(&made).zip(&open) {
        same(task, made, &expected(std::slice::from_ref(task), key)?[0])?;
    }
    for (handle, _) in open {
        stand.mount.close(handle);
    }
    Ok(tasks.len())
}

fn reset(stand: &mut Stand, info: &DeviceInfo) -> Result<usize, String> {
    if stand.mount.queued().is_none() {
        return Ok(0);
    }
    let Some(can) = info.capabilities.first() else { return Ok(0) };
    let key = key(can.algorithm, 1);
    let handle = stand.open(can.algorithm, &key)?;
    let tasks: Vec<Task> = (0..info.run_max_ops).map(|seed| task(can, handle, seed, 512)).collect();
    let sources: Vec<Arc<Vec<u8>>> = tasks.iter().map(|task| Arc::new(task.input.clone())).collect();
    let given = stand.give(&tasks, &sources)?;
    if given == 0 {
        return Err("an idle device takes nothing".to_owned());
    }
    stand.mount.reset().map_err(|error| error.to_string())?;
    if stand.mount.queued().is_none_or(|device| device.in_flight() != 0) {
        return Err("operations are in flight after a reset".to_owned());
    }
    let mut answers = Vec::new();
    for _ in 0..1_000 {
        if !stand.ask(&mut answers)?.is_empty() {
            return Err("an operation from before a reset was answered".to_owned());
        }
    }
    stand.mount.close(handle);
    let handle = stand.open(can.algorithm, &key)?;
    let after = task(can, handle, 1, 512);
    let made = stand.carry_out(std::slice::from_ref(&after), 1)?.remove(0);
    same(&after, &made, &expected(std::slice::from_ref(&after), &key)?[0])?;
    Ok(given + 1)
}

fn idle(stand: &mut Stand, info: &DeviceInfo) -> Result<usize, String> {
    let Some(can) = info.capabilities.first() else { return Ok(0) };
    let handle = stand.open(can.algorithm, &key(can.algorithm, 1))?;
    let tasks: Vec<Task> = (0..2 * info.run_max_ops).map(|seed| task(can, handle, seed, 64)).collect();
    stand.carry_out(&tasks, info.run_max_ops)?;
    if let Some(device) = stand.mount.queued() {
        if device.in_flight() != 0 {
            return Err("operations are in flight when all are answered".to_owned());
        }
        if device.room() == 0 {
            return Err("an idle device has no room".to_owned());
        }
    }
    stand.mount.close(handle);
    Ok(tasks.len())
}
