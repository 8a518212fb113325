//! The least that two threads can pay: a ring of words each way, and both spin.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_utils::CachePadded;

use crate::ours::BURST;

/// A ring with one writer and one reader.
struct Ring {
    slots: Vec<AtomicU64>,
    written: CachePadded<AtomicUsize>,
    read: CachePadded<AtomicUsize>,
}

impl Ring {
    fn new(capacity: usize) -> Self {
        Self {
            slots: (0..capacity.next_power_of_two()).map(|_| AtomicU64::new(0)).collect(),
            written: CachePadded::new(AtomicUsize::new(0)),
            read: CachePadded::new(AtomicUsize::new(0)),
        }
    }

    /// The writer has seen to it that there is room.
    fn push(&self, words: &[u64]) {
        let written = self.written.load(Ordering::Relaxed);
        for (index, word) in words.iter().enumerate() {
            self.slots[(written + index) & (self.slots.len() - 1)].store(*word, Ordering::Relaxed);
        }
        self.written.store(written + words.len(), Ordering::Release);
    }

    fn pop(&self, words: &mut [u64]) -> usize {
        let read = self.read.load(Ordering::Relaxed);
        let count = (self.written.load(Ordering::Acquire) - read).min(words.len());
        for (index, word) in words[..count].iter_mut().enumerate() {
            *word = self.slots[(read + index) & (self.slots.len() - 1)].load(Ordering::Relaxed);
        }
        self.read.store(read + count, Ordering::Release);
        count
    }
}

struct Rings {
    there: Ring,
    back: Ring,
    /// Only while a turn lasts does the other thread spin, so that it takes nothing from others.
    is_turn: AtomicBool,
    is_over: AtomicBool,
}

/// The other thread sends back every word it gets.
pub struct Spinning {
    rings: Arc<Rings>,
    other: Option<JoinHandle<()>>,
    in_flight: usize,
}

impl Spinning {
    pub fn start(in_flight: usize) -> Self {
        let rings = Arc::new(Rings {
            there: Ring::new(in_flight),
            back: Ring::new(in_flight),
            is_turn: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let others = Arc::clone(&rings);
        let other = thread::spawn(move || {
            let mut words = [0; BURST];
            while !others.is_over.load(Ordering::Acquire) {
                if !others.is_turn.load(Ordering::Acquire) {
                    thread::park();
                }
                match others.there.pop(&mut words) {
                    0 => spin_loop(),
                    count => others.back.push(&words[..count]),
                }
            }
        });
        Self { rings, other: Some(other), in_flight }
    }

    pub fn turn(&mut self, ops: u64) {
        self.rings.is_turn.store(true, Ordering::Release);
        self.wake();
        let (mut sent, mut received) = (0, 0);
        let mut words = [0; BURST];
        while received < ops {
            if sent < ops && (sent - received) as usize + BURST <= self.in_flight {
                self.rings.there.push(&words);
                sent += BURST as u64;
            }
            match self.rings.back.pop(&mut words) {
                0 => spin_loop(),
                count => received += count as u64,
            }
        }
        self.rings.is_turn.store(false, Ordering::Release);
    }

    fn wake(&self) {
        if let Some(other) = &self.other {
            other.thread().unpark();
        }
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        self.rings.is_over.store(true, Ordering::Release);
        self.wake();
        if let Some(other) = self.other.take() {
            other.join().expect("the thread ends");
        }
    }
}
