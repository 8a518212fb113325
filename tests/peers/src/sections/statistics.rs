//! What is on all the time, and the commands on many files.

use super::{Outcome, files};
use crate::measure::Plan;
use crate::report::{Section, comparison};

pub fn measure(plan: &Plan) -> Outcome {
    let (fields, goals) = files::measure(plan);
    Section {
        name: "s8",
        title: "Commands on many files",
        method: files::METHOD.to_owned(),
        tables: vec![comparison("Many files", &fields)],
        goals,
        plot: None,
    }
    .into()
}
