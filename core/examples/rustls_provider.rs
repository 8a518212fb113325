//! A rustls `CryptoProvider` that takes hashes, MACs, random bytes and the encryption of records from a runtime, and
//! key exchange and signatures from rustls' own provider over ring; then a TLS 1.3 handshake and some data, in memory.
//! Run: `cargo run -p acrypto-core --example rustls_provider`.

#![allow(clippy::print_stdout, reason = "a program that tells what it did")]

use std::io::{Read, Write};
use std::sync::{Arc, LazyLock};

use acrypto_core::{
    Algorithm, Completion, Config, Iv as Nonce96, Key, OpKind, Output, Request, Runtime, Session, SessionSpec,
};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter, Nonce,
    OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls13AeadAlgorithm,
    UnsupportedOperationError, make_tls13_aad,
};
use rustls::crypto::hash::{self, HashAlgorithm};
use rustls::crypto::tls13::HkdfUsingHmac;
use rustls::crypto::{CryptoProvider, GetRandomFailed, SecureRandom, hmac};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    CipherSuite, CipherSuiteCommon, ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType,
    Error, ProtocolVersion, RootCertStore, ServerConfig, ServerConnection, SupportedCipherSuite,
    Tls13CipherSuite,
};

/// A provider's parts are static, and so is the runtime they work on.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Runtime::start(Config::default()).expect("threads can be started");
    runtime.add_device_of_kind("soft0", "soft", &[], 0).expect("software passes its known answers");
    runtime
});

static HASHING: LazyLock<Session> = LazyLock::new(|| session(Algorithm::Sha256, &[]));
static RANDOM: LazyLock<Session> = LazyLock::new(|| session(Algorithm::Random, &[]));

fn session(algorithm: Algorithm, key: &[u8]) -> Session {
    let spec = SessionSpec::new(algorithm).name("rustls");
    RUNTIME.session(spec, Key::new(key.to_vec())).expect("the runtime has room, and the key its length")
}

/// The suites of a runtime, and the rest of rustls' provider over ring.
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![AES_128_GCM_SHA256, CHACHA20_POLY1305_SHA256],
        secure_random: &Random,
        ..rustls::crypto::ring::default_provider()
    }
}

const AES_128_GCM_SHA256: SupportedCipherSuite = SupportedCipherSuite::Tls13(&Tls13CipherSuite {
    // RFC 8446 section 5.5.
    common: common(CipherSuite::TLS13_AES_128_GCM_SHA256, 1 << 24),
    hkdf_provider: &HkdfUsingHmac(&HmacSha256),
    aead_alg: &Records(Algorithm::Aes128Gcm),
    quic: None,
});

const CHACHA20_POLY1305_SHA256: SupportedCipherSuite = SupportedCipherSuite::Tls13(&Tls13CipherSuite {
    common: common(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, u64::MAX),
    hkdf_provider: &HkdfUsingHmac(&HmacSha256),
    aead_alg: &Records(Algorithm::ChaCha20Poly1305),
    quic: None,
});

const fn common(suite: CipherSuite, confidentiality_limit: u64) -> CipherSuiteCommon {
    CipherSuiteCommon { suite, hash_provider: &Sha256, confidentiality_limit }
}

/// The traits of hashes and MACs have no error: when no device is left, all that remains is to panic.
fn output(session: &Session, kind: OpKind, data: Vec<u8>) -> Output {
    match session.call(Request::new(kind, data)) {
        Ok(Completion { result: Ok(()), output, .. }) => output,
        Ok(Completion { result: Err(error), .. }) => panic!("{error}"),
        Err(refused) => panic!("{refused}"),
    }
}

struct Sha256;

impl hash::Hash for Sha256 {
    fn start(&self) -> Box<dyn hash::Context> {
        Box::new(Transcript(Vec::new()))
    }

    fn hash(&self, data: &[u8]) -> hash::Output {
        hash::Output::new(output(&HASHING, OpKind::Digest, data.to_vec()).as_slice())
    }

    fn output_len(&self) -> usize {
        32
    }

    fn algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }
}

/// A handshake's messages so far: a few kilobytes, hashed as often as rustls asks, which forks them.
struct Transcript(Vec<u8>);

impl hash::Context for Transcript {
    fn fork_finish(&self) -> hash::Output {
        hash::Hash::hash(&Sha256, &self.0)
    }

    fn fork(&self) -> Box<dyn hash::Context> {
        Box::new(Self(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> hash::Output {
        self.fork_finish()
    }

    fn update(&mut self, data: &[u8]) {
        self.0.extend_from_slice(data);
    }
}

struct HmacSha256;

impl hmac::Hmac for HmacSha256 {
    fn with_key(&self, key: &[u8]) -> Box<dyn hmac::Key> {
        Box::new(HmacKey(session(Algorithm::HmacSha256, key)))
    }

    fn hash_output_len(&self) -> usize {
        32
    }
}

struct HmacKey(Session);

impl hmac::Key for HmacKey {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> hmac::Tag {
        let data = [first, &middle.concat(), last].concat();
        hmac::Tag::new(output(&self.0, OpKind::Mac, data).as_slice())
    }

    fn tag_len(&self) -> usize {
        32
    }
}

#[derive(Debug)]
struct Random;

impl SecureRandom for Random {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        match RANDOM.call(Request::random(buffer.len())) {
            Ok(Completion { result: Ok(()), data, .. }) => {
                buffer.copy_from_slice(&data);
                Ok(())
            }
            _ => Err(GetRandomFailed),
        }
    }
}

const TAG_LEN: usize = 16;

/// Encryption of records (RFC 8446 section 5.2) by an AEAD: a session for each key.
struct Records(Algorithm);

impl Tls13AeadAlgorithm for Records {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Direction { session: session(self.0, key.as_ref()), iv })
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Direction { session: session(self.0, key.as_ref()), iv })
    }

    fn key_len(&self) -> usize {
        *self.0.key_len().start()
    }

    fn extract_keys(&self, _: AeadKey, _: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        // Keys stay in.
        Err(UnsupportedOperationError)
    }
}

/// One direction of a connection.
struct Direction {
    session: Session,
    iv: Iv,
}

impl Direction {
    fn call(&self, kind: OpKind, data: Vec<u8>, sequence: u64, record_len: usize) -> Option<Vec<u8>> {
        let mut request = Request::new(kind, data).with_aad(make_tls13_aad(record_len).to_vec());
        request.iv = Nonce96::from(Nonce::new(&self.iv, sequence).0);
        match self.session.call(request) {
            Ok(Completion { result: Ok(()), data, .. }) => Some(data),
            _ => None,
        }
    }
}

impl MessageEncrypter for Direction {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        sequence: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let record_len = self.encrypted_payload_len(message.payload.len());
        let mut data = Vec::with_capacity(record_len);
        message.payload.copy_to_vec(&mut data);
        data.push(message.typ.into());
        let data = self.call(OpKind::Encrypt, data, sequence, record_len).ok_or(Error::EncryptError)?;
        let payload = PrefixedPayload::from(data.as_slice());
        Ok(OutboundOpaqueMessage::new(ContentType::ApplicationData, ProtocolVersion::TLSv1_2, payload))
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        payload_len + 1 + TAG_LEN
    }
}

impl MessageDecrypter for Direction {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let record_len = message.payload.len();
        let data = message.payload.to_vec();
        let text = self.call(OpKind::Decrypt, data, sequence, record_len).ok_or(Error::DecryptError)?;
        message.payload[..text.len()].copy_from_slice(&text);
        message.payload.truncate(text.len());
        message.into_tls13_unpadded_message()
    }
}

/// A client and a server with one suite, joined in memory.
fn connect(
    suite: SupportedCipherSuite,
) -> Result<(ClientConnection, ServerConnection), Box<dyn std::error::Error>> {
    let provider = Arc::new(CryptoProvider { cipher_suites: vec![suite], ..provider() });
    let certificate = CertificateDer::from_pem_slice(include_bytes!("../../fixtures/tls/certificate.pem"))?;
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../../fixtures/tls/key.pem"))?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost")?;
    Ok((ClientConnection::new(Arc::new(client), name)?, ServerConnection::new(Arc::new(server))?))
}

/// Carries what either side has to send to the other, until neither has.
fn exchange(
    client: &mut ClientConnection,
    server: &mut ServerConnection,
) -> Result<(), Box<dyn std::error::Error>> {
    while client.wants_write() || server.wants_write() {
        carry(client, server)?;
        carry(server, client)?;
    }
    Ok(())
}

fn carry<A, B>(
    from: &mut rustls::ConnectionCommon<A>,
    to: &mut rustls::ConnectionCommon<B>,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut wire = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut wire)?;
    }
    let mut rest = wire.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest)?;
        to.process_new_packets()?;
    }
    Ok(())
}

/// Handshakes with each suite, moves data both ways, and checks that a forged record is refused.
///
/// # Errors
/// Whatever should not happen.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    for suite in provider().cipher_suites {
        let (mut client, mut server) = connect(suite)?;
        exchange(&mut client, &mut server)?;
        assert!(!client.is_handshaking() && !server.is_handshaking());
        assert_eq!(client.negotiated_cipher_suite(), Some(suite));

        for (question, answer) in
            [(1, 12_000), (0, 1), (16_000, 15_999)].map(|(a, b)| (vec![1; a], vec![2; b]))
        {
            client.writer().write_all(&question)?;
            server.writer().write_all(&answer)?;
            exchange(&mut client, &mut server)?;
            let (mut heard, mut told) = (vec![0; question.len()], vec![0; answer.len()]);
            server.reader().read_exact(&mut heard)?;
            client.reader().read_exact(&mut told)?;
            assert!(heard == question && told == answer);
        }

        let mut wire = Vec::new();
        client.writer().write_all(b"attack at dawn")?;
        client.write_tls(&mut wire)?;
        wire[10] ^= 1;
        server.read_tls(&mut wire.as_slice())?;
        assert_eq!(server.process_new_packets(), Err(Error::DecryptError));
        println!("{:?}: handshake, data, and a forgery refused", suite.suite());
    }
    let stats = RUNTIME.stats();
    println!("{} operations by way of the runtime", stats.completed_ops);
    assert_eq!(stats.accepted_ops, stats.completed_ops);
    Ok(())
}
