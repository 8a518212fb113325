//! Messages in words, for `--wire` and for tests. Keys are shown by length only, data by its first bytes.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use crate::attr::{Accept, Reader};
use crate::conn::{extack, set_of};
use crate::family::{self, Attribute, AttributeSet, Command, Shape, control};
use crate::frame::{self, DONE, ERROR, Frame, GENERIC_HEADER_BYTES, HEADER_BYTES, array};

/// Most bytes of a binary attribute that are shown.
const BINARY_SHOWN_BYTES: usize = 16;

/// One line for each message of a datagram. `direction` is put in front.
pub fn describe(direction: &str, datagram: &[u8]) -> Vec<String> {
    let (frames, end) = frame::split(datagram);
    let mut lines: Vec<String> = frames
        .iter()
        .map(|frame| {
            format!(
                "{direction} {}",
                message(frame, datagram.get(frame.start..frame.end).unwrap_or_default())
            )
        })
        .collect();
    if let Err(error) = end {
        lines.push(format!("{direction} malformed: {error}"));
    }
    lines
}

fn message(frame: &Frame, bytes: &[u8]) -> String {
    let header = frame.header;
    let mut line = format!("seq {} ", header.seq);
    let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
    match header.kind {
        ERROR => match extack::read(header, body) {
            Ok(()) => line.push_str("ack"),
            Err(error) => {
                let _ = write!(line, "error {}: {error}", -array(body, 0).map_or(0, i32::from_ne_bytes));
            }
        },
        DONE => line.push_str("done"),
        kind => {
            let command = body.first().copied().unwrap_or(0);
            let _ = write!(line, "{}", command_name(kind, command));
            if header.flags & frame::FLAG_DUMP == frame::FLAG_DUMP {
                line.push_str(" dump");
            }
            let mut copy = Zeroizing::new(body.get(GENERIC_HEADER_BYTES..).unwrap_or_default().to_vec());
            let lengths = secret_lengths(kind, command, &copy);
            match set_of(kind, command).map(|set| Reader::read(set, &mut copy, 0, Accept::Any)) {
                Some(Ok(attributes)) => show(&mut line, &attributes, &lengths),
                Some(Err(fault)) => {
                    let _ = write!(line, " malformed: {fault}");
                }
                None => {
                    let _ = write!(line, " {} bytes", copy.len());
                }
            }
        }
    }
    line
}

fn command_name(kind: u16, command: u8) -> String {
    match (kind, command) {
        (control::ID, control::NEW_FAMILY) => "nlctrl newfamily".to_owned(),
        (control::ID, control::GET_FAMILY) => "nlctrl getfamily".to_owned(),
        (control::ID, control::GET_POLICY) => "nlctrl getpolicy".to_owned(),
        (family::ID, _) if Command::from_number(command).is_some() => {
            Command::from_number(command).map_or_else(String::new, |command| command.spec().name.to_owned())
        }
        _ => format!("type {kind:#x} command {command}"),
    }
}

fn secret_lengths(kind: u16, command: u8, body: &[u8]) -> Vec<(u16, usize)> {
    let Some(set) = set_of(kind, command) else { return Vec::new() };
    let is_secret = |number| matches!(set.find(number).map(|found| found.shape), Some(Shape::Secret(_)));
    let places = frame::walk(body).unwrap_or_default();
    places.iter().filter(|place| is_secret(place.number)).map(|at| (at.number, at.end - at.payload)).collect()
}

fn show(line: &mut String, attributes: &Reader, secrets: &[(u16, usize)]) {
    let set = attributes.set();
    for (number, payload) in attributes.raw() {
        let _ = match set.find(number) {
            None => write!(line, " {number}?={} bytes", payload.len()),
            Some(Attribute { name, shape: Shape::Secret(_), .. }) => {
                let len = secrets.iter().find(|(secret, _)| *secret == number).map_or(0, |(_, len)| *len);
                write!(line, " {name}=({len} bytes)")
            }
            Some(attribute) => write!(line, " {}={}", attribute.name, value(attribute.shape, payload)),
        };
    }
}

fn value(shape: Shape, payload: &[u8]) -> String {
    match shape {
        Shape::Flag => "true".to_owned(),
        Shape::U16 => array(payload, 0).map_or(0, u16::from_ne_bytes).to_string(),
        Shape::U32 => array(payload, 0).map_or(0, u32::from_ne_bytes).to_string(),
        Shape::U64 => array(payload, 0).map_or(0, u64::from_ne_bytes).to_string(),
        Shape::String(_) => {
            format!(
                "'{}'",
                String::from_utf8_lossy(payload.strip_suffix(&[0]).unwrap_or(payload)).escape_debug()
            )
        }
        Shape::U64Array(_) => {
            let numbers: Vec<String> = payload
                .chunks_exact(8)
                .filter_map(|chunk| array(chunk, 0))
                .map(|n| u64::from_ne_bytes(n).to_string())
                .collect();
            format!("[{}]", numbers.join(","))
        }
        Shape::Binary(_) | Shape::Secret(_) => {
            let shown: String =
                payload.iter().take(BINARY_SHOWN_BYTES).fold(String::new(), |mut hex, byte| {
                    let _ = write!(hex, "{byte:02x}");
                    hex
                });
            let more = if payload.len() > BINARY_SHOWN_BYTES { "…" } else { "" };
            format!("{shown}{more}({} bytes)", payload.len())
        }
        Shape::Nest(set) => nest(set, payload),
    }
}

fn nest(set: &'static AttributeSet, payload: &[u8]) -> String {
    let mut inner = String::new();
    match Reader::read(set, &mut payload.to_vec(), 0, Accept::Any) {
        Ok(attributes) => show(&mut inner, &attributes, &[]),
        Err(fault) => inner = fault.message,
    }
    format!("{{{}}}", inner.trim_start())
}
