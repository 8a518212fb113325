//! What reaches the model, and what it asks for.

use acrypto_netlink::Snapshot;
use acrypto_netlink::message::{EventRecord, ServerInfo};
use crossterm::event::{KeyEvent, MouseEvent};

use crate::Action;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Message {
    /// The time, in nanoseconds since the workbench started. Comes before every other message.
    Tick {
        /// The present.
        now_ns: u64,
    },
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse was used.
    Mouse(MouseEvent),
    /// The terminal has another size.
    Resize {
        /// Its columns.
        columns: u16,
        /// Its rows.
        rows: u16,
    },
    /// The process runs again after it was stopped; the screen is ours again.
    Resumed,
    /// A connection stands.
    Connected(Box<ServerInfo>),
    /// No connection could be made, or the one there was is gone.
    Disconnected {
        /// Why, to show.
        reason: String,
    },
    /// An answer to [`Effect::Poll`].
    Snapshot(Box<Snapshot>),
    /// A poll came to nothing, though the connection stands.
    PollFailed {
        /// Why, to show.
        reason: String,
    },
    /// The server reports an event.
    Event(Box<EventRecord>),
    /// The server had to leave out events.
    EventsLost {
        /// How many.
        events: u64,
    },
    /// No event comes any more, though the connection stands.
    EventsEnded {
        /// Why, to show.
        reason: String,
    },
    /// The command that equals the action of the open dialog.
    EqualCommand {
        /// Its text.
        command: String,
    },
    /// An action was carried out, or was not.
    Done {
        /// Which.
        action: Box<Action>,
        /// The command that does the same.
        command: String,
        /// The server's objection, if any.
        result: Result<(), String>,
        /// How long it took, in nanoseconds.
        took_ns: u64,
    },
    /// The process was asked to end.
    Terminate,
}

/// Something for `run` to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Make a connection; ends any there is.
    Connect,
    /// Follow events, from the one after `after_seq` on.
    Subscribe {
        /// The last event that is known already.
        after_seq: u64,
    },
    /// Ask for a snapshot.
    Poll,
    /// Ask for a change.
    Act(Box<Action>),
    /// Say which command equals this action.
    EqualCommand(Box<Action>),
    /// Draw every cell anew.
    Redraw,
    /// Give the terminal back and stop, as ^Z does.
    Suspend,
    /// End.
    Quit,
}
