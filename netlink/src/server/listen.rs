//! Listening on a unix socket: who owns the path is decided by a lock file beside it.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::net::SocketAddrUnix;
use tokio::net::UnixListener;

use super::auth::Peer;
use super::{Server, Shared, connection};
use crate::error::Error;
use crate::message::Class;
use crate::transport::End;
use crate::transport::unix::{UnixEnd, socket};

/// Connections the kernel holds that are not accepted yet.
const BACKLOG: i32 = 128;
/// How long to wait when the process has no descriptor left for one more connection.
const EXHAUSTED_WAIT: Duration = Duration::from_millis(100);

/// A socket that is bound. Dropping it unlinks the path.
#[derive(Debug)]
pub struct Listener {
    server: Server,
    socket: UnixListener,
    path: PathBuf,
    /// Holds the lock as long as it is open; the file stays, so that nobody can lock an unlinked one.
    lock: File,
}

impl Server {
    /// Binds a unix socket, so that clients find the server when this returns.
    ///
    /// # Errors
    /// [`Error::AddressTaken`] when another server has the path, [`Error::Listen`] when it cannot be made.
    pub fn listen_unix(&self, path: &Path) -> Result<Listener, Error> {
        let listen = |error: io::Error| Error::Listen { address: address(path), reason: error.to_string() };
        let is_public = rustix::process::geteuid().is_root();
        make_directory(path, is_public).map_err(listen)?;
        let lock = take_lock(path)?;
        refuse_other_owner(path)?;
        let socket = bind(path, is_public).map_err(listen)?;
        Shared::lock(&self.shared.listen).push(address(path));
        Ok(Listener { server: self.clone(), socket, path: path.to_owned(), lock })
    }

    /// Binds a unix socket and serves it until [`Server::shutdown`].
    ///
    /// # Errors
    /// As [`Server::listen_unix`].
    pub async fn serve_unix(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.listen_unix(path.as_ref())?.serve().await;
        Ok(())
    }
}

impl Listener {
    /// Serves every client that comes, until [`Server::shutdown`].
    pub async fn serve(self) {
        let shared = Arc::clone(&self.server.shared);
        let mut stopping = shared.stopping.subscribe();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping) => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((socket, _)) => {
                    let shared = Arc::clone(&shared);
                    let end = UnixEnd::over_accepted(socket);
                    tokio::spawn(async move {
                        if let Ok(peer) = Peer::of(&end, &shared).await {
                            connection::serve(shared, End::Unix(end), peer, Class::Admin).await;
                        }
                    });
                }
                // Descriptors are exhausted, or the client has gone already.
                Err(_) => tokio::time::sleep(EXHAUSTED_WAIT).await,
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Nothing is left to do for who cannot remove its own files.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.lock.set_len(0);
        let own = address(&self.path);
        Shared::lock(&self.server.shared.listen).retain(|listening| *listening != own);
    }
}

fn address(path: &Path) -> String {
    format!("unix:{}", path.display())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn make_directory(path: &Path, is_public: bool) -> io::Result<()> {
    let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) else {
        return Ok(());
    };
    let mode = if is_public { 0o755 } else { 0o700 };
    DirBuilder::new().recursive(true).mode(mode).create(directory)
}

/// Takes the lock and writes the process id into it.
fn take_lock(path: &Path) -> Result<File, Error> {
    let lock_path = beside(path, ".lock");
    let listen = |error: io::Error| Error::Listen {
        address: address(path),
        reason: format!("lock file '{}': {error}", lock_path.display()),
    };
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(&lock_path)
        .map_err(listen)?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            // A holder that has not written its id yet is not known.
            let _ = lock.read_to_string(&mut holder);
            return Err(Error::AddressTaken {
                address: address(path),
                pid: holder.trim().parse().unwrap_or(0),
            });
        }
        Err(error) => return Err(listen(error.into())),
    }
    let write = |lock: &mut File| {
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{}", std::process::id())
    };
    write(&mut lock).map_err(listen)?;
    Ok(lock)
}

/// The lock is ours; what is at the path must be a stale socket, or nothing.
fn refuse_other_owner(path: &Path) -> Result<(), Error> {
    let reason = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => error.to_string(),
        Ok(found) if !found.file_type().is_socket() => "something that is no socket is there".to_owned(),
        Ok(_) => match UnixEnd::connect(path).and_then(|end| end.peer()) {
            Ok(peer) => return Err(Error::AddressTaken { address: address(path), pid: peer.pid }),
            Err(_) => return Ok(()),
        },
    };
    Err(Error::Listen { address: address(path), reason })
}

/// Binds under another name and moves the socket into place, so that it is never seen with other rights than its own;
/// a stale socket is replaced.
fn bind(path: &Path, is_public: bool) -> io::Result<UnixListener> {
    let new = beside(path, ".new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = socket()?;
    // Inherited by every accepted socket, so that no message comes without its sender.
    rustix::net::sockopt::set_socket_passcred(&socket, true)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(&new)?)?;
    std::fs::set_permissions(&new, Permissions::from_mode(if is_public { 0o666 } else { 0o600 }))?;
    rustix::net::listen(&socket, BACKLOG)?;
    std::fs::rename(&new, path)?;
    UnixListener::from_std(StdUnixListener::from(socket))
}
