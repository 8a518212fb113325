//! Interleavings of who owns a slot.

use super::*;
use loom::sync::Arc;
use loom::thread;

#[test]
fn loom_i2_a_queued_slot_has_one_winner() {
    loom::model(|| {
        let slab = Arc::new(Slab::<u64>::new(2));
        let mut posted = 0;
        slab.allocate(1, |mut held| {
            *held.body() = 7;
            posted = held.post(State::Queued, 1, DeviceId(0));
        });
        let canceller = {
            let slab = Arc::clone(&slab);
            thread::spawn(move || {
                let (index, word) = slab.current(posted)?;
                let mut held = slab.claim(index, word, State::Held)?;
                let value = *held.body();
                held.free();
                Some(value)
            })
        };
        let ran = slab.current(posted).and_then(|(index, word)| {
            let mut held = slab.claim(index, word, State::Running)?;
            let value = *held.body();
            held.free();
            Some(value)
        });
        let cancelled = canceller.join().unwrap();
        assert!(matches!((ran, cancelled), (Some(7), None) | (None, Some(7))));
    });
}

#[test]
fn loom_i2_finish_and_detach_agree() {
    loom::model(|| {
        let slab = Arc::new(Slab::<u64>::new(2));
        let mut posted = 0;
        slab.allocate(1, |held| posted = held.post(State::Queued, 1, DeviceId(0)));
        let (index, word) = slab.current(posted).unwrap();
        let held = slab.claim(index, word, State::Running).unwrap();
        let running = held.word();
        let dropper = {
            let slab = Arc::clone(&slab);
            thread::spawn(move || slab.detach(index, running))
        };
        let finished = held.finish().map_err(Held::free).is_ok();
        assert_ne!(finished, dropper.join().unwrap());
    });
}

#[test]
fn loom_the_free_list_gives_each_slot_to_one_thread() {
    loom::model(|| {
        let slab = Arc::new(Slab::<u64>::new(2));
        slab.allocate(2, Held::free);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let slab = Arc::clone(&slab);
                thread::spawn(move || {
                    let mut index = None;
                    slab.allocate(1, |mut held| {
                        *held.body() += 1;
                        index = Some(held.index());
                        held.free();
                    });
                    assert!(index.is_some());
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let mut left = Vec::new();
        assert_eq!(slab.allocate(3, |held| left.push(held)), 2);
    });
}

#[test]
fn loom_i7_what_is_reserved_is_there_whoever_takes_and_gives_back_meanwhile() {
    loom::model(|| {
        let slab = Arc::new(Slab::<u64>::new(2));
        assert_eq!(slab.reserve(1), 1);
        let other = {
            let slab = Arc::clone(&slab);
            thread::spawn(move || {
                let mut taken = Vec::new();
                let count = slab.allocate(2, |held| taken.push(held));
                assert!(count > 0 && count == taken.len(), "of two that there are one is reserved");
                taken.into_iter().for_each(Held::free);
            })
        };
        let mut mine = None;
        slab.take_reserved(1, |held| mine = Some(held));
        mine.unwrap().free();
        other.join().unwrap();
        let mut left = Vec::new();
        assert_eq!(slab.allocate(3, |held| left.push(held)), 2);
        left.into_iter().for_each(Held::free);
        assert_eq!((slab.reserve(3), slab.has_free()), (2, false));
        slab.end_reservation(2);
        assert!(slab.has_free());
    });
}
