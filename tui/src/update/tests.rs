//! What the workbench does, as statements.

use acrypto_netlink::message::{Class, DeviceState, LoadInfo, LoadSpec, ServerInfo};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use crate::fixture::{self, STEP_NS, STEPS};
use crate::layout::Panel;
use crate::message::{Effect, Message};
use crate::model::{Dialog, Health, Link, Model, Page, Tone};
use crate::update::update;
use crate::{Action, Options, Theme};

const END_NS: u64 = STEPS * STEP_NS;

fn live() -> Model {
    fixture::model(120, 36, Theme::Colour, false)
}

fn fresh() -> Model {
    Model::new(&Options::default(), "embedded".to_owned(), (120, 36))
}

fn tick(model: &mut Model, now_ns: u64) -> Vec<Effect> {
    update(model, Message::Tick { now_ns })
}

fn press(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    update(model, Message::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn keys(model: &mut Model, keys: &str) -> Vec<Effect> {
    keys.chars().flat_map(|key| press(model, KeyCode::Char(key))).collect()
}

fn lost(model: &mut Model) {
    update(model, Message::Disconnected { reason: "server went away".to_owned() });
}

fn done(model: &mut Model, action: Action) {
    let command = String::new();
    update(model, Message::Done { action: Box::new(action), command, result: Ok(()), took_ns: 3_000_000 });
}

fn set(name: &str, if_current: Option<&str>) -> Action {
    Action::SetBalancer { name: name.to_owned(), if_current: if_current.map(str::to_owned) }
}

fn acts(effects: &[Effect]) -> Vec<&Action> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Act(action) => Some(action.as_ref()),
            _ => None,
        })
        .collect()
}

fn toast(model: &Model) -> &str {
    model.toast.as_ref().map_or("", |toast| &toast.text)
}

#[test]
fn the_first_tick_connects_once() {
    let mut model = fresh();
    assert_eq!(tick(&mut model, 0), [Effect::Connect]);
    assert_eq!(tick(&mut model, 100_000_000), []);
    assert_eq!(model.health(), Health::Connecting);
}

#[test]
fn a_connection_asks_for_events_and_figures() {
    let mut model = fresh();
    tick(&mut model, 0);
    let server = ServerInfo { last_event_seq: 1_000, ..fixture::server() };
    let effects = update(&mut model, Message::Connected(Box::new(server)));
    assert_eq!(effects, [Effect::Subscribe { after_seq: 744 }, Effect::Poll]);
}

#[test]
fn figures_are_asked_for_four_times_a_second_and_one_at_a_time() {
    let mut model = fresh();
    tick(&mut model, 0);
    update(&mut model, Message::Connected(Box::new(fixture::server())));
    assert_eq!(tick(&mut model, 300_000_000), [], "the first is not answered yet");
    update(&mut model, Message::Snapshot(Box::new(fixture::snapshot(0))));
    assert_eq!(tick(&mut model, 300_000_000), [Effect::Poll]);
    update(&mut model, Message::Snapshot(Box::new(fixture::snapshot(1))));
    assert_eq!(tick(&mut model, 500_000_000), []);
    assert_eq!(tick(&mut model, 550_000_000), [Effect::Poll]);
}

#[test]
fn a_server_that_is_silent_for_a_second_is_stale_and_live_again_once_heard() {
    let mut model = live();
    tick(&mut model, END_NS + 999_000_000);
    assert!(matches!(model.health(), Health::Live(_)));
    model.dirty = false;
    tick(&mut model, END_NS + 1_000_000_000);
    assert_eq!(model.health(), Health::Stale(1_000_000_000));
    assert!(model.dirty);
    update(&mut model, Message::Snapshot(Box::new(fixture::snapshot(STEPS + 4))));
    assert_eq!(model.health(), Health::Live(0));
}

#[test]
fn the_age_of_a_silent_server_counts_on_the_screen() {
    let mut model = live();
    tick(&mut model, END_NS + 2_000_000_000);
    model.dirty = false;
    tick(&mut model, END_NS + 2_050_000_000);
    assert!(!model.dirty, "no tenth of a second has passed");
    tick(&mut model, END_NS + 2_100_000_000);
    assert!(model.dirty);
}

#[test]
fn retries_back_off_from_a_quarter_to_two_seconds() {
    let mut model = live();
    let mut now_ns = model.now_ns;
    let mut waits = Vec::new();
    for _ in 0..7 {
        lost(&mut model);
        let Link::Waiting { retry_ns, .. } = model.link else { panic!("{:?}", model.link) };
        waits.push((retry_ns - now_ns) / 1_000_000);
        assert_eq!(tick(&mut model, retry_ns - 1), []);
        assert_eq!(tick(&mut model, retry_ns), [Effect::Connect]);
        now_ns = retry_ns;
    }
    assert_eq!(waits, [250, 250, 500, 1_000, 2_000, 2_000, 2_000]);
    assert_eq!(model.health(), Health::Retry(0, 7));
}

#[test]
fn figures_end_the_back_off_but_a_connection_alone_does_not() {
    let mut model = live();
    for _ in 0..4 {
        lost(&mut model);
        let at_ns = model.now_ns + 2_000_000_000;
        tick(&mut model, at_ns);
    }
    update(&mut model, Message::Connected(Box::new(fixture::server())));
    assert!(matches!(model.link, Link::Up { failed: 4, .. }), "{:?}", model.link);
    update(&mut model, Message::Snapshot(Box::new(fixture::snapshot(STEPS))));
    assert!(matches!(model.link, Link::Up { failed: 0, .. }));
}

#[test]
fn a_new_epoch_clears_every_table_and_says_so() {
    let mut model = live();
    press(&mut model, KeyCode::Enter);
    keys(&mut model, "a");
    lost(&mut model);
    let server = ServerInfo { epoch: 0x81bc, last_event_seq: 2, ..fixture::server() };
    let effects = update(&mut model, Message::Connected(Box::new(server)));
    assert_eq!(effects, [Effect::Subscribe { after_seq: 0 }, Effect::Poll]);
    assert!(model.data.devices().is_empty() && model.data.sessions().is_empty());
    assert_eq!(model.log.len(), 1);
    assert_eq!(toast(&model), "server restarted: epoch 7f3a → 81bc");
    assert_eq!((model.page, model.dialog.is_none()), (Page::Main, true));
}

#[test]
fn the_same_epoch_keeps_the_tables_and_asks_for_the_events_since() {
    let mut model = live();
    lost(&mut model);
    let effects = update(&mut model, Message::Connected(Box::new(fixture::server())));
    assert_eq!(effects, [Effect::Subscribe { after_seq: 5 }, Effect::Poll]);
    assert_eq!(model.data.devices().len(), 6);
}

#[test]
fn figures_of_another_epoch_are_never_mixed_in() {
    let mut model = live();
    let mut snapshot = fixture::snapshot(3);
    snapshot.server.epoch = 0x81bc;
    update(&mut model, Message::Snapshot(Box::new(snapshot)));
    assert_eq!(model.data.runtime.completed.per_second(), 0.0);
    assert!(toast(&model).starts_with("server restarted"));
}

#[test]
fn lost_events_are_said() {
    let mut model = live();
    update(&mut model, Message::EventsLost { events: 12 });
    assert_eq!(model.log.newest_first().next().map(|line| line.text()).as_deref(), Some("12 events lost"));
}

#[test]
fn the_selection_follows_its_device_through_another_order() {
    let mut model = live();
    press(&mut model, KeyCode::Char('G'));
    let chosen = model.device_cursor.key();
    assert_eq!(model.device_cursor.index(), 5);
    keys(&mut model, "S");
    assert_eq!((model.device_cursor.key(), model.device_cursor.index()), (chosen, 0));
    let mut snapshot = fixture::snapshot(STEPS + 1);
    snapshot.devices.rotate_left(2);
    update(&mut model, Message::Snapshot(Box::new(snapshot)));
    assert_eq!(model.device_cursor.key(), chosen);
}

#[test]
fn the_picker_applies_and_undo_reverts() {
    let mut model = live();
    let effects = keys(&mut model, "b");
    assert_eq!(effects, [Effect::EqualCommand(Box::new(set("simple_lb", None)))]);
    press(&mut model, KeyCode::Down);
    let effects = press(&mut model, KeyCode::Enter);
    assert_eq!(acts(&effects), [&set("round_robin_lb", None)]);
    assert!(model.dialog.is_none());
    assert!(keys(&mut model, "u").is_empty(), "nothing to undo before it is done");
    keys(&mut model, "bj");
    press(&mut model, KeyCode::Enter);
    done(&mut model, set("round_robin_lb", None));
    assert_eq!(toast(&model), "balancer set to round_robin_lb in 3.0ms");
    let effects = keys(&mut model, "u");
    assert_eq!(acts(&effects), [&set("simple_lb", Some("round_robin_lb"))]);
    done(&mut model, set("simple_lb", Some("round_robin_lb")));
    assert!(model.undo.is_none());
}

#[test]
fn escape_leaves_the_picker_and_changes_nothing() {
    let mut model = live();
    keys(&mut model, "bj");
    assert_eq!(press(&mut model, KeyCode::Esc), []);
    assert!(model.dialog.is_none() && model.undo_next.is_none());
}

#[test]
fn an_objection_is_shown_and_nothing_can_be_undone() {
    let mut model = live();
    keys(&mut model, "bj");
    press(&mut model, KeyCode::Enter);
    let action = Box::new(set("round_robin_lb", None));
    let result = Err("balancer 'round_robin_lb' not found".to_owned());
    update(&mut model, Message::Done { action, command: String::new(), result, took_ns: 0 });
    assert_eq!(toast(&model), "setting balancer to round_robin_lb: balancer 'round_robin_lb' not found");
    assert_eq!(model.toast.as_ref().map(|toast| toast.tone), Some(Tone::Bad));
    assert!(model.undo.is_none());
}

#[test]
fn breaking_a_device_asks_first_with_the_focus_on_cancel() {
    let mut model = live();
    keys(&mut model, "ab");
    let Some(Dialog::Confirm(confirm)) = &model.dialog else { panic!("{:?}", model.dialog) };
    assert!(!confirm.on_apply);
    assert!(confirm.lines.iter().any(|line| line == "22 queued: back to the main queue"));
    assert!(confirm.lines.iter().any(|line| line == "128 in flight: retried elsewhere, or end as broken"));
    assert!(confirm.lines.iter().any(|line| line == "usable devices left: soft0 soft1 accel1"));
    assert_eq!(press(&mut model, KeyCode::Enter), [], "Enter on Cancel cancels");
    assert!(model.dialog.is_none());
    keys(&mut model, "ab");
    press(&mut model, KeyCode::Tab);
    let effects = press(&mut model, KeyCode::Enter);
    assert_eq!(acts(&effects), [&Action::BreakDevice { name: "accel0".to_owned(), fault: None }]);
}

#[test]
fn sessions_bound_to_the_device_are_counted() {
    let mut model = live();
    press(&mut model, KeyCode::Down);
    keys(&mut model, "ad");
    let Some(Dialog::Confirm(confirm)) = &model.dialog else { panic!("{:?}", model.dialog) };
    assert_eq!(confirm.title, "remove accel1 ?");
    assert!(confirm.lines.iter().any(|line| line == "1 session bound to it: without a device"));
}

#[test]
fn repairing_asks_nothing() {
    let mut model = live();
    let effects = keys(&mut model, "ar");
    assert_eq!(acts(&effects), [&Action::RepairDevice { name: "accel0".to_owned() }]);
}

#[test]
fn the_last_usable_device_must_be_named_before_it_is_removed() {
    let mut model = live();
    let mut snapshot = fixture::snapshot(STEPS + 1);
    for device in snapshot.devices.iter_mut().filter(|device| device.name != "soft0") {
        device.state = DeviceState::Broken;
    }
    update(&mut model, Message::Snapshot(Box::new(snapshot)));
    press(&mut model, KeyCode::Char('G'));
    press(&mut model, KeyCode::Up);
    keys(&mut model, "ad");
    press(&mut model, KeyCode::Tab);
    assert_eq!(press(&mut model, KeyCode::Enter), [], "not named yet");
    assert!(keys(&mut model, "soft").is_empty(), "letters are text here");
    keys(&mut model, "1");
    press(&mut model, KeyCode::Backspace);
    keys(&mut model, "0");
    let effects = press(&mut model, KeyCode::Enter);
    assert_eq!(acts(&effects), [&Action::RemoveDevice { name: "soft0".to_owned() }]);
}

#[test]
fn locked_means_that_nothing_is_sent() {
    let mut model = live();
    keys(&mut model, "L");
    for key in ["b", "a", "u"] {
        assert!(keys(&mut model, key).is_empty());
        assert_eq!((model.dialog.is_none(), toast(&model)), (true, "changes are locked; L unlocks"));
    }
    keys(&mut model, "L");
    keys(&mut model, "b");
    assert!(model.dialog.is_some());
}

#[test]
fn read_only_cannot_be_unlocked() {
    let options = Options { read_only: true, ..Options::default() };
    let mut model = Model::new(&options, "embedded".to_owned(), (120, 36));
    keys(&mut model, "L");
    assert!(model.locked);
    assert_eq!(toast(&model), "read-only: started with --read-only");
}

#[test]
fn a_connection_that_may_only_look_is_told_before_anything_is_sent() {
    let mut model = live();
    let mut snapshot = fixture::snapshot(STEPS + 1);
    snapshot.server.role = Class::Use;
    update(&mut model, Message::Snapshot(Box::new(snapshot)));
    assert!(keys(&mut model, "b").is_empty());
    assert!(toast(&model).starts_with("this connection may only look"));
}

#[test]
fn the_load_key_belongs_to_the_demo() {
    let mut model = live();
    assert!(keys(&mut model, "o").is_empty());
    assert_eq!(toast(&model), "load belongs to the server: use acrypto load");
    let load = LoadInfo {
        id: 1,
        algorithm: "aes-128-ctr".to_owned(),
        size_bytes: 512,
        clients: 4,
        rate_ops_per_s: 9_000,
        ..LoadInfo::default()
    };
    let mut snapshot = fixture::snapshot(STEPS + 1);
    snapshot.server.scenario = "DEMO".to_owned();
    snapshot.loads = vec![load];
    update(&mut model, Message::Snapshot(Box::new(snapshot.clone())));
    assert_eq!(acts(&keys(&mut model, "o")), [&Action::StopLoads]);
    snapshot.loads.clear();
    update(&mut model, Message::Snapshot(Box::new(snapshot)));
    let spec = LoadSpec {
        algorithm: "aes-128-ctr".to_owned(),
        size_bytes: 512,
        clients: 4,
        rate_ops_per_s: 9_000,
        for_ns: 0,
    };
    assert_eq!(acts(&keys(&mut model, "o")), [&Action::StartLoad { spec }], "the load that was seen before");
}

#[test]
fn a_frozen_view_stands_still_while_figures_go_on_coming() {
    let mut model = live();
    keys(&mut model, " ");
    let shown = model.shown().snapshot.as_ref().map(|snapshot| snapshot.taken_ns);
    update(&mut model, Message::Snapshot(Box::new(fixture::snapshot(STEPS + 1))));
    assert_eq!(model.shown().snapshot.as_ref().map(|snapshot| snapshot.taken_ns), shown);
    assert_eq!(model.frozen.as_ref().map(|frozen| frozen.missed), Some(1));
    assert_ne!(model.data.snapshot.as_ref().map(|snapshot| snapshot.taken_ns), shown);
    keys(&mut model, " ");
    assert!(model.frozen.is_none());
}

#[test]
fn escape_backs_out_one_step_at_a_time() {
    let mut model = live();
    keys(&mut model, " z");
    press(&mut model, KeyCode::Enter);
    keys(&mut model, "?");
    press(&mut model, KeyCode::Esc);
    assert!(model.dialog.is_none() && matches!(model.page, Page::Device(_)));
    press(&mut model, KeyCode::Esc);
    assert!(model.page == Page::Main && model.zoomed);
    press(&mut model, KeyCode::Esc);
    assert!(!model.zoomed && model.frozen.is_some());
    press(&mut model, KeyCode::Esc);
    assert!(model.frozen.is_none());
}

#[test]
fn tab_visits_every_panel_that_is_there() {
    let mut model = live();
    let mut visited = Vec::new();
    for _ in 0..7 {
        press(&mut model, KeyCode::Tab);
        visited.push(model.focus as u32);
    }
    assert_eq!(visited, [4, 5, 6, 7, 1, 2, 3]);
    update(&mut model, Message::Resize { columns: 60, rows: 16 });
    press(&mut model, KeyCode::Tab);
    assert_eq!(model.focus, Panel::Sessions, "the charts do not fit here");
}

#[test]
fn enter_on_an_event_goes_to_its_device() {
    let mut model = live();
    press(&mut model, KeyCode::Char('7'));
    press(&mut model, KeyCode::Enter);
    assert_eq!(model.focus, Panel::Devices);
    let chosen = model.device_cursor.key().and_then(|id| model.data.device(id));
    assert_eq!(chosen.map(|device| device.name.as_str()), Some("accel1"));
}

#[test]
fn a_message_goes_after_a_while() {
    let mut model = live();
    keys(&mut model, "L");
    assert!(model.toast.is_some());
    let at_ns = model.now_ns + 6_000_000_000;
    tick(&mut model, at_ns);
    assert!(model.toast.is_none());
}

#[test]
fn the_window_has_a_shortest_and_a_longest() {
    let mut model = live();
    keys(&mut model, "++++++++");
    assert_eq!(model.window_ns(), 15_000_000_000);
    keys(&mut model, "----------");
    assert_eq!(model.window_ns(), 600_000_000_000);
    keys(&mut model, "=");
    assert_eq!(model.window_ns(), 60_000_000_000);
}

#[test]
fn a_click_focuses_and_selects() {
    let mut model = live();
    let event = MouseEvent {
        kind: MouseEventKind::Down(MouseButton::Left),
        column: 10,
        row: 11,
        modifiers: KeyModifiers::NONE,
    };
    press(&mut model, KeyCode::Char('7'));
    update(&mut model, Message::Mouse(event));
    assert_eq!((model.focus, model.device_cursor.index()), (Panel::Devices, 2));
}

#[test]
fn quit_suspend_and_redraw_work_from_anywhere() {
    let control = |model: &mut Model, key| {
        update(model, Message::Key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::CONTROL)))
    };
    for opener in ["", "b", "ab", "?"] {
        let mut model = live();
        keys(&mut model, opener);
        assert_eq!(control(&mut model, 'z'), [Effect::Suspend]);
        assert_eq!(control(&mut model, 'l'), [Effect::Redraw]);
        assert_eq!(control(&mut model, 'c'), [Effect::Quit]);
        assert_eq!(update(&mut model, Message::Terminate), [Effect::Quit]);
    }
    assert_eq!(keys(&mut live(), "q"), [Effect::Quit]);
}
