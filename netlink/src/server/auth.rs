//! Who may do what: three classes, by the peer of the connection *and* the sender of the message.

use super::Shared;
use super::errno::EPERM;
use crate::attr::Fault;
use crate::message::Class;
use crate::transport::{Credentials, UnixEnd};

/// Who is at the other end of a connection, as of when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its credentials.
    pub credentials: Credentials,
    /// Groups of its user.
    pub groups: Vec<u32>,
}

impl Peer {
    /// The peer of a unix socket (SO_PEERCRED). Its groups are looked up only when they matter, in the system's group
    /// database: SO_PEERGROUPS cannot be asked for without unsafe code.
    pub(super) async fn of(end: &UnixEnd, shared: &Shared) -> std::io::Result<Self> {
        // Inherited from the listener by newer kernels only.
        rustix::net::sockopt::set_socket_passcred(end.socket(), true)?;
        Ok(Self::with(end.peer()?, shared).await)
    }

    /// A peer with these credentials.
    pub(super) async fn with(credentials: Credentials, shared: &Shared) -> Self {
        let matters = shared.options.admin_gid.is_some() && !shared.trusts(credentials.uid);
        let groups = if matters {
            tokio::task::spawn_blocking(move || groups_of(credentials)).await.unwrap_or_default()
        } else {
            Vec::new()
        };
        Self { credentials, groups }
    }
}

fn groups_of(of: Credentials) -> Vec<u32> {
    let uid = nix::unistd::Uid::from_raw(of.uid);
    let Some(user) = nix::unistd::User::from_uid(uid).ok().flatten() else { return Vec::new() };
    let Ok(name) = std::ffi::CString::new(user.name) else { return Vec::new() };
    let groups = nix::unistd::getgrouplist(&name, user.gid).unwrap_or_default();
    groups.into_iter().map(nix::unistd::Gid::as_raw).collect()
}

impl Shared {
    /// What a message may ask for that `sender` sent on a connection of `peer`.
    pub(super) fn class_of(&self, peer: &Peer, sender: Option<Credentials>) -> Class {
        let Some(sender) = sender else { return Class::Read };
        let (own, theirs) = (peer.credentials.uid, sender.uid);
        let in_group = self
            .options
            .admin_gid
            .is_some_and(|gid| peer.credentials.gid == gid || peer.groups.contains(&gid));
        if self.trusts(own) && self.trusts(theirs) || in_group && own == theirs {
            Class::Admin
        } else if own == theirs || self.trusts(theirs) {
            Class::Use
        } else {
            Class::Read
        }
    }

    /// Whether a user is root or the server's own.
    pub(super) fn trusts(&self, uid: u32) -> bool {
        uid == 0 || uid == self.own.uid
    }
}

/// The refusal of a command that needs a higher class.
pub(super) fn permit(have: Class, need: Class, command: &str, uid: u32) -> Result<(), Fault> {
    if have >= need {
        return Ok(());
    }
    let message = match need {
        Class::Admin => {
            format!(
                "'{command}' needs class admin: root, the server's user or its admin group, not uid {uid}"
            )
        }
        _ => format!("'{command}' needs class {need}, this message has class {have}"),
    };
    Err(Fault::new(EPERM, message))
}
