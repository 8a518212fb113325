//! An echo server under tokio that encrypts every message of 1 KiB before it sends it back: through a session, by a
//! library (aws-lc-rs) inline, or by the library on a thread that may block. And the clients that load it.
//!
//! ```text
//! cargo run --release -p acrypto-core --example echo_server -- serve --mode session --listen 127.0.0.1:7007
//! cargo run --release -p acrypto-core --example echo_server -- load --connect 127.0.0.1:7007
//! ```
//!
//! Other modes: `inline` and `spawn-blocking`. `--alg` is aes-128-cbc or aes-256-gcm (nonces are not to be used twice: a
//! real server counts them; here every message has the same). `load` takes `--connections` and `--requests`, and
//! prints requests, seconds, and the 50th and 99th percentile in nanoseconds.

#![allow(clippy::print_stdout, reason = "an example shows its result")]
#![allow(clippy::disallowed_methods, reason = "the clients read the clock")]

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use acrypto_core::{Algorithm, Config, Key, Request, Runtime, Session, SessionSpec};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const MESSAGE_BYTES: usize = 1024;
const KEY: [u8; 32] = [7; 32];
const IV: [u8; 16] = [9; 16];

type Failure = Box<dyn Error + Send + Sync>;

/// How a message is encrypted.
#[derive(Clone)]
enum Way {
    Session(Session),
    Inline(Library),
    SpawnBlocking(Library),
}

impl Way {
    async fn encrypt(&self, mut message: Vec<u8>) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Session(session) => {
                let iv_len = session.spec().algorithm.iv_len();
                let request = Request::encrypt(message, IV)
                    .with_iv(acrypto_core::Iv::new(&IV[..iv_len]).unwrap_or_default());
                let completion = session.submit(request).await?;
                completion.result?;
                Ok(completion.data)
            }
            Self::Inline(library) => {
                library.encrypt(&mut message)?;
                Ok(message)
            }
            Self::SpawnBlocking(library) => {
                let library = library.clone();
                let work = move || library.encrypt(&mut message).map(|()| message);
                tokio::task::spawn_blocking(work).await?
            }
        }
    }
}

/// The library's own call, with its key schedule made beforehand.
#[derive(Clone)]
enum Library {
    Cbc(Arc<EncryptingKey>),
    Gcm(Arc<LessSafeKey>),
}

impl Library {
    fn new(algorithm: Algorithm) -> Result<Self, Failure> {
        match algorithm {
            Algorithm::Aes128Cbc => {
                let key = UnboundCipherKey::new(&AES_128, &KEY[..16])?;
                Ok(Self::Cbc(Arc::new(EncryptingKey::cbc(key)?)))
            }
            Algorithm::Aes256Gcm => {
                Ok(Self::Gcm(Arc::new(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY)?))))
            }
            algorithm => Err(format!("'{algorithm}' is neither aes-128-cbc nor aes-256-gcm").into()),
        }
    }

    fn encrypt(&self, message: &mut Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::Cbc(key) => {
                key.less_safe_encrypt(message, EncryptionContext::Iv128(IV.into()))?;
            }
            Self::Gcm(key) => {
                let nonce = Nonce::try_assume_unique_for_key(&IV[..12])?;
                key.seal_in_place_append_tag(nonce, Aad::empty(), message)?;
            }
        }
        Ok(())
    }
}

/// Reads messages and sends each back encrypted, until the client goes.
async fn echo(mut stream: TcpStream, way: Way, tag_len: usize) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let mut message = Vec::with_capacity(MESSAGE_BYTES + tag_len);
    loop {
        message.resize(MESSAGE_BYTES, 0);
        match stream.read_exact(&mut message).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        };
        message = way.encrypt(message).await?;
        stream.write_all(&message).await?;
    }
}

/// The best built device for it.
fn kind_for(algorithm: Algorithm) -> &'static str {
    if algorithm == Algorithm::Aes256Gcm { "aws-lc" } else { "multi" }
}

async fn serve(options: &Options) -> Result<(), Failure> {
    let algorithm = options.algorithm()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let library = || Library::new(algorithm);
    // Its threads end with it.
    let runtime = Runtime::start(Config::default())?;
    let way = match options.text("mode", "session") {
        "session" => {
            let kind = options.text("kind", kind_for(algorithm));
            for number in 0..cores {
                runtime.add_device_of_kind(&format!("{kind}{number}"), kind, &[], 0)?;
            }
            let key_len = *algorithm.key_len().end();
            Way::Session(runtime.session(SessionSpec::new(algorithm), Key::new(KEY[..key_len].to_vec()))?)
        }
        "inline" => Way::Inline(library()?),
        "spawn-blocking" => Way::SpawnBlocking(library()?),
        mode => return Err(format!("'{mode}' is none of session, inline, spawn-blocking").into()),
    };
    let listener = TcpListener::bind(options.text("listen", "127.0.0.1:0")).await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let way = way.clone();
        // A client that breaks off harms nobody else.
        tokio::spawn(async move { echo(stream, way, algorithm.output_len()).await });
    }
}

/// One client: a message at a time. It knows what must come back.
async fn client(address: String, requests: usize, expected: Arc<Vec<u8>>) -> Result<Vec<u64>, Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let message = [5; MESSAGE_BYTES];
    let mut answer = vec![0; expected.len()];
    let mut took_ns = Vec::with_capacity(requests);
    for number in 0..requests {
        let start = Instant::now();
        stream.write_all(&message).await?;
        stream.read_exact(&mut answer).await?;
        took_ns.push(start.elapsed().as_nanos() as u64);
        if number == 0 && answer != *expected {
            return Err("the server sent wrong bytes".into());
        }
    }
    Ok(took_ns)
}

async fn load(options: &Options) -> Result<(), Failure> {
    let connections = options.number("connections", 64)?;
    let requests = options.number("requests", 100_000)? / connections;
    let address = options.text("connect", "");
    let mut expected = vec![5; MESSAGE_BYTES];
    Library::new(options.algorithm()?)?.encrypt(&mut expected)?;
    let expected = Arc::new(expected);
    let start = Instant::now();
    let clients: Vec<_> = (0..connections)
        .map(|_| tokio::spawn(client(address.to_owned(), requests, Arc::clone(&expected))))
        .collect();
    let mut took_ns = Vec::new();
    for client in clients {
        took_ns.extend(client.await??);
    }
    let seconds = start.elapsed().as_secs_f64();
    took_ns.sort_unstable();
    let at = |percent: usize| took_ns.get(took_ns.len() * percent / 100).copied().unwrap_or_default();
    println!("{} {seconds} {} {}", took_ns.len(), at(50), at(99));
    Ok(())
}

/// `--name value` pairs.
struct Options(HashMap<String, String>);

impl Options {
    fn parse(words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut options = HashMap::new();
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("'{word}' is not --name"))?;
            options.insert(name.to_owned(), words.next().ok_or_else(|| format!("'{word}' has no value"))?);
        }
        Ok(Self(options))
    }

    fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, String::as_str)
    }

    fn number(&self, name: &str, default: usize) -> Result<usize, Failure> {
        Ok(self.0.get(name).map_or(Ok(default), |value| value.parse())?.max(1))
    }

    fn algorithm(&self) -> Result<Algorithm, Failure> {
        Ok(self.text("alg", "aes-256-gcm").parse()?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let what = words.next().unwrap_or_default();
    let options = Options::parse(words)?;
    match what.as_str() {
        "serve" => serve(&options).await,
        "load" => load(&options).await,
        _ => Err("usage: echo_server serve|load [--name value]...".into()),
    }
}
