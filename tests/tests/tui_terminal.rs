//! The workbench on a real terminal: what it shows of real servers, and how it leaves the terminal behind.

use std::sync::Arc;

use acrypto_netlink::{Client, Error as NetlinkError};
use acrypto_tests::tmux::Terminal;
use acrypto_tests::{Daemon, Scratch, binary};
use acrypto_tui::{Action, Commands, Connect, Options};
use rustix::process::{Pid, Signal, kill_process};

/// The first line of the screen.
fn header(screen: &str) -> &str {
    screen.lines().next().unwrap_or_default()
}

/// The age that follows `word` in the header, in tenths of a second.
fn age(screen: &str, word: &str) -> Option<u32> {
    let rest = header(screen).split_once(word)?.1;
    rest.split_whitespace().next()?.trim_end_matches('s').replace('.', "").parse().ok()
}

fn pid(scratch: &Scratch) -> Pid {
    let text = String::from_utf8(scratch.read("pid")).expect("a process id is text");
    Pid::from_raw(text.trim().parse().expect("a process id is a number")).expect("it is positive")
}

fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id is positive");
    kill_process(pid, signal).expect("the signal can be sent");
}

/// Opens the workbench and waits until it is live.
fn open(terminal: &mut Terminal, arguments: &str) {
    terminal.line("stty -g > before");
    terminal.line(&format!(
        "clear; sh -c 'echo $$ > pid; exec {} {arguments}'; echo ended:$?; stty -g > after; echo compared",
        binary().display()
    ));
    terminal.wait_for_text("● LIVE");
}

/// Waits until the workbench is gone, and looks at what it left.
#[track_caller]
fn left_as_it_was(terminal: &mut Terminal, scratch: &Scratch, code: i32) {
    terminal.wait_for_text(&format!("ended:{code}"));
    terminal.wait_for_text("compared");
    assert_eq!(terminal.modes(), (false, true), "the screen is the shell's, with a cursor");
    assert_eq!(scratch.read("before"), scratch.read("after"), "the line discipline is as before");
}

#[test]
fn the_demo_shows_moving_figures_switches_its_balancer_and_quits() {
    let scratch = Scratch::new();
    let Some(mut terminal) = Terminal::open(&scratch, 120, 36) else { return };
    open(&mut terminal, "tui --connect embedded");
    let screen =
        terminal.wait_for("the load", |screen| screen.contains("op/s") && screen.contains("encrypt "));
    assert!(header(&screen).contains("DEMO"), "{screen}");
    for panel in
        ["¹ main queue", "² balancer", "³ devices", "⁴ throughput", "⁵ latency", "⁶ sessions", "⁷ events"]
    {
        assert!(screen.contains(panel), "{panel}:\n{screen}");
    }
    terminal.press(&["b"]);
    terminal.wait_for_text("balancer: switch");
    terminal.press(&["Down"]);
    terminal.wait_for_text("= acrypto lb set round_robin_lb");
    terminal.press(&["Enter"]);
    terminal.wait_for_text("✓ balancer set to round_robin_lb");
    terminal.wait_for_text("lb simple_lb → round_robin_lb");
    terminal.press(&["u"]);
    terminal.wait_for_text("lb round_robin_lb → simple_lb");
    terminal.press(&["q"]);
    left_as_it_was(&mut terminal, &scratch, 0);
}

#[test]
fn a_device_is_broken_and_repaired_by_keys_at_80x24() {
    let scratch = Scratch::new();
    let Some(mut terminal) = Terminal::open(&scratch, 80, 24) else { return };
    open(&mut terminal, "tui --connect embedded");
    terminal.wait_for_text("▸");
    terminal.press(&["a"]);
    terminal.wait_for_text("break, by hand");
    terminal.press(&["b"]);
    terminal.wait_for_text("[ Cancel ]");
    terminal.press(&["Tab", "Enter"]);
    terminal.wait_for_text("BROKEN");
    terminal.press(&["a", "r"]);
    terminal.wait_for("the repair", |screen| !screen.contains("BROKEN"));
    terminal.press(&["o"]);
    terminal.wait_for_text("o load on");
    terminal.press(&["o"]);
    terminal.wait_for_text("o load off");
    terminal.resize(59, 24);
    terminal.wait_for_text("too small: have 59x24, need 60x16");
    terminal.resize(80, 24);
    terminal.press(&["q"]);
    left_as_it_was(&mut terminal, &scratch, 0);
}

#[test]
fn a_daemon_is_stale_when_stopped_and_retried_when_killed() {
    let mut daemon = Daemon::start();
    let Some(mut terminal) = Terminal::open(&daemon.scratch, 120, 36) else { return };
    open(&mut terminal, "tui --connect unix:control.sock");
    terminal.wait_for_text("soft0");

    send(daemon.pid(), Signal::STOP);
    let screen = terminal.wait_for_text("◐ STALE");
    assert!(age(&screen, "STALE").is_some_and(|tenths| (10..20).contains(&tenths)), "{}", header(&screen));
    terminal.wait_for("counting", |screen| age(screen, "STALE").is_some_and(|tenths| tenths >= 20));
    send(daemon.pid(), Signal::CONT);
    terminal.wait_for_text("● LIVE");

    let first = epoch(&terminal.screen());
    daemon.kill();
    let screen = terminal.wait_for_text("○ RETRY");
    assert!(screen.contains("soft0"), "the last figures stay, dim");
    let daemon = Daemon::start_in(daemon.into_scratch());
    let screen = terminal.wait_for_text("server restarted");
    assert!(!screen.contains("○ RETRY"), "{screen}");
    let screen = terminal.wait_for("both", |screen| screen.contains("● LIVE") && screen.contains("soft0"));
    assert_ne!(epoch(&screen), first);
    terminal.press(&["q"]);
    left_as_it_was(&mut terminal, &daemon.scratch, 0);
}

fn epoch(screen: &str) -> Option<String> {
    header(screen).split_once("epoch ")?.1.split_whitespace().next().map(str::to_owned)
}

#[test]
fn a_signal_ends_the_workbench_and_the_terminal_is_as_before() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let scratch = Scratch::new();
        let Some(mut terminal) = Terminal::open(&scratch, 80, 24) else { return };
        open(&mut terminal, "tui --connect embedded");
        kill_process(pid(&scratch), signal).unwrap();
        left_as_it_was(&mut terminal, &scratch, 0);
    }
}

#[test]
fn control_z_gives_the_shell_back_and_fg_the_workbench() {
    let scratch = Scratch::new();
    let Some(mut terminal) = Terminal::open(&scratch, 80, 24) else { return };
    terminal.line(&format!("clear; {} tui --connect embedded", binary().display()));
    terminal.wait_for_text("● LIVE");
    terminal.press(&["C-z"]);
    terminal.wait_for("the shell", |screen| screen.contains("Stopped") && screen.contains("ready>"));
    assert_eq!(terminal.modes(), (false, true));
    terminal.line("clear; fg");
    terminal.wait_for_text("● LIVE");
    assert_eq!(terminal.modes(), (true, false));
    terminal.press(&["q"]);
    terminal.wait_for("the shell", |screen| screen.contains("ready>") && !screen.contains("LIVE"));
}

#[test]
fn without_a_terminal_it_says_so() {
    let scratch = Scratch::new();
    let ended = scratch.run("tui --connect embedded");
    assert!(ended.stderr.contains("no terminal on standard"), "{}", ended.stderr);
    assert_eq!(ended.code, 2);
}

struct Panicking;

impl Connect for Panicking {
    fn connect(&self) -> std::pin::Pin<Box<dyn Future<Output = Result<Client, NetlinkError>> + Send + '_>> {
        Box::pin(async { panic!("a bug within the workbench") })
    }

    fn address(&self) -> String {
        "nowhere".to_owned()
    }
}

struct NoCommands;

impl Commands for NoCommands {
    fn equal_command(&self, _: &Action) -> String {
        String::new()
    }
}

/// Not a test by itself: the test below runs it in a terminal.
#[test]
#[ignore = "needs a terminal"]
fn panics_in_the_workbench() {
    let ended = acrypto_tui::run(Options::default(), Arc::new(Panicking), &NoCommands);
    assert!(matches!(ended, Err(acrypto_tui::Error::Panicked)), "{ended:?}");
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_is_reported() {
    let scratch = Scratch::new();
    let Some(mut terminal) = Terminal::open(&scratch, 120, 36) else { return };
    let test = std::env::current_exe().unwrap();
    terminal.line("stty -g > before");
    terminal.line(&format!(
        "clear; RUST_BACKTRACE=0 {} --ignored --exact --nocapture panics_in_the_workbench; echo ended:$?; stty -g > after; echo compared",
        test.display()
    ));
    left_as_it_was(&mut terminal, &scratch, 0);
    assert!(terminal.screen().contains("a bug within the workbench"), "{}", terminal.screen());
}
