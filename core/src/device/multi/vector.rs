//! What AES kernels are written in: blocks side by side in one vector register, whatever its width.
//!
//! A value of a type that implements [`Vector`] is the proof that the processor has its instructions: it is made by
//! run-time detection alone. Hence the kernels are the same code for every width, and only these few operations differ.

/// A block of AES.
pub(super) type Block = [u8; 16];

/// Vectors of AES blocks. Every operation is one or two instructions whose time does not depend on the data.
pub(super) trait Vector: Copy {
    /// [`Self::BLOCKS`] blocks side by side.
    type Blocks: Copy;
    /// Blocks in a vector.
    const BLOCKS: usize;

    /// Consecutive blocks from memory; `from` holds at least as many.
    fn load(self, from: &[Block]) -> Self::Blocks;
    /// Consecutive blocks to memory; `to` has room for at least as many.
    fn store(self, blocks: Self::Blocks, to: &mut [Block]);
    /// The first block to memory.
    fn store_first(self, blocks: Self::Blocks, to: &mut Block);
    /// One block in every place.
    fn broadcast(self, block: &Block) -> Self::Blocks;
    /// Exclusive or.
    fn xor(self, one: Self::Blocks, other: Self::Blocks) -> Self::Blocks;
    /// One round of encryption.
    fn round(self, blocks: Self::Blocks, key: Self::Blocks) -> Self::Blocks;
    /// The last round of encryption.
    fn last_round(self, blocks: Self::Blocks, key: Self::Blocks) -> Self::Blocks;
    /// One round of the equivalent inverse cipher.
    fn inverse_round(self, blocks: Self::Blocks, key: Self::Blocks) -> Self::Blocks;
    /// Its last round.
    fn last_inverse_round(self, blocks: Self::Blocks, key: Self::Blocks) -> Self::Blocks;
    /// The last block of `before`, then all but the last of `blocks`.
    fn behind(self, before: Self::Blocks, blocks: Self::Blocks) -> Self::Blocks;

    /// Consecutive counters from the big-endian `first` on, each little-endian. The low half of the last one must not
    /// overflow.
    fn counters(self, first: &Block) -> Self::Blocks;
    /// Each counter `distance` later; the low half must not overflow.
    fn advance(self, counters: Self::Blocks, distance: u64) -> Self::Blocks;
    /// Counters as the big-endian blocks that are encrypted.
    fn big_endian(self, counters: Self::Blocks) -> Self::Blocks;
}
