//! `bench compare`: how many times one measurement is another.

use std::path::Path;

use serde_json::{Value, json};

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{self, Column};

/// Keys by which a result of one file finds its counterpart in the other: what was done, not what did it.
const SAME: [&str; 7] = ["ptest", "alg", "op", "size_bytes", "burst_ops", "sessions", "clients"];

const COLUMNS: &[Column] = &[
    ("ptest", "PTEST"),
    ("alg", "ALG"),
    ("size_bytes", "SIZE"),
    ("burst_ops", "BURST"),
    ("sessions", "SESSIONS"),
    ("clients", "CLIENTS"),
    ("a", "A"),
    ("b", "B"),
    ("ops_per_s_ratio", "OP/s"),
    ("ops_per_cpu_s_ratio", "OP/CPU s"),
    ("p50_ratio", "P50"),
    ("p99_ratio", "P99"),
    ("p999_ratio", "P99.9"),
];

/// Prints the ratios. Results without a counterpart are named, and end it as partial.
pub fn run(context: &Context, a: &Path, b: &Path) -> Result<Exit, Failure> {
    let (of_a, mut of_b) = (read(a)?, read(b)?);
    let (mut rows, mut alone) = (Vec::new(), Vec::new());
    for result in &of_a {
        // Several alike are taken in the order they were measured.
        match of_b.iter().position(|other| SAME.iter().all(|key| result[*key] == other[*key])) {
            Some(at) => rows.push(ratios(result, &of_b.remove(at))),
            None => alone.push((a, result)),
        }
    }
    alone.extend(of_b.iter().map(|result| (b, result)));
    if rows.is_empty() {
        return Err(Failure::usage(format!(
            "'{}' and '{}' have nothing in common",
            a.display(),
            b.display()
        )));
    }
    context.printer.rows(None, "ratios", COLUMNS, &rows)?;
    for (path, result) in &alone {
        let what = super::assertion::what(result);
        output::error_line(&format!("acrypto: {what}: only in '{}'", path.display()));
    }
    Ok(if alone.is_empty() { Exit::Done } else { Exit::Partial })
}

fn read(path: &Path) -> Result<Vec<Value>, Failure> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file("read", &name, &error))?;
    let wrong = |what: &str| {
        Failure::usage(format!("'{name}' {what}"))
            .with_hint("it must be what 'acrypto bench run --json' printed")
    };
    let envelope: Value =
        serde_json::from_str(&text).map_err(|error| wrong(&format!("is no JSON: {error}")))?;
    if envelope["schema"] != output::SCHEMA {
        return Err(wrong("has another schema"));
    }
    let results = envelope["data"]["results"].as_array().ok_or_else(|| wrong("has no results"))?;
    let is_whole = |result: &Value| SAME.iter().all(|key| !result[*key].is_null());
    match results.iter().all(is_whole) {
        true => Ok(results.clone()),
        false => Err(wrong("has results without some of their keys")),
    }
}

fn ratios(a: &Value, b: &Value) -> Value {
    let of = |key: &str| ratio(a[key].as_f64(), b[key].as_f64());
    let per_cpu_s = |row: &Value| ratio(row["ops"].as_f64(), row["cpu_seconds"].as_f64());
    let who = |row: &Value| format!("{} {}", output::raw(&row["device"]), output::raw(&row["lb"]));
    let mut row = json!({
        "a": who(a),
        "b": who(b),
        "ops_per_s_ratio": of("ops_per_s"),
        "ops_per_cpu_s_ratio": ratio(per_cpu_s(a), per_cpu_s(b)),
        "p50_ratio": of("p50_ns"),
        "p99_ratio": of("p99_ns"),
        "p999_ratio": of("p999_ns"),
    });
    for key in SAME {
        row[key] = a[key].clone();
    }
    row
}

/// `None` where there is nothing to divide, or to divide by.
fn ratio(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    let ratio = a? / b?;
    ratio.is_finite().then_some(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_a_by_b_and_missing_where_there_is_nothing_to_divide() {
        let row = |ops: f64, cpu: f64, p50: Option<u64>| {
            json!({ "ptest": "latency", "alg": "null", "op": "encrypt", "size_bytes": 64, "burst_ops": 1,
                    "sessions": 1, "clients": 1, "device": "null", "lb": "simple_lb",
                    "ops": ops, "ops_per_s": ops, "cpu_seconds": cpu, "p50_ns": p50, "p99_ns": 10, "p999_ns": 0 })
        };
        let made = ratios(&row(300.0, 2.0, Some(50)), &row(100.0, 1.0, None));
        assert_eq!((&made["ops_per_s_ratio"], &made["ops_per_cpu_s_ratio"]), (&json!(3.0), &json!(1.5)));
        assert_eq!((&made["p50_ratio"], &made["p99_ratio"]), (&Value::Null, &json!(1.0)));
        assert_eq!(
            (&made["p999_ratio"], &made["alg"], &made["a"]),
            (&Value::Null, &json!("null"), &json!("null simple_lb"))
        );
    }
}
