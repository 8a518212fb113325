//! What can be set of a runtime, as plain data: to save it, and to make another one like it. It holds no secret: keys
//! and sessions are not part of it.

use std::fmt;

use crate::balancer::{Balancer as _, Parameter, Simple};
use crate::config::Config;
use crate::device::kind;
use crate::error::Error;
use crate::health::check_shadow;
use crate::runtime::{Runtime, check_name};
use crate::session_life::check_tenant;
use crate::setting::SETTINGS;
use crate::stats::DeviceStatus;
use crate::tenant::TENANT_WEIGHT_MAX;

/// Value of a parameter that a policy finds itself; it is no part of a setup.
pub const AUTO: &str = "auto";

/// A runtime's configuration, devices, balancer and tenants.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// Limits and time-outs. They are fixed when the runtime starts.
    pub config: Config,
    /// Its devices, in the order they are added.
    pub devices: Vec<DeviceSetup>,
    /// The balancer in force.
    pub balancer: String,
    /// Parameters of balancers, in force or not: name, parameters.
    pub balancer_parameters: Vec<(String, Vec<(String, String)>)>,
    /// Tenants with a weight or a limit of their own.
    pub tenants: Vec<TenantSetup>,
}

/// A device of a built-in kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceSetup {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Parameters of its kind.
    pub parameters: Vec<(String, String)>,
    /// Share of its operations, 0 to 1, that is carried out once more and held until both agree.
    pub shadow_rate: f64,
}

/// A tenant's share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantSetup {
    /// Its name.
    pub name: String,
    /// Weight of its share.
    pub weight: u32,
    /// Most operations on their way; 0 for no limit of its own.
    pub limit_ops: u64,
}

/// A part of a [`Setup`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The runtime as a whole.
    Runtime,
    /// The field of [`Config`] with this name.
    Setting(&'static str),
    /// The device with this name.
    Device(String),
    /// The balancer with this name.
    Balancer(String),
    /// The tenant with this name.
    Tenant(String),
}

/// A part of a [`Setup`] that cannot be as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct SetupError {
    /// The part.
    pub part: Part,
    /// Why not.
    pub error: Error,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime => f.write_str("runtime"),
            Self::Setting(name) => write!(f, "setting '{name}'"),
            Self::Device(name) => write!(f, "device '{name}'"),
            Self::Balancer(name) => write!(f, "balancer '{name}'"),
            Self::Tenant(name) => write!(f, "tenant '{name}'"),
        }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            config: Config::default(),
            devices: Vec::new(),
            balancer: Simple.name().to_owned(),
            balancer_parameters: Vec::new(),
            tenants: Vec::new(),
        }
    }
}

impl Setup {
    /// Whether a runtime can be like this, as far as can be told without making one.
    ///
    /// # Errors
    /// The first part that cannot be as it is.
    pub fn check(&self) -> Result<(), SetupError> {
        self.check_without_balancer()?;
        // A runtime without devices tells what it would say to the balancer.
        let small = Config { main_queue_max_ops: 1, events_max: 8, workers: 1, ..Config::default() };
        Runtime::unthreaded(small).check_balancer(self)
    }

    fn check_without_balancer(&self) -> Result<(), SetupError> {
        for setting in SETTINGS {
            setting.check(setting.value(&self.config)).map_err(at(|| Part::Setting(setting.name)))?;
        }
        for (number, device) in self.devices.iter().enumerate() {
            let earlier = &self.devices[..number];
            device
                .check(earlier, self.config.devices_max)
                .map_err(at(|| Part::Device(device.name.clone())))?;
        }
        for tenant in &self.tenants {
            tenant.check().map_err(at(|| Part::Tenant(tenant.name.clone())))?;
        }
        Ok(())
    }

    /// Starts a runtime like this, its devices and balancer set by `uid`; blocks until known answers have passed.
    ///
    /// # Errors
    /// The first part that cannot be as it is.
    pub fn start(&self, uid: u32) -> Result<Runtime, SetupError> {
        self.check()?;
        let runtime = Runtime::start(self.config.clone()).map_err(at(|| Part::Runtime))?;
        runtime.apply(self, uid)?;
        Ok(runtime)
    }
}

impl DeviceSetup {
    fn check(&self, earlier: &[DeviceSetup], devices_max: usize) -> Result<(), Error> {
        check_name(&self.name)?;
        kind::build(&self.kind, &self.parameters)?;
        check_shadow(self.shadow_rate)?;
        if earlier.iter().any(|other| other.name == self.name) {
            return Err(Error::DeviceExists { name: self.name.clone() });
        }
        if earlier.len() >= devices_max {
            return Err(Error::Limit { what: "devices", limit: devices_max });
        }
        Ok(())
    }

    fn is(&self, kind: &str, parameters: &[(String, String)]) -> bool {
        self.kind == kind && self.parameters == parameters
    }
}

impl TenantSetup {
    fn check(&self) -> Result<(), Error> {
        check_tenant(&self.name)?;
        if (1..=TENANT_WEIGHT_MAX).contains(&self.weight) {
            return Ok(());
        }
        Err(Error::BadParameter {
            name: "weight".to_owned(),
            value: self.weight.to_string(),
            expected: format!("from 1 to {TENANT_WEIGHT_MAX}"),
        })
    }
}

fn at(part: impl FnOnce() -> Part) -> impl FnOnce(Error) -> SetupError {
    |error| SetupError { part: part(), error }
}

impl Runtime {
    /// What is set now. A device that is no built-in kind's is left out, since it cannot be made from data; so are faults.
    pub fn setup(&self) -> Setup {
        let is_saved = |device: &DeviceStatus| {
            let is_removed = device.leaving.is_some_and(|leaving| leaving.is_removal);
            !is_removed && kind::KINDS.contains(&device.kind)
        };
        let devices = self.devices().into_iter().filter(is_saved);
        let tenants = self.tenants().into_iter().filter(|tenant| tenant.weight != 1 || tenant.limit_ops != 0);
        Setup {
            config: self.config().clone(),
            devices: devices
                .map(|device| DeviceSetup {
                    name: device.name,
                    kind: device.kind.to_owned(),
                    parameters: device.parameters,
                    shadow_rate: device.shadow_rate,
                })
                .collect(),
            balancer: self.balancer().current,
            balancer_parameters: self.parameters_of_balancers(),
            tenants: tenants
                .map(|tenant| TenantSetup {
                    name: tenant.name,
                    weight: tenant.weight,
                    limit_ops: tenant.limit_ops,
                })
                .collect(),
        }
    }

    /// Makes the runtime like this: adds the devices it lacks, sets tenants and the balancer. What the setup does not
    /// name stays as it is. Returns the settings that differ and wait for the next start. Blocks until known answers
    /// have passed.
    ///
    /// # Errors
    /// The first part that cannot be as it is; those before it (tenants, then devices, then the balancer) are done.
    pub fn apply(&self, setup: &Setup, uid: u32) -> Result<Vec<&'static str>, SetupError> {
        setup.check_without_balancer()?;
        self.check_balancer(setup)?;
        for tenant in &setup.tenants {
            self.set_tenant(&tenant.name, Some(tenant.weight), Some(tenant.limit_ops), uid)
                .map_err(at(|| Part::Tenant(tenant.name.clone())))?;
        }
        for device in &setup.devices {
            self.apply_device(device, uid).map_err(at(|| Part::Device(device.name.clone())))?;
        }
        self.apply_balancer(setup, uid)?;
        let differs = SETTINGS.iter().filter(|one| one.value(self.config()) != one.value(&setup.config));
        Ok(differs.map(|setting| setting.name).collect())
    }

    fn apply_device(&self, setup: &DeviceSetup, uid: u32) -> Result<(), Error> {
        match self.device(&setup.name) {
            Ok(present) if setup.is(present.kind, &present.parameters) => {}
            Ok(_) => return Err(Error::DeviceExists { name: setup.name.clone() }),
            Err(_) => {
                self.add_device_of_kind(&setup.name, &setup.kind, &setup.parameters, uid)?;
            }
        }
        self.set_shadow(&setup.name, setup.shadow_rate, uid)
    }

    fn parameters_of_balancers(&self) -> Vec<(String, Vec<(String, String)>)> {
        let parameters = |name: String| {
            // One that was unregistered meanwhile has none.
            let all = self.balancer_parameters(&name).unwrap_or_default();
            let is_set = |parameter: &Parameter| parameter.value != AUTO;
            let set = all.into_iter().filter(is_set).map(|parameter| (parameter.name, parameter.value));
            (name, set.collect::<Vec<_>>())
        };
        self.balancer().available.into_iter().map(parameters).filter(|(_, all)| !all.is_empty()).collect()
    }

    /// Policies may be registered here that no other runtime has.
    fn check_balancer(&self, setup: &Setup) -> Result<(), SetupError> {
        for (name, parameters) in &setup.balancer_parameters {
            let check = |changed: &[_]| self.shared.try_parameters(name, changed);
            self.with_changed(name, parameters, check).map_err(at(|| Part::Balancer(name.clone())))?;
        }
        let balancer = || Part::Balancer(setup.balancer.clone());
        self.balancer_parameters(&setup.balancer).map(drop).map_err(at(balancer))
    }

    /// Hands over those parameters of a policy that are not so already, if there are any.
    fn with_changed(
        &self,
        name: &str,
        parameters: &[(String, String)],
        set: impl FnOnce(&[(String, String)]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let present = self.balancer_parameters(name)?;
        let is_new = |(name, value): &&(String, String)| {
            !present.iter().any(|one| (&one.name, &one.value) == (name, value))
        };
        let changed: Vec<_> = parameters.iter().filter(is_new).cloned().collect();
        if changed.is_empty() { Ok(()) } else { set(&changed) }
    }

    fn apply_balancer(&self, setup: &Setup, uid: u32) -> Result<(), SetupError> {
        for (name, parameters) in &setup.balancer_parameters {
            let set = |changed: &[_]| self.set_balancer_parameters(name, changed, uid);
            self.with_changed(name, parameters, set).map_err(at(|| Part::Balancer(name.clone())))?;
        }
        let balancer = || Part::Balancer(setup.balancer.clone());
        if self.balancer().current != setup.balancer {
            self.set_balancer(&setup.balancer, None, uid).map_err(at(balancer))?;
        }
        Ok(())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::balancer::{Balancer, Table, View};

    fn device(name: &str, kind: &str, parameters: &[(&str, &str)]) -> DeviceSetup {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        DeviceSetup {
            name: name.to_owned(),
            kind: kind.to_owned(),
            parameters: parameters.collect(),
            shadow_rate: 0.0,
        }
    }

    fn setup() -> Setup {
        Setup {
            config: Config {
                workers: 1,
                main_queue_max_ops: 99,
                deadline_ns: 5_000_000,
                ..Config::default()
            },
            devices: vec![
                device("soft0", "soft", &[]),
                device("sim0", "sim", &[("lanes", "2"), ("seed", "9")]),
            ],
            balancer: "round_robin_lb".to_owned(),
            balancer_parameters: Vec::new(),
            tenants: vec![
                TenantSetup { name: "web".to_owned(), weight: 3, limit_ops: 0 },
                TenantSetup { name: "uid:1000".to_owned(), weight: 1, limit_ops: 5 },
            ],
        }
    }

    #[track_caller]
    fn refusal(change: impl FnOnce(&mut Setup)) -> (Part, String) {
        let mut setup = setup();
        change(&mut setup);
        let SetupError { part, error } = setup.check().expect_err("the change is not good");
        (part, error.to_string())
    }

    #[test]
    fn a_runtime_is_as_its_setup_said() {
        let runtime = setup().start(0).unwrap();
        let expected = Setup { balancer_parameters: runtime.setup().balancer_parameters, ..setup() };
        assert_eq!(runtime.setup(), expected);
        assert_eq!(runtime.apply(&expected, 0), Ok(Vec::new()));
        assert_eq!(runtime.setup(), expected);
    }

    #[test]
    fn parameters_of_balancers_in_force_or_not_are_in_the_setup() {
        let runtime = setup().start(0).unwrap();
        let set = |name: &str, parameter: &str, value: &str| {
            let values = [(parameter.to_owned(), value.to_owned())];
            runtime.set_balancer_parameters(name, &values, 0).unwrap();
        };
        set("failover_lb", "primary", "sim0");
        set("weighted_lb", "soft0", "7");
        set("size_lb", "threshold_bytes", "4096");
        let saved = runtime.setup();
        let of = |name: &str| saved.balancer_parameters.iter().find(|(of, _)| of == name).unwrap().1.clone();
        assert!(of("failover_lb").contains(&("primary".to_owned(), "sim0".to_owned())));
        assert!(of("size_lb").contains(&("threshold_bytes".to_owned(), "4096".to_owned())));
        assert_eq!(of("weighted_lb"), [("soft0".to_owned(), "7".to_owned())]);
        assert_eq!(saved.start(0).unwrap().setup(), saved);
    }

    #[derive(Clone)]
    struct Own(u8);

    impl Balancer for Own {
        fn name(&self) -> &str {
            "own_lb"
        }
        fn plan(&mut self, view: &View, table: &mut Table) {
            Simple.plan(view, table);
        }
        fn parameters(&self) -> Vec<Parameter> {
            vec![Parameter::new("pace", self.0, "")]
        }
        fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
            let bad = || Error::BadParameter {
                name: name.to_owned(),
                value: value.to_owned(),
                expected: "a pace".to_owned(),
            };
            self.0 = value.parse().map_err(|_| bad())?;
            Ok(())
        }
        fn fork(&self) -> Option<Box<dyn Balancer>> {
            Some(Box::new(self.clone()))
        }
    }

    #[test]
    fn a_policy_of_the_callers_own_is_judged_by_the_runtime_that_has_it() {
        let runtime = setup().start(0).unwrap();
        runtime.register_balancer(Box::new(Own(1)), 0).unwrap();
        let mut own = Setup { balancer: "own_lb".to_owned(), ..runtime.setup() };
        let pace = |value: &str| ("own_lb".to_owned(), vec![("pace".to_owned(), value.to_owned())]);
        assert!(own.balancer_parameters.contains(&pace("1")));
        assert_eq!(own.check().unwrap_err().part, Part::Balancer("own_lb".to_owned()));
        assert_eq!(runtime.apply(&own, 0), Ok(Vec::new()));
        assert_eq!(runtime.setup(), own);
        // What is refused is refused before anything is done.
        own.balancer_parameters = vec![pace("brisk")];
        own.tenants[0].weight = 9;
        assert_eq!(runtime.apply(&own, 0).unwrap_err().part, Part::Balancer("own_lb".to_owned()));
        own.balancer_parameters = vec![pace("5")];
        own.tenants = runtime.setup().tenants;
        assert_eq!(runtime.apply(&own, 0), Ok(Vec::new()));
        assert!(runtime.setup().balancer_parameters.contains(&pace("5")));
        assert!(runtime.setup().tenants.iter().all(|tenant| tenant.weight != 9));
    }

    #[test]
    fn what_is_set_live_is_in_the_setup() {
        let runtime = Setup::default().start(0).unwrap();
        let fresh = runtime.setup();
        assert_eq!(
            fresh,
            Setup { balancer_parameters: fresh.balancer_parameters.clone(), ..Setup::default() }
        );
        runtime.add_device_of_kind("null0", "null", &[], 0).unwrap();
        runtime.set_balancer("round_robin_lb", None, 0).unwrap();
        runtime.set_tenant("web", Some(7), None, 0).unwrap();
        runtime.set_shadow("null0", 0.25, 0).unwrap();
        let expected = Setup {
            devices: vec![DeviceSetup { shadow_rate: 0.25, ..device("null0", "null", &[]) }],
            balancer: "round_robin_lb".to_owned(),
            tenants: vec![TenantSetup { name: "web".to_owned(), weight: 7, limit_ops: 0 }],
            ..fresh
        };
        assert_eq!(runtime.setup(), expected);
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_part_at_fault() {
        let device = |name: &str| Part::Device(name.to_owned());
        assert_eq!(refusal(|setup| setup.config.attempts_max = 0).0, Part::Setting("attempts_max"));
        assert_eq!(refusal(|setup| setup.devices[0].kind = "tpu".to_owned()).0, device("soft0"));
        assert_eq!(refusal(|setup| setup.devices[1].name = "soft0".to_owned()).1, "device 'soft0' exists");
        assert_eq!(refusal(|setup| setup.config.devices_max = 1).0, device("sim0"));
        assert_eq!(refusal(|setup| setup.devices[1].shadow_rate = 1.5).0, device("sim0"));
        assert_eq!(refusal(|setup| setup.tenants[0].weight = 0).0, Part::Tenant("web".to_owned()));
        let wrong = ("size_lb".to_owned(), vec![("speed".to_owned(), "1".to_owned())]);
        assert_eq!(
            refusal(|setup| setup.balancer_parameters = vec![wrong]).0,
            Part::Balancer("size_lb".to_owned())
        );
        let (part, reason) = refusal(|setup| setup.balancer = "best_lb".to_owned());
        assert_eq!(
            (part, reason.as_str()),
            (Part::Balancer("best_lb".to_owned()), "balancer 'best_lb' not found")
        );
    }

    #[test]
    fn a_running_runtime_takes_what_it_can_and_names_the_settings_that_wait() {
        let runtime = setup().start(0).unwrap();
        let mut changed = setup();
        changed.config.sessions_max = 12;
        changed.devices.remove(0);
        changed.devices.push(device("null0", "null", &[]));
        assert_eq!(runtime.apply(&changed, 0), Ok(vec!["sessions_max"]));
        let names: Vec<String> = runtime.setup().devices.into_iter().map(|device| device.name).collect();
        assert_eq!(names, ["soft0", "sim0", "null0"]);
        changed.devices[0].parameters.clear();
        assert_eq!(runtime.apply(&changed, 0).unwrap_err().part, Part::Device("sim0".to_owned()));
    }
}
