//! Tenants: whose work it is, and how much of the devices it may have.

use std::sync::Arc;

use crossbeam_utils::CachePadded;

use crate::error::Error;
use crate::stats::TenantStatus;
use crate::stats::counter::{Counter, EndCounts};
use crate::stats::tally::Tallies;
use crate::sync::Lock;
use crate::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Largest weight.
pub const TENANT_WEIGHT_MAX: u32 = 1_000;

/// One tenant.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) number: u16,
    pub(crate) name: String,
    /// Most operations on their way; 0 for no limit of its own.
    limit_ops: AtomicU64,
    /// Somebody set it up by hand: it stays without sessions.
    is_kept: std::sync::atomic::AtomicBool,
    pub(crate) sessions: AtomicUsize,
    pub(crate) accepted: Counter,
    pub(crate) ended: CachePadded<EndCounts>,
    /// Submitted and completed at once.
    pub(crate) inline: Tallies,
}

impl Tenant {
    /// How many of `count` operations it may submit now. Submitters at the same time may exceed the limit, each by a batch.
    pub(crate) fn admits(&self, count: usize) -> Result<usize, Error> {
        let limit = self.limit_ops.load(Ordering::Relaxed);
        if limit == 0 {
            return Ok(count);
        }
        let completed = self.ended.completed.read();
        let room = limit.saturating_sub(self.accepted.read().saturating_sub(completed)) as usize;
        match room.min(count) {
            0 => Err(self.full()),
            room => Ok(room),
        }
    }

    /// Whether it has a limit of its own.
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        self.limit_ops.load(Ordering::Relaxed) > 0
    }

    /// The refusal of what is above its limit.
    pub(crate) fn full(&self) -> Error {
        Error::TenantFull { tenant: self.name.clone(), limit: self.limit_ops.load(Ordering::Relaxed) }
    }

    fn status(&self, weight: u32) -> TenantStatus {
        let (inline, inline_bytes) = self.inline.read();
        let completed_ops = inline + self.ended.completed.read();
        let accepted_ops = inline + self.accepted.read();
        TenantStatus {
            name: self.name.clone(),
            weight,
            limit_ops: self.limit_ops.load(Ordering::Relaxed),
            sessions: self.sessions.load(Ordering::Relaxed),
            accepted_ops,
            completed_ops,
            in_flight_ops: accepted_ops.saturating_sub(completed_ops),
            bytes: self.ended.bytes.read() + inline_bytes,
        }
    }
}

/// The tenants; a tenant's number is its place.
#[derive(Debug)]
pub(crate) struct Tenants {
    table: Lock<Vec<Arc<Tenant>>>,
    /// By number.
    weights: Box<[AtomicU32]>,
    limit: usize,
}

impl Tenants {
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.clamp(1, usize::from(u16::MAX));
        Self { table: Lock::new(Vec::new()), weights: (0..limit).map(|_| AtomicU32::new(1)).collect(), limit }
    }

    /// The tenant of this name for one more session. It is made if it is new; then a tenant that was never set up and has
    /// no session makes room where the table is full.
    pub(crate) fn join(&self, name: &str) -> Result<Arc<Tenant>, Error> {
        let mut table = self.table.lock();
        let tenant = self.find_or_make(&mut table, name)?;
        tenant.sessions.fetch_add(1, Ordering::Relaxed);
        Ok(tenant)
    }

    fn find_or_make(&self, table: &mut Vec<Arc<Tenant>>, name: &str) -> Result<Arc<Tenant>, Error> {
        if let Some(tenant) = table.iter().find(|tenant| tenant.name == name) {
            return Ok(Arc::clone(tenant));
        }
        let is_idle = |tenant: &Arc<Tenant>| {
            tenant.sessions.load(Ordering::Relaxed) == 0 && !tenant.is_kept.load(Ordering::Relaxed)
        };
        let place = match table.len() {
            used if used < self.limit => used,
            _ => table.iter().position(is_idle).ok_or(Error::Limit { what: "tenants", limit: self.limit })?,
        };
        let tenant = Arc::new(Tenant {
            number: place as u16,
            name: name.to_owned(),
            limit_ops: AtomicU64::new(0),
            is_kept: std::sync::atomic::AtomicBool::new(false),
            sessions: AtomicUsize::new(0),
            accepted: Counter::default(),
            ended: CachePadded::default(),
            inline: Tallies::default(),
        });
        self.weights[place].store(1, Ordering::Relaxed);
        match table.get_mut(place) {
            Some(old) => *old = Arc::clone(&tenant),
            None => table.push(Arc::clone(&tenant)),
        }
        Ok(tenant)
    }

    /// The weight of the tenant with this number.
    #[inline]
    pub(crate) fn weight(&self, number: u16) -> u32 {
        self.weights.get(usize::from(number)).map_or(1, |weight| weight.load(Ordering::Relaxed))
    }

    pub(crate) fn set(&self, name: &str, weight: Option<u32>, limit_ops: Option<u64>) -> Result<(), Error> {
        if let Some(weight) = weight.filter(|weight| !(1..=TENANT_WEIGHT_MAX).contains(weight)) {
            return Err(Error::BadParameter {
                name: "weight".to_owned(),
                value: weight.to_string(),
                expected: format!("from 1 to {TENANT_WEIGHT_MAX}"),
            });
        }
        // Held to the end: another one must not take its place meanwhile.
        let mut table = self.table.lock();
        let tenant = self.find_or_make(&mut table, name)?;
        tenant.is_kept.store(true, Ordering::Relaxed);
        if let Some(weight) = weight {
            self.weights[usize::from(tenant.number)].store(weight, Ordering::Relaxed);
        }
        if let Some(limit_ops) = limit_ops {
            tenant.limit_ops.store(limit_ops, Ordering::Relaxed);
        }
        Ok(())
    }

    pub(crate) fn all(&self) -> Vec<TenantStatus> {
        self.table.lock().iter().map(|tenant| tenant.status(self.weight(tenant.number))).collect()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn i7_a_full_table_refuses_unless_somebody_idle_can_go() {
        let tenants = Tenants::new(2);
        let first = tenants.join("a").unwrap();
        tenants.join("b").unwrap();
        assert_eq!(tenants.join("c").unwrap_err(), Error::Limit { what: "tenants", limit: 2 });
        first.sessions.fetch_sub(1, Ordering::Relaxed);
        assert_eq!(tenants.join("c").unwrap().number, 0);
        let names: Vec<String> = tenants.all().into_iter().map(|tenant| tenant.name).collect();
        assert_eq!(names, ["c", "b"]);
    }

    #[test]
    fn a_weight_of_1000_fits_and_1001_and_0_do_not() {
        let tenants = Tenants::new(4);
        assert!(tenants.set("a", Some(1_000), None).is_ok());
        assert!(tenants.set("a", Some(1_001), None).is_err() && tenants.set("a", Some(0), None).is_err());
        assert_eq!(tenants.all()[0].weight, 1_000);
    }
}
