//! Requests that change devices, the balancer, tenants and loads, or end the server: class admin.

use std::time::Duration;

use super::Client;
use crate::attr::Writer;
use crate::error::Error;
use crate::family::Command;
use crate::family::attribute::{balancer, device, load, server, tenant};
use crate::message::{BalancerSet, FaultSpec, LoadSpec, write_parameters, write_ppb};

impl Client {
    /// Asks the server that this client is connected to, and no other one, to end.
    ///
    /// # Errors
    /// Refused when it is part of a program that does not end when asked.
    pub async fn shutdown(&self) -> Result<(), Error> {
        let mut body = Writer::new();
        body.u32(server::EPOCH, self.epoch);
        self.done(Command::ServerShutdown, body).await
    }

    /// Adds a device; comes back after its known answers came out right. Returns its number.
    ///
    /// # Errors
    /// Refused when the name is taken, the kind unknown, a parameter wrong, or a known answer came out wrong.
    pub async fn device_add(
        &self,
        name: &str,
        kind: &str,
        parameters: &[(String, String)],
    ) -> Result<u32, Error> {
        let mut body = named(device::NAME, name);
        body.string(device::KIND, kind);
        write_parameters(parameters, &mut body);
        Ok(self.one(Command::DeviceNew, body).await?.u32(device::ID)?)
    }

    /// Starts to remove a device: it drains until `deadline`, and an event tells when it is gone.
    ///
    /// # Errors
    /// Refused when there is no such device.
    pub async fn device_remove(&self, name: &str, deadline: Option<Duration>) -> Result<(), Error> {
        self.done(Command::DeviceDel, leaving(name, deadline)).await
    }

    /// Marks a device broken by hand, or puts a fault on it that health must find.
    ///
    /// # Errors
    /// Refused when there is no such device, or its state does not allow it.
    pub async fn device_break(&self, name: &str, fault: Option<FaultSpec>) -> Result<(), Error> {
        let mut body = named(device::NAME, name);
        if let Some(fault) = fault {
            body.nest(device::FAULT, |nest| fault.write(nest));
        }
        self.done(Command::DeviceBreak, body).await
    }

    /// Takes faults off a device and starts its selftest.
    ///
    /// # Errors
    /// Refused when there is no such device, or its state does not allow it.
    pub async fn device_repair(&self, name: &str) -> Result<(), Error> {
        self.done(Command::DeviceRepair, named(device::NAME, name)).await
    }

    /// Sets the share of a device's operations, 0 to 1, that is carried out once more and held until both agree.
    ///
    /// # Errors
    /// Refused when there is no such device, or the share is none.
    pub async fn device_shadow(&self, name: &str, rate: f64) -> Result<(), Error> {
        let mut body = named(device::NAME, name);
        write_ppb(device::SHADOW_PPB, rate, &mut body);
        self.done(Command::DeviceSet, body).await
    }

    /// Lets a device finish what it has; it stays, and an event tells when it is drained.
    ///
    /// # Errors
    /// Refused when there is no such device, or it is not in service.
    pub async fn device_drain(&self, name: &str, deadline: Option<Duration>) -> Result<(), Error> {
        self.done(Command::DeviceDrain, leaving(name, deadline)).await
    }

    /// Puts a draining or drained device back into service.
    ///
    /// # Errors
    /// Refused when there is no such device, or its state does not allow it.
    pub async fn device_resume(&self, name: &str) -> Result<(), Error> {
        self.done(Command::DeviceResume, named(device::NAME, name)).await
    }

    /// Asks a device its known answers now; an event of kind health tells how it went.
    ///
    /// # Errors
    /// Refused when there is no such device, or its state does not allow it.
    pub async fn device_test(&self, name: &str) -> Result<(), Error> {
        self.done(Command::DeviceTest, named(device::NAME, name)).await
    }

    /// Puts a balancer in force; with `if_current`, only if that one is in force.
    ///
    /// # Errors
    /// Refused when there is none of that name, or another is in force.
    pub async fn balancer_set(&self, name: &str, if_current: Option<&str>) -> Result<(), Error> {
        let if_current = if_current.map(str::to_owned);
        let set = BalancerSet { name: name.to_owned(), if_current, ..BalancerSet::default() };
        self.balancer_set_with(&set).await
    }

    /// Puts a balancer in force, with parameters, or with what is queued placed anew. One that is in force already only
    /// gets the parameters and the rehash.
    ///
    /// # Errors
    /// As [`Client::balancer_set`]; refused when a parameter is wrong, and when its first plan fails.
    pub async fn balancer_set_with(&self, set: &BalancerSet) -> Result<(), Error> {
        let mut body = Writer::new();
        set.write(&mut body);
        self.done(Command::BalancerSet, body).await
    }

    /// Places what is queued on devices anew, by the balancer in force.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn rehash(&self) -> Result<(), Error> {
        self.done(Command::BalancerRehash, Writer::new()).await
    }

    /// Unregisters a balancer; if it was in force, `simple_lb` takes over.
    ///
    /// # Errors
    /// Refused when there is none of that name, or it is built in.
    pub async fn balancer_unregister(&self, name: &str) -> Result<(), Error> {
        self.done(Command::BalancerDel, named(balancer::NAME, name)).await
    }

    /// Sets a tenant's weight, or its limit of operations on their way (0 for none); it need not have a session yet.
    ///
    /// # Errors
    /// Refused when the name or the weight cannot be, or the limit of tenants is reached.
    pub async fn tenant_set(
        &self,
        name: &str,
        weight: Option<u32>,
        limit_ops: Option<u64>,
    ) -> Result<(), Error> {
        let mut body = named(tenant::NAME, name);
        if let Some(weight) = weight {
            body.u32(tenant::WEIGHT, weight);
        }
        body.u64_if(tenant::LIMIT_OPS, limit_ops);
        self.done(Command::TenantSet, body).await
    }

    /// Starts a load; returns its number.
    ///
    /// # Errors
    /// Refused when the algorithm is unknown or a limit is reached.
    pub async fn load_start(&self, spec: LoadSpec) -> Result<u64, Error> {
        let mut body = Writer::new();
        spec.write(&mut body);
        Ok(self.one(Command::LoadNew, body).await?.u64(load::ID)?)
    }

    /// Stops a load, or all.
    ///
    /// # Errors
    /// Refused when there is no such load.
    pub async fn load_stop(&self, id: Option<u64>) -> Result<(), Error> {
        let mut body = Writer::new();
        body.u64_if(load::ID, id);
        self.done(Command::LoadDel, body).await
    }
}

fn leaving(name: &str, deadline: Option<Duration>) -> Writer {
    let mut body = named(device::NAME, name);
    let deadline_ns = deadline.map(|deadline| u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX));
    body.u64_if(device::DEADLINE_NS, deadline_ns);
    body
}

fn named(number: u16, name: &str) -> Writer {
    let mut body = Writer::new();
    body.string(number, name);
    body
}
