//! A program that uses acrypto: one session, one batch, every result once.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use acrypto_core::{Algorithm, Config, Key, Request, Runtime, SessionSpec, block_on};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = Runtime::start(Config::default())?;
    runtime.add_device_of_kind("soft0", "soft", &[], 0)?;
    runtime.add_device_of_kind("sim0", "sim", &[], 0)?;
    let session = runtime.session(SessionSpec::new(Algorithm::Sha256), Key::none())?;

    let texts = ["", "abc", "attack at dawn"];
    let requests = texts.iter().map(|text| Request::digest(text.as_bytes().to_vec())).collect();
    for (text, result) in texts.iter().zip(block_on(session.submit_batch(requests))) {
        let completion = result?;
        completion.result?;
        let digest: String = completion.output.as_slice().iter().map(|byte| format!("{byte:02x}")).collect();
        println!("{digest}  {text:?}");
    }
    Ok(())
}
