//! Contenders that take turns, and what each of them took.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// Operations are done in multiples of this, the largest number in flight.
pub const QUANTUM_OPS: u64 = 256;

/// How long everything takes.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds; in each, every contender has one turn.
    pub rounds: usize,
    /// Wall time of a turn, about.
    pub turn_ns: u64,
    /// Whether figures are only to be seen to come out.
    pub is_quick: bool,
}

impl Plan {
    pub const FULL: Plan = Plan { rounds: 5, turn_ns: 150_000_000, is_quick: false };
    pub const QUICK: Plan = Plan { rounds: 1, turn_ns: 2_000_000, is_quick: true };
}

/// One turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub ops: u64,
    pub wall_ns: u64,
    /// Processor time of the whole process, all threads.
    pub cpu_ns: u64,
}

impl Sample {
    pub fn wall_ns_per_op(&self) -> f64 {
        self.wall_ns as f64 / self.ops as f64
    }

    pub fn cpu_ns_per_op(&self) -> f64 {
        self.cpu_ns as f64 / self.ops as f64
    }
}

/// How a contender has its turn.
pub enum Turn<'a> {
    /// In this process: does so many operations.
    Here(Box<dyn FnMut(u64) + 'a>),
    /// A program that says itself what it did.
    There(Box<dyn FnMut() -> Result<Sample, String> + 'a>),
    /// Not on this machine, and why.
    Absent(String),
}

/// What takes part.
pub struct Contender<'a> {
    pub name: String,
    pub turn: Turn<'a>,
}

impl<'a> Contender<'a> {
    pub fn here(name: impl Into<String>, turn: impl FnMut(u64) + 'a) -> Self {
        Self { name: name.into(), turn: Turn::Here(Box::new(turn)) }
    }

    pub fn there(name: impl Into<String>, turn: impl FnMut() -> Result<Sample, String> + 'a) -> Self {
        Self { name: name.into(), turn: Turn::There(Box::new(turn)) }
    }

    pub fn absent(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { name: name.into(), turn: Turn::Absent(reason.into()) }
    }
}

/// What a contender did in every round, or why it did nothing.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub samples: Result<Vec<Sample>, String>,
}

/// Median, least and greatest of the rounds.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub greatest: f64,
}

impl Spread {
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let (first, last) = (figures.first(), figures.last());
        Self {
            median: figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN),
            least: first.copied().unwrap_or(f64::NAN),
            greatest: last.copied().unwrap_or(f64::NAN),
        }
    }
}

impl Series {
    /// A figure of each round.
    pub fn spread(&self, figure: impl Fn(&Sample) -> f64) -> Option<Spread> {
        let samples = self.samples.as_ref().ok()?;
        Some(Spread::of(samples.iter().map(figure).collect()))
    }

    /// A figure of each round over that of `other` in the same round.
    pub fn ratio(&self, other: &Series, figure: impl Fn(&Sample) -> f64) -> Option<Spread> {
        let (ours, theirs) = (self.samples.as_ref().ok()?, other.samples.as_ref().ok()?);
        Some(Spread::of(
            ours.iter().zip(theirs).map(|(ours, theirs)| figure(ours) / figure(theirs)).collect(),
        ))
    }
}

/// Lets the contenders take turns: every round begins with another one. What runs here is warmed up by finding out how
/// many operations fill a turn; a program of its own has its turn for longer, and warms up within it.
pub fn rounds(plan: &Plan, contenders: Vec<Contender<'_>>) -> Vec<Series> {
    let mut field: Vec<(Contender<'_>, u64, Result<Vec<Sample>, String>)> =
        contenders.into_iter().map(|contender| (contender, 0, Ok(Vec::new()))).collect();
    for (contender, ops, _) in &mut field {
        if let Turn::Here(turn) = &mut contender.turn {
            *ops = ops_of_a_turn(plan.turn_ns, turn);
        }
    }
    let count = field.len();
    for round in 0..plan.rounds {
        for place in 0..count {
            let (contender, ops, samples) = &mut field[(round + place) % count];
            let sample = match &mut contender.turn {
                Turn::Here(turn) => Ok(timed(*ops, turn)),
                Turn::There(turn) => turn(),
                Turn::Absent(reason) => Err(reason.clone()),
            };
            match (sample, &mut *samples) {
                (Ok(sample), Ok(samples)) => samples.push(sample),
                (Err(reason), _) => {
                    contender.turn = Turn::Absent(reason.clone());
                    *samples = Err(reason);
                }
                (Ok(_), Err(_)) => {}
            }
        }
    }
    field.into_iter().map(|(contender, _, samples)| Series { name: contender.name, samples }).collect()
}

fn ops_of_a_turn(turn_ns: u64, turn: &mut dyn FnMut(u64)) -> u64 {
    let mut ops = QUANTUM_OPS;
    loop {
        let took_ns = timed(ops, turn).wall_ns.max(1);
        if took_ns >= turn_ns / 4 {
            let wanted = u128::from(ops) * u128::from(turn_ns) / u128::from(took_ns);
            return u64::try_from(wanted).unwrap_or(ops).next_multiple_of(QUANTUM_OPS).max(QUANTUM_OPS);
        }
        ops *= 4;
    }
}

/// One turn of something in this process.
pub fn timed(ops: u64, turn: &mut dyn FnMut(u64)) -> Sample {
    let (start, start_cpu_ns) = (now(), process_cpu_ns());
    turn(ops);
    let wall_ns = nanos_since(start);
    Sample { ops, wall_ns, cpu_ns: process_cpu_ns() - start_cpu_ns }
}

/// The time, for durations.
#[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub fn now() -> Instant {
    Instant::now()
}

pub fn nanos_since(start: Instant) -> u64 {
    start.elapsed().as_nanos() as u64
}

/// Processor time of this process, all threads.
fn process_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Nanoseconds of single operations, from submission to the result in the caller's hands.
#[derive(Debug, Default)]
pub struct Recorder {
    ns: Vec<u32>,
}

impl Recorder {
    pub fn with_room(ops: u64) -> Self {
        Self { ns: Vec::with_capacity(ops as usize) }
    }

    pub fn note(&mut self, start: Instant) {
        self.note_ns(nanos_since(start));
    }

    pub fn note_ns(&mut self, ns: u64) {
        self.ns.push(u32::try_from(ns).unwrap_or(u32::MAX));
    }

    /// Takes in what another thread noted.
    pub fn join(&mut self, other: Recorder) {
        self.ns.extend(other.ns);
    }

    pub fn percentiles(mut self) -> Option<Percentiles> {
        self.ns.sort_unstable();
        let mean_ns = self.ns.iter().map(|ns| f64::from(*ns)).sum::<f64>() / self.ns.len() as f64;
        let at = |share: f64| self.ns.get((self.ns.len() as f64 * share) as usize).map(|ns| f64::from(*ns));
        Some(Percentiles { p50_ns: at(0.5)?, p99_ns: at(0.99)?, mean_ns })
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Percentiles {
    pub p50_ns: f64,
    pub p99_ns: f64,
    pub mean_ns: f64,
}

/// Does so many operations and notes how long each took.
pub type NotedTurn<'a> = Box<dyn FnMut(u64, &mut Recorder) + 'a>;

/// Percentiles of each contender in every round, with the order rotated; the first turn of each does not count.
pub fn latency_rounds(plan: &Plan, ops: u64, contenders: Vec<(String, NotedTurn<'_>)>) -> Vec<Latencies> {
    let count = contenders.len();
    let mut field: Vec<(NotedTurn<'_>, Latencies)> =
        contenders.into_iter().map(|(name, turn)| (turn, Latencies { name, rounds: Vec::new() })).collect();
    for round in 0..=plan.rounds {
        for place in 0..count {
            let (turn, latencies) = &mut field[(round + place) % count];
            let mut recorder = Recorder::with_room(ops);
            turn(ops, &mut recorder);
            if round > 0 {
                latencies.rounds.extend(recorder.percentiles());
            }
        }
    }
    field.into_iter().map(|(_, latencies)| latencies).collect()
}

/// What a contender's operations took, by round.
#[derive(Clone, Debug)]
pub struct Latencies {
    pub name: String,
    pub rounds: Vec<Percentiles>,
}

impl Latencies {
    pub fn p50(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|round| round.p50_ns).collect())
    }

    pub fn p99(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|round| round.p99_ns).collect())
    }

    pub fn mean(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|round| round.mean_ns).collect())
    }

    pub fn json(&self, case: &str) -> Value {
        let rounds: Vec<Value> = self
            .rounds
            .iter()
            .map(|round| json!({ "p50_ns": round.p50_ns, "p99_ns": round.p99_ns, "mean_ns": round.mean_ns }))
            .collect();
        json!({ "case": case, "who": self.name, "rounds": rounds })
    }

    /// By how much a percentile is above that of `other` in the same round.
    pub fn above(&self, other: &Latencies, of: impl Fn(&Percentiles) -> f64) -> Spread {
        Spread::of(
            self.rounds.iter().zip(&other.rounds).map(|(ours, theirs)| of(ours) - of(theirs)).collect(),
        )
    }

    /// A percentile over that of `other` in the same round.
    pub fn over(&self, other: &Latencies, of: impl Fn(&Percentiles) -> f64) -> Spread {
        Spread::of(
            self.rounds.iter().zip(&other.rounds).map(|(ours, theirs)| of(ours) / of(theirs)).collect(),
        )
    }
}
