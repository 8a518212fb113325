//! The sections, one for each thing to be shown.

mod alone;
mod batches;
mod cores;
mod files;
mod framework;
mod growth;
mod server;
mod statistics;

use crate::measure::Plan;
use crate::report::{Gain, Section};

/// What a section found.
#[derive(Debug, Default)]
pub struct Outcome {
    pub section: Section,
    /// For the table of what interleaving gains.
    pub gains: Vec<Gain>,
}

impl From<Section> for Outcome {
    fn from(section: Section) -> Self {
        Self { section, gains: Vec::new() }
    }
}

type Measure = fn(&Plan) -> Outcome;

/// Name, and what measures it.
pub const SECTIONS: [(&str, Measure); 9] = [
    ("s1", batches::cbc),
    ("s2", batches::others),
    ("s3", framework::measure),
    ("s4", alone::measure),
    ("s5", cores::share),
    ("s6", cores::two),
    ("s7", growth::measure),
    ("s8", statistics::measure),
    ("s9", server::measure),
];
