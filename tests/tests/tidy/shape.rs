//! How long files and functions may be.

use crate::source::Source;

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 120;

pub fn violations(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let mut violations = Vec::new();
    if lines > FILE_LINES_MAX {
        violations.push(format!("{}: {lines} lines, more than {FILE_LINES_MAX}", source.path));
    }
    for function in functions(&source.code) {
        if function.lines > FUNCTION_LINES_MAX {
            violations.push(format!(
                "{}:{}: function '{}' has {} lines, more than {FUNCTION_LINES_MAX}",
                source.path, function.line, function.name, function.lines
            ));
        }
    }
    violations
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// Every function with a body.
fn functions(code: &str) -> Vec<Function> {
    let mut functions = Vec::new();
    for (start, _) in code.match_indices("fn ") {
        let in_word =
            code[..start].chars().next_back().is_some_and(|char| char.is_alphanumeric() || char == '_');
        let name: String =
            code[start + 3..].chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect();
        if in_word || name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(&code[start..]) {
            let lines = code[start..start + end].lines().count();
            functions.push(Function { name, line: code[..start].matches('\n').count() + 1, lines });
        }
    }
    functions
}

/// Where the body that follows a signature ends; `None` if there is no body.
fn body_end(code: &str) -> Option<usize> {
    let (mut brackets, mut braces) = (0i32, 0i32);
    for (index, char) in code.char_indices() {
        match char {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if brackets == 0 && braces == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 && brackets == 0 {
                    return Some(index + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_one_line_too_long_is_told() {
        assert!(violations(&Source::new("a.rs", &"\n".repeat(FILE_LINES_MAX))).is_empty());
        let long = violations(&Source::new("a.rs", &"\n".repeat(FILE_LINES_MAX + 1)));
        assert_eq!(long, ["a.rs: 601 lines, more than 600"]);
    }

    #[test]
    fn a_function_one_line_too_long_is_told_by_name() {
        let of_lines = |lines: usize| format!("struct S;\nfn f(a: [u8; 3]) {{{}}}\n", "\n".repeat(lines - 1));
        assert!(violations(&Source::new("a.rs", &of_lines(FUNCTION_LINES_MAX))).is_empty());
        let long = violations(&Source::new("a.rs", &of_lines(FUNCTION_LINES_MAX + 1)));
        assert_eq!(long, ["a.rs:2: function 'f' has 121 lines, more than 120"]);
    }

    #[test]
    fn braces_in_literals_do_not_end_a_function() {
        let body = "\n".repeat(FUNCTION_LINES_MAX);
        let source = Source::new("a.rs", &format!("fn f() {{ let a = \"}}\"; let b = '}}'; // }}\n{body}}}"));
        assert_eq!(violations(&source).len(), 1);
    }

    #[test]
    fn a_signature_without_body_is_no_function() {
        assert!(functions("trait T { fn f(&self) -> [u8; 2]; } struct S { g: fn (u8) }").is_empty());
    }
}
