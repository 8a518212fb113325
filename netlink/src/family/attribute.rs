//! Attribute sets: one flat set a noun, and the sets nested in them.

use crate::family::OP_DATA_MAX_BYTES;

/// What an attribute's payload is.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// No payload; present means true.
    Flag,
    /// 16 bits, native order.
    U16,
    /// 32 bits, native order.
    U32,
    /// 64 bits, native order.
    U64,
    /// UTF-8 ended by one NUL; at most so many bytes before it.
    String(usize),
    /// At most so many bytes.
    Binary(usize),
    /// At most so many key bytes: never shown, never echoed, wiped after use.
    Secret(usize),
    /// At most so many u64, native order.
    U64Array(usize),
    /// Attributes of another set.
    Nest(&'static AttributeSet),
}

/// One attribute of a set.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Number within the set.
    pub number: u16,
    /// Name, as in the specification.
    pub name: &'static str,
    /// Payload.
    pub shape: Shape,
    /// Whether it may be given more than once.
    pub multi: bool,
}

/// A set of attributes with a name space of its own.
#[derive(Debug)]
pub struct AttributeSet {
    /// Name, as in the specification.
    pub name: &'static str,
    /// The attributes, by ascending number.
    pub attributes: &'static [Attribute],
}

impl AttributeSet {
    /// The attribute with this number.
    pub fn find(&self, number: u16) -> Option<&'static Attribute> {
        self.attributes.iter().find(|attribute| attribute.number == number)
    }

    /// Name of the attribute with this number.
    pub fn name_of(&self, number: u16) -> &'static str {
        self.find(number).map_or("unknown", |attribute| attribute.name)
    }

    /// Highest number.
    pub fn number_max(&self) -> u16 {
        self.attributes.iter().map(|attribute| attribute.number).max().unwrap_or(0)
    }
}

macro_rules! attribute_sets {
    ($($(#[$doc:meta])* $set:ident $set_name:literal {
        $($constant:ident = $number:literal $name:literal $shape:expr $(, $multi:ident)?;)*
    })*) => {
        $(
            $(#[$doc])*
            pub mod $set {
                #[allow(unused_imports, reason = "not every set nests another or has strings")]
                use super::*;

                $(
                    #[doc = concat!("`", $name, "`")]
                    pub const $constant: u16 = $number;
                )*

                /// The set.
                pub static SET: AttributeSet = AttributeSet {
                    name: $set_name,
                    attributes: &[$(Attribute {
                        number: $number,
                        name: $name,
                        shape: $shape,
                        multi: attribute_sets!(@multi $($multi)?),
                    },)*],
                };
            }
        )*

        /// Every set of the family.
        pub static SETS: &[&AttributeSet] = &[$(&$set::SET,)*];
    };
    (@multi multi) => { true };
    (@multi) => { false };
}
pub(super) use attribute_sets;

use Shape::{Binary, Flag, Nest, Secret, String, U32, U64, U64Array};

/// Most bytes of a name.
const NAME_MAX: usize = 255;
/// Most bytes of a text for people.
const TEXT_MAX: usize = 4096;

attribute_sets! {
    /// The server.
    server "server" {
        EPOCH = 1 "epoch" U32;
        VERSION = 2 "version" String(NAME_MAX);
        PID = 3 "pid" U32;
        UID = 4 "uid" U32;
        UPTIME_NS = 5 "uptime-ns" U64;
        LISTEN = 6 "listen" String(TEXT_MAX), multi;
        WORKERS = 7 "workers" U32;
        MAIN_QUEUE_MAX_OPS = 8 "main-queue-max-ops" U64;
        DEVICE_QUEUE_MAX_OPS = 9 "device-queue-max-ops" U64;
        SESSIONS_MAX = 10 "sessions-max" U64;
        SESSIONS = 11 "sessions" U64;
        LAST_EVENT_SEQ = 12 "last-event-seq" U64;
        ROLE = 13 "role" U32;
        SCENARIO = 14 "scenario" String(NAME_MAX);
        CAP_ACK = 15 "cap-ack" U32;
    }
    /// Limits and time-outs.
    config "config" {
        EPOCH = 1 "epoch" U32;
        NAME = 2 "name" String(NAME_MAX);
        VALUE = 3 "value" U64;
        DEFAULT = 4 "default" U64;
        LEAST = 5 "least" U64;
        MOST = 6 "most" U64;
    }
    /// Durations.
    histogram "histogram" {
        BUCKETS = 1 "buckets" U64Array(2048);
        MAX_NS = 2 "max-ns" U64;
        SUM_NS = 3 "sum-ns" U64;
    }
    /// A name and its value.
    parameter "parameter" {
        NAME = 1 "name" String(NAME_MAX);
        VALUE = 2 "value" String(TEXT_MAX);
        DOC = 3 "doc" String(TEXT_MAX);
    }
    /// What a device can do.
    capability "capability" {
        OP = 1 "op" U32;
        ALGORITHM = 2 "algorithm" String(NAME_MAX);
    }
    /// A fault.
    fault "fault" {
        MODE = 1 "mode" U32;
        OP = 2 "op" U32;
        SIZE_MIN_BYTES = 3 "size-min-bytes" U64;
        SIZE_MAX_BYTES = 4 "size-max-bytes" U64;
        SESSION = 5 "session" U64;
        COUNT = 6 "count" U64;
        EVERY = 7 "every" U64;
        RATE_PPB = 8 "rate-ppb" U32;
        FOR_NS = 9 "for-ns" U64;
        SEED = 10 "seed" U64;
        DELAY_NS = 11 "delay-ns" U64;
    }
    /// A device's way out of service.
    leaving "leaving" {
        REMOVAL = 1 "removal" Flag;
        DEADLINE_NS = 2 "deadline-ns" U64;
        REMAINING_OPS = 3 "remaining-ops" U64;
    }
    /// A device.
    device "device" {
        EPOCH = 1 "epoch" U32;
        ID = 2 "id" U32;
        NAME = 3 "name" String(NAME_MAX);
        KIND = 4 "kind" String(NAME_MAX);
        STATE = 5 "state" U32;
        STATE_REASON = 6 "state-reason" String(TEXT_MAX);
        STATE_SINCE_NS = 7 "state-since-ns" U64;
        QUEUE_MAX_OPS = 8 "queue-max-ops" U64;
        TAKEN_OPS = 9 "taken-ops" U64;
        FINISHED_OPS = 10 "finished-ops" U64;
        MOVED_OUT_OPS = 11 "moved-out-ops" U64;
        ABANDONED_OPS = 12 "abandoned-ops" U64;
        QUEUED_OPS = 13 "queued-ops" U64;
        IN_FLIGHT_OPS = 14 "in-flight-ops" U64;
        ERRORS_OPS = 15 "errors-ops" U64;
        BYTES = 16 "bytes" U64;
        QUEUE_WAIT = 17 "queue-wait" Nest(&histogram::SET);
        SERVICE = 18 "service" Nest(&histogram::SET);
        TOTAL = 19 "total" Nest(&histogram::SET);
        FAULT = 20 "fault" Nest(&fault::SET);
        PROBATION_PERCENT = 21 "probation-percent" U32;
        UID = 22 "uid" U32;
        PARAMETER = 23 "parameter" Nest(&parameter::SET), multi;
        CAPABILITY = 24 "capability" Nest(&capability::SET), multi;
        DEADLINE_NS = 25 "deadline-ns" U64;
        HEARTBEATS_SENT = 26 "heartbeats-sent" U64;
        HEARTBEATS_FAILED = 27 "heartbeats-failed" U64;
        SHADOW_PPB = 28 "shadow-ppb" U32;
        SHADOWED_OPS = 29 "shadowed-ops" U64;
        LEAVING = 30 "leaving" Nest(&leaving::SET);
    }
    /// What was predicted at a switch of the balancer and what came.
    accuracy "accuracy" {
        SAMPLES = 1 "samples" U64;
        PREDICTED_P50_NS = 2 "predicted-p50-ns" U64;
        PREDICTED_P99_NS = 3 "predicted-p99-ns" U64;
        ACTUAL_OPS = 4 "actual-ops" U64;
        ACTUAL_P50_NS = 5 "actual-p50-ns" U64;
        ACTUAL_P99_NS = 6 "actual-p99-ns" U64;
    }
    /// A balancer.
    balancer "balancer" {
        EPOCH = 1 "epoch" U32;
        NAME = 2 "name" String(NAME_MAX);
        CURRENT = 3 "current" Flag;
        SINCE_NS = 4 "since-ns" U64;
        MOVED_OPS = 5 "moved-ops" U64;
        BUILTIN = 6 "builtin" Flag;
        IF_CURRENT = 7 "if-current" String(NAME_MAX);
        PARAMETER = 8 "parameter" Nest(&parameter::SET), multi;
        REHASH = 9 "rehash" Flag;
        EJECTED_NS = 10 "ejected-ns" U64;
        EJECTED_REASON = 11 "ejected-reason" String(TEXT_MAX);
        ACCURACY = 12 "accuracy" Nest(&accuracy::SET);
    }
    /// What a device would have got.
    share "share" {
        NAME = 1 "name" String(NAME_MAX);
        OPS = 2 "ops" U64;
    }
    /// What a balancer would have done with the latest arrivals.
    preview "preview" {
        EPOCH = 1 "epoch" U32;
        NAME = 2 "name" String(NAME_MAX);
        SAMPLES = 3 "samples" U64;
        SPAN_NS = 4 "span-ns" U64;
        P50_NS = 5 "p50-ns" U64;
        P99_NS = 6 "p99-ns" U64;
        IMBALANCE_PERMILLE = 7 "imbalance-permille" U64;
        SHARE = 8 "share" Nest(&share::SET), multi;
    }
    /// A device at the time of a decision.
    candidate "candidate" {
        DEVICE = 1 "device" String(NAME_MAX);
        STATE = 2 "state" U32;
        BACKLOG_OPS = 3 "backlog-ops" U64;
        LEND_MAX_OPS = 4 "lend-max-ops" U64;
        EXPECTED_NS = 5 "expected-ns" U64;
        ABLE = 6 "able" Flag;
    }
    /// One pick of a device.
    decision "decision" {
        EPOCH = 1 "epoch" U32;
        TIME_NS = 2 "time-ns" U64;
        ALGORITHM = 3 "algorithm" String(NAME_MAX);
        OP = 4 "op" U32;
        BYTES = 5 "bytes" U64;
        PRIORITY = 6 "priority" U32;
        BALANCER = 7 "balancer" String(NAME_MAX);
        RULE = 8 "rule" String(NAME_MAX);
        CANDIDATE = 9 "candidate" Nest(&candidate::SET), multi;
        CANDIDATES = 10 "candidates" U64;
        CHOSEN = 11 "chosen" String(NAME_MAX);
        WHY = 12 "why" String(TEXT_MAX);
        LIMIT = 13 "limit" U32;
    }
    /// What a session is tied to; empty for nothing.
    bind "bind" {
        DEVICE = 1 "device" String(NAME_MAX);
        KIND = 2 "kind" String(NAME_MAX);
        ONLY = 3 "only" Flag;
    }
    /// A stage of a route.
    stage "stage" {
        ALGORITHM = 1 "algorithm" String(NAME_MAX);
        BIND = 2 "bind" Nest(&bind::SET);
    }
    /// A session.
    session "session" {
        EPOCH = 1 "epoch" U32;
        ID = 2 "id" U64;
        ALGORITHM = 3 "algorithm" String(NAME_MAX);
        NAME = 4 "name" String(NAME_MAX);
        PRIORITY = 5 "priority" U32;
        UID = 6 "uid" U32;
        SUBMITTED_OPS = 7 "submitted-ops" U64;
        COMPLETED_OPS = 8 "completed-ops" U64;
        FAILED_OPS = 9 "failed-ops" U64;
        BYTES = 10 "bytes" U64;
        IN_FLIGHT_OPS = 11 "in-flight-ops" U64;
        REFS = 12 "refs" U64;
        AGE_NS = 13 "age-ns" U64;
        DEVICE = 14 "device" String(NAME_MAX);
        PADDING = 15 "padding" Flag;
        ALLOW_ECB = 16 "allow-ecb" Flag;
        ALLOW_SHA1 = 17 "allow-sha1" Flag;
        PERSISTENT = 18 "persistent" Flag;
        LIMIT = 19 "limit" U32;
        KEY = 20 "key" Secret(4096), multi;
        ORDERED = 21 "ordered" Flag;
        BIND = 22 "bind" Nest(&bind::SET);
        TENANT = 23 "tenant" String(NAME_MAX);
        DEADLINE_NS = 24 "deadline-ns" U64;
        ROUTE = 25 "route" Nest(&stage::SET), multi;
        REKEYS = 26 "rekeys" U64;
    }
    /// A tenant.
    tenant "tenant" {
        EPOCH = 1 "epoch" U32;
        NAME = 2 "name" String(NAME_MAX);
        WEIGHT = 3 "weight" U32;
        LIMIT_OPS = 4 "limit-ops" U64;
        SESSIONS = 5 "sessions" U64;
        ACCEPTED_OPS = 6 "accepted-ops" U64;
        COMPLETED_OPS = 7 "completed-ops" U64;
        IN_FLIGHT_OPS = 8 "in-flight-ops" U64;
        BYTES = 9 "bytes" U64;
    }
    /// An operation.
    op "op" {
        EPOCH = 1 "epoch" U32;
        ID = 2 "id" U64;
        SESSION = 3 "session" U64;
        KIND = 4 "kind" U32;
        ALGORITHM = 5 "algorithm" String(NAME_MAX);
        BYTES = 6 "bytes" U64;
        STATE = 7 "state" String(NAME_MAX);
        DEVICE = 8 "device" String(NAME_MAX);
        ATTEMPTS = 9 "attempts" U32;
        AGE_NS = 10 "age-ns" U64;
        QUEUE_NS = 11 "queue-ns" U64;
        SERVICE_NS = 12 "service-ns" U64;
        LIMIT = 13 "limit" U32;
        IV = 14 "iv" Binary(16);
        AAD = 15 "aad" Binary(16 * 1024);
        DATA = 16 "data" Binary(OP_DATA_MAX_BYTES + 64);
        OUTPUT = 17 "output" Binary(64);
    }
    /// A stream of chunks.
    stream "stream" {
        EPOCH = 1 "epoch" U32;
        ID = 2 "id" U64;
        SESSION = 3 "session" U64;
        KIND = 4 "kind" U32;
        IV = 5 "iv" Binary(16);
        DATA = 6 "data" Binary(OP_DATA_MAX_BYTES + 64);
        OUTPUT = 7 "output" Binary(64);
    }
    /// Queue of one device.
    device_queue "device-queue" {
        NAME = 1 "name" String(NAME_MAX);
        STATE = 2 "state" U32;
        QUEUED_OPS = 3 "queued-ops" U64;
        IN_FLIGHT_OPS = 4 "in-flight-ops" U64;
        QUEUE_MAX_OPS = 5 "queue-max-ops" U64;
    }
    /// The queues.
    queue "queue" {
        EPOCH = 1 "epoch" U32;
        MAIN_QUEUE_OPS = 2 "main-queue-ops" U64;
        MAIN_QUEUE_MAX_OPS = 3 "main-queue-max-ops" U64;
        WAITING_OPS_BY_PRIORITY = 4 "waiting-ops-by-priority" U64Array(8);
        DEVICE = 5 "device" Nest(&device_queue::SET);
    }
    /// Statistics of the runtime.
    stats "stats" {
        EPOCH = 1 "epoch" U32;
        NOW_NS = 2 "now-ns" U64;
        WALL_NS = 3 "wall-ns" U64;
        UPTIME_NS = 4 "uptime-ns" U64;
        ACCEPTED_OPS = 5 "accepted-ops" U64;
        DISPATCHED_OPS = 6 "dispatched-ops" U64;
        STARTED_OPS = 7 "started-ops" U64;
        FINISHED_OPS = 8 "finished-ops" U64;
        COMPLETED_OPS = 9 "completed-ops" U64;
        CANCELLED_OPS = 10 "cancelled-ops" U64;
        FAILED_OPS = 11 "failed-ops" U64;
        REFUSED_OPS = 12 "refused-ops" U64;
        BYTES = 13 "bytes" U64;
        MAIN_QUEUE_OPS = 14 "main-queue-ops" U64;
        MAIN_QUEUE_MAX_OPS = 15 "main-queue-max-ops" U64;
        QUEUED_OPS = 16 "queued-ops" U64;
        IN_FLIGHT_OPS = 17 "in-flight-ops" U64;
        WAITING_OPS = 18 "waiting-ops" U64;
        OLDEST_NS = 19 "oldest-ns" U64;
        BY_KIND = 20 "by-kind" U64Array(7);
        MOVED_OPS = 21 "moved-ops" U64;
        QUEUE_WAIT = 22 "queue-wait" Nest(&histogram::SET);
        SERVICE = 23 "service" Nest(&histogram::SET);
        TOTAL = 24 "total" Nest(&histogram::SET);
    }
    /// A load.
    load "load" {
        EPOCH = 1 "epoch" U32;
        ID = 2 "id" U64;
        ALGORITHM = 3 "algorithm" String(NAME_MAX);
        SIZE_BYTES = 4 "size-bytes" U64;
        CLIENTS = 5 "clients" U32;
        RATE_OPS_PER_S = 6 "rate-ops-per-s" U64;
        FOR_NS = 7 "for-ns" U64;
        UID = 8 "uid" U32;
        COMPLETED_OPS = 9 "completed-ops" U64;
        FAILED_OPS = 10 "failed-ops" U64;
        BYTES = 11 "bytes" U64;
        AGE_NS = 12 "age-ns" U64;
    }
    /// An event, and a subscription to events.
    event "event" {
        EPOCH = 1 "epoch" U32;
        SUBSCRIPTION = 2 "subscription" U32;
        SEQ = 3 "seq" U64;
        TIME_NS = 4 "time-ns" U64;
        KIND = 5 "kind" U32;
        SEVERITY = 6 "severity" U32;
        OBJECT = 7 "object" String(NAME_MAX);
        NAME = 8 "name" String(NAME_MAX);
        FROM = 9 "from" String(TEXT_MAX);
        TO = 10 "to" String(TEXT_MAX);
        REASON = 11 "reason" String(TEXT_MAX);
        UID = 12 "uid" U32;
        LOST = 13 "lost" U64;
        SINCE = 14 "since" U64;
        KINDS = 15 "kinds" U32;
    }
}
