//! acrypto-core: an asynchronous crypto runtime.
//!
//! Programs allocate crypto [`Session`]s, submit operations, and get each result back exactly once. A balancer spreads
//! the operations over devices; a broken device loses no work.
//!
//! ```
//! use acrypto_core::{Algorithm, Config, Key, Request, Runtime, SessionSpec, block_on};
//!
//! let runtime = Runtime::start(Config::default())?;
//! runtime.add_device_of_kind("soft0", "soft", &[], 0)?;
//! let session = runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![7; 16]))?;
//!
//! let completion = block_on(session.submit(Request::encrypt(b"attack at dawn".to_vec(), [0; 16])))?;
//! completion.result?;
//! let completion = session.call(Request::decrypt(completion.data, [0; 16]))?;
//! assert_eq!(completion.data, b"attack at dawn");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The ways to submit: [`Session::submit`] (a future), [`Session::submit_batch`], [`Session::burst`] (submit n, poll n),
//! [`Session::with_callback`], [`Session::call`] (blocking), and [`Session::stream`] for one file or flow. Where the bytes
//! may lie (in place, out of place, in segments, in pools): [`buffers`].

#![allow(clippy::result_large_err, reason = "a refusal hands the request back, whole and without allocating")]

pub mod algorithm;
pub mod balancer;
pub mod buffers;
pub mod clock;
pub mod config;
pub mod conformance;
pub mod device;
pub mod error;
pub mod event;
pub mod key;
pub mod load;
pub mod op;
pub mod route;
pub mod runtime;
pub mod session;
pub mod setting;
pub mod setup;
pub mod simulation;
pub mod stats;
pub mod stream;
pub mod submit;
pub mod tenant;

mod binding;
mod context;
mod foreign;
mod health;
mod keys;
mod order;
mod padding;
mod queue;
mod rare;
mod room;
mod session_life;
mod session_table;
mod shared;
mod sync;
mod worker;

pub use algorithm::{Algorithm, Class, OpKind};
pub use balancer::{Balancer, Decision, Parameter, Preview, SetBalancer};
pub use buffers::{BufferPool, PooledBuffer, Source};
pub use clock::{Clock, Nanos};
pub use config::Config;
pub use device::fault::{FaultMode, FaultSpec};
pub use device::{DeviceState, Engine};
pub use error::{Error, OpError, Progress};
pub use event::{Event, EventKind, EventLog, EventSubscription, Feed, Severity};
pub use key::{Key, Uses};
pub use load::{LoadSpec, LoadStatus};
pub use op::{Completion, DeviceId, Iv, Outcome, Output, Refused, Request};
pub use room::Ready;
pub use route::Stage;
pub use runtime::Runtime;
pub use session::{Bind, Padding, Session, SessionSpec, Target};
pub use setting::{SETTINGS, Setting};
pub use setup::{DeviceSetup, Part, Setup, SetupError, TenantSetup};
pub use stats::{
    BalancerStatus, DeviceCounters, DeviceQueue, DeviceStatus, DeviceSupport, Histogram, KeyStatus,
    LeavingStatus, OpStatus, QueueStatus, RuntimeStats, SessionStatus, StageSupport, TenantStatus,
};
pub use stream::{Stream, StreamError};
pub use submit::blocking::block_on;
pub use submit::{BatchFuture, Burst, CallError, CallbackSession, Op, OpFuture};
pub use worker::place::WorkerPlace;
