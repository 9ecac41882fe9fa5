//! Issuing, for `issue-master` and `issue-node`: the recipe, and a file for each of its larger steps.

pub(crate) mod minting;
mod plan;
pub(crate) mod recipe;
pub(crate) mod request;
mod telling;
