//! Answers of the family `nlctrl`: which families there are, and what they take (rule R5).

use crate::attr::{Fault, Reader, Writer};
use crate::family::control::{self, ctrl, group, op, op_policy, policy, policy_type};
use crate::family::{self, Attribute, AttributeSet, Shape, command::COMMANDS};
use crate::message::Class;

const ENOENT: i32 = 2;
const EINVAL: i32 = 22;

/// Policy of one way to ask: the set, and those of its attributes that are taken.
type Taken = (&'static AttributeSet, &'static [u16]);

struct Operation {
    number: u8,
    admin: bool,
    form_do: Option<Taken>,
    form_dump: Option<Taken>,
}

struct Family {
    id: u16,
    name: &'static str,
    version: u8,
    attribute_max: u16,
    operations: Vec<Operation>,
    groups: &'static [(&'static str, u32)],
}

fn families() -> [Family; 2] {
    let own = Family {
        id: family::ID,
        name: family::NAME,
        version: family::VERSION,
        attribute_max: family::attribute::SETS.iter().map(|set| set.number_max()).max().unwrap_or(0),
        operations: COMMANDS
            .iter()
            .filter(|spec| spec.notify.is_none())
            .map(|spec| Operation {
                number: spec.command as u8,
                admin: spec.class == Class::Admin,
                form_do: spec.form_do.map(|form| (spec.set, form.request)),
                form_dump: spec.form_dump.map(|form| (spec.set, form.request)),
            })
            .collect(),
        groups: &[family::GROUP_EVENTS, family::GROUP_STATS],
    };
    let lookup: Taken = (&ctrl::SET, &[ctrl::FAMILY_ID, ctrl::FAMILY_NAME]);
    let policies: Taken = (&ctrl::SET, &[ctrl::FAMILY_ID, ctrl::FAMILY_NAME, ctrl::OP]);
    let control = Family {
        id: control::ID,
        name: control::NAME,
        version: control::VERSION,
        attribute_max: ctrl::SET.number_max(),
        operations: vec![
            Operation {
                number: control::GET_FAMILY,
                admin: false,
                form_do: Some(lookup),
                form_dump: Some((&ctrl::SET, &[])),
            },
            Operation { number: control::GET_POLICY, admin: false, form_do: None, form_dump: Some(policies) },
        ],
        groups: &[],
    };
    [control, own]
}

/// The rows of `CTRL_CMD_GETFAMILY` by dump.
pub fn all_families() -> Vec<Writer> {
    families().iter().map(describe).collect()
}

/// The answer to `CTRL_CMD_GETFAMILY` by id or name.
///
/// # Errors
/// When there is no such family, or none was named.
pub fn one_family(request: &Reader) -> Result<Writer, Fault> {
    find(request).map(|family| describe(&family))
}

fn find(request: &Reader) -> Result<Family, Fault> {
    let id = if request.has(ctrl::FAMILY_ID) { Some(request.u16(ctrl::FAMILY_ID)?) } else { None };
    let name = request.string_if(ctrl::FAMILY_NAME)?;
    if id.is_none() && name.is_none() {
        return Err(Fault { missing: Some(ctrl::FAMILY_NAME), ..Fault::new(EINVAL, "no family is named") });
    }
    families()
        .into_iter()
        .find(|family| {
            id.is_none_or(|id| id == family.id) && name.as_deref().is_none_or(|name| name == family.name)
        })
        .ok_or_else(|| Fault::new(ENOENT, "no such family"))
}

fn describe(family: &Family) -> Writer {
    let mut body = Writer::new();
    body.string(ctrl::FAMILY_NAME, family.name)
        .u16(ctrl::FAMILY_ID, family.id)
        .u32(ctrl::VERSION, u32::from(family.version))
        .u32(ctrl::HEADER_SIZE, 0)
        .u32(ctrl::ATTRIBUTE_MAX, u32::from(family.attribute_max))
        .nest(ctrl::OPS, |list| {
            for (row, operation) in (1..).zip(&family.operations) {
                list.nest(row, |nest| {
                    nest.u32(op::ID, u32::from(operation.number)).u32(op::FLAGS, flags(operation));
                });
            }
        });
    if !family.groups.is_empty() {
        body.nest(ctrl::GROUPS, |list| {
            for (row, (name, id)) in (1..).zip(family.groups) {
                list.nest(row, |nest| {
                    nest.string(group::NAME, name).u32(group::ID, *id);
                });
            }
        });
    }
    body
}

fn flags(operation: &Operation) -> u32 {
    let mut flags = control::OP_HAS_POLICY;
    if operation.admin {
        flags |= control::OP_ADMIN;
    }
    if operation.form_do.is_some() {
        flags |= control::OP_DO;
    }
    if operation.form_dump.is_some() {
        flags |= control::OP_DUMP;
    }
    flags
}

/// The rows of `CTRL_CMD_GETPOLICY`: which policy each operation has, then each policy, an attribute a row.
///
/// # Errors
/// When there is no such family or operation.
pub fn policies(request: &Reader) -> Result<Vec<Writer>, Fault> {
    let family = find(request)?;
    let only = request.u32_if(ctrl::OP)?;
    let operations: Vec<&Operation> = family
        .operations
        .iter()
        .filter(|row| only.is_none_or(|only| only == u32::from(row.number)))
        .collect();
    if operations.is_empty() {
        return Err(Fault::new(ENOENT, "no such operation"));
    }
    let mut known = Policies(Vec::new());
    let mut rows = Vec::new();
    for operation in operations {
        let form_do = operation.form_do.map(|taken| known.index_of(taken));
        let form_dump = operation.form_dump.map(|taken| known.index_of(taken));
        let mut body = Writer::new();
        body.u16(ctrl::FAMILY_ID, family.id).nest(ctrl::OP_POLICY, |list| {
            list.nest(u16::from(operation.number), |nest| {
                if let Some(index) = form_do {
                    nest.u32(op_policy::DO, u32::from(index));
                }
                if let Some(index) = form_dump {
                    nest.u32(op_policy::DUMP, u32::from(index));
                }
            });
        });
        rows.push(body);
    }
    let mut index = 0;
    while let Some((set, taken)) = known.0.get(usize::from(index)).cloned() {
        for attribute in set.attributes.iter().filter(|attribute| taken.contains(&attribute.number)) {
            let below = match attribute.shape {
                Shape::Nest(below) => Some((known.index_of_whole(below), below)),
                _ => None,
            };
            let mut body = Writer::new();
            body.u16(ctrl::FAMILY_ID, family.id).nest(ctrl::POLICY, |list| {
                list.nest(index, |nest| {
                    nest.nest(attribute.number, |nest| constrain(nest, attribute, below));
                });
            });
            rows.push(body);
        }
        index += 1;
    }
    Ok(rows)
}

struct Policies(Vec<(&'static AttributeSet, Vec<u16>)>);

impl Policies {
    fn index_of(&mut self, (set, taken): Taken) -> u16 {
        self.place(set, taken.to_vec())
    }

    fn index_of_whole(&mut self, set: &'static AttributeSet) -> u16 {
        self.place(set, set.attributes.iter().map(|attribute| attribute.number).collect())
    }

    fn place(&mut self, set: &'static AttributeSet, taken: Vec<u16>) -> u16 {
        let same = |(other, numbers): &(&'static AttributeSet, Vec<u16>)| {
            other.name == set.name && *numbers == taken
        };
        let index = self.0.iter().position(same).unwrap_or_else(|| {
            self.0.push((set, taken.clone()));
            self.0.len() - 1
        });
        // At most two for each of 255 commands and one for each set.
        index as u16
    }
}

fn constrain(out: &mut Writer, attribute: &Attribute, below: Option<(u16, &AttributeSet)>) {
    // Limits are constants of the tables, far below 2^32.
    match attribute.shape {
        Shape::Flag => out.u32(policy::TYPE, policy_type::FLAG),
        Shape::U16 => out.u32(policy::TYPE, policy_type::U16),
        Shape::U32 => out.u32(policy::TYPE, policy_type::U32),
        Shape::U64 => out.u32(policy::TYPE, policy_type::U64),
        Shape::String(limit) => {
            out.u32(policy::TYPE, policy_type::NUL_STRING).u32(policy::MAX_LENGTH, limit as u32)
        }
        Shape::Binary(limit) | Shape::Secret(limit) => {
            out.u32(policy::TYPE, policy_type::BINARY).u32(policy::MAX_LENGTH, limit as u32)
        }
        Shape::U64Array(limit) => {
            out.u32(policy::TYPE, policy_type::BINARY).u32(policy::MAX_LENGTH, limit as u32 * 8)
        }
        Shape::Nest(_) => out.u32(policy::TYPE, policy_type::NESTED),
    };
    if let Some((index, below)) = below {
        out.u32(policy::POLICY_IDX, u32::from(index))
            .u32(policy::POLICY_MAX_TYPE, u32::from(below.number_max()));
    }
}
