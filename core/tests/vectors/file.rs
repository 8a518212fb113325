//! The files of fixtures/vectors.

use std::fs;
use std::path::Path;

use acrypto_core::algorithm::Algorithm;
use serde::Deserialize;

/// One case: `output` is the ciphertext, digest or MAC of `input`.
pub struct Vector {
    pub key: Vec<u8>,
    pub iv: Vec<u8>,
    pub aad: Vec<u8>,
    pub input: Vec<u8>,
    pub output: Vec<u8>,
}

#[derive(Deserialize)]
struct Document {
    algorithm: String,
    source: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(default)]
    key: String,
    #[serde(default)]
    iv: String,
    #[serde(default)]
    aad: String,
    #[serde(default)]
    pkcs7: bool,
    #[serde(alias = "plaintext")]
    input: String,
    #[serde(alias = "ciphertext")]
    output: String,
}

/// The cases of an algorithm, padded where the file says so; `None` without a file.
pub fn vectors(algorithm: Algorithm) -> Option<Vec<Vector>> {
    read(algorithm, "")
}

/// Those of NIST.
pub fn nist(algorithm: Algorithm) -> Option<Vec<Vector>> {
    read(algorithm, "nist/")
}

fn read(algorithm: Algorithm, folder: &str) -> Option<Vec<Vector>> {
    let file = format!("../fixtures/vectors/{folder}{algorithm}.json");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let document: Document = serde_json::from_str(&fs::read_to_string(path).ok()?).unwrap();
    assert_eq!(document.algorithm, algorithm.name());
    assert!(!document.source.is_empty());
    Some(document.cases.iter().map(vector).collect())
}

fn vector(case: &Case) -> Vector {
    let mut input = bytes(&case.input);
    if case.pkcs7 {
        let pad_len = 16 - input.len() % 16;
        input.resize(input.len() + pad_len, pad_len as u8);
    }
    Vector {
        key: bytes(&case.key),
        iv: bytes(&case.iv),
        aad: bytes(&case.aad),
        input,
        output: bytes(&case.output),
    }
}

fn bytes(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2));
    (0..digits.len())
        .step_by(2)
        .map(|index| u8::from_str_radix(&digits[index..index + 2], 16).unwrap())
        .collect()
}
