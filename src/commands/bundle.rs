//! temp
use super::context::Context;
use crate::failure::Exit;
/// x
#[derive(Debug, clap::Args)]
pub struct BundleArgs {}
/// x
pub fn run(_: &BundleArgs, _: &mut Context<'_>) -> anyhow::Result<Exit> {
    Ok(Exit::Done)
}
