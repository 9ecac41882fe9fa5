//! Bundles in whichever form: sealed, signed, written, read back.

pub(crate) mod exposed;
pub(crate) mod finishing;
pub(crate) mod forgetting;
pub(crate) mod images;
mod lacking;
pub(crate) mod numbering;
pub(crate) mod older;
pub(crate) mod ready;
pub(crate) mod report;
pub(crate) mod resealing;
pub(crate) mod sealing;
pub(crate) mod signing;
pub(crate) mod source;
pub(crate) mod verifier;
