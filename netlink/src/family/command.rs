//! Commands: what each takes, what it answers, and who may ask.

use super::attribute::{
    AttributeSet, balancer as b, config as c, decision as x, device as d, event as e, load as l, op as o,
    preview as w, queue as q, server as v, session as s, stats as t, stream as r, tenant as n,
};
use crate::message::Class;

/// One way to ask for a command: `do` or `dump`.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// Attributes a request may carry.
    pub request: &'static [u16],
    /// Of these, those it must carry.
    pub required: &'static [u16],
    /// Attributes an answer carries; empty when there is only the acknowledgement.
    pub reply: &'static [u16],
}

/// A row of the table of commands.
#[derive(Clone, Copy, Debug)]
pub struct CommandSpec {
    /// The command.
    pub command: Command,
    /// Name, as in the specification.
    pub name: &'static str,
    /// Its attributes.
    pub set: &'static AttributeSet,
    /// Who may ask.
    pub class: Class,
    /// Whether it changes something beyond the connection, so that a lost answer leaves the outcome unknown.
    pub changes: bool,
    /// Asking for one answer.
    pub form_do: Option<Form>,
    /// Asking for many.
    pub form_dump: Option<Form>,
    /// Attributes of a notification.
    pub notify: Option<&'static [u16]>,
}

macro_rules! commands {
    ($($variant:ident = $number:literal $name:literal $class:ident $set:ident $($changes:ident)? {
        $(do ($($required:expr),*; $($optional:expr),*) -> $reply:expr;)?
        $(dump ($($dump_optional:expr),*) -> $dump_reply:expr;)?
        $(notify $notify:expr;)?
    })*) => {
        /// A command of the family; requests and answers carry the same number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Command {
            $(#[doc = concat!("`", $name, "`")] $variant = $number,)*
        }

        /// Every command, by ascending number.
        pub static COMMANDS: &[CommandSpec] = &[$(CommandSpec {
            command: Command::$variant,
            name: $name,
            set: &$set::SET,
            class: Class::$class,
            changes: commands!(@changes $($changes)?),
            form_do: commands!(@form $(&[$($required,)* $($optional),*], &[$($required),*], $reply)?),
            form_dump: commands!(@form $(&[$($dump_optional),*], &[], $dump_reply)?),
            notify: commands!(@notify $($notify)?),
        },)*];
    };
    (@changes changes) => { true };
    (@changes) => { false };
    (@form $request:expr, $required:expr, $reply:expr) => {
        Some(Form { request: $request, required: $required, reply: $reply })
    };
    (@form) => { None };
    (@notify $notify:expr) => { Some($notify) };
    (@notify) => { None };
}

const DEVICE_ROW: &[u16] = &[
    d::EPOCH,
    d::ID,
    d::NAME,
    d::KIND,
    d::STATE,
    d::STATE_REASON,
    d::STATE_SINCE_NS,
    d::QUEUE_MAX_OPS,
    d::TAKEN_OPS,
    d::FINISHED_OPS,
    d::MOVED_OUT_OPS,
    d::ABANDONED_OPS,
    d::QUEUED_OPS,
    d::IN_FLIGHT_OPS,
    d::ERRORS_OPS,
    d::BYTES,
    d::QUEUE_WAIT,
    d::SERVICE,
    d::TOTAL,
    d::FAULT,
    d::PROBATION_PERCENT,
    d::UID,
    d::PARAMETER,
    d::CAPABILITY,
    d::HEARTBEATS_SENT,
    d::HEARTBEATS_FAILED,
    d::SHADOW_PPB,
    d::SHADOWED_OPS,
    d::LEAVING,
];
const SESSION_ROW: &[u16] = &[
    s::EPOCH,
    s::ID,
    s::ALGORITHM,
    s::NAME,
    s::PRIORITY,
    s::UID,
    s::SUBMITTED_OPS,
    s::COMPLETED_OPS,
    s::FAILED_OPS,
    s::BYTES,
    s::IN_FLIGHT_OPS,
    s::REFS,
    s::AGE_NS,
    s::DEVICE,
    s::ORDERED,
    s::BIND,
    s::TENANT,
    s::ROUTE,
    s::REKEYS,
];
const SERVER_ROW: &[u16] = &[
    v::EPOCH,
    v::VERSION,
    v::PID,
    v::UID,
    v::UPTIME_NS,
    v::LISTEN,
    v::WORKERS,
    v::MAIN_QUEUE_MAX_OPS,
    v::DEVICE_QUEUE_MAX_OPS,
    v::SESSIONS_MAX,
    v::SESSIONS,
    v::LAST_EVENT_SEQ,
    v::ROLE,
    v::SCENARIO,
];
const STATS_ROW: &[u16] = &[
    t::EPOCH,
    t::NOW_NS,
    t::WALL_NS,
    t::UPTIME_NS,
    t::ACCEPTED_OPS,
    t::DISPATCHED_OPS,
    t::STARTED_OPS,
    t::FINISHED_OPS,
    t::COMPLETED_OPS,
    t::CANCELLED_OPS,
    t::FAILED_OPS,
    t::REFUSED_OPS,
    t::BYTES,
    t::MAIN_QUEUE_OPS,
    t::MAIN_QUEUE_MAX_OPS,
    t::QUEUED_OPS,
    t::IN_FLIGHT_OPS,
    t::WAITING_OPS,
    t::OLDEST_NS,
    t::BY_KIND,
    t::MOVED_OPS,
    t::QUEUE_WAIT,
    t::SERVICE,
    t::TOTAL,
];
const LOAD_ROW: &[u16] = &[
    l::EPOCH,
    l::ID,
    l::ALGORITHM,
    l::SIZE_BYTES,
    l::CLIENTS,
    l::RATE_OPS_PER_S,
    l::FOR_NS,
    l::UID,
    l::COMPLETED_OPS,
    l::FAILED_OPS,
    l::BYTES,
    l::AGE_NS,
];
const EVENT_ROW: &[u16] = &[
    e::EPOCH,
    e::SUBSCRIPTION,
    e::SEQ,
    e::TIME_NS,
    e::KIND,
    e::SEVERITY,
    e::OBJECT,
    e::NAME,
    e::FROM,
    e::TO,
    e::REASON,
    e::UID,
    e::LOST,
];

commands! {
    ServerGet = 1 "server-get" Read v { do (;) -> SERVER_ROW; }
    ServerSet = 2 "server-set" Read v { do (v::CAP_ACK;) -> &[]; }
    ServerPing = 3 "server-ping" Read v { do (;) -> &[v::EPOCH]; }
    ServerShutdown = 4 "server-shutdown" Admin v changes { do (v::EPOCH;) -> &[]; }
    ConfigGet = 5 "config-get" Read c {
        dump () -> &[c::EPOCH, c::NAME, c::VALUE, c::DEFAULT, c::LEAST, c::MOST];
    }
    DeviceGet = 10 "device-get" Read d { do (d::NAME;) -> DEVICE_ROW; dump () -> DEVICE_ROW; }
    DeviceNew = 11 "device-new" Admin d changes {
        do (d::NAME, d::KIND; d::PARAMETER) -> &[d::EPOCH, d::ID, d::NAME];
    }
    DeviceDel = 12 "device-del" Admin d changes { do (d::NAME; d::DEADLINE_NS) -> &[]; }
    DeviceBreak = 13 "device-break" Admin d changes { do (d::NAME; d::FAULT) -> &[]; }
    DeviceRepair = 14 "device-repair" Admin d changes { do (d::NAME;) -> &[]; }
    DeviceSet = 15 "device-set" Admin d changes { do (d::NAME; d::SHADOW_PPB) -> &[]; }
    DeviceDrain = 16 "device-drain" Admin d changes { do (d::NAME; d::DEADLINE_NS) -> &[]; }
    DeviceResume = 17 "device-resume" Admin d changes { do (d::NAME;) -> &[]; }
    DeviceTest = 18 "device-test" Admin d changes { do (d::NAME;) -> &[]; }
    BalancerGet = 20 "balancer-get" Read b {
        dump ()
            -> &[
                b::EPOCH,
                b::NAME,
                b::CURRENT,
                b::SINCE_NS,
                b::MOVED_OPS,
                b::BUILTIN,
                b::PARAMETER,
                b::EJECTED_NS,
                b::EJECTED_REASON,
                b::ACCURACY,
            ];
    }
    BalancerSet = 21 "balancer-set" Admin b changes {
        do (b::NAME; b::IF_CURRENT, b::PARAMETER, b::REHASH) -> &[];
    }
    BalancerDel = 22 "balancer-del" Admin b changes { do (b::NAME;) -> &[]; }
    BalancerRehash = 23 "balancer-rehash" Admin b changes { do (;) -> &[]; }
    PreviewGet = 25 "preview-get" Use w {
        do (w::NAME;)
            -> &[w::EPOCH, w::NAME, w::SAMPLES, w::SPAN_NS, w::P50_NS, w::P99_NS, w::IMBALANCE_PERMILLE, w::SHARE];
    }
    DecisionGet = 26 "decision-get" Read x {
        dump (x::LIMIT)
            -> &[
                x::EPOCH,
                x::TIME_NS,
                x::ALGORITHM,
                x::OP,
                x::BYTES,
                x::PRIORITY,
                x::BALANCER,
                x::RULE,
                x::CANDIDATE,
                x::CANDIDATES,
                x::CHOSEN,
                x::WHY,
            ];
    }
    SessionGet = 30 "session-get" Read s { do (s::ID;) -> SESSION_ROW; dump (s::LIMIT) -> SESSION_ROW; }
    SessionNew = 31 "session-new" Use s changes {
        do (s::ALGORITHM; s::NAME, s::PRIORITY, s::PADDING, s::ALLOW_ECB, s::ALLOW_SHA1, s::PERSISTENT, s::ORDERED,
            s::BIND, s::TENANT, s::DEADLINE_NS, s::ROUTE, s::KEY)
            -> &[s::EPOCH, s::ID];
    }
    SessionDel = 32 "session-del" Use s changes { do (s::ID;) -> &[]; }
    SessionSet = 33 "session-set" Use s changes { do (s::ID; s::BIND, s::KEY) -> &[]; }
    TenantGet = 35 "tenant-get" Read n {
        dump ()
            -> &[
                n::EPOCH,
                n::NAME,
                n::WEIGHT,
                n::LIMIT_OPS,
                n::SESSIONS,
                n::ACCEPTED_OPS,
                n::COMPLETED_OPS,
                n::IN_FLIGHT_OPS,
                n::BYTES,
            ];
    }
    TenantSet = 36 "tenant-set" Admin n changes { do (n::NAME; n::WEIGHT, n::LIMIT_OPS) -> &[]; }
    OpSubmit = 40 "op-submit" Use o {
        do (o::SESSION, o::KIND; o::IV, o::AAD, o::DATA)
            -> &[o::EPOCH, o::DEVICE, o::ATTEMPTS, o::QUEUE_NS, o::SERVICE_NS, o::DATA, o::OUTPUT];
    }
    OpGet = 41 "op-get" Read o {
        dump (o::LIMIT)
            -> &[o::EPOCH, o::ID, o::SESSION, o::KIND, o::ALGORITHM, o::BYTES, o::STATE, o::DEVICE, o::ATTEMPTS, o::AGE_NS];
    }
    StreamStart = 45 "stream-start" Use r { do (r::SESSION, r::KIND; r::IV) -> &[r::EPOCH, r::ID]; }
    StreamNext = 46 "stream-next" Use r { do (r::ID; r::DATA) -> &[r::EPOCH, r::DATA]; }
    StreamFinish = 47 "stream-finish" Use r { do (r::ID; r::DATA) -> &[r::EPOCH, r::DATA, r::OUTPUT]; }
    QueueGet = 50 "queue-get" Read q {
        dump () -> &[q::EPOCH, q::MAIN_QUEUE_OPS, q::MAIN_QUEUE_MAX_OPS, q::WAITING_OPS_BY_PRIORITY, q::DEVICE];
    }
    StatsGet = 60 "stats-get" Read t { do (;) -> STATS_ROW; }
    LoadGet = 70 "load-get" Read l { dump () -> LOAD_ROW; }
    LoadNew = 71 "load-new" Admin l changes {
        do (l::ALGORITHM, l::SIZE_BYTES, l::CLIENTS; l::RATE_OPS_PER_S, l::FOR_NS) -> &[l::EPOCH, l::ID];
    }
    LoadDel = 72 "load-del" Admin l changes { do (; l::ID) -> &[]; }
    EventSubscribe = 80 "event-subscribe" Use e {
        do (e::SUBSCRIPTION; e::SINCE, e::KINDS) -> &[e::EPOCH, e::SUBSCRIPTION, e::SEQ];
    }
    EventUnsubscribe = 81 "event-unsubscribe" Use e { do (e::SUBSCRIPTION;) -> &[]; }
    EventNotify = 82 "event-ntf" Read e { notify EVENT_ROW; }
}

impl Command {
    /// The command with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        COMMANDS.iter().map(|spec| spec.command).find(|command| *command as u8 == number)
    }

    /// Its row of the table.
    pub fn spec(self) -> &'static CommandSpec {
        // The table has a row for every variant: both come from one macro.
        COMMANDS.iter().find(|spec| spec.command == self).unwrap_or(&COMMANDS[0])
    }
}
