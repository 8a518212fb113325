//! Parameters of policies, as text.

use crate::error::Error;

/// Something of a policy that can be set while it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// The present value.
    pub value: String,
    /// What it does, with unit and default.
    pub doc: String,
}

impl Parameter {
    /// One of them.
    pub fn new(name: impl Into<String>, value: impl ToString, doc: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.to_string(), doc: doc.into() }
    }
}

/// The refusal of a name that is none of `known`.
pub(crate) fn unknown(name: &str, known: &[Parameter]) -> Error {
    let known = match known {
        [] => "none".to_owned(),
        known => known.iter().map(|parameter| parameter.name.as_str()).collect::<Vec<_>>().join(", "),
    };
    Error::UnknownParameter { name: name.to_owned(), known }
}

/// A number within bounds.
pub(crate) fn number<N>(name: &str, value: &str, least: N, most: N) -> Result<N, Error>
where
    N: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let fits = |number: &N| (&least..=&most).contains(&number);
    value.parse().ok().filter(fits).ok_or_else(|| bad(name, value, format!("from {least} to {most}")))
}

/// `true` or `false`.
pub(crate) fn truth(name: &str, value: &str) -> Result<bool, Error> {
    value.parse().map_err(|_| bad(name, value, "true or false".to_owned()))
}

pub(crate) fn bad(name: &str, value: &str, expected: String) -> Error {
    Error::BadParameter { name: name.to_owned(), value: value.to_owned(), expected }
}
