//! The built-in devices, each alone in a runtime.

use std::sync::Arc;

#[cfg(feature = "aws-lc")]
use acrypto_core::device::aws_lc::AwsLc;
use acrypto_core::device::multi::Multi;
use acrypto_core::device::sim::{Profile, Sim};
use acrypto_core::device::soft::Soft;
use acrypto_core::{Algorithm, Class, Config, Engine, Key, OpKind, Padding, Runtime, Session, SessionSpec};

type Make = fn() -> Engine;
type Has = fn(Algorithm) -> bool;

/// How to make one of each kind that works on algorithms, and which it must have: a new kind of device joins every
/// suite by a line here.
const KINDS: &[(&str, Make, Has)] = &[
    ("soft", || Engine::Direct(Arc::new(Soft::new())), |_| true),
    #[cfg(feature = "aws-lc")]
    (
        "aws-lc",
        || Engine::Direct(Arc::new(AwsLc::new())),
        |algorithm| !matches!(algorithm.class(), Class::Ecb | Class::EncryptThenMac | Class::Random),
    ),
    (
        "multi",
        || Engine::Direct(Arc::new(Multi::new())),
        |algorithm| {
            matches!(algorithm.class(), Class::Cbc | Class::Ctr)
                || matches!(algorithm, Algorithm::Sha256 | Algorithm::HmacSha256)
        },
    ),
    (
        "sim",
        || {
            let profile = Profile { op_ns: 0, bytes_per_s: 1 << 40, jitter: 0.0, ..Profile::default() };
            Engine::Queued(Box::new(Sim::new(profile)))
        },
        |_| true,
    ),
];

/// On how many of them an algorithm must be found.
pub fn kinds_with(algorithm: Algorithm) -> usize {
    KINDS.iter().filter(|(_, _, has)| has(algorithm)).count()
}

/// A runtime with one device.
pub struct Bench {
    pub name: &'static str,
    pub runtime: Runtime,
    pub is_direct: bool,
    capabilities: Vec<acrypto_core::device::Capability>,
}

/// One of each.
pub fn benches() -> Vec<Bench> {
    KINDS.iter().map(|(name, make, _)| Bench::new(name, make())).collect()
}

impl Bench {
    fn new(name: &'static str, engine: Engine) -> Self {
        let (is_direct, info) = match &engine {
            Engine::Direct(device) => (true, device.info()),
            Engine::Queued(device) => (false, device.info()),
        };
        let runtime = Runtime::start(Config { workers: 1, ..Config::default() }).unwrap();
        runtime.add_device(name, engine, 0).unwrap();
        Self { name, runtime, is_direct, capabilities: info.capabilities }
    }

    /// Whether the device claims the operation, and takes it in chunks.
    pub fn claims(&self, algorithm: Algorithm, kind: OpKind) -> Option<bool> {
        let claim = self.capabilities.iter().find(|claim| (claim.algorithm, claim.kind) == (algorithm, kind));
        claim.map(|claim| claim.stream)
    }

    pub fn session(&self, algorithm: Algorithm, key: &[u8], pads: bool) -> Session {
        let padding = if pads { Padding::Pkcs7 } else { Padding::None };
        let spec = SessionSpec::new(algorithm).padding(padding).allow_ecb(true).allow_sha1(true);
        self.runtime.session(spec, Key::new(key.to_vec())).unwrap()
    }
}
