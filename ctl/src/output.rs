//! How data is printed: aligned table, tab-separated numbers, or JSON in its envelope.
//!
//! A row is a JSON object whose keys carry the units (`wait_p99_ns`, `bytes_per_s`); tables read the unit from the
//! key and print numbers for people.

use std::io::{self, IsTerminal as _, Write};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use serde_json::{Value, json};

use crate::cli::{Color, Global};
use crate::exit::{Exit, Failure, one_line};
use crate::units;

/// Version of the JSON envelope.
pub const SCHEMA: u32 = 1;

/// A column: the row's key and the title in the table.
pub type Column = (&'static str, &'static str);

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Aligned, numbers for people.
    Table,
    /// Tab-separated, raw numbers.
    Plain,
    /// One JSON object a line.
    Json,
}

/// Prints data on standard output, notes and failures on standard error.
#[derive(Clone, Debug)]
pub struct Printer {
    /// Form of the output.
    pub format: Format,
    fields: Vec<String>,
    headers: bool,
    color: bool,
    notes: bool,
}

impl Printer {
    /// A printer as the global options ask for it.
    pub fn new(global: &Global) -> Self {
        let format = match (global.json, global.plain) {
            (true, _) => Format::Json,
            (_, true) => Format::Plain,
            _ => Format::Table,
        };
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            format,
            fields: global.fields.clone(),
            headers: !global.no_headers,
            color: match global.color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => !no_color && io::stdout().is_terminal(),
            },
            notes: global.verbose || !global.quiet && io::stderr().is_terminal(),
        }
    }

    /// Whether JSON was asked for.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints `value` in the envelope, on a line of its own.
    pub fn json(&self, epoch: Option<u32>, data: &Value) -> Result<(), Failure> {
        write_line(&envelope(epoch, acrypto_core::Clock::system().wall_ns(), data))
    }

    /// Prints rows: `{name: [row...]}` in JSON, else a table.
    pub fn rows(
        &self,
        epoch: Option<u32>,
        name: &str,
        columns: &[Column],
        rows: &[Value],
    ) -> Result<(), Failure> {
        if self.format == Format::Json {
            let rows: Vec<Value> = rows.iter().map(|row| self.only_fields(row)).collect::<Result<_, _>>()?;
            return self.json(epoch, &json!({ name: rows }));
        }
        let columns = self.columns(columns, rows)?;
        write_text(&match self.format {
            Format::Plain => plain(&columns, rows, self.headers),
            _ => self.table(&columns, rows),
        })
    }

    /// Prints one object: as it is in JSON, else a line a field.
    pub fn record(&self, epoch: Option<u32>, record: &Value) -> Result<(), Failure> {
        let record = self.only_fields(record)?;
        if self.format == Format::Json {
            return self.json(epoch, &record);
        }
        let mut lines = Vec::new();
        flatten("", &record, &mut lines);
        let width = lines.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for (key, value) in &lines {
            let line = match self.format {
                Format::Plain => format!("{key}\t{}", raw(value)),
                _ => format!("{key:width$}  {}", self.paint(key, human(key, value))),
            };
            text.push_str(line.trim_end());
            text.push('\n');
        }
        write_text(&text)
    }

    /// Says something to a person at a terminal; a script hears it only with `-v`.
    pub fn note(&self, text: &str) {
        if self.notes {
            let _ = writeln!(io::stderr(), "{}", one_line(text));
        }
    }

    fn only_fields(&self, row: &Value) -> Result<Value, Failure> {
        let Value::Object(all) = row else { return Ok(row.clone()) };
        if self.fields.is_empty() {
            return Ok(row.clone());
        }
        let mut kept = serde_json::Map::new();
        for field in &self.fields {
            let value = all.get(field).ok_or_else(|| unknown_field(field, row))?;
            kept.insert(field.clone(), value.clone());
        }
        Ok(Value::Object(kept))
    }

    fn columns(&self, columns: &[Column], rows: &[Value]) -> Result<Vec<(String, String)>, Failure> {
        if self.fields.is_empty() {
            return Ok(columns.iter().map(|(key, title)| ((*key).to_owned(), (*title).to_owned())).collect());
        }
        self.fields
            .iter()
            .map(|field| {
                let titled = columns.iter().find(|(key, _)| key == field);
                match (titled, rows.first()) {
                    (Some((key, title)), _) => Ok(((*key).to_owned(), (*title).to_owned())),
                    (None, Some(row)) if row.get(field).is_none() => Err(unknown_field(field, row)),
                    (None, _) => Ok((field.clone(), field.to_uppercase())),
                }
            })
            .collect()
    }

    fn table(&self, columns: &[(String, String)], rows: &[Value]) -> String {
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|row| columns.iter().map(|(key, _)| human(key, &row[key.as_str()])).collect())
            .collect();
        let right: Vec<bool> =
            columns.iter().map(|(key, _)| rows.iter().any(|row| row[key.as_str()].is_number())).collect();
        let widths: Vec<usize> = columns
            .iter()
            .enumerate()
            .map(|(at, (_, title))| {
                let widest = cells.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
                if self.headers { widest.max(title.chars().count()) } else { widest }
            })
            .collect();
        let mut text = String::new();
        let mut line = |fields: &[String], painted: bool| {
            let mut out = String::new();
            for (at, field) in fields.iter().enumerate() {
                let pad = " ".repeat(widths[at].saturating_sub(field.chars().count()));
                let shown = if painted { self.paint(&columns[at].0, field.clone()) } else { field.clone() };
                let gap = if at == 0 { "" } else { "  " };
                if right[at] {
                    out.push_str(&format!("{gap}{pad}{shown}"));
                } else {
                    out.push_str(&format!("{gap}{shown}{pad}"));
                }
            }
            text.push_str(out.trim_end());
            text.push('\n');
        };
        if self.headers {
            let titles: Vec<String> = columns.iter().map(|(_, title)| title.clone()).collect();
            line(&titles, false);
        }
        for row in &cells {
            line(row, true);
        }
        text
    }

    /// Colours a state; the word itself stays.
    fn paint(&self, key: &str, text: String) -> String {
        if !self.color || key != "state" {
            return text;
        }
        let code = match text.as_str() {
            "up" => "32",
            "broken" | "failed" => "31;1",
            "degraded" | "probation" | "selftest" | "draining" | "drained" => "33",
            _ => return text,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// A server's epoch as people and programs see it.
pub fn epoch_text(epoch: u32) -> String {
    format!("{epoch:04x}")
}

/// The JSON envelope, on one line.
pub fn envelope(epoch: Option<u32>, time_ns: u64, data: &Value) -> String {
    let epoch = epoch.map(epoch_text);
    json!({ "schema": SCHEMA, "epoch": epoch, "time_ns": time_ns, "data": data }).to_string()
}

/// Writes to standard output and flushes it.
pub fn write_text(text: &str) -> Result<(), Failure> {
    write_bytes(text.as_bytes())
}

/// Writes bytes to standard output and flushes it.
pub fn write_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| Failure::stdout(&error))
}

/// Lines on their way to standard output: written together while there are more to come.
#[derive(Debug, Default)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// Bytes at which lines are written whether more come or not.
    const BYTES_MAX: usize = 32 << 10;

    /// Adds a line.
    pub fn write(&mut self, line: &[u8]) -> Result<(), Failure> {
        self.0.extend_from_slice(line);
        if self.0.len() < Self::BYTES_MAX { Ok(()) } else { self.flush() }
    }

    /// Writes all of them.
    pub fn flush(&mut self) -> Result<(), Failure> {
        match self.0.is_empty() {
            true => Ok(()),
            false => write_bytes(&std::mem::take(&mut self.0)),
        }
    }
}

/// Ends when whoever reads standard output is gone, so that a command which waits for events need not.
pub async fn reader_gone() -> Failure {
    let (gone, seen) = tokio::sync::oneshot::channel();
    let watch = move || {
        let stdout = io::stdout();
        // Nothing is asked for: an error or a hang-up is always told.
        let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
        while matches!(poll(&mut watched, None), Ok(0) | Err(Errno::INTR)) {}
        let _ = gone.send(());
    };
    let started = std::thread::Builder::new().name("stdout".to_owned()).spawn(watch);
    match (started, seen.await) {
        (Ok(_), Ok(())) => Failure::silent(Exit::Done),
        // Not seen at once, then: the next write will tell.
        _ => std::future::pending().await,
    }
}

/// Says on standard error why a command, or a part of it, failed.
pub fn error(failure: &Failure) {
    let _ = io::stderr().write_all(failure.lines().as_bytes());
}

/// Writes text to standard error as it is.
pub fn error_text(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Writes one line to standard error.
pub fn error_line(line: &str) {
    let _ = io::stderr().write_all(format!("{}\n", one_line(line)).as_bytes());
}

/// Writes one line to standard output and flushes it.
pub fn write_line(line: &str) -> Result<(), Failure> {
    write_text(&format!("{line}\n"))
}

fn unknown_field(field: &str, row: &Value) -> Failure {
    let names: Vec<&str> = row.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    let hint = match crate::suggest::nearest(field, names.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("fields are {}", names.join(", ")),
    };
    Failure::new(Exit::Usage, format!("no field '{field}'")).with_hint(hint)
}

/// The fields of an object as lines, those of objects within it by dotted names; tables within it are left out.
fn flatten<'a>(prefix: &str, value: &'a Value, lines: &mut Vec<(String, &'a Value)>) {
    let Value::Object(fields) = value else { return };
    for (key, value) in fields {
        let name = format!("{prefix}{key}");
        match value {
            Value::Object(_) => flatten(&format!("{name}."), value, lines),
            Value::Array(values) if values.iter().any(Value::is_object) => {}
            _ => lines.push((name, value)),
        }
    }
}

fn plain(columns: &[(String, String)], rows: &[Value], headers: bool) -> String {
    let head = headers.then(|| columns.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>());
    let lines = rows.iter().map(|row| columns.iter().map(|(key, _)| raw(&row[key.as_str()])).collect());
    head.into_iter().chain(lines).map(|cells| cells.join("\t") + "\n").collect()
}

/// A value as it is, on one line.
pub fn raw(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => one_line(text),
        Value::Array(values) => values.iter().map(raw).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// A value as people read it; the unit is in the key.
fn human(key: &str, value: &Value) -> String {
    let Some(number) = value.as_f64() else {
        return match value {
            Value::Bool(true) => "yes".to_owned(),
            Value::Bool(false) => "no".to_owned(),
            Value::String(text) if text.is_empty() => "-".to_owned(),
            Value::Array(values) if values.is_empty() => "-".to_owned(),
            other => raw(other),
        };
    };
    match key {
        "time_ns" => units::utc(number as u64),
        _ if key.ends_with("_ns") => units::human_ns(number as u64),
        _ if key.ends_with("bytes_per_s") => format!("{}/s", units::human_bytes(number)),
        "bytes" => units::human_bytes(number),
        _ if key.ends_with("_bytes") => units::human_bytes(number),
        _ if key.ends_with("_max_ops") => value.to_string(),
        _ if key.ends_with("_ops") || key.ends_with("_per_s") || key == "ops" => units::human_count(number),
        _ if key.ends_with("_ratio") || key.ends_with("seconds") => format!("{number:.2}"),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printer(format: Format, fields: &[&str]) -> Printer {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        Printer { format, fields, headers: true, color: false, notes: false }
    }

    fn rows() -> Vec<Value> {
        vec![
            json!({ "name": "soft0", "state": "up", "queued_ops": 0, "wait_p99_ns": 412_000, "bytes": 1_234_567 }),
            json!({ "name": "accelerator", "state": "broken", "queued_ops": 41_234, "wait_p99_ns": null, "bytes": 0 }),
        ]
    }

    const COLUMNS: &[Column] = &[
        ("name", "NAME"),
        ("state", "STATE"),
        ("queued_ops", "QUEUED"),
        ("wait_p99_ns", "P99"),
        ("bytes", "BYTES"),
    ];

    #[test]
    fn a_table_is_aligned_and_written_for_people() {
        let printer = printer(Format::Table, &[]);
        let columns = printer.columns(COLUMNS, &rows()).unwrap();
        insta::assert_snapshot!(printer.table(&columns, &rows()));
    }

    #[test]
    fn plain_is_tab_separated_and_raw() {
        let printer = printer(Format::Plain, &["name", "bytes"]);
        let columns = printer.columns(COLUMNS, &rows()).unwrap();
        assert_eq!(plain(&columns, &rows(), true), "name\tbytes\nsoft0\t1234567\naccelerator\t0\n");
        assert_eq!(plain(&columns, &rows(), false), "soft0\t1234567\naccelerator\t0\n");
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let printer = printer(Format::Json, &["nmae"]);
        let failure = printer.only_fields(&rows()[0]).unwrap_err();
        assert_eq!(failure.lines(), "acrypto: no field 'nmae'\nhint: did you mean 'name'?\n");
    }

    #[test]
    fn the_envelope_has_schema_epoch_time_and_data_in_this_order() {
        assert_eq!(
            envelope(Some(0x7f3a), 5, &json!({ "name": "simple_lb", "current": true })),
            r#"{"schema":1,"epoch":"7f3a","time_ns":5,"data":{"name":"simple_lb","current":true}}"#
        );
        assert_eq!(envelope(None, 5, &json!({})), r#"{"schema":1,"epoch":null,"time_ns":5,"data":{}}"#);
    }

    #[test]
    fn a_name_cannot_break_the_table() {
        assert_eq!(human("name", &json!("a\nb\u{1b}[2J")), "a\\nb\\u{1b}[2J");
    }
}
