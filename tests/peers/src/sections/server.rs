//! The echo server, three ways.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use acrypto_core::Algorithm;

use super::Outcome;
use crate::measure::{Plan, Spread};
use crate::ours;
use crate::programs::{output_of, schedule_of};
use crate::report::{Section, Table, spread};

const MODES: [&str; 3] = ["session", "inline", "spawn-blocking"];
const CONNECTIONS: usize = 64;

/// A server that ends with this.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(program: &PathBuf, mode: &str, algorithm: Algorithm) -> Result<Self, String> {
        let mut command = Command::new(program);
        command.args([
            "serve",
            "--mode",
            mode,
            "--alg",
            algorithm.name(),
            "--kind",
            ours::kind_for(algorithm),
        ]);
        let child = command.stdout(Stdio::piped()).spawn().map_err(|error| format!("no server: {error}"))?;
        let mut server = Self { child, address: String::new() };
        let output = server.child.stdout.take().ok_or("the server has no output")?;
        BufReader::new(output).read_line(&mut server.address).map_err(|error| error.to_string())?;
        server.address.truncate(server.address.trim_end().len());
        if server.address.is_empty() { Err("the server did not start".to_owned()) } else { Ok(server) }
    }

    /// Processor time of all its threads.
    fn cpu_ns(&self) -> u64 {
        schedule_of(self.child.id()).map(|(_, (ran_ns, _))| ran_ns).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the clients saw in one turn.
#[derive(Clone, Copy)]
struct Load {
    requests_per_s: f64,
    cpu_ns_per_request: f64,
    p50_ns: f64,
    p99_ns: f64,
}

pub fn measure(plan: &Plan) -> Outcome {
    let mut section = Section {
        name: "s9",
        title: "An echo server under tokio",
        method: format!(
            "`core/examples/echo_server.rs`: {CONNECTIONS} connections of one client program send messages of 1 KiB over loopback \
             and wait for each to come back encrypted; the server encrypts it through a session, by aws-lc-rs inline, or by \
             that call in `spawn_blocking`. Both programs share the cores. CPU is the server's."
        ),
        ..Section::default()
    };
    let columns = ["case", "mode", "requests/s", "server CPU, µs a request", "p50, µs", "p99, µs"];
    let mut table = Table { columns: columns.map(str::to_owned).to_vec(), ..Table::default() };
    for algorithm in [Algorithm::Aes128Cbc, Algorithm::Aes256Gcm] {
        match loads(plan, algorithm) {
            Ok(loads) => {
                for (index, (mode, loads)) in MODES.into_iter().zip(&loads).enumerate() {
                    let of = |figure: fn(&Load) -> f64| Spread::of(loads.iter().map(figure).collect());
                    let figures = [
                        of(|load| load.requests_per_s),
                        of(|load| load.cpu_ns_per_request / 1e3),
                        of(|load| load.p50_ns / 1e3),
                        of(|load| load.p99_ns / 1e3),
                    ];
                    let title = if index == 0 { format!("{algorithm} 1 KiB") } else { String::new() };
                    let cells = figures.map(|figure| spread(Some(figure)));
                    table.rows.push([title, mode.to_owned()].into_iter().chain(cells).collect());
                    let medians = figures.map(|figure| figure.median);
                    table.data.push(
                        serde_json::json!({ "case": algorithm.name(), "mode": mode, "medians": medians }),
                    );
                }
            }
            Err(reason) => table.rows.push(vec![algorithm.to_string(), format!("({reason})")]),
        }
    }
    section.tables.push(table);
    section.into()
}

/// The rounds of each mode.
fn loads(plan: &Plan, algorithm: Algorithm) -> Result<Vec<Vec<Load>>, String> {
    let folder = std::env::current_exe().map_err(|error| error.to_string())?;
    let program = folder.with_file_name("examples").join("echo_server");
    if !program.is_file() {
        return Err("the example is not built".to_owned());
    }
    let servers =
        MODES.iter().map(|mode| Server::start(&program, mode, algorithm)).collect::<Result<Vec<_>, _>>()?;
    let requests = if plan.is_quick { 640 } else { 64_000 };
    let turn = |server: &Server| {
        let mut command = Command::new(&program);
        command.args(["load", "--connect", &server.address, "--alg", algorithm.name()]);
        command.args(["--connections", &CONNECTIONS.to_string(), "--requests", &requests.to_string()]);
        let before_ns = server.cpu_ns();
        let output = output_of(command)?;
        let cpu_ns = server.cpu_ns() - before_ns;
        let text = String::from_utf8_lossy(&output.stdout);
        let figures: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        match figures[..] {
            [requests, seconds, p50_ns, p99_ns] => Ok(Load {
                requests_per_s: requests / seconds,
                cpu_ns_per_request: cpu_ns as f64 / requests,
                p50_ns,
                p99_ns,
            }),
            _ => Err(format!("the client said '{text}'")),
        }
    };
    let mut loads = vec![Vec::new(); MODES.len()];
    // The first round warms up, and does not count.
    for round in 0..=plan.rounds {
        for place in 0..servers.len() {
            let place = (round + place) % servers.len();
            let load = turn(&servers[place])?;
            if round > 0 {
                loads[place].push(load);
            }
        }
    }
    Ok(loads)
}
