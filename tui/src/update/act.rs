//! Changes: asked for, confirmed, carried out.

use acrypto_netlink::message::{DeviceInfo, FaultSpec, LoadSpec};

use super::toast;
use crate::Action;
use crate::format;
use crate::message::Effect;
use crate::model::{Confirm, Dialog, MenuEntry, Model, Page, Tone, Undo};

/// Whether a change may be asked for now; says why not.
fn may_change(model: &mut Model) -> bool {
    let reason = if model.read_only {
        "read-only: started with --read-only"
    } else if model.locked {
        "changes are locked; L unlocks"
    } else if !matches!(model.link, crate::model::Link::Up { .. }) {
        "not connected"
    } else if !model.is_admin() {
        "this connection may only look; devices and balancer need the server's user or group"
    } else {
        return true;
    };
    toast(model, Tone::Bad, reason, "");
    false
}

pub(super) fn lock(model: &mut Model) {
    if model.read_only {
        toast(model, Tone::Bad, "read-only: started with --read-only", "");
        return;
    }
    model.locked = !model.locked;
    toast(model, Tone::Plain, if model.locked { "changes locked" } else { "changes unlocked" }, "");
}

pub(super) fn picker(model: &mut Model) -> Vec<Effect> {
    if !may_change(model) {
        return vec![];
    }
    let Some(chosen) = model.data.balancer().map(str::to_owned) else {
        toast(model, Tone::Bad, "no balancer is known yet", "");
        return vec![];
    };
    choose(model, chosen)
}

/// Opens the picker on this balancer, or moves it there.
pub(super) fn choose(model: &mut Model, chosen: String) -> Vec<Effect> {
    model.dialog = Some(Dialog::Picker { chosen: chosen.clone() });
    vec![Effect::EqualCommand(Box::new(Action::SetBalancer { name: chosen, if_current: None }))]
}

pub(super) fn set_balancer(model: &mut Model, name: String) -> Vec<Effect> {
    let previous = model.data.balancer().unwrap_or_default().to_owned();
    if previous == name {
        toast(model, Tone::Plain, format!("{name} is in force already"), "");
        return vec![];
    }
    model.undo_next = Some(Undo { applied: name.clone(), previous });
    ask(model, Action::SetBalancer { name, if_current: None })
}

pub(super) fn undo(model: &mut Model) -> Vec<Effect> {
    if !may_change(model) {
        return vec![];
    }
    let Some(undo) = model.undo.take() else {
        toast(model, Tone::Plain, "nothing to undo", "");
        return vec![];
    };
    model.undo_next = None;
    ask(model, Action::SetBalancer { name: undo.previous, if_current: Some(undo.applied) })
}

pub(super) fn load(model: &mut Model) -> Vec<Effect> {
    if !model.is_demo() {
        toast(model, Tone::Plain, "load belongs to the server: use acrypto load", "");
        return vec![];
    }
    if !may_change(model) {
        return vec![];
    }
    let running = model.data.snapshot.as_ref().is_some_and(|snapshot| !snapshot.loads.is_empty());
    if running {
        return ask(model, Action::StopLoads);
    }
    let mut specs = model.demo_loads.clone();
    if specs.is_empty() {
        specs.push(usual_load());
    }
    specs.into_iter().flat_map(|spec| ask(model, Action::StartLoad { spec })).collect()
}

/// The load that `o` starts when none was seen running.
fn usual_load() -> LoadSpec {
    LoadSpec {
        algorithm: "aes-256-cbc".to_owned(),
        size_bytes: 1_024,
        clients: 8,
        rate_ops_per_s: 20_000,
        for_ns: 0,
    }
}

pub(super) fn menu(model: &mut Model) {
    if !may_change(model) {
        return;
    }
    match selected(model).map(|device| device.name.clone()) {
        Some(device) => model.dialog = Some(Dialog::Menu { device, index: 0 }),
        None => toast(model, Tone::Plain, "no device is selected", ""),
    }
}

fn selected(model: &Model) -> Option<&DeviceInfo> {
    let id = match model.page {
        Page::Device(id) => Some(id),
        _ => model.device_cursor.key(),
    };
    id.and_then(|id| model.data.device(id))
}

/// Takes an entry of the action menu: asks at once where nothing is at stake, else opens the dialog.
pub(super) fn take_entry(model: &mut Model, device: &str, entry: MenuEntry) -> Vec<Effect> {
    model.dialog = None;
    let name = device.to_owned();
    let (action, verb) = match entry {
        MenuEntry::Repair => return ask(model, Action::RepairDevice { name }),
        MenuEntry::Break => (Action::BreakDevice { name, fault: None }, "Break"),
        MenuEntry::BreakByErrors => {
            (Action::BreakDevice { name, fault: Some(FaultSpec::default()) }, "Break")
        }
        MenuEntry::Remove => (Action::RemoveDevice { name }, "Remove"),
    };
    let Some(confirm) = confirm(model, device, action, verb) else {
        toast(model, Tone::Bad, format!("device '{device}' is gone"), "");
        return vec![];
    };
    let action = confirm.action.clone();
    model.dialog_command.clear();
    model.dialog = Some(Dialog::Confirm(Box::new(confirm)));
    vec![Effect::EqualCommand(Box::new(action))]
}

fn confirm(model: &Model, name: &str, action: Action, verb: &'static str) -> Option<Confirm> {
    let devices = model.data.devices();
    let device = devices.iter().find(|device| device.name == name)?;
    let others: Vec<&str> = devices
        .iter()
        .filter(|other| other.state.is_usable() && other.id != device.id)
        .map(|other| other.name.as_str())
        .collect();
    let bound = model.data.sessions().iter().filter(|session| session.device == name).count();
    let is_last = device.state.is_usable() && others.is_empty();
    let queued = format!("{} queued", device.counters.queued_ops);
    let in_flight = format!("{} in flight", device.counters.in_flight_ops);
    let mut lines = match &action {
        Action::BreakDevice { fault: Some(fault), .. } => vec![
            format!("Fault: {}, on every operation, until repaired", fault.mode.name()),
            String::new(),
            "each failed operation is tried on another device".to_owned(),
            "its error budget breaks the device".to_owned(),
            format!("now {queued}, {in_flight}"),
        ],
        Action::RemoveDevice { .. } => vec![
            format!("{queued}: {}", if is_last { "back to the main queue" } else { "to other devices" }),
            format!("{in_flight}: end first, or are completed as broken"),
        ],
        _ => vec![
            "Broken by hand, until repaired".to_owned(),
            String::new(),
            format!("{queued}: back to the main queue"),
            format!("{in_flight}: retried elsewhere, or end as broken"),
        ],
    };
    if bound > 0 {
        let sessions = format::counted(bound as u64, "session", "sessions");
        lines.push(format!("{sessions} bound to it: without a device"));
    }
    if is_last {
        lines.push("It is the last usable device: operations will wait or fail".to_owned());
    } else {
        lines.push(format!("usable devices left: {}", others.join(" ")));
    }
    let question = match &action {
        Action::BreakDevice { fault: Some(_), .. } => "by errors ",
        _ => "",
    };
    Some(Confirm {
        title: format!("{} {name} {question}?", verb.to_lowercase()),
        action,
        lines,
        verb,
        on_apply: false,
        must_type: is_last.then(|| name.to_owned()),
        typed: String::new(),
    })
}

/// Sends an action off.
pub(super) fn ask(model: &mut Model, action: Action) -> Vec<Effect> {
    model.dialog = None;
    toast(model, Tone::Plain, format!("{} …", asked(&action)), "");
    vec![Effect::Act(Box::new(action))]
}

pub(super) fn done(
    model: &mut Model,
    action: Action,
    command: String,
    result: Result<(), String>,
    took_ns: u64,
) -> Vec<Effect> {
    match result {
        Ok(()) => {
            if let Action::SetBalancer { name, .. } = &action {
                model.undo = model.undo_next.take().filter(|undo| undo.applied == *name);
            }
            let text = format!("{} in {}", finished(&action), format::latency(took_ns));
            toast(model, Tone::Good, text, command);
            // What was changed should be seen at once.
            model.poll.due_ns = model.now_ns;
        }
        Err(reason) => {
            if matches!(action, Action::SetBalancer { .. }) {
                model.undo_next = None;
            }
            toast(model, Tone::Bad, format!("{}: {reason}", asked(&action)), command);
        }
    }
    vec![]
}

fn asked(action: &Action) -> String {
    match action {
        Action::SetBalancer { name, .. } => format!("setting balancer to {name}"),
        Action::BreakDevice { name, fault: None } => format!("breaking {name}"),
        Action::BreakDevice { name, fault: Some(fault) } => {
            format!("putting fault '{}' on {name}", fault.mode.name())
        }
        Action::RepairDevice { name } => format!("repairing {name}"),
        Action::RemoveDevice { name } => format!("removing {name}"),
        Action::StartLoad { .. } => "starting the load".to_owned(),
        Action::StopLoads => "stopping the load".to_owned(),
    }
}

fn finished(action: &Action) -> String {
    match action {
        Action::SetBalancer { name, .. } => format!("balancer set to {name}"),
        Action::BreakDevice { name, fault: None } => format!("{name} broken by hand"),
        Action::BreakDevice { name, fault: Some(fault) } => {
            format!("fault '{}' put on {name}", fault.mode.name())
        }
        Action::RepairDevice { name } => format!("repair of {name} begun"),
        Action::RemoveDevice { name } => format!("removal of {name} begun"),
        Action::StartLoad { .. } => "load on".to_owned(),
        Action::StopLoads => "load off".to_owned(),
    }
}
