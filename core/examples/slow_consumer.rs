//! Producers that are faster than their device: what does not fit comes back with a typed refusal, `ready` tells when
//! there is room again, and nothing is lost.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use acrypto_core::{Algorithm, Config, Error, Key, Request, Runtime, Session, SessionSpec, block_on};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let runtime = Runtime::start(Config { main_queue_max_ops: 128, ..Config::default() })?;
    runtime.add_device_of_kind("sim0", "sim", &[("op-ns".to_owned(), "100000".to_owned())], 0)?;
    let session = runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![7; 16]))?;

    let ring = {
        let session = session.clone();
        std::thread::spawn(move || feed_ring(&session))
    };
    let mut waiting: Vec<Request> = (2_000..4_000).map(request).collect();
    let mut refusals = 0;
    while !waiting.is_empty() {
        for result in block_on(session.submit_batch(std::mem::take(&mut waiting))) {
            match result {
                Ok(completion) => completion.result?,
                // The request comes back with its buffers.
                Err(refused) if matches!(refused.error, Error::Full { .. }) => waiting.push(refused.request),
                Err(refused) => return Err(refused.error.into()),
            }
        }
        refusals += waiting.len();
        block_on(runtime.ready());
    }
    let sum = ring.join().map_err(|_| "the ring's thread panicked")??;
    let stats = runtime.stats();
    assert_eq!((sum, stats.completed_ops, stats.main_queue_ops), (2_000 * 1_999 / 2, 4_000, 0));
    println!("{} accepted and completed, {refusals} refused while full and tried again", stats.accepted_ops);
    Ok(())
}

fn request(number: u64) -> Request {
    Request::encrypt(vec![0; 64], [9; 16]).with_user_data(number)
}

/// The ring holds more than the main queue, so that it is the queue that fills up; what was not accepted stays in
/// `requests`.
fn feed_ring(session: &Session) -> Result<u64, Failure> {
    let mut burst = session.burst(256);
    let mut requests: Vec<Request> = (0..2_000).map(request).collect();
    let (mut sum, mut completions) = (0, Vec::new());
    while !requests.is_empty() || burst.outstanding_ops() > 0 {
        burst.submit(&mut requests);
        block_on(burst.readable());
        burst.poll(&mut completions, 256);
        for completion in completions.drain(..) {
            completion.result?;
            sum += completion.user_data;
        }
    }
    Ok(sum)
}
