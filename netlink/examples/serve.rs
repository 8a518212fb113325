//! A program of one's own that can be managed: start a runtime, serve it, do one's work.
//!
//! `cargo run -p acrypto-netlink --features server --example serve -- /tmp/mine.sock`, and in another shell
//! `acrypto --connect unix:/tmp/mine.sock device list`.

use acrypto_core::{Config, Runtime};
use acrypto_netlink::server::{Server, ServerOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: serve SOCKET")?;
    let runtime = Runtime::start(Config::default())?;
    runtime.add_device_of_kind("soft0", "soft", &[], 0)?;
    let server = Server::new(runtime, ServerOptions::default());
    tokio::select! {
        served = server.serve_unix(&path) => served?,
        _ = tokio::signal::ctrl_c() => server.shutdown().await,
    }
    Ok(())
}
