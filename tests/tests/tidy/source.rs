//! Source files, and their code without comments and literals.

use std::fs;
use std::path::{Path, PathBuf};

/// The folders that hold sources.
const FOLDERS: [&str; 5] = ["core", "ctl", "netlink", "tests", "tui"];

/// One file of Rust.
pub struct Source {
    /// Relative to the root, with slashes.
    pub path: String,
    /// As written.
    pub text: String,
    /// The text with comments, strings and characters blanked, line for line.
    pub code: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: code_of(text) }
    }
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every `.rs` file of the workspace.
pub fn all() -> Vec<Source> {
    let root = root();
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(|folder| root.join(folder)).collect();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                sources.push(Source::new(&name, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

/// Blanks comments and literals; keeps every line break, so that line numbers stay true.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = skipped_len(rest, code.chars().next_back());
        if len == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..len].chars().map(|char| if char == '\n' { '\n' } else { ' ' }));
            rest = &rest[len..];
        }
    }
    code
}

/// Length of the comment or literal at the start of `rest`; 0 when there is none.
fn skipped_len(rest: &str, before: Option<char>) -> usize {
    let in_word = before.is_some_and(|char| char.is_alphanumeric() || char == '_');
    if rest.starts_with("//") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("/*") {
        block_comment_len(rest)
    } else if let Some(string) = rest.strip_prefix('"') {
        1 + escaped_len(string, '"')
    } else if !in_word && let Some(len) = raw_string_len(rest) {
        len
    } else if rest.starts_with('\'') && is_char(rest) {
        1 + escaped_len(&rest[1..], '\'')
    } else {
        0
    }
}

fn block_comment_len(rest: &str) -> usize {
    let (mut depth, mut index) = (0, 0);
    while index < rest.len() {
        let here = &rest.as_bytes()[index..];
        match here {
            [b'/', b'*', ..] => (depth, index) = (depth + 1, index + 2),
            [b'*', b'/', ..] => (depth, index) = (depth - 1, index + 2),
            _ => index += 1,
        }
        if depth == 0 {
            return index;
        }
    }
    rest.len()
}

/// Up to and with the closing `quote`, minding backslashes.
fn escaped_len(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, char) in rest.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return index + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_string_len(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r"].into_iter().find(|prefix| rest.starts_with(prefix))?;
    let hashes = rest[prefix.len()..].bytes().take_while(|byte| *byte == b'#').count();
    let start = prefix.len() + hashes + 1;
    rest[prefix.len() + hashes..].starts_with('"').then_some(())?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(rest[start..].find(&end).map_or(rest.len(), |index| start + index + end.len()))
}

/// Tells the character `'a'` from the lifetime `'a`.
fn is_char(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    matches!((chars.next(), chars.next()), (Some('\\'), _) | (Some(_), Some('\'')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_kept() {
        let text =
            "a // b {\n\"c \\\" {\" d /* e /* f\n */ { */ g r#\"h \" {\"# i '{' j '\\'' k<'l> b\"{\" m";
        let code = code_of(text);
        assert_eq!(code.lines().count(), text.lines().count());
        assert_eq!(code.split_whitespace().collect::<String>(), "adgijk<'l>bm");
    }

    #[test]
    fn a_name_that_ends_in_r_does_not_start_a_raw_string() {
        assert_eq!(code_of("for\"x\"bar").replace(' ', ""), "forbar");
    }
}
