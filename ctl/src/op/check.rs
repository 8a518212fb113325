//! `op hash --check`: compares files with the digests listed for them, as `sha256sum -c` does.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use acrypto_core::{Class, OpKind};
use serde_json::{Value, json};

use super::engine::{Engine, SessionPlan};
use super::files::Files;
use super::hash::algorithm_of;
use super::input::Input;
use super::sums::{self, Entry};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output;

/// Most bytes of a list of digests.
const SUMS_MAX_BYTES: u64 = 256 << 20;

/// Checks the files listed in `list`.
pub async fn run(context: &Context, name: &str, list: &Path) -> Result<Exit, Failure> {
    let algorithm = algorithm_of(name, Class::Digest, OpKind::Digest)?;
    let tag = algorithm.name().to_uppercase();
    let (entries, malformed) = read(list, &tag, algorithm.output_len())?;
    let plan = SessionPlan { allow_sha1: true, ..SessionPlan::keyless(algorithm) };
    let engine = Engine::start(context, algorithm, entries.len()).await?;
    let epoch = engine.epoch();
    let paths = entries.iter().map(|entry| PathBuf::from(OsString::from_vec(entry.name.clone()))).collect();
    let mut expected = entries.iter();
    let mut results: Vec<Value> = Vec::new();
    let (mut mismatched, mut unreadable) = (0, 0);
    let mut lines = output::Lines::default();
    Files::new(engine, plan, paths)
        .each(|path, result, more| {
            let matches = match result {
                Ok(file) => Some(expected.next().is_some_and(|entry| entry.digest == file.output)),
                Err(failure) if failure.exit == Exit::File => {
                    expected.next();
                    lines.flush()?;
                    output::error(&failure);
                    None
                }
                Err(failure) => {
                    lines.flush()?;
                    return Err(failure);
                }
            };
            let verdict = match matches {
                Some(true) => "OK",
                Some(false) => "FAILED",
                None => "FAILED open or read",
            };
            mismatched += usize::from(matches == Some(false));
            unreadable += usize::from(matches.is_none());
            if context.printer.is_json() {
                results.push(json!({ "file": path.to_string_lossy(), "matches": matches }));
            } else if !(context.global.quiet && matches == Some(true)) {
                lines.write(&sums::verdict(path.as_os_str().as_bytes(), verdict))?;
            }
            if more { Ok(()) } else { lines.flush() }
        })
        .await?;
    if context.printer.is_json() {
        context.printer.json(epoch, &json!({ "results": results, "malformed_lines": malformed }))?;
    }
    warn(malformed, "line is not a digest", "lines are no digests");
    warn(unreadable, "listed file could not be read", "listed files could not be read");
    warn(mismatched, "digest does not match", "digests do not match");
    Ok(if mismatched + unreadable == 0 { Exit::Done } else { Exit::False })
}

fn warn(count: usize, one: &str, many: &str) {
    if count > 0 {
        output::error_line(&format!("acrypto: {count} {}", if count == 1 { one } else { many }));
    }
}

/// The entries of a list, and how many of its lines are none.
fn read(list: &Path, tag: &str, digest_len: usize) -> Result<(Vec<Entry>, usize), Failure> {
    let input = Input::open(Some(list))?;
    let shown = input.name().to_owned();
    let text = input
        .read_all(SUMS_MAX_BYTES)?
        .ok_or_else(|| Failure::usage(format!("'{shown}' is too large for a list of digests")))?;
    let mut entries = Vec::new();
    let mut malformed = 0;
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#') {
        match sums::parse(line, tag, digest_len) {
            Some(entry) => entries.push(entry),
            None => malformed += 1,
        }
    }
    match entries.is_empty() {
        true => Err(Failure::usage(format!("'{shown}' lists no {tag} digest"))),
        false => Ok((entries, malformed)),
    }
}
