//! temp
use super::context::Context;
use crate::failure::Exit;
/// x
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {}
/// x
pub fn run(_: &VerifyArgs, _: &mut Context<'_>) -> anyhow::Result<Exit> {
    Ok(Exit::Done)
}
