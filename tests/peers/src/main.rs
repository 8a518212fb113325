//! Measures acrypto beside what programs use today, in one run: see `tests/peers/run`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints what it measured")]

mod alternatives;
mod case;
mod libraries;
mod machine;
mod measure;
mod ours;
mod pages;
mod plot;
mod programs;
mod report;
mod sections;
mod spinning;

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use crate::measure::Plan;
use crate::sections::SECTIONS;

const USAGE: &str = "usage: tests/peers/run [--quick] [--rounds N] [--json FILE] [--write] [s1 .. s9]...
  --quick   a few milliseconds of everything: shows that it runs, no figure means anything
  --json    every round's figures, for programs
  --write   core/benches/RESULTS.md with its plot, and the table in README.md; wants every section";

struct Arguments {
    plan: Plan,
    json: Option<PathBuf>,
    writes: bool,
    sections: Vec<String>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self { plan: Plan::FULL, json: None, writes: false, sections: Vec::new() };
        let mut rounds = None;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("'{word}' needs a value"));
            match word.as_str() {
                "--quick" => arguments.plan = Plan::QUICK,
                "--rounds" => {
                    rounds = Some(value()?.parse().map_err(|_| "--rounds needs a number".to_owned())?)
                }
                "--json" => arguments.json = Some(value()?.into()),
                "--write" => arguments.writes = true,
                name if SECTIONS.iter().any(|section| section.0 == name) => arguments.sections.push(word),
                _ => return Err(format!("'{word}' is not understood")),
            }
        }
        if let Some(rounds) = rounds {
            arguments.plan.rounds = std::cmp::max(rounds, 1);
        }
        let is_part = !arguments.sections.is_empty() || arguments.plan.is_quick;
        if arguments.writes && is_part {
            return Err("--write wants every section in full".to_owned());
        }
        Ok(arguments)
    }
}

fn main() -> ExitCode {
    let result = Arguments::parse(std::env::args().skip(1))
        .map_err(|error| format!("{error}\n{USAGE}"))
        .and_then(|arguments| run(&arguments));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let plan = &arguments.plan;
    let columns = ["what".to_owned(), "value".to_owned()];
    println!("{}", report::markdown(&columns, &machine::rows()));
    let (mut sections, mut gains) = (Vec::new(), Vec::new());
    for (name, measure) in SECTIONS {
        if arguments.sections.is_empty() || arguments.sections.iter().any(|wanted| wanted == name) {
            let outcome = measure(plan);
            println!("{}", outcome.section.markdown());
            sections.push(outcome.section);
            gains.extend(outcome.gains);
        }
    }
    if let Some(path) = &arguments.json {
        let sections: Vec<_> = sections.iter().map(report::Section::json).collect();
        let machine: serde_json::Map<_, _> =
            machine::rows().into_iter().map(|row| (row[0].clone(), json!(row[1]))).collect();
        let text =
            format!("{:#}\n", json!({ "machine": machine, "rounds": plan.rounds, "sections": sections }));
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    if arguments.writes {
        pages::write(plan, &sections, &gains)?;
    }
    Ok(())
}
