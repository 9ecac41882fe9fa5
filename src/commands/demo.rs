//! temp
use super::context::Context;
use crate::failure::Exit;
/// x
#[derive(Debug, clap::Args)]
pub struct DemoArgs {}
/// x
pub fn run(_: &DemoArgs, _: &mut Context<'_>) -> anyhow::Result<Exit> {
    Ok(Exit::Done)
}
