//! Sections of tables, as Markdown and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::measure::{Sample, Series, Spread};

/// One of the things to be shown.
#[derive(Debug, Default)]
pub struct Section {
    pub name: &'static str,
    pub title: &'static str,
    /// What was measured and how.
    pub method: String,
    pub tables: Vec<Table>,
    pub goals: Vec<Goal>,
    /// A picture beside the tables: its caption, and the SVG.
    pub plot: Option<(String, String)>,
}

/// A table; the first row of a case names it, the others leave that cell empty.
#[derive(Debug, Default)]
pub struct Table {
    pub title: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// The same, and each round's figures, for programs.
    pub data: Vec<Value>,
}

/// A bound and what was measured.
#[derive(Debug)]
pub struct Goal {
    pub what: String,
    pub bound: Bound,
    pub measured: Option<Spread>,
}

#[derive(Clone, Copy, Debug)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    pub fn at_least(what: impl Into<String>, bound: f64, measured: Option<Spread>) -> Self {
        Self { what: what.into(), bound: Bound::AtLeast(bound), measured }
    }

    pub fn at_most(what: impl Into<String>, bound: f64, measured: Option<Spread>) -> Self {
        Self { what: what.into(), bound: Bound::AtMost(bound), measured }
    }

    /// By the median; `None` where there is nothing to compare with on this machine.
    pub fn is_kept(&self) -> Option<bool> {
        let median = self.measured?.median;
        Some(match self.bound {
            Bound::AtLeast(bound) => median >= bound,
            Bound::AtMost(bound) => median <= bound,
        })
    }

    fn row(&self) -> Vec<String> {
        let bound = match self.bound {
            Bound::AtLeast(bound) => format!("at least {bound}"),
            Bound::AtMost(bound) => format!("at most {bound}"),
        };
        let kept = match self.is_kept() {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "not measured",
        };
        vec![self.what.clone(), bound, spread(self.measured), kept.to_owned()]
    }
}

/// How a throughput is written.
#[derive(Clone, Copy, Debug)]
pub enum Unit {
    /// Gigabytes a second, for operations of so many bytes.
    Gigabytes(usize),
    /// Nanoseconds an operation.
    Nanos,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Gigabytes(_) => "GB/s",
            Self::Nanos => "ns/op",
        }
    }

    pub fn of(self, ns_per_op: f64) -> f64 {
        match self {
            Self::Gigabytes(bytes) => bytes as f64 / ns_per_op,
            Self::Nanos => ns_per_op,
        }
    }
}

/// What takes part in one case; the first `ours` of it are acrypto's.
pub struct Field {
    pub case: String,
    pub unit: Unit,
    pub ours: usize,
    pub series: Vec<Series>,
}

impl Field {
    /// Throughput of ours over that of `peer`, per processor second, round by round.
    pub fn ratio(&self, ours: usize, peer: &Series) -> Option<Spread> {
        peer.ratio(self.series.get(ours)?, Sample::cpu_ns_per_op)
    }

    /// As [`Field::ratio`], by the time of day.
    pub fn wall_ratio(&self, ours: usize, peer: &Series) -> Option<Spread> {
        peer.ratio(self.series.get(ours)?, Sample::wall_ns_per_op)
    }

    pub fn named(&self, start: &str) -> Option<&Series> {
        self.series.iter().find(|series| series.name.starts_with(start))
    }

    /// The fastest of the others that `counts`, by its median processor time.
    pub fn best(&self, counts: impl Fn(&str) -> bool) -> Option<&Series> {
        let median =
            |series: &&Series| series.spread(Sample::cpu_ns_per_op).map_or(f64::MAX, |spread| spread.median);
        let measured =
            self.series[self.ours..].iter().filter(|series| series.samples.is_ok() && counts(&series.name));
        measured.min_by(|one, other| median(one).total_cmp(&median(other)))
    }
}

/// One table of several cases: processor time, time of day, and the ratio of each of ours to everybody else.
pub fn comparison(title: &str, fields: &[Field]) -> Table {
    let ours = fields.first().map_or(0, |field| field.ours);
    let unit = fields.first().map_or("", |field| field.unit.name());
    let mut columns =
        vec!["case".to_owned(), "who".to_owned(), format!("{unit}, CPU time"), format!("{unit}, wall time")];
    match ours {
        1 => columns.push("acrypto ÷ it".to_owned()),
        _ => columns.extend((1..=ours).map(|number| format!("({number}) ÷ it"))),
    }
    let mut table = Table { title: title.to_owned(), columns, ..Table::default() };
    for field in fields {
        for (index, series) in field.series.iter().enumerate() {
            let case = if index == 0 { field.case.clone() } else { String::new() };
            let name = if index < ours && ours > 1 {
                format!("({}) {}", index + 1, series.name)
            } else {
                series.name.clone()
            };
            let figure = |of: fn(&Sample) -> f64| series.spread(|sample| field.unit.of(of(sample)));
            let mut row = vec![case, name];
            match &series.samples {
                Ok(_) => {
                    row.extend([
                        spread(figure(Sample::cpu_ns_per_op)),
                        spread(figure(Sample::wall_ns_per_op)),
                    ]);
                    let ratio = |number| {
                        if index < ours { String::new() } else { spread(field.ratio(number, series)) }
                    };
                    row.extend((0..ours).map(ratio));
                }
                Err(reason) => {
                    row.push(format!("({reason})"));
                    row.resize(table.columns.len(), String::new());
                }
            }
            table.rows.push(row);
            table.data.push(data(field, series));
        }
    }
    table
}

fn data(field: &Field, series: &Series) -> Value {
    let (rounds, absent) = match &series.samples {
        Ok(samples) => (
            samples
                .iter()
                .map(
                    |sample| json!({ "ops": sample.ops, "wall_ns": sample.wall_ns, "cpu_ns": sample.cpu_ns }),
                )
                .collect(),
            Value::Null,
        ),
        Err(reason) => (Vec::new(), json!(reason)),
    };
    json!({ "case": field.case, "who": series.name, "rounds": rounds, "absent": absent })
}

/// `MEDIAN (LEAST..GREATEST)`.
pub fn spread(spread: Option<Spread>) -> String {
    let Some(Spread { median, least, greatest }) = spread else { return String::new() };
    format!("{} ({}..{})", figure(median), figure(least), figure(greatest))
}

/// Three digits that count.
pub fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{:.2}M", value / 1e6),
        size if size >= 1e5 => format!("{:.0}k", value / 1e3),
        size if size >= 1e4 => format!("{:.1}k", value / 1e3),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

impl Section {
    pub fn markdown(&self) -> String {
        let mut text = format!("## {} {}\n\n{}\n", self.name.to_uppercase(), self.title, self.method);
        for table in &self.tables {
            if !table.title.is_empty() {
                let _ = write!(text, "\n### {}\n", table.title);
            }
            text.push('\n');
            text.push_str(&markdown(&table.columns, &table.rows));
        }
        if !self.goals.is_empty() {
            let columns = ["goal", "bound", "measured", "kept"].map(str::to_owned);
            let rows: Vec<_> = self.goals.iter().map(Goal::row).collect();
            text.push('\n');
            text.push_str(&markdown(&columns, &rows));
        }
        text
    }

    pub fn json(&self) -> Value {
        let spread = |spread: &Option<Spread>| {
            spread.map(|spread| json!({ "median": spread.median, "least": spread.least, "greatest": spread.greatest }))
        };
        let goals: Vec<Value> = self
            .goals
            .iter()
            .map(|goal| {
                let (at_least, at_most) = match goal.bound {
                    Bound::AtLeast(bound) => (Some(bound), None),
                    Bound::AtMost(bound) => (None, Some(bound)),
                };
                json!({ "what": goal.what, "at_least": at_least, "at_most": at_most,
                    "measured": spread(&goal.measured), "kept": goal.is_kept() })
            })
            .collect();
        let tables: Vec<Value> =
            self.tables.iter().map(|table| json!({ "title": table.title, "rows": table.data })).collect();
        json!({ "section": self.name, "title": self.title, "tables": tables, "goals": goals })
    }
}

/// A table that is as readable in a terminal as on a page.
pub fn markdown(columns: &[String], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).chain(columns.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |cells: &[String]| {
        let mut line = "|".to_owned();
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(line, " {cell:<width$} |");
        }
        line + "\n"
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    line(columns) + &line(&rule) + &rows.iter().map(|row| line(row)).collect::<String>()
}

/// What a burst gains over the best synchronous call.
#[derive(Debug)]
pub struct Gain {
    pub algorithm: &'static str,
    pub bytes: usize,
    pub library: String,
    pub library_gb_per_s: Option<f64>,
    pub ours_gb_per_s: Option<f64>,
    pub dpdk_gb_per_s: Option<f64>,
    pub ratio: Option<Spread>,
}
