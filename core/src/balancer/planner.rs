//! The planner: the machine that calls policies, and puts in force what they write.
//!
//! It has a thread of its own, and nobody else calls a policy: operations, workers and the control machine never wait
//! for one, and who asks for a plan waits for a bounded time. A policy that does not return is left behind with its
//! thread, and another planner takes charge. In simulated time the planner is polled like the other machines.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::accuracy::Trial;
use super::ejection::{Conduct, Ejection};
use super::registry::{Registry, Running, Task};
use super::routing::Routing;
use super::simple::SIMPLE;
use super::{Balancer, DeviceView, Parameter, Simple, Table, View};
use crate::algorithm::Algorithm;
use crate::clock::Nanos;
use crate::error::Error;
use crate::event::{Draft, EventKind, Severity};
use crate::foreign::guarded;
use crate::shared::Shared;
use crate::submit::SIZE_CLASSES;
use crate::sync::Lock;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::worker::control::TICK_NS;

/// Time between two plans of which nobody asked for, in nanoseconds.
pub(crate) const PLAN_TICK_NS: u64 = 100_000_000;
/// What the wait for a plan may take beyond its own limit, in nanoseconds.
const GRACE_NS: u64 = 1_000_000_000;

/// What planning shares with the rest of the runtime.
#[derive(Debug)]
pub(crate) struct Planning {
    pub(crate) registry: Lock<Registry>,
    /// Plans asked for.
    wanted: AtomicU64,
    /// The table in force. Whoever changes the routing holds it.
    table: Lock<Table>,
    thread: Lock<Option<JoinHandle<()>>>,
}

impl Planning {
    pub(crate) fn new(now: Nanos) -> Self {
        Self {
            registry: Lock::new(Registry::new(now)),
            wanted: AtomicU64::new(0),
            table: Lock::new(Table::default()),
            thread: Lock::new(None),
        }
    }

    fn wake(&self) {
        if let Some(thread) = &*self.thread.lock() {
            thread.thread().unpark();
        }
    }
}

/// What came of polling the planner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It did something; poll again.
    Worked,
    /// Nothing to do before this time, unless something is asked for.
    IdleUntil(Nanos),
    /// Another planner is in charge.
    Over,
}

enum Job {
    Plan { ticket: u64, switches: u64 },
    Predict { switches: u64, since: Nanos },
    Task(Task),
}

/// What is to be told when no lock is held.
#[derive(Default)]
pub(crate) struct Aftermath {
    events: Vec<Draft>,
    moves: Vec<super::Move>,
    served: Vec<Sender<()>>,
    /// Tables that were in force. Their rules may hold functions of a policy's own, whose destructors are too.
    replaced: Vec<(Table, Arc<Routing>)>,
}

/// What a plan came to.
struct Planned {
    table: Option<Table>,
    parameters: Option<Vec<Parameter>>,
}

impl Shared {
    /// Asks for a plan, and returns at once; the number is for [`Shared::wait_planned`].
    pub(crate) fn replan(&self) -> u64 {
        let ticket = self.planning.wanted.fetch_add(1, Ordering::SeqCst) + 1;
        self.routing.load().is_fresh.store(false, Ordering::SeqCst);
        self.planning.wake();
        ticket
    }

    /// Resolves the table in force against the devices there are now: the list has changed.
    pub(crate) fn rebind(&self) {
        let table = self.planning.table.lock();
        let before = self.routing.load_full();
        let devices = self.devices.load_full();
        let policy = Arc::clone(&before.policy);
        self.routing.store(Arc::new(Routing::new(&table, &devices, policy, &self.watch, Some(&before))));
    }

    /// Waits until a plan that was asked for is in force, or `Config::plan_max_ns` and a second are over: by then the
    /// planner has given it up.
    pub(crate) fn wait_planned(&self, ticket: u64) {
        if self.clock.is_simulated() {
            loop {
                let is_done = self.planning.registry.lock().done >= ticket;
                // A policy that asks for a plan while it plans finds itself running, and goes on.
                if is_done || self.poll_planner(0) != Turn::Worked {
                    return;
                }
            }
        }
        let is_planner = |thread: &JoinHandle<()>| thread.thread().id() == std::thread::current().id();
        if self.is_stopped() || self.planning.thread.lock().as_ref().is_some_and(is_planner) {
            return;
        }
        let (sender, receiver) = channel();
        {
            let mut registry = self.planning.registry.lock();
            if registry.done >= ticket {
                return;
            }
            registry.waiters.push((ticket, sender));
        }
        let _ = receiver.recv_timeout(self.patience());
    }

    /// How long anybody waits for a policy.
    fn patience(&self) -> Duration {
        Duration::from_nanos(self.config.plan_max_ns.saturating_add(GRACE_NS))
    }

    /// Has the planner do something with a policy, and waits for the reply. `None` when there is none in time.
    pub(crate) fn ask_planner<T>(&self, task: impl FnOnce(Sender<T>) -> Task) -> Option<T> {
        let (sender, receiver) = channel();
        self.planning.registry.lock().tasks.push_back(task(sender));
        if self.clock.is_simulated() {
            while self.poll_planner(0) == Turn::Worked {}
            return receiver.try_recv().ok();
        }
        self.planning.wake();
        receiver.recv_timeout(self.patience()).ok()
    }

    /// When the planner of simulated time is to be polled.
    pub(crate) fn planner_due(&self) -> Nanos {
        let registry = self.planning.registry.lock();
        let is_asked = self.planning.wanted.load(Ordering::SeqCst) > registry.done;
        let is_open = registry.trial.as_ref().is_some_and(Trial::is_open);
        if is_asked || is_open || !registry.tasks.is_empty() { Nanos(0) } else { registry.next_tick }
    }

    /// One turn of the planner number `life`.
    pub(crate) fn poll_planner(&self, life: u64) -> Turn {
        let now = self.now();
        let (job, name, mut balancer) = {
            let mut registry = self.planning.registry.lock();
            if registry.life != life {
                return Turn::Over;
            }
            if registry.running.is_some() {
                return Turn::IdleUntil(registry.next_tick);
            }
            let Some(job) = self.next_job(&mut registry, now) else {
                return Turn::IdleUntil(registry.next_tick);
            };
            let name = match &job {
                Job::Task(task) => task.name().to_owned(),
                _ => registry.current_name().to_owned(),
            };
            // A task for a policy that has gone meanwhile is dropped, and its caller hears so.
            let position = registry.position(&name).ok();
            let found = position.and_then(|position| registry.policies[position].balancer.take());
            let Some(balancer) = found else { return Turn::Worked };
            registry.running = Some(Running { name: name.clone(), ticks: 0 });
            (job, name, balancer)
        };
        let mut aftermath = Aftermath::default();
        let (balancer, is_over) = match job {
            Job::Plan { ticket, switches } => {
                let view = self.view();
                let mut table = Table::default();
                let is_whole = guarded(|| balancer.plan(&view, &mut table)).is_some();
                let parameters = guarded(|| balancer.parameters());
                let mut planned = Planned { table: is_whole.then_some(table), parameters };
                let finished = self.finish(life, &name, balancer, |shared, registry| {
                    let planned = &mut planned;
                    shared.conclude_plan(registry, &name, &view, planned, (ticket, switches), &mut aftermath);
                });
                guarded(|| drop(planned));
                finished
            }
            Job::Predict { switches, since } => {
                let fork = guarded(|| balancer.fork()).flatten();
                let prediction = fork.and_then(|fork| guarded(|| self.predict(fork, since)).flatten());
                self.finish(life, &name, balancer, |_, registry| {
                    if registry.switches == switches
                        && let Some(trial) = &mut registry.trial
                    {
                        trial.predicted(prediction);
                    }
                })
            }
            Job::Task(Task::Set { values, reply, .. }) => {
                let outcome = guarded(|| set_all(balancer.as_mut(), &values));
                let parameters = guarded(|| balancer.parameters());
                self.finish(life, &name, balancer, |_, registry| {
                    if let (Ok(position), Some(parameters)) = (registry.position(&name), parameters) {
                        registry.policies[position].parameters = parameters;
                    }
                    // Without an answer, because it panicked, the caller finds the line dead.
                    outcome.into_iter().for_each(|outcome| drop(reply.send(outcome)));
                })
            }
            Job::Task(Task::Try { values, reply, .. }) => {
                let outcome =
                    guarded(|| balancer.fork().map_or(Ok(()), |mut copy| set_all(copy.as_mut(), &values)));
                self.finish(life, &name, balancer, |_, _| {
                    outcome.into_iter().for_each(|outcome| drop(reply.send(outcome)));
                })
            }
            Job::Task(Task::Fork { reply, .. }) => {
                let fork = guarded(|| balancer.fork()).flatten();
                self.finish(life, &name, balancer, |_, _| drop(reply.send(fork)))
            }
        };
        // What nobody holds any more is dropped here: its destructor is the policy's own.
        guarded(|| drop(balancer));
        self.tell(aftermath);
        if is_over { Turn::Over } else { Turn::Worked }
    }

    fn next_job(&self, registry: &mut Registry, now: Nanos) -> Option<Job> {
        if let Some(task) = registry.tasks.pop_front() {
            return Some(Job::Task(task));
        }
        let (ticket, switches) = (self.planning.wanted.load(Ordering::SeqCst), registry.switches);
        if ticket > registry.done || now >= registry.next_tick {
            return Some(Job::Plan { ticket, switches });
        }
        let is_open = registry.trial.as_mut().is_some_and(|trial| trial.takes_prediction());
        is_open.then_some(Job::Predict { switches, since: registry.since })
    }

    /// Gives a policy back after a call. Returns it if nobody wants it any more, and whether this planner was given up.
    fn finish(
        &self,
        life: u64,
        name: &str,
        balancer: Box<dyn Balancer>,
        conclude: impl FnOnce(&Shared, &mut Registry),
    ) -> (Option<Box<dyn Balancer>>, bool) {
        let mut registry = self.planning.registry.lock();
        if registry.life != life {
            return (Some(balancer), true);
        }
        registry.running = None;
        let unwanted = match registry.position(name) {
            Ok(position) => registry.policies[position].balancer.replace(balancer),
            Err(_) => Some(balancer),
        };
        conclude(self, &mut registry);
        // Those that are left over hear that their line is dead.
        drop(registry.served());
        (unwanted, false)
    }

    fn conclude_plan(
        &self,
        registry: &mut Registry,
        name: &str,
        view: &View,
        planned: &mut Planned,
        (ticket, switches): (u64, u64),
        aftermath: &mut Aftermath,
    ) {
        registry.next_tick = self.now().plus(PLAN_TICK_NS);
        if registry.switches != switches {
            // Another policy was set meanwhile; its plan is asked for.
            return;
        }
        if let (Ok(position), Some(parameters)) = (registry.position(name), planned.parameters.take()) {
            registry.policies[position].parameters = parameters;
        }
        let Some(table) = &mut planned.table else {
            return self.eject(registry, "its plan panicked".to_owned(), aftermath);
        };
        let (able, served) = view.rows_served(table);
        if able > 0 && served == 0 {
            let devices = view.devices.len();
            let reason =
                format!("its table serves 0 of {able} rows that {devices} usable devices could serve");
            return self.eject(registry, reason, aftermath);
        }
        if let Some(reason) = registry.conduct.judge(self.watch.picks(), self.watch.misses.read()) {
            return self.eject(registry, reason, aftermath);
        }
        aftermath.moves = table.take_moves();
        self.install(name, std::mem::take(table), ticket, aftermath);
        registry.done = ticket;
        aftermath.served = registry.served();
        self.observe_trial(registry);
    }

    /// Puts a table in force, unless it is the one in force. The caller holds the registry.
    fn install(&self, policy: &str, table: Table, ticket: u64, aftermath: &mut Aftermath) {
        let mut in_force = self.planning.table.lock();
        let before = self.routing.load_full();
        let devices = self.devices.load_full();
        let is_same_list = before.devices().len() == devices.len()
            && before.devices().iter().zip(devices.iter()).all(|(a, b)| Arc::ptr_eq(a, b));
        if *before.policy != *policy || !is_same_list || *in_force != table {
            let policy = if *before.policy == *policy { Arc::clone(&before.policy) } else { policy.into() };
            self.routing.store(Arc::new(Routing::new(&table, &devices, policy, &self.watch, Some(&before))));
            aftermath.replaced.push((std::mem::replace(&mut *in_force, table), before));
        }
        let routing = self.routing.load();
        routing.is_fresh.store(true, Ordering::SeqCst);
        if self.planning.wanted.load(Ordering::SeqCst) > ticket {
            routing.is_fresh.store(false, Ordering::SeqCst);
        }
    }

    /// Takes the policy in force out of it, and puts the built-in one in.
    fn eject(&self, registry: &mut Registry, reason: String, aftermath: &mut Aftermath) {
        let name = registry.current_name().to_owned();
        if name != SIMPLE {
            registry.ejection = Some(Ejection::new(&name, reason.clone(), self.now()));
            self.switch_to(registry, 0);
            aftermath.events.push(lb_event(&name, SIMPLE, &reason, Severity::Error, self.owner));
        }
        self.install_simple(registry, aftermath);
    }

    /// The built-in policy cannot fail, and needs no planner.
    pub(crate) fn install_simple(&self, registry: &mut Registry, aftermath: &mut Aftermath) {
        let ticket = self.planning.wanted.load(Ordering::SeqCst);
        let mut table = Table::default();
        Simple.plan(&self.view(), &mut table);
        self.install(SIMPLE, table, ticket, aftermath);
        registry.done = ticket;
        aftermath.served.extend(registry.served());
    }

    pub(crate) fn switch_to(&self, registry: &mut Registry, position: usize) {
        let conduct = Conduct::new(self.watch.picks(), self.watch.misses.read());
        registry.switch(position, self.now(), conduct);
    }

    pub(crate) fn tell(&self, aftermath: Aftermath) {
        for replaced in aftermath.replaced {
            guarded(|| drop(replaced));
        }
        for event in aftermath.events {
            self.events.push(event);
        }
        self.carry_out(&aftermath.moves);
        for sender in aftermath.served {
            let _ = sender.send(());
        }
    }

    /// Looks whether the planner is stuck in a policy. Called by the control machine at each tick.
    pub(crate) fn watch_planner(self: &Arc<Self>) {
        let mut aftermath = Aftermath::default();
        let lost = {
            let Some(mut registry) = self.planning.registry.try_lock() else { return };
            let Some(running) = &mut registry.running else { return };
            running.ticks += 1;
            if running.ticks.saturating_mul(TICK_NS) <= self.config.plan_max_ns {
                return;
            }
            let name = running.name.clone();
            registry.running = None;
            registry.life += 1;
            match registry.position(&name) {
                // The built-in one cannot stall; the machine did.
                Ok(0) => {
                    registry.policies[0].balancer = Some(Box::new(Simple));
                    None
                }
                Ok(position) => {
                    let reason =
                        format!("it did not return within {} ms", self.config.plan_max_ns / 1_000_000);
                    let event = lb_event("registered", "unregistered", &reason, Severity::Error, self.owner);
                    if position == registry.current {
                        self.eject(&mut registry, reason, &mut aftermath);
                    }
                    aftermath.events.push(Draft { name, ..event });
                    Some(registry.remove(position))
                }
                // Unregistered meanwhile.
                Err(_) => None,
            }
        };
        drop(lost);
        self.tell(aftermath);
        self.start_planner();
    }

    /// Starts the thread of the planner in charge. Without one, tables stay as they are.
    pub(crate) fn start_planner(self: &Arc<Self>) -> bool {
        let (shared, life) = (Arc::clone(self), self.planning.registry.lock().life);
        let body = move || run_planner(&shared, life);
        let handle = std::thread::Builder::new().name("acrypto-plan".to_owned()).spawn(body).ok();
        let is_started = handle.is_some();
        // One that was given up is left to itself: it ends when its policy returns.
        *self.planning.thread.lock() = handle;
        is_started
    }

    /// Waits for the planner's thread when the runtime ends, unless it is stuck in a policy.
    pub(crate) fn join_planner(&self) {
        let Some(thread) = self.planning.thread.lock().take() else { return };
        thread.thread().unpark();
        let (sender, receiver) = channel();
        {
            let mut registry = self.planning.registry.lock();
            registry.tasks.clear();
            if registry.running.is_some() {
                registry.waiters.push((0, sender));
            } else {
                drop(sender);
            }
        }
        // The line goes dead when the plan is over, or at once if there was none.
        let _ = receiver.recv_timeout(Duration::from_nanos(self.config.plan_max_ns));
        let is_stuck = self.planning.registry.lock().running.is_some();
        if !is_stuck && thread.thread().id() != std::thread::current().id() {
            let _ = thread.join();
        }
    }

    /// A copy of the devices that may get work, for a policy to plan with.
    pub(crate) fn view(&self) -> View {
        let now = self.now();
        let devices = self.devices.load();
        let usable = devices.iter().filter(|device| device.state().is_usable());
        let least: Vec<u32> = Algorithm::ALL
            .iter()
            .map(|a| super::least_score(usable.clone().filter_map(|device| device.lane(*a)), self.workers))
            .collect();
        let view = |device: &Arc<crate::device::registry::Device>| {
            let (ahead, begun) = super::choice::Server::ahead_ops(device);
            let algorithms: Vec<_> = Algorithm::ALL.iter().copied().filter(|a| device.knows(*a)).collect();
            let gives_way =
                |a: &Algorithm| device.lane(*a).is_some_and(|lane| lane.score < least[*a as usize]);
            let places = algorithms.iter().flat_map(|a| (0..SIZE_CLASSES).map(|class| (*a, class)));
            let rates =
                places.filter_map(|(a, class)| Some((a, class, device.rates.at(a, class)?))).collect();
            let in_flight = if device.is_direct() { 0 } else { begun };
            DeviceView {
                id: device.id,
                name: device.name.clone(),
                kind: device.info.kind,
                is_direct: device.is_direct(),
                state: device.state(),
                standby: algorithms.iter().copied().filter(gives_way).collect(),
                algorithms,
                backlog_ops: ahead,
                queued_ops: device.ring.len(),
                busy_ns: device.rates.busy_ns(ahead, in_flight, now),
                overall: device.rates.overall(),
                rates,
            }
        };
        View { now, devices: usable.map(view).collect() }
    }
}

/// Sets all parameters, or none.
fn set_all(balancer: &mut dyn Balancer, values: &[(String, String)]) -> Result<(), Error> {
    let before = balancer.parameters();
    for (done, (name, value)) in values.iter().enumerate() {
        if let Err(error) = balancer.set(name, value) {
            for (name, _) in &values[..done] {
                let old = before.iter().find(|parameter| parameter.name == *name);
                // Where it had no value before, the policy's own word for that is all there is.
                let old = old.map_or("auto", |parameter| parameter.value.as_str());
                let _ = balancer.set(name, old);
            }
            return Err(error);
        }
    }
    Ok(())
}

pub(crate) fn lb_event(from: &str, to: &str, reason: &str, severity: Severity, uid: u32) -> Draft {
    Draft {
        kind: EventKind::Balancer,
        severity,
        object: "lb",
        name: to.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        reason: reason.to_owned(),
        uid,
    }
}

fn run_planner(shared: &Arc<Shared>, life: u64) {
    while !shared.is_stopped() {
        match shared.poll_planner(life) {
            Turn::Worked => {}
            Turn::IdleUntil(due) => {
                let wait_ns = due.since(shared.now()).max(1);
                std::thread::park_timeout(Duration::from_nanos(wait_ns));
            }
            Turn::Over => return,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::balancer::{Chooser, Rule};
    use crate::{Config, Runtime};

    /// Captured by a rule: looks at its end whether it may take its time, and panics.
    struct Captured(Arc<Shared>, Arc<AtomicUsize>);

    impl Drop for Captured {
        fn drop(&mut self) {
            let planning = &self.0.planning;
            assert!(planning.registry.try_lock().is_some() && planning.table.try_lock().is_some());
            self.1.fetch_add(1, Ordering::Relaxed);
            panic!("a destructor of a policy's own");
        }
    }

    struct Choosing(Arc<Shared>, Arc<AtomicUsize>);

    impl Balancer for Choosing {
        fn name(&self) -> &str {
            "choosing_lb"
        }

        fn plan(&mut self, view: &View, table: &mut Table) {
            let captured = Captured(Arc::clone(&self.0), Arc::clone(&self.1));
            let chooser = Chooser::new(move |_| {
                let _ = &captured;
                None
            });
            let rule = Rule::Choose(chooser);
            for algorithm in Algorithm::ALL {
                table.set_all(*algorithm, &rule, &view.candidates(*algorithm));
            }
        }
    }

    #[test]
    fn i6_functions_of_a_table_that_was_replaced_end_when_no_lock_is_held() {
        let runtime = Runtime::unthreaded(Config::default());
        runtime.add_device_of_kind("null0", "null", &[], 0).unwrap();
        let ended = Arc::new(AtomicUsize::new(0));
        let policy = Choosing(Arc::clone(&runtime.shared), Arc::clone(&ended));
        runtime.register_balancer(Box::new(policy), 0).unwrap();
        runtime.set_balancer("choosing_lb", None, 0).unwrap();
        let plans = |count: usize| {
            (0..count).for_each(|_| runtime.shared.wait_planned(runtime.shared.replan()));
            ended.load(Ordering::Relaxed)
        };
        assert_eq!(plans(3), 3);
        runtime.unregister_balancer("choosing_lb", 0).unwrap();
        assert_eq!(plans(1), 4);
    }
}
