//! A real runtime, a real server, a real client.

mod auth;
mod control;
mod data;
mod hostile;
mod netlink;
mod rules;
mod sessions;
mod unix;

use acrypto_core::{Config, Runtime};

use super::{Peer, Server, ServerOptions};
use crate::client::Client;
use crate::error::Error;
use crate::transport::Credentials;

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EEXIST: i32 = 17;
const EAGAIN: i32 = 11;
const EBUSY: i32 = 16;
const ENODEV: i32 = 19;
const EINVAL: i32 = 22;
const EBADMSG: i32 = 74;
const EOPNOTSUPP: i32 = 95;
const ENOBUFS: i32 = 105;

/// A server of a runtime with one software device, `soft0`.
fn server_with(options: ServerOptions) -> Server {
    let config = Config { workers: 1, main_queue_max_ops: 1024, ..Config::default() };
    let runtime = Runtime::start(config).unwrap();
    runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    Server::new(runtime, options)
}

fn server() -> Server {
    server_with(ServerOptions::default())
}

async fn connected() -> (Server, Client) {
    let server = server();
    let client = Client::over(server.memory()).await.unwrap();
    (server, client)
}

fn peer(uid: u32) -> Peer {
    Peer { credentials: Credentials { pid: 1, uid, gid: uid }, groups: Vec::new() }
}

/// A user that is neither root nor the one who runs the tests.
fn stranger() -> u32 {
    Credentials::own().uid + 4711
}

#[track_caller]
fn errno<T: std::fmt::Debug>(result: Result<T, Error>) -> i32 {
    match result {
        Err(Error::Refused { errno, .. }) => errno,
        other => panic!("not refused: {other:?}"),
    }
}
