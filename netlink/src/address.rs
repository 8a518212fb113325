//! Where a server listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::Error;

/// Port of the netlink transport unless another is named; low 22 bits zero, so that it never clashes with autobind.
pub const NETLINK_PORT: u32 = 0x4100_0000;

/// Name of the socket inside its directory.
const SOCKET: &str = "acrypto/control.sock";

/// Address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// AF_UNIX SOCK_SEQPACKET at a path.
    Unix(PathBuf),
    /// AF_NETLINK, protocol NETLINK_USERSOCK, at a port.
    Netlink(u32),
    /// In this process, by channels.
    Memory,
    /// A runtime of the program's own, served by memory.
    Embedded,
}

impl Address {
    /// Where a client looks when nothing was said: the caller's own server first, then the system's.
    pub fn default_candidates() -> Vec<Address> {
        let system = PathBuf::from("/run").join(SOCKET);
        let user = std::env::var_os("XDG_RUNTIME_DIR")
            .filter(|directory| !directory.is_empty())
            .map(|directory| PathBuf::from(directory).join(SOCKET));
        let mut paths = vec![system];
        if let Some(user) = user {
            let own_first = if rustix::process::geteuid().is_root() { 1 } else { 0 };
            paths.insert(own_first, user);
        }
        paths.into_iter().map(Address::Unix).collect()
    }

    /// Where a server listens when nothing was said.
    pub fn default_listen() -> Option<Address> {
        if rustix::process::geteuid().is_root()
            || std::env::var_os("XDG_RUNTIME_DIR").is_some_and(|v| !v.is_empty())
        {
            Self::default_candidates().into_iter().next()
        } else {
            None
        }
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::BadAddress { address: text.to_owned() };
        match text.split_once(':') {
            None if text == "embedded" => Ok(Self::Embedded),
            None if text == "netlink" => Ok(Self::Netlink(NETLINK_PORT)),
            Some(("unix", path)) if !path.is_empty() && !path.contains('\0') => Ok(Self::Unix(path.into())),
            Some(("netlink", port)) => {
                let port = match port.strip_prefix("0x") {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => port.parse(),
                };
                port.ok().filter(|port| *port != 0).map(Self::Netlink).ok_or_else(bad)
            }
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Netlink(port) => write!(f, "netlink:{port:#x}"),
            Self::Memory => f.write_str("memory"),
            Self::Embedded => f.write_str("embedded"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_it_was_written() {
        for text in ["unix:/run/acrypto/control.sock", "netlink:0x41000000", "embedded", "unix:relative"] {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("netlink".parse(), Ok(Address::Netlink(NETLINK_PORT)));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in
            ["", "unix:", "unix", "netlink:", "netlink:0", "netlink:x", "memory", "tcp:1.2.3.4", "/a/b"]
        {
            assert_eq!(text.parse::<Address>(), Err(Error::BadAddress { address: text.to_owned() }));
        }
    }
}
