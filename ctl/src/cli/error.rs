//! The parser's errors in the words of this command: one line, and a hint.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::exit::Failure;

/// The failure that says what `error` says.
pub fn failure(error: &clap::Error) -> Failure {
    let argument = option_name(&text(error, ContextKind::InvalidArg));
    let value = text(error, ContextKind::InvalidValue);
    let message = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            format!("unknown command '{}'", text(error, ContextKind::InvalidSubcommand))
        }
        ErrorKind::UnknownArgument => format!("unexpected argument '{argument}'"),
        ErrorKind::InvalidValue if value.is_empty() => format!("'{argument}' needs a value"),
        ErrorKind::InvalidValue => {
            format!("'{argument}' is one of {}, not '{value}'", text(error, ContextKind::ValidValue))
        }
        ErrorKind::ValueValidation => {
            let reason = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            format!("'{argument}': '{value}' {reason}")
        }
        ErrorKind::MissingRequiredArgument => format!("missing {}", text(error, ContextKind::InvalidArg)),
        ErrorKind::ArgumentConflict => {
            format!("'{argument}' cannot be used with '{}'", option_name(&text(error, ContextKind::PriorArg)))
        }
        _ => first_line(&error.render().to_string()),
    };
    let suggested =
        [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue]
            .into_iter()
            .map(|kind| text(error, kind))
            .find(|text| !text.is_empty());
    let failure = Failure::usage(message);
    match (suggested, usage(error)) {
        (Some(near), _) => failure.with_hint(format!("did you mean '{}'?", first_word(&near))),
        (None, Some(usage)) => failure.with_hint(usage),
        (None, None) => failure,
    }
}

/// The text of one piece of context; empty if there is none.
fn text(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    }
}

/// `--timeout` of `--timeout <DUR>`, `KIND` of `[KIND]...`.
fn option_name(text: &str) -> String {
    let name = match text.split_once([' ', '=', '[']) {
        Some((name, _)) if name.starts_with('-') => name,
        _ => text.trim_end_matches("...").trim_matches(['<', '>', '[', ']']),
    };
    name.to_owned()
}

fn first_word(text: &str) -> &str {
    text.split(',').next().unwrap_or(text)
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

fn usage(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) else { return None };
    let usage = usage.to_string();
    let line = usage.lines().next()?.strip_prefix("Usage: ")?.trim();
    Some(format!("usage: {line}"))
}
