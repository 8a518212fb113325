//! Limits and time-outs of a runtime. Every one has a default, and every one is shown by the commands.

/// Configuration; start from `Config::default()`. Every field has a row in `setting.rs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Worker threads; 0 for as many as there are cores.
    pub workers: usize,
    /// Most operations accepted and not yet fetched by their submitter.
    pub main_queue_max_ops: usize,
    /// Most operations in one device's queue.
    pub device_queue_max_ops: usize,
    /// Most sessions.
    pub sessions_max: usize,
    /// Most devices.
    pub devices_max: usize,
    /// Events kept for late readers.
    pub events_max: usize,
    /// Loads running at once.
    pub loads_max: usize,
    /// Largest operation, in bytes.
    pub op_max_bytes: usize,
    /// Time to live of an operation that names none, in nanoseconds.
    pub deadline_ns: u64,
    /// Attempts before an operation is given up as broken, 1 to 255.
    pub attempts_max: u8,
    /// Errors within the window that break a device.
    pub error_budget_ops: u32,
    /// The window, in nanoseconds.
    pub error_budget_window_ns: u64,
    /// Length of each of the two stages of probation, in nanoseconds.
    pub probation_stage_ns: u64,
    /// Most tenants.
    pub tenants_max: usize,
    /// Most named keys.
    pub named_keys_max: usize,
    /// Least share of the work that each waiting priority gets while higher ones wait too, in percent, 0 to 12.
    pub priority_floor_percent: u8,
    /// Most initialisation vectors the runtime makes for one key: 2^32 for random ones of 96 bits (NIST SP 800-38D section 8.3).
    pub ivs_per_key_max: u64,
    /// Operations in the main queue at which a submitter that waits for room is woken, once it was full; 0 for seven eighths of it.
    pub main_queue_low_ops: usize,
    /// Seed of everything the runtime draws by lot.
    pub seed: u64,
    /// How long a queued device may take for one operation before it is tried elsewhere, in nanoseconds; 100 ns are
    /// added for each byte. 0: as long as the operation lives.
    pub attempt_max_ns: u64,
    /// How long a queued device with work may answer nothing before it is broken, in nanoseconds; 100 ns are added for
    /// each byte of its longest operation, and a device that is slow by nature gets eight times its usual time. 0: for
    /// ever.
    pub silence_ns: u64,
    /// How long a device is idle before it is asked a known answer, in nanoseconds. 0: it is not asked.
    pub heartbeat_ns: u64,
    /// Operations that were taken back from a device and that it has not let go of, at most, before it is broken.
    pub quarantine_max_ops: usize,
    /// Pause before a device that broke on evidence is repaired without being asked for, in nanoseconds; it doubles up
    /// to a minute. 0: never.
    pub repair_backoff_ns: u64,
    /// How long a balancer's plan may take before the balancer is given up, in nanoseconds.
    pub plan_max_ns: u64,
    /// Most balancers registered, the built-in ones included.
    pub balancers_max: usize,
    /// Longest work, by the device's measured rate, that a submitter carries out itself at once, in nanoseconds; where nobody
    /// else could take a part of a burst, its longest operation. 0: it always goes through the device's queue. The default,
    /// 100 µs, is what a task may well take between two awaits.
    pub inline_max_ns: u64,
    /// How what submitters carry out at once is measured (histograms, rates, arrivals, times of a completion). 2: each run.
    /// 1: each run of four operations or more, and of shorter ones about one in 32, at random, and the first in each 10 ms, which
    /// stand for those between. 0: none; it is counted only. What goes through a queue is measured always.
    pub statistics: u8,
    /// 1: workers look for work all the time and never sleep, each of them using up a processor. 0: they sleep.
    pub poll_workers: u8,
    /// 1: each worker is pinned to a processor of its own, as far as there are as many. 0: the system places them.
    pub pin_workers: u8,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: 0,
            main_queue_max_ops: 65_536,
            device_queue_max_ops: 512,
            sessions_max: 1 << 20,
            devices_max: 4_096,
            events_max: 8_192,
            loads_max: 256,
            op_max_bytes: 1 << 30,
            deadline_ns: 30_000_000_000,
            attempts_max: 8,
            error_budget_ops: 8,
            error_budget_window_ns: 10_000_000_000,
            probation_stage_ns: 1_000_000_000,
            tenants_max: 1_024,
            named_keys_max: 65_536,
            priority_floor_percent: 2,
            ivs_per_key_max: 1 << 32,
            main_queue_low_ops: 0,
            seed: 0,
            attempt_max_ns: 5_000_000_000,
            silence_ns: 1_000_000_000,
            heartbeat_ns: 1_000_000_000,
            quarantine_max_ops: 512,
            repair_backoff_ns: 1_000_000_000,
            plan_max_ns: 1_000_000_000,
            balancers_max: 64,
            inline_max_ns: 100_000,
            statistics: 1,
            poll_workers: 0,
            pin_workers: 0,
        }
    }
}
