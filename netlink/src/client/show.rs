//! Requests that look.

use super::Client;
use crate::attr::Writer;
use crate::error::Error;
use crate::family::Command;
use crate::family::attribute::{decision, device, op, preview, server, session};
use crate::message::{
    BalancerInfo, DecisionInfo, DeviceInfo, LoadInfo, OpInfo, PreviewInfo, QueueInfo, RuntimeStats,
    ServerInfo, SessionInfo, SettingInfo, TenantInfo,
};
use crate::snapshot::{SNAPSHOT_SESSIONS_MAX, Snapshot};

impl Client {
    /// Whether the server answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        self.done(Command::ServerPing, Writer::new()).await
    }

    /// The server, and what this connection may do.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn server_info(&self) -> Result<ServerInfo, Error> {
        self.server_and_sessions().await.map(|(info, _)| info)
    }

    async fn server_and_sessions(&self) -> Result<(ServerInfo, u64), Error> {
        let answer = self.one(Command::ServerGet, Writer::new()).await?;
        Ok((ServerInfo::read(&answer)?, answer.u64(server::SESSIONS)?))
    }

    /// Every limit and time-out.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn settings(&self) -> Result<Vec<SettingInfo>, Error> {
        self.many(Command::ConfigGet, Writer::new, SettingInfo::read).await
    }

    /// Every device, by id.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn devices(&self) -> Result<Vec<DeviceInfo>, Error> {
        self.many(Command::DeviceGet, Writer::new, DeviceInfo::read).await
    }

    /// One device.
    ///
    /// # Errors
    /// Refused with ENODEV when there is none of that name.
    pub async fn device(&self, name: &str) -> Result<DeviceInfo, Error> {
        let mut body = Writer::new();
        body.string(device::NAME, name);
        Ok(DeviceInfo::read(&self.one(Command::DeviceGet, body).await?)?)
    }

    /// Every balancer.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn balancers(&self) -> Result<Vec<BalancerInfo>, Error> {
        self.many(Command::BalancerGet, Writer::new, BalancerInfo::read).await
    }

    /// What a balancer would have done with the latest arrivals.
    ///
    /// # Errors
    /// Refused when there is none of that name, it cannot be previewed, or there were too few arrivals.
    pub async fn preview(&self, name: &str) -> Result<PreviewInfo, Error> {
        let mut body = Writer::new();
        body.string(preview::NAME, name);
        Ok(PreviewInfo::read(&self.one(Command::PreviewGet, body).await?)?)
    }

    /// Samples of the balancer's latest decisions, the latest first.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn decisions(&self, max: usize) -> Result<Vec<DecisionInfo>, Error> {
        self.many(Command::DecisionGet, || limit(decision::LIMIT, max), DecisionInfo::read).await
    }

    /// The first `max` sessions by id.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn sessions(&self, max: usize) -> Result<Vec<SessionInfo>, Error> {
        self.many(Command::SessionGet, || limit(session::LIMIT, max), SessionInfo::read).await
    }

    /// One session.
    ///
    /// # Errors
    /// Refused with ENOENT when there is none of that number.
    pub async fn session(&self, id: u64) -> Result<SessionInfo, Error> {
        let mut body = Writer::new();
        body.u64(session::ID, id);
        Ok(SessionInfo::read(&self.one(Command::SessionGet, body).await?)?)
    }

    /// Every tenant.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn tenants(&self) -> Result<Vec<TenantInfo>, Error> {
        self.many(Command::TenantGet, Writer::new, TenantInfo::read).await
    }

    /// The queues.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn queue(&self) -> Result<QueueInfo, Error> {
        let mut queue = QueueInfo::default();
        self.many(Command::QueueGet, Writer::new, |row| queue.read_row(row)).await?;
        Ok(queue)
    }

    /// Counters of the runtime, one consistent reading.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn stats(&self) -> Result<RuntimeStats, Error> {
        Ok(RuntimeStats::read(&self.one(Command::StatsGet, Writer::new()).await?)?)
    }

    /// The oldest `max` live operations.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn ops(&self, max: usize) -> Result<Vec<OpInfo>, Error> {
        self.many(Command::OpGet, || limit(op::LIMIT, max), OpInfo::read).await
    }

    /// Every load that runs.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn loads(&self) -> Result<Vec<LoadInfo>, Error> {
        self.many(Command::LoadGet, Writer::new, LoadInfo::read).await
    }

    /// Everything a screen shows, asked for at once.
    ///
    /// # Errors
    /// When the server is gone.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        let ((server, sessions_total), stats, devices, balancers, sessions, loads, queue) = tokio::try_join!(
            self.server_and_sessions(),
            self.stats(),
            self.devices(),
            self.balancers(),
            self.sessions(SNAPSHOT_SESSIONS_MAX),
            self.loads(),
            self.queue(),
        )?;
        Ok(Snapshot {
            taken_ns: stats.now_ns,
            wall_ns: stats.wall_ns,
            server,
            stats,
            devices,
            balancers,
            sessions,
            sessions_total,
            loads,
            queue,
        })
    }
}

fn limit(number: u16, max: usize) -> Writer {
    let mut body = Writer::new();
    body.u32(number, u32::try_from(max).unwrap_or(u32::MAX));
    body
}
