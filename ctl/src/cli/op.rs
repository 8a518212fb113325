//! `op`: operations on files.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::units;

/// `op`
#[derive(Debug, Subcommand)]
pub enum OpCommand {
    /// Encrypt a file or standard input
    Encrypt(CipherArgs),
    /// Decrypt a file or standard input
    Decrypt(CipherArgs),
    /// Print or check digests of files, as sha256sum does
    Hash(HashArgs),
    /// Print or verify message authentication codes of files
    Hmac(HmacArgs),
    /// Write random bytes
    Random(RandomArgs),
}

/// Where a key comes from: never an argument or the environment.
#[derive(Args, Clone, Debug)]
pub struct KeyArgs {
    /// File that holds the key
    #[arg(long, value_name = "F", required_unless_present = "key_fd")]
    pub key_file: Option<PathBuf>,
    /// Descriptor to read the key from
    #[arg(long, value_name = "N", conflicts_with = "key_file")]
    pub key_fd: Option<u32>,
    /// How the key is written; auto takes it as hex if the whole file is hex digits
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub key_format: KeyFormat,
}

/// How a key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyFormat {
    /// Hex if the whole file is an even number of hex digits and at most one newline, else raw.
    Auto,
    /// Hex digits and at most one newline.
    Hex,
    /// The bytes themselves.
    Raw,
}

/// `op encrypt`, `op decrypt`
#[derive(Args, Debug)]
pub struct CipherArgs {
    /// Algorithm, by OpenSSL's name
    #[arg(long, value_name = "A")]
    pub alg: String,
    /// Key.
    #[command(flatten)]
    pub key: KeyArgs,
    /// Initialisation vector, in hex
    #[arg(long, value_name = "HEX", value_parser = hex_argument)]
    pub iv: Option<Hex>,
    /// Draw the initialisation vector and print it on stderr
    #[arg(long, conflicts_with = "iv")]
    pub iv_random: bool,
    /// Associated data of an AEAD, in hex
    #[arg(long, value_name = "HEX", value_parser = hex_argument)]
    pub aad: Option<Hex>,
    /// Take and give whole blocks (cbc pads by PKCS#7 otherwise, as openssl enc)
    #[arg(long)]
    pub no_padding: bool,
    /// Allow ecb, which leaks equal blocks
    #[arg(long)]
    pub allow_ecb: bool,
    /// Input; - or nothing is standard input
    #[arg(short, long, value_name = "F")]
    pub input: Option<PathBuf>,
    /// Output, replaced at the end; - or nothing is standard output
    #[arg(short, long, value_name = "F")]
    pub output: Option<PathBuf>,
}

/// `op hash`
#[derive(Args, Debug)]
pub struct HashArgs {
    /// Algorithm, by OpenSSL's name
    #[arg(long, value_name = "A")]
    pub alg: String,
    /// Files; - or nothing is standard input
    #[arg(value_name = "FILE", conflicts_with = "check")]
    pub files: Vec<PathBuf>,
    /// Check the digests listed in this file
    #[arg(long, value_name = "SUMS")]
    pub check: Option<PathBuf>,
}

/// `op hmac`
#[derive(Args, Debug)]
pub struct HmacArgs {
    /// Algorithm, by OpenSSL's name
    #[arg(long, value_name = "A")]
    pub alg: String,
    /// Key.
    #[command(flatten)]
    pub key: KeyArgs,
    /// Files; - or nothing is standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Compare with this code instead of printing; exits 1 if it differs
    #[arg(long, value_name = "HEX", value_parser = hex_argument)]
    pub verify: Option<Hex>,
}

/// `op random`
#[derive(Args, Debug)]
pub struct RandomArgs {
    /// How many bytes
    #[arg(value_name = "N", value_parser = units::parse_size)]
    pub bytes: usize,
    /// Output, replaced at the end; - or nothing is standard output
    #[arg(short, long, value_name = "F")]
    pub output: Option<PathBuf>,
}

/// Bytes given in hex; one value, though it is a list of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hex(pub Vec<u8>);

fn hex_argument(text: &str) -> Result<Hex, String> {
    units::parse_hex(text).map(Hex)
}
