//! A balancer of one's own, in thirty lines: hashes go to the last device first, everything else to the first one.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use acrypto_core::balancer::{Balancer, Row, Rule, SIZE_CLASSES, Table, View};
use acrypto_core::{Algorithm, Class, Config, Key, Request, Runtime, SessionSpec};

struct Reserve;

impl Balancer for Reserve {
    fn name(&self) -> &str {
        "reserve_lb"
    }

    fn plan(&mut self, view: &View, table: &mut Table) {
        for algorithm in Algorithm::ALL {
            let mut candidates = view.candidates(*algorithm);
            if matches!(algorithm.class(), Class::Digest | Class::Mac) {
                candidates.reverse();
            }
            for class in 0..SIZE_CLASSES {
                table.set(*algorithm, class, Row { rule: Rule::First, candidates: candidates.clone() });
            }
        }
    }
}

/// Shows whose work went where.
///
/// # Errors
/// As the runtime's.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = Runtime::start(Config::default())?;
    runtime.add_device_of_kind("soft0", "soft", &[], 0)?;
    runtime.add_device_of_kind("soft1", "soft", &[], 0)?;
    runtime.register_balancer(Box::new(Reserve), 0)?;
    runtime.set_balancer("reserve_lb", None, 0)?;

    let cipher = runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![7; 16]))?;
    let digest = runtime.session(SessionSpec::new(Algorithm::Sha256), Key::none())?;
    for _ in 0..100 {
        cipher.call(Request::encrypt(vec![1; 64], [9; 16]))?.result?;
        digest.call(Request::digest(vec![1; 64]))?.result?;
    }
    for device in runtime.devices() {
        println!("{} {}", device.name, device.counters.finished_ops);
        assert_eq!(device.counters.finished_ops, 100);
    }
    Ok(())
}
