//! What an operator can do about a device's health.

use crate::device::DeviceState;
use crate::device::registry::Mail;
use crate::error::Error;
use crate::event::{Draft, EventKind, Severity};
use crate::health::Purpose;
use crate::runtime::Runtime;
use crate::sync::atomic::Ordering;

/// Whether this is a share of the operations.
pub(crate) fn check_shadow(rate: f64) -> Result<(), Error> {
    if (0.0..=1.0).contains(&rate) {
        return Ok(());
    }
    let expected = "from 0 to 1".to_owned();
    Err(Error::BadParameter { name: "shadow".to_owned(), value: rate.to_string(), expected })
}

impl Runtime {
    /// Lets a device finish what it has within `deadline_ns`; what it has not by then is tried elsewhere. It stays,
    /// `drained`, and takes nothing new until it is resumed.
    ///
    /// # Errors
    /// [`Error::UnknownDevice`]; [`Error::DeviceState`] unless it is in service.
    pub fn drain_device(&self, name: &str, deadline_ns: u64, uid: u32) -> Result<(), Error> {
        self.shared.drain_device(&self.shared.device_by_name(name)?, deadline_ns, uid)
    }

    /// Puts a draining or drained device back into service.
    ///
    /// # Errors
    /// [`Error::UnknownDevice`], [`Error::DeviceState`].
    pub fn resume_device(&self, name: &str, uid: u32) -> Result<(), Error> {
        self.shared.resume_device(&self.shared.device_by_name(name)?, uid)
    }

    /// Runs the known answers now. A device that passes has not left service; one that fails is broken. Returns at
    /// once: an event tells the outcome.
    ///
    /// # Errors
    /// [`Error::UnknownDevice`]; [`Error::DeviceState`] unless it is in service or drained.
    pub fn test_device(&self, name: &str, uid: u32) -> Result<(), Error> {
        let device = self.shared.device_by_name(name)?;
        let state = device.state();
        if !state.is_usable() && state != DeviceState::Drained {
            return Err(Error::DeviceState { name: name.to_owned(), state, action: "test" });
        }
        device.post(Mail::Test { uid, purpose: Purpose::Test });
        self.shared.look_after(&device);
        Ok(())
    }

    /// Sets the share of a device's operations, 0 to 1, that is carried out once more by the built-in software engine
    /// and held until both agree. From the next operation on.
    ///
    /// # Errors
    /// [`Error::UnknownDevice`], [`Error::BadParameter`].
    pub fn set_shadow(&self, name: &str, rate: f64, uid: u32) -> Result<(), Error> {
        check_shadow(rate)?;
        let device = self.shared.device_by_name(name)?;
        let before = f64::from_bits(device.shadow_rate.swap(rate.to_bits(), Ordering::AcqRel));
        if before.to_bits() != rate.to_bits() {
            self.shared.events.push(Draft {
                kind: EventKind::Device,
                severity: Severity::Info,
                object: "device",
                name: name.to_owned(),
                from: format!("shadow {before}"),
                to: format!("shadow {rate}"),
                reason: String::new(),
                uid,
            });
        }
        Ok(())
    }
}
