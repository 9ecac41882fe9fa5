//! temp
use super::context::Context;
use crate::failure::Exit;
/// x
#[derive(Debug, clap::Args)]
pub struct ShowArgs {}
/// x
pub fn run(_: &ShowArgs, _: &mut Context<'_>) -> anyhow::Result<Exit> {
    Ok(Exit::Done)
}
