//! `daemon`: a runtime in the foreground, served to whoever may connect.

mod notify;

use std::time::Duration;

use acrypto_core::{Config, Runtime};
use acrypto_netlink::Address;
use acrypto_netlink::server::{Server, ServerOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use crate::cli::DaemonArgs;
use crate::context::Context;
use crate::embedded;
use crate::exit::{self, Exit, Failure};
use crate::output;

/// Time between two looks at the queue while it drains.
const DRAIN_LOOK: Duration = Duration::from_millis(2);

/// Serves until a signal asks to end.
pub async fn run(context: &Context, arguments: &DaemonArgs) -> Result<Exit, Failure> {
    if context.printer.is_json() {
        return Err(Failure::usage("'--json' works with 'acrypto monitor', not with the daemon"));
    }
    let mut signals = Signals::new()?;
    let addresses = addresses(arguments)?;
    let runtime = embedded::start(Config::default())?;
    let server = Server::new(runtime.clone(), ServerOptions::default());
    let mut listeners = JoinSet::new();
    for path in &addresses {
        let listener = server.listen_unix(path)?;
        listeners.spawn(listener.serve());
        let line = format!("acrypto: listening on 'unix:{}', process {}", path.display(), std::process::id());
        if !context.global.quiet {
            output::error_line(&line);
        }
    }
    notify::send("READY=1");
    loop {
        tokio::select! {
            () = signals.end() => break,
            Some(ended) = listeners.join_next() => {
                ended.map_err(|_| Failure::new(Exit::Bug, "a listener panicked"))?;
            }
        }
    }
    notify::send("STOPPING=1");
    tokio::select! {
        () = drain(&server, &runtime) => Ok(Exit::Done),
        () = signals.end() => Ok(Exit::Interrupted),
    }
}

/// Answers what was asked and completes what was accepted.
async fn drain(server: &Server, runtime: &Runtime) {
    server.shutdown().await;
    runtime.shutdown();
    // Every operation has a deadline, so that this ends.
    while runtime.stats().main_queue_ops > 0 {
        tokio::time::sleep(DRAIN_LOOK).await;
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::new(Exit::State, exit::reason(&error)));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            reload: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the signal to end; whatever asks for a reload meanwhile is answered.
    async fn end(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.reload.recv() => {
                    output::error_line("acrypto: nothing to reload: the daemon has no configuration file");
                }
            }
        }
    }
}

fn addresses(arguments: &DaemonArgs) -> Result<Vec<std::path::PathBuf>, Failure> {
    let mut addresses = Vec::new();
    for text in &arguments.listen {
        addresses.push(text.parse::<Address>()?);
    }
    if addresses.is_empty() {
        addresses.push(Address::default_listen().ok_or_else(|| {
            Failure::usage("no directory for the socket: XDG_RUNTIME_DIR is not set")
                .with_hint("pass --listen unix:PATH")
        })?);
    }
    addresses
        .into_iter()
        .map(|address| match address {
            Address::Unix(path) => Ok(path),
            other => {
                Err(Failure::usage(format!("cannot listen on '{other}'"))
                    .with_hint("pass --listen unix:PATH"))
            }
        })
        .collect()
}
