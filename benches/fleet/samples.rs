//! What the baselines of the commands imitate.

/// Sizes of the files that one node holds, in bytes, and a certificate to fill the ledger with.
pub(crate) struct Credentials {
    pub(crate) sizes: Vec<usize>,
    pub(crate) der: Vec<u8>,
}

/// Some bundles, unpacked and packed.
pub(crate) struct Bundles {
    pub(crate) tars: Vec<Vec<u8>>,
    pub(crate) packed: Vec<Vec<u8>>,
}
