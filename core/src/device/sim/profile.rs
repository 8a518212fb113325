//! How a simulated device behaves.

use crate::device::fault::Lot;
use crate::error::Error;

/// Pace and shape of a simulated device.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Bytes each lane handles in a second.
    pub bytes_per_s: u64,
    /// Time an operation takes beside its bytes, in nanoseconds.
    pub op_ns: u64,
    /// Part of an operation's time that is drawn by lot, 0 to 1: its time varies by that much, with a tail that is
    /// exponential.
    pub jitter: f64,
    /// Operations it works on at once.
    pub lanes: usize,
    /// Operations in its queue at most.
    pub queue_max_ops: usize,
    /// Seed of what is drawn by lot.
    pub seed: u64,
}

impl Default for Profile {
    fn default() -> Self {
        Self { bytes_per_s: 100_000_000, op_ns: 50_000, jitter: 0.2, lanes: 4, queue_max_ops: 512, seed: 1 }
    }
}

const KNOWN: &str = "rate, op-ns, jitter, lanes, queue, seed";

impl Profile {
    /// Reads parameters: `rate` (bytes a second and lane), `op-ns`, `jitter`, `lanes`, `queue`, `seed`.
    ///
    /// # Errors
    /// [`Error::UnknownParameter`], [`Error::BadParameter`].
    pub fn parse(parameters: &[(String, String)]) -> Result<Self, Error> {
        let mut profile = Self::default();
        for (name, value) in parameters {
            match name.as_str() {
                "rate" => profile.bytes_per_s = number(name, value, 1, 1 << 50)?,
                "op-ns" => profile.op_ns = number(name, value, 0, 60_000_000_000)?,
                "jitter" => profile.jitter = fraction(name, value)?,
                "lanes" => profile.lanes = number(name, value, 1, 64)? as usize,
                "queue" => profile.queue_max_ops = number(name, value, 1, 65_536)? as usize,
                "seed" => profile.seed = number(name, value, 0, u64::MAX)?,
                _ => return Err(Error::UnknownParameter { name: name.clone(), known: KNOWN.to_owned() }),
            }
        }
        Ok(profile)
    }

    /// How long an operation of so many bytes takes, in nanoseconds.
    pub(crate) fn service_ns(&self, bytes: usize, lot: &mut Lot) -> u64 {
        let transfer = bytes as u128 * 1_000_000_000 / u128::from(self.bytes_per_s.max(1));
        let mean = self.op_ns as f64 + transfer as f64;
        // Exponential with mean 1, cut off at 8 so that a single draw can't stall a lane.
        let drawn = (-(1.0 - lot.unit()).ln()).min(8.0);
        (mean * (1.0 - self.jitter + self.jitter * drawn)) as u64
    }
}

fn number(name: &str, value: &str, least: u64, most: u64) -> Result<u64, Error> {
    value.parse().ok().filter(|number| (least..=most).contains(number)).ok_or_else(|| Error::BadParameter {
        name: name.to_owned(),
        value: value.to_owned(),
        expected: format!("a whole number from {least} to {most}"),
    })
}

fn fraction(name: &str, value: &str) -> Result<f64, Error> {
    value.parse().ok().filter(|fraction| (0.0..=1.0).contains(fraction)).ok_or_else(|| Error::BadParameter {
        name: name.to_owned(),
        value: value.to_owned(),
        expected: "a number from 0 to 1".to_owned(),
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn parse(name: &str, value: &str) -> Result<Profile, Error> {
        Profile::parse(&[(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn lanes_hold_at_the_limit_and_not_one_above() {
        assert_eq!(parse("lanes", "64").unwrap().lanes, 64);
        let error = parse("lanes", "65").unwrap_err().to_string();
        assert_eq!(error, "parameter 'lanes': '65' is not a whole number from 1 to 64");
        assert!(parse("lanes", "0").is_err());
        assert!(parse("speed", "1").unwrap_err().to_string().contains("unknown parameter 'speed'"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_within_the_limits_or_refused_by_name(
            name in "rate|op-ns|jitter|lanes|queue|seed|[a-z-]{0,8}",
            value in "[0-9]{0,21}|-?[0-9.e]{0,6}|inf|NaN|.{0,8}",
        ) {
            match parse(&name, &value) {
                Ok(profile) => {
                    assert!((1..=64).contains(&profile.lanes) && (1..=65_536).contains(&profile.queue_max_ops));
                    assert!(profile.bytes_per_s > 0 && (0.0..=1.0).contains(&profile.jitter));
                    // No time it could have makes a device that never answers.
                    assert!(profile.service_ns(0, &mut Lot::new(1)) <= 8 * 60_000_000_000);
                }
                Err(error) => assert!(error.to_string().contains(&format!("'{name}'"))),
            }
        }

        #[test]
        fn what_a_profile_says_is_what_it_was_told(
            rate in 1u64..=1 << 50, op_ns in 0u64..=60_000_000_000, lanes in 1usize..=64,
            queue_max_ops in 1usize..=65_536, seed in proptest::prelude::any::<u64>(), jitter in 0.0f64..=1.0,
        ) {
            let told = [
                ("rate", rate.to_string()), ("op-ns", op_ns.to_string()), ("lanes", lanes.to_string()),
                ("queue", queue_max_ops.to_string()), ("seed", seed.to_string()), ("jitter", jitter.to_string()),
            ];
            let told: Vec<_> = told.map(|(name, value)| (name.to_owned(), value)).into();
            let profile = Profile { bytes_per_s: rate, op_ns, jitter, lanes, queue_max_ops, seed };
            proptest::prop_assert_eq!(Profile::parse(&told), Ok(profile));
        }
    }

    #[test]
    fn the_mean_time_is_that_of_the_profile() {
        let profile = Profile { bytes_per_s: 1_000_000, op_ns: 1_000, jitter: 0.5, ..Profile::default() };
        let mut lot = Lot::new(3);
        let mean = (0..10_000).map(|_| profile.service_ns(1_000, &mut lot)).sum::<u64>() / 10_000;
        assert!((950_000..1_050_000).contains(&mean), "{mean}");
    }
}
