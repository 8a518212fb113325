//! Words that must not stand in the code, or only in some files.

use crate::source::Source;

/// Files that may contain unsafe code, each of it under loom, AddressSanitizer or a fuzzer.
const UNSAFE_FILES: &[&str] = &[
    "core/src/queue/slab.rs",
    "core/src/device/multi/avx.rs",
    "core/src/device/multi/lanes.rs",
    "core/src/device/multi/sha_ni.rs",
    "core/src/device/multi/vaes.rs",
];

pub fn unsafe_code(source: &Source) -> Vec<String> {
    if UNSAFE_FILES.contains(&source.path.as_str()) {
        return Vec::new();
    }
    lines_with(&source.path, &source.code, &["unsafe"])
}

pub fn unfinished(source: &Source) -> Vec<String> {
    // Put together here, so that this file does not contain them.
    let notes = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X"].concat()];
    let macros = [["to", "do!"].concat(), ["unimple", "mented!"].concat()];
    let words: Vec<&str> = notes.iter().chain(&macros).map(String::as_str).collect();
    lines_with(&source.path, &source.text, &words)
}

/// The lines of `text` that contain one of `words` as a word.
pub fn lines_with(path: &str, text: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for word in words.iter().filter(|word| has_word(line, word)) {
            found.push(format!("{path}:{}: '{word}'", index + 1));
        }
    }
    found
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |char: char| char.is_alphanumeric() || char == '_';
    line.match_indices(word).any(|(start, _)| {
        let after = line[start + word.len()..].chars().next();
        !line[..start].chars().next_back().is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_code_outside_the_list_is_told() {
        let text = "// unsafe in a comment\n#![allow(unsafe_code)]\nlet a = \"unsafe\";\nunsafe { f() }\n";
        assert_eq!(unsafe_code(&Source::new("tui/src/a.rs", text)), ["tui/src/a.rs:4: 'unsafe'"]);
        assert!(unsafe_code(&Source::new(UNSAFE_FILES[0], text)).is_empty());
    }

    #[test]
    fn every_listed_file_still_has_unsafe_code() {
        let sources = crate::source::all();
        for path in UNSAFE_FILES {
            let source = sources.iter().find(|source| source.path == *path);
            assert!(source.is_some_and(|source| source.code.contains("unsafe ")), "{path}");
        }
    }

    #[test]
    fn each_unfinished_word_is_told() {
        for word in ["TO-DO", "FIX-ME", "XX-X", "to-do!()", "unimple-mented!()"] {
            let text = format!("fn f() {{}}\n// {}: later\n", word.replace('-', ""));
            assert_eq!(unfinished(&Source::new("a.rs", &text)).len(), 1, "{word}");
        }
        assert!(unfinished(&Source::new("a.rs", "let todos = 1;")).is_empty());
    }
}
