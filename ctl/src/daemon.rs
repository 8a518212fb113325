//! `daemon`: a runtime in the foreground, served to whoever may connect.

mod notify;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use acrypto_core::{Config, Runtime};
use acrypto_netlink::Address;
use acrypto_netlink::message::Class;
use acrypto_netlink::server::{Server, ServerOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use crate::cli::DaemonArgs;
use crate::config::Loaded;
use crate::context::Context;
use crate::exit::{self, Exit, Failure};
use crate::{command, embedded, output};

/// Time between two looks at the queue while it drains.
const DRAIN_LOOK: Duration = Duration::from_millis(2);

/// Serves until a signal asks to end.
pub async fn run(context: &Context, arguments: &DaemonArgs) -> Result<Exit, Failure> {
    if context.printer.is_json() {
        return Err(Failure::usage("'--json' works with 'acrypto monitor', not with the daemon"));
    }
    if arguments.check {
        return match &arguments.config {
            Some(file) => command::config::check(context, file),
            None => Ok(Exit::Done),
        };
    }
    let mut signals = Signals::new()?;
    let addresses = addresses(arguments)?;
    let runtime = match &arguments.config {
        Some(file) => {
            let loaded = Loaded::read(file)?;
            loaded.setup.start(embedded::own_uid()).map_err(|error| loaded.failure(error))?
        }
        None => embedded::start(Config::default())?,
    };
    let server =
        Server::new(runtime.clone(), ServerOptions { ends_when_asked: true, ..ServerOptions::default() });
    let mut listeners = JoinSet::new();
    for address in &addresses {
        match address {
            Listen::Unix(path) => drop(listeners.spawn(server.listen_unix(path)?.serve())),
            Listen::Netlink(port, most) => {
                drop(listeners.spawn(server.listen_netlink(*port, *most)?.serve()))
            }
        }
        let line = format!("acrypto: listening on '{address}', process {}", std::process::id());
        if !context.global.quiet {
            output::error_line(&line);
        }
    }
    notify::send("READY=1");
    loop {
        tokio::select! {
            wish = signals.next() => match wish {
                Wish::End => break,
                Wish::Reload => reload(&runtime, arguments.config.clone()).await,
            },
            () = server.end_asked() => break,
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

    /// Waits for the next signal.
    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::End,
            _ = self.interrupt.recv() => Wish::End,
            _ = self.reload.recv() => Wish::Reload,
        }
    }

    /// Waits for the signal to end; it is too late to reload.
    async fn end(&mut self) {
        while self.next().await != Wish::End {}
    }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    End,
    Reload,
}

/// Makes the runtime as the file says now, as far as that can be done while it runs.
async fn reload(runtime: &Runtime, file: Option<PathBuf>) {
    let Some(file) = file else {
        return output::error_line("acrypto: nothing to reload: the daemon has no configuration file");
    };
    let runtime = runtime.clone();
    // Known answers of new devices take their time.
    let reloaded = tokio::task::spawn_blocking(move || {
        let loaded = Loaded::read(&file)?;
        let waiting = runtime.apply(&loaded.setup, embedded::own_uid());
        waiting.map_err(|error| loaded.failure(error)).map(|waiting| (file, waiting))
    });
    match reloaded.await {
        Ok(Ok((file, waiting))) => {
            let mut line = format!("acrypto: reloaded '{}'", file.display());
            if !waiting.is_empty() {
                line.push_str(&format!("; for the next start: {}", waiting.join(", ")));
            }
            output::error_line(&line);
        }
        Ok(Err(failure)) => output::error(&failure),
        Err(_) => output::error_line("acrypto: the reload panicked"),
    }
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listen {
    Unix(PathBuf),
    /// At this port; nobody gets more than this class there.
    Netlink(u32, Class),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => Address::Unix(path.clone()).fmt(f),
            Self::Netlink(port, most) => {
                let with_changes = if *most > Class::Read { ",rw" } else { "" };
                write!(f, "{}{with_changes}", Address::Netlink(*port))
            }
        }
    }
}

impl FromStr for Listen {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        // A path may end like that too.
        let (bare, most) = match text.strip_suffix(",rw") {
            Some(bare) if bare.starts_with("netlink") => (bare, Class::Admin),
            _ => (text, Class::Read),
        };
        match bare.parse()? {
            Address::Unix(path) => Ok(Self::Unix(path)),
            Address::Netlink(port) => Ok(Self::Netlink(port, most)),
            other => Err(Failure::usage(format!("cannot listen on '{other}'"))
                .with_hint("pass --listen unix:PATH or --listen netlink[:PORT][,rw]")),
        }
    }
}

fn addresses(arguments: &DaemonArgs) -> Result<Vec<Listen>, Failure> {
    if !arguments.listen.is_empty() {
        return arguments.listen.iter().map(|text| text.parse()).collect();
    }
    match Address::default_listen() {
        Some(address) => Ok(vec![address.to_string().parse()?]),
        None => Err(Failure::usage("no directory for the socket: XDG_RUNTIME_DIR is not set")
            .with_hint("pass --listen unix:PATH")),
    }
}
