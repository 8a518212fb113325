//! `PROTOCOL.md` is the specification in words: made from it, and held to it.
//!
//! `ACRYPTO_WRITE_PROTOCOL=1 cargo test -p acrypto-netlink --test protocol_page` writes it anew.

#![allow(clippy::unwrap_used, reason = "a specification that cannot be read is no specification")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use acrypto_netlink::family::{self, COMMANDS, CommandSpec, Form};
use acrypto_netlink::frame::DATAGRAM_MAX_BYTES;
use serde_yaml_ng::Value;

const HEAD: &str = include_str!("protocol_page/head.md");

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_sequence().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// A text as a table can hold it.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn names(spec: &CommandSpec, numbers: &[u16], form: Option<&Form>) -> String {
    let name = |number: &u16| {
        let name = spec.set.name_of(*number);
        let is_required = form.is_some_and(|form| form.required.contains(number));
        if is_required { format!("**{name}**") } else { name.to_owned() }
    };
    numbers.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn command(page: &mut String, spec: &CommandSpec, specified: &Value) {
    let number = spec.command as u8;
    writeln!(page, "### {number} `{}`\n", spec.name).unwrap();
    writeln!(
        page,
        "{} Class *{}*; attributes of [{}](#{}).\n",
        cell(text(specified, "doc")),
        spec.class.name(),
        spec.set.name,
        spec.set.name
    )
    .unwrap();
    for (way, form) in [("do", spec.form_do), ("dump", spec.form_dump)] {
        let Some(form) = form else { continue };
        let asked = names(spec, form.request, Some(&form));
        let asked = if asked.is_empty() { "nothing".to_owned() } else { asked };
        let answer = names(spec, form.reply, None);
        let answer = match (answer.is_empty(), way) {
            (true, _) => "the acknowledgement".to_owned(),
            (false, "dump") => format!("any number of messages with {answer}"),
            (false, _) => answer,
        };
        writeln!(page, "- *{way}* takes {asked}; answers {answer}").unwrap();
    }
    if let Some(notified) = spec.notify {
        writeln!(page, "- is sent with {}", names(spec, notified, None)).unwrap();
    }
    page.push('\n');
}

fn set(page: &mut String, specified: &Value) {
    let name = text(specified, "name");
    writeln!(page, "### {name}\n\n{}\n", cell(text(specified, "doc"))).unwrap();
    page.push_str("| number | name | type | what |\n| --- | --- | --- | --- |\n");
    for attribute in list(specified, "attributes") {
        let mut kind = match text(attribute, "type") {
            "nest" => {
                let nested = text(attribute, "nested-attributes");
                format!("nest of [{nested}](#{nested})")
            }
            "binary" if attribute["sub-type"].as_str() == Some("u64") => "array of u64".to_owned(),
            other => other.to_owned(),
        };
        if let Some(enumeration) = attribute["enum"].as_str() {
            write!(kind, ", [{enumeration}](#{enumeration})").unwrap();
        }
        if let Some(most) = attribute["checks"]["max-len"].as_u64() {
            write!(kind, ", at most {most} bytes").unwrap();
        }
        if attribute["multi-attr"].as_bool() == Some(true) {
            kind.push_str(", several");
        }
        let (number, name) = (attribute["value"].as_u64().unwrap(), text(attribute, "name"));
        writeln!(page, "| {number} | {name} | {kind} | {} |", cell(text(attribute, "doc"))).unwrap();
    }
    page.push('\n');
}

fn enumeration(page: &mut String, specified: &Value) {
    writeln!(page, "### {}\n\n{}\n", text(specified, "name"), cell(text(specified, "doc"))).unwrap();
    page.push_str("| value | name | what |\n| --- | --- | --- |\n");
    for entry in list(specified, "entries") {
        let value = entry["value"].as_u64().unwrap();
        writeln!(page, "| {value} | {} | {} |", text(entry, "name"), cell(text(entry, "doc"))).unwrap();
    }
    page.push('\n');
}

fn page(specification: &Value) -> String {
    let mut page = HEAD
        .replace("FAMILY_ID", &format!("{:#x}", family::ID))
        .replace("FAMILY_VERSION", &family::VERSION.to_string())
        .replace("PORT", &format!("{:#x}", acrypto_netlink::address::NETLINK_PORT))
        .replace("DATAGRAM_MAX_BYTES", &DATAGRAM_MAX_BYTES.to_string());
    page.push_str("\n## Commands\n\nAttributes in bold must be given, the others may.\n\n");
    let specified = list(&specification["operations"], "list");
    for (spec, specified) in COMMANDS.iter().zip(specified) {
        command(&mut page, spec, specified);
    }
    page.push_str("## Attributes\n\n");
    list(specification, "attribute-sets").iter().for_each(|specified| set(&mut page, specified));
    page.push_str("## Enumerations\n\n");
    list(specification, "definitions").iter().for_each(|specified| enumeration(&mut page, specified));
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

#[test]
fn the_page_says_what_the_specification_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let specification = fs::read_to_string(folder.join("spec/acrypto.yaml")).unwrap();
    let made = page(&serde_yaml_ng::from_str(&specification).unwrap());
    let file = folder.join("PROTOCOL.md");
    if std::env::var_os("ACRYPTO_WRITE_PROTOCOL").is_some() {
        fs::write(&file, &made).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap();
    assert!(
        made == written,
        "PROTOCOL.md is not that of the specification: write it anew as this file's head says"
    );
}
