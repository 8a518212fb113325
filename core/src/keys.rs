//! Named keys: a session can refer to one without having seen its bytes.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::clock::Nanos;
use crate::error::Error;
use crate::event::{Draft, EventKind, Severity};
use crate::key::{Key, Uses};
use crate::runtime::{Runtime, check_name};
use crate::session::{Session, SessionSpec};
use crate::stats::KeyStatus;
use crate::sync::Lock;

#[derive(Debug)]
struct Entry {
    key: Key,
    uses: Uses,
    uid: u32,
    created: Nanos,
    check_value: [u8; 4],
}

#[derive(Debug, Default)]
struct Table {
    /// Drawn for the first key.
    secret: Option<Secret>,
    entries: BTreeMap<String, Entry>,
}

/// What check values are mixed with.
struct Secret(Zeroizing<[u8; 32]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The keys by name.
#[derive(Debug)]
pub(crate) struct Keys {
    table: Lock<Table>,
    limit: usize,
}

impl Keys {
    pub(crate) fn new(limit: usize) -> Self {
        Self { table: Lock::default(), limit }
    }

    fn find(&self, names: &[&str]) -> Result<Vec<(Key, Uses)>, Error> {
        let table = self.table.lock();
        let find = |name: &&str| match table.entries.get(*name) {
            Some(entry) => Ok((entry.key.clone(), entry.uses)),
            None => Err(Error::UnknownKey { name: (*name).to_owned() }),
        };
        names.iter().map(find).collect()
    }
}

/// Keys without a name: whoever has their bytes may do anything with them.
pub(crate) fn unrestricted(keys: Vec<Key>) -> Vec<(Key, Uses)> {
    keys.into_iter().map(|key| (key, Uses::ALL)).collect()
}

impl Session {
    /// As [`Session::rekey`], with named keys: from now on the session may do what they allow, by the rules of
    /// [`Runtime::session_with_named_keys`].
    ///
    /// # Errors
    /// [`Error::UnknownKey`], [`Error::NotAllowed`], and as [`Session::rekey`].
    pub fn rekey_named(&self, names: &[&str], uid: u32) -> Result<(), Error> {
        self.open.shared.rekey_session(&self.open.state, self.open.shared.keys.find(names)?, uid)
    }
}

impl Secret {
    fn draw() -> Result<Self, Error> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut_slice()).map_err(|_| Error::NoRandom)?;
        Ok(Self(secret))
    }

    /// Tells two keys of one runtime apart without telling anything of either: the first four bytes of SHA-256 over a
    /// label, the secret, the key's length and the key. Without the secret, whoever may look could try weak keys
    /// (short ones, passphrases) until the value fits.
    fn check_value(&self, key: &Key) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(b"acrypto key check value")
            .chain_update(self.0.as_slice())
            .chain_update((key.len() as u64).to_be_bytes())
            .chain_update(key.expose())
            .finalize();
        [digest[0], digest[1], digest[2], digest[3]]
    }
}

impl Runtime {
    /// Keeps a key under a name, for sessions of those who may use it.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::KeyExists`], [`Error::Limit`], [`Error::NoRandom`].
    pub fn add_key(&self, name: &str, key: Key, uses: Uses, uid: u32) -> Result<(), Error> {
        check_name(name)?;
        let keys = &self.shared.keys;
        {
            let mut table = keys.table.lock();
            if table.entries.contains_key(name) {
                return Err(Error::KeyExists { name: name.to_owned() });
            }
            if table.entries.len() >= keys.limit {
                return Err(Error::Limit { what: "named keys", limit: keys.limit });
            }
            let secret = table.secret.take().map_or_else(Secret::draw, Ok)?;
            let check_value = secret.check_value(&key);
            table.secret = Some(secret);
            let entry = Entry { key, uses, uid, created: self.now(), check_value };
            table.entries.insert(name.to_owned(), entry);
        }
        self.key_event(name, "", "added", uid);
        Ok(())
    }

    /// Forgets a name. Sessions that use the key keep it; its bytes are wiped with the last of them.
    ///
    /// # Errors
    /// [`Error::UnknownKey`].
    pub fn remove_key(&self, name: &str, uid: u32) -> Result<(), Error> {
        let removed = self.shared.keys.table.lock().entries.remove(name);
        removed.ok_or_else(|| Error::UnknownKey { name: name.to_owned() })?;
        self.key_event(name, "added", "removed", uid);
        Ok(())
    }

    /// The named keys, by name: never their bytes.
    pub fn keys(&self) -> Vec<KeyStatus> {
        let table = self.shared.keys.table.lock();
        let status = |(name, entry): (&String, &Entry)| KeyStatus {
            name: name.clone(),
            key_bytes: entry.key.len(),
            uses: entry.uses,
            uid: entry.uid,
            created_ns: entry.created.0,
            check_value: entry.check_value,
        };
        table.entries.iter().map(status).collect()
    }

    /// Allocates a session with named keys, one for each stage of its route. It may do what its key may; with a route,
    /// what the cipher's key may, and the key of each MAC must allow [`OpKind::Mac`](crate::OpKind::Mac).
    ///
    /// # Errors
    /// [`Error::UnknownKey`], [`Error::NotAllowed`], and as [`Runtime::session_with_keys`].
    pub fn session_with_named_keys(&self, spec: SessionSpec, names: &[&str]) -> Result<Session, Error> {
        self.session_with(spec, self.shared.keys.find(names)?)
    }

    fn key_event(&self, name: &str, from: &str, to: &str, uid: u32) {
        self.shared.events.push(Draft {
            kind: EventKind::Session,
            severity: Severity::Info,
            object: "key",
            name: name.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            reason: String::new(),
            uid,
        });
    }
}
