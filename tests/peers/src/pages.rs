//! The pages that show the figures: nothing in them is written by hand.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::case::size;
use crate::machine;
use crate::measure::Plan;
use crate::report::{Gain, Section, figure, markdown, spread};

const RESULTS: &str = "core/benches/RESULTS.md";
const PLOT: &str = "growth.svg";
const README: &str = "README.md";
const BEGIN: &str = "<!-- measured by tests/peers/run -->\n";
const END: &str = "<!-- end of what was measured -->\n";

/// The repository that this program was built from.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Writes the page of results, its plot, and the table in the README.
pub fn write(plan: &Plan, sections: &[Section], gains: &[Gain]) -> Result<(), String> {
    let results = root().join(RESULTS);
    let told = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| format!("{path}: {error}")
    };
    fs::write(&results, page(plan, sections)).map_err(told(&results))?;
    for (_, svg) in sections.iter().filter_map(|section| section.plot.as_ref()) {
        let path = results.with_file_name(PLOT);
        fs::write(&path, svg).map_err(told(&path))?;
    }
    let readme = root().join(README);
    let text = fs::read_to_string(&readme).map_err(told(&readme))?;
    let text = replaced(&text, &summary(gains)).ok_or("the README has no place for the table")?;
    fs::write(&readme, text).map_err(told(&readme))
}

fn page(plan: &Plan, sections: &[Section]) -> String {
    let columns = ["what".to_owned(), "value".to_owned()];
    let mut text = format!(
        "# Results\n\n\
         Made by `tests/peers/run --write`; nothing here is written by hand.\n\n\
         **Method.** acrypto and its peers run in one process, or beside it where they are programs, and take turns: {} \
         rounds of about {} ms each, every round beginning with another one, after a turn that does not count. A figure is the \
         median of the rounds with the least and the greatest; a ratio is taken within each round, and its median shown. acrypto \
         counts everything from submission to the completion in the caller's hands, with statistics, histograms and health \
         checks on. *CPU time* is that of the whole process, all threads (`CLOCK_PROCESS_CPUTIME_ID`; of `openssl speed` its \
         own; of DPDK the time of the core that works, less what it waited for it), *wall time* is beside it. Nothing is pinned by us (DPDK does it itself); the first results of everything \
         in this process are compared with RustCrypto's. Bounds are those the project set itself on a machine with AVX-512.\n\n{}",
        plan.rounds,
        plan.turn_ns / 1_000_000,
        markdown(&columns, &machine::rows()),
    );
    for section in sections {
        text.push('\n');
        text.push_str(&section.markdown());
        if let Some((caption, _)) = &section.plot {
            let _ = write!(text, "\n![{caption}]({PLOT})\n");
        }
    }
    text
}

/// What interleaving gains, and what it does not: one row an algorithm and size.
pub fn summary(gains: &[Gain]) -> String {
    let columns = ["", "", "best synchronous call", "acrypto, 32 at once", "DPDK", "gain"].map(str::to_owned);
    let speed = |speed: Option<f64>| speed.map_or_else(|| "-".to_owned(), figure);
    let mut last = "";
    let rows: Vec<Vec<String>> = gains
        .iter()
        .map(|gain| {
            let algorithm = if gain.algorithm == last { "" } else { gain.algorithm };
            last = gain.algorithm;
            vec![
                algorithm.to_owned(),
                size(gain.bytes),
                format!("{} {}", speed(gain.library_gb_per_s), gain.library),
                speed(gain.ours_gb_per_s),
                speed(gain.dpdk_gb_per_s),
                spread(gain.ratio),
            ]
        })
        .collect();
    let machine = machine::rows();
    let value = |what: &str| machine.iter().find(|row| row[0] == what).map_or("", |row| row[1].as_str());
    format!(
        "{}\nGB per second of processor time, one session; of the ratio within each round the median (least..greatest). {}; {}; {}. All \
         of it, and how: \
         [core/benches/RESULTS.md](core/benches/RESULTS.md).\n",
        markdown(&columns, &rows),
        value("processor"),
        value("instructions"),
        value("date"),
    )
}

/// `text` with what is between the marks replaced.
fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_a_place_for_the_table_and_keeps_the_rest() {
        let text = fs::read_to_string(root().join(README)).unwrap();
        let once = replaced(&text, "a table").unwrap();
        assert_eq!(replaced(&once, "a table").unwrap(), once);
        assert_eq!(text.split_once(BEGIN).unwrap().0, once.split_once(BEGIN).unwrap().0);
        assert_eq!(text.split_once(END).unwrap().1, once.split_once(END).unwrap().1);
    }
}
