//! Commands that look, and commands that change devices, balancer, tenants and loads.

use std::sync::Arc;

use acrypto_core::{BalancerStatus, LoadSpec as CoreLoadSpec, SetBalancer};

use super::Shared;
use super::connection::{Caller, Reply};
use super::convert;
use super::errno::{EINVAL, ENOENT, EOPNOTSUPP, refused};
use crate::attr::{Fault, Reader, Writer};
use crate::conn::server::{Ask, Request, body};
use crate::family::Command;
use crate::family::attribute::{balancer, decision, device, load, op, preview, server, session, tenant};
use crate::message::{
    BalancerInfo, BalancerSet, Ejection, FaultSpec, LoadSpec, ServerInfo, read_parameters, read_ppb,
};

/// The balancer that cannot be unregistered.
const BUILTIN_BALANCER: &str = "simple_lb";

impl Shared {
    /// Answers a command that looks.
    pub(super) fn show(
        self: &Arc<Self>,
        command: Command,
        dump: bool,
        attributes: &Reader,
        caller: Caller,
    ) -> Result<Reply, Fault> {
        match command {
            Command::ServerPing => Ok(Reply::One(body(self.epoch))),
            Command::ServerGet => Ok(Reply::One(self.server_body(caller))),
            Command::StatsGet => Ok(self.one(|out| convert::stats(&self.runtime.stats()).write(out))),
            Command::DeviceGet if dump => {
                Ok(self.rows(self.runtime.devices(), |row, out| convert::device(row).write(out)))
            }
            Command::DeviceGet => {
                let status = self.runtime.device(&attributes.string(device::NAME)?);
                let status = status.map_err(|error| refused(&error))?;
                Ok(self.one(|out| convert::device(status).write(out)))
            }
            Command::BalancerGet => Ok(self.rows(self.balancers(), |row, out| row.write(out))),
            Command::DecisionGet => {
                let limit = attributes.u32_if(decision::LIMIT)?.map_or(usize::MAX, |limit| limit as usize);
                Ok(self.rows(self.runtime.explain(limit), |row, out| convert::decision(row).write(out)))
            }
            Command::ConfigGet => {
                Ok(self.rows(convert::settings(self.runtime.config()), |row, out| row.write(out)))
            }
            Command::TenantGet => {
                Ok(self.rows(self.runtime.tenants(), |row, out| convert::tenant(row).write(out)))
            }
            Command::SessionGet => self.sessions_body(dump, attributes),
            Command::OpGet => {
                let limit = attributes.u32_if(op::LIMIT)?.map_or(usize::MAX, |limit| limit as usize);
                Ok(self.rows(self.runtime.ops(limit), |row, out| convert::op(row).write(out)))
            }
            Command::QueueGet => Ok(self.queue_rows()),
            Command::LoadGet => {
                let now_ns = self.runtime.now().0;
                Ok(self.rows(self.runtime.loads(), move |row, out| convert::load(row, now_ns).write(out)))
            }
            other => Err(Fault::new(EOPNOTSUPP, format!("'{}' cannot be asked for", other.spec().name))),
        }
    }

    /// Carries out a command of class admin, or one that takes its time; may block.
    pub(super) fn change(&self, request: &Request, caller: Caller) -> Result<Reply, Fault> {
        let attributes = &request.attributes;
        let uid = caller.uid;
        let Ask::Command { spec, .. } = request.ask else {
            return Err(Fault::new(EINVAL, "no command"));
        };
        let done = match spec.command {
            Command::ServerShutdown => return self.end(attributes, uid),
            Command::DeviceNew => return self.device_new(attributes, uid),
            Command::LoadNew => return self.load_new(attributes, uid),
            Command::LoadDel => return self.load_del(attributes, uid),
            Command::DeviceDel => {
                self.runtime.remove_device(&attributes.string(device::NAME)?, self.deadline(attributes)?, uid)
            }
            Command::DeviceDrain => {
                self.runtime.drain_device(&attributes.string(device::NAME)?, self.deadline(attributes)?, uid)
            }
            Command::DeviceResume => self.runtime.resume_device(&attributes.string(device::NAME)?, uid),
            Command::DeviceTest => self.runtime.test_device(&attributes.string(device::NAME)?, uid),
            Command::DeviceSet => {
                let rate = read_ppb(device::SHADOW_PPB, attributes)?;
                let rate = rate.ok_or_else(|| attributes.missing(device::SHADOW_PPB))?;
                self.runtime.set_shadow(&attributes.string(device::NAME)?, rate, uid)
            }
            Command::DeviceBreak => {
                let fault =
                    attributes.nest_if(device::FAULT)?.map(|nest| FaultSpec::read(&nest)).transpose()?;
                let fault = fault.map(convert::core_fault);
                self.runtime.break_device(&attributes.string(device::NAME)?, fault, uid)
            }
            Command::DeviceRepair => self.runtime.repair_device(&attributes.string(device::NAME)?, uid),
            Command::BalancerSet => {
                let BalancerSet { name, if_current, parameters, rehash } = BalancerSet::read(attributes)?;
                let options = SetBalancer { if_current, rehash, parameters };
                self.runtime.set_balancer_with(&name, &options, uid)
            }
            Command::BalancerRehash => {
                self.runtime.rehash(uid);
                Ok(())
            }
            Command::PreviewGet => {
                let preview = self.runtime.preview(&attributes.string(preview::NAME)?);
                let preview = preview.map_err(|error| refused(&error))?;
                return Ok(self.one(|out| convert::preview(preview).write(out)));
            }
            Command::BalancerDel => {
                self.runtime.unregister_balancer(&attributes.string(balancer::NAME)?, uid)
            }
            Command::TenantSet => {
                let weight = attributes.u32_if(tenant::WEIGHT)?;
                let limit_ops = attributes.u64_if(tenant::LIMIT_OPS)?;
                self.runtime.set_tenant(&attributes.string(tenant::NAME)?, weight, limit_ops, uid)
            }
            other => return Err(Fault::new(EOPNOTSUPP, format!("'{}' changes nothing", other.spec().name))),
        };
        done.map(|()| Reply::Done).map_err(|error| refused(&error))
    }

    /// Asks the program to end, if it does so when asked.
    fn end(&self, attributes: &Reader, uid: u32) -> Result<Reply, Fault> {
        let epoch = attributes.u32(server::EPOCH)?;
        if epoch != self.epoch {
            let message = format!("epoch is {:04x}, not {epoch:04x}: another server was meant", self.epoch);
            return Err(attributes.fault(server::EPOCH, message));
        }
        if !self.options.ends_when_asked {
            return Err(Fault::new(
                EOPNOTSUPP,
                "this server is part of a program that does not end when asked",
            ));
        }
        self.runtime.announce_end(uid);
        self.end_asked.send_replace(true);
        Ok(Reply::Done)
    }

    /// How long a device may drain.
    fn deadline(&self, attributes: &Reader) -> Result<u64, Fault> {
        Ok(attributes.u64_if(device::DEADLINE_NS)?.unwrap_or(self.runtime.config().deadline_ns))
    }

    fn device_new(&self, attributes: &Reader, uid: u32) -> Result<Reply, Fault> {
        let (name, kind) = (attributes.string(device::NAME)?, attributes.string(device::KIND)?);
        let parameters = read_parameters(attributes)?;
        let id = self
            .runtime
            .add_device_of_kind(&name, &kind, &parameters, uid)
            .map_err(|error| refused(&error))?;
        Ok(self.one(|out| {
            out.u32(device::ID, u32::from(id.0)).string(device::NAME, &name);
        }))
    }

    fn load_new(&self, attributes: &Reader, uid: u32) -> Result<Reply, Fault> {
        let spec: CoreLoadSpec = convert::core_load(&LoadSpec::read(attributes)?)?;
        let id = self.runtime.start_load(spec, uid).map_err(|error| refused(&error))?;
        Ok(self.one(|out| {
            out.u64(load::ID, id);
        }))
    }

    fn load_del(&self, attributes: &Reader, uid: u32) -> Result<Reply, Fault> {
        match attributes.u64_if(load::ID)? {
            Some(id) => self.runtime.stop_load(id, uid).map_err(|error| refused(&error))?,
            None => {
                for load in self.runtime.loads() {
                    // One that ended by itself meanwhile is stopped as well.
                    let _ = self.runtime.stop_load(load.id, uid);
                }
            }
        }
        Ok(Reply::Done)
    }

    fn server_body(&self, caller: Caller) -> Writer {
        let config = self.runtime.config();
        let info = ServerInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: self.own.pid,
            uid: self.own.uid,
            epoch: self.epoch,
            uptime_ns: self.runtime.now().0,
            listen: Self::lock(&self.listen).clone(),
            workers: match config.workers {
                0 => std::thread::available_parallelism().map_or(1, |count| count.get() as u32),
                workers => workers as u32,
            },
            main_queue_max_ops: config.main_queue_max_ops as u64,
            device_queue_max_ops: config.device_queue_max_ops as u64,
            sessions_max: config.sessions_max as u64,
            last_event_seq: self.runtime.events().last_seq(),
            role: caller.class,
            scenario: self.options.scenario.clone(),
        };
        let mut out = body(self.epoch);
        info.write(&mut out);
        out.u64(server::SESSIONS, self.runtime.sessions().len() as u64);
        out
    }

    fn sessions_body(self: &Arc<Self>, dump: bool, attributes: &Reader) -> Result<Reply, Fault> {
        let now_ns = self.runtime.now().0;
        let mut sessions = self.runtime.sessions();
        if dump {
            sessions.truncate(attributes.u32_if(session::LIMIT)?.map_or(usize::MAX, |limit| limit as usize));
            return Ok(self.rows(sessions, move |row, out| convert::session(row, now_ns).write(out)));
        }
        let id = attributes.u64(session::ID)?;
        let found = sessions.into_iter().find(|session| session.id == id);
        let found = found.ok_or_else(|| Fault::new(ENOENT, format!("session '{id:#x}' not found")))?;
        Ok(self.one(|out| convert::session(found, now_ns).write(out)))
    }

    fn balancers(&self) -> Vec<BalancerInfo> {
        let BalancerStatus { current, since_ns, available, moved_ops, ejection, accuracy, .. } =
            self.runtime.balancer();
        let row = |name: String| {
            let is_current = name == current;
            let ejection = ejection.as_ref().filter(|ejection| ejection.name == name);
            // One that was unregistered meanwhile has nothing to set.
            let parameters = self.runtime.balancer_parameters(&name).unwrap_or_default();
            BalancerInfo {
                current: is_current,
                since_ns: if is_current { since_ns } else { 0 },
                moved_ops: if is_current { moved_ops } else { 0 },
                builtin: name == BUILTIN_BALANCER,
                parameters: parameters.into_iter().map(convert::parameter).collect(),
                ejection: ejection
                    .map(|ejection| Ejection { time_ns: ejection.time_ns, reason: ejection.reason.clone() }),
                accuracy: accuracy
                    .as_ref()
                    .filter(|accuracy| accuracy.balancer == name)
                    .map(convert::accuracy),
                name,
            }
        };
        available.into_iter().map(row).collect()
    }

    fn queue_rows(self: &Arc<Self>) -> Reply {
        let queue = convert::queue(self.runtime.queue());
        let mut first = body(self.epoch);
        queue.write_main(&mut first);
        let epoch = self.epoch;
        let devices = queue.devices.into_iter().map(move |device| {
            let mut out = body(epoch);
            device.write(&mut out);
            out
        });
        Reply::Rows(Box::new(std::iter::once(first).chain(devices)))
    }

    fn one(&self, fill: impl FnOnce(&mut Writer)) -> Reply {
        let mut out = body(self.epoch);
        fill(&mut out);
        Reply::One(out)
    }

    /// A dump; each row is written when its turn to be sent comes.
    fn rows<T: Send + 'static>(
        &self,
        table: Vec<T>,
        write: impl Fn(T, &mut Writer) + Send + 'static,
    ) -> Reply {
        let epoch = self.epoch;
        Reply::Rows(Box::new(table.into_iter().map(move |row| {
            let mut out = body(epoch);
            write(row, &mut out);
            out
        })))
    }
}
