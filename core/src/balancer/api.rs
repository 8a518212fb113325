//! Switching, registering and setting policies from outside.

use super::planner::{Aftermath, lb_event};
use super::registry::{Policy, Task};
use super::simple::SIMPLE;
use super::{Balancer, Parameter};
use crate::error::Error;
use crate::event::{Draft, Severity};
use crate::runtime::{Runtime, check_name};
use crate::shared::Shared;
use crate::stats::BalancerStatus;

/// How to switch the balancer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetBalancer {
    /// Only if this one is in force.
    pub if_current: Option<String>,
    /// Place what is queued on devices anew, by the new policy.
    pub rehash: bool,
    /// Parameters to set first: all of them, or nothing is changed.
    pub parameters: Vec<(String, String)>,
}

impl Shared {
    pub(crate) fn set_balancer(&self, name: &str, options: &SetBalancer, uid: u32) -> Result<(), Error> {
        {
            let registry = self.planning.registry.lock();
            registry.position(name)?;
            check_current(registry.current_name(), options.if_current.as_deref())?;
        }
        if !options.parameters.is_empty() {
            self.set_parameters(name, &options.parameters, uid)?;
        }
        let total = self.stats().total;
        let from = {
            let mut registry = self.planning.registry.lock();
            let to = registry.position(name)?;
            let from = registry.current_name().to_owned();
            check_current(&from, options.if_current.as_deref())?;
            if to != registry.current {
                self.begin_trial(&mut registry, to, total);
                Some((from, registry.since))
            } else {
                None
            }
        };
        if let Some((from, since)) = from {
            self.events.push(lb_event(&from, name, "", Severity::Info, uid));
            self.wait_planned(self.replan());
            let registry = self.planning.registry.lock();
            let ejection = registry.ejection.as_ref();
            if let Some(ejection) = ejection.filter(|e| e.name == name && e.time_ns >= since.0)
                && registry.current_name() != name
            {
                return Err(Error::BalancerEjected {
                    name: name.to_owned(),
                    reason: ejection.reason.clone(),
                });
            }
        }
        if options.rehash {
            self.rehash(uid);
        }
        Ok(())
    }

    fn set_parameters(&self, name: &str, values: &[(String, String)], uid: u32) -> Result<(), Error> {
        self.planning.registry.lock().position(name)?;
        let task = |reply| Task::Set { name: name.to_owned(), values: values.to_vec(), reply };
        let no_answer = || Error::BalancerEjected {
            name: name.to_owned(),
            reason: "it did not take its parameters".to_owned(),
        };
        self.ask_planner(task).ok_or_else(no_answer)??;
        let set: Vec<_> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.events.push(Draft {
            name: name.to_owned(),
            ..lb_event("", "set", &set.join(" "), Severity::Info, uid)
        });
        if self.planning.registry.lock().current_name() == name {
            self.wait_planned(self.replan());
        }
        Ok(())
    }

    /// Whether a policy would take parameters; one that cannot be copied says so when they are set.
    pub(crate) fn try_parameters(&self, name: &str, values: &[(String, String)]) -> Result<(), Error> {
        let task = |reply| Task::Try { name: name.to_owned(), values: values.to_vec(), reply };
        self.ask_planner(task).ok_or_else(|| Error::BalancerEjected {
            name: name.to_owned(),
            reason: "it did not look at its parameters".to_owned(),
        })?
    }

    fn register_balancer(&self, balancer: Box<dyn Balancer>, uid: u32) -> Result<(), Error> {
        let policy = Policy::new(balancer);
        let name = policy.name.clone();
        {
            let mut registry = self.planning.registry.lock();
            if registry.position(&name).is_ok() {
                return Err(Error::BalancerExists { name });
            }
            if registry.policies.len() >= self.config.balancers_max {
                return Err(Error::Limit { what: "balancers", limit: self.config.balancers_max });
            }
            registry.policies.push(policy);
        }
        self.registration_event(&name, "", "registered", uid);
        Ok(())
    }

    fn unregister_balancer(&self, name: &str, uid: u32) -> Result<(), Error> {
        let mut aftermath = Aftermath::default();
        let (removed, was_current) = {
            let mut registry = self.planning.registry.lock();
            let position = registry.position(name)?;
            if position == 0 {
                return Err(Error::BalancerBuiltIn { name: name.to_owned() });
            }
            let was_current = position == registry.current;
            if was_current {
                self.switch_to(&mut registry, 0);
                self.install_simple(&mut registry, &mut aftermath);
            }
            (registry.remove(position), was_current)
        };
        // Its destructor is its own.
        drop(removed);
        self.tell(aftermath);
        if was_current {
            self.events.push(lb_event(name, SIMPLE, "unregistered", Severity::Warn, uid));
        }
        self.registration_event(name, "registered", "unregistered", uid);
        Ok(())
    }

    fn registration_event(&self, name: &str, from: &str, to: &str, uid: u32) {
        self.events.push(Draft { name: name.to_owned(), ..lb_event(from, to, "", Severity::Info, uid) });
    }

    fn balancer_status(&self) -> BalancerStatus {
        let registry = self.planning.registry.lock();
        BalancerStatus {
            current: registry.current_name().to_owned(),
            since_ns: registry.since.0,
            available: registry.policies.iter().map(|policy| policy.name.clone()).collect(),
            switches: registry.switches,
            moved_ops: self.shards.sum(|shard| &shard.moved),
            parameters: registry.policies[registry.current].parameters.clone(),
            ejection: registry.ejection.clone(),
            accuracy: registry.trial.as_ref().and_then(|trial| trial.accuracy()),
        }
    }
}

fn check_current(current: &str, expected: Option<&str>) -> Result<(), Error> {
    match expected.filter(|expected| *expected != current) {
        Some(expected) => {
            Err(Error::BalancerChanged { current: current.to_owned(), expected: expected.to_owned() })
        }
        None => Ok(()),
    }
}

impl Runtime {
    /// The balancer in force and those there are.
    pub fn balancer(&self) -> BalancerStatus {
        self.shared.balancer_status()
    }

    /// Puts another balancer in force; what is queued stays where it is. Returns when its first plan is in force, and
    /// within `Config::plan_max_ns` and a second.
    ///
    /// # Errors
    /// [`Error::UnknownBalancer`]; [`Error::BalancerChanged`] when `if_current` is not in force;
    /// [`Error::BalancerEjected`] when its first plan panicked, did not end or served nothing: `simple_lb` is in force
    /// then.
    pub fn set_balancer(&self, name: &str, if_current: Option<&str>, uid: u32) -> Result<(), Error> {
        let options = SetBalancer { if_current: if_current.map(str::to_owned), ..SetBalancer::default() };
        self.shared.set_balancer(name, &options, uid)
    }

    /// Puts another balancer in force, with parameters, or with what is queued placed anew. One that is in force
    /// already only gets the parameters and the rehash.
    ///
    /// # Errors
    /// As [`Runtime::set_balancer`] and [`Runtime::set_balancer_parameters`].
    pub fn set_balancer_with(&self, name: &str, options: &SetBalancer, uid: u32) -> Result<(), Error> {
        self.shared.set_balancer(name, options, uid)
    }

    /// What can be set of a balancer, with the present values.
    ///
    /// # Errors
    /// [`Error::UnknownBalancer`].
    pub fn balancer_parameters(&self, name: &str) -> Result<Vec<Parameter>, Error> {
        let registry = self.shared.planning.registry.lock();
        Ok(registry.policies[registry.position(name)?].parameters.clone())
    }

    /// Sets parameters of a balancer, in force or not: all of them, or none. If it is in force, returns when a plan
    /// that goes by them is.
    ///
    /// # Errors
    /// [`Error::UnknownBalancer`], [`Error::UnknownParameter`], [`Error::BadParameter`]; [`Error::BalancerEjected`] when
    /// the policy panicked over it or did not answer in time.
    pub fn set_balancer_parameters(
        &self,
        name: &str,
        values: &[(String, String)],
        uid: u32,
    ) -> Result<(), Error> {
        self.shared.set_parameters(name, values, uid)
    }

    /// Adds a policy of the caller's; it is not in force until it is set.
    ///
    /// # Errors
    /// [`Error::BalancerExists`], [`Error::BadName`], [`Error::Limit`].
    pub fn register_balancer(&self, balancer: Box<dyn Balancer>, uid: u32) -> Result<(), Error> {
        check_name(balancer.name())?;
        self.shared.register_balancer(balancer, uid)
    }

    /// Removes a policy; if it is in force, `simple_lb` takes over.
    ///
    /// # Errors
    /// [`Error::UnknownBalancer`], [`Error::BalancerBuiltIn`].
    pub fn unregister_balancer(&self, name: &str, uid: u32) -> Result<(), Error> {
        self.shared.unregister_balancer(name, uid)
    }
}
