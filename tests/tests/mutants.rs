//! The tests that hold the invariants can fail. Each patch in `tests/mutants` breaks one invariant in a copy of the sources,
//! and the tests that its header names must turn red there.
//!
//! A patch begins with two lines: `# test: ` and the arguments of `cargo test`, `# invariant: ` and what it breaks.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// Longest wait for a build or for the tests named. A mutant that hangs looks like a slow machine, hence is not red.
const WAIT_MAX: Duration = Duration::from_secs(900);

/// One patch.
struct Mutant {
    name: String,
    path: PathBuf,
    /// What `cargo test` is to run.
    selection: Vec<String>,
}

impl Mutant {
    fn read(path: PathBuf) -> Self {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        let test = lines.next().and_then(|line| line.strip_prefix("# test: "));
        let selection = test.unwrap_or_else(|| panic!("{name}: the first line is not '# test: ...'"));
        let invariant = lines.next().and_then(|line| line.strip_prefix("# invariant: "));
        let number = name.split('-').next().unwrap().to_uppercase();
        assert!(
            invariant.is_some_and(|text| text.starts_with(&format!("{number} "))),
            "{name}: the second line is not '# invariant: {number} ...'"
        );
        let selection = selection.split_whitespace().map(str::to_owned).collect();
        Self { name, path, selection }
    }

    /// Every patch there is, by name.
    fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mutants");
        let mut paths: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.into_iter().map(Self::read).collect()
    }
}

/// A copy of the workspace and a target directory for it, in the target directory of this test. What is built stays, so that
/// a mutant rebuilds only what it changed.
struct Copy {
    root: PathBuf,
    tree: PathBuf,
    /// Held while the copy is in use.
    _lock: File,
}

impl Copy {
    fn of_workspace() -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
        fs::create_dir_all(&root).unwrap();
        let lock = File::create(root.join("lock")).unwrap();
        lock.lock().unwrap();
        let tree = root.join("tree");
        if tree.exists() {
            fs::remove_dir_all(&tree).unwrap();
        }
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(workspace);
        let listed = git.output().expect("git starts");
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        let names = String::from_utf8(listed.stdout).unwrap();
        // A file that was removed and not yet committed is listed, too.
        for name in names.split_terminator('\0').filter(|name| workspace.join(name).exists()) {
            let to = tree.join(name);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(workspace.join(name), to).unwrap();
        }
        Self { root, tree, _lock: lock }
    }

    /// Applies a patch, or takes it out again with `--reverse`.
    fn patch(&self, mutant: &Mutant, options: &[&str]) -> Result<(), String> {
        let mut git = Command::new("git");
        git.arg("apply").args(options).arg(&mutant.path).current_dir(&self.tree);
        // The tree lies in the repository's target directory; git would skip what is not a file of the repository.
        let output = git.env("GIT_CEILING_DIRECTORIES", &self.root).output().expect("git starts");
        let told = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("does not apply\n{told}")) }
    }

    /// `cargo test` in the copy: how it ended and what it said. None after [`WAIT_MAX`].
    fn cargo_test(&self, arguments: &[String]) -> (Option<ExitStatus>, String) {
        let log = self.root.join("log");
        let file = File::create(&log).unwrap();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["test", "--offline", "--locked"]).args(arguments).current_dir(&self.tree);
        cargo.env("CARGO_TARGET_DIR", self.root.join("target")).env("CARGO_TERM_COLOR", "never");
        // Any counterexample will do, and none is to be remembered.
        cargo.env("PROPTEST_MAX_SHRINK_ITERS", "0").env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1");
        cargo.stdout(file.try_clone().unwrap()).stderr(file).process_group(0);
        let mut child = cargo.spawn().expect("cargo starts");
        let group = Pid::from_child(&child);
        let (sender, ended) = mpsc::channel();
        let waiter = thread::spawn(move || sender.send(child.wait().unwrap()));
        let status = ended.recv_timeout(WAIT_MAX).ok();
        if status.is_none() {
            // It may have ended just now.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = waiter.join().unwrap();
        (status, String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned())
    }

    /// The tests of a selection that turn red.
    ///
    /// # Errors
    /// The sources do not build, or the tests do not come to an end.
    fn red(&self, selection: &[String]) -> Result<Vec<String>, String> {
        let build = [&["--no-run".to_owned()], selection].concat();
        match self.cargo_test(&build) {
            (Some(status), _) if status.success() => {}
            (_, log) => return Err(format!("does not build\n{log}")),
        }
        let (status, log) = self.cargo_test(selection);
        let status = status.ok_or_else(|| format!("does not end\n{log}"))?;
        let red: Vec<String> = log
            .lines()
            .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"))
            .map(str::to_owned)
            .collect();
        if status.success() == red.is_empty() { Ok(red) } else { Err(format!("ends with {status}\n{log}")) }
    }

    /// What is wrong with a mutant, or the tests that it turns red.
    fn judge(&self, mutant: &Mutant) -> Result<Vec<String>, String> {
        self.patch(mutant, &[])?;
        let red = self.red(&mutant.selection);
        self.patch(mutant, &["--reverse"])?;
        let red = red?;
        if red.is_empty() {
            return Err(format!("no test turns red: cargo test {}", mutant.selection.join(" ")));
        }
        Ok(red)
    }
}

/// Quick to see, long before a build fails for it.
#[test]
fn every_mutant_applies_to_the_sources_as_they_are() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for mutant in Mutant::all() {
        let mut git = Command::new("git");
        git.args(["apply", "--check"]).arg(&mutant.path).current_dir(workspace);
        let output = git.output().expect("git starts");
        assert!(output.status.success(), "{}: {}", mutant.name, String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
#[ignore = "slow: run by .ci/run"]
fn every_mutant_turns_a_test_of_its_invariant_red() {
    let mutants = Mutant::all();
    assert!(!mutants.is_empty(), "the mutants were not found");
    let copy = Copy::of_workspace();
    let mut selections: Vec<&[String]> = mutants.iter().map(|mutant| mutant.selection.as_slice()).collect();
    selections.sort();
    selections.dedup();
    for selection in selections {
        assert_eq!(copy.red(selection), Ok(Vec::new()), "without a mutant: {}", selection.join(" "));
    }
    let mut wrong = Vec::new();
    for mutant in &mutants {
        match copy.judge(mutant) {
            Ok(red) => println!("{}: {}", mutant.name, red.join(", ")),
            Err(fault) => wrong.push(format!("{}: {fault}", mutant.name)),
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
