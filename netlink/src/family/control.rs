//! The family `nlctrl` (`linux/genetlink.h`), by which stock libraries find the family `acrypto`.

use super::attribute::Shape::{Binary, String, U16, U32};
use super::attribute::{Attribute, AttributeSet, attribute_sets};

/// Most bytes of a list.
const LIST_MAX: usize = 65_531;

/// Family name.
pub const NAME: &str = "nlctrl";
/// Family id.
pub const ID: u16 = 0x10;
/// Family version, as the kernel's.
pub const VERSION: u8 = 2;
/// Answer to [`GET_FAMILY`].
pub const NEW_FAMILY: u8 = 1;
/// Asks for a family, by id or name, or for all by dump.
pub const GET_FAMILY: u8 = 3;
/// Asks for the policies of a family; dump only.
pub const GET_POLICY: u8 = 10;

/// Operation needs admin rights (`GENL_ADMIN_PERM`).
pub const OP_ADMIN: u32 = 0x01;
/// Operation can be asked by `do` (`GENL_CMD_CAP_DO`).
pub const OP_DO: u32 = 0x02;
/// Operation can be asked by dump (`GENL_CMD_CAP_DUMP`).
pub const OP_DUMP: u32 = 0x04;
/// Operation has a policy (`GENL_CMD_CAP_HASPOL`).
pub const OP_HAS_POLICY: u32 = 0x08;

/// `NL_ATTR_TYPE_*` of `linux/netlink.h`.
pub mod policy_type {
    /// `NL_ATTR_TYPE_FLAG`
    pub const FLAG: u32 = 1;
    /// `NL_ATTR_TYPE_U16`
    pub const U16: u32 = 3;
    /// `NL_ATTR_TYPE_U32`
    pub const U32: u32 = 4;
    /// `NL_ATTR_TYPE_U64`
    pub const U64: u32 = 5;
    /// `NL_ATTR_TYPE_BINARY`
    pub const BINARY: u32 = 10;
    /// `NL_ATTR_TYPE_NUL_STRING`
    pub const NUL_STRING: u32 = 12;
    /// `NL_ATTR_TYPE_NESTED`
    pub const NESTED: u32 = 13;
}

attribute_sets! {
    /// `CTRL_ATTR_OP_*`
    op "ctrl-op" {
        ID = 1 "id" U32;
        FLAGS = 2 "flags" U32;
    }
    /// `CTRL_ATTR_MCAST_GRP_*`
    group "ctrl-group" {
        NAME = 1 "name" String(15);
        ID = 2 "id" U32;
    }
    /// `CTRL_ATTR_POLICY_DO` and `_DUMP`
    op_policy "ctrl-op-policy" {
        DO = 1 "do" U32;
        DUMP = 2 "dump" U32;
    }
    /// `NL_POLICY_TYPE_ATTR_*`
    policy "ctrl-policy" {
        TYPE = 1 "type" U32;
        MIN_LENGTH = 6 "min-length" U32;
        MAX_LENGTH = 7 "max-length" U32;
        POLICY_IDX = 8 "policy-idx" U32;
        POLICY_MAX_TYPE = 9 "policy-maxtype" U32;
    }
    /// `CTRL_ATTR_*`
    ctrl "ctrl" {
        FAMILY_ID = 1 "family-id" U16;
        FAMILY_NAME = 2 "family-name" String(15);
        VERSION = 3 "version" U32;
        HEADER_SIZE = 4 "hdrsize" U32;
        ATTRIBUTE_MAX = 5 "maxattr" U32;
        OPS = 6 "ops" Binary(LIST_MAX);
        GROUPS = 7 "mcast-groups" Binary(LIST_MAX);
        POLICY = 8 "policy" Binary(LIST_MAX);
        OP_POLICY = 9 "op-policy" Binary(LIST_MAX);
        OP = 10 "op" U32;
    }
}
