//! Which balancers there are, which one is in force, and the swap of its table.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::routing::Routing;
use super::simple::SIMPLE;
use super::{Balancer, DeviceView, RoundRobin, Simple, Table, View};
use crate::algorithm::Algorithm;
use crate::clock::Nanos;
use crate::error::Error;
use crate::event::{Draft, EventKind, Severity};
use crate::shared::Shared;
use crate::stats::BalancerStatus;

/// The registered balancers; the first is built in.
pub(crate) struct Planner {
    balancers: Vec<Box<dyn Balancer>>,
    current: usize,
    since: Nanos,
    switches: u64,
}

impl std::fmt::Debug for Planner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Planner").field("current", &self.name()).finish_non_exhaustive()
    }
}

impl Planner {
    pub(crate) fn new(now: Nanos) -> Self {
        Self { balancers: vec![Box::new(Simple), Box::new(RoundRobin)], current: 0, since: now, switches: 0 }
    }

    fn name(&self) -> &str {
        self.balancers[self.current].name()
    }

    fn position(&self, name: &str) -> Result<usize, Error> {
        self.balancers
            .iter()
            .position(|balancer| balancer.name() == name)
            .ok_or_else(|| Error::UnknownBalancer { name: name.to_owned() })
    }

    fn switch(&mut self, to: usize, now: Nanos) {
        self.current = to;
        self.since = now;
        self.switches += 1;
    }
}

impl Shared {
    /// Lets the balancer in force write a new table, and puts it in force.
    pub(crate) fn replan(&self) {
        let mut planner = self.planner.lock();
        self.replan_locked(&mut planner);
    }

    fn replan_locked(&self, planner: &mut Planner) {
        let devices = self.devices.load_full();
        let view = View {
            devices: devices
                .iter()
                .filter(|device| device.state().is_usable())
                .map(|device| DeviceView {
                    id: device.id,
                    name: device.name.clone(),
                    kind: device.info.kind,
                    state: device.state(),
                    algorithms: Algorithm::ALL.iter().copied().filter(|a| device.knows(*a)).collect(),
                    backlog_ops: device.backlog_ops(),
                })
                .collect(),
        };
        let mut table = Table::default();
        let current = planner.current;
        let balancer = &mut planner.balancers[current];
        if catch_unwind(AssertUnwindSafe(|| balancer.plan(&view, &mut table))).is_err() {
            let from = planner.name().to_owned();
            planner.switch(0, self.now());
            self.lb_event(&from, SIMPLE, "the balancer's plan panicked", Severity::Error, self.owner);
            table = Table::default();
            Simple.plan(&view, &mut table);
        }
        self.routing.store(Arc::new(Routing::new(&table, &devices)));
    }

    pub(crate) fn set_balancer(&self, name: &str, if_current: Option<&str>, uid: u32) -> Result<(), Error> {
        let mut planner = self.planner.lock();
        let to = planner.position(name)?;
        let from = planner.name().to_owned();
        if let Some(expected) = if_current.filter(|expected| *expected != from) {
            return Err(Error::BalancerChanged { current: from, expected: expected.to_owned() });
        }
        if to != planner.current {
            planner.switch(to, self.now());
            self.lb_event(&from, name, "", Severity::Info, uid);
            self.replan_locked(&mut planner);
        }
        Ok(())
    }

    pub(crate) fn register_balancer(&self, balancer: Box<dyn Balancer>, uid: u32) -> Result<(), Error> {
        let name = balancer.name().to_owned();
        let mut planner = self.planner.lock();
        if planner.position(&name).is_ok() {
            return Err(Error::BalancerExists { name });
        }
        planner.balancers.push(balancer);
        self.events.push(Draft {
            kind: EventKind::Balancer,
            severity: Severity::Info,
            object: "lb",
            name,
            from: String::new(),
            to: "registered".to_owned(),
            reason: String::new(),
            uid,
        });
        Ok(())
    }

    pub(crate) fn unregister_balancer(&self, name: &str, uid: u32) -> Result<(), Error> {
        let mut planner = self.planner.lock();
        let position = planner.position(name)?;
        if position == 0 {
            return Err(Error::BalancerBuiltIn { name: name.to_owned() });
        }
        if position == planner.current {
            planner.switch(0, self.now());
            self.lb_event(name, SIMPLE, "unregistered", Severity::Warn, uid);
            self.replan_locked(&mut planner);
        }
        planner.balancers.remove(position);
        if planner.current > position {
            planner.current -= 1;
        }
        self.events.push(Draft {
            kind: EventKind::Balancer,
            severity: Severity::Info,
            object: "lb",
            name: name.to_owned(),
            from: "registered".to_owned(),
            to: "unregistered".to_owned(),
            reason: String::new(),
            uid,
        });
        Ok(())
    }

    pub(crate) fn balancer_status(&self) -> BalancerStatus {
        let planner = self.planner.lock();
        BalancerStatus {
            current: planner.name().to_owned(),
            since_ns: planner.since.0,
            available: planner.balancers.iter().map(|balancer| balancer.name().to_owned()).collect(),
            switches: planner.switches,
            moved_ops: self.shards.sum(|shard| &shard.moved),
        }
    }

    fn lb_event(&self, from: &str, to: &str, reason: &str, severity: Severity, uid: u32) {
        self.events.push(Draft {
            kind: EventKind::Balancer,
            severity,
            object: "lb",
            name: to.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            reason: reason.to_owned(),
            uid,
        });
    }
}
