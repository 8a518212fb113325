//! The connection: made, lost, tried again; what comes over it.

use acrypto_netlink::Snapshot;
use acrypto_netlink::message::{EventRecord, LoadSpec, ServerInfo, Severity};

use super::toast;
use crate::message::Effect;
use crate::model::{Dialog, Link, Model, Page, Poll, Tone};

/// Time between two snapshots.
const POLL_NS: u64 = 250_000_000;
/// Wait before the first attempt to connect again; it doubles with every failure.
const RETRY_MIN_NS: u64 = 250_000_000;
/// Longest wait between two attempts.
const RETRY_MAX_NS: u64 = 2_000_000_000;
/// Events from before the connection that are asked for.
const EVENTS_BEFORE: u64 = 256;

/// What the present asks for: a connection, or the next snapshot.
pub(super) fn due(model: &mut Model) -> Vec<Effect> {
    match &model.link {
        Link::Waiting { failed, retry_ns, .. } if *retry_ns <= model.now_ns => {
            model.link = Link::Connecting { failed: *failed };
            model.dirty = true;
            vec![Effect::Connect]
        }
        Link::Up { .. } if !model.poll.waiting && model.poll.due_ns <= model.now_ns => {
            model.poll = Poll { due_ns: model.now_ns.saturating_add(POLL_NS), waiting: true };
            vec![Effect::Poll]
        }
        _ => vec![],
    }
}

pub(super) fn connected(model: &mut Model, server: ServerInfo) -> Vec<Effect> {
    let (Link::Connecting { failed } | Link::Waiting { failed, .. } | Link::Up { failed, .. }) = model.link;
    // It counts as failed until its first snapshot: a server that accepts and hangs up is not tried without end.
    model.link = Link::Up { heard_ns: model.now_ns, failed: failed.saturating_add(1) };
    let last_event_seq = server.last_event_seq;
    meet(model, server);
    let after_seq = match model.log.last_seq() {
        0 => last_event_seq.saturating_sub(EVENTS_BEFORE),
        seen => seen,
    };
    model.poll = Poll { due_ns: model.now_ns.saturating_add(POLL_NS), waiting: true };
    vec![Effect::Subscribe { after_seq }, Effect::Poll]
}

/// Takes what a server says of itself; another epoch means another server, whose rows must not be mixed with those
/// of the one before.
fn meet(model: &mut Model, server: ServerInfo) {
    let before = model.server.as_ref().map(|known| known.epoch);
    let now = server.epoch;
    let reset = before.is_some_and(|epoch| epoch != now);
    if reset {
        model.data.forget(model.now_ns);
        model.log.forget();
        model.device_cursor.rest();
        model.session_cursor.rest();
        model.event_cursor.rest();
        model.undo = None;
        model.undo_next = None;
        model.demo_loads.clear();
        if matches!(model.page, Page::Device(_)) {
            model.page = Page::Main;
        }
        if !matches!(model.dialog, Some(Dialog::Help { .. })) {
            model.dialog = None;
        }
    }
    model.server = Some(server);
    if let (true, Some(before)) = (reset, before) {
        let text = format!("server restarted: epoch {before:04x} → {now:04x}");
        model.log.remark(text.clone(), Severity::Warn, 0);
        toast(model, Tone::Plain, text, "");
    }
}

pub(super) fn disconnected(model: &mut Model, reason: String) -> Vec<Effect> {
    let failed = match model.link {
        Link::Connecting { failed } | Link::Waiting { failed, .. } => failed.saturating_add(1),
        Link::Up { failed, .. } => {
            toast(model, Tone::Bad, reason.clone(), "");
            failed
        }
    };
    let retry_ns = model.now_ns.saturating_add(backoff_ns(failed));
    model.link = Link::Waiting { failed, retry_ns, reason };
    model.poll = Poll::default();
    vec![]
}

/// How long to wait after so many failures.
fn backoff_ns(failed: u32) -> u64 {
    RETRY_MIN_NS.saturating_mul(1 << failed.saturating_sub(1).min(10)).min(RETRY_MAX_NS)
}

pub(super) fn snapshot(model: &mut Model, snapshot: Snapshot) -> Vec<Effect> {
    model.poll.waiting = false;
    model.link = Link::Up { heard_ns: model.now_ns, failed: 0 };
    meet(model, snapshot.server.clone());
    // A set that is just being stopped or started, one after the other, is not taken for the whole.
    if snapshot.loads.len() >= model.demo_loads.len().max(1) {
        model.demo_loads = snapshot
            .loads
            .iter()
            .map(|load| LoadSpec {
                algorithm: load.algorithm.clone(),
                size_bytes: load.size_bytes,
                clients: load.clients,
                rate_ops_per_s: load.rate_ops_per_s,
                for_ns: load.for_ns,
            })
            .collect();
    }
    if let Some(frozen) = &mut model.frozen {
        frozen.missed += 1;
    }
    model.log.date_remarks(snapshot.wall_ns);
    model.data.apply(snapshot, model.now_ns);
    // A dialog about a device that is gone has nothing to ask any more.
    if let Some(Dialog::Menu { device, .. }) = &model.dialog
        && !model.data.devices().iter().any(|known| known.name == *device)
    {
        model.dialog = None;
    }
    vec![]
}

pub(super) fn poll_failed(model: &mut Model, reason: String) -> Vec<Effect> {
    model.poll.waiting = false;
    if model.data.snapshot.is_none() {
        toast(model, Tone::Bad, reason, "");
    }
    vec![]
}

pub(super) fn event(model: &mut Model, event: EventRecord) -> Vec<Effect> {
    heard(model);
    model.log.event(event);
    vec![]
}

pub(super) fn events_lost(model: &mut Model, events: u64) -> Vec<Effect> {
    heard(model);
    let wall_ns = model.data.wall_ns(model.now_ns).unwrap_or(0);
    model.log.lost(events, wall_ns);
    vec![]
}

pub(super) fn events_ended(model: &mut Model, reason: &str) -> Vec<Effect> {
    let wall_ns = model.data.wall_ns(model.now_ns).unwrap_or(0);
    model.log.remark(format!("no more events: {reason}"), Severity::Warn, wall_ns);
    vec![]
}

fn heard(model: &mut Model) {
    if let Link::Up { heard_ns, .. } = &mut model.link {
        *heard_ns = model.now_ns;
    }
}
