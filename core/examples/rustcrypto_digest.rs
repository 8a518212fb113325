//! An adapter for RustCrypto's `digest` traits: a hash that streams through a session, each chunk on whatever device
//! the runtime picks. Run: `cargo run -p acrypto-core --example rustcrypto_digest`.

#![allow(clippy::print_stdout, reason = "a program that tells what it did")]

use std::sync::LazyLock;

use acrypto_core::{Algorithm, Config, Iv, Key, OpKind, Runtime, Session, SessionSpec, Stream};
use digest::consts::U32;
use digest::{Digest, FixedOutput, HashMarker, Output, OutputSizeUser, Update};

/// `Digest` makes a hash out of nothing (`Default`), so that the runtime has to be the process's own.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Runtime::start(Config::default()).expect("threads can be started");
    runtime.add_device_of_kind("soft0", "soft", &[], 0).expect("software passes its known answers");
    runtime
});

/// One session serves all hashes: it has no key.
static SESSION: LazyLock<Session> = LazyLock::new(|| {
    let spec = SessionSpec::new(Algorithm::Sha256).name("digest adapter");
    RUNTIME.session(spec, Key::none()).expect("the runtime has room for one session")
});

/// Bytes gathered before they are handed over: a multiple of the hash's block.
const CHUNK_BYTES: usize = 64 * 1024;

/// SHA-256 by way of a session.
pub struct Sha256 {
    stream: Stream,
    gathered: Vec<u8>,
}

impl Default for Sha256 {
    fn default() -> Self {
        let stream = SESSION.stream(OpKind::Digest, Iv::NONE).expect("a hash can be streamed");
        Self { stream, gathered: Vec::new() }
    }
}

/// The traits have no error: a device's failure moves the chunk to another device, and when there is none left, all
/// that remains is to panic.
impl Update for Sha256 {
    fn update(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let (now, later) = data.split_at(data.len().min(CHUNK_BYTES - self.gathered.len()));
            self.gathered.extend_from_slice(now);
            data = later;
            if self.gathered.len() == CHUNK_BYTES {
                let chunk = std::mem::take(&mut self.gathered);
                self.gathered = self.stream.update_blocking(chunk).expect("a device is left");
                self.gathered.clear();
            }
        }
    }
}

impl OutputSizeUser for Sha256 {
    type OutputSize = U32;
}

impl FixedOutput for Sha256 {
    fn finalize_into(mut self, out: &mut Output<Self>) {
        let (_, digest) = self.stream.finish_blocking(self.gathered).expect("a device is left");
        out.copy_from_slice(digest.as_slice());
    }
}

impl HashMarker for Sha256 {}

/// Any code that knows only the traits.
fn hash<D: Digest>(parts: &[&[u8]]) -> Output<D> {
    let mut hash = D::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize()
}

/// Hashes by way of a runtime and with the library.
///
/// # Errors
/// None: what should not happen is a panic.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let long: Vec<u8> = (0..1_000_003_u32).map(|number| number as u8).collect();
    let inputs: [&[&[u8]]; 4] = [&[], &[b"abc"], &[b"in ", b"parts"], &[&long, b"tail", &long]];
    for parts in inputs {
        assert_eq!(hash::<Sha256>(parts), hash::<sha2::Sha256>(parts));
    }
    assert_eq!(Sha256::digest(b"abc"), sha2::Sha256::digest(b"abc"));
    println!("{} operations through the digest traits", SESSION.status().completed_ops);
    Ok(())
}
