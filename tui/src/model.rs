//! Everything the workbench knows: what it was told, and where the operator is.

use acrypto_netlink::message::{Class, LoadSpec, ServerInfo};

use crate::data::Data;
use crate::layout::{self, Areas, Panel};
use crate::log::Log;
use crate::rows::{self, Cursor, Sort};
use crate::{Action, Options, Theme};

/// Connected, and nothing heard for so long: stale.
pub const STALE_NS: u64 = 1_000_000_000;
/// The time windows of the charts, in nanoseconds.
pub const WINDOWS_NS: [u64; 6] =
    [15_000_000_000, 30_000_000_000, 60_000_000_000, 120_000_000_000, 300_000_000_000, 600_000_000_000];
/// Index of the usual one.
pub const WINDOW_USUAL: usize = 2;

/// The state of the workbench.
#[derive(Clone, Debug)]
pub struct Model {
    /// Where the server is.
    pub address: String,
    /// Draws with ASCII characters only.
    pub ascii: bool,
    /// The theme.
    pub theme: Theme,
    /// Whether changes can be unlocked at all.
    pub read_only: bool,
    /// Whether changes are locked.
    pub locked: bool,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// The present, in nanoseconds since the workbench started.
    pub now_ns: u64,
    /// Whether the screen no longer shows the model.
    pub dirty: bool,
    /// The connection.
    pub link: Link,
    /// What the server said of itself last.
    pub server: Option<ServerInfo>,
    /// What is known of the runtime.
    pub data: Data,
    /// The events.
    pub log: Log,
    /// What is shown instead while the view is frozen.
    pub frozen: Option<Box<Frozen>>,
    /// What the screen is about.
    pub page: Page,
    /// The focused panel.
    pub focus: Panel,
    /// Which of sessions and events is shown where both do not fit.
    pub tab: Panel,
    /// Whether the focused panel has the screen to itself.
    pub zoomed: bool,
    /// What lies over the screen and takes the keys.
    pub dialog: Option<Dialog>,
    /// The command that equals the open dialog's action.
    pub dialog_command: String,
    /// The selected device, by its number.
    pub device_cursor: Cursor<u32>,
    /// The selected session, by its id.
    pub session_cursor: Cursor<u64>,
    /// The selected event, by its line's number.
    pub event_cursor: Cursor<u64>,
    /// The order of the devices.
    pub sort: Sort,
    /// Index into [`WINDOWS_NS`].
    pub window: usize,
    /// The message in the last line but one.
    pub toast: Option<Toast>,
    /// What `u` would undo.
    pub undo: Option<Undo>,
    /// What `u` will undo once the switch under way is done.
    pub undo_next: Option<Undo>,
    /// The DEMO's loads when they last ran.
    pub demo_loads: Vec<LoadSpec>,
    /// Polling.
    pub poll: Poll,
    /// What the header showed when the screen was last marked dirty for it.
    pub(crate) header_mark: (u8, u64),
}

/// The connection to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Being made.
    Connecting {
        /// How many attempts failed before.
        failed: u32,
    },
    /// Lost or never made; tried again soon.
    Waiting {
        /// How many attempts failed.
        failed: u32,
        /// When the next one is due.
        retry_ns: u64,
        /// Why the last one failed.
        reason: String,
    },
    /// It stands.
    Up {
        /// When the server was last heard.
        heard_ns: u64,
        /// Attempts that failed, until the first snapshot shows that the server is well.
        failed: u32,
    },
}

/// What is shown of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Heard within [`STALE_NS`]; so long ago.
    Live(u64),
    /// Connected, but heard so long ago.
    Stale(u64),
    /// Not connected; tried again in so long, for the n-th time.
    Retry(u64, u32),
    /// The first attempt is under way.
    Connecting,
}

/// When the next snapshot is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Poll {
    /// Not before this.
    pub due_ns: u64,
    /// Whether one is under way.
    pub waiting: bool,
}

/// A view that stands still.
#[derive(Clone, Debug)]
pub struct Frozen {
    /// Since when.
    pub at_ns: u64,
    /// What was known then.
    pub data: Data,
    /// The events of then.
    pub log: Log,
    /// Snapshots that came since.
    pub missed: u64,
}

/// What the screen is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Everything.
    Main,
    /// One device, by its number.
    Device(u32),
    /// The events.
    Events,
}

/// Something over the screen that takes the keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Dialog {
    /// The balancers to choose from.
    Picker {
        /// The chosen one.
        chosen: String,
    },
    /// What can be done to a device.
    Menu {
        /// The device's name.
        device: String,
        /// Index into [`MENU`].
        index: usize,
    },
    /// A change to confirm.
    Confirm(Box<Confirm>),
    /// The keys.
    Help {
        /// First line that is shown.
        offset: usize,
    },
}

/// A change to confirm.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirm {
    /// The change.
    pub action: Action,
    /// The question.
    pub title: String,
    /// What it would do, with counts.
    pub lines: Vec<String>,
    /// The word on the button.
    pub verb: &'static str,
    /// Whether the button for it has the focus; else Cancel has it.
    pub on_apply: bool,
    /// What must be typed first.
    pub must_type: Option<String>,
    /// What was typed.
    pub typed: String,
}

/// An entry of the action menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MenuEntry {
    /// Break by hand.
    Break,
    /// Put a fault on it that health must find.
    BreakByErrors,
    /// Repair.
    Repair,
    /// Remove.
    Remove,
}

/// The action menu: entry, its letter, its words.
pub const MENU: [(MenuEntry, char, &str); 4] = [
    (MenuEntry::Break, 'b', "break, by hand"),
    (MenuEntry::BreakByErrors, 'e', "break by errors, for health to find"),
    (MenuEntry::Repair, 'r', "repair: clear faults, selftest, probation"),
    (MenuEntry::Remove, 'd', "remove: move its work, then delete"),
];

/// A message in the last line but one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    /// Its tone.
    pub tone: Tone,
    /// Its words.
    pub text: String,
    /// The command that does the same; may be empty.
    pub command: String,
    /// When it goes.
    pub until_ns: u64,
}

/// The tone of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Done.
    Good,
    /// By the way.
    Plain,
    /// Not done.
    Bad,
}

/// A switch of the balancer that can be undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    /// What was put in force.
    pub applied: String,
    /// What was in force before.
    pub previous: String,
}

impl Model {
    /// The workbench before anything was heard.
    pub fn new(options: &Options, address: String, size: (u16, u16)) -> Self {
        Self {
            address,
            ascii: options.ascii,
            theme: options.theme,
            read_only: options.read_only,
            locked: options.read_only,
            size,
            now_ns: 0,
            dirty: true,
            link: Link::Waiting { failed: 0, retry_ns: 0, reason: String::new() },
            server: None,
            data: Data::default(),
            log: Log::default(),
            frozen: None,
            page: Page::Main,
            focus: Panel::Devices,
            tab: Panel::Events,
            zoomed: false,
            dialog: None,
            dialog_command: String::new(),
            device_cursor: Cursor::default(),
            session_cursor: Cursor::default(),
            event_cursor: Cursor::default(),
            sort: Sort::default(),
            window: WINDOW_USUAL,
            toast: None,
            undo: None,
            undo_next: None,
            demo_loads: Vec::new(),
            poll: Poll::default(),
            header_mark: (0, 0),
        }
    }

    /// The data to show: the present ones, or those of the freeze.
    pub fn shown(&self) -> &Data {
        self.frozen.as_ref().map_or(&self.data, |frozen| &frozen.data)
    }

    /// The events to show.
    pub fn shown_log(&self) -> &Log {
        self.frozen.as_ref().map_or(&self.log, |frozen| &frozen.log)
    }

    /// The instant to show, in the workbench's time.
    pub fn shown_ns(&self) -> u64 {
        self.frozen.as_ref().map_or(self.now_ns, |frozen| frozen.at_ns)
    }

    /// The time window of the charts, in nanoseconds.
    pub fn window_ns(&self) -> u64 {
        WINDOWS_NS[self.window.min(WINDOWS_NS.len() - 1)]
    }

    /// How the connection is.
    pub fn health(&self) -> Health {
        match &self.link {
            Link::Up { heard_ns, .. } => {
                let age_ns = self.now_ns.saturating_sub(*heard_ns);
                if age_ns < STALE_NS { Health::Live(age_ns) } else { Health::Stale(age_ns) }
            }
            Link::Waiting { failed, retry_ns, .. } => {
                Health::Retry(retry_ns.saturating_sub(self.now_ns), failed.saturating_add(1))
            }
            Link::Connecting { failed: 0 } => Health::Connecting,
            Link::Connecting { failed } => Health::Retry(0, failed.saturating_add(1)),
        }
    }

    /// Whether figures on the screen are those of the present.
    pub fn is_live(&self) -> bool {
        matches!(self.health(), Health::Live(_))
    }

    /// Whether the server runs the DEMO scenario.
    pub fn is_demo(&self) -> bool {
        self.server.as_ref().is_some_and(|server| server.scenario == "DEMO")
    }

    /// Whether this connection may change devices and balancer at all.
    pub fn is_admin(&self) -> bool {
        self.server.as_ref().is_some_and(|server| server.role == Class::Admin)
    }

    /// Where everything is.
    pub fn areas(&self) -> Areas {
        let zoomed = (self.zoomed && self.page == Page::Main).then_some(self.focus);
        layout::areas(self.size.0, self.size.1, zoomed, self.tab, self.shown().devices().len())
    }

    /// The numbers of the devices in the order shown.
    pub fn device_keys(&self) -> Vec<u32> {
        rows::devices(self.shown(), self.sort).into_iter().map(|device| device.id).collect()
    }

    /// The ids of the sessions in the order shown.
    pub fn session_keys(&self) -> Vec<u64> {
        rows::sessions(self.shown()).into_iter().map(|session| session.id).collect()
    }

    /// The numbers of the lines of the log in the order shown.
    pub fn event_keys(&self) -> Vec<u64> {
        self.shown_log().newest_first().map(|line| line.id).collect()
    }
}
