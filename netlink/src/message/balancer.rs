//! Balancers.

use super::device::{read_documented, write_documented};
use crate::attr::{Fault, Reader, Writer};
use crate::family::attribute::{accuracy, balancer as a};

/// Something of a balancer that can be set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// The present value.
    pub value: String,
    /// What it does, with unit and default.
    pub doc: String,
}

/// What was predicted at the last switch, and what came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accuracy {
    /// Operations the prediction was made from.
    pub samples: u64,
    /// Predicted median from submission to answer, in nanoseconds.
    pub predicted_p50_ns: u64,
    /// Predicted 99th percentile of the same, in nanoseconds.
    pub predicted_p99_ns: u64,
    /// Operations completed since.
    pub actual_ops: u64,
    /// Median that came, in nanoseconds.
    pub actual_p50_ns: u64,
    /// 99th percentile that came, in nanoseconds.
    pub actual_p99_ns: u64,
}

/// That the watchdog took a balancer out of force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ejection {
    /// Server time, in nanoseconds since the server's start.
    pub time_ns: u64,
    /// Why.
    pub reason: String,
}

/// One registered balancer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BalancerInfo {
    /// Its name.
    pub name: String,
    /// Whether it is the one in force.
    pub current: bool,
    /// Server time at which it came into force, in nanoseconds since the server's start; 0 if not in force.
    pub since_ns: u64,
    /// Operations moved between devices since the server's start; 0 if not in force.
    pub moved_ops: u64,
    /// Whether it is built in and cannot be unregistered.
    pub builtin: bool,
    /// What can be set of it.
    pub parameters: Vec<Parameter>,
    /// Its last ejection, if it was the last that was ejected.
    pub ejection: Option<Ejection>,
    /// How far the prediction was off when it came into force; `None` until enough has come since.
    pub accuracy: Option<Accuracy>,
}

/// How to put a balancer in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BalancerSet {
    /// Its name.
    pub name: String,
    /// Only if this one is in force.
    pub if_current: Option<String>,
    /// Parameters to set first.
    pub parameters: Vec<(String, String)>,
    /// Place what is queued on devices anew.
    pub rehash: bool,
}

impl BalancerInfo {
    /// Adds the attributes of `balancer-get`.
    pub fn write(&self, out: &mut Writer) {
        out.string(a::NAME, &self.name)
            .flag(a::CURRENT, self.current)
            .u64(a::SINCE_NS, self.since_ns)
            .u64(a::MOVED_OPS, self.moved_ops)
            .flag(a::BUILTIN, self.builtin);
        for parameter in &self.parameters {
            out.nest(a::PARAMETER, |nest| write_documented(parameter, nest));
        }
        if let Some(ejection) = &self.ejection {
            out.u64(a::EJECTED_NS, ejection.time_ns).string(a::EJECTED_REASON, &ejection.reason);
        }
        if let Some(accuracy) = &self.accuracy {
            out.nest(a::ACCURACY, |nest| accuracy.write(nest));
        }
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        let ejection = |time_ns| {
            let reason = from.string_if(a::EJECTED_REASON)?.unwrap_or_default();
            Ok(Ejection { time_ns, reason })
        };
        Ok(Self {
            name: from.string(a::NAME)?,
            current: from.has(a::CURRENT),
            since_ns: from.u64(a::SINCE_NS)?,
            moved_ops: from.u64(a::MOVED_OPS)?,
            builtin: from.has(a::BUILTIN),
            parameters: from
                .nests(a::PARAMETER)?
                .iter()
                .map(read_documented)
                .collect::<Result<_, Fault>>()?,
            ejection: from.u64_if(a::EJECTED_NS)?.map(ejection).transpose()?,
            accuracy: from.nest_if(a::ACCURACY)?.map(|nest| Accuracy::read(&nest)).transpose()?,
        })
    }
}

impl BalancerSet {
    /// Adds the attributes of `balancer-set`.
    pub fn write(&self, out: &mut Writer) {
        out.string(a::NAME, &self.name);
        if let Some(current) = &self.if_current {
            out.string(a::IF_CURRENT, current);
        }
        for (name, value) in &self.parameters {
            let parameter = Parameter { name: name.clone(), value: value.clone(), doc: String::new() };
            out.nest(a::PARAMETER, |nest| write_documented(&parameter, nest));
        }
        out.flag(a::REHASH, self.rehash);
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        let pair = |nest: &Reader| read_documented(nest).map(|parameter| (parameter.name, parameter.value));
        Ok(Self {
            name: from.string(a::NAME)?,
            if_current: from.string_if(a::IF_CURRENT)?,
            parameters: from.nests(a::PARAMETER)?.iter().map(pair).collect::<Result<_, Fault>>()?,
            rehash: from.has(a::REHASH),
        })
    }
}

impl Accuracy {
    fn write(&self, out: &mut Writer) {
        out.u64(accuracy::SAMPLES, self.samples)
            .u64(accuracy::PREDICTED_P50_NS, self.predicted_p50_ns)
            .u64(accuracy::PREDICTED_P99_NS, self.predicted_p99_ns)
            .u64(accuracy::ACTUAL_OPS, self.actual_ops)
            .u64(accuracy::ACTUAL_P50_NS, self.actual_p50_ns)
            .u64(accuracy::ACTUAL_P99_NS, self.actual_p99_ns);
    }

    fn read(from: &Reader) -> Result<Self, Fault> {
        Ok(Self {
            samples: from.u64(accuracy::SAMPLES)?,
            predicted_p50_ns: from.u64(accuracy::PREDICTED_P50_NS)?,
            predicted_p99_ns: from.u64(accuracy::PREDICTED_P99_NS)?,
            actual_ops: from.u64(accuracy::ACTUAL_OPS)?,
            actual_p50_ns: from.u64(accuracy::ACTUAL_P50_NS)?,
            actual_p99_ns: from.u64(accuracy::ACTUAL_P99_NS)?,
        })
    }
}
