//! `--assert`: a bound that every result must keep.

use std::str::FromStr;

use serde_json::Value;

use super::KEYS;
use crate::exit::Failure;
use crate::suggest;

/// Fields that are words.
const TEXTS: [&str; 5] = ["ptest", "alg", "device", "lb", "op"];

/// `FIELD OPERATOR NUMBER`, such as `ops_per_s>1e6`.
#[derive(Clone, Debug, PartialEq)]
pub struct Assertion {
    field: &'static str,
    relation: Relation,
    bound: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    AtLeast,
    AtMost,
    Equal,
    Above,
    Below,
}

/// Longer operators first, so that `>=` is not read as `>`.
const RELATIONS: [(&str, Relation); 5] = [
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    ("==", Relation::Equal),
    (">", Relation::Above),
    ("<", Relation::Below),
];

impl FromStr for Assertion {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let wrong = || Failure::usage(format!("'{text}' is not FIELD, one of >= <= == > <, NUMBER"));
        let (sign, relation) =
            RELATIONS.into_iter().find(|(sign, _)| text.contains(sign)).ok_or_else(wrong)?;
        let (field, bound) = text.split_once(sign).ok_or_else(wrong)?;
        let bound = bound.trim().parse().map_err(|_| wrong())?;
        let field = field.trim();
        match KEYS.iter().find(|key| **key == field) {
            Some(_) if TEXTS.contains(&field) => {
                Err(Failure::usage(format!("'{text}': '{field}' is no number")))
            }
            Some(key) => Ok(Self { field: key, relation, bound }),
            None if field.is_empty() => Err(wrong()),
            None => {
                let failure = Failure::usage(format!("'{text}': results have no field '{field}'"));
                Err(failure.with_hint(match suggest::nearest(field, KEYS) {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => format!("fields are {}", KEYS.join(", ")),
                }))
            }
        }
    }
}

impl Assertion {
    /// Whether the result keeps the bound; a field that is missing or no number does not.
    pub fn holds(&self, result: &Value) -> bool {
        result[self.field].as_f64().is_some_and(|value| match self.relation {
            Relation::AtLeast => value >= self.bound,
            Relation::AtMost => value <= self.bound,
            Relation::Equal => value == self.bound,
            Relation::Above => value > self.bound,
            Relation::Below => value < self.bound,
        })
    }

    /// Why the result does not keep it.
    pub fn complaint(&self, result: &Value) -> String {
        let sign =
            RELATIONS.iter().find(|(_, relation)| *relation == self.relation).map_or("", |(sign, _)| sign);
        format!("{}: {} is {}, not {sign} {}", what(result), self.field, result[self.field], self.bound)
    }
}

/// Which result it is.
pub fn what(result: &Value) -> String {
    let alg = result["alg"].as_str().unwrap_or_default();
    format!("{alg} {} bytes burst {}", result["size_bytes"], result["burst_ops"])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bound_holds_or_not() {
        let result =
            json!({ "alg": "null", "size_bytes": 64, "burst_ops": 32, "ops_per_s": 2e6, "errors": 0 });
        let holds = |text: &str| text.parse::<Assertion>().unwrap().holds(&result);
        assert!(
            holds("ops_per_s>1e6") && holds("ops_per_s >= 2e6") && holds("errors==0") && holds("errors<=0")
        );
        assert!(!holds("ops_per_s<1e6") && !holds("p50_ns>0"), "what is not there keeps no bound");
        let broken = "errors>0".parse::<Assertion>().unwrap();
        assert_eq!(broken.complaint(&result), "null 64 bytes burst 32: errors is 0, not > 0");
    }

    #[test]
    fn what_is_no_bound_is_refused() {
        for wrong in
            ["", "ops_per_s", ">5", "ops_per_s>", "ops_per_s>fast", "errors=5", "alg>0", "op_per_s>0"]
        {
            assert!(wrong.parse::<Assertion>().is_err(), "{wrong}");
        }
    }
}
