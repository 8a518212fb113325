//! Where operations are while they wait: slots that hold them, rings that pass their tickets on.

pub(crate) mod fair;
pub(crate) mod ring;
pub(crate) mod slab;
pub(crate) mod waiting;
pub(crate) mod word;
