//! The fields of [`Config`] by name, each with the values it may have: for files, messages and commands.

use crate::config::Config;
use crate::error::Error;

/// One field of [`Config`]. Its unit is the end of its name: `_ns`, `_ops`, `_bytes`, `_percent`, or none.
#[derive(Debug)]
pub struct Setting {
    /// Name of the field.
    pub name: &'static str,
    /// Least value.
    pub least: u64,
    /// Greatest value.
    pub most: u64,
    get: fn(&Config) -> u64,
    set: fn(&mut Config, u64),
}

impl Setting {
    /// The setting with this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// Its value.
    pub fn value(&self, config: &Config) -> u64 {
        (self.get)(config)
    }

    /// Changes it.
    ///
    /// # Errors
    /// [`Error::BadParameter`] for a value that it may not have.
    pub fn set(&self, config: &mut Config, value: u64) -> Result<(), Error> {
        self.check(value)?;
        (self.set)(config, value);
        Ok(())
    }

    pub(crate) fn check(&self, value: u64) -> Result<(), Error> {
        if (self.least..=self.most).contains(&value) {
            return Ok(());
        }
        Err(Error::BadParameter {
            name: self.name.to_owned(),
            value: value.to_string(),
            expected: format!("from {} to {}", self.least, self.most),
        })
    }
}

/// Whether every setting is within its bounds.
pub(crate) fn check_all(config: &Config) -> Result<(), Error> {
    SETTINGS.iter().try_for_each(|setting| setting.check(setting.value(config)))
}

macro_rules! settings {
    ($($field:ident $least:literal ..= $most:expr;)*) => {
        /// Every field, in the order of [`Config`].
        pub static SETTINGS: &[Setting] = &[$(Setting {
            name: stringify!($field),
            least: $least,
            most: $most,
            get: |config| config.$field as u64,
            // Checked against the greatest value, which fits the field.
            set: |config, value| config.$field = value as _,
        },)*];

        /// A field of `Config` that has no row here does not compile.
        const _: fn(&Config) = |config| {
            let Config { $($field: _,)* } = config;
        };
    };
}

const MINUTE_NS: u64 = 60_000_000_000;
const DAY_NS: u64 = 1_440 * MINUTE_NS;

settings! {
    workers 0 ..= 1_024;
    main_queue_max_ops 1 ..= 1 << 24;
    device_queue_max_ops 1 ..= 1 << 16;
    sessions_max 1 ..= 1 << 24;
    devices_max 1 ..= 65_534;
    events_max 1 ..= 1 << 20;
    loads_max 0 ..= 1 << 16;
    op_max_bytes 1 ..= 1 << 40;
    deadline_ns 1_000_000 ..= DAY_NS;
    attempts_max 1 ..= 255;
    error_budget_ops 1 ..= 1_000_000;
    error_budget_window_ns 1_000_000 ..= DAY_NS;
    probation_stage_ns 0 ..= DAY_NS;
    attempt_max_ns 0 ..= DAY_NS;
    silence_ns 0 ..= DAY_NS;
    heartbeat_ns 0 ..= DAY_NS;
    quarantine_max_ops 1 ..= 1 << 16;
    repair_backoff_ns 0 ..= DAY_NS;
    tenants_max 1 ..= 65_535;
    named_keys_max 0 ..= 1 << 20;
    priority_floor_percent 0 ..= 12;
    ivs_per_key_max 1 ..= 1 << 32;
    main_queue_low_ops 0 ..= 1 << 24;
    seed 0 ..= u64::MAX;
    plan_max_ns 1_000_000 ..= DAY_NS;
    balancers_max 6 ..= 4_096;
    inline_max_ns 0 ..= DAY_NS;
    statistics 0 ..= 2;
    poll_workers 0 ..= 1;
    pin_workers 0 ..= 1;
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn i7_a_setting_takes_its_least_and_its_most_and_nothing_beyond() {
        for setting in SETTINGS {
            for value in [setting.least, setting.most] {
                let mut config = Config::default();
                setting.set(&mut config, value).unwrap();
                assert_eq!(setting.value(&config), value, "{}", setting.name);
            }
            let (below, above) = (setting.least.checked_sub(1), setting.most.checked_add(1));
            for value in [below, above].into_iter().flatten() {
                let error = setting.set(&mut Config::default(), value).unwrap_err();
                assert!(error.to_string().starts_with(&format!("parameter '{}'", setting.name)), "{error}");
            }
        }
    }

    #[test]
    fn no_runtime_starts_with_a_setting_beyond_its_bounds() {
        let error = crate::Runtime::start(Config { attempts_max: 0, ..Config::default() }).unwrap_err();
        assert_eq!(error.to_string(), "parameter 'attempts_max': '0' is not from 1 to 255");
    }

    #[test]
    fn every_default_is_within_its_bounds() {
        let config = Config::default();
        assert!(SETTINGS.iter().all(|setting| setting.check(setting.value(&config)).is_ok()));
    }
}
