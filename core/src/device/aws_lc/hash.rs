//! Digests (FIPS 180-4) and HMAC (RFC 2104) of whole messages.

use aws_lc_rs::{digest, hmac};

use crate::algorithm::OUTPUT_LEN_MAX;
use crate::device::{DeviceError, DirectOp};
use crate::error::Progress;

use super::refused;

pub(super) fn digest(hash: &'static digest::Algorithm, op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
    whole(op)?;
    match op.source {
        None => op.output.set(digest::digest(hash, op.data).as_ref()),
        Some(source) => {
            let mut context = digest::Context::new(hash);
            source.parts().for_each(|part| context.update(part));
            op.output.set(context.finish().as_ref());
        }
    }
    Ok(())
}

pub(super) fn mac(key: &hmac::Key, op: &mut DirectOp<'_>) -> Result<(), DeviceError> {
    whole(op)?;
    if let Some(source) = op.source {
        let mut context = hmac::Context::with_key(key);
        source.parts().for_each(|part| context.update(part));
        op.output.set(context.sign().as_ref());
        return Ok(());
    }
    let mut bytes = [0; OUTPUT_LEN_MAX];
    let mac = hmac::sign_to_buffer(key, op.data, &mut bytes).map_err(|_| DeviceError::Failed {
        reason: "the library made no mac",
        progress: Progress::Executed,
        source_intact: true,
    })?;
    op.output.set(mac);
    Ok(())
}

fn whole(op: &DirectOp<'_>) -> Result<(), DeviceError> {
    match op.chain {
        Some(_) => Err(refused("the device has no chunks of a hash")),
        None => Ok(()),
    }
}
