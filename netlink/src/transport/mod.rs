//! Ways for a datagram to travel: a unix socket, or channels in memory.

pub mod memory;

pub use memory::MemoryEnd;

/// Who sent a datagram, vouched for by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Process id; for showing only, never trusted.
    pub pid: u32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Credentials {
    /// Those of this process.
    pub fn own() -> Self {
        Self {
            pid: rustix::process::getpid().as_raw_nonzero().get().unsigned_abs(),
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        }
    }
}
