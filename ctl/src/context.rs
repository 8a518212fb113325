//! What every command needs: the global options, a printer, and the way to a server.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use acrypto_netlink::server::{Server, ServerOptions};
use acrypto_netlink::{Address, Client, Error as NetlinkError};

use crate::cli::Global;
use crate::embedded;
use crate::exit::{Exit, Failure, exit_of_errno, lowered};
use crate::output::{self, Printer};

/// What every command needs.
#[derive(Clone, Debug)]
pub struct Context {
    /// Options that stood anywhere on the line.
    pub global: Global,
    /// Prints what they ask for.
    pub printer: Printer,
}

impl Context {
    /// The context of these options.
    pub fn new(global: Global) -> Self {
        let printer = Printer::new(&global);
        Self { global, printer }
    }

    /// The address named by `--connect` or the environment.
    pub fn named_address(&self) -> Result<Option<Address>, Failure> {
        self.global.connect.as_deref().map(|text| text.parse().map_err(Failure::from)).transpose()
    }

    /// Whether what can be done in this process is to be done here.
    pub fn is_embedded(&self) -> bool {
        matches!(self.named_address(), Ok(None | Some(Address::Embedded)))
    }

    /// A connection to the daemon that was named; `None` if none was, or a runtime of our own.
    pub async fn named_server(&self) -> Result<Option<Client>, Failure> {
        match self.named_address()? {
            None | Some(Address::Embedded) => Ok(None),
            Some(address) => self.connect(&address).await.map(Some),
        }
    }

    /// A connection to the server in question.
    pub async fn client(&self) -> Result<Client, Failure> {
        match self.named_address()? {
            Some(Address::Embedded) => {
                let runtime = embedded::start(acrypto_core::Config::default())?;
                let server = Server::new(runtime, ServerOptions::default());
                self.dressed(Client::over(server.memory()).await?)
            }
            Some(address) => self.connect(&address).await,
            None => self.find_server().await,
        }
    }

    async fn find_server(&self) -> Result<Client, Failure> {
        let mut first = None;
        for address in Address::default_candidates() {
            match self.connect(&address).await {
                Ok(client) => return Ok(client),
                Err(failure) if failure.exit == Exit::NoServer => {
                    first.get_or_insert(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(first.unwrap_or_else(|| Failure::new(Exit::NoServer, "no server")))
    }

    /// A connection to the server at `address`.
    pub async fn connect(&self, address: &Address) -> Result<Client, Failure> {
        let connecting = Client::connect(address);
        let client = match tokio::time::timeout(self.global.timeout, connecting).await {
            Ok(client) => client?,
            Err(_) => return Err(Failure::new(Exit::Unknown, format!("no answer from '{address}' in time"))),
        };
        if self.global.verbose {
            self.printer.note(&format!("connected to '{address}', epoch {:04x}", client.epoch()));
        }
        self.dressed(client)
    }

    fn dressed(&self, client: Client) -> Result<Client, Failure> {
        let client = client.with_timeout(self.global.timeout.max(Duration::from_millis(1)));
        Ok(match self.global.wire {
            true => client.with_trace(Arc::new(output::error_line)),
            false => client,
        })
    }

    /// Asks a person to type `name`; anything else, or nobody there to ask, refuses.
    pub fn confirm(&self, question: &str, name: &str, confirmed: Option<&str>) -> Result<(), Failure> {
        let refusal = || Failure::new(Exit::State, question).with_hint(format!("pass --confirm {name}"));
        if self.global.yes || confirmed == Some(name) {
            return Ok(());
        }
        if confirmed.is_some() || self.global.no_input || !std::io::stdin().is_terminal() {
            return Err(refusal());
        }
        let mut terminal = std::io::stderr();
        let _ = write!(terminal, "{question}\ntype '{name}' to go on: ");
        let mut answer = String::new();
        let _ = std::io::stdin().lock().read_line(&mut answer);
        if answer.trim() == name { Ok(()) } else { Err(refusal()) }
    }
}

impl From<NetlinkError> for Failure {
    fn from(error: NetlinkError) -> Self {
        let exit = match &error {
            NetlinkError::Refused { errno, .. } => exit_of_errno(*errno),
            NetlinkError::Timeout { .. } | NetlinkError::Closed { sent_change: true } => Exit::Unknown,
            NetlinkError::TooLarge { .. }
            | NetlinkError::UnknownToken { .. }
            | NetlinkError::BadAddress { .. } => Exit::Usage,
            NetlinkError::Listen { .. } => Exit::File,
            NetlinkError::AddressTaken { .. } => Exit::State,
            _ => Exit::NoServer,
        };
        match &error {
            NetlinkError::NoServer { address, reason } => {
                Self::new(exit, format!("no server at '{address}': {}", lowered(reason)))
                    .with_hint("start one with 'acrypto daemon'")
            }
            NetlinkError::Listen { address, reason } => {
                Self::new(exit, format!("cannot listen on '{address}': {}", lowered(reason)))
            }
            _ => Self::new(exit, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_server_is_told_from_no_server() {
        let exit = |error: NetlinkError| Failure::from(error).exit;
        assert_eq!(exit(NetlinkError::Closed { sent_change: true }), Exit::Unknown);
        assert_eq!(exit(NetlinkError::Closed { sent_change: false }), Exit::NoServer);
        assert_eq!(exit(NetlinkError::Timeout { sent_change: false }), Exit::Unknown);
        assert_eq!(exit(NetlinkError::Version { theirs: 2, ours: 1 }), Exit::NoServer);
        let taken = NetlinkError::AddressTaken { address: "unix:/x".to_owned(), pid: 7 };
        assert_eq!(exit(taken), Exit::State);
    }
}
