//! The events as the workbench keeps them: the server's, in order and each once, and its own remarks between them.

use std::collections::VecDeque;

use acrypto_netlink::message::{EventKind, EventRecord, Severity};

/// Lines kept; the server's own ring holds more.
const LINES_MAX: usize = 2_048;
/// Nobody in particular caused an event with this uid.
const NOBODY: u32 = u32::MAX;

/// The events, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Log {
    lines: VecDeque<Line>,
    next_id: u64,
    last_seq: u64,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Number within the workbench, never used twice.
    pub id: u64,
    /// The server's wall clock.
    pub wall_ns: u64,
    /// How much it matters.
    pub severity: Severity,
    /// What it says.
    pub entry: Entry,
}

/// What a line of the log says.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// The server reported an event.
    Event(Box<EventRecord>),
    /// The server had to leave out so many events.
    Lost(u64),
    /// The workbench itself has something to say.
    Remark(String),
}

/// A point in time that the charts mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The server's wall clock.
    pub wall_ns: u64,
    /// Whether it is an alarm.
    pub alarm: bool,
    /// What happened, short.
    pub text: String,
}

impl Log {
    /// Takes an event of the server's; one that is known already is left out.
    pub fn event(&mut self, event: EventRecord) -> bool {
        if event.seq <= self.last_seq {
            return false;
        }
        self.last_seq = event.seq;
        self.add(event.time_ns, event.severity, Entry::Event(Box::new(event)));
        true
    }

    /// Takes notice of events that are lost.
    pub fn lost(&mut self, events: u64, wall_ns: u64) {
        self.add(wall_ns, Severity::Warn, Entry::Lost(events));
    }

    /// Adds a remark of the workbench's own.
    pub fn remark(&mut self, text: String, severity: Severity, wall_ns: u64) {
        self.add(wall_ns, severity, Entry::Remark(text));
    }

    /// Gives remarks made before the server's clock was known the time that it shows now.
    pub fn date_remarks(&mut self, wall_ns: u64) {
        for line in self.lines.iter_mut().filter(|line| line.wall_ns == 0) {
            line.wall_ns = wall_ns;
        }
    }

    /// Forgets everything: another server counts its events anew.
    pub fn forget(&mut self) {
        self.lines.clear();
        self.last_seq = 0;
    }

    /// Number of the last event of the server's.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The lines, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Line> + '_ {
        self.lines.iter().rev()
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// What the charts mark, newest first: switches of the balancer, and devices that broke.
    pub fn markers(&self) -> impl Iterator<Item = Marker> + '_ {
        self.newest_first().filter_map(|line| {
            let Entry::Event(event) = &line.entry else { return None };
            let broke = matches!(event.to.as_str(), "broken" | "failed");
            let (alarm, text) = match event.kind {
                EventKind::Balancer if !event.to.is_empty() && event.from != event.to => {
                    (false, format!("lb→{}", event.to))
                }
                EventKind::Device | EventKind::Health if broke => {
                    (true, format!("{} {}", event.name, event.to))
                }
                _ => return None,
            };
            Some(Marker { wall_ns: event.time_ns, alarm, text })
        })
    }

    fn add(&mut self, wall_ns: u64, severity: Severity, entry: Entry) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(Line { id: self.next_id, wall_ns, severity, entry });
        self.next_id += 1;
    }
}

impl Line {
    /// The line's words: `accel3 up → broken: by hand  uid 1000`.
    pub fn text(&self) -> String {
        match &self.entry {
            Entry::Event(event) => event_text(event),
            Entry::Lost(1) => "1 event lost".to_owned(),
            Entry::Lost(events) => format!("{events} events lost"),
            Entry::Remark(text) => text.clone(),
        }
    }

    /// The device the line is about.
    pub fn device(&self) -> Option<&str> {
        match &self.entry {
            Entry::Event(event) if event.object == "device" => Some(&event.name),
            _ => None,
        }
    }

    /// The severity as a word of at most four letters.
    pub fn severity_word(&self) -> &'static str {
        match self.severity {
            Severity::Info => "INFO",
            Severity::Warn => "WARN",
            Severity::Error => "ERR",
        }
    }
}

fn event_text(event: &EventRecord) -> String {
    let subject = match (event.object.as_str(), event.kind) {
        ("device", EventKind::Fault) => format!("{} fault", event.name),
        ("device", _) => event.name.clone(),
        ("lb", _) => "lb".to_owned(),
        (object, _) if event.name.is_empty() => object.to_owned(),
        (object, _) => format!("{object} {}", event.name),
    };
    let change = match (event.from.as_str(), event.to.as_str()) {
        ("", "") => String::new(),
        ("", to) => format!(" {to}"),
        (from, "") => format!(" {from} ended"),
        (from, to) => format!(" {from} → {to}"),
    };
    let reason = if event.reason.is_empty() { String::new() } else { format!(": {}", event.reason) };
    let user = if event.uid == NOBODY { String::new() } else { format!("  uid {}", event.uid) };
    format!("{subject}{change}{reason}{user}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seq: u64, kind: EventKind, object: &str, name: &str, from: &str, to: &str) -> EventRecord {
        EventRecord {
            seq,
            kind,
            object: object.to_owned(),
            name: name.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            uid: NOBODY,
            ..EventRecord::default()
        }
    }

    fn texts(log: &Log) -> Vec<String> {
        log.newest_first().map(Line::text).collect()
    }

    #[test]
    fn an_event_that_is_told_twice_is_kept_once() {
        let mut log = Log::default();
        assert!(log.event(record(1, EventKind::Device, "device", "soft0", "", "up")));
        assert!(!log.event(record(1, EventKind::Device, "device", "soft0", "", "up")));
        assert_eq!(log.len(), 1);
    }

    #[test]
    fn lines_say_what_changed_and_why() {
        let mut log = Log::default();
        let mut broken = record(1, EventKind::Device, "device", "accel3", "up", "broken");
        broken.reason = "8 errors in 10s (budget 8)".to_owned();
        log.event(broken);
        let mut switched = record(2, EventKind::Balancer, "lb", "simple_lb", "round_robin_lb", "simple_lb");
        switched.uid = 1000;
        log.event(switched);
        log.event(record(3, EventKind::Session, "session", "0x31", "", "opened"));
        log.lost(12, 0);
        assert_eq!(
            texts(&log),
            [
                "12 events lost",
                "session 0x31 opened",
                "lb round_robin_lb → simple_lb  uid 1000",
                "accel3 up → broken: 8 errors in 10s (budget 8)",
            ]
        );
    }

    #[test]
    fn charts_mark_switches_and_broken_devices_only() {
        let mut log = Log::default();
        log.event(record(1, EventKind::Device, "device", "accel3", "up", "broken"));
        log.event(record(2, EventKind::Device, "device", "accel3", "broken", "selftest"));
        log.event(record(3, EventKind::Balancer, "lb", "simple_lb", "round_robin_lb", "simple_lb"));
        let markers: Vec<String> = log.markers().map(|marker| marker.text).collect();
        assert_eq!(markers, ["lb→simple_lb", "accel3 broken"]);
    }

    #[test]
    fn the_log_keeps_its_limit() {
        let mut log = Log::default();
        for seq in 1..=3 * LINES_MAX as u64 {
            log.event(record(seq, EventKind::Session, "session", "0x1", "", "opened"));
        }
        assert_eq!(log.len(), LINES_MAX);
    }
}
