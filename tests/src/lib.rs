//! Fixtures of the tests that run the real binary: where it is, a scratch directory, a daemon that surely listens.

pub mod tmux;

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// Longest wait for something that must come. Nothing is measured by it; it turns a hang into a failure.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// Path of the binary `acrypto`, built by the profile of this test. ACRYPTO_BIN names another one.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("ACRYPTO_BIN") {
        Some(path) => path.into(),
        None => build(),
    })
}

/// Builds the binary beside this test: `cargo test` alone does not build the binaries of other packages.
fn build() -> PathBuf {
    let test = std::env::current_exe().expect("the test knows its own path");
    // TARGET/PROFILE/deps/TEST
    let profile = test.ancestors().nth(2).expect("the test lies in a target directory");
    let target = profile.parent().expect("the profile lies in a target directory");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--workspace", "--bin", "acrypto", "--target-dir"]).arg(target);
    if profile.file_name() != Some(OsStr::new("debug")) {
        command.arg("--profile").arg(profile.file_name().unwrap_or_default());
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("Cargo.toml");
    let status = command.arg("--manifest-path").arg(manifest).status().expect("cargo starts");
    assert!(status.success(), "cannot build the binary");
    profile.join("acrypto")
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl Ended {
    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output as the data of one JSON envelope.
    pub fn data(&self) -> Value {
        let mut envelope: Value = serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON: {error}: {:?} {}", self.text(), self.stderr));
        assert_eq!(envelope["schema"], 1);
        envelope["data"].take()
    }

    /// Fails unless the command ended with this code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {:?}\nstderr: {}", self.text(), self.stderr);
        self
    }
}

/// A scratch directory, and commands that run in it.
#[derive(Debug)]
pub struct Scratch {
    directory: TempDir,
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Scratch {
    /// An empty directory.
    pub fn new() -> Self {
        Self { directory: TempDir::new().expect("a scratch directory can be made") }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, content).expect("a scratch file can be written");
        path
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Names in the directory, sorted; temporary files would show here.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).expect("the scratch directory can be read");
        let mut names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// `acrypto` in this directory, far from any daemon of this machine.
    pub fn acrypto<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .current_dir(self.path())
            .env_remove("ACRYPTO_CONNECT")
            .env_remove("NOTIFY_SOCKET")
            .env("XDG_RUNTIME_DIR", self.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs a line of words to its end.
    #[track_caller]
    pub fn run(&self, line: &str) -> Ended {
        ended(self.acrypto(line.split_whitespace()))
    }

    /// Runs a line of words to its end, with this on standard input.
    pub fn run_with_input(&self, line: &str, input: &[u8]) -> Ended {
        let mut command = self.acrypto(line.split_whitespace());
        let mut child = piped(&mut command).stdin(Stdio::piped()).spawn().expect("the command starts");
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        std::thread::scope(|scope| {
            // The command may end without reading everything.
            scope.spawn(move || drop(stdin.write_all(input)));
            wait(child)
        })
    }
}

/// Runs a command to its end.
pub fn ended(mut command: Command) -> Ended {
    wait(piped(&mut command).spawn().expect("the command starts"))
}

/// A command whose output is caught.
pub fn piped(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::piped()).stderr(Stdio::piped())
}

/// Waits for a child and takes what it wrote.
pub fn wait(child: Child) -> Ended {
    let output = child.wait_with_output().expect("the command can be waited for");
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Bytes that look like nothing in particular, the same each time.
pub fn bytes(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Runs a program of the system to compare with; `None` if it is missing and ACRYPTO_REQUIRE_PEERS is not set.
pub fn peer(program: &str, arguments: &[&str], directory: &Path) -> Option<Vec<u8>> {
    match Command::new(program).args(arguments).current_dir(directory).output() {
        Ok(output) => {
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
            Some(output.stdout)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            skip(&format!("{program} is not installed"));
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

/// Says why a test is not carried out; fails if ACRYPTO_REQUIRE_PEERS is set.
pub fn skip(why: &str) {
    let required = std::env::var_os("ACRYPTO_REQUIRE_PEERS").is_some_and(|value| value == "1");
    assert!(!required, "{why}");
    note(&format!("skipped: {why}"));
}

/// Whether a program of the system can be run and ends well.
pub fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let quiet = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet(Command::new(program).args(arguments)).is_ok_and(|status| status.success())
}

/// Tells whoever reads the log of the tests.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A running daemon; killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    /// Where it runs.
    pub scratch: Scratch,
    child: Child,
}

impl Daemon {
    /// Starts a daemon in a scratch directory of its own and waits until it listens.
    pub fn start() -> Self {
        Self::start_in(Scratch::new())
    }

    /// Starts a daemon in this directory and waits until it listens.
    pub fn start_in(scratch: Scratch) -> Self {
        Self::start_with(scratch, &[])
    }

    /// The same with more arguments.
    pub fn start_with(scratch: Scratch, arguments: &[&str]) -> Self {
        let notify = scratch.file("notify");
        let _ = fs::remove_file(&notify);
        let manager = UnixDatagram::bind(&notify).expect("a notify socket can be bound");
        manager.set_read_timeout(Some(WAIT_MAX)).expect("a time-out can be set");
        let mut command = scratch.acrypto(["daemon", "--listen", "unix:control.sock"]);
        command.args(arguments);
        let child =
            command.env("NOTIFY_SOCKET", &notify).stderr(Stdio::null()).spawn().expect("the daemon starts");
        let mut buffer = [0; 64];
        let length = manager.recv(&mut buffer).expect("the daemon says that it is ready");
        assert_eq!(&buffer[..length], b"READY=1");
        Self { scratch, child }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `acrypto` connected to this daemon.
    pub fn acrypto(&self, line: &str) -> Command {
        let mut command = self.scratch.acrypto(line.split_whitespace());
        command.env("ACRYPTO_CONNECT", "unix:control.sock");
        command
    }

    /// Runs a line of words against this daemon.
    #[track_caller]
    pub fn run(&self, line: &str) -> Ended {
        ended(self.acrypto(line))
    }

    /// Runs a line of words that must succeed, and gives its data.
    #[track_caller]
    pub fn data(&self, line: &str) -> Value {
        self.run(&format!("{line} --json")).expect_code(0).data()
    }

    /// Kills it without a chance to clean up.
    pub fn kill(&mut self) {
        self.child.kill().expect("the daemon can be killed");
        self.child.wait().expect("the daemon can be waited for");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        signal_to(&self.child, signal);
    }

    /// Sends a signal and waits for its end.
    pub fn end_by(&mut self, signal: rustix::process::Signal) -> i32 {
        signal_to(&self.child, signal);
        self.wait()
    }

    /// Waits for its end; its exit code.
    pub fn wait(&mut self) -> i32 {
        self.child.wait().expect("the daemon can be waited for").code().unwrap_or(-1)
    }

    /// The scratch directory, once the daemon is gone.
    pub fn into_scratch(mut self) -> Scratch {
        self.end();
        std::mem::take(&mut self.scratch)
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sends a signal to a child.
pub fn signal_to(child: &Child, signal: rustix::process::Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.expect("a process id is positive"), signal)
        .expect("the signal can be sent");
}

/// A command that prints one JSON object a line while it runs; killed when dropped.
#[derive(Debug)]
pub struct Feed {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Feed {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the command starts");
        let lines = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        Self { child, lines }
    }
}

impl Iterator for Feed {
    type Item = Value;

    /// Data of the next line; `None` at the end.
    fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(serde_json::from_str::<Value>(&line).expect("a line is JSON")["data"].take()),
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.lines.read_to_end(&mut Vec::new());
    }
}
