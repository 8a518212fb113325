//! What is on all the time, and the commands on many files.

use std::process::Command;

use acrypto_core::{Algorithm, Config};

use super::{Outcome, files};
use crate::case::Case;
use crate::measure::{Contender, Plan, Sample, Series, Spread, rounds};
use crate::ours::{self, Bursts};
use crate::programs::output_of;
use crate::report::{Goal, Section, Table, comparison, spread};

/// Nanoseconds that statistics, histograms and health may cost an operation.
const BOUND_NS: f64 = 3.0;

pub fn measure(plan: &Plan) -> Outcome {
    let mut section = Section {
        name: "s8",
        title: "Statistics, histograms and health on and off; commands on many files",
        method: format!(
            "*Off* is a runtime with `statistics` 0 and without heartbeats and time-outs of devices; two null devices, one thread. \
             Instructions are counted by callgrind (`cargo bench -p acrypto-core --bench instructions`), less those of the loop \
             itself. {}",
            files::METHOD
        ),
        ..Section::default()
    };
    let columns = ["case", "on, ns/op", "off, ns/op", "on - off, ns"].map(str::to_owned).to_vec();
    let mut table = Table { title: "Statistics, CPU time".to_owned(), columns, ..Table::default() };
    for (what, pair) in
        [("burst 1", bursts(plan, 1)), ("burst 32", bursts(plan, 32)), ("awaited", awaited(plan))]
    {
        let [on, off] = &pair[..] else { continue };
        let cost = difference(on, off);
        let cells = [on.spread(Sample::cpu_ns_per_op), off.spread(Sample::cpu_ns_per_op), cost].map(spread);
        table.rows.push([what.to_owned()].into_iter().chain(cells).collect());
        table.data.push(serde_json::json!({ "case": what, "cost_ns": cost.map(|cost| cost.median) }));
        section.goals.push(Goal::at_most(format!("{what}: ns of CPU on - off"), BOUND_NS, cost));
    }
    section.tables.push(table);
    section.tables.push(instructions(plan));
    let (fields, goals) = files::measure(plan);
    section.tables.push(comparison("Many files", &fields));
    section.goals.extend(goals);
    section.into()
}

fn difference(on: &Series, off: &Series) -> Option<Spread> {
    let (on, off) = (on.samples.as_ref().ok()?, off.samples.as_ref().ok()?);
    Some(Spread::of(on.iter().zip(off).map(|(on, off)| on.cpu_ns_per_op() - off.cpu_ns_per_op()).collect()))
}

fn configs() -> [(&'static str, Config); 2] {
    let off =
        Config { statistics: 0, heartbeat_ns: 0, silence_ns: 0, attempt_max_ns: 0, ..Config::default() };
    [("on", Config::default()), ("off", off)]
}

fn bursts(plan: &Plan, burst: usize) -> Vec<Series> {
    let case = Case::new(Algorithm::Null, 64);
    let contender = |(name, config): (&'static str, Config)| {
        let runtime = ours::runtime(case.algorithm, 2, config);
        let mut bursts = Bursts::new(case, ours::sessions(&runtime, case, 1), burst);
        Contender::here(name, move |ops| {
            // The runtime lives as long as its turns.
            let _ = &runtime;
            bursts.turn(ops);
        })
    };
    rounds(plan, configs().into_iter().map(contender).collect())
}

fn awaited(plan: &Plan) -> Vec<Series> {
    let case = Case::new(Algorithm::Null, 64);
    let contender = |(name, config): (&'static str, Config)| {
        let runtime = ours::runtime(case.algorithm, 2, config);
        let session = ours::sessions(&runtime, case, 1).remove(0);
        Contender::here(name, move |ops| {
            let _ = &runtime;
            ours::awaited(case, &session, ops, None);
        })
    };
    rounds(plan, configs().into_iter().map(contender).collect())
}

/// What the bench of core prints: a row a case, whose last two columns are an operation's instructions on and off.
fn instructions(plan: &Plan) -> Table {
    let columns = ["case", "on", "off", "on - off"].map(str::to_owned).to_vec();
    let mut table = Table { title: "Instructions an operation".to_owned(), columns, ..Table::default() };
    if plan.is_quick {
        table.rows.push(vec!["(not in a quick run)".to_owned()]);
        return table;
    }
    let mut command = Command::new("cargo");
    command.args(["bench", "--quiet", "--locked", "-p", "acrypto-core", "--bench", "instructions"]);
    command.current_dir(crate::pages::root());
    match output_of(command) {
        Ok(output) => {
            for line in String::from_utf8_lossy(&output.stdout).lines().skip(1) {
                let words: Vec<&str> = line.split_whitespace().collect();
                let [case, _, _, on, off] = words[..] else { continue };
                let (Ok(on_count), Ok(off_count)) = (on.parse::<f64>(), off.parse::<f64>()) else { continue };
                let cost = format!("{:.1}", on_count - off_count);
                table.rows.push(vec![case.to_owned(), on.to_owned(), off.to_owned(), cost]);
                table.data.push(serde_json::json!({ "case": case, "on": on_count, "off": off_count }));
            }
        }
        Err(reason) => table.rows.push(vec![format!("({reason})")]),
    }
    table
}
