//! Reading a setup from TOML. Whatever is not understood is refused with its line.

use std::ops::Range;
use std::path::Path;

use acrypto_core::{DeviceSetup, Part, SETTINGS, Setting, Setup, TenantSetup};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::{Loaded, is_duration, key};
use crate::embedded;
use crate::exit::{Exit, Failure, lowered};
use crate::{suggest, units};

const TABLES: [&str; 4] = ["limits", "balancer", "device", "tenant"];
const BALANCER: [&str; 2] = ["name", "parameters"];
const DEVICE: [&str; 3] = ["kind", "parameters", "shadow"];
const TENANT: [&str; 2] = ["weight", "limit_ops"];

/// Reads what a file says, and checks it.
pub fn read(path: &Path, text: &str) -> Result<Loaded, Failure> {
    let source = Source { path, text };
    let table = DeTable::parse(text)
        .map_err(|error| source.failure(error.span().unwrap_or(0..0), lowered(error.message())))?;
    let mut reading = Reading { source, setup: Setup::default(), lines: Vec::new() };
    let mut has_devices = false;
    for (name, value) in in_order(table.get_ref()) {
        match name.get_ref().as_ref() {
            "limits" => reading.limits(value)?,
            "balancer" => reading.balancer(value)?,
            "device" => {
                has_devices = true;
                reading.devices(value)?;
            }
            "tenant" => reading.tenants(value)?,
            _ => return Err(source.unknown(name, &TABLES)),
        }
    }
    if !has_devices {
        reading.setup.devices = embedded::default_devices();
    }
    let loaded = Loaded { setup: reading.setup, path: path.to_owned(), lines: reading.lines };
    match loaded.setup.check() {
        Ok(()) => Ok(loaded),
        // Whatever it would be while a runtime works: here the file is wrong.
        Err(error) => Err(Failure { exit: Exit::Usage, ..loaded.failure(error) }),
    }
}

type Key<'a> = Spanned<DeString<'a>>;
type Value<'a> = Spanned<DeValue<'a>>;

/// The file, for the lines of what is wrong in it.
#[derive(Clone, Copy)]
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or(self.text.as_bytes());
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn failure(&self, span: Range<usize>, message: impl AsRef<str>) -> Failure {
        Failure::usage(format!("{}:{}: {}", self.path.display(), self.line(&span), message.as_ref()))
    }

    fn unknown(&self, name: &Key<'_>, known: &[&str]) -> Failure {
        let failure = self.failure(name.span(), format!("unknown key '{}'", name.get_ref()));
        failure.with_hint(match suggest::nearest(name.get_ref(), known.iter().copied()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("known here: {}", known.join(", ")),
        })
    }

    fn wrong(&self, name: &Key<'_>, value: &Value<'_>, expected: &str) -> Failure {
        let found = value.get_ref().type_str();
        self.failure(value.span(), format!("'{}' is {expected}, not {}", name.get_ref(), article(found)))
    }

    fn table<'t>(&self, name: &Key<'_>, value: &'t Value<'t>) -> Result<&'t DeTable<'t>, Failure> {
        value.get_ref().as_table().ok_or_else(|| self.wrong(name, value, "a table"))
    }

    fn string<'t>(&self, name: &Key<'_>, value: &'t Value<'t>) -> Result<&'t str, Failure> {
        value.get_ref().as_str().ok_or_else(|| self.wrong(name, value, "a string"))
    }

    fn integer(&self, name: &Key<'_>, value: &Value<'_>) -> Result<u64, Failure> {
        let integer = value.get_ref().as_integer();
        let integer = integer.ok_or_else(|| self.wrong(name, value, "a whole number"))?;
        u64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).map_err(|_| {
            self.failure(
                value.span(),
                format!("'{}': '{}' is not a whole number from 0 on", name.get_ref(), integer.as_str()),
            )
        })
    }

    fn share(&self, name: &Key<'_>, value: &Value<'_>) -> Result<f64, Failure> {
        let text = match value.get_ref() {
            DeValue::Integer(integer) => integer.as_str(),
            DeValue::Float(float) => float.as_str(),
            _ => return Err(self.wrong(name, value, "a share from 0 to 1")),
        };
        let share = text.replace('_', "").parse().ok().filter(|share| (0.0..=1.0).contains(share));
        let beyond = || format!("'{}': '{text}' is not a share from 0 to 1", name.get_ref());
        share.ok_or_else(|| self.failure(value.span(), beyond()))
    }

    fn parameters(&self, name: &Key<'_>, value: &Value<'_>) -> Result<Vec<(String, String)>, Failure> {
        let parameter = |(name, value): (&Key<'_>, &Value<'_>)| {
            let text = match value.get_ref() {
                DeValue::String(text) => text.as_ref().to_owned(),
                DeValue::Integer(_) => self.integer(name, value)?.to_string(),
                DeValue::Float(float) => float.as_str().replace('_', ""),
                DeValue::Boolean(truth) => truth.to_string(),
                _ => return Err(self.wrong(name, value, "a string, a number or a boolean")),
            };
            Ok((name.get_ref().as_ref().to_owned(), text))
        };
        in_order(self.table(name, value)?).into_iter().map(parameter).collect()
    }
}

fn article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}

/// The entries of a table in the order of the file.
fn in_order<'t, 'a>(table: &'t DeTable<'a>) -> Vec<(&'t Key<'a>, &'t Value<'a>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

struct Reading<'a> {
    source: Source<'a>,
    setup: Setup,
    lines: Vec<(Part, usize)>,
}

impl Reading<'_> {
    fn limits(&mut self, value: &Value<'_>) -> Result<(), Failure> {
        let table = value.get_ref().as_table();
        let table = table.ok_or_else(|| self.source.failure(value.span(), "'limits' is a table"))?;
        let known: Vec<&str> = SETTINGS.iter().map(key).collect();
        for (name, value) in in_order(table) {
            let setting = SETTINGS.iter().find(|setting| key(setting) == name.get_ref());
            let setting = setting.ok_or_else(|| self.source.unknown(name, &known))?;
            let number = self.number(setting, name, value)?;
            setting
                .set(&mut self.setup.config, number)
                .map_err(|_| self.source.failure(value.span(), beyond(setting, number)))?;
        }
        Ok(())
    }

    fn number(&self, setting: &Setting, name: &Key<'_>, value: &Value<'_>) -> Result<u64, Failure> {
        let source = self.source;
        let described = |reason: String| {
            let text = value.get_ref().as_str().unwrap_or_default();
            source.failure(value.span(), format!("'{}': '{text}' {reason}", name.get_ref()))
        };
        if is_duration(setting) {
            let text = value.get_ref().as_str();
            let text = text.ok_or_else(|| source.wrong(name, value, "a duration such as \"500ms\""))?;
            return units::parse_duration(text).map(units::nanos).map_err(described);
        }
        match value.get_ref().as_str() {
            Some(text) if setting.name.ends_with("_bytes") => {
                units::parse_size(text).map(|bytes| bytes as u64).map_err(described)
            }
            _ => source.integer(name, value),
        }
    }

    fn balancer(&mut self, value: &Value<'_>) -> Result<(), Failure> {
        let table = value.get_ref().as_table();
        let table = table.ok_or_else(|| self.source.failure(value.span(), "'balancer' is a table"))?;
        for (name, value) in in_order(table) {
            match name.get_ref().as_ref() {
                "name" => {
                    let balancer = self.source.string(name, value)?.to_owned();
                    self.place(Part::Balancer(balancer.clone()), value.span());
                    self.setup.balancer = balancer;
                }
                "parameters" => {
                    for (balancer, value) in in_order(self.source.table(name, value)?) {
                        let parameters = self.source.parameters(balancer, value)?;
                        let balancer_name = balancer.get_ref().as_ref().to_owned();
                        self.place(Part::Balancer(balancer_name.clone()), balancer.span());
                        self.setup.balancer_parameters.push((balancer_name, parameters));
                    }
                }
                _ => return Err(self.source.unknown(name, &BALANCER)),
            }
        }
        Ok(())
    }

    fn devices(&mut self, value: &Value<'_>) -> Result<(), Failure> {
        let table = value.get_ref().as_table();
        let table =
            table.ok_or_else(|| self.source.failure(value.span(), "'device' is a table of devices"))?;
        for (name, value) in in_order(table) {
            let mut device =
                DeviceSetup { name: name.get_ref().as_ref().to_owned(), ..DeviceSetup::default() };
            for (field, value) in in_order(self.source.table(name, value)?) {
                match field.get_ref().as_ref() {
                    "kind" => device.kind = self.source.string(field, value)?.to_owned(),
                    "parameters" => device.parameters = self.source.parameters(field, value)?,
                    "shadow" => device.shadow_rate = self.source.share(field, value)?,
                    _ => return Err(self.source.unknown(field, &DEVICE)),
                }
            }
            if device.kind.is_empty() {
                let missing = format!("device '{}' needs a kind", device.name);
                return Err(self.source.failure(name.span(), missing).with_hint("such as kind = \"soft\""));
            }
            self.place(Part::Device(device.name.clone()), name.span());
            self.setup.devices.push(device);
        }
        Ok(())
    }

    fn tenants(&mut self, value: &Value<'_>) -> Result<(), Failure> {
        let table = value.get_ref().as_table();
        let table =
            table.ok_or_else(|| self.source.failure(value.span(), "'tenant' is a table of tenants"))?;
        for (name, value) in in_order(table) {
            let mut tenant =
                TenantSetup { name: name.get_ref().as_ref().to_owned(), weight: 1, limit_ops: 0 };
            for (field, value) in in_order(self.source.table(name, value)?) {
                let number = || self.source.integer(field, value);
                match field.get_ref().as_ref() {
                    // One too large for a weight is too large for the limit of weights as well.
                    "weight" => tenant.weight = u32::try_from(number()?).unwrap_or(u32::MAX),
                    "limit_ops" => tenant.limit_ops = number()?,
                    _ => return Err(self.source.unknown(field, &TENANT)),
                }
            }
            self.place(Part::Tenant(tenant.name.clone()), name.span());
            self.setup.tenants.push(tenant);
        }
        Ok(())
    }

    fn place(&mut self, part: Part, span: Range<usize>) {
        let line = self.source.line(&span);
        self.lines.push((part, line));
    }
}

/// That a value is not within the bounds of its setting.
fn beyond(setting: &Setting, value: u64) -> String {
    let written =
        |value: u64| if is_duration(setting) { units::exact_duration(value) } else { value.to_string() };
    format!(
        "'{}': '{}' is not from {} to {}",
        key(setting),
        written(value),
        written(setting.least),
        written(setting.most)
    )
}
