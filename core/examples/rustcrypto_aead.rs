//! An adapter for RustCrypto's `aead` traits: code written for them seals and opens by way of a session, on whatever
//! device the runtime has. Run: `cargo run -p acrypto-core --example rustcrypto_aead`.

#![allow(clippy::print_stdout, reason = "a program that tells what it did")]

use acrypto_core::{Algorithm, Completion, Config, Key, Request, Runtime, Session, SessionSpec};
use aead::consts::{U12, U16};
use aead::inout::InOutBuf;
use aead::{Aead, AeadCore, AeadInOut, Error, KeyInit, Nonce, Payload, Tag, TagPosition};

/// AES-256-GCM in a session. The traits block, and so does `Session::call`; it needs no executor.
pub struct Aes256Gcm(Session);

impl Aes256Gcm {
    /// A session on `runtime` with this key.
    ///
    /// # Errors
    /// As [`Runtime::session`].
    pub fn new(runtime: &Runtime, key: [u8; 32]) -> Result<Self, acrypto_core::Error> {
        runtime.session(SessionSpec::new(Algorithm::Aes256Gcm), Key::new(key.to_vec())).map(Self)
    }

    /// The traits have one opaque error; a refused operation, a broken one and a forgery all become it.
    fn call(&self, request: Request) -> aead::Result<Vec<u8>> {
        match self.0.call(request) {
            Ok(Completion { result: Ok(()), data, .. }) => Ok(data),
            _ => Err(Error),
        }
    }
}

impl AeadCore for Aes256Gcm {
    type NonceSize = U12;
    type TagSize = U16;
    const TAG_POSITION: TagPosition = TagPosition::Postfix;
}

/// From this, the crate makes `Aead` and the rest. The runtime owns buffers until an operation completes, so that what
/// is lent for a call is copied in and out.
impl AeadInOut for Aes256Gcm {
    fn encrypt_inout_detached(
        &self,
        nonce: &Nonce<Self>,
        aad: &[u8],
        mut buffer: InOutBuf<'_, '_, u8>,
    ) -> aead::Result<Tag<Self>> {
        // With room for the tag, so that appending it moves nothing.
        let mut data = Vec::with_capacity(buffer.len() + 16);
        data.extend_from_slice(buffer.get_in());
        let data = self.call(Request::encrypt(data, nonce.0).with_aad(aad.to_vec()))?;
        let (text, tag) = data.split_at_checked(buffer.len()).ok_or(Error)?;
        buffer.get_out().copy_from_slice(text);
        tag.try_into().map_err(|_| Error)
    }

    fn decrypt_inout_detached(
        &self,
        nonce: &Nonce<Self>,
        aad: &[u8],
        mut buffer: InOutBuf<'_, '_, u8>,
        tag: &Tag<Self>,
    ) -> aead::Result<()> {
        let data = [buffer.get_in(), tag].concat();
        let data = self.call(Request::decrypt(data, nonce.0).with_aad(aad.to_vec()))?;
        if data.len() != buffer.len() {
            return Err(Error);
        }
        buffer.get_out().copy_from_slice(&data);
        Ok(())
    }
}

/// Any code that knows only the traits.
fn seal(cipher: &impl Aead<NonceSize = U12>, nonce: [u8; 12], text: &[u8]) -> aead::Result<Vec<u8>> {
    cipher.encrypt(&nonce.into(), Payload { msg: text, aad: b"head" })
}

/// Seals by way of a runtime, opens with the library, and the other way round.
///
/// # Errors
/// Whatever should not happen.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = Runtime::start(Config::default())?;
    runtime.add_device_of_kind("soft0", "soft", &[], 0)?;
    let (key, nonce, text) = ([7; 32], [1; 12], b"attack at dawn");
    let ours = Aes256Gcm::new(&runtime, key)?;
    let library = aes_gcm::Aes256Gcm::new(&key.into());

    let sealed = seal(&ours, nonce, text)?;
    assert_eq!(sealed, seal(&library, nonce, text)?);
    assert_eq!(ours.decrypt(&nonce.into(), Payload { msg: &sealed, aad: b"head" })?, text);
    assert!(ours.decrypt(&nonce.into(), Payload { msg: &sealed, aad: b"heap" }).is_err());
    println!("{} bytes sealed and opened through the aead traits", text.len());
    Ok(())
}
