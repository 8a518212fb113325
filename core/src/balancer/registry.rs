//! Which policies there are, and which one is in force.

use std::collections::VecDeque;
use std::sync::mpsc::Sender;

use super::accuracy::Trial;
use super::ejection::{Conduct, Ejection};
use super::{Balancer, Failover, Latency, Parameter, RoundRobin, Simple, Size, Weighted};
use crate::clock::Nanos;
use crate::error::Error;

/// One registered policy.
pub(crate) struct Policy {
    pub(crate) name: String,
    /// Elsewhere while the planner calls it.
    pub(crate) balancer: Option<Box<dyn Balancer>>,
    /// As of its latest call.
    pub(crate) parameters: Vec<Parameter>,
}

impl Policy {
    pub(crate) fn new(balancer: Box<dyn Balancer>) -> Self {
        Self { name: balancer.name().to_owned(), parameters: balancer.parameters(), balancer: Some(balancer) }
    }
}

/// What the planner is asked to do with a policy beside planning.
pub(crate) enum Task {
    /// Set parameters: all or none.
    Set { name: String, values: Vec<(String, String)>, reply: Sender<Result<(), Error>> },
    /// Set parameters of a copy, to hear what it says. One that cannot be copied is not asked.
    Try { name: String, values: Vec<(String, String)>, reply: Sender<Result<(), Error>> },
    /// Copy it.
    Fork { name: String, reply: Sender<Option<Box<dyn Balancer>>> },
}

impl Task {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Set { name, .. } | Self::Try { name, .. } | Self::Fork { name, .. } => name,
        }
    }
}

/// A policy that the planner is calling.
pub(crate) struct Running {
    pub(crate) name: String,
    /// How often the control machine has seen it. Counted and not timed: when the whole process stood still, it is not
    /// the policy that is slow.
    pub(crate) ticks: u64,
}

/// The policies.
pub(crate) struct Registry {
    /// The first is built in.
    pub(crate) policies: Vec<Policy>,
    pub(crate) current: usize,
    pub(crate) since: Nanos,
    pub(crate) switches: u64,
    /// Number of the planner that is in charge. One whose policy did not return has an older number.
    pub(crate) life: u64,
    /// Requests for a plan that are served.
    pub(crate) done: u64,
    pub(crate) next_tick: Nanos,
    pub(crate) running: Option<Running>,
    pub(crate) tasks: VecDeque<Task>,
    /// Who waits for which request to be served.
    pub(crate) waiters: Vec<(u64, Sender<()>)>,
    pub(crate) ejection: Option<Ejection>,
    pub(crate) conduct: Conduct,
    pub(crate) trial: Option<Trial>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("current", &self.current_name()).finish_non_exhaustive()
    }
}

impl Registry {
    pub(crate) fn new(now: Nanos) -> Self {
        let built_in: [Box<dyn Balancer>; 6] = [
            Box::new(Simple),
            Box::new(RoundRobin),
            Box::new(Weighted::default()),
            Box::new(Latency::default()),
            Box::new(Size::default()),
            Box::new(Failover::default()),
        ];
        Self {
            policies: built_in.into_iter().map(Policy::new).collect(),
            current: 0,
            since: now,
            switches: 0,
            life: 0,
            done: 0,
            next_tick: now,
            running: None,
            tasks: VecDeque::new(),
            waiters: Vec::new(),
            ejection: None,
            conduct: Conduct::default(),
            trial: None,
        }
    }

    pub(crate) fn current_name(&self) -> &str {
        &self.policies[self.current].name
    }

    pub(crate) fn position(&self, name: &str) -> Result<usize, Error> {
        self.policies
            .iter()
            .position(|policy| policy.name == name)
            .ok_or_else(|| Error::UnknownBalancer { name: name.to_owned() })
    }

    pub(crate) fn switch(&mut self, to: usize, now: Nanos, conduct: Conduct) {
        self.current = to;
        self.since = now;
        self.switches += 1;
        self.conduct = conduct;
        self.trial = None;
    }

    /// Takes a policy out of the list; the built-in one is in force if it was.
    pub(crate) fn remove(&mut self, position: usize) -> Policy {
        if self.current > position {
            self.current -= 1;
        }
        self.policies.remove(position)
    }

    /// Takes those whose request is served off the list of those who wait.
    pub(crate) fn served(&mut self) -> Vec<Sender<()>> {
        let done = self.done;
        let (served, waiting) = std::mem::take(&mut self.waiters).into_iter().partition(|(n, _)| *n <= done);
        self.waiters = waiting;
        served.into_iter().map(|(_, sender)| sender).collect()
    }
}
