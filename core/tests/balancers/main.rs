//! Each policy keeps its law, a policy that fails is ejected, and what the balancer did and would do can be asked.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod devices;
mod explained;
mod laws;
mod moved;
mod parameters;
mod predicted;
mod ranch;
mod standby;
mod watchdog;
