//! Bundles in whichever form: sealed, signed, written, read back, compared.

pub(crate) mod finishing;
pub(crate) mod forgetting;
pub(crate) mod likeness;
pub(crate) mod parcels;
pub(crate) mod sealing;
pub(crate) mod signing;
