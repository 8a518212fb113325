//! The tables against the specification, rule R6 among them.

use serde_yaml_ng::Value;

use super::attribute::SETS;
use super::*;
use crate::message::{Class, DeviceState, EventKind, FaultMode, OpKind, Severity};

fn specification() -> Value {
    serde_yaml_ng::from_str(include_str!("../../spec/acrypto.yaml")).unwrap()
}

#[track_caller]
fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_sequence().unwrap_or_else(|| panic!("'{key}' is no list in {value:?}"))
}

#[track_caller]
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("'{key}' is no text in {value:?}"))
}

#[track_caller]
fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("'{key}' is no number in {value:?}"))
}

#[test]
fn r6_the_specification_is_genetlink_with_explicit_values_and_docs_everywhere() {
    let specification = specification();
    assert_eq!(text(&specification, "name"), NAME);
    assert_eq!(text(&specification, "protocol"), "genetlink");
    for set in list(&specification, "attribute-sets") {
        for attribute in list(set, "attributes") {
            number(attribute, "value");
            assert!(text(attribute, "doc").ends_with('.'), "{attribute:?}");
            let name = text(attribute, "name");
            for (ending, unit) in [("-ns", "nanoseconds"), ("-bytes", "bytes"), ("-ppb", "billion")] {
                let doc = text(attribute, "doc").to_lowercase();
                assert!(!name.ends_with(ending) || doc.contains(unit), "{attribute:?}");
            }
        }
    }
    for operation in list(&specification["operations"], "list") {
        number(operation, "value");
        text(operation, "doc");
    }
    let groups: Vec<&str> =
        list(&specification["mcast-groups"], "list").iter().map(|group| text(group, "name")).collect();
    assert_eq!(groups, [GROUP_EVENTS.0, GROUP_STATS.0]);
}

#[test]
fn the_attribute_sets_are_those_of_the_specification() {
    let specification = specification();
    let specified = list(&specification, "attribute-sets");
    let names: Vec<&str> = specified.iter().map(|set| text(set, "name")).collect();
    assert_eq!(names, SETS.iter().map(|set| set.name).collect::<Vec<_>>());
    for (set, specified) in SETS.iter().zip(specified) {
        let specified = list(specified, "attributes");
        assert_eq!(set.attributes.len(), specified.len(), "{}", set.name);
        for (attribute, specified) in set.attributes.iter().zip(specified) {
            let what = format!("{}.{}", set.name, attribute.name);
            assert_eq!(attribute.name, text(specified, "name"), "{what}");
            assert_eq!(u64::from(attribute.number), number(specified, "value"), "{what}");
            assert_eq!(attribute.multi, specified["multi-attr"].as_bool().unwrap_or(false), "{what}");
            let (kind, sub_type, nested, most) = match attribute.shape {
                Shape::Flag => ("flag", None, None, None),
                Shape::U16 => ("u16", None, None, None),
                Shape::U32 => ("u32", None, None, None),
                Shape::U64 => ("u64", None, None, None),
                Shape::String(most) => ("string", None, None, Some(most)),
                Shape::Binary(most) | Shape::Secret(most) => ("binary", None, None, Some(most)),
                Shape::U64Array(most) => ("binary", Some("u64"), None, Some(8 * most)),
                Shape::Nest(set) => ("nest", None, Some(set.name), None),
            };
            assert_eq!(kind, text(specified, "type"), "{what}");
            assert_eq!(sub_type, specified["sub-type"].as_str(), "{what}");
            assert_eq!(nested, specified["nested-attributes"].as_str(), "{what}");
            assert_eq!(most.map(|most| most as u64), specified["checks"]["max-len"].as_u64(), "{what}");
        }
    }
}

fn attributes<'a>(specified: &'a Value, part: &str) -> Vec<&'a str> {
    let names = specified[part]["attributes"].as_sequence();
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn the_commands_are_those_of_the_specification() {
    let specification = specification();
    let specified = list(&specification["operations"], "list");
    assert_eq!(COMMANDS.len(), specified.len());
    for (spec, specified) in COMMANDS.iter().zip(specified) {
        let names = |numbers: &[u16]| numbers.iter().map(|one| spec.set.name_of(*one)).collect::<Vec<_>>();
        assert_eq!(spec.name, text(specified, "name"));
        assert_eq!(spec.command as u64, number(specified, "value"), "{}", spec.name);
        assert_eq!(spec.set.name, text(specified, "attribute-set"), "{}", spec.name);
        assert_eq!(spec.class == Class::Admin, specified.get("flags").is_some(), "{}", spec.name);
        for (form, way) in [(spec.form_do, "do"), (spec.form_dump, "dump")] {
            let specified = specified.get(way);
            assert_eq!(form.is_some(), specified.is_some(), "{} {way}", spec.name);
            let Some((form, specified)) = form.zip(specified) else { continue };
            assert_eq!(names(form.request), attributes(specified, "request"), "{} {way}", spec.name);
            assert_eq!(names(form.reply), attributes(specified, "reply"), "{} {way}", spec.name);
            assert!(form.required.iter().all(|needed| form.request.contains(needed)));
            assert!(form.reply.is_empty() || form.reply[0] == EPOCH, "{} lacks the epoch", spec.name);
        }
        let notified = specified.get("event").map(|_| attributes(specified, "event"));
        assert_eq!(spec.notify.map(names), notified, "{}", spec.name);
    }
}

#[test]
fn the_enumerations_are_those_of_the_specification() {
    let specification = specification();
    let entries = |name: &str| -> Vec<(String, u64)> {
        let definitions = list(&specification, "definitions");
        let found = definitions.iter().find(|definition| text(definition, "name") == name).unwrap();
        list(found, "entries")
            .iter()
            .map(|one| (text(one, "name").to_owned(), number(one, "value")))
            .collect()
    };
    macro_rules! check {
        ($($name:literal $type:ty),*) => { $(
            let ours: Vec<(String, u64)> =
                <$type>::ALL.iter().map(|value| (value.name().to_owned(), *value as u64)).collect();
            assert_eq!(ours, entries($name));
            for value in <$type>::ALL {
                assert_eq!(<$type>::from_number(*value as u32), Some(*value));
                assert_eq!(value.name().parse(), Ok(*value));
            }
        )* };
    }
    check!("class" Class, "op-kind" OpKind, "device-state" DeviceState, "fault-mode" FaultMode,
        "event-kind" EventKind, "severity" Severity);
}

#[test]
fn the_epoch_has_the_same_number_in_every_set_of_messages() {
    for spec in COMMANDS {
        assert_eq!(spec.set.name_of(EPOCH), "epoch", "{}", spec.set.name);
    }
}
