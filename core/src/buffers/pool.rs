//! A bounded pool of vectors that are used again, so that steady work neither allocates nor touches fresh memory.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroize;

/// A pool of at most so many buffers of so many bytes each. Clones are the same pool.
///
/// Memory is allocated when a buffer is first taken, and kept until the last clone and the last buffer are dropped.
///
/// ```
/// use acrypto_core::{Algorithm, BufferPool, Config, Key, Request, Runtime, SessionSpec};
///
/// # let runtime = Runtime::start(Config::default())?;
/// # runtime.add_device_of_kind("soft0", "soft", &[], 0)?;
/// # let session = runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![7; 16]))?;
/// let pool = BufferPool::new(8, 4096);
/// let mut buffer = pool.take().ok_or("all eight are in use")?;
/// buffer.extend_from_slice(b"attack at dawn");
/// let completion = session.call(Request::encrypt(buffer.lend(), [0; 16]))?;
/// completion.result?;
/// buffer.restore(completion.data);
/// assert_eq!(buffer.len(), 14);
/// drop(buffer);
/// assert_eq!(pool.counts().idle, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct BufferPool(Arc<Pool>);

struct Pool {
    buffers_max: usize,
    bytes_each: usize,
    wipes: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Vec<u8>>,
    taken: usize,
}

/// How a pool stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolCounts {
    /// Most buffers at once.
    pub buffers_max: usize,
    /// Bytes that each holds without growing.
    pub bytes_each: usize,
    /// Buffers in somebody's hands.
    pub taken: usize,
    /// Buffers that wait with their memory; those never taken yet have none.
    pub idle: usize,
}

impl BufferPool {
    /// At most `buffers` buffers, each with room for `bytes_each` bytes.
    pub fn new(buffers: usize, bytes_each: usize) -> Self {
        Self::with(buffers, bytes_each, false)
    }

    /// As [`BufferPool::new`]; every buffer is overwritten with zeros when it comes back.
    pub fn wiping(buffers: usize, bytes_each: usize) -> Self {
        Self::with(buffers, bytes_each, true)
    }

    fn with(buffers_max: usize, bytes_each: usize, wipes: bool) -> Self {
        Self(Arc::new(Pool { buffers_max, bytes_each, wipes, state: Mutex::default() }))
    }

    /// An empty buffer with room for the pool's length; `None` when all are taken.
    pub fn take(&self) -> Option<PooledBuffer> {
        let idle = {
            let mut state = self.0.state();
            if state.taken >= self.0.buffers_max {
                return None;
            }
            state.taken += 1;
            state.idle.pop()
        };
        let data = idle.unwrap_or_else(|| Vec::with_capacity(self.0.bytes_each));
        Some(PooledBuffer { data, pool: Arc::clone(&self.0) })
    }

    /// Its limits, and what is taken and idle at this moment.
    pub fn counts(&self) -> PoolCounts {
        let state = self.0.state();
        PoolCounts {
            buffers_max: self.0.buffers_max,
            bytes_each: self.0.bytes_each,
            taken: state.taken,
            idle: state.idle.len(),
        }
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BufferPool").field(&self.counts()).finish()
    }
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer of a pool: a `Vec<u8>` that goes back when this is dropped.
///
/// [`PooledBuffer::lend`] hands the vector itself to a request, and [`PooledBuffer::restore`] takes it back from the
/// completion. One that does not come back (its operation was dropped, or a queued device gave another one) costs its
/// memory, never its place: the pool allocates again when it is taken next.
pub struct PooledBuffer {
    data: Vec<u8>,
    pool: Arc<Pool>,
}

impl PooledBuffer {
    /// The vector, for a request; this is empty until it is restored, and keeps the buffer's place in the pool.
    #[must_use = "the buffer's memory is in it"]
    pub fn lend(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.data)
    }

    /// Takes the vector back with what it holds.
    pub fn restore(&mut self, data: Vec<u8>) {
        self.data = data;
    }
}

impl Deref for PooledBuffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.data
    }
}

impl DerefMut for PooledBuffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.data
    }
}

impl fmt::Debug for PooledBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PooledBuffer({} bytes)", self.data.len())
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let mut data = std::mem::take(&mut self.data);
        if self.pool.wipes {
            data.zeroize();
        }
        data.clear();
        // One that grew would make the pool larger than it says.
        let fits = (self.pool.bytes_each..=self.pool.bytes_each.saturating_mul(2)).contains(&data.capacity());
        let mut state = self.pool.state();
        state.taken -= 1;
        if fits && data.capacity() > 0 {
            state.idle.push(data);
        }
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn i7_a_pool_gives_its_limit_and_not_one_more() {
        let pool = BufferPool::new(3, 64);
        let taken: Vec<_> = (0..3).map(|_| pool.take().unwrap()).collect();
        assert!(pool.take().is_none());
        drop(taken);
        assert_eq!(pool.counts(), PoolCounts { buffers_max: 3, bytes_each: 64, taken: 0, idle: 3 });
        assert!(BufferPool::new(0, 64).take().is_none());
    }

    #[test]
    fn a_buffer_comes_back_as_the_same_memory_and_empty() {
        let pool = BufferPool::new(1, 64);
        let mut buffer = pool.take().unwrap();
        buffer.extend_from_slice(&[1; 64]);
        let place = buffer.as_ptr();
        drop(buffer);
        let again = pool.take().unwrap();
        assert_eq!((again.as_ptr(), again.len(), again.capacity()), (place, 0, 64));
    }

    #[test]
    fn a_buffer_that_is_lost_or_has_grown_costs_its_memory_and_not_its_place() {
        let pool = BufferPool::new(1, 64);
        drop(pool.take().unwrap().lend());
        assert_eq!((pool.counts().taken, pool.counts().idle), (0, 0));
        let mut grown = pool.take().unwrap();
        grown.resize(1_000, 0);
        drop(grown);
        assert_eq!((pool.counts().taken, pool.counts().idle), (0, 0));
        assert_eq!(pool.take().unwrap().capacity(), 64);
    }
}
