//! A terminal to run the workbench in: tmux, watched through its control mode instead of by the clock.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use crate::{Scratch, WAIT_MAX, ended, peer};

/// Most changes of the screen that are looked at before a wait is given up; the workbench makes ten a second.
const CHANGES_MAX: usize = 1_200;
/// Changes that are remembered until they are looked at: more would say nothing more.
const CHANGES_KEPT: usize = 1;

/// A terminal with a shell in it; ended when dropped.
#[derive(Debug)]
pub struct Terminal {
    socket: PathBuf,
    control: Child,
    /// Its end would end the control client.
    _stdin: ChildStdin,
    changes: Receiver<()>,
}

impl Terminal {
    /// Opens a terminal of this size whose shell runs in the scratch directory, far from any daemon of this machine.
    /// `None` when tmux is missing and ACRYPTO_REQUIRE_PEERS is not set.
    pub fn open(scratch: &Scratch, columns: u16, rows: u16) -> Option<Self> {
        peer("tmux", &["-V"], scratch.path())?;
        let socket = scratch.file("tmux.sock");
        let mut command = tmux(&socket);
        command
            .args(["-C", "new-session", "-x", &columns.to_string(), "-y", &rows.to_string()])
            .args(["-s", "main", "env", "-u", "ACRYPTO_CONNECT", "-u", "NO_COLOR", "-u", "ENV"])
            .arg(format!("XDG_RUNTIME_DIR={}", scratch.path().display()))
            .args(["PS1=ready> ", "sh", "-i"])
            .current_dir(scratch.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut control = command.spawn().expect("tmux starts");
        let stdin = control.stdin.take().expect("standard input is a pipe");
        let lines = BufReader::new(control.stdout.take().expect("standard output is a pipe"));
        let (sender, changes) = sync_channel(CHANGES_KEPT);
        thread::spawn(move || {
            for _ in lines.split(b'\n').map_while(Result::ok) {
                // A full channel says already that something changed.
                let _ = sender.try_send(());
            }
        });
        let mut terminal = Self { socket, control, _stdin: stdin, changes };
        terminal.wait_for("the shell", |screen| screen.contains("ready>"));
        // Everything ends with the control client, whatever became of the socket until then.
        terminal.tell(&["set-option", "-g", "destroy-unattached", "on"]);
        terminal.resize(columns, rows);
        Some(terminal)
    }

    /// Makes the terminal another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.tell(&["resize-window", "-t", "main", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// Presses keys, by tmux's names.
    pub fn press(&self, keys: &[&str]) {
        let mut arguments = vec!["send-keys", "-t", "main"];
        arguments.extend_from_slice(keys);
        self.tell(&arguments);
    }

    /// Types a line and Enter.
    pub fn line(&self, line: &str) {
        self.tell(&["send-keys", "-t", "main", "-l", line]);
        self.press(&["Enter"]);
    }

    /// What is on the screen; nothing before there is one.
    pub fn screen(&self) -> String {
        let mut command = tmux(&self.socket);
        command.args(["capture-pane", "-p", "-t", "main"]);
        ended(command).text()
    }

    /// Whether a program has the alternate screen, and whether the cursor is shown.
    pub fn modes(&self) -> (bool, bool) {
        let modes = self.tell(&["display-message", "-p", "-t", "main", "#{alternate_on}#{cursor_flag}"]);
        let mut flags = modes.trim().chars().map(|flag| flag == '1');
        (flags.next().unwrap_or_default(), flags.next().unwrap_or_default())
    }

    /// Waits until the screen is as wanted, looking at it whenever it changes; gives it back.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        for _ in 0..CHANGES_MAX {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            if self.changes.recv_timeout(WAIT_MAX).is_err() {
                break;
            }
        }
        panic!("{what} did not come:\n{}", self.screen());
    }

    /// Waits until this text is on the screen.
    #[track_caller]
    pub fn wait_for_text(&mut self, text: &str) -> String {
        self.wait_for(text, |screen| screen.contains(text))
    }

    fn tell(&self, arguments: &[&str]) -> String {
        let mut command = tmux(&self.socket);
        command.args(arguments);
        ended(command).expect_code(0).text()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.control.kill();
        let _ = self.control.wait();
    }
}

fn tmux(socket: &PathBuf) -> Command {
    let mut command = Command::new("tmux");
    command.arg("-u").arg("-S").arg(socket).args(["-f", "/dev/null"]).env_remove("TMUX");
    command
}
